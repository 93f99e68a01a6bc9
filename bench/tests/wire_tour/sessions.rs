//! Sessions: handshake, resumption, takeover, expiry, restart.

use std::time::{Duration, Instant};

use ringkeeper_bench::{
    servers::{Settings, four_letter},
    tour::{Tour, eventually},
    wire::{
        Connect, Connected, Connection, Failure,
        jute::Writer,
        records::{self, Acl, code, flags, op},
    },
};

/// What a refused session looks like on the wire.
fn refusal(read_only: Option<bool>) -> Connected {
    Connected { password: vec![0; 16], read_only, ..Connected::default() }
}

pub(crate) fn the_timeout_is_clamped(tour: &Tour) -> Result<(), Failure> {
    for (asked, given) in [(-5, 1000), (1, 1000), (7000, 7000), (1_000_000, 20_000)] {
        let connect = Connect { timeout_ms: asked, ..Connect::default() };
        let client = Connection::open(tour.address(), &connect)?;
        assert_eq!(client.session.timeout_ms, given, "asked for {asked}");
        assert_eq!(client.session.protocol, 0);
        assert_eq!(client.session.password.len(), 16);
        client.close()?.ok()?;
    }
    let server = tour.private(Settings::new())?;
    for (asked, given) in [(1, 6000), (1_000_000, 60_000)] {
        let connect = Connect { timeout_ms: asked, ..Connect::default() };
        let client = Connection::open(server.address(), &connect)?;
        assert_eq!(client.session.timeout_ms, given, "default ticks, asked for {asked}");
    }
    Ok(())
}

pub(crate) fn the_read_only_byte_is_echoed_or_absent(tour: &Tour) -> Result<(), Failure> {
    for (asked, given) in [(None, None), (Some(false), Some(false)), (Some(true), Some(false))] {
        let connect = Connect { read_only: asked, ..Connect::default() };
        let client = Connection::open(tour.address(), &connect)?;
        assert_eq!(client.session.read_only, given);
        client.close()?.ok()?;
    }
    Ok(())
}

pub(crate) fn odd_handshakes_are_accepted(tour: &Tour) -> Result<(), Failure> {
    for connect in [
        Connect { protocol: 77, ..Connect::default() },
        Connect { protocol: -1, ..Connect::default() },
        Connect { last_zxid: -1, ..Connect::default() },
        Connect { last_zxid: i64::MIN, ..Connect::default() },
        Connect { password: None, ..Connect::default() },
        Connect { password: Some(Vec::new()), ..Connect::default() },
        Connect { password: Some(vec![1; 40]), ..Connect::default() },
    ] {
        let client = Connection::open(tour.address(), &connect)?;
        assert_ne!(client.session.session, 0, "{connect:?}");
        client.close()?.ok()?;
    }
    Ok(())
}

pub(crate) fn a_client_that_has_seen_more_is_turned_away(tour: &Tour) -> Result<(), Failure> {
    let mut client = Connection::dial(tour.address())?;
    let connect = Connect { last_zxid: i64::MAX, ..Connect::default() };
    client.send_frame(&connect.body())?;
    client.expect_closed()
}

pub(crate) fn a_session_is_resumed(tour: &Tour) -> Result<(), Failure> {
    let mut first = tour.session()?;
    first.create("/resumed", b"", flags::EPHEMERAL)?;
    let stat = first.stat("/resumed")?;
    let session = first.session.clone();
    drop(first);
    let mut second = Connection::open(tour.address(), &Connect::resume(&session))?;
    assert_eq!(second.session, session);
    assert_eq!(second.stat("/resumed")?, stat);
    second.delete("/resumed", 0)?;
    second.close()?.ok()
}

