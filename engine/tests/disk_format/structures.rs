//! Every structure of the format against its table.

use std::sync::Arc;

use ringkeeper_engine::{
    batch::{BATCH_HEADER_BYTES, BatchHeader, BatchKind, Commands, Run, encode_runs, runs_bytes},
    ids::{
        Ballot, Epoch, Life, LogPos, Owner as SessionOwner, ReplicaId, SessionId, Slot, WallTime,
        Xid, Zxid,
    },
    limits::SEGMENT_BYTES_DEFAULT,
    protocol::{error_code::ErrorCode, records::Id},
    shared_bytes::SharedStr,
    state::command::{Command, CreateKind, CreateOp, Op, encode},
    storage::{
        Append, AppendKind, Base, Lsn,
        block::{self, BLOCK_BYTES, DATA_BYTES, Identity, LOCAL_HEADER_BYTES, TRAILER_BYTES},
        group::{Continuation, GROUP_BLOCKS_MAX, LogEnd},
        record::{RecordHeader, RecordKind},
        segment::SegmentHeader,
        snapshot_file::{self, Encoder, SnapshotMeta},
        standalone::{FORMAT_VERSION, Owner},
        superblock::Superblock,
    },
};

use crate::{document::compare, layout::Layout};

const ROUND: Ballot = Ballot { round: u64::MAX, replica: ReplicaId(0) };
const REPLICA: Ballot = Ballot { round: 0, replica: ReplicaId(u16::MAX) };

