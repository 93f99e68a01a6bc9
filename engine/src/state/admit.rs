//! From a client's write to an op: everything that depends on settings or on the connection.
//!
//! The order of the checks is ZooKeeper's. What a check finds here comes before what `edit` finds
//! at apply: ZooKeeper, too, looks at flags, path and ACL before it looks at the tree.

use alloc::borrow::Cow;

use super::{
    State, acl,
    command::{CreateKind, CreateOp, Op},
    read::Reader,
};
use crate::{
    protocol::{
        error_code::ErrorCode,
        path,
        records::{Id, perms},
        request::{Create, CreateVariant, Write},
    },
    shared_bytes::{SharedBytes, SharedStr},
};

/// Whether znodes may have a time to live (`extendedTypesEnabled`, `emulate353TTLNodes`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TtlSupport {
    /// Refused with `Unimplemented`.
    #[default]
    Off,
    /// Up to 2^40 - 1 milliseconds.
    On,
    /// Up to 2^60 - 1 milliseconds, as release 3.5.3 had it.
    Emulate353,
}

impl TtlSupport {
    /// The longest time to live, in milliseconds.
    fn ttl_max_ms(self) -> Option<i64> {
        match self {
            Self::Off => None,
            Self::On => Some(0xff_ffff_ffff),
            Self::Emulate353 => Some(0x0fff_ffff_ffff_ffff),
        }
    }
}

/// An operator's settings that decide about writes before they are replicated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EdgeSettings {
    /// Whether znodes may have a time to live.
    pub ttl: TtlSupport,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
    /// Which schemes an ACL may name.
    pub schemes: acl::Schemes,
}

/// What a `CreateMode` number says (`org.apache.zookeeper.CreateMode`).
struct Mode {
    is_ephemeral: bool,
    is_sequential: bool,
    is_ttl: bool,
}

impl Mode {
    fn from_flags(flags: i32) -> Option<Self> {
        let mode = |is_ephemeral, is_sequential, is_ttl| {
            Some(Self { is_ephemeral, is_sequential, is_ttl })
        };
        match flags {
            // 4 is a container, which the opcode says, too, and decides.
            0 | 4 => mode(false, false, false),
            1 => mode(true, false, false),
            2 => mode(false, true, false),
            3 => mode(true, true, false),
            5 => mode(false, false, true),
            6 => mode(false, true, true),
            _ => None,
        }
    }
}

/// Decides what `write` of a connection with the identities `auth` becomes. A write that must fail
/// becomes `Op::Fail`: it takes its zxid in the log as Apache's error transactions do.
#[must_use]
pub fn admit(write: &Write<'_>, auth: &[Id], settings: EdgeSettings) -> Op {
    match write {
        Write::Multi(writes) => admit_multi(writes, auth, settings),
        // Offered inside a multi only.
        Write::Check { .. } => Op::Fail(ErrorCode::Unimplemented),
        write => admit_one(write, auth, settings),
    }
}

fn admit_multi(writes: &[Write<'_>], auth: &[Id], settings: EdgeSettings) -> Op {
    let is_malformed = |write: &Write<'_>| match write {
        // Bad flags of a createTTL make that one fail, and spoil nothing else.
        Write::Create(create) if create.variant == CreateVariant::Ttl => false,
        Write::Create(create) => Mode::from_flags(create.flags).is_none(),
        Write::SetAcl { .. } | Write::Multi(_) | Write::Reconfig { .. } => true,
        Write::Delete { .. } | Write::SetData { .. } | Write::Check { .. } => false,
    };
    if writes.iter().any(is_malformed) {
        return Op::Fail(ErrorCode::MarshallingError);
    }
    Op::Multi(writes.iter().map(|write| admit_one(write, auth, settings)).collect())
}

