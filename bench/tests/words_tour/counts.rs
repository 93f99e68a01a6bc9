//! After the same conversation, the same counts.

use std::{collections::BTreeMap, time::Duration};

use ringkeeper_bench::{
    servers::four_letter,
    tour::{self, Tour, eventually},
    wire::{
        Connect, Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

use crate::talk::Talk;

/// Compares the values that `expected` names.
#[track_caller]
fn check(found: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let differ: Vec<_> = expected
        .iter()
        .filter(|(key, value)| found.get(*key).is_none_or(|found| found != value))
        .map(|(key, value)| format!("{key} is {:?}, not {value}", found.get(*key)))
        .collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

/// The numbers of a summary: count, smallest, largest, sum.
#[track_caller]
fn check_summary(found: &BTreeMap<String, String>, name: &str, numbers: [u64; 4]) {
    let [count, min, max, sum] = numbers;
    let of = |label: &str| format!("zk_{label}_{name}");
    let (count, min, max, sum) =
        (count.to_string(), min.to_string(), max.to_string(), sum.to_string());
    check(
        found,
        &[(&of("cnt"), &count), (&of("min"), &min), (&of("max"), &max), (&of("sum"), &sum)],
    );
}

pub(crate) fn srvr_counts_packets_and_znodes(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let text = talk.ask("srvr")?;
    // Received: 9 of the writer, 16 of the reader, 2 of the third, and this word. Sent: the answer
    // to srst, one for each of those, and two events.
    for line in ["Received: 28", "Sent: 30", "Connections: 3", "Outstanding: 0", "Node count: 8"] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let zxid = text.lines().find_map(|line| line.strip_prefix("Zxid: 0x")).ok_or("no zxid")?;
    let counter = i64::from_str_radix(zxid, 16)? & 0xffff_ffff;
    // The probe's two, three sessions, eight writes, a multi and a close.
    assert_eq!(counter, 15, "{text}");
    Ok(())
}

pub(crate) fn long_texts_are_several_packets(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    // 180 sessions' lines: more than a packet has.
    let mut others = Vec::new();
    for _ in 0..180 {
        others.push(Connection::new_session(talk.server.address())?);
    }
    talk.ask("srst")?;
    let text = talk.ask("cons")?;
    let pieces = text.len().div_ceil(8192);
    assert!(2 < pieces, "{} bytes", text.len());
    let status = talk.ask("srvr")?;
    assert!(status.contains(&format!("\nSent: {}\n", 1 + pieces)), "{pieces} pieces: {status}");
    Ok(())
}

pub(crate) fn cons_knows_each_connection(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let zxid = |counter: i64| {
        let epoch = i64::from(tour.is_ringkeeper()) << 32;
        format!("0x{:x}", epoch + counter)
    };
    let sid = |of: &Connection| format!("0x{:x}", of.session.session);
    check(
        &talk.cons(&talk.writer)?,
        &[
            ("queued", "0"),
            ("recved", "9"),
            ("sent", "9"),
            ("sid", &sid(&talk.writer)),
            ("lop", "DELE"),
            ("to", "10000"),
            ("lcxid", "0x8"),
            ("lzxid", &zxid(13)),
        ],
    );
    check(
        &talk.cons(&talk.reader)?,
        &[
            ("queued", "0"),
            ("recved", "16"),
            ("sent", "18"),
            ("sid", &sid(&talk.reader)),
            ("lop", "PING"),
            ("to", "10000"),
            ("lcxid", "0xd"),
            ("lzxid", &zxid(10)),
        ],
    );
    Ok(())
}

pub(crate) fn cons_after_a_refused_write(tour: &Tour) -> Result<(), Failure> {
    let mut talk = Talk::hold(tour)?;
    let again = records::create("/talk", None, &Acl::open(), flags::PERSISTENT);
    assert_eq!(talk.writer.call(op::CREATE, &again)?.err, code::NODE_EXISTS);
    let fields = talk.cons(&talk.writer)?;
    check(&fields, &[("recved", "10"), ("sent", "10"), ("lop", "NA"), ("lcxid", "0x9")]);
    // A refused read is known by its name.
    talk.writer.call(op::GET_DATA, &records::path_watch("/nothing", false))?;
    let fields = talk.cons(&talk.writer)?;
    check(&fields, &[("recved", "11"), ("sent", "11"), ("lop", "GETD"), ("lcxid", "0xa")]);
    Ok(())
}

pub(crate) fn cons_of_a_session_that_came_back(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let address = talk.server.address();
    let fresh = Connection::new_session(address)?;
    let fields = talk.cons(&fresh)?;
    check(&fields, &[("recved", "1"), ("sent", "1"), ("lop", "SESS"), ("lcxid", "0x0")]);
    let mut again = Connection::open(address, &Connect::resume(&talk.writer.session))?;
    let fields = talk.cons(&again)?;
    check(&fields, &[("recved", "1"), ("sent", "1"), ("lop", "null"), ("lcxid", "0x0")]);
    check(&fields, &[("lzxid", "0x0"), ("lresp", "0"), ("maxlat", "0")]);
    again.stat("/talk")?;
    let fields = talk.cons(&again)?;
    check(&fields, &[("recved", "2"), ("sent", "2"), ("lop", "EXIS"), ("lcxid", "0x1")]);
    Ok(())
}

pub(crate) fn cons_starts_anew_with_crst(tour: &Tour) -> Result<(), Failure> {
    let mut talk = Talk::hold(tour)?;
    talk.ask("crst")?;
    let fields = talk.cons(&talk.reader)?;
    check(&fields, &[("recved", "0"), ("sent", "0"), ("lop", "NA"), ("to", "10000")]);
    check(&fields, &[("lzxid", "0xffffffffffffffff"), ("lresp", "0"), ("llat", "0")]);
    check(&fields, &[("minlat", "0"), ("avglat", "0"), ("maxlat", "0")]);
    assert_eq!(fields.get("lcxid"), None);
    talk.reader.stat("/talk")?;
    let fields = talk.cons(&talk.reader)?;
    check(&fields, &[("recved", "1"), ("sent", "1"), ("lop", "EXIS"), ("lcxid", "0xe")]);
    // The server's own numbers go on.
    assert!(talk.ask("srvr")?.contains("\nReceived: 32\n"));
    Ok(())
}

pub(crate) fn mntr_gauges(tour: &Tour) -> Result<(), Failure> {
    let found = Talk::hold(tour)?.mntr()?;
    check(
        &found,
        &[
            ("zk_ephemerals_count", "1"),
            ("zk_num_alive_connections", "3"),
            ("zk_outstanding_requests", "0"),
            ("zk_znode_count", "8"),
            ("zk_global_sessions", "2"),
            ("zk_local_sessions", "0"),
            ("zk_watch_count", "4"),
            ("zk_auth_failed_count", "0"),
            ("zk_approximate_data_size", "69"),
            ("zk_packets_received", "28"),
            ("zk_packets_sent", "30"),
            ("zk_last_client_response_size", "16"),
            ("zk_min_client_response_size", "16"),
            ("zk_max_client_response_size", "111"),
            ("zk_connection_drop_probability", "0.0"),
        ],
    );
    let number = |key: &str| found.get(key).and_then(|value| value.parse::<f64>().ok());
    for key in ["zk_uptime", "zk_open_file_descriptor_count", "zk_max_file_descriptor_count"] {
        assert!(number(key).is_some_and(|value| value > 10.0), "{key}: {:?}", found.get(key));
    }
    Ok(())
}

pub(crate) fn mntr_counters(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    Connection::open(talk.server.address(), &Connect::resume(&talk.writer.session))?;
    check(
        &talk.mntr()?,
        &[
            ("zk_watch_bytes", "66"),
            ("zk_bytes_received_count", "996"),
            ("zk_connection_request_count", "4"),
            ("zk_connection_revalidate_count", "1"),
            ("zk_connection_rejected", "0"),
            ("zk_sessionless_connections_expired", "0"),
            ("zk_prep_processor_request_queued", "26"),
            ("zk_sync_processor_request_queued", "26"),
            ("zk_stale_sessions_expired", "0"),
            ("zk_snapshot_error_count", "0"),
            ("zk_unrecoverable_error_count", "0"),
        ],
    );
    // Apache counts a reply after it has sent it.
    eventually(Duration::from_secs(10), "the last reply is counted", || {
        Ok(talk.mntr()?.get("zk_response_bytes").is_some_and(|bytes| bytes == "1129"))
    })
}

pub(crate) fn mntr_summaries(tour: &Tour) -> Result<(), Failure> {
    let found = Talk::hold(tour)?.mntr()?;
    check(&found, &[("zk_cnt_readlatency", "13"), ("zk_cnt_updatelatency", "13")]);
    check(&found, &[("zk_cnt_propagation_latency", "13")]);
    check_summary(&found, "node_changed_watch_count", [1, 1, 1, 1]);
    check_summary(&found, "node_children_watch_count", [1, 1, 1, 1]);
    check_summary(&found, "node_created_watch_count", [0, 0, 0, 0]);
    check_summary(&found, "node_deleted_watch_count", [0, 0, 0, 0]);
    check_summary(&found, "sync_processor_batch_size", [13, 1, 1, 13]);
    Ok(())
}

pub(crate) fn mntr_namespaces(tour: &Tour) -> Result<(), Failure> {
    let mut talk = Talk::hold(tour)?;
    let found = talk.mntr()?;
    check_summary(&found, "talk_read_per_namespace", [4, 78, 86, 328]);
    check_summary(&found, "talk_write_per_namespace", [6, 7, 18, 77]);
    check_summary(&found, "ttl_write_per_namespace", [1, 4, 4, 4]);
    talk.writer.stat("/talk/e")?;
    talk.writer.call(op::CLOSE_SESSION, &[])?.ok()?;
    let found = talk.mntr()?;
    check_summary(&found, "talk_read_per_namespace", [5, 75, 86, 403]);
    check_summary(&found, "talk_write_per_namespace", [7, 7, 18, 84]);
    Ok(())
}

pub(crate) fn mntr_quotas(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tour::shared_settings().line("enforceQuota", "true"))?;
    let mut client = Connection::new_session(server.address())?;
    for path in ["/qa", "/qb", "/qb/in", "/zookeeper/quota/qa"] {
        client.create(path, b"", 0)?;
    }
    client.create("/zookeeper/quota/qb", b"", 0)?;
    client.create("/zookeeper/quota/qb/in", b"", 0)?;
    let hard = b"count=3,bytes=100;byteHardLimit=200;countHardLimit=2";
    client.create("/zookeeper/quota/qa/zookeeper_limits", hard, 0)?;
    client.create("/zookeeper/quota/qa/zookeeper_stats", b"count=1,bytes=0", 0)?;
    client.create("/zookeeper/quota/qb/in/zookeeper_limits", b"count=5,bytes=-1", 0)?;
    client.create("/zookeeper/quota/qb/in/zookeeper_stats", b"count=1,bytes=0", 0)?;
    client.create("/qa/x", b"abc", 0)?;
    let body = records::create("/qa/y", None, &Acl::open(), 0);
    assert_eq!(client.call(op::CREATE, &body)?.err, code::QUOTA_EXCEEDED);
    client.call(op::MULTI, &records::multi(&[(op::CREATE, body)]))?.ok()?;
    let text = four_letter(server.address(), "mntr")?;
    let mut lines = text.lines().skip_while(|line| !line.starts_with("zk_non_mtls_local_conn"));
    let quotas: Vec<_> = lines.by_ref().skip(1).take(8).collect();
    assert_eq!(
        quotas,
        [
            "zk_qa_quota_bytes_limit_per_namespace\t200",
            "zk_qb_quota_bytes_limit_per_namespace\t-1",
            "zk_qa_quota_count_usage_per_namespace\t2",
            "zk_qb_quota_count_usage_per_namespace\t1",
            "zk_qa_quota_count_limit_per_namespace\t2",
            "zk_qb_quota_count_limit_per_namespace\t5",
            "zk_qa_quota_bytes_usage_per_namespace\t3",
            "zk_qb_quota_bytes_usage_per_namespace\t0",
        ]
    );
    let refused = lines.take_while(|line| !line.starts_with("zk_avg_"));
    assert_eq!(refused.last(), Some("zk_qa_quota_exceeded_error_per_namespace\t2"));
    Ok(())
}

pub(crate) fn mntr_starts_anew_with_srst(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let mut found = BTreeMap::new();
    // Apache counts a reply after it has sent it: perhaps after the first srst.
    eventually(Duration::from_secs(10), "all replies were counted before", || {
        talk.ask("srst")?;
        found = talk.mntr()?;
        Ok(found.get("zk_response_bytes").is_some_and(|bytes| bytes == "0"))
    })?;
    check(
        &found,
        &[
            ("zk_packets_received", "1"),
            ("zk_packets_sent", "1"),
            ("zk_bytes_received_count", "4"),
            ("zk_watch_bytes", "0"),
            ("zk_connection_request_count", "0"),
            ("zk_prep_processor_request_queued", "0"),
            ("zk_max_latency", "0"),
            ("zk_cnt_readlatency", "0"),
            ("zk_cnt_updatelatency", "0"),
            ("zk_cnt_fsynctime", "0"),
            ("zk_cnt_node_changed_watch_count", "0"),
            // These are true now, whatever was counted.
            ("zk_watch_count", "4"),
            ("zk_znode_count", "8"),
            ("zk_global_sessions", "2"),
        ],
    );
    for name in ["talk_read", "talk_write", "ttl_write"] {
        check_summary(&found, &format!("{name}_per_namespace"), [0, 0, 0, 0]);
    }
    Ok(())
}

pub(crate) fn connections_that_break_are_counted(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let address = talk.server.address();
    drop(Connection::new_session(address)?);
    drop(Connection::dial(address)?);
    eventually(Duration::from_secs(10), "both are counted", || {
        Ok(talk.mntr()?.get("zk_connection_drop_count").is_some_and(|count| count == "2"))
    })
}

pub(crate) fn sessions_that_expire_are_counted(tour: &Tour) -> Result<(), Failure> {
    let talk = Talk::hold(tour)?;
    let short = Connect { timeout_ms: 1000, ..Connect::default() };
    let mut silent = Connection::open(talk.server.address(), &short)?;
    silent.expect_closed()?;
    let text = four_letter(talk.server.address(), "mntr")?;
    assert!(text.contains("zk_stale_sessions_expired\t1\n"), "{text}");
    Ok(())
}
