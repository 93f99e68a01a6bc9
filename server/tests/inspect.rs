//! `ringkeeper inspect` and `ringkeeper repair` on directories that the real binary made: beside a
//! running server, after a kill, damaged, and repaired.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

mod process;

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Output,
};

use expect_test::expect;
use process::{Server, directory, ringkeeper, run, text, told};
use rustix::process::Signal;
use serde_json::Value;

/// A client that knows two requests.
struct Client(TcpStream);

impl Client {
    fn connect(server: &Server) -> Self {
        let mut client = Self(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap());
        let mut request = [0; 44];
        request[12..16].copy_from_slice(&10_000_i32.to_be_bytes());
        request[24..28].copy_from_slice(&16_i32.to_be_bytes());
        client.ask(&request);
        client
    }

    /// Creates a znode that anybody may do anything with, durably.
    fn create(&mut self, path: &str) {
        let mut request = [[0, 0, 0, 1], 1_i32.to_be_bytes()].concat();
        for field in [path.as_bytes(), b"data"] {
            put(&mut request, field);
        }
        request.extend([1_i32.to_be_bytes(), 31_i32.to_be_bytes()].concat());
        for field in [b"world".as_slice(), b"anyone"] {
            put(&mut request, field);
        }
        request.extend(0_i32.to_be_bytes());
        let reply = self.ask(&request);
        assert_eq!(reply[12..16], [0; 4], "{path}");
    }

    fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        put(&mut frame, request);
        self.0.write_all(&frame).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut reply).unwrap();
        reply
    }
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    out.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
    out.extend(field);
}

/// A directory in which a server was killed after eight creates: slot 1 starts the epoch, slot 2
/// opens the session.
fn killed() -> tempfile::TempDir {
    let dir = directory();
    let server = Server::start(dir.path(), &[]);
    let mut client = Client::connect(&server);
    (1..=8).for_each(|number| client.create(&format!("/n{number}")));
    server.stop(Signal::KILL);
    dir
}

fn inspect(dir: &Path, arguments: &[&str]) -> Output {
    run(ringkeeper(&["inspect", text(dir)]).args(arguments))
}

fn repair(dir: &Path, arguments: &[&str]) -> Output {
    run(ringkeeper(&["repair", text(dir)]).args(arguments))
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn last_line(output: &Output) -> String {
    printed(output).lines().last().unwrap().to_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Where the record of a slot starts in the first segment.
fn offset_of(dir: &Path, slot: u64) -> usize {
    let facts = json(&inspect(dir, &["--json", "--records"]));
    let records = facts["segments"][0]["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["batch"]["slot"] == slot).unwrap();
    usize::try_from(record["offset"].as_u64().unwrap()).unwrap()
}

fn flip(dir: &Path, offset: usize) {
    let path = dir.join("segment-00000001");
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset + 200] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn beside_a_server_that_writes() {
    let dir = directory();
    let server = Server::start(dir.path(), &[]);
    let mut client = Client::connect(&server);
    for number in 0..20 {
        (0..10).for_each(|part| client.create(&format!("/n{number}-{part}")));
        let output = inspect(dir.path(), &["--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let facts = json(&output);
        assert_eq!((&facts["in_use_by"], &facts["is_whole"]), (&server.pid().into(), &true.into()));
        // What was acknowledged before the look is in it.
        let zxid = facts["log"]["last_zxid"].as_str().unwrap().trim_start_matches("0x");
        assert!(
            i64::from_str_radix(zxid, 16).unwrap() > (1 << 32) + 10 * (number + 1),
            "{zxid} after {number}"
        );
    }
    // Nor did it disturb the server, or its lock.
    client.create("/last");
    assert_eq!(repair(dir.path(), &["--truncate-at", "3"]).status.code(), Some(4));
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn after_a_kill_the_last_line_says_what_comes_back() {
    let dir = killed();
    let output = inspect(dir.path(), &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        last_line(&output),
        "whole: a start recovers everything up to slot 10, zxid 0x100000009"
    );
    let records = printed(&inspect(dir.path(), &["--records"]));
    assert_eq!(records.lines().filter(|line| line.contains(": batch under 1.0")).count(), 10);
}

#[test]
fn damage_is_named_and_repaired() {
    let dir = killed();
    let offset = offset_of(dir.path(), 6);
    flip(dir.path(), offset);
    let output = inspect(dir.path(), &[]);
    assert_eq!(output.status.code(), Some(5));
    let printed_text = printed(&output);
    assert!(printed_text.contains(&format!("segment-00000001 at offset {offset}: ")));
    assert!(printed_text.contains("readable behind it, though not connected: slots 7 to 10"));
    assert!(printed_text.contains("--truncate-at 6 keeps all that can be kept"), "{printed_text}");
    assert_eq!(
        last_line(&output),
        "damaged: a start refuses; slot 6 and what follows it cannot be read"
    );

    let wrong = repair(dir.path(), &["--truncate-at", "7"]);
    expect![[r#"
        ERROR not everything before slot 7 can be kept. --truncate-at 6 is
          possible. Nothing was changed
        exit 5
    "#]]
    .assert_eq(&told(&wrong, &[(text(dir.path()), "DIR")]));
    let repaired = repair(dir.path(), &["--truncate-at", "6"]);
    assert_eq!(repaired.status.code(), Some(0));
    let lines = printed(&repaired);
    let lines: Vec<&str> =
        lines.lines().filter(|line| !line.starts_with("originals are in")).collect();
    expect![[r#"
        lost, and unreadable: slots 6
        given up, though sound: slots 7 to 10 with zxids 0x100000006 to 0x100000009
        a start recovers everything up to slot 5, zxid 0x100000004"#]]
    .assert_eq(&lines.join("\n"));

    // It starts, goes on, and what was given up is gone.
    let server = Server::start(dir.path(), &[]);
    let mut client = Client::connect(&server);
    (4..=8).for_each(|number| client.create(&format!("/n{number}")));
    assert_eq!(server.stop(Signal::TERM), Some(0));
    assert_eq!(inspect(dir.path(), &[]).status.code(), Some(0));
}

#[test]
fn a_whole_directory_is_cut_only_by_force() {
    let dir = killed();
    let refused = repair(dir.path(), &["--truncate-at", "6"]);
    assert_eq!(refused.status.code(), Some(5));
    let forced = repair(dir.path(), &["--truncate-at", "6", "--force"]);
    assert_eq!(last_line(&forced), "a start recovers everything up to slot 5, zxid 0x100000004");
    assert_eq!(inspect(dir.path(), &[]).status.code(), Some(0));
}

#[test]
fn something_else_is_not_a_data_directory() {
    let dir = directory();
    let path = dir.path().join("none");
    assert_eq!(inspect(dir.path(), &[]).status.code(), Some(3));
    assert_eq!(inspect(&path, &[]).status.code(), Some(3));
    assert_eq!(repair(dir.path(), &["--truncate-at", "1"]).status.code(), Some(3));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
