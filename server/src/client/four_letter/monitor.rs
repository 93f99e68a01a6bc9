//! `mntr`: every number by name, one per line, as exporters read them.
//!
//! First the names that Apache prints, in its order (`names`); what has no meaning here is printed
//! as Apache prints it when idle. Names that only this server has start with `zk_ringkeeper_`.

use std::collections::BTreeMap;

use ringkeeper_engine::ids::WallTime;

use super::{
    names::APACHE,
    status::{Overview, line},
    text::{Double, VERSION},
};
use crate::{
    messages::SnapshotDone,
    metrics::{Extent, NamespaceReport, QuotaReport, ReplicaStats, ShardStats, Summary},
};

/// What `mntr` shows, gathered from all cores.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    /// The server.
    pub(crate) overview: Overview,
    /// All shards.
    pub(crate) shards: ShardStats,
    /// The replica core; zeros if it did not answer.
    pub(crate) replica: Box<ReplicaStats>,
    /// What the archivist says of namespaces.
    pub(crate) namespaces: NamespaceReport,
    /// How long it took to read the data directory: one value.
    pub(crate) opened_in_ms: Summary,
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

/// Where the value of a name comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// A whole number.
    Number(fn(&Monitor) -> u64),
    /// A number with decimals.
    Real(fn(&Monitor) -> f64),
    /// A summary.
    Basic(fn(&Monitor) -> &Summary, Unit),
    /// A summary with percentiles.
    Advanced(fn(&Monitor) -> &Summary, Unit),
    /// Nothing here: zeros, on as many lines as Apache has for it.
    Idle(Lines, #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))] Why),
}

/// How many lines a name has.
#[derive(Clone, Copy)]
pub(super) enum Lines {
    /// A number.
    One,
    /// A summary.
    Five,
    /// A summary with percentiles.
    Nine,
}

/// Why a name has no value here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Why {
    /// It is of ensembles.
    Ensemble,
    /// It is of a stage that requests go through in Apache and not here.
    Stage,
    /// It is of a cache of encoded replies.
    Cache,
    /// It is of TLS.
    Tls,
    /// It is of something else that this server does not offer.
    NotOffered,
    /// It is of the Java machine or its libraries.
    Java,
}

/// `mntr`.
pub(crate) fn monitor(out: &mut String, monitor: &Monitor) {
    line(out, format_args!("zk_version\t{VERSION}"));
    line(out, format_args!("zk_server_state\t{}", monitor.overview.mode));
    let NamespaceReport { writes, quotas, refused } = &monitor.namespaces;
    for (name, source) in APACHE {
        print(out, name, *source, monitor);
        // Apache prints what it has one of per namespace behind all others of the same kind.
        match *name {
            LAST_GAUGE => print_quotas(out, quotas),
            LAST_COUNTER => {
                for (name, count) in refused {
                    number(out, &format!("{name}_quota_exceeded_error_per_namespace"), *count);
                }
            }
            _ => {}
        }
    }
    for (kind, namespaces) in [("read", &monitor.shards.reads), ("write", writes)] {
        for (name, extent) in namespaces.sorted() {
            namespace(out, &format!("{name}_{kind}_per_namespace"), extent);
        }
    }
    our_own(out, monitor);
}

/// The last of the names that say how it is now, and the last of those that count.
const LAST_GAUGE: &str = "non_mtls_local_conn_count";
const LAST_COUNTER: &str = "revalidate_count";

fn print_quotas(out: &mut String, quotas: &BTreeMap<String, QuotaReport>) {
    let mut print = |kind: &str, value: fn(&QuotaReport) -> i64| {
        for (name, quota) in quotas {
            let value = value(quota);
            line(out, format_args!("zk_{name}_quota_{kind}_per_namespace\t{value}"));
        }
    };
    print("bytes_limit", |quota| quota.bytes_limit);
    print("count_usage", |quota| quota.count);
    print("count_limit", |quota| quota.count_limit);
    print("bytes_usage", |quota| quota.bytes);
}

