//! Commands and a State as version 1 wrote them, which every later version must read as ever. (The
//! files around them are `storage/tests/golden.rs`'s.)
//!
//! `UPDATE_EXPECT=1` writes them anew. That is right only as long as version 1 is not released.

use std::{env, fs, path::Path, sync::Arc};

use ringkeeper_engine::{
    batch::{Batch, BatchHeader, BatchKind, Commands},
    ids::{Ballot, Epoch, Life, Owner, ReplicaId, SessionId, Slot, WallTime, Xid, Zxid},
    protocol::{
        error_code::ErrorCode,
        records::{Acl, Id},
    },
    shared_bytes::{SharedBytes, SharedStr},
    state::{
        Changes, State,
        command::{Command, Committed, CreateKind, CreateOp, Op, encode},
        snapshot::{Loader, Writer},
    },
};

/// The file's bytes, which must be what today's code writes.
fn golden(name: &str, today: &[u8]) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("testdata/storage/version-1").join(name);
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, today).unwrap();
    }
    let found = fs::read(&path).unwrap();
    assert!(found == today, "{name} is not what version 1 writes");
    found
}

fn create(path: &str, data: Option<&[u8]>, kind: CreateKind, perms: i32) -> Op {
    let id = Id { scheme: "digest".into(), id: "user:hash".into() };
    Op::Create(CreateOp {
        path: SharedStr::new(path),
        data: data.map(SharedBytes::new),
        acl: vec![Acl { perms, id }],
        kind,
        sequential: path.ends_with('-'),
    })
}

/// One command of every kind, in an order in which all but the last but one succeed.
fn commands() -> Vec<Command> {
    let path = SharedStr::new;
    let multi = vec![
        Op::Check { path: path("/a"), version: 1 },
        create("/a/m", None, CreateKind::Persistent, 31),
    ];
    let ops = vec![
        Op::CreateSession { timeout_ms: 4000, password: [7; 16] },
        Op::AttachSession { timeout_ms: 5000, password: [7; 16] },
        create("/a", Some(b"one"), CreateKind::Persistent, 31),
        create("/a/e", Some(b""), CreateKind::Ephemeral, 1),
        create("/a/c", None, CreateKind::Container, 31),
        create("/a/t", Some(b"two"), CreateKind::Ttl(60_000), 31),
        create("/a/s-", Some(b"three"), CreateKind::Persistent, 31),
        Op::SetData { path: path("/a"), data: Some(SharedBytes::new(b"four")), version: 0 },
        Op::SetAcl { path: path("/a/t"), acl: world(), version: 0 },
        Op::Multi(multi),
        Op::Delete { path: path("/a/m"), version: -1 },
        Op::Fail(ErrorCode::MarshallingError),
        Op::DeleteContainer { path: path("/a/c") },
    ];
    let (xids, owner) = (1.., Owner(9));
    let command = |(op, xid)| Command {
        session: SessionId(0x0100_0000_0000_0001),
        owner,
        cxid: Xid(xid),
        auth: vec![Id { scheme: "digest".into(), id: "user:hash".into() }],
        skip_acl: false,
        enforce_quota: xid % 2 == 0,
        op,
    };
    ops.into_iter().zip(xids).map(command).collect()
}

fn world() -> Vec<Acl> {
    vec![Acl { perms: 31, id: Id { scheme: "world".into(), id: "anyone".into() } }]
}

fn batch(payload: &[u8], commands: &[Command]) -> Batch {
    let epoch = Epoch(1);
    let takes = commands.iter().filter(|command| command.op.takes_zxid()).count();
    let header = BatchHeader {
        slot: Slot(2),
        origin: Ballot { round: 1, replica: ReplicaId(3) },
        kind: BatchKind::Commands,
        epoch,
        first_zxid: Zxid::new(epoch, 1),
        zxid_count: u32::try_from(takes).unwrap(),
        command_count: u32::try_from(commands.len()).unwrap(),
        time: WallTime(1_700_000_000_000),
        previous_hash: 0,
        hash: 5,
    };
    Batch { header, payload: Arc::from(payload) }
}

fn apply(committed: &Committed) -> (State, usize) {
    let mut state = State::new();
    let mut changes = Changes::default();
    let epoch = BatchHeader {
        slot: Slot(1),
        kind: BatchKind::NewEpoch,
        zxid_count: 0,
        command_count: 0,
        ..committed.header.clone()
    };
    state.begin_batch(&epoch);
    state.begin_batch(&committed.header);
    let mut failed = 0;
    for (zxid, command) in committed.with_zxids() {
        failed += usize::from(state.apply(zxid, command, &mut changes).is_err());
    }
    (state, failed)
}

fn snapshot(state: &State) -> Vec<u8> {
    let mut writer = Writer::new(state);
    let mut bytes = Vec::new();
    while writer.next_chunk(state, &mut bytes) {}
    bytes
}

#[test]
fn commands_and_state_of_version_1() {
    let commands = commands();
    let mut encoded = Commands::default();
    commands.iter().for_each(|command| encode(command, &mut encoded));
    let payload = golden("commands", &encoded.payload(Life(0x0807_0605_0403_0201)));
    let committed = Committed::decode(&batch(&payload, &commands)).unwrap();
    assert_eq!(*committed.commands, *commands);

    let (state, failed) = apply(&committed);
    assert_eq!(failed, 1, "only the one that is made to fail");
    let bytes = golden("state", &snapshot(&state));
    let mut loader = Loader::new();
    loader.push(&bytes).unwrap();
    let loaded = loader.finish().unwrap();
    assert_eq!((loaded.digest(), loaded.applied()), (state.digest(), state.applied()));
    assert_eq!(loaded.stat_of("/a"), state.stat_of("/a"));
    assert!(loaded.stat_of("/a/e").is_some_and(|stat| stat.ephemeral_owner != 0));
    assert!(loaded.stat_of("/a/c").is_none() && loaded.stat_of("/a/s-0000000003").is_some());
}
