//! What the operator wants, typed: one value that is made at start and never changes.
//!
//! It comes from three places: a ZooKeeper `zoo.cfg` in Java properties syntax, `-Dkey=value`
//! properties, and this program's own flags. `docs/operations.md` lists every key. Nothing here
//! looks at the machine; `preflight` does.

pub(crate) mod keys;
mod load;
mod properties;
mod render;
mod resolve;
mod servers;
mod settings;
mod suggest;
#[cfg(test)]
mod tests;
mod throttle;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use ringkeeper_engine::{
    ids::ReplicaId,
    limits::{FRAME_BYTES_MAX_DEFAULT, SEGMENT_BYTES_DEFAULT},
    state::auth::AuthPolicy,
};

pub(crate) use load::load;
pub(crate) use render::keys_listing;
pub(crate) use settings::Place;
#[cfg(test)]
pub(crate) use tests::wrapped;
pub(crate) use throttle::{ConnectionThrottle, LargeRequestLimit, RequestThrottle};

use crate::cores::CoreRequest;

/// The settings of one server. Units are in the names; 0 means "no limit" where it says so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    // Who and where.
    /// `N` of `server.N` and of the `myid` file; 0 without one.
    pub(crate) replica_id: ReplicaId,
    /// `dataDir`: `myid`, the lock file, the superblocks and the snapshots. Absolute.
    pub(crate) data_dir: PathBuf,
    /// `dataLogDir`: the log segments, to put them on a disk of their own; default `data_dir`.
    /// Absolute.
    pub(crate) data_log_dir: PathBuf,
    /// `--allow-tmpfs`: data directories that a reboot empties are accepted.
    pub(crate) allow_tmpfs: bool,
    /// Whether missing data directories are made (`datadir.autocreate`).
    pub(crate) create_data_dirs: bool,
    /// Where clients connect, `clientPortAddress` and `clientPort`. The default address is `[::]`
    /// and means IPv4 as well (the listener must not be v6-only, and falls back to `0.0.0.0` where
    /// the machine has no IPv6): show and check an IPv4-mapped peer as IPv4. Port 0 asks the
    /// system for one.
    pub(crate) listen: Vec<SocketAddr>,
    /// `clientPort`, as `conf` shows it; 0 means that the system chose.
    pub(crate) client_port: u16,

    // Time.
    /// `tickTime`: the unit of session time-outs.
    pub(crate) tick_time_ms: u32,
    /// `minSessionTimeout`: shorter wishes are raised to this. Default 2 ticks.
    pub(crate) min_session_timeout_ms: i32,
    /// `maxSessionTimeout`: longer wishes are lowered to this. Default 20 ticks.
    pub(crate) max_session_timeout_ms: i32,

    // Connections and overload.
    /// `clientPortListenBacklog`; `None` leaves it to the listener.
    pub(crate) listen_backlog: Option<u32>,
    /// `maxClientCnxns`: connections of one address; 0 = no limit.
    pub(crate) max_client_cnxns: u32,
    /// `maxCnxns`: connections of all addresses; 0 = no limit.
    pub(crate) max_cnxns: u32,
    /// `clientTcpKeepAlive`.
    pub(crate) tcp_keep_alive: bool,
    /// `nio.sessionlessCnxnTimeout`: a connection without a session lives this long.
    pub(crate) sessionless_timeout_ms: u64,
    /// `globalOutstandingLimit`: with more requests unanswered, sockets are not read.
    pub(crate) global_outstanding_limit: u32,
    /// `connection_throttle_*`.
    pub(crate) connection_throttle: ConnectionThrottle,
    /// `request_throttle_*`, `request_stale_*`, `throttled_op_wait_time`.
    pub(crate) request_throttle: RequestThrottle,
    /// `largeRequestThreshold`, `largeRequestMaxBytes`.
    pub(crate) large_requests: LargeRequestLimit,
    /// `jute.maxbuffer`: a longer request closes its connection.
    pub(crate) jute_maxbuffer_bytes: usize,
    /// `4lw.commands.whitelist`.
    pub(crate) four_letter_words: FourLetterWords,

    // What clients may do.
    /// `extendedTypesEnabled`: TTL znodes.
    pub(crate) extended_types: bool,
    /// `emulate353TTLNodes`.
    pub(crate) emulate_353_ttl: bool,
    /// `reconfigEnabled`.
    pub(crate) reconfig_enabled: bool,
    /// `readonlymode.enabled`: clients that accept a read-only server may connect to one.
    pub(crate) read_only_mode: bool,
    /// `enforceQuota`: hard quotas refuse writes.
    pub(crate) enforce_quota: bool,
    /// `znode.container.checkIntervalMs`.
    pub(crate) container_check_interval_ms: u64,
    /// `znode.container.maxPerMinute`: deletions of containers and TTL znodes.
    pub(crate) container_max_per_minute: u32,
    /// `znode.container.maxNeverUsedIntervalMs`: containers that never had a child go after this
    /// long; 0 = never.
    pub(crate) container_max_never_used_ms: u64,

    // Who clients are.
    /// `skipACL=yes`: no ACL is checked.
    pub(crate) skip_acl: bool,
    /// `enableEagerACLCheck`: refuse at the edge what ACLs would refuse later.
    pub(crate) eager_acl_check: bool,
    /// `DigestAuthenticationProvider.*`, `authProvider.N`, `ensembleAuthName`.
    pub(crate) auth: AuthPolicy,
    /// `enforce.auth.enabled`: requests need one of `enforce_auth_schemes`.
    pub(crate) enforce_auth: bool,
    /// `enforce.auth.schemes`; not empty when `enforce_auth`.
    pub(crate) enforce_auth_schemes: Vec<String>,
    /// `sessionRequireClientSASLAuth`: requests need a SASL identity.
    pub(crate) require_sasl: bool,

    // Log and snapshots.
    /// `snapCount`: commands between snapshots.
    pub(crate) snap_count: u64,
    /// `snapSizeLimitInKb` in bytes: log between snapshots; `None` = no limit.
    pub(crate) snap_log_bytes: Option<u64>,
    /// `fsync.warningthresholdms`: a slower flush is traced as a warning.
    pub(crate) slow_flush_ms: u64,
    /// `--segment-mib` in bytes: length of one log segment.
    pub(crate) segment_bytes: u64,

    // Machine.
    /// `--cores` and `--cpus`.
    pub(crate) cores: CoreRequest,
    /// `--log-format`.
    pub(crate) trace_format: TraceFormat,
}