pub(crate) fn a_wrong_password_is_an_expired_session(tour: &Tour) -> Result<(), Failure> {
    let mut owner = tour.session()?;
    owner.create("/kept", b"", flags::EPHEMERAL)?;
    for password in [Some(vec![1; 16]), Some(vec![0; 16]), Some(Vec::new()), None] {
        let connect = Connect { password, ..Connect::resume(&owner.session) };
        let mut thief = Connection::open(tour.address(), &connect)?;
        assert_eq!(thief.session, refusal(Some(false)));
        thief.expect_closed()?;
        if !tour.is_ringkeeper() {
            // Apache closes the owner's connection before it looks at the password.
            let session = owner.session.clone();
            owner = Connection::open(tour.address(), &Connect::resume(&session))?;
        }
        owner.set("/kept", b"the owner goes on", -1)?;
    }
    owner.close()?.ok()
}

pub(crate) fn an_unknown_session_is_an_expired_session(tour: &Tour) -> Result<(), Failure> {
    let connect = Connect { session: 0x1234, read_only: None, ..Connect::default() };
    let mut client = Connection::open(tour.address(), &connect)?;
    assert_eq!(client.session, refusal(None));
    client.expect_closed()?;
    let mut gone = tour.session()?;
    let session = gone.session.clone();
    gone.call(op::CLOSE_SESSION, &[])?.ok()?;
    gone.expect_closed()?;
    let mut client = Connection::open(tour.address(), &Connect::resume(&session))?;
    assert_eq!(client.session, refusal(Some(false)));
    client.expect_closed()
}

pub(crate) fn a_second_connection_takes_the_session_over(tour: &Tour) -> Result<(), Failure> {
    let mut old = tour.session()?;
    old.create("/taken", b"", flags::EPHEMERAL)?;
    let mut new = Connection::open(tour.address(), &Connect::resume(&old.session))?;
    assert_eq!(new.session, old.session);
    old.expect_closed()?;
    new.set("/taken", b"new owner", 0)?;
    new.close()?.ok()
}

pub(crate) fn requests_may_follow_the_handshake_at_once(tour: &Tour) -> Result<(), Failure> {
    let mut client = Connection::dial(tour.address())?;
    client.send_frame(&Connect::default().body())?;
    client.send_xid(-4, op::AUTH, &records::auth("digest", b"early:bird"))?;
    client.send_xid(-8, op::SET_WATCHES, &records::set_watches(0, &[&[], &["/early"], &[]]))?;
    let mine = [Acl::new(31, "auth", "")];
    client.send_xid(1, op::CREATE, &records::create("/early", Some(b"1"), &mine, 0))?;
    client.send_xid(2, op::GET_DATA, &records::path_watch("/early", false))?;
    client.send_xid(3, op::DELETE, &records::path_version("/early", -1))?;
    client.read_connected()?;
    assert_ne!(client.session.session, 0);
    let replies = (0..5).map(|_| client.reply()).collect::<Result<Vec<_>, _>>()?;
    let mut xids: Vec<i32> = replies.iter().map(|reply| reply.xid).collect();
    // The answer to auth may overtake.
    let auth = xids.iter().position(|xid| *xid == -4).expect("an answer to auth");
    xids.remove(auth);
    assert_eq!(xids, [-8, 1, 2, 3]);
    assert!(replies.iter().all(|reply| reply.err == 0), "{replies:?}");
    assert_eq!(client.event()?.kind, 1);
    client.close()?.ok()
}

pub(crate) fn silence_expires_a_session_and_pings_keep_it(tour: &Tour) -> Result<(), Failure> {
    let connect = Connect { timeout_ms: 1000, ..Connect::default() };
    let mut silent = Connection::open(tour.address(), &connect)?;
    let mut alive = Connection::open(tour.address(), &connect)?;
    let mut witness = tour.session()?;
    silent.create("/silent", b"", flags::EPHEMERAL)?;
    alive.create("/alive", b"", flags::EPHEMERAL)?;
    let started = Instant::now();
    eventually(Duration::from_secs(8), "the silent session expires", || {
        alive.send_xid(-2, op::PING, &[])?;
        assert_eq!(alive.reply()?.xid, -2);
        let reply = witness.call(op::EXISTS, &records::path_watch("/silent", false))?;
        Ok(reply.err == code::NO_NODE)
    })?;
    assert!(Duration::from_millis(900) < started.elapsed(), "not before its time");
    silent.expect_closed()?;
    let mut late = Connection::open(tour.address(), &Connect::resume(&silent.session))?;
    assert_eq!(late.session, refusal(Some(false)));
    late.expect_closed()?;
    witness.stat("/alive")?;
    alive.close()?.ok()?;
    witness.close()?.ok()
}

