//! Znodes: Stat, versions, names, kinds, paths, and the order of checks.

use std::time::Duration;

use ringkeeper_bench::{
    servers::{Settings, four_letter},
    tour::{Tour, eventually},
    wire::{
        Connection, Failure,
        jute::{Reader, Writer},
        records::{self, Acl, Stat, code, flags, op},
    },
};

pub(crate) fn a_new_znode_has_one_zxid_in_its_stat(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let reply =
        client.call(op::CREATE2, &records::create("/new", Some(b"abc"), &Acl::open(), 0))?;
    let (path, stat) = reply.path_stat()?;
    assert_eq!(path, "/new");
    let expected = Stat {
        czxid: reply.zxid,
        mzxid: reply.zxid,
        pzxid: reply.zxid,
        ctime: stat.ctime,
        mtime: stat.ctime,
        data_length: 3,
        ..Stat::default()
    };
    assert_eq!(stat, expected);
    assert!(1_600_000_000_000 < stat.ctime, "milliseconds since 1970: {}", stat.ctime);
    assert_eq!(client.get("/new")?, (Some(b"abc".to_vec()), stat));
    assert_eq!(client.stat("/new")?, stat);
    client.close()?.ok()
}

pub(crate) fn children_change_their_parent(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/family", b"", 0)?;
    let before = client.stat("/family")?;
    let body = records::create("/family/a", Some(b""), &Acl::open(), 0);
    let created = client.call(op::CREATE, &body)?.zxid;
    client.set("/family/a", b"child data leaves the parent alone", -1)?;
    let during = client.stat("/family")?;
    assert_eq!(during, Stat { cversion: 1, pzxid: created, num_children: 1, ..before });
    let deleted = client.call(op::DELETE, &records::path_version("/family/a", 1))?;
    deleted.ok()?;
    assert!(deleted.body.is_empty());
    let after = client.stat("/family")?;
    assert_eq!(after, Stat { cversion: 2, pzxid: deleted.zxid, num_children: 0, ..before });
    client.close()?.ok()
}

pub(crate) fn set_data_checks_and_counts_versions(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/versions", b"0", 0)?;
    let first = client.set("/versions", b"one", 0)?;
    assert_eq!((first.version, first.data_length), (1, 3));
    let refused = client.call(op::SET_DATA, &records::set_data("/versions", Some(b"no"), 0))?;
    assert_eq!(refused.err, code::BAD_VERSION);
    assert!(refused.body.is_empty(), "an error has no body");
    let second = client.set("/versions", b"two!", -1)?;
    assert_eq!((second.version, second.czxid), (2, first.czxid));
    assert!(refused.zxid < second.mzxid);
    assert_eq!(second.pzxid, second.czxid, "only children move pzxid");
    assert_eq!(client.get("/versions")?.0, Some(b"two!".to_vec()));
    client.close()?.ok()
}

pub(crate) fn failed_writes_take_one_zxid(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new())?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/f", b"", 0)?;
    client.create("/f/child", b"", 0)?;
    let mut last = client.call(op::SET_DATA, &records::set_data("/f", Some(b"x"), -1))?.zxid;
    let open = Acl::open();
    let ttl = records::create_ttl("/t", Some(b""), 5, 1000);
    let reconfig = Writer::new().string("").string("").string("").long(-1).into_bytes();
    let failing = [
        (op::CREATE, records::create("bad", Some(b""), &open, 0), code::BAD_ARGUMENTS),
        (op::CREATE, records::create("/x", Some(b""), &open, 77), code::BAD_ARGUMENTS),
        (op::SET_DATA, records::set_data("/none", None, -1), code::NO_NODE),
        (op::SET_DATA, records::set_data("/f", None, 7), code::BAD_VERSION),
        (op::CREATE, records::create("/f", Some(b""), &open, 0), code::NODE_EXISTS),
        (op::DELETE, records::path_version("/f", -1), code::NOT_EMPTY),
        (op::CREATE, records::create("/x", Some(b""), &[], 0), code::INVALID_ACL),
        (op::CREATE_TTL, ttl, code::UNIMPLEMENTED),
        (op::RECONFIG, reconfig, code::RECONFIG_DISABLED),
        (op::MULTI, records::multi(&[]), code::OK),
        (op::MULTI, records::multi(&[(op::DELETE, records::path_version("/none", -1))]), code::OK),
        (op::SYNC, records::path_only("/"), code::OK),
        (op::CREATE, Writer::new().raw(b"\0\0\0\xff/short").into_bytes(), code::MARSHALLING_ERROR),
    ];
    for (index, (opcode, body, expected)) in failing.into_iter().enumerate() {
        let reply = client.call(opcode, &body)?;
        assert_eq!(reply.err, expected, "opcode {opcode}, case {index}");
        // sync takes one as well on a standalone Apache server's pipeline? The answer is no: it and
        // the record that cannot be parsed take none.
        let takes_none = opcode == op::SYNC || expected == code::MARSHALLING_ERROR;
        let takes = if takes_none { 0 } else { 1 };
        assert_eq!(reply.zxid, last + takes, "opcode {opcode}, case {index}");
        last = reply.zxid;
    }
    let read = client.call(op::EXISTS, &records::path_watch("/f", false))?;
    assert_eq!(read.zxid, last, "a read takes none");
    client.close()?.ok()
}

