//! Counters and latencies: one plain struct per core, no atomics; whoever wants them asks by
//! mailbox and adds them up.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    net::SocketAddr,
};

use hdrhistogram::Histogram;
use ringkeeper_engine::{ids::SessionId, shared_bytes::SharedStr};

/// A summary of one kind of latency or size: what `mntr` prints as `avg`, `min`, `max`, `cnt`,
/// `sum` and percentiles.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    histogram: Histogram<u64>,
    sum: u64,
}

impl Summary {
    /// An empty one. Values above `max` count as `max`.
    pub(crate) fn new(max: u64) -> Self {
        let histogram = Histogram::new_with_bounds(1, max.max(2), 2)
            .expect("two significant digits and a bound of at least 2 are in range");
        Self { histogram, sum: 0 }
    }

    /// Counts one value.
    pub(crate) fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    /// Counts the same value `count` times.
    pub(crate) fn record_many(&mut self, value: u64, count: u64) {
        // Cannot fail: saturated to the bound by hand.
        let value = value.min(self.histogram.high());
        self.histogram.record_n(value, count).expect("within the bound");
        self.sum += value * count;
    }

    /// Adds what another core saw.
    pub(crate) fn merge(&mut self, other: &Self) {
        // Values beyond this one's bound cannot occur: both were made with the same bound.
        self.histogram.add(&other.histogram).expect("equal bounds");
        self.sum += other.sum;
    }

    /// How many values.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Their sum.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }

    /// The smallest; 0 without values.
    pub(crate) fn min(&self) -> u64 {
        if self.histogram.is_empty() { 0 } else { self.histogram.min() }
    }

    /// The largest; 0 without values.
    pub(crate) fn max(&self) -> u64 {
        self.histogram.max()
    }

    /// The mean; 0 without values.
    pub(crate) fn mean(&self) -> f64 {
        mean(self.sum, self.count())
    }

    /// The value that `quantile` (0 to 1) of all values do not exceed; 0 without values.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean that is printed with four digits")]
fn mean(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

/// What there is to say of sizes without keeping them: cheaper than a [`Summary`], for as many as
/// there are names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Extent {
    /// How many values.
    pub(crate) count: u64,
    /// Their sum.
    pub(crate) sum: u64,
    /// The smallest; 0 without values.
    pub(crate) min: u64,
    /// The largest; 0 without values.
    pub(crate) max: u64,
}

impl Extent {
    fn record(&mut self, value: u64) {
        self.merge(&Self { count: 1, sum: value, min: value, max: value });
    }

    /// The mean; 0 without values.
    pub(crate) fn mean(&self) -> f64 {
        mean(self.sum, self.count)
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
    }
}

/// Names that [`Namespaces`] tells apart. Clients choose them: beyond so many, new ones are not
/// counted.
const NAMESPACES_MAX: usize = 1024;

/// The namespace that a path is in; the root is in none.
pub(crate) fn namespace(path: &str) -> Option<&str> {
    path.split('/').nth(1).filter(|name| !name.is_empty())
}

/// Bytes that were read or written below each child of the root, which Apache calls namespaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespaces {
    by_name: HashMap<Box<str>, Extent>,
}

impl Namespaces {
    /// Counts so many bytes for the namespace of `path`, and the path's own. Allocates for a new
    /// namespace only.
    pub(crate) fn record(&mut self, path: &str, bytes: usize) {
        let Some(name) = namespace(path) else { return };
        let bytes = (path.len() + bytes) as u64;
        if let Some(extent) = self.by_name.get_mut(name) {
            extent.record(bytes);
        } else if self.by_name.len() < NAMESPACES_MAX {
            self.by_name.entry(name.into()).or_default().record(bytes);
        }
    }

    /// Adds what another core saw.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, extent) in &other.by_name {
            self.by_name.entry(name.clone()).or_default().merge(extent);
        }
    }

    /// Starts anew. The names stay, as in Apache.
    pub(crate) fn reset(&mut self) {
        self.by_name.values_mut().for_each(|extent| *extent = Extent::default());
    }

    /// Each with its name, sorted.
    pub(crate) fn sorted(&self) -> Vec<(&str, &Extent)> {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, extent)| (&**name, extent)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }
}