fn admit_one(write: &Write<'_>, auth: &[Id], settings: EdgeSettings) -> Op {
    let op = match write {
        Write::Create(create) => admit_create(create, auth, settings),
        Write::Delete { path, version } => match path {
            Some(path) => Ok(Op::Delete { path: SharedStr::new(path), version: *version }),
            None => Err(ErrorCode::MarshallingError),
        },
        Write::SetData { path, data, version } => valid_path(path.as_ref())
            .map(|path| Op::SetData { path, data: data.map(SharedBytes::new), version: *version }),
        Write::SetAcl { path, acl, version } => valid_path(path.as_ref()).and_then(|path| {
            let acl = acl::resolve(acl.as_deref(), auth, settings.schemes)?;
            Ok(Op::SetAcl { path, acl, version: *version })
        }),
        Write::Check { path, version } => {
            valid_path(path.as_ref()).map(|path| Op::Check { path, version: *version })
        }
        Write::Reconfig { .. } if settings.reconfig_enabled => Err(ErrorCode::Unimplemented),
        Write::Reconfig { .. } => Err(ErrorCode::ReconfigDisabled),
        Write::Multi(_) => Err(ErrorCode::MarshallingError),
    };
    op.unwrap_or_else(Op::Fail)
}

fn valid_path(path: Option<&Cow<'_, str>>) -> Result<SharedStr, ErrorCode> {
    let path = path.ok_or(ErrorCode::BadArguments)?;
    path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
    Ok(SharedStr::new(path))
}

fn admit_create(create: &Create<'_>, auth: &[Id], settings: EdgeSettings) -> Result<Op, ErrorCode> {
    let mode = Mode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
    if mode.is_ttl {
        let ttl_max_ms = settings.ttl.ttl_max_ms().ok_or(ErrorCode::Unimplemented)?;
        if create.ttl <= 0 || create.ttl > ttl_max_ms {
            return Err(ErrorCode::BadArguments);
        }
    } else if create.ttl >= 0 || create.variant == CreateVariant::Ttl {
        // A createTTL without a TTL mode kills an Apache server, and every restart of it.
        return Err(ErrorCode::BadArguments);
    }
    // Looked at before the ACL; `edit` finds the same again.
    let path = create.path.as_ref().ok_or(ErrorCode::MarshallingError)?;
    if !path.contains('/') || path.contains('\0') {
        return Err(ErrorCode::BadArguments);
    }
    let kind = match create.variant {
        CreateVariant::Container => CreateKind::Container,
        CreateVariant::Ttl => CreateKind::Ttl(create.ttl),
        CreateVariant::Create | CreateVariant::Create2 if mode.is_ephemeral => {
            CreateKind::Ephemeral
        }
        CreateVariant::Create | CreateVariant::Create2 => CreateKind::Persistent,
    };
    Ok(Op::Create(CreateOp {
        path: SharedStr::new(path),
        data: create.data.map(SharedBytes::new),
        acl: acl::resolve(create.acl.as_deref(), auth, settings.schemes)?,
        kind,
        sequential: mode.is_sequential,
    }))
}

impl State {
    /// Whether `reader` may try `op`, as far as ACLs can say before it is replicated
    /// (`enableEagerACLCheck`). Operations of a multi are not looked at, as in ZooKeeper.
    ///
    /// # Errors
    ///
    /// `NoAuth`, and nothing else.
    pub fn eager_acl_check(&self, reader: &Reader<'_>, op: &Op) -> Result<(), ErrorCode> {
        let parent = |path: &SharedStr| {
            let (parent, _) = path.rsplit_once('/')?;
            self.tree.find(parent)
        };
        let (found, needed) = match op {
            Op::Create(create) => (parent(&create.path), perms::CREATE),
            Op::Delete { path, .. } => (parent(path), perms::DELETE),
            Op::SetData { path, .. } => (self.tree.find(path), perms::WRITE),
            Op::SetAcl { path, .. } => (self.tree.find(path), perms::ADMIN),
            Op::CreateSession { .. }
            | Op::AttachSession { .. }
            | Op::CloseSession
            | Op::Check { .. }
            | Op::Multi(_)
            | Op::DeleteContainer { .. }
            | Op::Fail(_) => return Ok(()),
        };
        // What is not there is for apply to tell: it may be on its way.
        found.map_or(Ok(()), |found| self.permit_reader(reader, found.id, needed))
    }
}