pub(crate) fn sequence_numbers_count_sibling_creates(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/seq", b"", 0)?;
    assert_eq!(client.create("/seq/n-", b"", flags::SEQUENTIAL)?, "/seq/n-0000000000");
    client.create("/seq/plain", b"", 0)?;
    assert_eq!(client.create("/seq/", b"", flags::SEQUENTIAL)?, "/seq/0000000002");
    client.delete("/seq/n-0000000000", -1)?;
    let path = client.create("/seq/e", b"", flags::EPHEMERAL_SEQUENTIAL)?;
    assert_eq!(path, "/seq/e0000000003", "deletes do not count");
    let stat = client.stat("/seq")?;
    assert_eq!((stat.cversion, stat.num_children), (5, 3), "four creates and one delete");
    let path = client.create("/", b"", flags::SEQUENTIAL)?;
    assert_eq!(path.len(), "/0000000000".len(), "{path}");
    client.delete(&path, -1)?;
    client.close()?.ok()
}

pub(crate) fn null_data_is_not_empty_data(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.call(op::CREATE, &records::create("/null", None, &Acl::open(), 0))?.ok()?;
    client.create("/empty", b"", 0)?;
    let (data, stat) = client.get("/null")?;
    assert_eq!((data, stat.data_length), (None, 0));
    let (data, stat) = client.get("/empty")?;
    assert_eq!((data, stat.data_length), (Some(Vec::new()), 0));
    client.set("/null", b"x", -1)?;
    client.call(op::SET_DATA, &records::set_data("/null", None, -1))?.ok()?;
    assert_eq!(client.get("/null")?.0, None);
    client.close()?.ok()
}

pub(crate) fn a_fresh_server_has_its_system_znodes(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new())?;
    let words = four_letter(server.address(), "srvr")?;
    assert!(words.contains("\nNode count: 5\n"), "{words}");
    let mut client = Connection::new_session(server.address())?;
    let root = client.stat("/")?;
    assert_eq!(root, Stat { cversion: -1, num_children: 1, ..Stat::default() });
    assert_eq!(client.stat("")?, root, "the empty path is the root, too");
    let system = client.stat("/zookeeper")?;
    assert_eq!(system, Stat { cversion: -2, num_children: 2, ..Stat::default() });
    assert_eq!(client.stat("/zookeeper/quota")?, Stat::default());
    let (data, config) = client.get("/zookeeper/config")?;
    assert_eq!(data, Some(Vec::new()));
    assert_eq!(config, Stat { aversion: -1, ..Stat::default() });
    let reply = client.call(op::GET_ACL, &records::path_only("/zookeeper/config"))?;
    let acl = records::read_acl(&mut Reader::new(&reply.body))?;
    assert_eq!(acl, [Acl::new(1, "world", "anyone")]);
    assert_eq!(client.children("/")?, ["zookeeper"]);
    assert_eq!(client.children("/zookeeper")?, ["config", "quota"]);
    client.close()?.ok()
}