/// The quotas of a namespace, added up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct QuotaReport {
    /// Znodes that there may be, by the hard limits where there are some.
    pub(crate) count_limit: i64,
    /// Bytes that there may be, likewise.
    pub(crate) bytes_limit: i64,
    /// Znodes there are.
    pub(crate) count: i64,
    /// Bytes there are.
    pub(crate) bytes: i64,
}

/// What the archivist knows of namespaces.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespaceReport {
    /// Bytes written.
    pub(crate) writes: Namespaces,
    /// Quotas of those that have some.
    pub(crate) quotas: BTreeMap<String, QuotaReport>,
    /// Writes that a hard quota refused.
    pub(crate) refused: BTreeMap<String, u64>,
}

/// Latencies are counted in microseconds, up to a minute.
const MICROS_MAX: u64 = 60_000_000;

/// Sizes of events per change are counted up to this many.
const FIRED_MAX: u64 = 1 << 24;

/// What a shard counts, and how much it holds at the moment.
#[derive(Clone, Debug)]
pub(crate) struct ShardStats {
    /// Connections at the moment.
    pub(crate) connections: u64,
    /// Requests at the moment that are not answered.
    pub(crate) outstanding: u64,
    /// Watches at the moment.
    pub(crate) watches: u64,
    /// Requests that wait in the request throttle at the moment.
    pub(crate) held: u64,
    /// The connection throttle's probability of a drop at the moment: the same on every shard.
    pub(crate) drop_probability: f64,
    /// Messages that wait in its mailbox at the moment.
    pub(crate) mailbox_depth: u64,
    /// Requests received.
    pub(crate) packets_received: u64,
    /// Replies and events sent.
    pub(crate) packets_sent: u64,
    /// Bytes of requests.
    pub(crate) bytes_received: u64,
    /// Bytes of replies to requests, without those to pings and to authentication.
    pub(crate) response_bytes: u64,
    /// Bytes of watch events.
    pub(crate) watch_bytes: u64,
    /// Connections that asked for a session.
    pub(crate) connection_requests: u64,
    /// Those of them that asked for one they had before.
    pub(crate) connection_revalidations: u64,
    /// Connections that their clients ended without closing their session.
    pub(crate) connection_drops: u64,
    /// Connections refused because there are too many, or too many at once.
    pub(crate) connections_rejected: u64,
    /// Connection tokens that were missing after each connection that was let in.
    pub(crate) missing_tokens: Summary,
    /// How long requests waited for the request throttle, those that did.
    pub(crate) throttled_ms: Summary,
    /// Requests refused because they waited too long.
    pub(crate) throttled_ops: u64,
    /// Connections whose waiting requests were dropped.
    pub(crate) stale_requests_dropped: u64,
    /// Connections closed because of too many bytes of large requests.
    pub(crate) large_requests_rejected: u64,
    /// Connections closed without a session after waiting too long.
    pub(crate) sessionless_expired: u64,
    /// Connections closed because of bytes that mean nothing.
    pub(crate) bad_frames: u64,
    /// Connections closed because their client did not read.
    pub(crate) output_overflows: u64,
    /// Failed authentications.
    pub(crate) auth_failures: u64,
    /// How often the way to the replica core was full.
    pub(crate) handover_stalls: u64,
    /// Microseconds from request to reply, of all requests.
    pub(crate) latency_us: Summary,
    /// Of reads.
    pub(crate) read_us: Summary,
    /// Of writes.
    pub(crate) update_us: Summary,
    /// Bytes of each reply.
    pub(crate) reply_bytes: Summary,
    /// Bytes of the last reply.
    pub(crate) last_reply_bytes: u64,
    /// Bytes read by namespace.
    pub(crate) reads: Namespaces,
    /// Watches told per created znode that was watched.
    pub(crate) created_watches: Summary,
    /// Watches told per deleted znode that was watched.
    pub(crate) deleted_watches: Summary,
    /// Watches told per change of data that was watched.
    pub(crate) changed_watches: Summary,
    /// Watches told per change of children that were watched.
    pub(crate) children_watches: Summary,
}

