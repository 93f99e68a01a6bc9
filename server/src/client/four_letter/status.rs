//! `srvr`, `stat`, `cons`, `dump`, `wchs`, `wchc`, `wchp`, `hash`: what is going on, for people and
//! for the tools that take these texts apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use ringkeeper_engine::{
    ids::{SessionId, Zxid},
    shared_bytes::SharedStr,
};

use super::text::{Address, Date, Double, VERSION};
use crate::metrics::{ConnectionReport, ShardStats, WatchReport};

/// What a server is at the moment, beside its counters.
#[derive(Clone, Debug)]
pub(crate) struct Overview {
    /// `standalone`, later also `leader`, `follower`, `observer`, `read-only`.
    pub(crate) mode: &'static str,
    /// The last zxid that was applied.
    pub(crate) last_zxid: Zxid,
    /// Znodes, as ZooKeeper counts.
    pub(crate) znode_count: usize,
}

/// `srvr`; with connections, `stat`.
pub(crate) fn status(
    out: &mut String,
    overview: &Overview,
    stats: &ShardStats,
    connections: Option<&[ConnectionReport]>,
) {
    line(out, format_args!("Zookeeper version: {VERSION}"));
    if let Some(connections) = connections {
        line(out, format_args!("Clients:"));
        for connection in connections {
            brief(out, connection);
            out.push_str(")\n");
        }
        out.push('\n');
    }
    let latency = &stats.latency_us;
    line(
        out,
        format_args!(
            "Latency min/avg/max: {}/{}/{}",
            latency.min() / 1000,
            Double(latency.mean() / 1000.0),
            latency.max() / 1000
        ),
    );
    line(out, format_args!("Received: {}", stats.packets_received));
    line(out, format_args!("Sent: {}", stats.packets_sent));
    line(out, format_args!("Connections: {}", stats.connections));
    line(out, format_args!("Outstanding: {}", stats.outstanding));
    line(out, format_args!("Zxid: {}", overview.last_zxid));
    line(out, format_args!("Mode: {}", overview.mode));
    line(out, format_args!("Node count: {}", overview.znode_count));
}

/// `cons`.
pub(crate) fn connections(out: &mut String, connections: &[ConnectionReport]) {
    for connection in connections {
        brief(out, connection);
        if let Some(session) = &connection.session {
            push(
                out,
                format_args!(
                    ",sid={},lop={},est={},to={}",
                    session.session,
                    session.last_operation,
                    session.established_ms,
                    session.timeout_ms,
                ),
            );
            if let Some(cxid) = session.last_cxid {
                push(out, format_args!(",lcxid={cxid:#x}"));
            }
            push(
                out,
                format_args!(
                    ",lzxid={:#x},lresp={},llat={},minlat={},avglat={},maxlat={}",
                    session.last_zxid,
                    session.last_response_ms,
                    session.last_latency_ms,
                    session.min_latency_ms,
                    session.mean_latency_ms,
                    session.max_latency_ms,
                ),
            );
        }
        out.push_str(")\n");
    }
    out.push('\n');
}

fn brief(out: &mut String, connection: &ConnectionReport) {
    push(
        out,
        format_args!(
            " {}[{}](queued={},recved={},sent={}",
            Address(connection.address),
            u8::from(connection.is_read),
            connection.queued,
            connection.received,
            connection.sent,
        ),
    );
}

/// What `dump` shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    /// Now, ms since 1970.
    pub(crate) now_ms: i64,
    /// Connections that are due within as much of each other are shown together.
    pub(crate) bucket_ms: i64,
    /// Sessions by when they expire, in ms from now, soonest first.
    pub(crate) expiries: Vec<(i64, Vec<SessionId>)>,
    /// Sessions that have ephemerals.
    pub(crate) ephemerals: Vec<(SessionId, Vec<SharedStr>)>,
    /// All connections.
    pub(crate) connections: Vec<ConnectionReport>,
}

