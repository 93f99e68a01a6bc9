//! What a State costs: memory, time per command and read, the longest command, snapshot and load.
//!
//! `cargo run --release -p ringkeeper-engine --example state_measure [ZNODES]`
#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::unwrap_used, reason = "a measurement: a panic is the report")]

use std::{borrow::Cow, env, fs, hint::black_box, time::Instant};

use ringkeeper_engine::{
    batch::{Batch, BatchHeader, BatchKind, Commands},
    ids::{Ballot, Epoch, Life, Owner, ReplicaId, SessionId, WallTime, Xid, Zxid},
    protocol::{records::Id, request::Read},
    shared_bytes::{SharedBytes, SharedStr},
    state::{
        Changes, Reader, State, acl,
        command::{Command, Committed, CreateKind, CreateOp, Op, encode},
        snapshot::{Loader, Writer},
    },
};

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH_COMMANDS: u64 = 32;
const SIBLINGS: u64 = 1000;

fn main() {
    let count: u64 = env::args().nth(1).map_or(1_000_000, |count| count.parse().unwrap());
    let build = |state: &mut State| apply_all(state, count, |at| create(&path(at)));
    // Once for nothing: a virtual machine's memory is slow to come when it is touched first.
    let before = resident_bytes();
    build(&mut State::new());
    let mut state = State::new();
    let creates = build(&mut state);
    let with_payload = resident_bytes();
    creates.print("create");
    let clone = state.clone();
    let with_clone = resident_bytes();
    println!(
        "memory: {} B per znode, {} B of them for each further State",
        with_payload.saturating_sub(before) / count,
        with_clone.saturating_sub(with_payload) / count
    );
    drop(clone);
    apply_all(&mut state, count, |at| {
        let at = scattered(at, count);
        let path = SharedStr::new(&path(at));
        Op::SetData { path, data: Some(SharedBytes::new(&[1; 100])), version: -1 }
    })
    .print("set");
    read_all(&state, count);
    snapshot(&state, count);
}

fn parent(at: u64) -> String {
    format!("/application-{}", at / SIBLINGS)
}

fn path(at: u64) -> String {
    if at.is_multiple_of(SIBLINGS) {
        return parent(at);
    }
    format!("{}/member-{at:012}", parent(at))
}

/// The numbers below `count` in an order that no cache foresees.
fn scattered(at: u64, count: u64) -> u64 {
    (at * 7_919_999 + 17) % count
}

fn create(path: &str) -> Op {
    let path = SharedStr::new(path);
    let data = Some(SharedBytes::new(&[0; 100]));
    Op::Create(CreateOp {
        path,
        data,
        acl: acl::open(),
        kind: CreateKind::Persistent,
        sequential: false,
    })
}

/// Times of single commands.
#[derive(Default)]
struct Times {
    count: u64,
    decode_ns: u128,
    apply_ns: u128,
    longest_ns: Vec<u128>,
}

impl Times {
    fn print(mut self, what: &str) {
        self.longest_ns.sort_unstable();
        println!(
            "{what}: decode {} ns, apply {} ns, {} of {} above 0.5 ms, the longest: {:?} ns",
            self.decode_ns / u128::from(self.count),
            self.apply_ns / u128::from(self.count),
            self.longest_ns.iter().filter(|took| **took > 500_000).count(),
            self.count,
            self.longest_ns.iter().rev().take(3).collect::<Vec<_>>()
        );
    }
}

fn apply_all(state: &mut State, count: u64, op: impl Fn(u64) -> Op) -> Times {
    let mut times = Times { count, ..Times::default() };
    if state.last_zxid() == Zxid::NONE {
        commit(state, BatchKind::NewEpoch, &[], &mut times);
        let op = Op::CreateSession { timeout_ms: 1000, password: [0; 16] };
        commit(state, BatchKind::Commands, &[command(op)], &mut times);
    }
    for first in (0..count).step_by(usize::try_from(BATCH_COMMANDS).unwrap()) {
        let last = (first + BATCH_COMMANDS).min(count);
        let commands: Vec<Command> = (first..last).map(|at| command(op(at))).collect();
        commit(state, BatchKind::Commands, &commands, &mut times);
    }
    times
}

fn command(op: Op) -> Command {
    Command {
        session: SessionId(1),
        owner: Owner(1),
        cxid: Xid(1),
        auth: vec![Id { scheme: "ip".into(), id: "127.0.0.1".into() }],
        skip_acl: false,
        enforce_quota: false,
        op,
    }
}

fn commit(state: &mut State, kind: BatchKind, commands: &[Command], times: &mut Times) {
    let applied = state.applied();
    let is_new = kind == BatchKind::NewEpoch;
    let epoch = Epoch(applied.epoch.0 + u32::from(is_new));
    let first_zxid = if is_new { Zxid::new(epoch, 1) } else { Zxid(applied.last_zxid.0 + 1) };
    let mut bytes = Commands::default();
    commands.iter().for_each(|command| encode(command, &mut bytes));
    let count = u32::try_from(commands.len()).unwrap();
    let header = BatchHeader {
        slot: applied.slot.next(),
        origin: Ballot { round: 1, replica: ReplicaId(1) },
        kind,
        epoch,
        first_zxid,
        zxid_count: count,
        command_count: count,
        time: WallTime(1_700_000_000_000),
        previous_hash: 0,
        hash: 0,
    };
    let payload = if is_new { [].into() } else { bytes.payload(Life(1)) };
    let batch = Batch { header, payload };
    let start = Instant::now();
    let committed = Committed::decode(&batch).unwrap();
    times.decode_ns += start.elapsed().as_nanos();
    let mut changes = Changes::default();
    state.begin_batch(&committed.header);
    for (zxid, command) in committed.with_zxids() {
        let start = Instant::now();
        changes.clear();
        state.apply(zxid, command, &mut changes).unwrap();
        let took = start.elapsed().as_nanos();
        times.apply_ns += took;
        times.longest_ns.push(took);
    }
}

fn read_all(state: &State, count: u64) {
    let auth = [Id { scheme: "ip".into(), id: "127.0.0.1".into() }];
    let reader = Reader { session: SessionId(1), auth: &auth, skip_acl: false };
    let reads: Vec<Read<'_>> = (0..count)
        .map(|at| Read::GetData { path: Cow::Owned(path(scattered(at, count))), watch: false })
        .collect();
    let start = Instant::now();
    for read in &reads {
        black_box(state.read(&reader, read).unwrap());
    }
    println!("get: {} ns", start.elapsed().as_nanos() / u128::from(count));
}

fn snapshot(state: &State, count: u64) {
    let start = Instant::now();
    let mut writer = Writer::new(state);
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    while writer.next_chunk(state, &mut chunk) {
        chunks.push(std::mem::take(&mut chunk));
    }
    let wrote = start.elapsed();
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let start = Instant::now();
    let mut loader = Loader::new();
    for chunk in &chunks {
        loader.push(chunk).unwrap();
    }
    let loaded = loader.finish().unwrap();
    println!(
        "snapshot: {} MB in {} chunks, written in {wrote:?}, loaded in {:?}, {} B per znode",
        bytes >> 20,
        chunks.len(),
        start.elapsed(),
        bytes / usize::try_from(count).unwrap()
    );
    assert!(loaded.digest() == state.digest());
}

/// From the kernel: what the allocator has asked for, and touched.
fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