fn row(cells: &[&dyn std::fmt::Display]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

/// A block that stands alone: its magic, version and checksum beside its fields.
fn standalone(zero: &[u8], magic: &[u8; 8]) -> Layout {
    Layout::new(zero)
        .constant("magic", magic)
        .constant("version", &FORMAT_VERSION.to_le_bytes())
        .checksum(4)
}

fn owners() -> [(&'static str, Owner); 2] {
    let (cluster, incarnation) = (u128::MAX, u128::MAX);
    [
        ("cluster", Owner { cluster, ..Owner::default() }),
        ("incarnation", Owner { incarnation, ..Owner::default() }),
    ]
}

/// The end of a log with one field changed.
fn bases() -> [(&'static str, usize, Base); 7] {
    let zero = Base::default();
    [
        ("slot", 8, Base { slot: Slot(u64::MAX), ..zero }),
        ("origin round", 8, Base { origin: ROUND, ..zero }),
        ("origin replica", 2, Base { origin: REPLICA, ..zero }),
        ("epoch", 4, Base { epoch: Epoch(u32::MAX), ..zero }),
        ("hash", 16, Base { hash: u128::MAX, ..zero }),
        ("last zxid", 8, Base { last_zxid: Zxid(-1), ..zero }),
        ("time", 8, Base { time: WallTime(-1), ..zero }),
    ]
}

/// A whole base as one field: all of its fields changed.
fn whole_base() -> Base {
    Base {
        slot: Slot(u64::MAX),
        origin: Ballot { round: u64::MAX, replica: ReplicaId(u16::MAX) },
        hash: u128::MAX,
        epoch: Epoch(u32::MAX),
        last_zxid: Zxid(-1),
        time: WallTime(-1),
    }
}

const BASE_BYTES: usize = 64;

#[test]
fn numbers() {
    compare(
        "Numbers",
        &[
            row(&[&"FORMAT_VERSION", &FORMAT_VERSION]),
            row(&[&"BLOCK_BYTES", &BLOCK_BYTES]),
            row(&[&"TRAILER_BYTES", &TRAILER_BYTES]),
            row(&[&"DATA_BYTES", &DATA_BYTES]),
            row(&[&"LOCAL_HEADER_BYTES", &LOCAL_HEADER_BYTES]),
            row(&[&"BATCH_HEADER_BYTES", &BATCH_HEADER_BYTES]),
            row(&[&"GROUP_BLOCKS_MAX", &GROUP_BLOCKS_MAX]),
            row(&[&"CHUNK_BYTES_MAX", &snapshot_file::CHUNK_BYTES_MAX]),
            row(&[&"FRAME_BYTES_MAX", &snapshot_file::FRAME_BYTES_MAX]),
            row(&[&"CONFIG_BYTES_MAX", &snapshot_file::CONFIG_BYTES_MAX]),
            row(&[&"SEGMENT_BYTES_DEFAULT", &SEGMENT_BYTES_DEFAULT]),
        ],
    );
}

#[test]
fn superblock() {
    let zero = Superblock::default();
    let mut layout = standalone(&zero.encode(), b"RKsuperb")
        .field("sequence", 8, &Superblock { sequence: u64::MAX, ..zero }.encode())
        .field("promised round", 8, &Superblock { promised: ROUND, ..zero }.encode())
        .field("promised replica", 2, &Superblock { promised: REPLICA, ..zero }.encode())
        .field("replica", 2, &Superblock { replica: ReplicaId(u16::MAX), ..zero }.encode())
        .field("tail", 8, &Superblock { tail: Lsn(u64::MAX), ..zero }.encode());
    for (name, owner) in owners() {
        layout = layout.field(name, 16, &Superblock { owner, ..zero }.encode());
    }
    let snapshot = Superblock { snapshot: whole_base(), ..zero };
    compare("Superblock", &layout.field("snapshot", BASE_BYTES, &snapshot.encode()).rows());
}

#[test]
fn base() {
    let zero = Superblock::default();
    let encode = |snapshot| Superblock { snapshot, ..zero }.encode();
    // Where a base starts in a superblock: where its first field, the slot, does.
    let (_, _, slot) = bases()[0];
    let (before, after) = (encode(Base::default()), encode(slot));
    let start = (0..BLOCK_BYTES).find(|at| before[*at] != after[*at]).unwrap();
    let part = |block: [u8; BLOCK_BYTES]| block[start..start + BASE_BYTES].to_vec();
    let mut layout = Layout::new(&part(encode(Base::default())));
    for (name, bytes, base) in bases() {
        layout = layout.field(name, bytes, &part(encode(base)));
    }
    compare("Base", &layout.rows());
}

#[test]
fn segment_header() {
    let zero = SegmentHeader { owner: Owner::default(), generation: 0, number: 0, block_count: 0 };
    let mut layout = standalone(&zero.encode(), b"RKsegmnt")
        .field("generation", 8, &SegmentHeader { generation: u64::MAX, ..zero }.encode())
        .field("number", 4, &SegmentHeader { number: u32::MAX, ..zero }.encode())
        .field("block count", 4, &SegmentHeader { block_count: u32::MAX, ..zero }.encode());
    for (name, owner) in owners() {
        layout = layout.field(name, 16, &SegmentHeader { owner, ..zero }.encode());
    }
    compare("Segment header", &layout.rows());
}

#[test]
fn block_trailer() {
    let trailer = |slot: u64, round: u64, number: u32| {
        let mut sealed = [0; BLOCK_BYTES];
        let origin = Ballot { round, replica: ReplicaId(0) };
        let identity = Identity::of_batch(Slot(slot), origin);
        block::seal(&mut sealed, block::Trailer { identity, number });
        sealed[DATA_BYTES..].to_vec()
    };
    // Block 1, since the checksum of block 0 begins elsewhere; its number is no constant then.
    let layout = Layout::new(&trailer(0, 0, 2))
        .field("index", 5, &trailer(u64::MAX, 0, 2))
        .field("number", 3, &trailer(0, 0, 0x00ff_fffd))
        .field("tag", 4, &trailer(0, 1, 2))
        .checksum(4);
    compare("Block trailer", &layout.rows());
}

#[test]
fn local_header() {
    let zero = RecordHeader {
        generation: 0,
        lsn: Lsn(0),
        block_count: 0,
        kind: RecordKind::Batch,
        ballot: Ballot::default(),
        durable: Lsn(0),
        commit: Slot(0),
    };
    let layout = Layout::new(&zero.encode())
        .constant("magic", b"RKr1")
        .checksum(4)
        .field("generation", 8, &RecordHeader { generation: u64::MAX, ..zero }.encode())
        .field("lsn", 8, &RecordHeader { lsn: Lsn(u64::MAX), ..zero }.encode())
        .field("block count", 4, &RecordHeader { block_count: u32::MAX, ..zero }.encode())
        .field("kind", 1, &RecordHeader { kind: RecordKind::Pad, ..zero }.encode())
        .field("ballot replica", 2, &RecordHeader { ballot: REPLICA, ..zero }.encode())
        .field("ballot round", 8, &RecordHeader { ballot: ROUND, ..zero }.encode())
        .field("durable", 8, &RecordHeader { durable: Lsn(u64::MAX), ..zero }.encode())
        .field("commit", 8, &RecordHeader { commit: Slot(u64::MAX), ..zero }.encode());
    let rows = layout.rows();
    compare("Local header", &rows);
    let kind = rows.iter().find(|row| row[2] == "kind").unwrap();
    let kind: usize = kind[0].parse().unwrap();
    let kinds = [
        RecordKind::Batch,
        RecordKind::Promise,
        RecordKind::Seal,
        RecordKind::Pad,
        RecordKind::Snapshot,
        RecordKind::Install,
    ];
    let row_of = |of| row(&[&RecordHeader { kind: of, ..zero }.encode()[kind], &format!("{of:?}")]);
    compare("Kinds of record", &kinds.map(row_of));
}

#[test]
fn batch_header() {
    let zero = BatchHeader {
        slot: Slot(0),
        origin: Ballot::default(),
        kind: BatchKind::Commands,
        epoch: Epoch(0),
        first_zxid: Zxid(0),
        zxid_count: 0,
        command_count: 0,
        time: WallTime(0),
        previous_hash: 0,
        hash: 0,
    };
    let with = |change: fn(&mut BatchHeader)| {
        let mut header = zero.clone();
        change(&mut header);
        header.encode(0)
    };
    let layout = Layout::new(&zero.encode(0))
        .field("slot", 8, &with(|header| header.slot = Slot(u64::MAX)))
        .field("origin round", 8, &with(|header| header.origin = ROUND))
        .field("origin replica", 2, &with(|header| header.origin = REPLICA))
        .field("kind", 2, &with(|header| header.kind = BatchKind::NewEpoch))
        .field("epoch", 4, &with(|header| header.epoch = Epoch(u32::MAX)))
        .field("first zxid", 8, &with(|header| header.first_zxid = Zxid(-1)))
        .field("zxid count", 4, &with(|header| header.zxid_count = u32::MAX))
        .field("command count", 4, &with(|header| header.command_count = u32::MAX))
        .field("time", 8, &with(|header| header.time = WallTime(-1)))
        .field("previous hash", 16, &with(|header| header.previous_hash = u128::MAX))
        .field("hash", 16, &with(|header| header.hash = u128::MAX))
        .field("payload bytes", 4, &zero.encode(u32::MAX));
    compare("Batch header", &layout.rows());
}

/// The content of the seal that the first group in a new segment starts with.
fn seal(continuation: &Continuation) -> Vec<u8> {
    let mut end = LogEnd::new(continuation);
    end.roll(u32::MAX, 0, 16);
    let pos = continuation.appended.next();
    let ballot = Ballot::default();
    let append = Append { pos, commit: Slot(0), kind: AppendKind::Promise { ballot } };
    let mut buffer = vec![0; 2 * BLOCK_BYTES];
    end.encode(&[append], &mut buffer);
    buffer[LOCAL_HEADER_BYTES..][..16 + BASE_BYTES].to_vec()
}

#[test]
fn seal_content() {
    let zero = Continuation::default();
    let end = Lsn::new(0x7fff_ffff, u32::MAX);
    let default = Continuation::default;
    let layout = Layout::new(&seal(&zero))
        .field("previous end", 8, &seal(&Continuation { end, ..default() }))
        .field("appended", 8, &seal(&Continuation { appended: LogPos(u64::MAX - 1), ..default() }))
        .field("base", BASE_BYTES, &seal(&Continuation { last: whole_base(), ..default() }));
    compare("Seal", &layout.rows());
}

/// The content of the record that the log which ends with `last` goes on behind a snapshot.
fn install(base: Base, last: Base) -> Vec<u8> {
    // Of the batches before the last, the snapshot's.
    let hashes = (base.slot.0..last.slot.0).map(|_| base.hash);
    let continuation = Continuation { last, before: hashes.collect(), ..Continuation::default() };
    let mut end = LogEnd::new(&continuation);
    end.roll(1, 0, 16);
    let append = Append { pos: LogPos(1), commit: Slot(0), kind: AppendKind::Install { base } };
    let mut buffer = vec![0; 2 * BLOCK_BYTES];
    end.encode(&[append], &mut buffer);
    buffer[BLOCK_BYTES..][LOCAL_HEADER_BYTES..][..2 * BASE_BYTES].to_vec()
}

#[test]
fn install_content() {
    let zero = Base { slot: Slot(1), ..Base::default() };
    let last = Base { slot: Slot(0xff), ..whole_base() };
    // The same batch, and a log that goes on behind it: only the second field differs.
    let (base, kept) = (install(zero, zero), install(zero, last));
    assert_eq!(base[..BASE_BYTES], kept[..BASE_BYTES]);
    assert_eq!(base[..BASE_BYTES], base[BASE_BYTES..]);
    assert_eq!(kept[BASE_BYTES..], install(last, last)[..BASE_BYTES]);
    let row_of = |offset: usize, name: &str| row(&[&offset, &BASE_BYTES, &name]);
    compare("Install", &[row_of(0, "base"), row_of(BASE_BYTES, "last")]);
}

#[test]
fn snapshot_header() {
    let zero = Encoder::start(Owner::default()).1;
    let mut layout = standalone(&zero, b"RKsnapsh");
    for (name, owner) in owners() {
        layout = layout.field(name, 16, &Encoder::start(owner).1);
    }
    compare("Snapshot header", &layout.rows());
}

#[test]
fn snapshot_chunk() {
    const CHUNK_HEADER_BYTES: usize = 16;
    let chunk = |number: u32, chunk_bytes: usize| {
        let (mut encoder, _) = Encoder::start(Owner::default());
        let mut frame = vec![0; snapshot_file::FRAME_BYTES_MAX];
        for _ in 0..number {
            encoder.chunk(&[0], &mut frame);
        }
        encoder.chunk(&vec![0; chunk_bytes], &mut frame);
        frame[..CHUNK_HEADER_BYTES].to_vec()
    };
    let layout = Layout::new(&chunk(0, 1))
        .constant("magic", b"RKc1")
        .field("number", 4, &chunk(1, 1))
        .field("length", 4, &chunk(0, 255))
        .checksum(4);
    compare("Snapshot chunk", &layout.rows());
}

#[test]
fn snapshot_trailer() {
    let default = snapshot_file::Trailer::default;
    let meta = SnapshotMeta::default;
    let with = |meta| snapshot_file::Trailer { meta, ..default() }.encode();
    let mut layout = standalone(&default().encode(), b"RKsnpend");
    for (name, owner) in owners() {
        layout = layout.field(name, 16, &snapshot_file::Trailer { owner, ..default() }.encode());
    }
    let layout = layout
        .field("base", BASE_BYTES, &with(SnapshotMeta { base: whole_base(), ..meta() }))
        .field("znode count", 8, &with(SnapshotMeta { znode_count: u64::MAX, ..meta() }))
        .field("session count", 8, &with(SnapshotMeta { session_count: u64::MAX, ..meta() }))
        .field(
            "payload bytes",
            8,
            &snapshot_file::Trailer { payload_bytes: u64::MAX, ..default() }.encode(),
        )
        .field("hash", 16, &snapshot_file::Trailer { hash: u128::MAX, ..default() }.encode())
        .field(
            "chunk count",
            4,
            &snapshot_file::Trailer { chunk_count: u32::MAX, ..default() }.encode(),
        )
        .field("is received", 1, &with(SnapshotMeta { is_received: true, ..meta() }))
        // Of a length whose bytes both change.
        .field(
            "configuration",
            2 + snapshot_file::CONFIG_BYTES_MAX,
            &with(SnapshotMeta {
                config: vec![0xff; snapshot_file::CONFIG_BYTES_MAX - 1].into(),
                ..meta()
            }),
        );
    compare("Snapshot trailer", &layout.rows());
}

#[test]
fn runs() {
    let table = |runs: &[Run]| {
        let mut payload = vec![0; runs_bytes(runs.len())];
        encode_runs(runs, &mut payload);
        payload
    };
    let run = |life, command_count| table(&[Run { life: Life(life), command_count }])[4..].to_vec();
    let layout = Layout::new(&run(0, 0)).field("life", 8, &run(u64::MAX, 0)).field(
        "command count",
        4,
        &run(0, u32::MAX),
    );
    compare("Run", &layout.rows());
    // The number of runs, they, and the commands.
    let [one, two] = [1, 2].map(|life| Run { life: Life(life), command_count: 1 });
    assert_eq!(table(&[one, two]), [vec![2, 0, 0, 0], run(1, 1), run(2, 1)].concat());
    let mut commands = Commands::default();
    encode(&command(Op::CloseSession), &mut commands);
    assert_eq!(commands.payload(Life(1))[..], [table(&[one]), commands.bytes].concat());
}

/// What every command starts with.
const COMMAND_HEAD_BYTES: usize = 21;

fn command_bytes(command: &Command) -> Vec<u8> {
    let mut commands = Commands::default();
    encode(command, &mut commands);
    commands.bytes
}

fn command(op: Op) -> Command {
    Command {
        session: SessionId(0),
        owner: SessionOwner(0),
        cxid: Xid(0),
        auth: Vec::new(),
        skip_acl: false,
        enforce_quota: false,
        op,
    }
}

#[test]
fn command_head() {
    let zero = command(Op::CloseSession);
    let head = |command: &Command| command_bytes(command)[..COMMAND_HEAD_BYTES].to_vec();
    let both = Command { skip_acl: true, enforce_quota: true, ..zero.clone() };
    let layout = Layout::new(&head(&zero))
        .field("session", 8, &head(&Command { session: SessionId(-1), ..zero.clone() }))
        .field("owner", 8, &head(&Command { owner: SessionOwner(u64::MAX), ..zero.clone() }))
        .field("cxid", 4, &head(&Command { cxid: Xid(-1), ..zero.clone() }))
        .field("flags", 1, &head(&both));
    compare("Command", &layout.rows());
    // What follows has no fixed place: the identities, then the op.
    let id = Id { scheme: "a".into(), id: "bc".into() };
    let bytes = command_bytes(&Command { auth: vec![id], ..zero });
    let rest = [1, 0, 0, 0, 1, 0, 0, 0, b'a', 2, 0, 0, 0, b'b', b'c', 3];
    assert_eq!(bytes[COMMAND_HEAD_BYTES..], rest);
}

#[test]
fn ops() {
    let path = || SharedStr::new("/a");
    let create = CreateOp {
        path: path(),
        data: None,
        acl: Vec::new(),
        kind: CreateKind::Persistent,
        sequential: false,
    };
    let password = [0; 16];
    let ops = [
        Op::CreateSession { timeout_ms: 0, password },
        Op::AttachSession { timeout_ms: 0, password },
        Op::CloseSession,
        Op::Create(create),
        Op::Delete { path: path(), version: 0 },
        Op::SetData { path: path(), data: None, version: 0 },
        Op::SetAcl { path: path(), acl: Vec::new(), version: 0 },
        Op::Check { path: path(), version: 0 },
        Op::Multi(Vec::new()),
        Op::DeleteContainer { path: path() },
        Op::Fail(ErrorCode::NoNode),
    ];
    let row_of = |op: Op| {
        let debug = format!("{op:?}");
        let name: String = debug.chars().take_while(|char| char.is_alphabetic()).collect();
        row(&[&command_bytes(&command(op))[COMMAND_HEAD_BYTES + 4], &name])
    };
    compare("Ops", &ops.map(row_of));
}

#[test]
fn a_batch_begins_behind_the_local_header() {
    let header = BatchHeader {
        slot: Slot(1),
        origin: ROUND,
        kind: BatchKind::Commands,
        epoch: Epoch(1),
        first_zxid: Zxid(1),
        zxid_count: 0,
        command_count: 0,
        time: WallTime(0),
        previous_hash: 0,
        hash: 0,
    };
    let payload: Arc<[u8]> = (0..=255).cycle().take(2 * DATA_BYTES).collect();
    let batch = ringkeeper_engine::batch::Batch { header: header.clone(), payload };
    let batch = Arc::new(batch);
    let kind = AppendKind::Batch { ballot: ROUND, batch: batch.clone() };
    let append = Append { pos: LogPos(1), commit: Slot(0), kind };
    let mut end = LogEnd::new(&Continuation::default());
    end.roll(1, 0, 16);
    let mut buffer = vec![0; 4 * BLOCK_BYTES];
    end.encode(&[append], &mut buffer);
    // The seal first. Then the blocks' data, without trailers: header and payload, back to back.
    let blocks = buffer[BLOCK_BYTES..].chunks(BLOCK_BYTES);
    let data: Vec<u8> = blocks.flat_map(|block| block[..DATA_BYTES].to_vec()).collect();
    let payload_bytes = u32::try_from(batch.payload.len()).unwrap();
    let content = [header.encode(payload_bytes).as_slice(), &batch.payload].concat();
    let data = &data[LOCAL_HEADER_BYTES..];
    assert_eq!(data[..content.len()], content);
    assert!(data[content.len()..].iter().all(|byte| *byte == 0));
}
