//! The real binary at its start and its end: what it says about a configuration, a data directory
//! and a machine that it cannot use, and how it stops.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

mod process;

use std::{fs, process::Command};

use expect_test::{Expect, expect};
use process::{directory, ringkeeper, run, text, told};

/// What `serve` with this file says, with the directory's name taken out.
fn check_file(file: &str, expected: &Expect) {
    let dir = directory();
    let path = dir.path().join("zoo.cfg");
    fs::write(&path, file.replace("DIR", text(dir.path()))).unwrap();
    let output = run(&mut ringkeeper(&["serve", "--check", text(&path)]));
    expected.assert_eq(&told(&output, &[(text(dir.path()), "DIR")]));
}

#[test]
fn a_sample_file_is_fine() {
    check_file(
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=DIR\nclientPort=2181\n",
        &expect![[r#"
            exit 0
        "#]],
    );
}

#[test]
fn a_wrong_value_ends_the_start() {
    check_file(
        "dataDir=DIR\nclientPort=port\n",
        &expect![[r#"
            ERROR clientPort=port (line 2 of the configuration file): must be a
              whole number from 0 to 65535
            exit 2
        "#]],
    );
    check_file(
        "dataDir=DIR\nclientPort=2181\ntickTime=\\u00\n",
        &expect![[r#"
            ERROR DIR/zoo.cfg: line 3: \u must be followed by four hexadecimal
              digits
            exit 2
        "#]],
    );
    check_file(
        "clientPort=2181\n",
        &expect![[r#"
            ERROR dataDir is not set: set it in the configuration file, or give
              --data-dir
            exit 2
        "#]],
    );
    check_file(
        "dataDir=DIR\nserver.1=a:1:2\nserver.2=b:1:2\nclientPort=2181\n",
        &expect![[r#"
            ERROR the configuration describes an ensemble (2 server.N lines): this
              version runs as a single server, ensembles come with a later one; keep
              one server.N line, of a participant, or none
            exit 2
        "#]],
    );
}

#[test]
fn each_kind_of_warning_is_one_line() {
    check_file(
        "dataDir=DIR\nclientPort=2181\nticktime=5\ncolour=blue\nssl.clientAuth=none\n\
         admin.serverPort=8080\njute.maxbuffer=4194304\n",
        &expect![[r#"
            WARN not honoured yet: admin.serverPort (the HTTP admin server),
              ssl.clientAuth (TLS)
            WARN unknown keys, ignored: ticktime (did you mean tickTime?), colour
            WARN ignored here, as ZooKeeper does: jute.maxbuffer (write
              -Djute.maxbuffer=4194304)
            exit 0
        "#]],
    );
}

#[test]
fn a_missing_file_is_named() {
    let output = run(&mut ringkeeper(&["serve", "/nowhere/zoo.cfg"]));
    expect![[r#"
        ERROR cannot read /nowhere/zoo.cfg: No such file or directory (os error
          2)
        exit 2
    "#]]
    .assert_eq(&told(&output, &[]));
}

#[test]
fn traces_may_be_json() {
    let output = run(&mut ringkeeper(&["serve", "--log-format", "json", "/nowhere/zoo.cfg"]));
    let line = String::from_utf8(output.stderr).unwrap();
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(line["message"].as_str().unwrap().starts_with("cannot read /nowhere/zoo.cfg"));
}

#[test]
fn help_and_lists_are_printed() {
    let help = run(&mut ringkeeper(&["serve", "--help"]));
    let help = String::from_utf8(help.stdout).unwrap();
    for part in ["Examples:", "What wins:", "Exit codes:\n   0  ended as asked"] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let keys = run(&mut ringkeeper(&["config-keys"]));
    assert_eq!(keys.status.code(), Some(0));
    assert!(String::from_utf8(keys.stdout).unwrap().contains("\ntickTime "));
    assert_eq!(run(&mut ringkeeper(&[])).status.code(), Some(2));
    assert_eq!(run(&mut ringkeeper(&["serve", "--colour"])).status.code(), Some(2));
}

#[test]
fn too_little_locked_memory_is_named() {
    let dir = directory();
    let script = "ulimit -l 64; exec \"$0\" serve --data-dir \"$1\" --listen 127.0.0.1:0 --cores 1";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_ringkeeper"), text(dir.path())]);
    expect![[r#"
        ERROR `ulimit -l` is 64 KiB: at least 512 are needed (systemd:
          LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1; else
          /etc/security/limits.conf)
        exit 6
    "#]]
    .assert_eq(&told(&run(&mut command), &[]));
}

#[test]
#[expect(clippy::print_stdout, reason = "says what was not tested")]
fn io_uring_that_is_forbidden_is_named() {
    const EPERM: &str = "1";
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/forbid_io_uring.py");
    if Command::new("python3").arg("--version").output().is_err() {
        println!("not tested: there is no python3");
        return;
    }
    let mut command = Command::new("python3");
    command.args([script, EPERM, env!("CARGO_BIN_EXE_ringkeeper"), "serve", "--check"]);
    expect![[r#"
        ERROR io_uring is forbidden, probably by the seccomp profile of a
          container: allow io_uring_setup, io_uring_enter and io_uring_register
          there (Docker: a profile of your own with --security-opt seccomp=FILE;
          Kubernetes: seccompProfile)
        exit 6
    "#]]
    .assert_eq(&told(&run(&mut command), &[]));
}
