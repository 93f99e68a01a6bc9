//! Real server processes on loopback: started on a free port, waited for until they serve, killed
//! by their pid, started again on the same data. Apache ZooKeeper and Ringkeeper behind one type,
//! so that every expectation can be checked on the original first.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use crate::{
    rng::Rng,
    wire::{Connect, Connection, Failure, records::op},
};

/// Longest wait for a server to serve: a JVM on a busy machine with a large data directory.
const START_WAIT: Duration = Duration::from_secs(90);

/// Which server, and where its program is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Product {
    /// The folder that `scripts/fetch-peers` made.
    Apache(PathBuf),
    /// The binary.
    Ringkeeper(PathBuf),
}

impl Product {
    /// `apache`, `ringkeeper`, or a path to a ringkeeper binary.
    pub fn find(name: &str) -> Result<Self, Failure> {
        match name {
            "apache" => {
                let home = root().join(".cache/zookeeper-3.9.5");
                let home = std::env::var_os("RINGKEEPER_CACHE")
                    .map_or(home, |cache| PathBuf::from(cache).join("zookeeper-3.9.5"));
                require(&home.join("lib"), "run scripts/fetch-peers")?;
                Ok(Self::Apache(home))
            }
            "ringkeeper" => {
                let bin = target_dir().join(profile()).join("ringkeeper");
                require(&bin, "run cargo build -p ringkeeper (with the same profile)")?;
                Ok(Self::Ringkeeper(bin))
            }
            path => {
                require(Path::new(path), "give a binary, `apache` or `ringkeeper`")?;
                Ok(Self::Ringkeeper(path.into()))
            }
        }
    }

    /// What `BENCH_SERVER` names; Ringkeeper when it names nothing.
    pub fn from_environment() -> Result<Self, Failure> {
        Self::find(&std::env::var("BENCH_SERVER").unwrap_or_else(|_| "ringkeeper".into()))
    }

    /// `apache` or `ringkeeper`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Apache(_) => "apache",
            Self::Ringkeeper(_) => "ringkeeper",
        }
    }

    fn command(&self, config: &Path, defines: &[(String, String)]) -> Command {
        let defines = defines.iter().map(|(key, value)| format!("-D{key}={value}"));
        match self {
            Self::Apache(home) => {
                let mut command = Command::new("java");
                command.args(["-Xmx4g", "-Dzookeeper.admin.enableServer=false"]);
                command.args(defines).arg("-cp");
                command.arg(format!("{0}/conf:{0}/lib/*", home.display()));
                command.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(config);
                command
            }
            Self::Ringkeeper(bin) => {
                let mut command = Command::new(bin);
                command.arg("serve").args(defines).arg(config);
                command
            }
        }
    }
}

/// Where the repository is, wherever the test runs.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("bench/ has a parent").to_path_buf()
}

/// Where cargo builds.
#[must_use]
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The folder of this build below the target folder.
fn profile() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

fn require(path: &Path, advice: &str) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    Err(format!("{} is missing: {advice}", path.display()).into())
}

/// A folder below the target folder, empty. On the disk of the build, where O_DIRECT works.
pub fn scratch(name: &str) -> Result<PathBuf, Failure> {
    let path = target_dir().join("scratch").join(format!("{name}-{}", std::process::id()));
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Lines of zoo.cfg and system properties, besides those that every server here gets.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `key=value` of zoo.cfg.
    pub lines: Vec<(String, String)>,
    /// `-Dkey=value`.
    pub defines: Vec<(String, String)>,
}

impl Settings {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more line of zoo.cfg.
    #[must_use]
    pub fn line(mut self, key: &str, value: &str) -> Self {
        self.lines.push((key.into(), value.into()));
        self
    }

    /// One more system property.
    #[must_use]
    pub fn define(mut self, key: &str, value: &str) -> Self {
        self.defines.push((key.into(), value.into()));
        self
    }
}

/// One server on one data directory, running or not. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    product: Product,
    dir: PathBuf,
    settings: Settings,
    port: u16,
    child: Option<Child>,
    has_served: bool,
    removes_dir: bool,
}

impl Server {
    /// A server that is started and serves, in a folder that goes away with it.
    pub fn start(product: &Product, name: &str, settings: Settings) -> Result<Self, Failure> {
        let mut server = Self::in_scratch(product, name, settings)?;
        server.run()?;
        Ok(server)
    }

    /// A server in a folder that goes away with it, not started.
    pub fn in_scratch(product: &Product, name: &str, settings: Settings) -> Result<Self, Failure> {
        let mut server = Self::prepare(product, &scratch(name)?, settings)?;
        server.removes_dir = true;
        Ok(server)
    }

    /// A server on `dir`, not started.
    pub fn prepare(product: &Product, dir: &Path, settings: Settings) -> Result<Self, Failure> {
        fs::create_dir_all(dir.join("data"))?;
        let dir = dir.canonicalize()?;
        Ok(Self {
            product: product.clone(),
            dir,
            settings,
            port: free_port()?,
            child: None,
            has_served: false,
            removes_dir: false,
        })
    }

