//! Watches: who is told what, in which order, and what a reconnecting client catches up on.

use ringkeeper_bench::{
    tour::Tour,
    wire::{
        Connection, Event, Failure,
        jute::Reader,
        records::{self, Acl, code, flags, op},
    },
};

/// A write that returns its zxid.
type Act = fn(&mut Connection, &str) -> Result<i64, Failure>;

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const DATA: i32 = 3;
const CHILDREN: i32 = 4;

fn event(zxid: i64, kind: i32, path: &str) -> Event {
    Event { zxid, kind, state: 3, path: path.into() }
}

fn watch(client: &mut Connection, opcode: i32, path: &str) -> Result<i32, Failure> {
    Ok(client.call(opcode, &records::path_watch(path, true))?.err)
}

fn add_watch(client: &mut Connection, path: &str, mode: i32) -> Result<(), Failure> {
    let reply = client.call(op::ADD_WATCH, &records::path_int(path, mode))?;
    reply.ok()?;
    assert_eq!(Reader::new(&reply.body).int()?, 0, "Java clients insist on these four bytes");
    assert_eq!(reply.body.len(), 4);
    Ok(())
}

fn set(client: &mut Connection, path: &str) -> Result<i64, Failure> {
    Ok(client.set(path, b"changed", -1)?.mzxid)
}

fn create(client: &mut Connection, path: &str) -> Result<i64, Failure> {
    let reply = client.call(op::CREATE, &records::create(path, None, &Acl::open(), 0))?;
    reply.ok()?;
    Ok(reply.zxid)
}

fn delete(client: &mut Connection, path: &str) -> Result<i64, Failure> {
    let reply = client.call(op::DELETE, &records::path_version(path, -1))?;
    reply.ok()?;
    Ok(reply.zxid)
}

pub(crate) fn each_kind_fires_once(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut writer) = (tour.session()?, tour.session()?);
    create(&mut writer, "/w1")?;
    assert_eq!(watch(&mut watcher, op::GET_DATA, "/w1")?, code::OK);
    let zxid = set(&mut writer, "/w1")?;
    assert_eq!(watcher.event()?, event(zxid, DATA, "/w1"));
    set(&mut writer, "/w1")?;
    watcher.no_event()?;
    assert_eq!(watch(&mut watcher, op::EXISTS, "/w1/a")?, code::NO_NODE);
    assert_eq!(watch(&mut watcher, op::GET_CHILDREN, "/w1")?, code::OK);
    let zxid = create(&mut writer, "/w1/a")?;
    assert_eq!(watcher.event()?, event(zxid, CREATED, "/w1/a"));
    assert_eq!(watcher.event()?, event(zxid, CHILDREN, "/w1"));
    assert_eq!(watch(&mut watcher, op::GET_CHILDREN2, "/w1/a")?, code::OK);
    assert_eq!(watch(&mut watcher, op::EXISTS, "/w1/a")?, code::OK);
    assert_eq!(watch(&mut watcher, op::GET_DATA, "/w1/a")?, code::OK);
    let zxid = delete(&mut writer, "/w1/a")?;
    assert_eq!(watcher.event()?, event(zxid, DELETED, "/w1/a"));
    watcher.no_event()?;
    assert_eq!(watch(&mut watcher, op::GET_DATA, "/w1/a")?, code::NO_NODE);
    create(&mut writer, "/w1/a")?;
    watcher.no_event()?;
    writer.close()?.ok()?;
    watcher.close()?.ok()
}

pub(crate) fn an_event_comes_before_the_reply_that_shows_it(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    create(&mut client, "/w2")?;
    watch(&mut client, op::GET_DATA, "/w2")?;
    // Write and read leave together: event, write's reply, read's reply must come in this order.
    client.send_xid(71, op::SET_DATA, &records::set_data("/w2", Some(b"x"), -1))?;
    client.send_xid(72, op::GET_DATA, &records::path_watch("/w2", false))?;
    let told = client.event()?;
    let written = client.reply()?;
    assert_eq!((written.xid, written.zxid), (71, told.zxid));
    let read = client.reply()?;
    assert_eq!((read.xid, read.data()?.0), (72, Some(b"x".to_vec())));
    assert!(client.events.is_empty());
    client.close()?.ok()
}

pub(crate) fn events_of_a_multi_come_in_its_order(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut writer) = (tour.session()?, tour.session()?);
    create(&mut writer, "/w3")?;
    add_watch(&mut watcher, "/w3", 1)?;
    watch(&mut watcher, op::GET_CHILDREN, "/w3")?;
    let parts = [
        (op::CREATE, records::create("/w3/a", None, &Acl::open(), 0)),
        (op::SET_DATA, records::set_data("/w3/a", None, -1)),
        (op::DELETE, records::path_version("/w3/a", -1)),
    ];
    let reply = writer.call(op::MULTI, &records::multi(&parts))?;
    let kinds: Vec<Event> = (0..4).map(|_| watcher.event()).collect::<Result<_, _>>()?;
    let zxid = reply.zxid;
    let expected = [
        event(zxid, CREATED, "/w3/a"),
        event(zxid, CHILDREN, "/w3"),
        event(zxid, DATA, "/w3/a"),
        event(zxid, DELETED, "/w3/a"),
    ];
    assert_eq!(kinds, expected);
    let failing = [parts[0].clone(), (op::CHECK, records::path_version("/w3", 99))];
    writer.call(op::MULTI, &records::multi(&failing))?;
    watcher.no_event()?;
    writer.close()?.ok()?;
    watcher.close()?.ok()
}