pub(crate) fn sessions_survive_a_kill_of_the_server(tour: &Tour) -> Result<(), Failure> {
    let mut server = tour.private(Settings::new().line("tickTime", "500"))?;
    let connect = Connect { timeout_ms: 10_000, ..Connect::default() };
    let mut client = Connection::open(server.address(), &connect)?;
    let mut doomed =
        Connection::open(server.address(), &Connect { timeout_ms: 1000, ..Connect::default() })?;
    client.create("/kept", b"1", flags::EPHEMERAL)?;
    doomed.create("/doomed", b"1", flags::EPHEMERAL)?;
    let acl = [Acl::new(31, "digest", "u:x"), Acl::new(1, "world", "anyone")];
    client.call(op::CREATE, &records::create("/full", None, &acl, 0))?.ok()?;
    let (kept, full) = (client.stat("/kept")?, client.stat("/full")?);
    server.kill()?;
    server.run()?;
    let last_zxid = full.czxid;
    let resume = Connect { last_zxid, ..Connect::resume(&client.session) };
    let mut again = Connection::open(server.address(), &resume)?;
    assert_eq!(again.session, client.session);
    assert_eq!(again.stat("/kept")?, kept);
    assert_eq!(again.stat("/full")?, full);
    let next = again.set("/kept", b"2", 0)?;
    assert!(last_zxid < next.mzxid, "zxids never go back");
    eventually(Duration::from_secs(10), "the session that nobody resumed expires", || {
        let reply = again.call(op::EXISTS, &records::path_watch("/doomed", false))?;
        Ok(reply.err == code::NO_NODE)
    })?;
    again.close()?.ok()
}

