//! The real binary and its data directory: which ones it refuses, with which words and exit code,
//! and how it stops and starts again on one that it takes.

mod process;

use std::{
    fs,
    io::Read,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    time::{Duration, Instant},
};

use expect_test::expect;
use process::{Server, directory, ringkeeper, run, serve, text, told};
use rustix::process::Signal;

/// The user `nobody` of every Linux.
const NOBODY: u32 = 65_534;

#[test]
fn a_directory_in_use_is_refused() {
    let dir = directory();
    let server = Server::start(dir.path(), &[]);
    let output = run(&mut serve(dir.path()));
    let pid = server.pid().to_string();
    let told = told(&output, &[(text(dir.path()), "DIR"), (&pid, "PID")]);
    expect![[r#"
        ERROR DIR is in use by process PID: stop it, or choose another directory
          (dataDir)
        exit 4
    "#]]
    .assert_eq(&told);
    assert!(server.word("srvr").contains("Mode: standalone"), "the first one goes on");
}

#[test]
fn data_of_zookeeper_is_refused() {
    let dir = directory();
    let data = dir.path().join("version-2");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("snapshot.0"), b"ZKSN").unwrap();
    fs::write(data.join("log.1"), b"ZKLG").unwrap();
    let output = run(&mut serve(dir.path()));
    expect![[r#"
        ERROR DIR/version-2 holds data of Apache ZooKeeper, which this version
          cannot import: choose an empty directory (dataDir, --data-dir)
        exit 3
    "#]]
    .assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made beside it");
}

#[test]
#[expect(clippy::print_stdout, reason = "says what was not tested")]
fn a_directory_that_cannot_be_written_is_refused() {
    let dir = directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = serve(dir.path());
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere, so somebody else must try; who may not be let in here at all.
        command.uid(NOBODY).gid(NOBODY);
        let can_enter = ringkeeper(&["--version"]).uid(NOBODY).gid(NOBODY).output().is_ok();
        if !can_enter {
            println!("not tested: nobody may not run what is in the target directory");
            return;
        }
    }
    let output = run(&mut command);
    expect![[r#"
        ERROR cannot write to DIR: Permission denied (os error 13); check its
          owner, its mode and its free space
        exit 3
    "#]]
    .assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
}

#[test]
fn a_missing_directory_is_made_unless_that_is_switched_off() {
    let dir = directory();
    let missing = dir.path().join("a/b");
    let output = run(serve(&missing).env("ZOO_DATADIR_AUTOCREATE_DISABLE", "1"));
    expect![[r#"
        ERROR DIR/a/b does not exist: make it, or allow it to be made
          (datadir.autocreate=true)
        exit 3
    "#]]
    .assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
    assert!(!missing.exists());
    Server::start(&missing, &[]).stop(Signal::TERM);
    assert!(missing.is_dir());
}

#[test]
#[expect(clippy::print_stdout, reason = "says what was not tested")]
fn a_directory_in_memory_is_refused() {
    const TMPFS: u64 = 0x0102_1994;
    let memory = Path::new("/dev/shm");
    let is_memory = rustix::fs::statfs(memory)
        .is_ok_and(|facts| u64::try_from(facts.f_type).is_ok_and(|kind| kind == TMPFS));
    if !is_memory {
        println!("not tested: there is no tmpfs at /dev/shm");
        return;
    }
    let dir = tempfile::tempdir_in(memory).unwrap();
    let output = run(&mut serve(dir.path()));
    expect![[r#"
        ERROR DIR is in memory (tmpfs): a reboot loses every acknowledged write;
          use a directory on a disk, or say that this is wanted (--allow-tmpfs)
        exit 3
    "#]]
    .assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
}

#[test]
fn a_newer_format_is_refused() {
    let dir = directory();
    Server::start(dir.path(), &[]).stop(Signal::TERM);
    for index in 0..2 {
        let path = dir.path().join(format!("superblock-{index}"));
        let Ok(mut bytes) = fs::read(&path) else { continue };
        // Magic, version, fields, and the checksum at the end of the block: see disk-format.md.
        bytes[8..12].copy_from_slice(&2_u32.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..4092]);
        bytes[4092..4096].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&path, bytes).unwrap();
    }
    let output = run(&mut serve(dir.path()));
    expect![[r#"
        ERROR DIR has format version 2; this server knows versions up to 1:
          start the version that wrote it, or a later one
        exit 3
    "#]]
    .assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
}

#[test]
fn the_log_of_another_cluster_is_refused() {
    let (ours, other) = (directory(), directory());
    for dir in [&ours, &other] {
        let log_dir = dir.path().join("log");
        Server::start(dir.path(), &["--data-log-dir", text(&log_dir)]).stop(Signal::TERM);
    }
    let log_dir = other.path().join("log");
    let output = run(serve(ours.path()).args(["--data-log-dir", text(&log_dir)]));
    let told = told(&output, &[(text(other.path()), "OTHER")]);
    expect![[r#"
        ERROR OTHER/log/segment-00000001 is of another cluster or another data
          directory: choose the log directory that belongs to this data directory
          (dataLogDir, --data-log-dir)
        exit 3
    "#]]
    .assert_eq(&told);
}

#[test]
fn damage_is_refused_with_the_command_that_gives_it_up() {
    let dir = directory();
    let log_dir = dir.path().join("log");
    let log_dir = ["--data-log-dir", text(&log_dir)];
    for _ in 0..3 {
        Server::start(dir.path(), &log_dir).stop(Signal::TERM);
    }
    let segment = dir.path().join("log/segment-00000002");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[2 * 4096 + 100] ^= 1;
    fs::write(&segment, &bytes).unwrap();

    let output = run(serve(dir.path()).args(log_dir));
    let told = told(&output, &[(text(dir.path()), "DIR")]);
    expect![[r#"
        ERROR DIR/log/segment-00000002: segment 2, offset 8192: records up to
          2:5 were durable, and may have been acknowledged. Everything before
          slot 2 is sound; slot 2 and what follows it cannot be read. Nothing was
          changed. Restore the directory from a copy, or give up slot 2 and what
          follows it: ringkeeper repair DIR --data-log-dir DIR/log --truncate-at
          2
        exit 5
    "#]]
    .assert_eq(&told);
    assert_eq!(fs::read(&segment).unwrap(), bytes, "nothing was changed");
    let inspect = ["inspect", text(dir.path()), log_dir[0], log_dir[1]];
    assert_eq!(run(&mut ringkeeper(&inspect)).status.code(), Some(5));

    let trace = String::from_utf8(output.stderr).unwrap();
    let (_, command) = trace.trim().rsplit_once("ringkeeper repair ").unwrap();
    let command: Vec<&str> = ["repair"].into_iter().chain(command.split(' ')).collect();
    assert_eq!(run(&mut ringkeeper(&command)).status.code(), Some(0));
    assert_eq!(run(&mut ringkeeper(&inspect)).status.code(), Some(0));
    let server = Server::start(dir.path(), &log_dir);
    assert!(server.word("srvr").contains("Mode: standalone"));
}

#[test]
fn another_members_directory_is_refused() {
    let dir = directory();
    // A server without a number that is given one keeps its data.
    Server::start(dir.path(), &[]).stop(Signal::TERM);
    fs::write(dir.path().join("myid"), "5\n").unwrap();
    Server::start(dir.path(), &[]).stop(Signal::TERM);
    fs::write(dir.path().join("myid"), "6\n").unwrap();
    let output = run(&mut serve(dir.path()));
    expect![[r#"
        ERROR DIR belongs to replica 5, and this is replica 6: correct myid, or
          choose the right directory
        exit 3
    "#]]
    .assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
}

#[test]
fn a_file_instead_of_a_directory_is_refused() {
    let dir = directory();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let output = run(&mut serve(&file));
    expect![[r#"
        ERROR DIR/file is not a directory: choose one (dataDir, dataLogDir)
        exit 3
    "#]]
    .assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
}

#[test]
fn a_port_in_use_is_refused() {
    let dir = directory();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let listen = format!("127.0.0.1:{port}");
    let data_dir = text(dir.path());
    let arguments = ["serve", "--data-dir", data_dir, "--listen", &listen, "--cores", "1"];
    let output = run(&mut ringkeeper(&arguments));
    expect![[r#"
        ERROR cannot listen on 127.0.0.1:PORT: Address already in use (os error
          98) (see clientPort and clientPortAddress)
        exit 7
    "#]]
    .assert_eq(&told(&output, &[(&port, "PORT")]));
}

#[test]
fn a_signal_ends_it_within_a_second() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = directory();
        let server = Server::start(dir.path(), &[]);
        let mut idle = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
        assert!(server.word("srvr").contains("Mode: standalone"));
        let start = Instant::now();
        assert_eq!(server.stop(signal), Some(0));
        let needed = start.elapsed();
        assert!(needed < Duration::from_secs(1), "{needed:?}");
        assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0, "the connection is closed");
    }
}

#[test]
fn after_a_kill_it_starts_again_on_the_same_directory() {
    let dir = directory();
    for _ in 0..3 {
        let server = Server::start(dir.path(), &[]);
        assert!(server.word("srvr").contains("Mode: standalone"));
        assert_eq!(server.stop(Signal::KILL), None);
    }
}

#[test]
fn settings_reach_the_server() {
    let dir = directory();
    let properties = ["-Dzookeeper.4lw.commands.whitelist=conf,ruok", "-Dzookeeper.maxCnxns=0"];
    let server = Server::start(dir.path(), &properties);
    assert_eq!(server.word("ruok"), "imok");
    let conf = server.word("conf").replace(text(dir.path()), "DIR");
    let conf = conf.replace(&server.port().to_string(), "PORT");
    // Segments are prepared behind the server's back: sizes differ from run to run.
    let conf: String =
        conf.lines().filter(|line| !line.contains("Size=")).map(|l| format!("{l}\n")).collect();
    expect![[r#"
        clientPort=PORT
        secureClientPort=-1
        dataDir=DIR
        dataLogDir=DIR
        tickTime=3000
        maxClientCnxns=0
        minSessionTimeout=6000
        maxSessionTimeout=60000
        clientPortListenBacklog=-1
        serverId=0
    "#]]
    .assert_eq(&conf);
    expect![[r#"
        cons is not executed because it is not in the whitelist.
    "#]]
    .assert_eq(&server.word("cons"));
}