pub(crate) fn ephemerals_go_with_their_session(tour: &Tour) -> Result<(), Failure> {
    let (mut owner, mut witness) = (tour.session()?, tour.session()?);
    owner.create("/owned", b"", 0)?;
    owner.create("/owned/a", b"1", flags::EPHEMERAL)?;
    let second = owner.create("/owned/b", b"2", flags::EPHEMERAL_SEQUENTIAL)?;
    let stat = witness.stat("/owned/a")?;
    assert_eq!(stat.ephemeral_owner, owner.session.session);
    let body = records::create("/owned/a/child", Some(b""), &Acl::open(), 0);
    assert_eq!(witness.call(op::CREATE, &body)?.err, code::NO_CHILDREN_FOR_EPHEMERALS);
    let mine = owner.call(op::GET_EPHEMERALS, &records::path_only("/owned"))?.names()?;
    assert_eq!(mine, ["/owned/a".to_owned(), second]);
    assert!(witness.call(op::GET_EPHEMERALS, &records::path_only("/"))?.names()?.is_empty());
    let closed = owner.close()?;
    closed.ok()?;
    let parent = witness.stat("/owned")?;
    assert_eq!(parent.num_children, 0);
    assert_eq!(parent.pzxid, closed.zxid, "they go under the zxid of the close");
    assert_eq!(parent.cversion, 4);
    witness.close()?.ok()
}

pub(crate) fn containers_go_when_their_last_child_went(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let body = records::create("/box", Some(b""), &Acl::open(), flags::CONTAINER);
    let (_, stat) = client.call(op::CREATE_CONTAINER, &body)?.path_stat()?;
    assert_eq!(stat.ephemeral_owner, 0, "the marker is not shown");
    let body = records::create("/never-used", Some(b""), &Acl::open(), flags::CONTAINER);
    client.call(op::CREATE_CONTAINER, &body)?.ok()?;
    client.create("/box/a", b"", 0)?;
    client.delete("/box/a", -1)?;
    eventually(Duration::from_secs(10), "the used container goes", || {
        Ok(client.call(op::EXISTS, &records::path_watch("/box", false))?.err == code::NO_NODE)
    })?;
    client.stat("/never-used")?;
    client.close()?.ok()
}

pub(crate) fn ttl_znodes_go_when_they_are_idle(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let body = records::create_ttl("/ttl", Some(b""), flags::TTL, 300);
    let (_, stat) = client.call(op::CREATE_TTL, &body)?.path_stat()?;
    assert_eq!(stat.ephemeral_owner, 0);
    let body = records::create_ttl("/ttl-parent", Some(b""), flags::TTL, 1);
    client.call(op::CREATE_TTL, &body)?.ok()?;
    client.create("/ttl-parent/child", b"", 0)?;
    let body = records::create_ttl("/ttl-", Some(b""), flags::TTL_SEQUENTIAL, 60_000);
    let (path, _) = client.call(op::CREATE_TTL, &body)?.path_stat()?;
    assert!(path.starts_with("/ttl-0"), "{path}");
    for (flags, ttl) in [(5, 0), (5, -1), (6, -2), (5, 1 << 40), (99, 5)] {
        let reply = client.call(op::CREATE_TTL, &records::create_ttl("/t", None, flags, ttl))?;
        assert_eq!(reply.err, code::BAD_ARGUMENTS, "flags {flags}, ttl {ttl}");
    }
    eventually(Duration::from_secs(10), "the idle TTL znode goes", || {
        Ok(client.call(op::EXISTS, &records::path_watch("/ttl", false))?.err == code::NO_NODE)
    })?;
    client.stat("/ttl-parent")?;
    if tour.is_ringkeeper() {
        // Apache logs this one, dies of it, and dies again at every start.
        let body = records::create_ttl("/killer", None, flags::PERSISTENT, -1);
        assert_eq!(client.call(op::CREATE_TTL, &body)?.err, code::BAD_ARGUMENTS);
    }
    client.close()?.ok()
}

pub(crate) fn ttl_needs_extended_types(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new())?;
    let mut client = Connection::new_session(server.address())?;
    let body = records::create_ttl("/ttl", Some(b""), flags::TTL, 300);
    assert_eq!(client.call(op::CREATE_TTL, &body)?.err, code::UNIMPLEMENTED);
    client.create("/still-connected", b"", 0)?;
    client.close()?.ok()
}