fn print(out: &mut String, name: &str, source: Source, monitor: &Monitor) {
    match source {
        Source::Number(value) => number(out, name, value(monitor)),
        Source::Real(value) => line(out, format_args!("zk_{name}\t{}", Double(value(monitor)))),
        Source::Basic(summary, unit) => basic(out, name, summary(monitor), unit),
        Source::Advanced(summary, unit) => advanced(out, name, summary(monitor), unit),
        Source::Idle(Lines::One, _) => number(out, name, 0),
        Source::Idle(lines, _) => {
            line(out, format_args!("zk_avg_{name}\t0.0"));
            for label in ["min", "max", "cnt", "sum"] {
                line(out, format_args!("zk_{label}_{name}\t0"));
            }
            if let Lines::Nine = lines {
                for (label, _) in QUANTILES {
                    line(out, format_args!("zk_{label}_{name}\t0"));
                }
            }
        }
    }
}

fn our_own(out: &mut String, monitor: &Monitor) {
    let Monitor { shards, replica, .. } = monitor;
    number(out, "ringkeeper_bad_frame_count", shards.bad_frames);
    number(out, "ringkeeper_output_overflow_count", shards.output_overflows);
    number(out, "ringkeeper_handover_stall_count", shards.handover_stalls);
    number(out, "ringkeeper_mailbox_depth", shards.mailbox_depth);
    number(out, "ringkeeper_held_request_count", shards.held);
    // The same as above in microseconds: a fast server's milliseconds are all 0.
    advanced(out, "ringkeeper_read_us", &shards.read_us, Unit::Count);
    advanced(out, "ringkeeper_update_us", &shards.update_us, Unit::Count);
    advanced(out, "ringkeeper_flush_us", &replica.flush_us, Unit::Count);
    advanced(out, "ringkeeper_commit_us", &replica.commit_us, Unit::Count);
    number(out, "ringkeeper_log_bytes", replica.log_bytes);
    if let Some(snapshot) = &monitor.last_snapshot {
        let age_ms = u64::try_from(monitor.now.0 - snapshot.done_at.0).unwrap_or(0);
        number(out, "ringkeeper_snapshot_age_ms", age_ms);
        number(out, "ringkeeper_snapshot_bytes", snapshot.bytes);
    }
}

/// In what a summary counts, and how it is shown.
#[derive(Clone, Copy)]
pub(super) enum Unit {
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
    for (label, quantile) in QUANTILES {
        let value = unit.whole(summary.quantile(quantile));
        line(out, format_args!("zk_{label}_{name}\t{value}"));
    }
}

/// The percentiles of a summary that has some.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];

fn namespace(out: &mut String, name: &str, extent: &Extent) {
    line(out, format_args!("zk_avg_{name}\t{}", Double(extent.mean())));
    line(out, format_args!("zk_min_{name}\t{}", extent.min));
    line(out, format_args!("zk_max_{name}\t{}", extent.max));
    line(out, format_args!("zk_cnt_{name}\t{}", extent.count));
    line(out, format_args!("zk_sum_{name}\t{}", extent.sum));
}

#[cfg(test)]
mod tests {
    use ringkeeper_engine::{batch::Base, ids::Zxid};

    use super::*;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    const PER_NAMESPACE: [&str; 7] = [
        "read",
        "write",
        "quota_bytes_limit",
        "quota_count_usage",
        "quota_count_limit",
        "quota_bytes_usage",
        "quota_exceeded_error",
    ];
    const BEGIN: &str = "<!-- idle metrics: from server/src/client/four_letter/names.rs -->\n";
    const END: &str = "<!-- end of idle metrics -->\n";