    /// Other system properties from the next start on.
    pub fn set_defines(&mut self, defines: &[(&str, &str)]) {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        self.settings.defines = defines.iter().map(pair).collect();
    }

    /// Starts the process and waits until it serves.
    pub fn run(&mut self) -> Result<(), Failure> {
        // Between the look for a free port and the server's use of it, another process may take it:
        // try again with another one. But a server that has served must come back where it was.
        for _ in 0..3 {
            self.spawn()?;
            match self.wait_until_serving() {
                Ok(()) => {
                    self.has_served = true;
                    return Ok(());
                }
                Err(_) if !self.has_served && self.trace().contains("ddress already in use") => {
                    self.kill()?;
                    self.port = free_port()?;
                }
                Err(cause) => {
                    self.kill()?;
                    let trace = self.trace();
                    let start = trace.len().saturating_sub(2000);
                    let tail = trace.get(start..).unwrap_or(&trace);
                    return Err(format!("{cause}; it said:\n{tail}").into());
                }
            }
        }
        Err("no free port in three tries".into())
    }

    /// Starts the process and returns at once.
    pub fn spawn(&mut self) -> Result<(), Failure> {
        assert!(self.child.is_none(), "one process at a time on a data directory");
        let config = self.dir.join("zoo.cfg");
        fs::write(&config, self.config_text()?)?;
        let trace = fs::File::create(self.trace_path())?;
        let child = self
            .product
            .command(&config, &self.settings.defines)
            .stdin(Stdio::null())
            .stdout(trace.try_clone()?)
            .stderr(trace)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    fn config_text(&self) -> Result<String, Failure> {
        let mut text = String::new();
        writeln!(text, "dataDir={}", self.data_dir().display())?;
        writeln!(text, "clientPort={}\nclientPortAddress=127.0.0.1", self.port)?;
        writeln!(text, "admin.enableServer=false")?;
        for (key, value) in &self.settings.lines {
            writeln!(text, "{key}={value}")?;
        }
        Ok(text)
    }

    /// Waits until a connect request is answered: Apache opens its port before it serves.
    pub fn wait_until_serving(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            if let Some(status) = self.exited()? {
                return Err(format!("{} ended at start: {status}", self.product.name()).into());
            }
            if probe(self.address()).is_ok() {
                return Ok(());
            }
            if deadline < Instant::now() {
                return Err(format!("does not serve after {START_WAIT:?}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the process has ended by itself.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>, Failure> {
        match &mut self.child {
            None => Ok(None),
            Some(child) => Ok(child.try_wait()?),
        }
    }

    /// Waits for the process to end by itself.
    pub fn wait_for_exit(&mut self, wait: Duration) -> Result<ExitStatus, Failure> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(status) = self.exited()? {
                self.child = None;
                return Ok(status);
            }
            if deadline < Instant::now() {
                return Err(format!("still running after {wait:?}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self, wait: Duration) -> Result<ExitStatus, Failure> {
        let pid = self.pid().ok_or("not running")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).ok_or("pid 0")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.wait_for_exit(wait)
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Which server this is.
    #[must_use]
    pub fn product(&self) -> &Product {
        &self.product
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn trace_path(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// What the process has printed since its last start.
    #[must_use]
    pub fn trace(&self) -> String {
        fs::read(self.trace_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Resident memory, as the kernel counts it.
    pub fn resident_bytes(&self) -> Result<u64, Failure> {
        let pid = self.pid().ok_or("not running")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: u64 =
            line.and_then(|line| line.split_whitespace().nth(1)).ok_or("no VmRSS line")?.parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A destructor cannot report, and the folder is only scratch.
        self.kill().ok();
        if self.removes_dir && !std::thread::panicking() {
            fs::remove_dir_all(&self.dir).ok();
        }
    }
}

/// Opens a session and closes it again. Apache leaves a connect request that comes in the wrong
/// moment of its start without any answer: hence the short wait.
fn probe(address: SocketAddr) -> Result<(), Failure> {
    let mut connection = Connection::dial(address)?;
    connection.set_reply_wait(Duration::from_secs(1))?;
    connection.handshake(&Connect::default())?;
    connection.close()?.ok()
}

/// A port that nobody listens on at this moment. Below those that the system gives to outgoing
/// connections: one of them could take the port while its server is being restarted.
pub fn free_port() -> Result<u16, Failure> {
    let mut rng = Rng::new(u64::from(std::process::id()) ^ u64::try_from(now_ns()?)?);
    for _ in 0..200 {
        let port = u16::try_from(10_000 + rng.below(20_000))?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no free port in 200 tries".into())
}

fn now_ns() -> Result<u128, Failure> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(now.as_nanos())
}

/// The answer to a four-letter word: everything until the server closes.
pub fn four_letter(address: SocketAddr, word: &str) -> Result<String, Failure> {
    let mut connection = Connection::dial(address)?;
    connection.send_raw(word.as_bytes())?;
    let bytes = connection.read_to_end(Duration::from_secs(10))?;
    Ok(String::from_utf8(bytes)?)
}

/// Ends a session that a connection does not need any more.
pub fn close_session(connection: &mut Connection) -> Result<(), Failure> {
    connection.call(op::CLOSE_SESSION, &[])?.ok()
}
