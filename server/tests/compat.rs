//! The two doors for start scripts that were written for Apache ZooKeeper, `scripts/compat/java`
//! and `scripts/compat/zkServer.sh`: what they run, what they say, and with which exit code.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

mod process;

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use process::{Server, directory, run, text};
use rustix::process::{Pid, Signal, kill_process};

const QUORUM: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
const STANDALONE: &str = "org.apache.zookeeper.server.ZooKeeperServerMain";

/// A door with an environment of its own: the binary under test, one core and small segments.
fn door(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/compat").join(name);
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("RINGKEEPER_BIN", env!("CARGO_BIN_EXE_ringkeeper"))
        .env("RINGKEEPER_FLAGS", "--cores 1 --segment-mib 4");
    command
}

/// A configuration file beside the data directory that it names.
fn zoo_cfg(dir: &Path, port: u16) -> PathBuf {
    let path = dir.join("zoo.cfg");
    let data = dir.join("data");
    fs::write(&path, format!("dataDir={}\nclientPort={port}\n", text(&data))).unwrap();
    path
}

fn file_of_process(server: &Server) -> PathBuf {
    fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap()
}

fn said(output: &Output) -> (&str, &str, Option<i32>) {
    let stream = |bytes| std::str::from_utf8(bytes).unwrap().trim_end();
    (stream(&output.stdout), stream(&output.stderr), output.status.code())
}

#[test]
fn java_becomes_the_server_with_its_properties() {
    for main_class in [QUORUM, STANDALONE] {
        let dir = directory();
        let config = zoo_cfg(dir.path(), 0);
        let options = [
            "-Xmx64m",
            "-cp",
            "conf:lib/*",
            "-XX:OnOutOfMemoryError=kill -9 %p",
            "-Dcom.sun.management.jmxremote",
            "-Dzookeeper.4lw.commands.whitelist=*",
            "--add-opens",
            "java.base/java.lang=ALL-UNNAMED",
        ];
        let server = Server::wait_for(door("java").args(options).args([main_class, text(&config)]));
        let binary = fs::canonicalize(env!("CARGO_BIN_EXE_ringkeeper")).unwrap();
        assert_eq!(file_of_process(&server), binary);
        assert_eq!(server.word("ruok"), "imok", "the property is honoured");
        assert_eq!(server.stop(Signal::TERM), Some(0), "the signal reaches the server");
    }
}

#[test]
fn java_takes_the_short_form_and_options_from_elsewhere() {
    let dir = directory();
    let data = dir.path().join("data");
    let words = dir.path().join("options");
    fs::write(&words, "-cp \"a b\" # a comment\n'-Dzookeeper.4lw.commands.whitelist=conf, ruok'\n")
        .unwrap();
    let server = Server::wait_for(
        door("java")
            .env("JDK_JAVA_OPTIONS", "-Dzookeeper.maxCnxns=77 -Dzookeeper.4lw.commands.whitelist=x")
            .arg(format!("@{}", text(&words)))
            .args([STANDALONE, "0", text(&data), "2500", "7"]),
    );
    assert_eq!(server.word("ruok"), "imok", "the command line wins over the environment");
    let conf = server.word("conf");
    for line in ["tickTime=2500", "maxClientCnxns=7", "maxSessionTimeout=50000"] {
        assert!(conf.lines().any(|found| found == line), "{line} in {conf}");
    }
}

