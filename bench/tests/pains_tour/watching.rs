//! Watches around reconnects.

use ringkeeper_bench::{
    tour::Tour,
    wire::{
        Connect, Connection, Failure,
        records::{self, flags, op},
    },
};

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const DATA_CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;

/// Takes a session up again on a new connection, as a client library does after a broken one.
fn reconnect(tour: &Tour, client: Connection, seen: i64) -> Result<Connection, Failure> {
    let connect = Connect { last_zxid: seen, ..Connect::resume(&client.session) };
    drop(client);
    Connection::open(tour.address(), &connect)
}

pub(crate) fn set_watches_by_its_old_opcode(tour: &Tour) -> Result<(), Failure> {
    restores(tour, "/old-code", op::SET_WATCHES)
}

pub(crate) fn set_watches_by_its_new_opcode(tour: &Tour) -> Result<(), Failure> {
    restores(tour, "/new-code", op::SET_WATCHES2)
}

/// What a client missed is told, with zxid -1 and before the answer; the rest is watched again.
fn restores(tour: &Tour, root: &str, opcode: i32) -> Result<(), Failure> {
    let mut writer = tour.session()?;
    writer.create(root, b"", 0)?;
    let path = |name: &str| format!("{root}/{name}");
    for name in ["changed", "deleted", "same"] {
        writer.create(&path(name), b"", 0)?;
    }
    let client = tour.session()?;
    let seen = writer.stat(root)?.pzxid;
    writer.set(&path("changed"), b"1", -1)?;
    writer.delete(&path("deleted"), -1)?;
    writer.create(&path("made"), b"", 0)?;
    let mut client = reconnect(tour, client, seen)?;
    let (changed, deleted, same) = (path("changed"), path("deleted"), path("same"));
    let (made, later) = (path("made"), path("later"));
    let lists: &[&[&str]] = &[&[&changed, &deleted, &same], &[&made, &later], &[root], &[], &[]];
    let count = if opcode == op::SET_WATCHES { 3 } else { 5 };
    client.send_xid(-8, opcode, &records::set_watches(seen, &lists[..count]))?;
    let reply = client.reply()?;
    assert_eq!((reply.xid, reply.err, reply.body.len()), (-8, 0, 0));
    let mut missed: Vec<_> = client
        .events
        .drain(..)
        .map(|event| {
            assert_eq!(event.zxid, -1, "of no change in particular");
            (event.path, event.kind)
        })
        .collect();
    missed.sort();
    let mut expected = [
        (changed, DATA_CHANGED),
        (deleted, DELETED),
        (made, CREATED),
        (root.to_owned(), CHILDREN_CHANGED),
    ];
    expected.sort();
    assert_eq!(missed, expected);
    writer.set(&same, b"1", -1)?;
    writer.create(&later, b"", 0)?;
    assert_eq!((client.event()?.path, client.event()?.path), (same, later), "watched again");
    client.no_event()?;
    client.close()?.ok()?;
    writer.close()?.ok()
}

pub(crate) fn a_watch_is_not_fired_twice_after_a_reconnect(tour: &Tour) -> Result<(), Failure> {
    let mut writer = tour.session()?;
    writer.create("/twice", b"", 0)?;
    let mut client = tour.session()?;
    client.call(op::GET_DATA, &records::path_watch("/twice", true))?.ok()?;
    let zxid = writer.set("/twice", b"1", -1)?.mzxid;
    assert_eq!(client.event()?.zxid, zxid);
    // The event was seen, a new watch left, the connection lost: the change is not told again.
    client.call(op::GET_DATA, &records::path_watch("/twice", true))?.ok()?;
    let mut client = reconnect(tour, client, zxid)?;
    client.send_xid(-8, op::SET_WATCHES, &records::set_watches(zxid, &[&["/twice"], &[], &[]]))?;
    client.reply()?.ok()?;
    client.no_event()?;
    let next = writer.set("/twice", b"2", -1)?.mzxid;
    assert_eq!(client.event()?.zxid, next);
    writer.set("/twice", b"3", -1)?;
    client.no_event()?;
    client.close()?.ok()?;
    writer.close()?.ok()
}

pub(crate) fn a_reconnect_without_changes_fires_nothing(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/quiet", b"", flags::EPHEMERAL)?;
    let seen = client.stat("/quiet")?.czxid;
    for _ in 0..3 {
        client = reconnect(tour, client, seen)?;
        let lists: &[&[&str]] = &[&["/quiet"], &["/never"], &["/zookeeper"], &["/quiet"], &["/"]];
        client.send_xid(-8, op::SET_WATCHES2, &records::set_watches(seen, lists))?;
        client.reply()?.ok()?;
        client.no_event()?;
    }
    // The old connections' watches are gone with them: one event, not four.
    client.set("/quiet", b"1", -1)?;
    assert_eq!(client.events.len(), 1, "{:?}", client.events);
    client.close()?.ok()
}

pub(crate) fn persistent_watches_come_back_without_events(tour: &Tour) -> Result<(), Failure> {
    let mut writer = tour.session()?;
    writer.create("/lasting", b"", 0)?;
    let client = tour.session()?;
    let seen = writer.stat("/lasting")?.czxid;
    writer.set("/lasting", b"1", -1)?;
    writer.create("/lasting/a", b"", 0)?;
    let mut client = reconnect(tour, client, seen)?;
    let lists: &[&[&str]] = &[&[], &[], &[], &["/lasting"], &["/lasting/a"]];
    client.send_xid(-8, op::SET_WATCHES2, &records::set_watches(seen, lists))?;
    client.reply()?.ok()?;
    client.no_event()?;
    writer.set("/lasting", b"2", -1)?;
    writer.create("/lasting/a/b", b"", 0)?;
    let (first, second) = (client.event()?, client.event()?);
    assert_eq!((first.kind, first.path.as_str()), (DATA_CHANGED, "/lasting"));
    assert_eq!((second.kind, second.path.as_str()), (CREATED, "/lasting/a/b"));
    client.close()?.ok()?;
    writer.close()?.ok()
}

pub(crate) fn an_event_is_never_behind_the_read_that_shows_it(tour: &Tour) -> Result<(), Failure> {
    let (mut writer, mut client) = (tour.session()?, tour.session()?);
    writer.create("/ahead", b"0", 0)?;
    for round in 1..=100_u8 {
        client.call(op::GET_DATA, &records::path_watch("/ahead", true))?.ok()?;
        writer.send(op::SET_DATA, &records::set_data("/ahead", Some(&[round]), -1))?;
        while client.get("/ahead")?.0 != Some(vec![round]) {
            assert!(client.events.is_empty(), "told of what a read does not show");
        }
        assert_eq!(client.events.len(), 1, "round {round}");
        client.events.clear();
        writer.reply()?.ok()?;
    }
    client.close()?.ok()?;
    writer.close()?.ok()
}