pub(crate) fn bad_paths_are_refused(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let bad = [
        "",
        "a",
        "a/b",
        "/a/",
        "//",
        "/a//b",
        "/.",
        "/..",
        "/a/./b",
        "/a/../b",
        "/a\u{1}",
        "/a\u{7f}",
        "/a\u{9f}",
        "/a\u{e000}",
        "/a\u{fff0}",
        "/a\u{1f600}",
        "/a\0b",
    ];
    for path in bad {
        let create = client.call(op::CREATE, &records::create(path, None, &Acl::open(), 0))?;
        let set = client.call(op::SET_DATA, &records::set_data(path, None, -1))?;
        let acl = client.call(op::SET_ACL, &records::set_acl(path, &Acl::open(), -1))?;
        // create looks for the parent before it checks the whole path.
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let orphan = !["", "/"].contains(&parent) && !path.contains('\0');
        assert_eq!(
            create.err,
            if orphan { code::NO_NODE } else { code::BAD_ARGUMENTS },
            "{path:?}"
        );
        assert_eq!((set.err, acl.err), (code::BAD_ARGUMENTS, code::BAD_ARGUMENTS), "{path:?}");
    }
    for path in ["a", "/a/", "//", "/a//b", "/a\u{1}"] {
        for opcode in [op::GET_DATA, op::EXISTS, op::GET_CHILDREN, op::GET_CHILDREN2] {
            let reply = client.call(opcode, &records::path_watch(path, false))?;
            assert_eq!(reply.err, code::NO_NODE, "{opcode} {path:?}");
        }
    }
    let reply = client.call(op::EXISTS, &records::path_watch("/a\0b", false))?;
    assert_eq!(reply.err, code::BAD_ARGUMENTS);
    for path in ["/ä", "/日本", "/a b", "/...", "/a.b", "/\u{a0}"] {
        client.create(path, b"", 0)?;
        client.delete(path, -1)?;
    }
    client.close()?.ok()
}

pub(crate) fn delete_checks_in_order(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/del", b"", 0)?;
    client.create("/del/a", b"", 0)?;
    for (path, version, expected) in [
        ("/", -1, code::BAD_ARGUMENTS),
        ("/zookeeper", -1, code::BAD_ARGUMENTS),
        ("/zookeeper/quota", 0, code::BAD_ARGUMENTS),
        ("/zookeeper/config", 0, code::BAD_ARGUMENTS),
        ("del", -1, code::BAD_ARGUMENTS),
        ("/none/child", -1, code::NO_NODE),
        ("/none", 5, code::NO_NODE),
        ("/del", 5, code::BAD_VERSION),
        ("/del", 0, code::NOT_EMPTY),
        ("/del/a", 0, code::OK),
        ("/del", 0, code::OK),
    ] {
        let reply = client.call(op::DELETE, &records::path_version(path, version))?;
        assert_eq!(reply.err, expected, "{path} {version}");
    }
    client.close()?.ok()
}

pub(crate) fn create_checks_in_order(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/order", b"", 0)?;
    client.create("/order/e", b"", flags::EPHEMERAL)?;
    let bad_acl = [Acl::new(31, "nonsense", "x")];
    let read_only = [Acl::new(1, "world", "anyone")];
    client.call(op::CREATE, &records::create("/order/r", None, &read_only, 0))?.ok()?;
    let open = Acl::open();
    for (path, acl, flags, expected) in [
        ("/none/x", &bad_acl[..], 9, code::BAD_ARGUMENTS),
        ("/none/x", &bad_acl[..], 0, code::INVALID_ACL),
        ("/order/r/x", &bad_acl[..], 0, code::INVALID_ACL),
        ("/order/e/x", &bad_acl[..], 0, code::INVALID_ACL),
        ("/none/x/", &open[..], 0, code::NO_NODE),
        ("/order/r/.", &open[..], 0, code::NO_AUTH),
        ("/order/r/x", &open[..], 0, code::NO_AUTH),
        ("/order/.", &open[..], 0, code::BAD_ARGUMENTS),
        ("/order/e", &open[..], 0, code::NODE_EXISTS),
        ("/order/e/x", &open[..], 0, code::NO_CHILDREN_FOR_EPHEMERALS),
        ("/", &open[..], 0, code::NODE_EXISTS),
    ] {
        let reply = client.call(op::CREATE, &records::create(path, None, acl, flags))?;
        assert_eq!(reply.err, expected, "{path} flags {flags}");
    }
    client.close()?.ok()
}