pub(crate) fn persistent_watches_stay(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut writer) = (tour.session()?, tour.session()?);
    add_watch(&mut watcher, "/w4", 0)?;
    add_watch(&mut watcher, "/w4", 0)?;
    let steps: [(Act, &str, i32, &str); 7] = [
        (create, "/w4", CREATED, "/w4"),
        (set, "/w4", DATA, "/w4"),
        (create, "/w4/a", CHILDREN, "/w4"),
        (delete, "/w4/a", CHILDREN, "/w4"),
        (set, "/w4", DATA, "/w4"),
        (delete, "/w4", DELETED, "/w4"),
        (create, "/w4", CREATED, "/w4"),
    ];
    for (act, path, kind, told) in steps {
        let zxid = act(&mut writer, path)?;
        assert_eq!(watcher.event()?, event(zxid, kind, told));
        watcher.no_event()?;
    }
    writer.close()?.ok()?;
    watcher.close()?.ok()
}

pub(crate) fn recursive_watches_see_descendants(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut writer) = (tour.session()?, tour.session()?);
    create(&mut writer, "/w5")?;
    add_watch(&mut watcher, "/w5", 1)?;
    let steps: [(Act, &str, i32); 5] = [
        (create, "/w5/a", CREATED),
        (create, "/w5/a/b", CREATED),
        (set, "/w5/a/b", DATA),
        (delete, "/w5/a/b", DELETED),
        (set, "/w5", DATA),
    ];
    for (act, path, kind) in steps {
        let zxid = act(&mut writer, path)?;
        assert_eq!(watcher.event()?, event(zxid, kind, path));
        watcher.no_event()?;
    }
    create(&mut writer, "/w5x")?;
    watcher.no_event()?;
    // A one-time watch on the same path is told with the recursive one, once.
    watch(&mut watcher, op::GET_DATA, "/w5/a")?;
    let zxid = set(&mut writer, "/w5/a")?;
    assert_eq!(watcher.event()?, event(zxid, DATA, "/w5/a"));
    watcher.no_event()?;
    writer.close()?.ok()?;
    watcher.close()?.ok()
}

pub(crate) fn watches_are_checked_and_removed_by_kind(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut writer) = (tour.session()?, tour.session()?);
    create(&mut writer, "/w6")?;
    let ask = |client: &mut Connection, opcode: i32, kind: i32| -> Result<i32, Failure> {
        Ok(client.call(opcode, &records::path_int("/w6", kind))?.err)
    };
    for kind in 1..=5 {
        assert_eq!(ask(&mut watcher, op::CHECK_WATCHES, kind)?, code::NO_WATCHER, "{kind}");
        assert_eq!(ask(&mut watcher, op::REMOVE_WATCHES, kind)?, code::NO_WATCHER, "{kind}");
    }
    assert_eq!(ask(&mut watcher, op::CHECK_WATCHES, 9)?, code::MARSHALLING_ERROR);
    watch(&mut watcher, op::GET_DATA, "/w6")?;
    watch(&mut watcher, op::GET_CHILDREN, "/w6")?;
    assert_eq!(ask(&mut watcher, op::CHECK_WATCHES, 1)?, code::OK);
    assert_eq!(ask(&mut watcher, op::CHECK_WATCHES, 2)?, code::OK);
    assert_eq!(ask(&mut watcher, op::REMOVE_WATCHES, 2)?, code::OK);
    assert_eq!(ask(&mut watcher, op::CHECK_WATCHES, 2)?, code::NO_WATCHER);
    set(&mut writer, "/w6")?;
    watcher.no_event()?;
    let zxid = create(&mut writer, "/w6/a")?;
    assert_eq!(watcher.event()?, event(zxid, CHILDREN, "/w6"));
    add_watch(&mut watcher, "/w6", 0)?;
    add_watch(&mut watcher, "/w6", 1)?;
    assert_eq!(ask(&mut watcher, op::REMOVE_WATCHES, 4)?, code::OK);
    assert_eq!(ask(&mut watcher, op::CHECK_WATCHES, 5)?, code::OK);
    let zxid = set(&mut writer, "/w6")?;
    assert_eq!(watcher.event()?, event(zxid, DATA, "/w6"), "the recursive one is left");
    assert_eq!(ask(&mut watcher, op::REMOVE_WATCHES, 3)?, code::OK);
    set(&mut writer, "/w6")?;
    watcher.no_event()?;
    let reply = watcher.call(op::ADD_WATCH, &records::path_int("/w6", 7))?;
    assert_eq!(reply.err, code::MARSHALLING_ERROR);
    writer.close()?.ok()?;
    watcher.close()?.ok()
}