#[test]
fn java_runs_everything_else_with_the_next_java() {
    let dir = directory();
    let other = dir.path().join("bin/java");
    fs::create_dir(other.parent().unwrap()).unwrap();
    fs::write(&other, "#!/bin/sh\nread -r line\nprintf '<%s>' \"$line\" \"$@\"\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let input = dir.path().join("input");
    fs::write(&input, "typed\n").unwrap();

    let cases: [(&[&str], &str); 3] = [
        (
            &["-cp", "a *", "-Dx=y z", "org.apache.zookeeper.ZooKeeperMain", "-server", ""],
            "<-cp><a *><-Dx=y z><org.apache.zookeeper.ZooKeeperMain><-server><>",
        ),
        (&["-version"], "<-version>"),
        (&["-jar", QUORUM], "<-jar><org.apache.zookeeper.server.quorum.QuorumPeerMain>"),
    ];
    for (arguments, expected) in cases {
        // The door is found first on PATH, as where it is in use.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/compat");
        let path = format!("{}:{}:/usr/bin:/bin", text(&folder), text(other.parent().unwrap()));
        for (name, value) in [("PATH", path.as_str()), ("JAVA_HOME", text(dir.path()))] {
            let mut command = door("java");
            let stdin = fs::File::open(&input).unwrap();
            let output = run(command.args(arguments).env(name, value).stdin(Stdio::from(stdin)));
            assert_eq!(said(&output).0, format!("<typed>{expected}"), "found by {name}");
        }
    }
}

#[test]
fn java_says_in_one_line_what_is_missing() {
    let output = run(door("java").args(["-Xmx1g", QUORUM]));
    let usage = "Usage: QuorumPeerMain configfile | port datadir [ticktime] [maxcnxns]";
    assert_eq!(said(&output), ("", usage, Some(2)));

    let output = run(door("java").args(["@/nowhere", QUORUM, "zoo.cfg"]));
    assert_eq!(said(&output), ("", "java: cannot read @/nowhere", Some(1)));

    let output = run(door("java").env("RINGKEEPER_BIN", "/nowhere").args([QUORUM, "zoo.cfg"]));
    let words = "java: RINGKEEPER_BIN=/nowhere cannot be run";
    assert_eq!(said(&output), ("", words, Some(1)));

    // In a distribution without a binary. The system's folder has none, and no java either.
    let dir = directory();
    for name in ["java", "find-ringkeeper.sh"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/compat").join(name);
        fs::copy(source, dir.path().join(name)).unwrap();
    }
    let tools = dir.path().join("tools");
    fs::create_dir(&tools).unwrap();
    for tool in ["bash", "basename", "dirname", "readlink"] {
        let path = run(Command::new("sh").args(["-c", &format!("command -v {tool}")]));
        std::os::unix::fs::symlink(said(&path).0, tools.join(tool)).unwrap();
    }
    let copy = |arguments: &[&str]| {
        run(Command::new(tools.join("bash"))
            .arg(dir.path().join("java"))
            .args(arguments)
            .env_clear()
            .env("PATH", &tools))
    };
    let words = "java: no ringkeeper: set RINGKEEPER_BIN, build it, or put it on PATH";
    assert_eq!(said(&copy(&[QUORUM, "zoo.cfg"])), ("", words, Some(1)));
    let words = "java: what is not a ZooKeeper server needs a real java, in JAVA_HOME or on PATH";
    assert_eq!(said(&copy(&["-version"])), ("", words, Some(127)));
}

/// A configuration directory for `zkServer.sh`. Dropping it ends the server that it has started.
struct Site {
    dir: tempfile::TempDir,
    pid_file: PathBuf,
    port: u16,
}

impl Site {
    fn new() -> Self {
        // Free now, and the system gives it to nobody else so soon.
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let dir = directory();
        zoo_cfg(dir.path(), port);
        Self { pid_file: dir.path().join("data/zookeeper_server.pid"), dir, port }
    }

    fn pid(&self) -> Pid {
        let text = fs::read_to_string(&self.pid_file).unwrap();
        Pid::from_raw(text.parse().unwrap()).unwrap()
    }

    fn command(&self, command: &str) -> Command {
        let mut door = door("zkServer.sh");
        door.args(["--config", text(self.dir.path()), command]);
        door.env("ZOO_LOG_DIR", self.dir.path().join("logs"));
        door
    }

    /// Standard output and exit code of a command.
    fn run(&self, command: &str) -> (String, Option<i32>) {
        let output = run(&mut self.command(command));
        let (stdout, _, code) = said(&output);
        (stdout.to_owned(), code)
    }

    /// What `status` says of a server that runs.
    fn status(&self) -> (String, Option<i32>) {
        let port = self.port;
        let line =
            format!("Client port found: {port}. Client address: localhost. Client SSL: false.");
        (format!("{line}\nMode: standalone"), Some(0))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.pid_file.exists() {
            kill_process(self.pid(), Signal::KILL).ok();
        }
    }
}

#[test]
fn zk_server_starts_tells_restarts_and_stops() {
    let site = Site::new();
    let done = |words: &str| (words.to_owned(), Some(0));
    assert_eq!(site.run("start"), done("Starting zookeeper ... STARTED"));
    assert_eq!(site.run("status"), site.status(), "it serves when start is back");
    let first = site.pid();
    let running =
        format!("Starting zookeeper ... already running as process {}.", first.as_raw_nonzero());
    assert_eq!(site.run("start"), (running, Some(1)));

    let again = "Stopping zookeeper ... STOPPED\nStarting zookeeper ... STARTED";
    assert_eq!(site.run("restart"), done(again));
    assert_ne!(site.pid(), first);
    assert_eq!(site.run("status"), site.status());

    let exe = format!("/proc/{}/exe", site.pid().as_raw_nonzero());
    assert!(fs::read_link(&exe).is_ok());
    assert_eq!(site.run("stop"), done("Stopping zookeeper ... STOPPED"));
    assert!(fs::read_link(&exe).is_err(), "the server has ended when stop is back");
    assert!(!site.pid_file.exists());
    let (words, code) = site.run("status");
    assert!(words.ends_with("\nError contacting service. It is probably not running."), "{words}");
    assert_eq!(code, Some(1));
    let nothing = format!(
        "Stopping zookeeper ... no zookeeper to stop (could not find file {})",
        text(&site.pid_file),
    );
    assert_eq!(site.run("stop"), done(&nothing));
}

#[test]
fn zk_server_honours_the_variables_of_its_model() {
    let mut site = Site::new();
    site.pid_file = site.dir.path().join("run/server.pid");
    let conf = site.dir.path();
    fs::rename(conf.join("zoo.cfg"), conf.join("other.cfg")).unwrap();
    fs::write(conf.join("java.env"), "SERVER_JVMFLAGS='-Xmx1g -Dzookeeper.maxCnxns=7'\n").unwrap();
    let door = |arguments: [&str; 2]| {
        let mut door = door("zkServer.sh");
        door.args(arguments).current_dir(conf);
        door.env("ZOOCFGDIR", conf).env("ZOO_LOG_DIR", "logs").env("ZOOPIDFILE", &site.pid_file);
        run(door.env("JVMFLAGS", "-Dzookeeper.maxCnxns=9 -Dzookeeper.4lw.commands.whitelist=*"))
    };
    let started = door(["start", "other.cfg"]);
    let config = format!("Using config: {}", text(&conf.join("other.cfg")));
    assert_eq!(said(&started), ("Starting zookeeper ... STARTED", config.as_str(), Some(0)));
    assert!(site.pid_file.exists());
    let log = fs::read_dir(conf.join("logs")).unwrap().next().unwrap().unwrap();
    assert!(log.file_name().to_str().unwrap().ends_with(".out"));
    let trace = fs::read_to_string(log.path()).unwrap();
    let settings = ["maxCnxns=9 ", "4lw.commands.whitelist=*"];
    assert!(settings.iter().all(|setting| trace.contains(setting)), "the last one wins: {trace}");

    // By its name in the directory, and by a path.
    assert_eq!(said(&door(["status", "other.cfg"])).2, Some(0));
    assert_eq!(said(&door(["status", "./other.cfg"])).2, Some(0));
    assert_eq!(said(&door(["status", "zoo.cfg"])).2, Some(1), "there is no such file");
    assert_eq!(said(&door(["stop", "other.cfg"])).0, "Stopping zookeeper ... STOPPED");
    assert!(!site.pid_file.exists());
}

#[test]
fn zk_server_says_when_a_start_failed() {
    let site = Site::new();
    let config = site.dir.path().join("zoo.cfg");
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{good}tickTime=soon\n")).unwrap();
    let output = run(&mut site.command("start"));
    let (stdout, stderr, code) = said(&output);
    assert_eq!((stdout, code), ("Starting zookeeper ... FAILED TO START", Some(1)));
    assert!(stderr.contains("tickTime=soon (line 3 of the configuration file)"), "{stderr}");

    fs::write(&config, good).unwrap();
    let data = site.dir.path().join("data");
    fs::remove_dir_all(&data).unwrap();
    let output = run(site.command("start").env("ZOO_DATADIR_AUTOCREATE_DISABLE", "1"));
    let words = format!("ZooKeeper data directory is missing at {}: make it", text(&data));
    assert_eq!((said(&output).0, said(&output).2), (words.as_str(), Some(1)));
}

#[test]
fn zk_server_in_the_foreground_is_the_server() {
    let site = Site::new();
    let server = Server::wait_for(&mut site.command("start-foreground"));
    let binary = fs::canonicalize(env!("CARGO_BIN_EXE_ringkeeper")).unwrap();
    assert_eq!(file_of_process(&server), binary);
    assert_eq!(site.run("status"), site.status());

    let output = run(&mut site.command("version"));
    let version = concat!("3.9.5-ringkeeper-", env!("CARGO_PKG_VERSION"), ",");
    assert!(server.word("srvr").contains(version), "what `version` says is still so");
    let words =
        concat!("Ringkeeper ", env!("CARGO_PKG_VERSION"), ", as Apache ZooKeeper, version 3.9.5");
    assert_eq!(said(&output), (words, "", Some(0)));
    assert_eq!(server.stop(Signal::TERM), Some(0));

    // A command that does the same.
    let (printed, _) = site.run("print-cmd");
    let (printed, _) = printed.split_once(" > ").unwrap();
    let mut command = Command::new("bash");
    command.args(["-c", &format!("exec {printed}")]);
    command.env("RINGKEEPER_BIN", env!("CARGO_BIN_EXE_ringkeeper"));
    command.env("RINGKEEPER_FLAGS", "--cores 1 --segment-mib 4");
    let server = Server::wait_for(&mut command);
    assert_eq!(site.run("status"), site.status());
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn zk_server_finds_the_port_in_a_server_line() {
    let site = Site::new();
    let (dir, port) = (site.dir.path(), site.port);
    let data = dir.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("myid"), "3\n").unwrap();
    let members = dir.join("members");
    let line = format!("server.3=localhost:2888:3888:participant;127.0.0.1:{port}\n");
    fs::write(&members, line).unwrap();
    let config = format!("dataDir = {}\ndynamicConfigFile={}\n", text(&data), text(&members));
    fs::write(dir.join("zoo.cfg"), config).unwrap();
    let server = Server::wait_for(&mut site.command("start-foreground"));
    let words = format!(
        "Client port not found in static config file. Looking in dynamic config file.\n\
         Client port found: {port}. Client address: 127.0.0.1. Client SSL: false.\n\
         Mode: standalone"
    );
    assert_eq!(site.run("status"), (words, Some(0)));
    assert_eq!(server.stop(Signal::TERM), Some(0));
}

#[test]
fn zk_server_shows_its_commands() {
    let output = run(&mut door("zkServer.sh"));
    let (stdout, stderr, code) = said(&output);
    let commands =
        "[--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}";
    assert!(stderr.starts_with("Usage: ") && stderr.ends_with(commands), "{stderr}");
    assert_eq!((stdout, code), ("", Some(0)));
}
