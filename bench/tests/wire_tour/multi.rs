//! multi and multiRead: framing, all or nothing, one zxid.

use ringkeeper_bench::{
    servers::Settings,
    tour::Tour,
    wire::{
        Connection, Failure,
        jute::Writer,
        records::{self, Acl, Part, code, flags, op},
    },
};

fn create(path: &str, flags: i32) -> (i32, Vec<u8>) {
    (op::CREATE, records::create(path, Some(b"m"), &Acl::open(), flags))
}

fn run(client: &mut Connection, parts: &[(i32, Vec<u8>)]) -> Result<(i64, Vec<Part>), Failure> {
    let reply = client.call(op::MULTI, &records::multi(parts))?;
    reply.ok()?;
    Ok((reply.zxid, records::multi_reply(&reply.body)?))
}

pub(crate) fn parts_share_one_zxid_and_see_each_other(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/multi", b"", 0)?;
    let set = |path| (op::SET_DATA, records::set_data(path, Some(b"later"), 0));
    let check = |path, version| (op::CHECK, records::path_version(path, version));
    let create2 =
        |opcode, path, flags| (opcode, records::create(path, Some(b"2"), &Acl::open(), flags));
    let (zxid, parts) = run(
        &mut client,
        &[
            create("/multi/a", 0),
            set("/multi/a"),
            check("/multi/a", 1),
            create2(op::CREATE2, "/multi/a/b", 0),
            create2(op::CREATE_CONTAINER, "/multi/box", flags::CONTAINER),
            create("/multi/s-", flags::SEQUENTIAL),
            create("/multi/s-", flags::SEQUENTIAL),
            (op::DELETE, records::path_version("/multi/a/b", 0)),
            (op::CREATE_TTL, records::create_ttl("/multi/ttl", None, flags::TTL, 90_000)),
        ],
    )?;
    assert_eq!(parts[0], Part::Created("/multi/a".into()));
    let Part::Set(stat) = parts[1] else { panic!("{parts:?}") };
    assert_eq!((stat.czxid, stat.mzxid, stat.version), (zxid, zxid, 1));
    assert_eq!(parts[2], Part::Checked);
    let Part::Created2(path, stat) = &parts[3] else { panic!("{parts:?}") };
    assert_eq!((path.as_str(), stat.czxid), ("/multi/a/b", zxid));
    let Part::Created2(path, stat) = &parts[4] else { panic!("{parts:?}") };
    assert_eq!((path.as_str(), stat.ephemeral_owner), ("/multi/box", 0));
    assert_eq!(parts[5], Part::Created("/multi/s-0000000002".into()));
    assert_eq!(parts[6], Part::Created("/multi/s-0000000003".into()));
    assert_eq!(parts[7], Part::Deleted);
    assert!(matches!(parts[8], Part::Created2(..)), "{parts:?}");
    let parent = client.stat("/multi")?;
    assert_eq!((parent.pzxid, parent.cversion, parent.num_children), (zxid, 5, 5));
    assert_eq!(client.stat("/multi/a")?.pzxid, zxid);
    client.close()?.ok()
}

pub(crate) fn one_failure_undoes_everything(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/undo", b"", 0)?;
    let before = client.stat("/undo")?;
    let (zxid, parts) = run(
        &mut client,
        &[
            create("/undo/s-", flags::SEQUENTIAL),
            create("/undo/a", flags::EPHEMERAL),
            (op::SET_DATA, records::set_data("/undo", Some(b"x"), 0)),
            (op::CHECK, records::path_version("/undo", 0)),
            create("/undo/b", 0),
            (op::DELETE, records::path_version("/none", -1)),
        ],
    )?;
    let codes = [0, 0, 0, code::BAD_VERSION, code::RUNTIME_INCONSISTENCY];
    let mut expected: Vec<Part> = codes.map(Part::Error).to_vec();
    expected.push(Part::Error(code::RUNTIME_INCONSISTENCY));
    assert_eq!(parts, expected);
    assert_eq!(client.stat("/undo")?, before);
    assert!(before.pzxid < zxid, "it took a zxid");
    assert_eq!(client.create("/undo/s-", b"", flags::SEQUENTIAL)?, "/undo/s-0000000000");
    assert!(client.call(op::GET_EPHEMERALS, &records::path_only("/undo"))?.names()?.is_empty());
    client.close()?.ok()
}