    impl Why {
        fn sentence(self) -> &'static str {
            match self {
                Self::Ensemble => "of ensembles; a single Apache server prints 0, too",
                Self::Stage => "of a stage that requests go through in Apache and not here",
                Self::Cache => "of a cache of encoded replies, which this server does not need",
                Self::Tls => "of TLS, which is not there yet",
                Self::NotOffered => "of something that this server does not offer yet",
                Self::Java => "of the Java machine or a library of it",
            }
        }
    }

    fn snapshot() -> SnapshotDone {
        SnapshotDone {
            base: Base::default(),
            done_at: WallTime(2000),
            path: "snapshot".into(),
            bytes: 7,
            took_ms: 1,
        }
    }

    fn idle() -> Monitor {
        Monitor {
            overview: Overview { mode: "standalone", last_zxid: Zxid(4), znode_count: 7 },
            shards: ShardStats::default(),
            replica: Box::default(),
            namespaces: NamespaceReport::default(),
            opened_in_ms: Summary::new(2),
            now: WallTime(5000),
            last_snapshot: Some(snapshot()),
            ephemerals: 0,
            sessions: 1,
            approximate_data_size: 53,
            uptime_ms: 988,
            open_files: 55,
            open_files_max: 20_000,
        }
    }

    #[test]
    fn every_line_is_a_name_a_tab_and_a_value() {
        let mut shards = ShardStats { connections: 3, ..Default::default() };
        shards.update_us.record(1500);
        shards.reads.record("/a/b", 10);
        let monitor = Monitor { shards, ephemerals: 2, ..idle() };
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
            "zk_min_a_read_per_namespace\t14",
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

    /// What has a value has a row in the document, and what has a row has a value.
    #[test]
    fn operations_explains_every_number() {
        let text = std::fs::read_to_string(DOCUMENT).expect("the document is there");
        let (_, section) = text.split_once("\n## Metrics\n").expect("the section is there");
        let (section, _) = section.split_once("\n### ").expect("the idle ones follow");
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut expected: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
        expected.sort_unstable();

        let mut found = vec!["version".to_owned(), "server_state".to_owned()];
        let with_value = |(name, source): &(&str, Source)| {
            (!matches!(source, Source::Idle(..))).then(|| (*name).to_owned())
        };
        found.extend(APACHE.iter().filter_map(with_value));
        found.extend(PER_NAMESPACE.map(|kind| format!("NAME_{kind}_per_namespace")));
        let mut out = String::new();
        our_own(&mut out, &idle());
        for name in out.lines().filter_map(|line| line.strip_prefix("zk_")?.split('\t').next()) {
            // The lines of a summary are one number to a reader.
            let (label, summary) = name.split_once('_').expect("names have several words");
            if label == "ringkeeper" {
                found.push(name.to_owned());
            } else if label == "cnt" {
                found.push(summary.to_owned());
            }
        }
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    /// What has none is in the other table; `UPDATE_EXPECT=1` writes it.
    #[test]
    fn operations_lists_the_idle_names() {
        let mut by_reason: BTreeMap<Why, Vec<&str>> = BTreeMap::new();
        for (name, source) in APACHE {
            if let Source::Idle(_, why) = source {
                by_reason.entry(*why).or_default().push(name);
            }
        }
        let mut table = String::from("| Names | Why they are 0 |\n| --- | --- |\n");
        for (why, mut names) in by_reason {
            names.sort_unstable();
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            line(&mut table, format_args!("| {} | {} |", names.join(", "), why.sentence()));
        }
        let text = std::fs::read_to_string(DOCUMENT).expect("the document is there");
        let (head, rest) = text.split_once(BEGIN).expect("the first mark is there");
        let (found, tail) = rest.split_once(END).expect("the last mark is there");
        let wanted = format!("\n{table}\n");
        if found == wanted {
            return;
        }
        assert!(std::env::var_os("UPDATE_EXPECT").is_some(), "run with UPDATE_EXPECT=1");
        let text = format!("{head}{BEGIN}{wanted}{END}{tail}");
        std::fs::write(DOCUMENT, text).expect("the document can be written");
    }
}
