//! `mntr`: every number by name, one per line, as exporters read them.
//!
//! Names are Apache's wherever the number means the same here. Apache's names for parts that this
//! server does not have (its request processors, its election) are left out; names that only this
//! server has start with `zk_ringkeeper_`.

use ringkeeper_engine::ids::WallTime;

use super::{
    status::{Overview, line},
    text::{Double, VERSION},
};
use crate::{
    messages::SnapshotDone,
    metrics::{ReplicaStats, ShardStats, Summary},
};

/// What `mntr` shows, gathered from all cores.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    /// The server.
    pub(crate) overview: Overview,
    /// All shards.
    pub(crate) shards: ShardStats,
    /// The replica core, if it answered.
    pub(crate) replica: Option<Box<ReplicaStats>>,
    /// The wall clock.
    pub(crate) now: WallTime,
    /// The last snapshot of this start, if there is one and the archivist answered.
    pub(crate) last_snapshot: Option<SnapshotDone>,
    /// Ephemeral znodes.
    pub(crate) ephemerals: usize,
    /// Open sessions.
    pub(crate) sessions: usize,
    /// Bytes of paths and data.
    pub(crate) approximate_data_size: u64,
    /// Milliseconds since the server's start.
    pub(crate) uptime_ms: u64,
    /// Open file descriptors.
    pub(crate) open_files: u64,
    /// How many may be open.
    pub(crate) open_files_max: u64,
}

/// `mntr`.
pub(crate) fn monitor(out: &mut String, monitor: &Monitor) {
    line(out, format_args!("zk_version\t{VERSION}"));
    line(out, format_args!("zk_server_state\t{}", monitor.overview.mode));
    gauges(out, monitor);
    counters(out, &monitor.shards);
    let shards = &monitor.shards;
    basic(out, "node_created_watch_count", &shards.created_watches, Unit::Count);
    basic(out, "node_deleted_watch_count", &shards.deleted_watches, Unit::Count);
    basic(out, "node_changed_watch_count", &shards.changed_watches, Unit::Count);
    basic(out, "node_children_watch_count", &shards.children_watches, Unit::Count);
    advanced(out, "readlatency", &shards.read_us, Unit::Micros);
    advanced(out, "updatelatency", &shards.update_us, Unit::Micros);
    // The same in microseconds: a fast server's milliseconds are all 0.
    advanced(out, "ringkeeper_read_us", &shards.read_us, Unit::Count);
    advanced(out, "ringkeeper_update_us", &shards.update_us, Unit::Count);
    if let Some(replica) = &monitor.replica {
        replica_numbers(out, replica);
    }
    if let Some(snapshot) = &monitor.last_snapshot {
        let age_ms = u64::try_from(monitor.now.0 - snapshot.done_at.0).unwrap_or(0);
        number(out, "ringkeeper_snapshot_age_ms", age_ms);
        number(out, "ringkeeper_snapshot_bytes", snapshot.bytes);
    }
}

fn gauges(out: &mut String, monitor: &Monitor) {
    let shards = &monitor.shards;
    let latency = &shards.latency_us;
    number(out, "ephemerals_count", monitor.ephemerals as u64);
    number(out, "num_alive_connections", shards.connections);
    line(out, format_args!("zk_avg_latency\t{}", Double(latency.mean() / 1000.0)));
    number(out, "outstanding_requests", shards.outstanding);
    number(out, "znode_count", monitor.overview.znode_count as u64);
    number(out, "global_sessions", monitor.sessions as u64);
    number(out, "non_mtls_remote_conn_count", 0);
    number(out, "last_client_response_size", shards.last_reply_bytes);
    number(out, "packets_sent", shards.packets_sent);
    number(out, "packets_received", shards.packets_received);
    number(out, "max_client_response_size", shards.reply_bytes.max());
    let drop_probability = Double(shards.drop_probability);
    line(out, format_args!("zk_connection_drop_probability\t{drop_probability}"));
    number(out, "watch_count", shards.watches);
    number(out, "auth_failed_count", shards.auth_failures);
    number(out, "min_latency", latency.min() / 1000);
    number(out, "max_file_descriptor_count", monitor.open_files_max);
    number(out, "approximate_data_size", monitor.approximate_data_size);
    number(out, "open_file_descriptor_count", monitor.open_files);
    number(out, "local_sessions", 0);
    number(out, "uptime", monitor.uptime_ms);
    number(out, "max_latency", latency.max() / 1000);
    number(out, "outstanding_tls_handshake", 0);
    number(out, "min_client_response_size", shards.reply_bytes.min());
    number(out, "non_mtls_local_conn_count", 0);
}

fn counters(out: &mut String, shards: &ShardStats) {
    number(out, "watch_bytes", shards.watch_bytes);
    number(out, "connection_rejected", shards.connections_rejected);
    basic(out, "connection_token_deficit", &shards.missing_tokens, Unit::Count);
    number(out, "throttled_ops", shards.throttled_ops);
    number(out, "stale_requests_dropped", shards.stale_requests_dropped);
    number(out, "large_requests_rejected", shards.large_requests_rejected);
    number(out, "ringkeeper_held_request_count", shards.held);
    number(out, "sessionless_connections_expired", shards.sessionless_expired);
    number(out, "bytes_received_count", shards.bytes_received);
    number(out, "response_bytes", shards.response_bytes);
    number(out, "connection_request_count", shards.connection_requests);
    number(out, "ringkeeper_bad_frame_count", shards.bad_frames);
    number(out, "ringkeeper_output_overflow_count", shards.output_overflows);
    number(out, "ringkeeper_handover_stall_count", shards.handover_stalls);
    number(out, "ringkeeper_mailbox_depth", shards.mailbox_depth);
}

