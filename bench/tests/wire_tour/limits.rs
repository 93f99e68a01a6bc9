//! Limits and many clients: what is refused, what is not, and that it stays quick.

use std::time::Duration;

use ringkeeper_bench::{
    servers::Settings,
    tour::{Tour, eventually},
    wire::{
        Connect, Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

pub(crate) fn the_longest_request_is_a_setting(tour: &Tour) -> Result<(), Failure> {
    let large = tour.private(Settings::new().define("jute.maxbuffer", "4194304"))?;
    let mut client = Connection::new_session(large.address())?;
    client.create("/large", &vec![1; 3_000_000], 0)?;
    assert_eq!(client.stat("/large")?.data_length, 3_000_000);
    client.close()?.ok()?;
    let small = tour.private(Settings::new().define("jute.maxbuffer", "5000"))?;
    let mut client = Connection::new_session(small.address())?;
    client.create("/small", &[1; 4500], 0)?;
    client.send(op::SET_DATA, &records::set_data("/small", Some(&[1; 6000]), -1))?;
    client.expect_closed()
}

pub(crate) fn all_connections_together_have_a_limit(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().line("maxCnxns", "3"))?;
    let mut kept = Vec::new();
    eventually(Duration::from_secs(5), "some sessions fit", || {
        kept.extend(Connection::new_session(server.address()));
        Ok(2 <= kept.len())
    })?;
    eventually(Duration::from_secs(5), "no more connections", || {
        match Connection::new_session(server.address()) {
            Ok(client) => kept.push(client),
            Err(_) => return Ok(true),
        }
        assert!(kept.len() <= 3, "{} connections", kept.len());
        Ok(false)
    })?;
    kept[0].stat("/")?;
    Ok(())
}

pub(crate) fn a_thousand_watchers_are_told(tour: &Tour) -> Result<(), Failure> {
    let mut writer = tour.session()?;
    writer.create("/thousand", b"", 0)?;
    let mut watchers = Vec::new();
    for _ in 0..1000 {
        let mut watcher = tour.session()?;
        watcher.call(op::GET_DATA, &records::path_watch("/thousand", true))?.ok()?;
        watchers.push(watcher);
    }
    let zxid = writer.set("/thousand", b"now", -1)?.mzxid;
    for watcher in &mut watchers {
        assert_eq!(watcher.event()?.zxid, zxid);
    }
    for watcher in watchers {
        watcher.close()?.ok()?;
    }
    writer.close()?.ok()
}

pub(crate) fn long_lists_of_children_are_sent_whole(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/crowd", b"", 0)?;
    let name = "x".repeat(80);
    for _ in 0..130 {
        for number in 0..100 {
            let path = format!("/crowd/{name}{number:02}-");
            let body = records::create(&path, None, &Acl::open(), flags::SEQUENTIAL);
            client.send(op::CREATE, &body)?;
        }
        for _ in 0..100 {
            client.reply()?.ok()?;
        }
    }
    // More than a request may have: only requests are limited.
    let names = client.children("/crowd")?;
    assert_eq!(names.len(), 13_000);
    client.close()?.ok()
}

pub(crate) fn a_resumed_session_has_its_new_timeout(tour: &Tour) -> Result<(), Failure> {
    let client = tour.session()?;
    assert_eq!(client.session.timeout_ms, 10_000);
    let resume = Connect { timeout_ms: 4000, ..Connect::resume(&client.session) };
    let again = Connection::open(tour.address(), &resume)?;
    assert_eq!(again.session.timeout_ms, 4000);
    let mut again = Connection::open(tour.address(), &Connect { timeout_ms: 1, ..resume })?;
    assert_eq!(again.session.timeout_ms, 1000);
    again.create("/short", b"", flags::EPHEMERAL)?;
    let mut witness = tour.session()?;
    drop(again);
    eventually(Duration::from_secs(8), "the shorter timeout holds", || {
        let reply = witness.call(op::EXISTS, &records::path_watch("/short", false))?;
        Ok(reply.err == code::NO_NODE)
    })?;
    witness.close()?.ok()
}

pub(crate) fn containers_may_be_reaped_unused(tour: &Tour) -> Result<(), Failure> {
    let settings = Settings::new()
        .define("znode.container.checkIntervalMs", "100")
        .define("znode.container.maxNeverUsedIntervalMs", "500");
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    let body = records::create("/unused", None, &Acl::open(), flags::CONTAINER);
    client.call(op::CREATE_CONTAINER, &body)?.ok()?;
    eventually(Duration::from_secs(8), "the unused container goes", || {
        let reply = client.call(op::EXISTS, &records::path_watch("/unused", false))?;
        Ok(reply.err == code::NO_NODE)
    })?;
    client.close()?.ok()
}

pub(crate) fn soft_quotas_only_warn(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/soft", b"12345", 0)?;
    client.create("/zookeeper/quota/soft", b"", 0)?;
    client.create("/zookeeper/quota/soft/zookeeper_limits", b"count=1,bytes=5", 0)?;
    client.create("/zookeeper/quota/soft/zookeeper_stats", b"count=1,bytes=5", 0)?;
    client.create("/soft/a", b"over", 0)?;
    client.set("/soft/a", b"further over", -1)?;
    eventually(Duration::from_secs(5), "the use is counted", || {
        let (data, stat) = client.get("/zookeeper/quota/soft/zookeeper_stats")?;
        assert_eq!(stat.version, 0, "counting is not a write");
        Ok(data.is_some_and(|data| data.starts_with(b"count=2,bytes=17")))
    })?;
    client.close()?.ok()
}
