//! Versions, zxids and sequence numbers in Stats.

use ringkeeper_bench::{
    tour::{self, Tour},
    wire::{
        Connection, Failure,
        records::{self, Acl, Part, code, flags, multi_reply, op},
    },
};

pub(crate) fn cversion_counts_creates_and_deletes(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/cversion", b"", 0)?;
    for (step, expected) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        match step {
            0 => drop(client.create("/cversion/a", b"", 0)?),
            1 => drop(client.create("/cversion/b", b"", flags::EPHEMERAL)?),
            2 => client.delete("/cversion/a", -1)?,
            _ => client.delete("/cversion/b", -1)?,
        }
        let stat = client.stat("/cversion")?;
        assert_eq!((stat.cversion, stat.version), (expected, 0), "step {step}");
    }
    // Data of a child, and refused requests, are no change of children.
    client.create("/cversion/c", b"", 0)?;
    client.set("/cversion/c", b"x", -1)?;
    let again = records::create("/cversion/c", None, &Acl::open(), 0);
    assert_eq!(client.call(op::CREATE, &again)?.err, code::NODE_EXISTS);
    assert_eq!(client.stat("/cversion")?.cversion, 5);
    client.close()?.ok()
}

pub(crate) fn pzxid_is_the_last_change_of_children(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/pzxid", b"", 0)?;
    client.create("/pzxid/a", b"", 0)?;
    let child = client.stat("/pzxid/a")?;
    assert_eq!(client.stat("/pzxid")?.pzxid, child.czxid);
    client.set("/pzxid/a", b"x", -1)?;
    client.create("/pzxid/a/deep", b"", 0)?;
    assert_eq!(client.stat("/pzxid")?.pzxid, child.czxid, "neither data nor grandchildren");
    let reply = client.call(op::DELETE, &records::path_version("/pzxid/a/deep", -1))?;
    assert_eq!(client.stat("/pzxid/a")?.pzxid, reply.zxid);
    let reply = client.call(op::DELETE, &records::path_version("/pzxid/a", -1))?;
    let parent = client.stat("/pzxid")?;
    assert_eq!(parent.pzxid, reply.zxid, "a delete counts");
    assert_eq!(parent.mzxid, parent.czxid);
    client.close()?.ok()
}

pub(crate) fn a_failed_multi_leaves_no_gap_in_sequence_numbers(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/gap", b"", 0)?;
    let numbered = records::create("/gap/n-", None, &Acl::open(), flags::SEQUENTIAL);
    let parts = [
        (op::CREATE, numbered.clone()),
        (op::CREATE, numbered.clone()),
        (op::CHECK, records::path_version("/gap", 9)),
    ];
    let reply = client.call(op::MULTI, &records::multi(&parts))?;
    let results = multi_reply(&reply.body)?;
    assert_eq!(results, [Part::Error(0), Part::Error(0), Part::Error(code::BAD_VERSION)]);
    assert_eq!(client.stat("/gap")?.cversion, 0);
    assert_eq!(client.call(op::CREATE, &numbered)?.path()?, "/gap/n-0000000000");
    client.close()?.ok()
}

pub(crate) fn sequence_numbers_go_on_after_a_restart(tour: &Tour) -> Result<(), Failure> {
    let mut server = tour.private(tour::shared_settings())?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/onward", b"", 0)?;
    let numbered = records::create("/onward/n-", None, &Acl::open(), flags::SEQUENTIAL);
    for _ in 0..3 {
        client.call(op::CREATE, &numbered)?.ok()?;
    }
    for name in client.children("/onward")? {
        client.delete(&format!("/onward/{name}"), -1)?;
    }
    server.kill()?;
    server.run()?;
    let mut client = Connection::new_session(server.address())?;
    assert_eq!(client.stat("/onward")?.cversion, 6);
    assert_eq!(client.call(op::CREATE, &numbered)?.path()?, "/onward/n-0000000003");
    client.close()?.ok()
}

pub(crate) fn set_acl_is_not_a_change_of_data(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/aversion", b"", 0)?;
    client.call(op::GET_DATA, &records::path_watch("/aversion", true))?.ok()?;
    let before = client.stat("/aversion")?;
    let after =
        client.call(op::SET_ACL, &records::set_acl("/aversion", &Acl::open(), 0))?.stat()?;
    assert_eq!((after.aversion, after.mzxid, after.version), (1, before.mzxid, 0));
    assert_eq!((after.mtime, after.pzxid), (before.mtime, before.pzxid));
    client.no_event()?;
    client.close()?.ok()
}