pub(crate) fn sigterm_keeps_sessions(tour: &Tour) -> Result<(), Failure> {
    let mut server = tour.private(Settings::new())?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/kept", b"", flags::EPHEMERAL)?;
    let started = Instant::now();
    let status = server.terminate(Duration::from_secs(10))?;
    if tour.is_ringkeeper() {
        assert!(status.success(), "{status}");
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    client.expect_closed()?;
    server.run()?;
    let mut again = Connection::open(server.address(), &Connect::resume(&client.session))?;
    assert_eq!(again.session, client.session);
    again.stat("/kept")?;
    again.close()?.ok()
}

pub(crate) fn passwords_cannot_be_computed(tour: &Tour) -> Result<(), Failure> {
    let client = tour.session()?;
    // Apache's: 16 bytes of a linear congruential generator that the session id seeds.
    let seed = client.session.session ^ 0xB341_5C00;
    let mut state = (seed ^ 0x5_DEEC_E66D) & ((1 << 48) - 1);
    let mut computed = Vec::new();
    for _ in 0..4 {
        state = state.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
        let word = u32::try_from(state >> 16)?;
        computed.extend_from_slice(&word.to_le_bytes());
    }
    // The original's can be computed: this also shows that the computation is right.
    assert_eq!(client.session.password == computed, !tour.is_ringkeeper());
    let other = tour.session()?;
    assert_ne!(client.session.password, other.session.password);
    assert_ne!(client.session.session, other.session.session);
    other.close()?.ok()?;
    client.close()?.ok()
}

pub(crate) fn nothing_runs_behind_a_close(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.send_xid(1, op::CLOSE_SESSION, &[])?;
    client.send_xid(2, op::CREATE, &records::create("/behind", None, &Acl::open(), 0))?;
    assert_eq!(
        (client.reply()?.xid, client.read_to_end(Duration::from_secs(5)).is_ok()),
        (1, true)
    );
    let mut witness = tour.session()?;
    let reply = witness.call(op::EXISTS, &records::path_watch("/behind", false))?;
    assert_eq!(reply.err, code::NO_NODE);
    witness.close()?.ok()
}

pub(crate) fn too_many_connections_of_one_address(tour: &Tour) -> Result<(), Failure> {
    let settings = Settings::new().line("maxClientCnxns", "3");
    let server = tour.private(settings)?;
    // The connection that probed the start may not be counted out yet.
    let mut kept = Vec::new();
    eventually(Duration::from_secs(5), "three sessions fit", || {
        if let Ok(client) = Connection::new_session(server.address()) {
            kept.push(client);
        }
        Ok(kept.len() == 3)
    })?;
    let mut fourth = Connection::dial(server.address())?;
    fourth.expect_closed()?;
    kept.pop().expect("three were kept").close()?.ok()?;
    eventually(Duration::from_secs(5), "a place becomes free", || {
        Ok(Connection::new_session(server.address()).is_ok())
    })?;
    kept[0].stat("/")?;
    Ok(())
}

pub(crate) fn a_connection_without_a_session_is_dropped(tour: &Tour) -> Result<(), Failure> {
    let settings = Settings::new()
        .define("zookeeper.nio.sessionlessCnxnTimeout", "1000")
        .line("tickTime", "500");
    let server = tour.private(settings)?;
    let mut mute = Connection::dial(server.address())?;
    let mut half = Connection::dial(server.address())?;
    half.send_raw(&[0, 0])?;
    mute.expect_closed()?;
    half.expect_closed()?;
    assert!(four_letter(server.address(), "srvr")?.contains("Mode: standalone"));
    Ok(())
}

pub(crate) fn old_and_new_clients_share_a_server(tour: &Tour) -> Result<(), Failure> {
    let old = Connect { read_only: None, ..Connect::default() };
    let mut old = Connection::open(tour.address(), &old)?;
    let mut new = tour.session()?;
    old.create("/shared-era", b"", 0)?;
    new.delete("/shared-era", 0)?;
    old.close()?.ok()?;
    new.close()?.ok()
}

pub(crate) fn many_requests_in_flight_come_back_in_order(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/flight", b"", 0)?;
    let mut frames = Vec::new();
    for xid in 1..=4000_i32 {
        let (opcode, body) = match xid % 4 {
            0 => (op::SET_DATA, records::set_data("/flight", Some(&xid.to_be_bytes()), -1)),
            1 => (op::GET_DATA, records::path_watch("/flight", false)),
            2 => (op::CREATE, records::create("/flight/n", None, &Acl::open(), flags::SEQUENTIAL)),
            _ => (op::DELETE, records::path_version("/flight/none", -1)),
        };
        let payload = Writer::new().int(xid).int(opcode).raw(&body).into_bytes();
        frames.extend_from_slice(&i32::try_from(payload.len())?.to_be_bytes());
        frames.extend_from_slice(&payload);
    }
    let mut stream = client.stream().try_clone()?;
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stream, &frames));
    let mut last_set = None;
    for xid in 1..=4000_i32 {
        let reply = client.reply()?;
        assert_eq!(reply.xid, xid);
        match xid % 4 {
            0 => last_set = Some(xid.to_be_bytes().to_vec()),
            1 => assert_eq!(reply.data()?.0, last_set.clone().or(Some(Vec::new())), "own writes"),
            2 => reply.ok()?,
            _ => assert_eq!(reply.err, code::NO_NODE),
        }
    }
    writer.join().expect("the writer does not panic")?;
    assert_eq!(client.stat("/flight")?.num_children, 1000);
    client.close()?.ok()
}
