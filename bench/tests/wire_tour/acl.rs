//! Who may do what: schemes, permissions, authentication, super, quotas.

use std::time::Duration;

use ringkeeper_bench::{
    servers::Settings,
    tour::{SUPER_DIGEST, Tour, eventually},
    wire::{
        Connection, Failure,
        jute::Reader,
        records::{self, Acl, Part, code, op},
    },
};

/// The id of `user` with the password `test`: base64 of SHA-1 of `user:test`.
const USER: &str = "user:tl+z3z0vO6PfPfEENfLF96E6pM0=";

fn authenticate(client: &mut Connection, scheme: &str, auth: &[u8]) -> Result<(), Failure> {
    client.send_xid(-4, op::AUTH, &records::auth(scheme, auth))?;
    let reply = client.reply()?;
    assert_eq!((reply.xid, reply.zxid), (-4, 0));
    reply.ok()
}

fn get_acl(client: &mut Connection, path: &str) -> Result<(i32, Vec<Acl>), Failure> {
    let reply = client.call(op::GET_ACL, &records::path_only(path))?;
    if reply.err != 0 {
        return Ok((reply.err, Vec::new()));
    }
    Ok((0, records::read_acl(&mut Reader::new(&reply.body))?))
}

fn create(client: &mut Connection, path: &str, acl: &[Acl]) -> Result<i32, Failure> {
    Ok(client.call(op::CREATE, &records::create(path, Some(b"x"), acl, 0))?.err)
}

fn who_am_i(client: &mut Connection) -> Result<Vec<(String, String)>, Failure> {
    let reply = client.call(op::WHO_AM_I, &[])?;
    reply.ok()?;
    let mut reader = Reader::new(&reply.body);
    let count = reader.int()?;
    (0..count).map(|_| Ok((reader.string()?, reader.string()?))).collect()
}

pub(crate) fn each_operation_asks_for_its_permission(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let world = |perms| vec![Acl::new(perms, "world", "anyone")];
    assert_eq!(create(&mut client, "/perm", &Acl::open())?, 0);
    for (bit, name) in [(1, "r"), (2, "w"), (4, "c"), (8, "d"), (16, "a")] {
        let (path, all_but) = (format!("/perm/{name}"), format!("/perm/no-{name}"));
        assert_eq!(create(&mut client, &path, &world(bit))?, 0);
        assert_eq!(create(&mut client, &all_but, &world(31 & !bit))?, 0);
        let child = |path: &str| format!("{path}/child");
        let mut codes = |path: &str| -> Result<[i32; 7], Failure> {
            Ok([
                client.call(op::GET_DATA, &records::path_watch(path, false))?.err,
                client.call(op::EXISTS, &records::path_watch(path, false))?.err,
                client.call(op::GET_CHILDREN2, &records::path_watch(path, false))?.err,
                client.call(op::SET_DATA, &records::set_data(path, None, -1))?.err,
                create(&mut client, &child(path), &Acl::open())?,
                client.call(op::DELETE, &records::path_version(&child(path), -1))?.err,
                client.call(op::SET_ACL, &records::set_acl(path, &world(bit), 99))?.err,
            ])
        };
        let verdict = |allowed: bool, or: i32| if allowed { or } else { code::NO_AUTH };
        let (alone, rest) = (codes(&path)?, codes(&all_but)?);
        let expected = |has: &dyn Fn(i32) -> bool| {
            let child = has(4) && has(8);
            let missing = if has(8) && !has(4) { code::NO_NODE } else { code::NO_AUTH };
            [
                verdict(has(1), 0),
                verdict(has(1), 0),
                verdict(has(1), 0),
                verdict(has(2), 0),
                verdict(has(4), 0),
                if child { 0 } else { missing },
                verdict(has(16), code::BAD_VERSION),
            ]
        };
        assert_eq!(alone, expected(&|asked| asked == bit), "only {name}");
        assert_eq!(rest, expected(&|asked| asked != bit), "all but {name}");
    }
    client.close()?.ok()
}

