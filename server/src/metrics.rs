//! Counters and latencies: one plain struct per core, no atomics; whoever wants them asks by
//! mailbox and adds them up.

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
        self.histogram.saturating_record(value);
        self.sum += value;
    }

    /// Adds what another core saw.
    pub(crate) fn merge(&mut self, other: &Self) {
        // Values beyond this one's bound cannot occur: both were made with the same bound.
        self.histogram.add(&other.histogram).expect("equal bounds");
        self.sum += other.sum;
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.histogram.reset();
        self.sum = 0;
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
        if self.count() == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a mean that is printed with four digits")]
        let mean = self.sum as f64 / self.count() as f64;
        mean
    }

    /// The value that `quantile` (0 to 1) of all values do not exceed; 0 without values.
    pub(crate) fn quantile(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }
}

/// What a shard counts.
#[derive(Clone, Debug)]
pub(crate) struct ShardStats {
    /// Requests received.
    pub(crate) packets_received: u64,
    /// Replies and events sent.
    pub(crate) packets_sent: u64,
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
        const MICROS_MAX: u64 = 60_000_000;
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

/// One connection, as `cons` and `stat` show it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionReport {
    /// The client's address.
    pub(crate) address: std::net::SocketAddr,
    /// Its session; 0 before the handshake.
    pub(crate) session: SessionId,
}

/// A shard's watches, as `wchs`, `wchc` and `wchp` show them.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchReport {
    /// Each session that watches, with what it watches.
    pub(crate) by_session: Vec<(SessionId, Vec<SharedStr>)>,
}
