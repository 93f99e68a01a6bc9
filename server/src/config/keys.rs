//! Every key that ZooKeeper knows, and what this server makes of it: the one table that warnings,
//! suggestions, `ringkeeper config-keys` and the documentation are made from.
//!
//! `docs/operations.md` and `docs/compatibility.md` hold it as text; a test compares.

/// Where a key may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// In the file only: ZooKeeper's own parser knows it.
    File,
    /// In the file, or as `-Dzookeeper.<key>`: ZooKeeper turns what its parser does not know into
    /// a property of that name.
    Property,
    /// As `-D<key>` only, without a prefix.
    Java,
}

use Source::{File, Java, Property};

/// What this server makes of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// It does what it does in ZooKeeper.
    Honoured,
    /// It is read without a word, and there is nothing for it to change: the reason.
    Accepted(&'static str),
    /// What it asks for is not there, and a warning says so: what is missing. A value that asks
    /// for nothing, `neutral` or the default, needs no warning.
    NotYet {
        /// What is missing.
        missing: &'static str,
        /// Values, besides the default, that ask for nothing.
        neutral: &'static [&'static str],
    },
}

/// One key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key {
    /// As in a `zoo.cfg`. `.N` at the end stands for anything in that place, and so does `.*`.
    pub(crate) name: &'static str,
    /// Where it may stand.
    pub(crate) source: Source,
    /// What holds without it, as one would write it; empty when there is none.
    pub(crate) default: &'static str,
    /// What is made of it.
    pub(crate) state: State,
    /// What it is for; only for keys that are honoured.
    pub(crate) meaning: &'static str,
}

impl Key {
    /// Whether `name`, without `zookeeper.`, is this key.
    fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix(".N").or_else(|| self.name.strip_suffix(".*")) {
            Some(stem) => {
                let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
                rest.is_some_and(|rest| !rest.is_empty())
            }
            None => self.name == name,
        }
    }

    /// How to write it, for messages: `-Dzookeeper.` for what comes as a property.
    pub(crate) fn define(&self) -> String {
        match self.source {
            File | Java => self.name.to_owned(),
            Property => format!("zookeeper.{}", self.name),
        }
    }

    /// Whether a value asks for nothing that is missing.
    pub(crate) fn is_neutral(&self, value: &str) -> bool {
        match self.state {
            State::Honoured | State::Accepted(_) => true,
            State::NotYet { neutral, .. } => {
                let is_default = !self.default.is_empty() && value == self.default;
                is_default || neutral.contains(&value)
            }
        }
    }
}

/// The key of that name, as a file would write it. An exact name goes before a pattern.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    let exact = KEYS.iter().find(|key| key.name == name);
    exact.or_else(|| KEYS.iter().find(|key| key.is(name)))
}

/// The key of a `-D` property, which has the prefix or is one of those that have none.
pub(crate) fn find_define(name: &str) -> Option<&'static Key> {
    match name.strip_prefix("zookeeper.") {
        Some(rest) => find(rest).filter(|key| key.source != Java),
        None => find(name).filter(|key| key.source == Java),
    }
}

const fn honoured(
    source: Source,
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, source, default, state: State::Honoured, meaning }
}

const fn accepted(source: Source, name: &'static str, reason: &'static str) -> Key {
    Key { name, source, default: "", state: State::Accepted(reason), meaning: "" }
}

const fn not_yet(name: &'static str, default: &'static str, missing: &'static str) -> Key {
    not_yet_unless(name, default, missing, &[])
}

const fn not_yet_unless(
    name: &'static str,
    default: &'static str,
    missing: &'static str,
    neutral: &'static [&'static str],
) -> Key {
    let state = State::NotYet { missing, neutral };
    Key { name, source: Property, default, state, meaning: "" }
}

