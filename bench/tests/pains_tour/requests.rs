//! Requests that clones do not know, or answer in another form.

use std::time::Duration;

use ringkeeper_bench::{
    tour::{Tour, eventually},
    wire::{
        Connect, Connection, Failure,
        jute::Reader,
        records::{self, Acl, code, flags, op, read_acl},
    },
};

pub(crate) fn create2_answers_path_and_stat(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let body = records::create("/create2-", Some(b"abc"), &Acl::open(), flags::SEQUENTIAL);
    let reply = client.call(op::CREATE2, &body)?;
    let (path, stat) = reply.path_stat()?;
    assert!(path.starts_with("/create2-") && path.len() == "/create2-".len() + 10, "{path}");
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (reply.zxid, reply.zxid, reply.zxid));
    assert_eq!((stat.data_length, stat.version), (3, 0));
    assert_eq!(client.stat(&path)?, stat);
    client.close()?.ok()
}

pub(crate) fn add_watch_is_answered_with_a_body(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    for mode in [0, 1] {
        let reply = client.call(op::ADD_WATCH, &records::path_int("/add-watch", mode))?;
        assert_eq!((reply.err, reply.body), (0, vec![0; 4]), "Java clients read four bytes");
    }
    client.close()?.ok()
}

pub(crate) fn containers_are_created_with_their_own_opcode(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let body = records::create("/container", None, &Acl::open(), flags::CONTAINER);
    let (path, stat) = client.call(op::CREATE_CONTAINER, &body)?.path_stat()?;
    assert_eq!((path.as_str(), stat.ephemeral_owner), ("/container", 0));
    client.create("/container/child", b"", flags::EPHEMERAL)?;
    client.delete("/container/child", -1)?;
    eventually(Duration::from_secs(20), "the empty container goes", || {
        let reply = client.call(op::EXISTS, &records::path_watch("/container", false))?;
        Ok(reply.err == code::NO_NODE)
    })?;
    client.close()?.ok()
}

pub(crate) fn ttl_znodes_may_have_children(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let body = records::create_ttl("/ttl-parent", None, flags::TTL, 500);
    client.call(op::CREATE_TTL, &body)?.ok()?;
    client.create("/ttl-parent/child", b"", 0)?;
    // A znode of the same age and without children has gone: time has passed for both.
    let body = records::create_ttl("/ttl-alone", None, flags::TTL, 500);
    client.call(op::CREATE_TTL, &body)?.ok()?;
    eventually(Duration::from_secs(20), "the other one goes", || {
        let reply = client.call(op::EXISTS, &records::path_watch("/ttl-alone", false))?;
        Ok(reply.err == code::NO_NODE)
    })?;
    assert_eq!(client.stat("/ttl-parent")?.num_children, 1, "its child keeps it");
    client.delete("/ttl-parent/child", -1)?;
    eventually(Duration::from_secs(20), "it goes without its child", || {
        let reply = client.call(op::EXISTS, &records::path_watch("/ttl-parent", false))?;
        Ok(reply.err == code::NO_NODE)
    })?;
    client.close()?.ok()
}

pub(crate) fn ttl_and_container_owners_are_hidden(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let body = records::create_ttl("/owner-", None, flags::TTL_SEQUENTIAL, 60_000);
    let (path, stat) = client.call(op::CREATE_TTL, &body)?.path_stat()?;
    assert_eq!(stat.ephemeral_owner, 0, "in the answer to its creation");
    assert_eq!(client.stat(&path)?.ephemeral_owner, 0);
    assert_eq!(client.set(&path, b"", -1)?.ephemeral_owner, 0);
    client.delete(&path, -1)?;
    client.close()?.ok()
}

pub(crate) fn sync_of_a_path_that_is_not_there(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    for path in ["/not/there", "/", "not a path"] {
        let reply = client.call(op::SYNC, &records::path_only(path))?;
        assert_eq!(reply.path()?, path);
    }
    client.close()?.ok()
}

pub(crate) fn an_unknown_request_costs_the_connection_only(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/unknown", b"", flags::EPHEMERAL)?;
    let reply = client.call(500, b"")?;
    assert_eq!((reply.err, reply.body.len()), (code::UNIMPLEMENTED, 0));
    client.expect_closed()?;
    let mut again = Connection::open(tour.address(), &Connect::resume(&client.session))?;
    assert_eq!(again.session.session, client.session.session);
    again.stat("/unknown")?;
    again.close()?.ok()
}

pub(crate) fn exists_of_what_may_not_be_read(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let acl = [Acl::new(30, "world", "anyone")];
    client.call(op::CREATE, &records::create("/unreadable", None, &acl, 0))?.ok()?;
    let reply = client.call(op::EXISTS, &records::path_watch("/unreadable", false))?;
    assert_eq!(reply.err, code::NO_AUTH);
    client.delete("/unreadable", -1)?;
    client.close()?.ok()
}

pub(crate) fn acl_hashes_are_hidden(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let acl = [Acl::new(31, "digest", "user:hash"), Acl::new(1, "world", "anyone")];
    client.call(op::CREATE, &records::create("/hidden", None, &acl, 0))?.ok()?;
    let reply = client.call(op::GET_ACL, &records::path_only("/hidden"))?;
    reply.ok()?;
    let shown = read_acl(&mut Reader::new(&reply.body))?;
    assert_eq!(shown, [Acl::new(31, "digest", "user:x"), Acl::new(1, "world", "anyone")]);
    client.close()?.ok()
}

pub(crate) fn a_check_alone_is_not_offered(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let reply = client.call(op::CHECK, &records::path_version("/", -1))?;
    assert_eq!(reply.err, code::UNIMPLEMENTED);
    client.expect_closed()
}