impl Config {
    /// The defaults, with a data directory and one address.
    pub(crate) fn new(data_dir: PathBuf, listen: SocketAddr) -> Self {
        Self {
            replica_id: ReplicaId(0),
            data_log_dir: data_dir.clone(),
            data_dir,
            allow_tmpfs: false,
            create_data_dirs: true,
            listen: vec![listen],
            client_port: listen.port(),
            tick_time_ms: 3000,
            min_session_timeout_ms: 6000,
            max_session_timeout_ms: 60_000,
            listen_backlog: None,
            max_client_cnxns: 60,
            max_cnxns: 0,
            tcp_keep_alive: false,
            sessionless_timeout_ms: 10_000,
            global_outstanding_limit: 1000,
            connection_throttle: ConnectionThrottle::default(),
            request_throttle: RequestThrottle::default(),
            large_requests: LargeRequestLimit::default(),
            jute_maxbuffer_bytes: FRAME_BYTES_MAX_DEFAULT,
            four_letter_words: FourLetterWords::default(),
            extended_types: false,
            emulate_353_ttl: false,
            reconfig_enabled: false,
            read_only_mode: false,
            enforce_quota: false,
            container_check_interval_ms: 60_000,
            container_max_per_minute: 10_000,
            container_max_never_used_ms: 0,
            skip_acl: false,
            eager_acl_check: false,
            auth: AuthPolicy::default(),
            enforce_auth: false,
            enforce_auth_schemes: Vec::new(),
            require_sasl: false,
            snap_count: 100_000,
            snap_log_bytes: Some(4 << 30),
            slow_flush_ms: 1000,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            cores: CoreRequest::default(),
            trace_format: TraceFormat::Text,
        }
    }

    /// Whether a four-letter word may run: `srvr` always, `isro` in read-only mode, and what the
    /// whitelist names.
    pub(crate) fn allows_word(&self, word: &str) -> bool {
        word == "srvr"
            || (word == "isro" && self.read_only_mode)
            || match &self.four_letter_words {
                FourLetterWords::All => true,
                FourLetterWords::These(words) => words.iter().any(|allowed| allowed == word),
            }
    }
}

/// Which four-letter words the whitelist names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FourLetterWords {
    /// `*`.
    All,
    /// These, in the order of the file.
    These(Vec<String>),
}

impl Default for FourLetterWords {
    fn default() -> Self {
        Self::These(vec!["srvr".to_owned()])
    }
}

/// What comes as flags, and wins over the file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Flags {
    /// `--data-dir`.
    pub(crate) data_dir: Option<PathBuf>,
    /// `--data-log-dir`.
    pub(crate) data_log_dir: Option<PathBuf>,
    /// `--listen`, each `address:port` or a port.
    pub(crate) listen: Vec<String>,
    /// `--cores`.
    pub(crate) cores: Option<usize>,
    /// `--cpus`.
    pub(crate) cpus: Option<Vec<usize>>,
    /// `--segment-mib`.
    pub(crate) segment_mib: Option<u64>,
    /// `--log-format`.
    pub(crate) trace_format: TraceFormat,
    /// `--allow-tmpfs`.
    pub(crate) allow_tmpfs: bool,
}