pub(crate) fn digest_ids_open_what_they_closed(tour: &Tour) -> Result<(), Failure> {
    let (mut owner, mut other) = (tour.session()?, tour.session()?);
    authenticate(&mut owner, "digest", b"user:test")?;
    assert_eq!(create(&mut owner, "/digest", &[Acl::new(31, "auth", "ignored")])?, 0);
    assert_eq!(get_acl(&mut owner, "/digest")?, (0, vec![Acl::new(31, "digest", USER)]));
    assert_eq!(get_acl(&mut other, "/digest")?.0, code::NO_AUTH);
    for opcode in [op::GET_DATA, op::EXISTS, op::GET_CHILDREN] {
        let reply = other.call(opcode, &records::path_watch("/digest", false))?;
        assert_eq!(reply.err, code::NO_AUTH, "opcode {opcode}");
    }
    assert_eq!(create(&mut other, "/x", &[Acl::new(31, "auth", "")])?, code::INVALID_ACL);
    authenticate(&mut other, "digest", b"user:wrong")?;
    assert_eq!(
        other.call(op::GET_DATA, &records::path_watch("/digest", false))?.err,
        code::NO_AUTH
    );
    authenticate(&mut other, "digest", b"user:test")?;
    assert_eq!(other.get("/digest")?.0, Some(b"x".to_vec()));
    // Without the right to administer, the hash is hidden.
    let acl = [Acl::new(1, "world", "anyone"), Acl::new(31, "digest", USER)];
    owner.call(op::SET_ACL, &records::set_acl("/digest", &acl, 0))?.stat()?;
    let mut stranger = tour.session()?;
    let shown = vec![Acl::new(1, "world", "anyone"), Acl::new(31, "digest", "user:x")];
    assert_eq!(get_acl(&mut stranger, "/digest")?, (0, shown));
    assert_eq!(get_acl(&mut owner, "/digest")?, (0, acl.to_vec()));
    for client in [owner, other, stranger] {
        client.close()?.ok()?;
    }
    Ok(())
}

pub(crate) fn set_acl_counts_its_own_version(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    assert_eq!(create(&mut client, "/aversion", &Acl::open())?, 0);
    let before = client.stat("/aversion")?;
    let acl = [Acl::new(31, "world", "anyone"), Acl::new(1, "ip", "10.0.0.0/8")];
    let reply = client.call(op::SET_ACL, &records::set_acl("/aversion", &acl, 0))?;
    let stat = reply.stat()?;
    assert_eq!(stat, records::Stat { aversion: 1, ..before });
    let reply = client.call(op::SET_ACL, &records::set_acl("/aversion", &acl, 0))?;
    assert_eq!(reply.err, code::BAD_VERSION);
    let twice = [acl[0].clone(), acl[0].clone(), acl[1].clone()];
    client.call(op::SET_ACL, &records::set_acl("/aversion", &twice, -1))?.ok()?;
    assert_eq!(get_acl(&mut client, "/aversion")?, (0, acl.to_vec()), "duplicates go");
    client.close()?.ok()
}

pub(crate) fn ill_formed_acls_are_refused(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    for (scheme, id, expected) in [
        ("world", "anyone", 0),
        ("world", "someone", code::INVALID_ACL),
        ("nonsense", "x", code::INVALID_ACL),
        ("digest", "user:hash", 0),
        ("digest", "nocolon", code::INVALID_ACL),
        ("digest", "user:", code::INVALID_ACL),
        ("digest", "a:b:c", code::INVALID_ACL),
        ("ip", "127.0.0.1", 0),
        ("ip", "10.0.0.0/8", 0),
        ("ip", "10.0.0.0/33", code::INVALID_ACL),
        ("ip", "10.0.0.0/-1", code::INVALID_ACL),
        // Numbers as Java reads them.
        ("ip", "10.0.0.0/-0", 0),
        ("ip", "10.0.0.0/+8", 0),
        ("ip", "+10.0.00.0", 0),
        ("ip", "10.0.0.0/", code::INVALID_ACL),
        ("ip", "10.0.0.0/8/9", code::INVALID_ACL),
        ("ip", "10..0.0", code::INVALID_ACL),
        ("ip", "10.0.0.0.", code::INVALID_ACL),
        ("ip", "10.0.0", code::INVALID_ACL),
        ("ip", "::1", 0),
        ("ip", "1:2:3:4:5:6:7::", 0),
        ("ip", "fe80::/10", 0),
        ("ip", "::/129", code::INVALID_ACL),
        ("ip", "1:2:3:4:5:6:7:8:9", code::INVALID_ACL),
        ("ip", "1:2:3:4::5:6:7:8", code::INVALID_ACL),
        ("ip", "::ffff:10.0.0.1", code::INVALID_ACL),
        ("ip", "fe80::1%eth0", code::INVALID_ACL),
        ("ip", "12345::", code::INVALID_ACL),
        ("ip", "10.0.0.256", code::INVALID_ACL),
        ("ip", "name.example", code::INVALID_ACL),
        ("auth", "", code::INVALID_ACL),
    ] {
        let path = format!("/form-{scheme}-{}", id.replace('/', "_"));
        let acl = [Acl::new(31, scheme, id)];
        assert_eq!(create(&mut client, &path, &acl)?, expected, "{scheme} {id}");
    }
    client.close()?.ok()
}

