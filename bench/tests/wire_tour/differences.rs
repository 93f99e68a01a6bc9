//! Where this server was decided to answer otherwise than Apache 3.9.5: each case pins a row of
//! "Differences" in `docs/compatibility.md`. Where Apache's own answer is always the same, it is
//! pinned, too.

use ringkeeper_bench::{
    servers::{Settings, four_letter},
    tour::Tour,
    wire::{
        Connect, Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

use crate::acl::set_quota;

/// Sends everything in one go; the codes of the answers.
fn codes(client: &mut Connection, requests: &[(i32, Vec<u8>)]) -> Result<Vec<i32>, Failure> {
    for (opcode, body) in requests {
        client.send(*opcode, body)?;
    }
    requests.iter().map(|_| Ok(client.reply()?.err)).collect()
}

fn create(path: &str, acl: &[Acl], flags: i32) -> (i32, Vec<u8>) {
    (op::CREATE, records::create(path, Some(b""), acl, flags))
}

/// Apache logs it, stops, and stops again at every start (decisions 5 and 11).
pub(crate) fn a_negative_ttl_without_a_ttl_mode_is_refused(tour: &Tour) -> Result<(), Failure> {
    tour.only_here("Apache would not start again")?;
    let mut client = tour.session()?;
    for flags in [flags::PERSISTENT, flags::EPHEMERAL, flags::SEQUENTIAL, flags::CONTAINER] {
        for ttl_ms in [-1, -5, i64::MIN] {
            let before = client.call(op::EXISTS, &records::path_watch("/", false))?.zxid;
            let body = records::create_ttl("/no-ttl", None, flags, ttl_ms);
            let reply = client.call(op::CREATE_TTL, &body)?;
            let expected = (code::BAD_ARGUMENTS, before + 1);
            assert_eq!((reply.err, reply.zxid), expected, "flags {flags}, ttl {ttl_ms}");
        }
    }
    client.close()?.ok()
}

/// Apache writes each half of a surrogate pair as a character of its own: no UTF-8.
pub(crate) fn strings_come_back_as_they_were_sent(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let path = "/\u{1f600}";
    let reply = client.call(op::SYNC, &records::path_only(path))?;
    let expected = if tour.is_ringkeeper() {
        records::path_only(path)
    } else {
        b"\0\0\0\x07/\xed\xa0\xbd\xed\xb8\x80".to_vec()
    };
    assert_eq!((reply.err, reply.body), (0, expected));
    client.close()?.ok()
}

/// Apache checks against the old ACL until the new one is applied, which depends on its threads.
pub(crate) fn a_new_acl_holds_for_what_follows_at_once(tour: &Tour) -> Result<(), Failure> {
    tour.only_here("Apache's threads decide")?;
    let mut client = tour.session()?;
    let read_only = [Acl::new(1, "world", "anyone")];
    let seen = codes(
        &mut client,
        &[
            create("/closing", &Acl::open(), flags::EPHEMERAL),
            (op::SET_ACL, records::set_acl("/closing", &read_only, -1)),
            (op::SET_DATA, records::set_data("/closing", Some(b"late"), -1)),
        ],
    )?;
    assert_eq!(seen, [0, 0, code::NO_AUTH]);
    client.close()?.ok()
}

/// Apache takes a container that was asked for with an ephemeral flag for an ephemeral znode, but
/// only until it is applied.
pub(crate) fn a_container_may_have_children_at_once(tour: &Tour) -> Result<(), Failure> {
    tour.only_here("Apache's threads decide")?;
    let mut client = tour.session()?;
    let box_body = records::create("/box", None, &Acl::open(), flags::EPHEMERAL);
    let seen = codes(
        &mut client,
        &[
            (op::CREATE_CONTAINER, box_body),
            create("/box/child", &Acl::open(), flags::PERSISTENT),
            (op::DELETE, records::path_version("/box/child", -1)),
        ],
    )?;
    assert_eq!(seen, [0, 0, 0]);
    client.close()?.ok()
}

/// Apache looks at what is applied: what is on its way does not count yet.
pub(crate) fn hard_quotas_hold_for_requests_in_flight(tour: &Tour) -> Result<(), Failure> {
    tour.only_here("Apache's threads decide")?;
    let server = tour.private(Settings::new().line("enforceQuota", "true"))?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/q", b"", 0)?;
    set_quota(&mut client, "/q", b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3")?;
    let requests: Vec<_> =
        (0..5).map(|number| create(&format!("/q/{number}"), &Acl::open(), 0)).collect();
    let full = code::QUOTA_EXCEEDED;
    assert_eq!(codes(&mut client, &requests)?, [0, 0, full, full, full]);
    client.close()?.ok()
}

/// In Apache a connection counts for good once it has watched something.
pub(crate) fn wchs_counts_connections_that_watch(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().line("4lw.commands.whitelist", "*"))?;
    let mut client = Connection::new_session(server.address())?;
    client.call(op::EXISTS, &records::path_watch("/once", true))?;
    let watching = four_letter(server.address(), "wchs")?;
    assert!(watching.starts_with("1 connections watching 1 paths\n"), "{watching}");
    client.create("/once", b"", 0)?;
    let told = four_letter(server.address(), "wchs")?;
    let connections = if tour.is_ringkeeper() { "0" } else { "1" };
    let expected = format!("{connections} connections watching 0 paths\n");
    assert!(told.starts_with(&expected), "{told}");
    client.close()?.ok()
}

/// Apache does not count what it writes into the use of a quota, and takes it off when that goes.
pub(crate) fn the_data_size_counts_the_use_of_quotas(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().line("4lw.commands.whitelist", "*"))?;
    let mut client = Connection::new_session(server.address())?;
    let size = || -> Result<String, Failure> {
        let text = four_letter(server.address(), "mntr")?;
        let line = text.lines().find(|line| line.starts_with("zk_approximate_data_size\t"));
        Ok(line.ok_or("no data size")?.to_owned())
    };
    let before = size()?;
    client.create("/sized", &[1; 1000], 0)?;
    set_quota(&mut client, "/sized", b"count=100,bytes=100000")?;
    client.set("/sized", &[1; 100_000], -1)?;
    for path in ["zookeeper_stats", "zookeeper_limits"] {
        client.delete(&format!("/zookeeper/quota/sized/{path}"), -1)?;
    }
    client.delete("/zookeeper/quota/sized", -1)?;
    client.delete("/sized", -1)?;
    assert_eq!(size()? == before, tour.is_ringkeeper(), "before {before}, after {}", size()?);
    client.close()?.ok()
}

/// Apache closes the owner's connection before it looks at the password.
pub(crate) fn a_wrong_password_leaves_the_owner_alone(tour: &Tour) -> Result<(), Failure> {
    let mut owner = tour.session()?;
    let wrong = Connect { password: Some(vec![1; 16]), ..Connect::resume(&owner.session) };
    let thief = Connection::open(tour.address(), &wrong)?;
    assert_eq!(thief.session.session, 0);
    if tour.is_ringkeeper() {
        owner.stat("/")?;
        owner.close()?.ok()
    } else {
        owner.expect_closed()
    }
}
