//! Runs what the fuzz targets do over their corpora: what a fuzzer found once is tried every time.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

use std::{fs, path::Path};

#[expect(unreachable_pub, reason = "public for the targets, which are another crate")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::*;

#[expect(clippy::print_stdout, reason = "shown after a panic: which input caused it")]
fn run_all(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(0 < count, "the corpus of {target} is there");
}

#[test]
fn requests() {
    run_all("requests", requests::run);
}

#[test]
fn connect() {
    run_all("connect", connect::run);
}

#[test]
fn commands() {
    run_all("commands", commands::run);
}

#[test]
fn snapshot() {
    run_all("snapshot", snapshot::run);
}

#[test]
fn peer() {
    run_all("peer", peer::run);
}

#[test]
fn recovery() {
    run_all("recovery", recovery::run);
}