const ENSEMBLE: &str = "concerns ensembles; a single server has no peers";
const JVM: &str = "tunes threads or buffers that this server does not have";
const OWN_LOG: &str = "the log has its own form: see `--segment-mib` and disk-format.md";
const GROUPS: &str = "writes that wait share one flush, without a timer";
const TRACES: &str = "traces go to standard error: see `--log-format` and `RUST_LOG`";
const TLS: &str = "TLS";
const SASL: &str = "SASL";
const ADMIN: &str = "the HTTP admin server";
const METRICS: &str = "metrics over HTTP (the `mntr` word has them)";
const AUDIT: &str = "the audit log";
const PATH_STATS: &str = "statistics by path";

/// The table, in the order of the documentation.
pub(crate) const KEYS: &[Key] = &[
    // Basic.
    honoured(File, "dataDir", "", "Directory of `myid`, the lock and the snapshots. Required."),
    honoured(File, "dataLogDir", "", "Directory of the log; without it, `dataDir`."),
    honoured(File, "clientPort", "", "Port for clients; 0 asks the system for one. Required."),
    honoured(File, "clientPortAddress", "", "Address to listen at; without it, all of them."),
    honoured(File, "tickTime", "3000", "Unit of the session time-outs, in ms."),
    honoured(File, "minSessionTimeout", "-1", "Shortest session time-out in ms; -1: 2 ticks."),
    honoured(File, "maxSessionTimeout", "-1", "Longest session time-out in ms; -1: 20 ticks."),
    honoured(File, "maxClientCnxns", "60", "Connections of one address; 0: no limit."),
    honoured(File, "clientPortListenBacklog", "-1", "Connections that may wait to be accepted."),
    not_yet("secureClientPort", "", TLS),
    not_yet("secureClientPortAddress", "", TLS),
    accepted(File, "autopurge.snapRetainCount", "two snapshots are kept, with the log they need"),
    accepted(File, "autopurge.purgeInterval", "snapshots and log are trimmed without a timer"),
    // Ensembles.
    honoured(File, "server.N", "", "A server. One participant only: ensembles come later."),
    honoured(File, "dynamicConfigFile", "", "File with the `server.N` lines."),
    honoured(File, "electionAlg", "3", "Nothing but 3 is allowed."),
    honoured(File, "peerType", "participant", "Says nothing to a server that is alone."),
    honoured(File, "reconfigEnabled", "false", "Whether `reconfig` may be asked."),
    Key { source: File, ..not_yet("standaloneEnabled", "true", "a quorum of one (it runs alone)") },
    accepted(File, "group.N", ENSEMBLE),
    accepted(File, "weight.N", ENSEMBLE),
    accepted(File, "initLimit", ENSEMBLE),
    accepted(File, "syncLimit", ENSEMBLE),
    accepted(File, "connectToLearnerMasterLimit", ENSEMBLE),
    accepted(File, "observerMasterPort", ENSEMBLE),
    accepted(File, "syncEnabled", ENSEMBLE),
    accepted(File, "quorumListenOnAllIPs", ENSEMBLE),
    accepted(File, "localSessionsEnabled", ENSEMBLE),
    accepted(File, "localSessionsUpgradingEnabled", ENSEMBLE),
    accepted(File, "oraclePath", ENSEMBLE),
    accepted(File, "multiAddress.enabled", ENSEMBLE),
    accepted(File, "multiAddress.reachabilityCheckTimeoutMs", ENSEMBLE),
    accepted(File, "multiAddress.reachabilityCheckEnabled", ENSEMBLE),
    accepted(File, "quorum.cnxn.threads.size", ENSEMBLE),
    accepted(File, "sslQuorum", ENSEMBLE),
    accepted(File, "portUnification", ENSEMBLE),
    accepted(File, "sslQuorumReloadCertFiles", ENSEMBLE),
    accepted(File, "quorum.auth.enableSasl", ENSEMBLE),
    accepted(File, "quorum.auth.serverRequireSasl", ENSEMBLE),
    accepted(File, "quorum.auth.learnerRequireSasl", ENSEMBLE),
    accepted(File, "quorum.auth.learner.saslLoginContext", ENSEMBLE),
    accepted(File, "quorum.auth.server.saslLoginContext", ENSEMBLE),
    accepted(File, "quorum.auth.kerberos.servicePrincipal", ENSEMBLE),
    accepted(Property, "ssl.quorum.*", ENSEMBLE),
    accepted(Property, "leaderServes", ENSEMBLE),
    accepted(Property, "cnxTimeout", ENSEMBLE),
    accepted(Property, "quorumCnxnTimeoutMs", ENSEMBLE),
    accepted(Property, "electionPortBindRetry", ENSEMBLE),
    accepted(Property, "fastleader.minNotificationInterval", ENSEMBLE),
    accepted(Property, "fastleader.maxNotificationInterval", ENSEMBLE),
    accepted(Property, "leader.maxTimeToWaitForEpoch", ENSEMBLE),
    accepted(Property, "leader.maxConcurrentSnapSyncs", ENSEMBLE),
    accepted(Property, "leader.maxConcurrentDiffSyncs", ENSEMBLE),
    accepted(Property, "leader.closeSocketAsync", ENSEMBLE),
    accepted(Property, "leader.ackLoggingFrequency", ENSEMBLE),
    accepted(Property, "learner.closeSocketAsync", ENSEMBLE),
    accepted(Property, "learner.asyncSending", ENSEMBLE),
    accepted(Property, "leaderConnectDelayDuringRetryMs", ENSEMBLE),
    accepted(Property, "observer.reconnectDelayMs", ENSEMBLE),
    accepted(Property, "observer.election.DelayMs", ENSEMBLE),
    accepted(Property, "observer.syncEnabled", ENSEMBLE),
    accepted(Property, "observerMaster.sizeLimit", ENSEMBLE),
    accepted(Property, "tcpKeepAlive", ENSEMBLE),
    accepted(Property, "commitLogCount", ENSEMBLE),
    accepted(Property, "snapshotSizeFactor", ENSEMBLE),
    accepted(Property, "forceSnapshotSync", ENSEMBLE),
    accepted(Property, "messageTracker.Enabled", ENSEMBLE),
    accepted(Property, "messageTracker.BufferSize", ENSEMBLE),
    accepted(Property, "forward_learner_requests_to_commit_processor_disabled", ENSEMBLE),
    accepted(Property, "follower.skipLearnerRequestToNextProcessor", ENSEMBLE),
    // Log and snapshots.
    honoured(Property, "snapCount", "100000", "Commands between snapshots; at least 2."),
    honoured(Property, "snapSizeLimitInKb", "4194304", "Log between snapshots; 0: no limit."),
    honoured(Property, "fsync.warningthresholdms", "1000", "A slower flush is warned about."),
    honoured(Property, "datadir.autocreate", "true", "Make data directories that are missing."),
    accepted(Property, "digest.enabled", "a digest of the tree is kept, always (`hash`)"),
    accepted(Property, "forceSync", "every reply to a write waits for the disk, always"),
    accepted(Property, "preAllocSize", OWN_LOG),
    accepted(Property, "txnLogSizeLimitInKb", OWN_LOG),
    accepted(Property, "flushDelay", GROUPS),
    accepted(Property, "maxWriteQueuePollTime", GROUPS),
    accepted(Property, "maxBatchSize", GROUPS),
    accepted(Property, "snapshot.compression.method", "snapshots have their own form"),
    accepted(Property, "snapshot.trust.empty", "a log without its snapshot is never trusted"),
    accepted(Property, "serializeLastProcessedZxid.enabled", "snapshots have their own form"),
    accepted(Property, "closeSessionTxn.enabled", OWN_LOG),
    accepted(Property, "db.autocreate", "a data directory says itself whether it is new"),
    accepted(Property, "intBufferStartingSizeBytes", JVM),
    accepted(Java, "jute.maxbuffer.extrasize", "the log has no such limit"),
    // Connections and overload.
    honoured(Java, "jute.maxbuffer", "1048575", "Longest request in bytes; 33554432 at most."),
    honoured(Property, "globalOutstandingLimit", "1000", "Unanswered requests; then, no reading."),
    honoured(Property, "maxCnxns", "0", "Connections of all addresses; 0: no limit."),
    honoured(Property, "clientTcpKeepAlive", "false", "TCP keep-alive for clients."),
    honoured(Property, "nio.sessionlessCnxnTimeout", "10000", "Life without a session, in ms."),
    honoured(Property, "4lw.commands.whitelist", "srvr", "Words that are answered; `*`: all."),
    honoured(Java, "readonlymode.enabled", "false", "Answer `isro`; take read-only clients."),
    accepted(Property, "serverCnxnFactory", "there is one network layer; every name is fine"),
    accepted(Property, "nio.numSelectorThreads", JVM),
    accepted(Property, "nio.numWorkerThreads", JVM),
    accepted(Property, "nio.directBufferBytes", JVM),
    accepted(Property, "nio.shutdownTimeout", JVM),
    accepted(Property, "netty.advancedFlowControl.enabled", "flow control is always on"),
    not_yet("netty.server.outstandingHandshake.limit", "-1", TLS),
    not_yet("netty.server.earlyDropSecureConnectionHandshakes", "false", TLS),
    accepted(Property, "requestThrottleLimit", "ZooKeeper 3.9 documents it and does not read it"),
    honoured(Property, "request_throttle_max_requests", "0", "Requests done at once; 0: any."),
    accepted(Property, "request_throttle_stall_time", "what waits goes on once there is room"),
    honoured(
        Property,
        "request_throttle_drop_stale",
        "true",
        "Drop what waits and is stale; the next two say what is.",
    ),
    honoured(
        Property,
        "request_stale_latency_check",
        "false",
        "What waited longer than its session's timeout; its connection is closed.",
    ),
    honoured(Property, "request_stale_connection_check", "true", "What a client left behind."),
    accepted(Property, "request_throttler.shutdownTimeout", "a stop waits for no request"),
    honoured(
        Property,
        "throttled_op_wait_time",
        "0",
        "What waited for more ms is refused with `ThrottledOp`; 0: nothing is.",
    ),
    honoured(Property, "largeRequestThreshold", "-1", "A longer request is large; -1: none is."),
    honoured(
        Property,
        "largeRequestMaxBytes",
        "104857600",
        "Bytes of all large requests under way; one more closes its connection.",
    ),
    honoured(
        Property,
        "connection_throttle_tokens",
        "0",
        "Connections that may ask for a session at once; 0: any number.",
    ),
    honoured(Property, "connection_throttle_fill_time", "1", "In so many ms tokens come back:"),
    honoured(Property, "connection_throttle_fill_count", "1", "so many."),
    honoured(
        Property,
        "connection_throttle_freeze_time",
        "-1",
        "Without tokens, drop by chance as well; how often, in ms, it changes. -1: never.",
    ),
    honoured(Property, "connection_throttle_drop_increase", "0.02", "Chance more per change."),
    honoured(Property, "connection_throttle_drop_decrease", "0.002", "Chance less per change."),
    honoured(
        Property,
        "connection_throttle_decrease_ratio",
        "0",
        "It falls while at most this part of the tokens is missing.",
    ),
    honoured(
        Property,
        "connection_throttle_weight_enabled",
        "false",
        "Sessions take tokens by their kind; the numbers above count new sessions.",
    ),
    honoured(Property, "connection_throttle_global_session_weight", "3", "Of a new session."),
    honoured(
        Property,
        "connection_throttle_local_session_weight",
        "1",
        "The least of both others; there are no local sessions.",
    ),
    honoured(Property, "connection_throttle_renew_session_weight", "2", "Of one that comes back."),
    accepted(Property, "maxResponseCacheSize", "replies are made without a cache"),
    accepted(Property, "maxGetChildrenResponseCacheSize", "replies are made without a cache"),
    accepted(Property, "commitProcessor.numWorkerThreads", JVM),
    accepted(Property, "commitProcessor.maxReadBatchSize", JVM),
    accepted(Property, "commitProcessor.maxCommitBatchSize", JVM),
    accepted(Property, "commitProcessor.shutdownTimeout", JVM),
    // Watches and kinds of znodes.
    honoured(Property, "extendedTypesEnabled", "false", "Offer TTL znodes."),
    honoured(Property, "emulate353TTLNodes", "false", "Read TTL owners as 3.5.3 wrote them."),
    honoured(Java, "znode.container.checkIntervalMs", "60000", "Time between searches for them."),
    honoured(Java, "znode.container.maxPerMinute", "10000", "Containers deleted in a minute."),
    honoured(
        Java,
        "znode.container.maxNeverUsedIntervalMs",
        "0",
        "Containers that never had a child go after this many ms; 0: they stay.",
    ),
    honoured(Property, "enforceQuota", "false", "Refuse what a hard quota forbids."),
    accepted(Property, "watchManagerName", "there is one kind; it has every watch"),
    accepted(Property, "watcherCleanThreadsNum", JVM),
    accepted(Property, "watcherCleanThreshold", JVM),
    accepted(Property, "watcherCleanIntervalInSeconds", JVM),
    accepted(Property, "maxInProcessingDeadWatchers", JVM),
    accepted(Property, "bitHashCacheSize", JVM),
    // Authentication.
    honoured(Property, "skipACL", "no", "`yes`: no ACL is checked."),
    honoured(
        Property,
        "enableEagerACLCheck",
        "false",
        "In an ensemble (`standaloneEnabled=false`), check ACLs before a write is replicated.",
    ),
    honoured(
        Property,
        "authProvider.N",
        "",
        "Names a provider. The digest, ip and ensemble classes of ZooKeeper; see SASL and TLS.",
    ),
    honoured(Property, "DigestAuthenticationProvider.enabled", "true", "Offer the digest scheme."),
    honoured(Property, "DigestAuthenticationProvider.superDigest", "", "`super:<hash>`."),
    honoured(Property, "DigestAuthenticationProvider.digestAlg", "SHA1", "Java's name of it."),
    honoured(Property, "enforce.auth.enabled", "false", "Serve only who has authenticated."),
    honoured(Property, "enforce.auth.schemes", "", "With one of these schemes; comma list."),
    honoured(Property, "sessionRequireClientSASLAuth", "false", "Serve only SASL identities."),
    honoured(Property, "ensembleAuthName", "", "Names that clients may expect; comma list."),
    not_yet("IPAuthenticationProvider.usexforwardedfor", "false", ADMIN),
    not_yet("X509AuthenticationProvider.superUser", "", TLS),
    not_yet("superUser", "", SASL),
    not_yet("superUser.N", "", SASL),
    not_yet("SASLAuthenticationProvider.superPassword", "", SASL),
    not_yet("letAnySaslUserDoX", "", SASL),
    not_yet("allowSaslFailedClients", "false", SASL),
    not_yet("sasl.serverconfig", "Server", SASL),
    Key { source: Java, ..not_yet("java.security.auth.login.config", "", SASL) },
    not_yet("requireKerberosConfig", "false", SASL),
    not_yet("kerberos.removeHostFromPrincipal", "false", SASL),
    not_yet("kerberos.removeRealmFromPrincipal", "false", SASL),
    not_yet("kerberos.canonicalizeHostNames", "false", SASL),
    not_yet("security.auth_to_local", "DEFAULT", SASL),
    not_yet_unless("fips-mode", "true", SASL, &["false"]),
    // TLS.
    not_yet("ssl.keyStore.location", "", TLS),
    not_yet("ssl.keyStore.password", "", TLS),
    not_yet("ssl.keyStore.passwordPath", "", TLS),
    not_yet("ssl.keyStore.type", "", TLS),
    not_yet("ssl.trustStore.location", "", TLS),
    not_yet("ssl.trustStore.password", "", TLS),
    not_yet("ssl.trustStore.passwordPath", "", TLS),
    not_yet("ssl.trustStore.type", "", TLS),
    not_yet("ssl.protocol", "", TLS),
    not_yet("ssl.enabledProtocols", "", TLS),
    not_yet("ssl.ciphersuites", "", TLS),
    not_yet("ssl.context.supplier.class", "", TLS),
    not_yet("ssl.hostnameVerification", "true", TLS),
    not_yet("ssl.clientHostnameVerification", "false", TLS),
    not_yet("ssl.allowReverseDnsLookup", "false", TLS),
    not_yet("ssl.crl", "false", TLS),
    not_yet("ssl.ocsp", "false", TLS),
    not_yet("ssl.clientAuth", "need", TLS),
    not_yet("ssl.handshakeDetectionTimeoutMillis", "5000", TLS),
    not_yet("ssl.authProvider", "x509", TLS),
    not_yet("ssl.sslProvider", "JDK", TLS),
    not_yet("ssl.*", "", TLS),
    not_yet("client.portUnification", "false", TLS),
    not_yet("client.certReload", "false", TLS),
    // Administration.
    not_yet_unless("admin.enableServer", "", ADMIN, &["false"]),
    not_yet("admin.serverAddress", "", ADMIN),
    not_yet("admin.serverPort", "", ADMIN),
    not_yet("admin.idleTimeout", "30000", ADMIN),
    not_yet("admin.commandURL", "/commands", ADMIN),
    not_yet("admin.portUnification", "false", ADMIN),
    not_yet("admin.forceHttps", "false", ADMIN),
    not_yet("admin.needClientAuth", "false", ADMIN),
    not_yet("admin.rateLimiterIntervalInMS", "300000", ADMIN),
    not_yet_unless("admin.snapshot.enabled", "true", ADMIN, &["false"]),
    not_yet_unless("admin.restore.enabled", "true", ADMIN, &["false"]),
    not_yet("admin.httpVersion", "11", ADMIN),
    Key {
        source: File,
        ..not_yet_unless(
            "metricsProvider.className",
            "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
            METRICS,
            &["org.apache.zookeeper.metrics.impl.NullMetricsProvider"],
        )
    },
    Key { source: File, ..not_yet("metricsProvider.*", "", METRICS) },
    accepted(File, "jvm.pause.monitor", "a watchdog looks at every core, always"),
    accepted(File, "jvm.pause.warn-threshold.ms", "a watchdog looks at every core, always"),
    accepted(File, "jvm.pause.info-threshold.ms", "a watchdog looks at every core, always"),
    accepted(File, "jvm.pause.sleep.time.ms", "a watchdog looks at every core, always"),
    not_yet("pathStats.enabled", "false", PATH_STATS),
    not_yet("pathStats.*", "", PATH_STATS),
    not_yet("audit.enable", "false", AUDIT),
    not_yet("audit.impl.class", "", AUDIT),
    not_yet("controllerPort", "", "the test controller"),
    accepted(Property, "log.dir", TRACES),
    accepted(Property, "log.file", TRACES),
    accepted(Property, "log.threshold", TRACES),
    accepted(Property, "log.maxfilesize", TRACES),
    accepted(Property, "log.maxbackupindex", TRACES),
    accepted(Property, "root.logger", TRACES),
    accepted(Property, "console.threshold", TRACES),
    accepted(Property, "tracelog.dir", TRACES),
    accepted(Property, "tracelog.file", TRACES),
    accepted(Property, "tracelog.threshold", TRACES),
    accepted(Property, "jmx.log4j.disable", TRACES),
];