pub(crate) fn addresses_match_by_prefix(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    for (id, expected) in [
        ("127.0.0.1", 0),
        ("127.0.0.1/32", 0),
        ("127.0.0.0/8", 0),
        ("126.0.0.0/7", 0),
        ("0.0.0.0/0", 0),
        ("127.0.0.2", code::NO_AUTH),
        ("128.0.0.0/1", code::NO_AUTH),
    ] {
        let path = format!("/ip-{}", id.replace('/', "_"));
        assert_eq!(create(&mut client, &path, &[Acl::new(31, "ip", id)])?, 0);
        let reply = client.call(op::GET_DATA, &records::path_watch(&path, false))?;
        assert_eq!(reply.err, expected, "{id}");
    }
    client.close()?.ok()
}

pub(crate) fn super_may_everything(tour: &Tour) -> Result<(), Failure> {
    let (mut owner, mut root) = (tour.session()?, tour.session()?);
    authenticate(&mut owner, "digest", b"user:test")?;
    assert_eq!(create(&mut owner, "/closed", &[Acl::new(31, "digest", USER)])?, 0);
    authenticate(&mut root, "digest", b"super:test")?;
    let ids = who_am_i(&mut root)?;
    assert!(ids.contains(&("super".into(), String::new())), "{ids:?}");
    assert!(ids.contains(&("digest".into(), "super".into())), "{ids:?}");
    assert!(ids.contains(&("ip".into(), "127.0.0.1".into())), "{ids:?}");
    root.get("/closed")?;
    root.delete("/closed", 0)?;
    assert_eq!(create(&mut root, "/nobody", &[Acl::new(0, "world", "anyone")])?, 0);
    root.set("/nobody", b"", 0)?;
    root.close()?.ok()?;
    owner.close()?.ok()
}

pub(crate) fn who_am_i_lists_what_was_added(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let ip = ("ip".to_owned(), "127.0.0.1".to_owned());
    assert_eq!(who_am_i(&mut client)?, std::slice::from_ref(&ip));
    authenticate(&mut client, "digest", b"nocolon")?;
    authenticate(&mut client, "digest", b"")?;
    authenticate(&mut client, "digest", b"user:pass:word")?;
    authenticate(&mut client, "digest", b"user:pass:word")?;
    authenticate(&mut client, "ip", b"10.0.0.1")?;
    let mut ids = who_am_i(&mut client)?;
    ids.sort();
    let digest = |user: &str| ("digest".to_owned(), user.to_owned());
    assert_eq!(ids, [digest(""), digest("nocolon"), digest("user"), ip]);
    client.close()?.ok()
}

pub(crate) fn bad_authentication_closes(tour: &Tour) -> Result<(), Failure> {
    for scheme in ["world", "auth", "sasl", "x509", "super", "nonsense", ""] {
        let mut client = tour.session()?;
        client.send_xid(-4, op::AUTH, &records::auth(scheme, b"x"))?;
        let reply = client.reply()?;
        let seen = (reply.xid, reply.zxid, reply.err);
        assert_eq!(seen, (-4, 0, code::AUTH_FAILED), "{scheme:?}");
        client.expect_closed()?;
        let resume = ringkeeper_bench::wire::Connect::resume(&client.session);
        let again = Connection::open(tour.address(), &resume)?;
        assert_eq!(again.session.session, client.session.session, "the session survives");
        again.close()?.ok()?;
    }
    let mut client = tour.session()?;
    client.send_xid(9, op::AUTH, &records::auth("digest", b"a:b"))?;
    assert_eq!(client.reply()?.xid, 9, "the xid is echoed");
    client.close()?.ok()
}

pub(crate) fn authentication_can_be_required(tour: &Tour) -> Result<(), Failure> {
    let settings =
        Settings::new().line("enforce.auth.enabled", "true").line("enforce.auth.schemes", "digest");
    let server = tour.private_unprobed(settings)?;
    let mut client = Connection::new_session(server.address())?;
    let reply = client.call(op::EXISTS, &records::path_watch("/", false))?;
    assert_eq!(reply.err, -124);
    client.expect_closed()?;
    let mut client = Connection::new_session(server.address())?;
    authenticate(&mut client, "digest", b"user:test")?;
    client.stat("/")?;
    client.close()?.ok()
}

pub(crate) fn checks_can_be_skipped(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().define("zookeeper.skipACL", "yes"))?;
    let mut client = Connection::new_session(server.address())?;
    assert_eq!(create(&mut client, "/open", &[Acl::new(31, "digest", USER)])?, 0);
    assert_eq!(client.get("/open")?.0, Some(b"x".to_vec()));
    client.set("/open", b"y", 0)?;
    client.delete("/open", 1)?;
    client.close()?.ok()
}

