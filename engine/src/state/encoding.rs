//! Commands as bytes: what a shard sends to the replica core, and what a committed batch holds.

use alloc::{boxed::Box, vec::Vec};

use super::{
    bytes::{Append, DecodeError, Fields},
    command::{Command, CreateKind, CreateOp, Op},
};
use crate::{
    batch::{self, Batch, BatchHeader, BatchKind, CommandEnd, Commands},
    ids::{Owner, SessionId, Xid, Zxid},
    limits::COMMAND_BYTES_MAX,
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
    /// When the payload is not a table of runs and what [`encode`] wrote, or the header counts
    /// otherwise.
    pub fn decode(batch: &Batch) -> Result<Self, DecodeError> {
        let commands = match batch.header.kind {
            BatchKind::Commands => decode_payload(&batch.payload)?,
            BatchKind::NewEpoch if batch.payload.is_empty() => Vec::new(),
            BatchKind::NewEpoch => {
                return Err(DecodeError::Contradiction("an epoch with commands"));
            }
            // Consensus has looked at it.
            BatchKind::Config => Vec::new(),
        };
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

fn decode_payload(payload: &[u8]) -> Result<Vec<Command>, DecodeError> {
    let table =
        batch::decode_runs(payload).ok_or(DecodeError::Contradiction("no table of runs"))?;
    let (runs, commands) = table;
    let mut fields = Fields::new(commands);
    let mut commands = Vec::new();
    while !fields.is_empty() {
        commands.push(decode_command(&mut fields)?);
    }
    let submitted: u64 = runs.iter().map(|run| u64::from(run.command_count)).sum();
    if u64::try_from(commands.len()) != Ok(submitted) {
        return Err(DecodeError::Contradiction("runs and commands count differently"));
    }
    Ok(commands)
}

/// Appends `command` to `commands`. One that is longer than any may be, which takes an operator's
/// `jute.maxbuffer` beyond `COMMAND_BYTES_MAX`, becomes one that fails with `MarshallingError`.
pub fn encode(command: &Command, commands: &mut Commands) {
    let start = commands.bytes.len();
    encode_command(command, &mut commands.bytes);
    let mut takes_zxid = command.op.takes_zxid();
    if commands.bytes.len() - start > COMMAND_BYTES_MAX {
        commands.bytes.truncate(start);
        let op = Op::Fail(ErrorCode::MarshallingError);
        takes_zxid = op.takes_zxid();
        encode_command(&Command { auth: Vec::new(), op, ..command.clone() }, &mut commands.bytes);
    }
    let end = u32::try_from(commands.bytes.len()).expect("a turn's commands stay below 4 GiB");
    commands.ends.push(CommandEnd { end, takes_zxid });
}

fn encode_command(command: &Command, out: &mut Vec<u8>) {
    out.i64(command.session.0);
    out.u64(command.owner.0);
    out.i32(command.cxid.0);
    let skip_acl = if command.skip_acl { SKIP_ACL } else { 0 };
    let enforce_quota = if command.enforce_quota { ENFORCE_QUOTA } else { 0 };
    out.u8(skip_acl | enforce_quota);
    out.ids(&command.auth);
    encode_op(&command.op, out);
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

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec};

    use proptest::{prelude::*, strategy::Union};

    use super::*;
    use crate::{
        batch::Run,
        ids::{Ballot, Epoch, Life, Slot, WallTime},
        protocol::records::{Acl, Id},
    };

    fn batch(commands: &Commands) -> Batch {
        let count = |is_counted: fn(&CommandEnd) -> bool| {
            let counted = commands.ends.iter().filter(|end| is_counted(end)).count();
            u32::try_from(counted).unwrap()
        };
        let header = BatchHeader {
            slot: Slot(1),
            origin: Ballot::default(),
            kind: BatchKind::Commands,
            epoch: Epoch(1),
            first_zxid: Zxid::new(Epoch(1), 5),
            zxid_count: count(|end| end.takes_zxid),
            command_count: count(|_| true),
            time: WallTime(1),
            previous_hash: 0,
            hash: 0,
        };
        Batch { header, payload: commands.payload(Life(3)) }
    }

    fn command(op: Op) -> Command {
        Command {
            session: SessionId(-2),
            owner: Owner(u64::MAX),
            cxid: Xid(-9),
            auth: vec![],
            skip_acl: false,
            enforce_quota: false,
            op,
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        "[a-z/:é]{0,6}"
    }

    fn ids() -> impl Strategy<Value = Id> {
        (texts(), texts()).prop_map(|(scheme, id)| Id { scheme, id })
    }

    fn acls() -> impl Strategy<Value = Vec<Acl>> {
        prop::collection::vec((any::<i32>(), ids()).prop_map(|(perms, id)| Acl { perms, id }), 0..3)
    }

    fn ops() -> impl Strategy<Value = Op> {
        let path = || texts().prop_map(|text| SharedStr::new(&text));
        let bytes = || prop::collection::vec(any::<u8>(), 0..5);
        let data = || prop::option::of(bytes().prop_map(|bytes| SharedBytes::new(&bytes)));
        let kind = Union::new([
            Just(CreateKind::Persistent).boxed(),
            Just(CreateKind::Ephemeral).boxed(),
            Just(CreateKind::Container).boxed(),
            any::<i64>().prop_map(CreateKind::Ttl).boxed(),
        ]);
        let session = (any::<i32>(), any::<[u8; 16]>());
        let create = (path(), data(), acls(), kind, any::<bool>()).prop_map(
            |(path, data, acl, kind, sequential)| {
                Op::Create(CreateOp { path, data, acl, kind, sequential })
            },
        );
        let simple = Union::new([
            session
                .prop_map(|(timeout_ms, password)| Op::CreateSession { timeout_ms, password })
                .boxed(),
            session
                .prop_map(|(timeout_ms, password)| Op::AttachSession { timeout_ms, password })
                .boxed(),
            Just(Op::CloseSession).boxed(),
            create.boxed(),
            (path(), any::<i32>()).prop_map(|(path, version)| Op::Delete { path, version }).boxed(),
            (path(), data(), any::<i32>())
                .prop_map(|(path, data, version)| Op::SetData { path, data, version })
                .boxed(),
            (path(), acls(), any::<i32>())
                .prop_map(|(path, acl, version)| Op::SetAcl { path, acl, version })
                .boxed(),
            (path(), any::<i32>()).prop_map(|(path, version)| Op::Check { path, version }).boxed(),
            path().prop_map(|path| Op::DeleteContainer { path }).boxed(),
            prop::sample::select(&ErrorCode::ALL).prop_map(Op::Fail).boxed(),
        ]);
        let multi = prop::collection::vec(simple.clone(), 0..4).prop_map(Op::Multi);
        prop_oneof![4 => simple, 1 => multi]
    }

    fn commands() -> impl Strategy<Value = Vec<Command>> {
        let auth = prop::collection::vec(ids(), 0..3);
        let command = (any::<(i64, u64, i32, bool, bool)>(), auth, ops()).prop_map(
            |((session, owner, cxid, skip_acl, enforce_quota), auth, op)| Command {
                session: SessionId(session),
                owner: Owner(owner),
                cxid: Xid(cxid),
                auth,
                skip_acl,
                enforce_quota,
                op,
            },
        );
        prop::collection::vec(command, 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn commands_come_back(commands in commands()) {
            let mut encoded = Commands::default();
            commands.iter().for_each(|command| encode(command, &mut encoded));
            let committed = Committed::decode(&batch(&encoded)).unwrap();
            prop_assert_eq!(&*committed.commands, &*commands);
            let zxids: Vec<u32> = committed.with_zxids().map(|(zxid, _)| zxid.counter()).collect();
            let mut next = 5;
            for (zxid, command) in zxids.iter().zip(&commands) {
                next += u32::from(command.op.takes_zxid());
                prop_assert_eq!(*zxid, next - 1);
            }
        }

        #[test]
        fn damage_is_no_panic(
            commands in commands(),
            at in any::<prop::sample::Index>(),
            value: u8,
        ) {
            let mut encoded = Commands::default();
            commands.iter().for_each(|command| encode(command, &mut encoded));
            let whole = batch(&encoded);
            let at = at.index(whole.payload.len());
            let mut damaged = whole.payload.to_vec();
            damaged[at] = value;
            // Some damage is another command: checksums are storage's.
            drop(Committed::decode(&Batch { payload: damaged.into(), ..whole.clone() }));
            let cut = Batch { payload: whole.payload[..at].into(), ..whole };
            prop_assert!(Committed::decode(&cut).is_err());
        }
    }

    #[test]
    fn runs_that_count_otherwise_are_refused() {
        let mut encoded = Commands::default();
        encode(&command(Op::CloseSession), &mut encoded);
        encode(&command(Op::CloseSession), &mut encoded);
        let batch = batch(&encoded);
        let runs = |counts: &[u32]| {
            let run = |(life, count): (u64, &u32)| Run { life: Life(life), command_count: *count };
            let runs: Vec<Run> = (1..).zip(counts).map(run).collect();
            let mut payload = vec![0; batch::runs_bytes(runs.len())];
            batch::encode_runs(&runs, &mut payload);
            payload.extend_from_slice(&encoded.bytes);
            Committed::decode(&Batch { payload: payload.into(), ..batch.clone() })
        };
        assert_eq!(runs(&[2]), runs(&[1, 1]), "who submitted them is nothing to a State");
        assert!(runs(&[2]).is_ok());
        for counts in [&[][..], &[1], &[3], &[1, 2], &[1, u32::MAX, 2]] {
            assert!(runs(counts).is_err(), "{counts:?}");
        }
    }

    #[test]
    fn a_batch_without_commands_has_none() {
        let mut batch = batch(&Commands::default());
        assert!(Committed::decode(&batch).is_ok());
        batch.header.kind = BatchKind::NewEpoch;
        assert!(Committed::decode(&batch).is_err(), "not even a table");
        batch.payload = [].into();
        assert!(Committed::decode(&batch).is_ok());
        batch.header = BatchHeader { kind: BatchKind::Config, command_count: 1, ..batch.header };
        assert!(Committed::decode(&batch).is_err());
        batch.header.command_count = 0;
        assert!(Committed::decode(&batch).is_ok());
    }

    #[test]
    fn a_command_that_is_too_long_fails() {
        let data = Some(SharedBytes::new(&vec![0; COMMAND_BYTES_MAX]));
        let mut encoded = Commands::default();
        let path = SharedStr::new("/a");
        encode(&command(Op::SetData { path, data, version: 0 }), &mut encoded);
        let committed = Committed::decode(&batch(&encoded)).unwrap();
        assert_eq!(&*committed.commands, [command(Op::Fail(ErrorCode::MarshallingError))]);
    }
}