/// `dump`.
pub(crate) fn dump(out: &mut String, dump: &Dump) {
    let sessions: usize = dump.expiries.iter().map(|(_, sessions)| sessions.len()).sum();
    line(out, format_args!("SessionTracker dump:"));
    line(out, format_args!("Session Sets ({})/({sessions}):", dump.expiries.len()));
    for (in_ms, sessions) in &dump.expiries {
        let date = Date { wall_ms: dump.now_ms + in_ms };
        line(out, format_args!("{} expire at {date}:", sessions.len()));
        for session in sessions {
            line(out, format_args!("\t{session}"));
        }
    }
    line(out, format_args!("ephemeral nodes dump:"));
    line(out, format_args!("Sessions with Ephemerals ({}):", dump.ephemerals.len()));
    for (session, paths) in &dump.ephemerals {
        line(out, format_args!("{session}:"));
        for path in paths {
            line(out, format_args!("\t{}", path.as_str()));
        }
    }
    // Apache groups connections by when it would drop them, were they silent from now on. We drop
    // them with their session, and show the same groups.
    line(out, format_args!("Connections dump:"));
    let bucket_ms = dump.bucket_ms.max(1);
    let timeout = |connection: &ConnectionReport| {
        connection.session.as_ref().map_or(bucket_ms, |session| i64::from(session.timeout_ms))
    };
    let due = |connection| ((dump.now_ms + timeout(connection)) / bucket_ms + 1) * bucket_ms;
    let mut groups: BTreeMap<i64, Vec<&ConnectionReport>> = BTreeMap::new();
    for connection in &dump.connections {
        groups.entry(due(connection)).or_default().push(connection);
    }
    let count = dump.connections.len();
    line(out, format_args!("Connections Sets ({})/({count}):", groups.len()));
    for (wall_ms, connections) in groups {
        let date = Date { wall_ms };
        line(out, format_args!("{} expire at {date}:", connections.len()));
        for connection in connections {
            let session = connection.session.as_ref().map_or(SessionId(0), |of| of.session);
            let address = Address(connection.address);
            line(out, format_args!("\tip: {address} sessionId: {session}"));
        }
    }
}

/// `wchs`.
pub(crate) fn watch_summary(out: &mut String, watches: &WatchReport) {
    let paths: BTreeSet<&str> =
        watches.by_session.iter().flat_map(|(_, paths)| paths).map(SharedStr::as_str).collect();
    let total: usize = watches.by_session.iter().map(|(_, paths)| paths.len()).sum();
    let connections = watches.by_session.len();
    line(out, format_args!("{connections} connections watching {} paths", paths.len()));
    line(out, format_args!("Total watches:{total}"));
}

/// `wchc`.
pub(crate) fn watches_by_session(out: &mut String, watches: &WatchReport) {
    for (session, paths) in &watches.by_session {
        line(out, format_args!("{session}"));
        for path in paths {
            line(out, format_args!("\t{}", path.as_str()));
        }
    }
    out.push('\n');
}

/// `wchp`.
pub(crate) fn watches_by_path(out: &mut String, watches: &WatchReport) {
    let mut by_path: BTreeMap<&str, Vec<SessionId>> = BTreeMap::new();
    for (session, paths) in &watches.by_session {
        for path in paths {
            by_path.entry(path.as_str()).or_default().push(*session);
        }
    }
    for (path, sessions) in by_path {
        line(out, format_args!("{path}"));
        for session in sessions {
            line(out, format_args!("\t{session}"));
        }
    }
    out.push('\n');
}

/// `hash`.
pub(crate) fn digests(out: &mut String, digests: impl Iterator<Item = (Zxid, u64)>) {
    for (zxid, digest) in digests {
        // Apache's are Java's long.
        line(out, format_args!("{:x}: {}", zxid.0, digest.cast_signed()));
    }
}

/// Appends, as `write!` does, to what cannot fail.
pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

