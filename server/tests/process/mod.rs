//! Runs the real binary: to its end, or as a server.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]
#![allow(dead_code, reason = "each test that includes this uses a part")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// The binary with these arguments, whatever the environment says.
pub(crate) fn ringkeeper(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringkeeper"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("ZOO_DATADIR_AUTOCREATE_DISABLE");
    command
}

/// A directory on a real disk: the system's own may be in memory.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A path of ours is UTF-8.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command that ends by itself, and fails the test if it does not.
pub(crate) fn run(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (done, is_done) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        if is_done.recv_timeout(Duration::from_secs(20)).is_err() {
            kill_process(pid, Signal::KILL).ok();
        }
    });
    let output = child.wait_with_output().unwrap();
    done.send(()).ok();
    guard.join().unwrap();
    output
}

/// What a run says and ends with: level and words of each trace line that is more than
/// information, without the time, and with each of `names` replaced by what is beside it.
pub(crate) fn told(output: &Output, names: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let words = line.split_once("Z ").map_or(line, |(_, words)| words).trim_start();
        if !words.starts_with("INFO") {
            let replace = |line: String, (from, to): &(&str, &str)| line.replace(from, to);
            out.push_str(&names.iter().fold(words.to_owned(), replace));
            out.push('\n');
        }
    }
    wrapped(&format!("{out}exit {}\n", output.status.code().unwrap()))
}

/// Breaks long lines, with the rest indented.
fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0;
        for (index, word) in line.split(' ').enumerate() {
            if index > 0 && column + word.len() > 72 {
                out.push_str("\n ");
                column = 1;
            }
            if index > 0 {
                out.push(' ');
            }
            out.push_str(word);
            column += word.len() + 1;
        }
        out.push('\n');
    }
    out
}

/// `serve` on this directory with one core, small segments and a port from the system.
pub(crate) fn serve(dir: &Path) -> Command {
    serve_on(dir, "1")
}

/// The same with so many cores.
fn serve_on(dir: &Path, cores: &str) -> Command {
    let mut command = ringkeeper(&["serve", "--data-dir", text(dir), "--cores", cores]);
    command.args(["--listen", "127.0.0.1:0", "--segment-mib", "4"]);
    command
}

/// A server that runs. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts `serve` and waits until it serves.
    pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Self {
        Self::wait_for(serve(dir).args(arguments))
    }

    /// The same with so many cores.
    pub(crate) fn start_on(dir: &Path, cores: &str) -> Self {
        Self::wait_for(&mut serve_on(dir, cores))
    }

    /// Runs a command that becomes a server, and waits until it serves.
    pub(crate) fn wait_for(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (port, is_listening) = mpsc::channel();
        // Reads to the end: a server whose traces nobody reads would stand still one day.
        thread::spawn(move || {
            let mut seen = Vec::new();
            for line in lines.map_while(Result::ok) {
                let address = line.split_once("serving address=").map(|(_, rest)| rest);
                let address = address.and_then(|rest| rest.split(' ').next());
                if let Some(found) = address.and_then(|text| text.rsplit(':').next()?.parse().ok())
                {
                    port.send(Ok(found)).ok();
                }
                seen.push(line);
            }
            port.send(Err(seen)).ok();
        });
        let port: Result<u16, Vec<String>> =
            is_listening.recv_timeout(Duration::from_secs(20)).unwrap();
        Self { port: port.unwrap(), child }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its answer to a four-letter word.
    pub(crate) fn word(&self, word: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a signal and waits for the end: the exit code, if it was not killed.
    pub(crate) fn stop(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
