//! What watches cost: memory, time to leave one, to be told, and the longest call when a connection
//! with many of them goes.
//!
//! `cargo run --release -p ringkeeper-engine --example watch_measure [WATCHES]`
#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::unwrap_used, reason = "a measurement: a panic is the report")]

use std::{env, fs, sync::Arc, time::Instant};

use ringkeeper_engine::{
    ids::Zxid,
    shared_bytes::SharedStr,
    state::{Change, ChangeKind},
    watch::{WatchKind, WatcherId, Watches},
};

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let count: u64 = env::args().nth(1).map_or(100_000, |count| count.parse().unwrap());
    let before = resident_bytes();
    let watches = one_connection(count);
    let bytes = resident_bytes().saturating_sub(before);
    println!("memory: {} B per watch, paths included", bytes / count);
    drop(watches);
    // Once more: memory is slow to come when it is touched first.
    let start = Instant::now();
    let mut watches = one_connection(count);
    println!("add: {} ns", start.elapsed().as_nanos() / u128::from(count));
    tell(&mut watches, count, "told once");
    tell(&mut watches, count, "told, nobody there");

    for watcher in 0..count {
        watches.add(WatcherId(watcher), "/one", WatchKind::Data);
    }
    let start = Instant::now();
    let mut told = Vec::new();
    watches.fire(&change("/one"), &mut told);
    println!("{} connections told: {} us", told.len(), start.elapsed().as_micros());

    let mut watches = one_connection(count);
    let (mut longest, mut calls) = (0, 0);
    watches.remove_watcher(WatcherId(1));
    while watches.count() > 0 {
        let start = Instant::now();
        watches.fire(&change("/other"), &mut told);
        longest = longest.max(start.elapsed().as_micros());
        calls += 1;
    }
    println!("gone: {calls} calls, the longest {longest} us");
}

fn path(at: u64) -> String {
    format!("/application-{}/member-{at:012}", at / 1000)
}

fn change(path: &str) -> Change {
    let path = SharedStr::new(path);
    Change { kind: ChangeKind::DataChanged, path, acl: Arc::from([]), zxid: Zxid(1) }
}

fn one_connection(count: u64) -> Watches {
    let mut watches = Watches::new();
    for at in 0..count {
        watches.add(WatcherId(1), &path(at), WatchKind::Data);
    }
    watches
}

fn tell(watches: &mut Watches, count: u64, what: &str) {
    let changes: Vec<Change> = (0..count).map(|at| change(&path(at * 7919 % count))).collect();
    let mut told = Vec::new();
    let start = Instant::now();
    for change in &changes {
        told.clear();
        watches.fire(change, &mut told);
    }
    println!("{what}: {} ns", start.elapsed().as_nanos() / u128::from(count));
}

fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
