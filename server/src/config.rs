//! What the operator wants, typed: one value that is made at start and never changes.
//!
//! It comes from three places: a ZooKeeper `zoo.cfg` in Java properties syntax, `-Dkey=value`
//! properties, and this program's own flags. `docs/operations.md` lists every key. Nothing here
//! looks at the machine; `preflight` does.

mod keys;
mod properties;

use std::{net::SocketAddr, path::PathBuf};

use ringkeeper_engine::{
    ids::ReplicaId,
    limits::{FRAME_BYTES_MAX_DEFAULT, SEGMENT_BYTES_DEFAULT},
    state::auth::AuthPolicy,
};

use crate::cores::CoreRequest;

/// The settings of one server. Units are in the names; 0 means "no limit" where it says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Config {
    // Who and where.
    /// `N` of `server.N` and of the `myid` file; 0 without one.
    pub(crate) replica_id: ReplicaId,
    /// `dataDir`: `myid`, the lock file, the superblocks and the snapshots. Absolute.
    pub(crate) data_dir: PathBuf,
    /// `dataLogDir`: the log segments, to put them on a disk of their own; default `data_dir`.
    /// Absolute.
    pub(crate) data_log_dir: PathBuf,
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
    /// `digest.enabled`: keep a digest of the tree.
    pub(crate) tree_digest: bool,
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
            tree_digest: true,
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

/// How traces are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum TraceFormat {
    /// One line per event, for people.
    Text,
    /// One JSON object per line.
    Json,
}
