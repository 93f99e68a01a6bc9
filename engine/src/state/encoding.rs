//! Commands as bytes: what a shard sends to the replica core, and what a committed batch holds.

use alloc::{boxed::Box, vec::Vec};

use super::{
    bytes::{Append, DecodeError, Fields},
    command::{Command, CreateKind, CreateOp, Op},
};
use crate::{
    batch::{Batch, BatchHeader, CommandEnd, Commands},
    ids::{Owner, SessionId, Xid, Zxid},
    protocol::error_code::ErrorCode,
    shared_bytes::{SharedBytes, SharedStr},
};

const SKIP_ACL: u8 = 1;
const ENFORCE_QUOTA: u8 = 2;

/// Numbers of operations in a command. Part of the log's format: never reused.
mod tag {
    pub(super) const CREATE_SESSION: u8 = 1;
    pub(super) const ATTACH_SESSION: u8 = 2;
    pub(super) const CLOSE_SESSION: u8 = 3;
    pub(super) const CREATE: u8 = 4;
    pub(super) const DELETE: u8 = 5;
    pub(super) const SET_DATA: u8 = 6;
    pub(super) const SET_ACL: u8 = 7;
    pub(super) const CHECK: u8 = 8;
    pub(super) const MULTI: u8 = 9;
    pub(super) const DELETE_CONTAINER: u8 = 10;
    pub(super) const FAIL: u8 = 11;
}

/// A committed batch, decoded once for every State of the process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committed {
    /// Its place in the log.
    pub header: BatchHeader,
    /// Its commands, in order.
    pub commands: Box<[Command]>,
}

impl Committed {
    /// Decodes the commands of `batch` and checks them against its header.
    ///
    /// # Errors
    ///
    /// When the payload is not what [`encode`] wrote, or the header counts otherwise.
    pub fn decode(batch: &Batch) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(&batch.payload);
        let mut commands = Vec::new();
        while !fields.is_empty() {
            commands.push(decode_command(&mut fields)?);
        }
        let zxid_count = commands.iter().filter(|command| command.op.takes_zxid()).count();
        if u32::try_from(commands.len()) != Ok(batch.header.command_count)
            || u32::try_from(zxid_count) != Ok(batch.header.zxid_count)
        {
            return Err(DecodeError::Contradiction("header and payload count differently"));
        }
        Ok(Self { header: batch.header.clone(), commands: commands.into() })
    }

    /// The commands with their zxids. One that takes none comes with the last one given.
    pub fn with_zxids(&self) -> impl Iterator<Item = (Zxid, &Command)> {
        let mut last = self.header.first_zxid.0 - 1;
        self.commands.iter().map(move |command| {
            last += i64::from(command.op.takes_zxid());
            (Zxid(last), command)
        })
    }
}

/// Appends `command` to `commands`.
pub fn encode(command: &Command, commands: &mut Commands) {
    let out = &mut commands.bytes;
    out.i64(command.session.0);
    out.u64(command.owner.0);
    out.i32(command.cxid.0);
    let skip_acl = if command.skip_acl { SKIP_ACL } else { 0 };
    let enforce_quota = if command.enforce_quota { ENFORCE_QUOTA } else { 0 };
    out.u8(skip_acl | enforce_quota);
    out.ids(&command.auth);
    encode_op(&command.op, out);
    commands.ends.push(CommandEnd {
        end: u32::try_from(out.len()).expect("a turn's commands stay below BATCH_BYTES_MAX"),
        takes_zxid: command.op.takes_zxid(),
    });
}

fn encode_op(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::CreateSession { timeout_ms, password } => {
            out.u8(tag::CREATE_SESSION);
            out.i32(*timeout_ms);
            out.raw(password);
        }
        Op::AttachSession { timeout_ms, password } => {
            out.u8(tag::ATTACH_SESSION);
            out.i32(*timeout_ms);
            out.raw(password);
        }
        Op::CloseSession => out.u8(tag::CLOSE_SESSION),
        Op::Create(create) => {
            out.u8(tag::CREATE);
            encode_create(create, out);
        }
        Op::Delete { path, version } => {
            out.u8(tag::DELETE);
            out.bytes(path.as_bytes());
            out.i32(*version);
        }
        Op::SetData { path, data, version } => {
            out.u8(tag::SET_DATA);
            out.bytes(path.as_bytes());
            out.nullable_bytes(data.as_deref());
            out.i32(*version);
        }
        Op::SetAcl { path, acl, version } => {
            out.u8(tag::SET_ACL);
            out.bytes(path.as_bytes());
            out.acl(acl);
            out.i32(*version);
        }
        Op::Check { path, version } => {
            out.u8(tag::CHECK);
            out.bytes(path.as_bytes());
            out.i32(*version);
        }
        Op::Multi(ops) => {
            out.u8(tag::MULTI);
            out.count(ops.len());
            for op in ops {
                assert!(!matches!(op, Op::Multi(_)), "a multi is never nested");
                encode_op(op, out);
            }
        }
        Op::DeleteContainer { path } => {
            out.u8(tag::DELETE_CONTAINER);
            out.bytes(path.as_bytes());
        }
        Op::Fail(code) => {
            out.u8(tag::FAIL);
            out.i32(code.number());
        }
    }
}

