//! `conf`, `envi`, `dirs`: how the server was set up, and where it runs.

use std::{env, fs};

use super::{status::line, text::VERSION};
use crate::config::Config;

/// Bytes on disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Directories {
    /// Of snapshots.
    pub(crate) data_bytes: u64,
    /// Of the log.
    pub(crate) log_bytes: u64,
}

/// `conf`.
pub(crate) fn configuration(
    out: &mut String,
    config: &Config,
    client_port: u16,
    sizes: &Directories,
) {
    line(out, format_args!("clientPort={client_port}"));
    line(out, format_args!("secureClientPort=-1"));
    line(out, format_args!("dataDir={}", config.data_dir.display()));
    line(out, format_args!("dataDirSize={}", sizes.data_bytes));
    line(out, format_args!("dataLogDir={}", config.data_log_dir.display()));
    line(out, format_args!("dataLogSize={}", sizes.log_bytes));
    line(out, format_args!("tickTime={}", config.tick_time_ms));
    line(out, format_args!("maxClientCnxns={}", config.max_client_cnxns));
    line(out, format_args!("minSessionTimeout={}", config.min_session_timeout_ms));
    line(out, format_args!("maxSessionTimeout={}", config.max_session_timeout_ms));
    let backlog = config.listen_backlog.map_or(-1, i64::from);
    line(out, format_args!("clientPortListenBacklog={backlog}"));
    line(out, format_args!("serverId={}", config.replica_id.0));
}

/// `dirs`.
pub(crate) fn directories(out: &mut String, sizes: &Directories) {
    line(out, format_args!("datadir_size: {}", sizes.data_bytes));
    line(out, format_args!("logdir_size: {}", sizes.log_bytes));
}

/// `envi`. What only Java has is not available, in the word that Java itself has for it.
pub(crate) fn environment(out: &mut String) {
    let system = rustix::system::uname();
    line(out, format_args!("Environment:"));
    line(out, format_args!("zookeeper.version={VERSION}"));
    line(out, format_args!("host.name={}", system.nodename().to_string_lossy()));
    for name in ["version", "vendor", "home", "class.path", "library.path"] {
        line(out, format_args!("java.{name}={NOT_AVAILABLE}"));
    }
    line(out, format_args!("java.io.tmpdir={}", env::temp_dir().display()));
    line(out, format_args!("java.compiler={NOT_AVAILABLE}"));
    line(out, format_args!("os.name={}", system.sysname().to_string_lossy()));
    let machine = system.machine().to_string_lossy();
    line(out, format_args!("os.arch={}", if machine == "x86_64" { "amd64" } else { &*machine }));
    line(out, format_args!("os.version={}", system.release().to_string_lossy()));
    let user = user();
    line(out, format_args!("user.name={}", user.name));
    line(out, format_args!("user.home={}", user.home));
    let directory = env::current_dir().unwrap_or_default();
    line(out, format_args!("user.dir={}", directory.display()));
    let memory = rustix::system::sysinfo();
    let unit = u64::from(memory.mem_unit).max(1);
    let mib = |count: u64| count.saturating_mul(unit) >> 20;
    line(out, format_args!("os.memory.free={}MB", mib(memory.freeram)));
    line(out, format_args!("os.memory.max={}MB", mib(memory.totalram)));
    line(out, format_args!("os.memory.total={}MB", mib(memory.totalram)));
}

/// Java's word for a property that it does not have.
const NOT_AVAILABLE: &str = "<NA>";

struct User {
    name: String,
    home: String,
}

/// Who this process runs as: services have no `USER` and no `HOME` in their environment.
fn user() -> User {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|entry| {
        let mut fields = entry.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| User {
            name: name.to_owned(),
            home: fields.nth(2).unwrap_or(NOT_AVAILABLE).to_owned(),
        })
    });
    found.unwrap_or_else(|| User { name: NOT_AVAILABLE.into(), home: NOT_AVAILABLE.into() })
}

/// Descriptors that this process has open.
pub(crate) fn open_files() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64)
}

/// Descriptors that it may have open.
pub(crate) fn open_files_max() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn conf_shows_what_was_configured() {
        let mut config = Config::new("/data".into(), ([127, 0, 0, 1], 0).into());
        config.tick_time_ms = 2000;
        let mut out = String::new();
        configuration(&mut out, &config, 2181, &Directories { data_bytes: 1, log_bytes: 2 });
        expect![[r#"
            clientPort=2181
            secureClientPort=-1
            dataDir=/data
            dataDirSize=1
            dataLogDir=/data
            dataLogSize=2
            tickTime=2000
            maxClientCnxns=60
            minSessionTimeout=6000
            maxSessionTimeout=60000
            clientPortListenBacklog=-1
            serverId=0
        "#]]
        .assert_eq(&out);
    }

    #[test]
    fn envi_is_lines_of_names_and_values() {
        let mut out = String::new();
        environment(&mut out);
        assert!(out.lines().skip(1).all(|line| line.contains('=')), "{out}");
    }

    #[test]
    fn descriptors_are_counted() {
        assert!((3..open_files_max()).contains(&open_files()));
    }
}