impl Default for ShardStats {
    fn default() -> Self {
        Self {
            connections: 0,
            outstanding: 0,
            watches: 0,
            held: 0,
            drop_probability: 0.0,
            mailbox_depth: 0,
            packets_received: 0,
            packets_sent: 0,
            bytes_received: 0,
            response_bytes: 0,
            watch_bytes: 0,
            connection_requests: 0,
            connection_revalidations: 0,
            connection_drops: 0,
            connections_rejected: 0,
            missing_tokens: Summary::new(1 << 32),
            throttled_ms: Summary::new(MICROS_MAX),
            throttled_ops: 0,
            stale_requests_dropped: 0,
            large_requests_rejected: 0,
            sessionless_expired: 0,
            bad_frames: 0,
            output_overflows: 0,
            auth_failures: 0,
            handover_stalls: 0,
            latency_us: Summary::new(MICROS_MAX),
            read_us: Summary::new(MICROS_MAX),
            update_us: Summary::new(MICROS_MAX),
            reply_bytes: Summary::new(1 << 32),
            last_reply_bytes: 0,
            reads: Namespaces::default(),
            created_watches: Summary::new(FIRED_MAX),
            deleted_watches: Summary::new(FIRED_MAX),
            changed_watches: Summary::new(FIRED_MAX),
            children_watches: Summary::new(FIRED_MAX),
        }
    }
}

impl ShardStats {
    /// Counts a message to a client: a reply of so many bytes behind its length.
    pub(crate) fn reply(&mut self, bytes: u64) {
        self.packets_sent += 1;
        self.last_reply_bytes = bytes;
        self.reply_bytes.record(bytes);
    }

    /// Adds what another shard counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.connections += other.connections;
        self.outstanding += other.outstanding;
        self.watches += other.watches;
        self.held += other.held;
        self.drop_probability = self.drop_probability.max(other.drop_probability);
        self.mailbox_depth += other.mailbox_depth;
        self.packets_received += other.packets_received;
        self.packets_sent += other.packets_sent;
        self.bytes_received += other.bytes_received;
        self.response_bytes += other.response_bytes;
        self.watch_bytes += other.watch_bytes;
        self.connection_requests += other.connection_requests;
        self.connection_revalidations += other.connection_revalidations;
        self.connection_drops += other.connection_drops;
        self.connections_rejected += other.connections_rejected;
        self.missing_tokens.merge(&other.missing_tokens);
        self.throttled_ms.merge(&other.throttled_ms);
        self.throttled_ops += other.throttled_ops;
        self.stale_requests_dropped += other.stale_requests_dropped;
        self.large_requests_rejected += other.large_requests_rejected;
        self.sessionless_expired += other.sessionless_expired;
        self.bad_frames += other.bad_frames;
        self.output_overflows += other.output_overflows;
        self.auth_failures += other.auth_failures;
        self.handover_stalls += other.handover_stalls;
        self.latency_us.merge(&other.latency_us);
        self.read_us.merge(&other.read_us);
        self.update_us.merge(&other.update_us);
        self.reply_bytes.merge(&other.reply_bytes);
        self.last_reply_bytes = self.last_reply_bytes.max(other.last_reply_bytes);
        self.reads.merge(&other.reads);
        self.created_watches.merge(&other.created_watches);
        self.deleted_watches.merge(&other.deleted_watches);
        self.changed_watches.merge(&other.changed_watches);
        self.children_watches.merge(&other.children_watches);
    }

    /// Starts anew (`srst`). What is true at the moment is not counted here: whoever reports adds
    /// it. Failed authentications go on, as in Apache.
    pub(crate) fn reset(&mut self) {
        let mut reads = mem::take(&mut self.reads);
        reads.reset();
        *self = Self { auth_failures: self.auth_failures, reads, ..Self::default() };
    }
}

/// What the replica core counts.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaStats {
    /// Microseconds of each log write and flush.
    pub(crate) flush_us: Summary,
    /// Commands per batch.
    pub(crate) batch_commands: Summary,
    /// Microseconds from a command's arrival on the replica core to its commit.
    pub(crate) commit_us: Summary,
    /// Sessions that were expired.
    pub(crate) sessions_expired: u64,
    /// Batches committed.
    pub(crate) commit_count: u64,
    /// Bytes written to the log.
    pub(crate) log_bytes: u64,
    /// Snapshots written.
    pub(crate) snapshot_count: u64,
    /// Snapshots that failed.
    pub(crate) snapshot_error_count: u64,
    /// Milliseconds of each snapshot.
    pub(crate) snapshot_ms: Summary,
}