/// Appends a line.
pub(crate) fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    push(out, text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::metrics::SessionReport;

    fn check(print: impl FnOnce(&mut String), expected: &Expect) {
        let mut out = String::new();
        print(&mut out);
        expected.assert_eq(&out);
    }

    fn connections() -> Vec<ConnectionReport> {
        let session = SessionReport {
            session: SessionId(0x0100_001b_fd6b_0001),
            last_operation: "GETC",
            established_ms: 1_795_487_141_762,
            timeout_ms: 30_000,
            last_cxid: Some(5),
            last_zxid: 4,
            last_response_ms: 1835,
            last_latency_ms: 2,
            min_latency_ms: 0,
            mean_latency_ms: 1,
            max_latency_ms: 2,
        };
        let report = |port: u16, session| ConnectionReport {
            address: ([127, 0, 0, 1], port).into(),
            is_read: true,
            queued: 0,
            received: 3,
            sent: 3,
            session,
        };
        vec![report(57318, Some(session)), report(57348, None)]
    }

    fn paths(paths: &[&str]) -> Vec<SharedStr> {
        paths.iter().map(|path| SharedStr::new(path)).collect()
    }

    #[test]
    fn stat_lists_clients_before_the_numbers() {
        let mut stats = ShardStats { connections: 2, packets_received: 11, ..Default::default() };
        stats.latency_us.record(500);
        stats.latency_us.record(3000);
        let overview = Overview { mode: "standalone", last_zxid: Zxid(4), znode_count: 7 };
        check(
            |out| {
                status(out, &overview, &stats, Some(&connections()));
                // The version changes with every release.
                out.replace_range(..out.find("Clients").expect("a line"), "");
            },
            &expect![[r#"
                Clients:
                 /127.0.0.1:57318[1](queued=0,recved=3,sent=3)
                 /127.0.0.1:57348[1](queued=0,recved=3,sent=3)

                Latency min/avg/max: 0/1.75/3
                Received: 11
                Sent: 0
                Connections: 2
                Outstanding: 0
                Zxid: 0x4
                Mode: standalone
                Node count: 7
            "#]],
        );
    }

    #[test]
    fn cons_says_all_about_a_connection() {
        check(
            |out| {
                // Without it, `expect` would take the space before each line for indentation.
                out.push_str("cons\n");
                super::connections(out, &connections());
            },
            &expect![[r#"
                cons
                 /127.0.0.1:57318[1](queued=0,recved=3,sent=3,sid=0x100001bfd6b0001,lop=GETC,est=1795487141762,to=30000,lcxid=0x5,lzxid=0x4,lresp=1835,llat=2,minlat=0,avglat=1,maxlat=2)
                 /127.0.0.1:57348[1](queued=0,recved=3,sent=3)

            "#]],
        );
    }

    #[test]
    fn dump_shows_sessions_ephemerals_and_connections() {
        let dump = Dump {
            now_ms: 1_795_487_142_000,
            bucket_ms: 10_000,
            expiries: vec![(30_000, vec![SessionId(1), SessionId(2)])],
            ephemerals: vec![(SessionId(1), paths(&["/e", "/e2"]))],
            connections: connections(),
        };
        check(
            |out| super::dump(out, &dump),
            &expect![[r#"
                SessionTracker dump:
                Session Sets (1)/(2):
                2 expire at Tue Nov 24 02:26:12 UTC 2026:
                	0x1
                	0x2
                ephemeral nodes dump:
                Sessions with Ephemerals (1):
                0x1:
                	/e
                	/e2
                Connections dump:
                Connections Sets (2)/(2):
                1 expire at Tue Nov 24 02:26:00 UTC 2026:
                	ip: /127.0.0.1:57348 sessionId: 0x0
                1 expire at Tue Nov 24 02:26:20 UTC 2026:
                	ip: /127.0.0.1:57318 sessionId: 0x100001bfd6b0001
            "#]],
        );
    }

    #[test]
    fn watches_are_listed_both_ways() {
        let watches = WatchReport {
            by_session: vec![(SessionId(1), paths(&["/a", "/b"])), (SessionId(2), paths(&["/a"]))],
        };
        check(
            |out| watch_summary(out, &watches),
            &expect![[r#"
                2 connections watching 2 paths
                Total watches:3
            "#]],
        );
        check(
            |out| watches_by_session(out, &watches),
            &expect![[r#"
                0x1
                	/a
                	/b
                0x2
                	/a

            "#]],
        );
        check(
            |out| watches_by_path(out, &watches),
            &expect![[r#"
                /a
                	0x1
                	0x2
                /b
                	0x1

            "#]],
        );
    }
}