fn encode_create(create: &CreateOp, out: &mut Vec<u8>) {
    out.bytes(create.path.as_bytes());
    out.nullable_bytes(create.data.as_deref());
    out.acl(&create.acl);
    match create.kind {
        CreateKind::Persistent => out.u8(0),
        CreateKind::Ephemeral => out.u8(1),
        CreateKind::Container => out.u8(2),
        CreateKind::Ttl(ttl_ms) => {
            out.u8(3);
            out.i64(ttl_ms);
        }
    }
    out.flag(create.sequential);
}

fn decode_command(fields: &mut Fields<'_>) -> Result<Command, DecodeError> {
    let session = SessionId(fields.i64()?);
    let owner = Owner(fields.u64()?);
    let cxid = Xid(fields.i32()?);
    let flags = fields.u8()?;
    if flags & !(SKIP_ACL | ENFORCE_QUOTA) != 0 {
        return Err(DecodeError::Unknown("command flag"));
    }
    let auth = fields.ids()?;
    let op = decode_op(fields, true)?;
    Ok(Command {
        session,
        owner,
        cxid,
        auth,
        skip_acl: flags & SKIP_ACL != 0,
        enforce_quota: flags & ENFORCE_QUOTA != 0,
        op,
    })
}

fn decode_op(fields: &mut Fields<'_>, multi_allowed: bool) -> Result<Op, DecodeError> {
    Ok(match fields.u8()? {
        tag::CREATE_SESSION => {
            Op::CreateSession { timeout_ms: fields.i32()?, password: fields.array()? }
        }
        tag::ATTACH_SESSION => {
            Op::AttachSession { timeout_ms: fields.i32()?, password: fields.array()? }
        }
        tag::CLOSE_SESSION => Op::CloseSession,
        tag::CREATE => Op::Create(decode_create(fields)?),
        tag::DELETE => Op::Delete { path: path(fields)?, version: fields.i32()? },
        tag::SET_DATA => {
            Op::SetData { path: path(fields)?, data: data(fields)?, version: fields.i32()? }
        }
        tag::SET_ACL => {
            Op::SetAcl { path: path(fields)?, acl: fields.acl()?, version: fields.i32()? }
        }
        tag::CHECK => Op::Check { path: path(fields)?, version: fields.i32()? },
        tag::MULTI if multi_allowed => Op::Multi(fields.list(|fields| decode_op(fields, false))?),
        tag::DELETE_CONTAINER => Op::DeleteContainer { path: path(fields)? },
        tag::FAIL => {
            let code = ErrorCode::from_number(fields.i32()?);
            Op::Fail(code.ok_or(DecodeError::Unknown("result code"))?)
        }
        _ => return Err(DecodeError::Unknown("operation")),
    })
}

fn decode_create(fields: &mut Fields<'_>) -> Result<CreateOp, DecodeError> {
    Ok(CreateOp {
        path: path(fields)?,
        data: data(fields)?,
        acl: fields.acl()?,
        kind: match fields.u8()? {
            0 => CreateKind::Persistent,
            1 => CreateKind::Ephemeral,
            2 => CreateKind::Container,
            3 => CreateKind::Ttl(fields.i64()?),
            _ => return Err(DecodeError::Unknown("kind of znode")),
        },
        sequential: fields.flag()?,
    })
}

fn path(fields: &mut Fields<'_>) -> Result<SharedStr, DecodeError> {
    fields.text().map(SharedStr::new)
}

fn data(fields: &mut Fields<'_>) -> Result<Option<SharedBytes>, DecodeError> {
    Ok(fields.nullable_bytes()?.map(SharedBytes::new))
}