/// Limits a subtree, as clients do: the server counts what is there when the stats are created.
pub(crate) fn set_quota(client: &mut Connection, path: &str, limits: &[u8]) -> Result<(), Failure> {
    let node = format!("/zookeeper/quota{path}");
    client.create(&node, b"", 0)?;
    client.create(&format!("{node}/zookeeper_limits"), limits, 0)?;
    client.create(&format!("{node}/zookeeper_stats"), b"count=0,bytes=0", 0)?;
    Ok(())
}

pub(crate) fn quotas_count_and_limit(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().line("enforceQuota", "true"))?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/q", b"12345", 0)?;
    set_quota(&mut client, "/q", b"count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=3")?;
    client.create("/q/a", b"123", 0)?;
    let used = |client: &mut Connection| -> Result<String, Failure> {
        let (data, _) = client.get("/zookeeper/quota/q/zookeeper_stats")?;
        Ok(String::from_utf8(data.unwrap_or_default())?)
    };
    eventually(Duration::from_secs(5), "the use is counted", || {
        Ok(used(&mut client)?.starts_with("count=2,bytes=8"))
    })?;
    assert_eq!(create(&mut client, "/q/b", &Acl::open())?, 0);
    assert_eq!(create(&mut client, "/q/c", &Acl::open())?, code::QUOTA_EXCEEDED, "count");
    let reply = client.call(op::SET_DATA, &records::set_data("/q/a", Some(&[1; 30]), -1))?;
    assert_eq!(reply.err, code::QUOTA_EXCEEDED, "bytes");
    client.set("/q/a", &[1; 5], -1)?;
    client.delete("/q/b", -1)?;
    assert!(used(&mut client)?.starts_with("count=2,bytes=10"), "{}", used(&mut client)?);
    assert_eq!(create(&mut client, "/q/c", &Acl::open())?, 0);
    client.delete("/zookeeper/quota/q/zookeeper_limits", -1)?;
    assert_eq!(create(&mut client, "/q/d", &Acl::open())?, 0, "no limit any more");
    client.close()?.ok()
}

pub(crate) fn quotas_are_asked_before_a_multi(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().line("enforceQuota", "true"))?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/q", b"", 0)?;
    set_quota(&mut client, "/q", b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2")?;
    let part = |path: &str| (op::CREATE, records::create(path, None, &Acl::open(), 0));
    let multi = records::multi(&[part("/q/a"), part("/q/b"), part("/q/c")]);
    let reply = client.call(op::MULTI, &multi)?;
    assert!(
        records::multi_reply(&reply.body)?.iter().all(|part| matches!(part, Part::Created(_))),
        "each fits what was used before"
    );
    assert_eq!(create(&mut client, "/q/d", &Acl::open())?, code::QUOTA_EXCEEDED);
    client.close()?.ok()
}

pub(crate) fn other_digest_algorithms_and_super(tour: &Tour) -> Result<(), Failure> {
    // The super digest is a SHA-1 one: under SHA-256 the same password no longer opens it.
    let settings = Settings::new()
        .define("zookeeper.DigestAuthenticationProvider.digestAlg", "SHA-256")
        .define("zookeeper.DigestAuthenticationProvider.superDigest", SUPER_DIGEST);
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    authenticate(&mut client, "digest", b"super:test")?;
    let ids = who_am_i(&mut client)?;
    assert!(!ids.iter().any(|(scheme, _)| scheme == "super"), "{ids:?}");
    assert_eq!(create(&mut client, "/sha256", &[Acl::new(31, "auth", "")])?, 0);
    let (_, acl) = get_acl(&mut client, "/sha256")?;
    let id = acl.first().map(|entry| entry.id.clone()).unwrap_or_default();
    assert_eq!(id.len(), "super:".len() + 44, "32 bytes in base64: {id}");
    client.close()?.ok()
}

pub(crate) fn eager_checks_are_for_ensembles(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(Settings::new().define("zookeeper.enableEagerACLCheck", "true"))?;
    let mut client = Connection::new_session(server.address())?;
    assert_eq!(create(&mut client, "/eager", &[Acl::new(1, "world", "anyone")])?, 0);
    let before = client.call(op::EXISTS, &records::path_watch("/eager", false))?.zxid;
    let reply = client.call(op::SET_DATA, &records::set_data("/eager", None, -1))?;
    assert_eq!((reply.err, reply.zxid), (code::NO_AUTH, before + 1), "it takes its zxid");
    client.close()?.ok()
}

pub(crate) fn without_a_provider_sasl_goes_nowhere(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let reply = client.call(op::SASL, &0_i32.to_be_bytes())?;
    assert_eq!((reply.err, reply.body), (0, (-1_i32).to_be_bytes().to_vec()));
    client.stat("/")?;
    client.send(op::SASL, &(-1_i32).to_be_bytes())?;
    client.read_to_end(Duration::from_secs(10))?;
    Ok(())
}