pub(crate) fn each_kind_of_failure_has_its_code(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/codes", b"", 0)?;
    client.create("/codes/child", b"", 0)?;
    let bad_acl = records::create("/codes/x", None, &[], 0);
    for (part, expected) in [
        (create("/codes", 0), code::NODE_EXISTS),
        (create("/none/x", 0), code::NO_NODE),
        (create("codes", 0), code::BAD_ARGUMENTS),
        ((op::CREATE, bad_acl), code::INVALID_ACL),
        ((op::DELETE, records::path_version("/codes", -1)), code::NOT_EMPTY),
        ((op::CHECK, records::path_version("/none", -1)), code::NO_NODE),
        ((op::CHECK, records::path_version("/codes", 9)), code::BAD_VERSION),
        ((op::SET_DATA, records::set_data("/codes", None, 9)), code::BAD_VERSION),
    ] {
        let (_, parts) = run(&mut client, std::slice::from_ref(&part))?;
        assert_eq!(parts, [Part::Error(expected)], "{part:?}");
    }
    client.close()?.ok()
}

pub(crate) fn bad_lists_are_refused_whole(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new())?;
    let mut client = Connection::new_session(server.address())?;
    let start = client.call(op::CREATE, &records::create("/a", None, &Acl::open(), 0))?.zxid;
    let get = (op::GET_DATA, records::path_watch("/a", false));
    let bad = [
        records::multi(&[create("/b", 0), get.clone()]),
        records::multi(&[(op::SYNC, records::path_only("/a"))]),
        records::multi(&[create("/b", 77)]),
        Writer::new().int(op::CREATE).boolean(false).int(-1).string("/b").into_bytes(),
    ];
    let mut last = start;
    for (index, body) in bad.into_iter().enumerate() {
        let reply = client.call(op::MULTI, &body)?;
        assert_eq!(reply.err, code::MARSHALLING_ERROR, "case {index}");
        assert_eq!(reply.zxid, last + 1, "case {index}: in multi, what cannot be parsed takes one");
        last = reply.zxid;
    }
    // Any header that says done ends the list, whatever its kind.
    let early_end = Writer::new().int(op::CREATE).boolean(true).int(0).into_bytes();
    let reply = client.call(op::MULTI, &early_end)?;
    reply.ok()?;
    assert_eq!(records::multi_reply(&reply.body)?, []);
    let reply = client.call(op::MULTI, &records::multi(&[]))?;
    assert_eq!(records::multi_reply(&reply.body)?, []);
    client.close()?.ok()
}

pub(crate) fn multi_read_answers_each_part_by_itself(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/mr", b"data", 0)?;
    client.create("/mr/child", b"", 0)?;
    let secret = [Acl::new(2, "world", "anyone")];
    client.call(op::CREATE, &records::create("/mr/secret", None, &secret, 0))?.ok()?;
    let get = |path| (op::GET_DATA, records::path_watch(path, true));
    let list = |path| (op::GET_CHILDREN, records::path_watch(path, true));
    let body = records::multi(&[get("/mr"), get("/none"), list("/mr"), get("/mr/secret")]);
    let reply = client.call(op::MULTI_READ, &body)?;
    reply.ok()?;
    let mut parts = records::multi_reply(&reply.body)?;
    let Part::Data(data, stat) = parts.remove(0) else { panic!("{parts:?}") };
    assert_eq!((data, stat.num_children), (Some(b"data".to_vec()), 2));
    assert_eq!(parts.remove(0), Part::Error(code::NO_NODE));
    let Part::Children(mut names) = parts.remove(0) else { panic!("{parts:?}") };
    names.sort();
    assert_eq!(names, ["child", "secret"]);
    assert_eq!(parts, [Part::Error(code::NO_AUTH)]);
    client.set("/mr", b"the watch flags inside were not honoured", -1)?;
    client.no_event()?;
    client.close()?.ok()
}

pub(crate) fn a_create_ttl_with_bad_flags_fails_alone(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    for flags in [7, -1] {
        let bad = (op::CREATE_TTL, records::create_ttl("/multi-ttl", None, flags, 1));
        let (_, parts) = run(&mut client, &[create("/multi-x", 0), bad, create("/multi-y", 0)])?;
        let codes = [0, code::BAD_ARGUMENTS, code::RUNTIME_INCONSISTENCY];
        assert_eq!(parts, codes.map(Part::Error), "flags {flags}");
    }
    client.close()?.ok()
}