pub(crate) fn set_watches_catches_up(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut writer) = (tour.session()?, tour.session()?);
    for path in ["/w7", "/w7/same", "/w7/changed", "/w7/gone", "/w7/parent", "/w7/quiet"] {
        create(&mut writer, path)?;
    }
    let seen = create(&mut writer, "/w7/now")?;
    set(&mut writer, "/w7/changed")?;
    delete(&mut writer, "/w7/gone")?;
    create(&mut writer, "/w7/parent/child")?;
    create(&mut writer, "/w7/appeared")?;
    let lists: [&[&str]; 3] = [
        &["/w7/same", "/w7/changed", "/w7/gone", "/w7/never"],
        &["/w7/appeared", "/w7/missing"],
        &["/w7/parent", "/w7/quiet", "/w7/gone"],
    ];
    watcher.send_xid(-8, op::SET_WATCHES, &records::set_watches(seen, &lists))?;
    let reply = watcher.reply()?;
    assert_eq!((reply.xid, reply.err, reply.body.len()), (-8, 0, 0));
    let mut told: Vec<Event> = watcher.events.drain(..).collect();
    told.sort_by(|left, right| left.path.cmp(&right.path));
    let expected = [
        event(-1, CREATED, "/w7/appeared"),
        event(-1, DATA, "/w7/changed"),
        event(-1, DELETED, "/w7/gone"),
        event(-1, DELETED, "/w7/gone"),
        event(-1, DELETED, "/w7/never"),
        event(-1, CHILDREN, "/w7/parent"),
    ];
    assert_eq!(told, expected);
    // What had nothing to catch up on is armed.
    let zxid = set(&mut writer, "/w7/same")?;
    assert_eq!(watcher.event()?, event(zxid, DATA, "/w7/same"));
    let zxid = create(&mut writer, "/w7/missing")?;
    assert_eq!(watcher.event()?, event(zxid, CREATED, "/w7/missing"));
    let zxid = create(&mut writer, "/w7/quiet/child")?;
    assert_eq!(watcher.event()?, event(zxid, CHILDREN, "/w7/quiet"));
    // Persistent ones are armed without catching up.
    let lists: [&[&str]; 5] = [&[], &[], &[], &["/w7/changed"], &["/w7/parent"]];
    watcher.send_xid(-8, op::SET_WATCHES2, &records::set_watches(seen, &lists))?;
    assert_eq!(watcher.reply()?.err, 0);
    assert!(watcher.events.is_empty());
    for _ in 0..2 {
        let zxid = set(&mut writer, "/w7/changed")?;
        assert_eq!(watcher.event()?, event(zxid, DATA, "/w7/changed"));
        let zxid = set(&mut writer, "/w7/parent/child")?;
        assert_eq!(watcher.event()?, event(zxid, DATA, "/w7/parent/child"));
    }
    writer.close()?.ok()?;
    watcher.close()?.ok()
}

pub(crate) fn events_need_read_permission(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut writer) = (tour.session()?, tour.session()?);
    create(&mut writer, "/w8")?;
    let write_only = [Acl::new(30, "world", "anyone")];
    add_watch(&mut watcher, "/w8", 1)?;
    let secret = records::create("/w8/secret", None, &write_only, 0);
    writer.call(op::CREATE, &secret)?.ok()?;
    set(&mut writer, "/w8/secret")?;
    delete(&mut writer, "/w8/secret")?;
    watcher.no_event()?;
    let zxid = set(&mut writer, "/w8")?;
    assert_eq!(watcher.event()?, event(zxid, DATA, "/w8"));
    // setACL tells nobody; it only takes the right to be told.
    writer.call(op::SET_ACL, &records::set_acl("/w8", &write_only, -1))?.ok()?;
    set(&mut writer, "/w8")?;
    watcher.no_event()?;
    writer.close()?.ok()?;
    watcher.close()?.ok()
}

pub(crate) fn the_end_of_a_session_fires_watches(tour: &Tour) -> Result<(), Failure> {
    let (mut watcher, mut owner) = (tour.session()?, tour.session()?);
    create(&mut owner, "/w9")?;
    owner.create("/w9/e", b"", flags::EPHEMERAL)?;
    watch(&mut watcher, op::EXISTS, "/w9/e")?;
    watch(&mut watcher, op::GET_CHILDREN, "/w9")?;
    let zxid = owner.close()?.zxid;
    assert_eq!(watcher.event()?, event(zxid, DELETED, "/w9/e"));
    assert_eq!(watcher.event()?, event(zxid, CHILDREN, "/w9"));
    watcher.close()?.ok()
}