/// All that a configuration comes from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Sources {
    /// The file, or the words of the short form `port dataDir [tickTime] [maxClientCnxns]`.
    pub(crate) arguments: Vec<String>,
    /// `-Dkey=value`.
    pub(crate) defines: Vec<(String, String)>,
    /// Flags.
    pub(crate) flags: Flags,
    /// `ZOO_DATADIR_AUTOCREATE_DISABLE` is set.
    pub(crate) is_autocreate_disabled: bool,
}

/// What is worth a word and does not keep the server from starting. One line each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Warning {
    /// Keys of ZooKeeper that ask for what is not there, each with what is missing.
    NotHonoured {
        /// Names, and what they would need.
        keys: Vec<(String, &'static str)>,
    },
    /// Keys that nobody knows, each with the one that was perhaps meant.
    Unknown {
        /// Names, and suggestions.
        keys: Vec<(String, Option<String>)>,
    },
    /// Keys where ZooKeeper does not look for them, each with where it would.
    Misplaced {
        /// Names, and what to write instead.
        keys: Vec<(String, String)>,
    },
    /// `jute.maxbuffer` above what a command can be.
    FrameBytesLowered {
        /// What was set.
        wished: usize,
        /// What holds.
        used: usize,
    },
    /// `myid` is not the only server of the file.
    OtherId {
        /// In `myid`; it holds.
        myid: u16,
        /// In `server.N`.
        listed: u16,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::NotHonoured { keys } => {
                let keys = keys.iter().map(|(name, missing)| format!("{name} ({missing})"));
                write!(f, "not honoured yet: {}", list(keys.collect()))
            }
            Self::Unknown { keys } => {
                let keys = keys.iter().map(|(name, nearest)| match nearest {
                    Some(nearest) => format!("{name} (did you mean {nearest}?)"),
                    None => name.clone(),
                });
                write!(f, "unknown keys, ignored: {}", list(keys.collect()))
            }
            Self::Misplaced { keys } => {
                let keys = keys.iter().map(|(name, instead)| format!("{name} (write {instead})"));
                write!(f, "ignored here, as ZooKeeper does: {}", list(keys.collect()))
            }
            Self::FrameBytesLowered { wished, used } => {
                write!(f, "jute.maxbuffer={wished} is more than a request can be: {used} holds")
            }
            Self::OtherId { myid, listed } => {
                write!(f, "the myid file says {myid}, but the only server is server.{listed}")
            }
        }
    }
}

/// Why a configuration cannot be used. The process ends with `ExitCode::Config`.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file that was named cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Arc<std::io::Error>,
    },
    /// The file is not in the syntax of Java properties.
    #[error("{path}: {error}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: properties::SyntaxError,
    },
    /// A value that the key does not allow.
    #[error("{key}={value} ({place}): must be {allowed}")]
    Value {
        /// Which key.
        key: String,
        /// Its value.
        value: String,
        /// Where it is written.
        place: Place,
        /// What could be there.
        allowed: String,
    },
    /// A key that there must be.
    #[error("{key} is not set: set it in the configuration file, or give {flag}")]
    Missing {
        /// Which.
        key: &'static str,
        /// What does the same.
        flag: &'static str,
    },
    /// More than one server.
    #[error(
        "the configuration describes an ensemble ({server_count} server.N lines): this version \
         runs as a single server, ensembles come with a later one; keep one server.N line, of a \
         participant, or none"
    )]
    Ensemble {
        /// How many.
        server_count: usize,
    },
    /// Clients could come over TLS only.
    #[error(
        "secureClientPort is set and clientPort is not: this version has no TLS yet, so nobody \
         could connect; set clientPort"
    )]
    OnlySecure,
    /// Time-outs that exclude each other.
    #[error(
        "minSessionTimeout ({min_ms} ms) must not be more than maxSessionTimeout ({max_ms} ms); \
         -1 stands for 2 and 20 times tickTime"
    )]
    SessionTimeouts {
        /// The shorter one.
        min_ms: i64,
        /// The longer one.
        max_ms: i64,
    },
    /// A segment that a record might not fit in.
    #[error("--segment-mib {segment_mib}: must be at least {least_mib} with this jute.maxbuffer")]
    Segment {
        /// What was given.
        segment_mib: u64,
        /// What would do.
        least_mib: u64,
    },
    /// `--listen` that cannot be understood.
    #[error("--listen {value}: must be a port, or address:port (an IPv6 address in brackets)")]
    Listen {
        /// What was given.
        value: String,
    },
    /// A path that cannot be made absolute.
    #[error("{path}: {error}")]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Arc<std::io::Error>,
    },
    /// The `myid` file holds something else.
    #[error("{path} holds {text:?}: must be one whole number from 0 to 255")]
    MyId {
        /// Which.
        path: PathBuf,
        /// What it holds.
        text: String,
    },
}

/// How traces are printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum TraceFormat {
    /// One line per event, for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}