impl Default for ReplicaStats {
    fn default() -> Self {
        Self {
            flush_us: Summary::new(MICROS_MAX),
            batch_commands: Summary::new(1 << 20),
            commit_us: Summary::new(MICROS_MAX),
            sessions_expired: 0,
            commit_count: 0,
            log_bytes: 0,
            snapshot_count: 0,
            snapshot_error_count: 0,
            snapshot_ms: Summary::new(86_400_000),
        }
    }
}

impl ReplicaStats {
    /// Starts anew (`srst`).
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// One connection, as `cons`, `stat` and `dump` show it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionReport {
    /// The client's address.
    pub(crate) address: SocketAddr,
    /// Whether it is read from at the moment.
    pub(crate) is_read: bool,
    /// Requests that are not answered.
    pub(crate) queued: u64,
    /// Requests received.
    pub(crate) received: u64,
    /// Replies sent.
    pub(crate) sent: u64,
    /// Its session, once it has one.
    pub(crate) session: Option<SessionReport>,
}

/// A connection's session, as `cons` shows it.
#[derive(Clone, Debug)]
pub(crate) struct SessionReport {
    /// Which.
    pub(crate) session: SessionId,
    /// Code of the last request's kind.
    pub(crate) last_operation: &'static str,
    /// When the connection was made, ms since 1970.
    pub(crate) established_ms: i64,
    /// Negotiated timeout.
    pub(crate) timeout_ms: i32,
    /// The client's last request of its own: not a ping, not what a library does by itself.
    pub(crate) last_cxid: Option<i32>,
    /// The zxid of the last reply; -1 before the first.
    pub(crate) last_zxid: i64,
    /// When the last reply left, ms since the server's start.
    pub(crate) last_response_ms: u64,
    /// How long it took.
    pub(crate) last_latency_ms: u64,
    /// The shortest.
    pub(crate) min_latency_ms: u64,
    /// The mean.
    pub(crate) mean_latency_ms: u64,
    /// The longest.
    pub(crate) max_latency_ms: u64,
}

/// A shard's watches, as `wchs`, `wchc` and `wchp` show them.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchReport {
    /// Each session that watches, with the paths it has data watches on.
    pub(crate) by_session: Vec<(SessionId, Vec<SharedStr>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_it_saw() {
        let mut summary = Summary::new(MICROS_MAX);
        assert_eq!((summary.min(), summary.max(), summary.count()), (0, 0, 0));
        assert!(summary.mean().abs() < f64::EPSILON);
        for value in 1..=100 {
            summary.record(value);
        }
        assert_eq!((summary.min(), summary.max(), summary.sum()), (1, 100, 5050));
        assert!((summary.mean() - 50.5).abs() < 1e-9);
        assert_eq!((summary.quantile(0.5), summary.quantile(0.99)), (50, 99));
    }

    #[test]
    fn bytes_are_counted_by_the_first_name_of_a_path() {
        let mut here = Namespaces::default();
        here.record("/a", 5);
        here.record("/a/b", 0);
        here.record("/", 100);
        let mut there = Namespaces::default();
        there.record("/a/c", 20);
        there.record("/b", 1);
        here.merge(&there);
        let a = Extent { count: 3, sum: 35, min: 4, max: 24 };
        let b = Extent { count: 1, sum: 3, min: 3, max: 3 };
        assert_eq!(here.sorted(), [("a", &a), ("b", &b)]);
        here.reset();
        assert_eq!(here.sorted(), [("a", &Extent::default()), ("b", &Extent::default())]);
    }

    #[test]
    fn names_of_strangers_have_a_bound() {
        let mut namespaces = Namespaces::default();
        for number in 0..NAMESPACES_MAX + 10 {
            namespaces.record(&format!("/{number}"), 0);
        }
        assert_eq!(namespaces.sorted().len(), NAMESPACES_MAX);
    }

    #[test]
    fn two_cores_add_up() {
        let mut all = ShardStats::default();
        let mut other = ShardStats::default();
        all.packets_received = 1;
        all.read_us.record(10);
        other.packets_received = 2;
        other.read_us.record(30);
        all.merge(&other);
        assert_eq!(all.packets_received, 3);
        assert_eq!((all.read_us.count(), all.read_us.max()), (2, 30));
        all.reset();
        assert_eq!((all.packets_received, all.read_us.count()), (0, 0));
    }
}