fn replica_numbers(out: &mut String, replica: &ReplicaStats) {
    number(out, "stale_sessions_expired", replica.sessions_expired);
    number(out, "commit_count", replica.commit_count);
    number(out, "snap_count", replica.snapshot_count);
    number(out, "snapshot_error_count", replica.snapshot_error_count);
    number(out, "ringkeeper_log_bytes", replica.log_bytes);
    basic(out, "fsynctime", &replica.flush_us, Unit::Micros);
    basic(out, "snapshottime", &replica.snapshot_ms, Unit::Count);
    basic(out, "sync_processor_batch_size", &replica.batch_commands, Unit::Count);
    advanced(out, "quorum_ack_latency", &replica.commit_us, Unit::Micros);
    advanced(out, "ringkeeper_flush_us", &replica.flush_us, Unit::Count);
    advanced(out, "ringkeeper_commit_us", &replica.commit_us, Unit::Count);
}

/// In what a summary counts, and how it is shown.
#[derive(Clone, Copy)]
enum Unit {
    /// As it is.
    Count,
    /// Counted in microseconds, shown in milliseconds.
    Micros,
}

impl Unit {
    fn whole(self, value: u64) -> u64 {
        match self {
            Self::Count => value,
            Self::Micros => value / 1000,
        }
    }

    fn mean(self, value: f64) -> Double {
        match self {
            Self::Count => Double(value),
            Self::Micros => Double(value / 1000.0),
        }
    }
}

fn number(out: &mut String, name: &str, value: u64) {
    line(out, format_args!("zk_{name}\t{value}"));
}

fn basic(out: &mut String, name: &str, summary: &Summary, unit: Unit) {
    line(out, format_args!("zk_avg_{name}\t{}", unit.mean(summary.mean())));
    line(out, format_args!("zk_min_{name}\t{}", unit.whole(summary.min())));
    line(out, format_args!("zk_max_{name}\t{}", unit.whole(summary.max())));
    line(out, format_args!("zk_cnt_{name}\t{}", summary.count()));
    line(out, format_args!("zk_sum_{name}\t{}", unit.whole(summary.sum())));
}

fn advanced(out: &mut String, name: &str, summary: &Summary, unit: Unit) {
    basic(out, name, summary, unit);
    for (label, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
        let value = unit.whole(summary.quantile(quantile));
        line(out, format_args!("zk_{label}_{name}\t{value}"));
    }
}

#[cfg(test)]
mod tests {
    use ringkeeper_engine::{batch::Base, ids::Zxid};

    use super::*;

    fn snapshot() -> SnapshotDone {
        SnapshotDone {
            base: Base::default(),
            done_at: WallTime(2000),
            path: "snapshot".into(),
            bytes: 7,
            took_ms: 1,
        }
    }

    #[test]
    fn every_line_is_a_name_a_tab_and_a_value() {
        let mut shards = ShardStats { connections: 3, ..Default::default() };
        shards.update_us.record(1500);
        let monitor = Monitor {
            overview: Overview { mode: "standalone", last_zxid: Zxid(4), znode_count: 7 },
            shards,
            replica: Some(Box::default()),
            now: WallTime(5000),
            last_snapshot: Some(snapshot()),
            ephemerals: 2,
            sessions: 1,
            approximate_data_size: 53,
            uptime_ms: 988,
            open_files: 55,
            open_files_max: 20_000,
        };
        let mut out = String::new();
        super::monitor(&mut out, &monitor);
        for line in out.lines() {
            let (name, value) = line.split_once('\t').expect("a tab");
            assert!(name.starts_with("zk_") && !value.is_empty(), "{line}");
        }
        for expected in [
            "zk_server_state\tstandalone",
            "zk_znode_count\t7",
            "zk_num_alive_connections\t3",
            "zk_avg_updatelatency\t1.5",
            "zk_cnt_updatelatency\t1",
            "zk_avg_latency\t0.0",
            "zk_ringkeeper_snapshot_age_ms\t3000",
        ] {
            assert!(out.lines().any(|line| line == expected), "{expected} in {out}");
        }
        let mut names: Vec<&str> = out.lines().filter_map(|line| line.split('\t').next()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "no name twice");
    }

    /// What is printed has a row in the document, and what has a row is printed.
    #[test]
    fn operations_explains_every_number() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let text = std::fs::read_to_string(path).expect("the document is there");
        let (_, section) = text.split_once("\n## Metrics\n").expect("the section is there");
        let (section, _) = section.split_once("\n## ").expect("another one follows");
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut expected: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        expected.sort_unstable();

        let monitor = Monitor {
            overview: Overview { mode: "standalone", last_zxid: Zxid(4), znode_count: 7 },
            shards: ShardStats::default(),
            replica: Some(Box::default()),
            now: WallTime(5000),
            last_snapshot: Some(snapshot()),
            ephemerals: 0,
            sessions: 0,
            approximate_data_size: 0,
            uptime_ms: 0,
            open_files: 0,
            open_files_max: 0,
        };
        let mut out = String::new();
        super::monitor(&mut out, &monitor);
        let names = out.lines().filter_map(|line| line.strip_prefix("zk_")?.split('\t').next());
        let names: Vec<&str> = names.collect();
        // The lines of a summary are one number to a reader.
        let mut found: Vec<&str> = names
            .iter()
            .map(|name| {
                let summary = name.split_once('_').map_or("", |(_, rest)| rest);
                let is_summary = names.contains(&&*format!("cnt_{summary}"));
                if is_summary { summary } else { name }
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, expected);
    }
}