pub(crate) fn counts_and_lists(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    for path in ["/count", "/count/a", "/count/a/b", "/count/c", "/countless"] {
        client.create(path, b"", 0)?;
    }
    let number = |client: &mut Connection, path: &str| -> Result<i32, Failure> {
        let reply = client.call(op::GET_ALL_CHILDREN_NUMBER, &records::path_only(path))?;
        reply.ok()?;
        Reader::new(&reply.body).int()
    };
    assert_eq!(number(&mut client, "/count")?, 3);
    assert_eq!(number(&mut client, "/count/c")?, 0);
    assert_eq!(number(&mut client, "/")?, number(&mut client, "")? - 1);
    let missing = client.call(op::GET_ALL_CHILDREN_NUMBER, &records::path_only("/none"))?;
    assert_eq!(missing.err, code::NO_NODE);
    let reply = client.call(op::GET_CHILDREN2, &records::path_watch("/count", false))?;
    let mut reader = Reader::new(&reply.body);
    let mut names = reader.strings()?;
    names.sort();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(Stat::read(&mut reader)?, client.stat("/count")?);
    client.create("/count-e", b"", flags::EPHEMERAL)?;
    client.create("/count/e", b"", flags::EPHEMERAL)?;
    for (prefix, expected) in [("/count", 2), ("/count/", 1), ("/", 2), ("", 2), ("/x", 0)] {
        let names = client.call(op::GET_EPHEMERALS, &records::path_only(prefix))?.names()?;
        assert_eq!(names.len(), expected, "{prefix:?}: {names:?}");
    }
    assert_eq!(client.call(op::SYNC, &records::path_only("/nowhere"))?.path()?, "/nowhere");
    client.close()?.ok()
}

pub(crate) fn kinds_and_flags_may_disagree(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let open = Acl::open();
    for (opcode, flags, path) in [
        (op::CREATE_CONTAINER, 0, "/k0"),
        (op::CREATE_CONTAINER, 1, "/k1"),
        (op::CREATE2, 4, "/k4"),
    ] {
        client.call(opcode, &records::create(path, None, &open, flags))?.path_stat()?;
    }
    assert_eq!(client.stat("/k1")?.ephemeral_owner, 0, "the opcode wins over the flags");
    let reply = client.call(op::CREATE, &records::create("/k5", None, &open, flags::TTL))?;
    assert_eq!(reply.err, code::BAD_ARGUMENTS);
    for perms in [0, 64, -1] {
        let acl = [Acl::new(perms, "world", "anyone")];
        let path = format!("/perms{perms}");
        client.call(op::CREATE, &records::create(&path, None, &acl, 0))?.ok()?;
    }
    client.close()?.ok()
}

pub(crate) fn null_and_relative_paths(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new())?;
    let mut client = Connection::new_session(server.address())?;
    let last = client.call(op::CREATE, &records::create("/n", None, &Acl::open(), 0))?.zxid;
    let null = Writer::new().int(-1);
    let acl = Writer::new().int(1).int(31).string("world").string("anyone").into_bytes();
    let create = null.clone().buffer(None).raw(&acl).int(0).into_bytes();
    let reply = client.call(op::CREATE, &create)?;
    assert_eq!((reply.err, reply.zxid), (code::MARSHALLING_ERROR, last + 1));
    let reply = client.call(op::DELETE, &null.clone().int(-1).into_bytes())?;
    assert_eq!((reply.err, reply.zxid), (code::MARSHALLING_ERROR, last + 2));
    let reply = client.call(op::SET_DATA, &null.clone().buffer(None).int(-1).into_bytes())?;
    assert_eq!((reply.err, reply.zxid), (code::BAD_ARGUMENTS, last + 3));
    let reply = client.call(op::SET_ACL, &null.clone().raw(&acl).int(-1).into_bytes())?;
    assert_eq!((reply.err, reply.zxid), (code::BAD_ARGUMENTS, last + 4));
    let reply = client.call(op::SYNC, &null.clone().into_bytes())?;
    reply.ok()?;
    assert_eq!(reply.body, null.clone().into_bytes(), "the null path comes back");
    client.call(op::ADD_WATCH, &null.clone().int(0).into_bytes())?.ok()?;
    client.call(op::CHECK_WATCHES, &null.int(3).into_bytes())?.ok()?;
    assert_eq!(client.call(op::SYNC, &records::path_only("x"))?.path()?, "x");
    client.call(op::ADD_WATCH, &records::path_int("relative", 0))?.ok()?;
    let names = client.children("")?;
    assert_eq!(names, ["n", "zookeeper"]);
    client.close()?.ok()
}

pub(crate) fn a_megabyte_fits(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let data = vec![7; 1_000_000];
    client.create("/large", &data, 0)?;
    let (read, stat) = client.get("/large")?;
    assert_eq!((read, stat.data_length), (Some(data), 1_000_000));
    client.delete("/large", -1)?;
    client.close()?.ok()
}
