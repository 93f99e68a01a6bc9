//! Sessions that were lost, kept too long, or left something behind.

use std::time::{Duration, Instant};

use ringkeeper_bench::{
    tour::{self, Tour, eventually},
    wire::{
        Connect, Connected, Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

fn exists(client: &mut Connection, path: &str) -> Result<bool, Failure> {
    match client.call(op::EXISTS, &records::path_watch(path, false))?.err {
        code::OK => Ok(true),
        code::NO_NODE => Ok(false),
        other => Err(format!("exists gave {other}").into()),
    }
}

/// What a client is told whose session is not there any more.
fn refusal() -> Connected {
    Connected { password: vec![0; 16], read_only: Some(false), ..Connected::default() }
}

pub(crate) fn a_session_moves_to_another_connection(tour: &Tour) -> Result<(), Failure> {
    let mut first = tour.session()?;
    first.create("/moved", b"", flags::EPHEMERAL)?;
    let stat = first.stat("/moved")?;
    let mut second = Connection::open(tour.address(), &Connect::resume(&first.session))?;
    assert_eq!(second.session, first.session, "not a new one in silence");
    first.expect_closed()?;
    assert_eq!(second.stat("/moved")?, stat);
    assert_eq!(stat.ephemeral_owner, second.session.session);
    second.close()?.ok()
}

pub(crate) fn a_session_moves_with_its_ephemerals_through_a_restart(
    tour: &Tour,
) -> Result<(), Failure> {
    let mut server = tour.private(tour::shared_settings())?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/through", b"kept", flags::EPHEMERAL)?;
    let before = client.get("/through")?;
    for _ in 0..2 {
        server.kill()?;
        server.run()?;
        let connect = Connect { last_zxid: before.1.czxid, ..Connect::resume(&client.session) };
        client = Connection::open(server.address(), &connect)?;
        assert_eq!(client.session.session, before.1.ephemeral_owner);
        assert_eq!(client.get("/through")?, before);
    }
    client.close()?.ok()
}

pub(crate) fn the_old_connection_of_a_moved_session_cannot_write(
    tour: &Tour,
) -> Result<(), Failure> {
    let mut first = tour.session()?;
    let mut second = Connection::open(tour.address(), &Connect::resume(&first.session))?;
    // It may be closed already: then the request cannot even be sent.
    let body = records::create("/stale-owner", None, &Acl::open(), 0);
    first.send(op::CREATE, &body).ok();
    first.expect_closed()?;
    second.call(op::SYNC, &records::path_only("/"))?.ok()?;
    assert!(!exists(&mut second, "/stale-owner")?);
    second.close()?.ok()
}

pub(crate) fn a_session_that_only_reads_does_not_expire(tour: &Tour) -> Result<(), Failure> {
    let short = Connect { timeout_ms: 1000, ..Connect::default() };
    let mut reader = Connection::open(tour.address(), &short)?;
    let mut silent = Connection::open(tour.address(), &short)?;
    reader.create("/reader", b"", flags::EPHEMERAL)?;
    silent.create("/silent-beside", b"", flags::EPHEMERAL)?;
    let started = Instant::now();
    // No ping and no write: reads alone. Three timeouts, and until the silent one has expired.
    while started.elapsed() < Duration::from_secs(3) || exists(&mut reader, "/silent-beside")? {
        assert!(exists(&mut reader, "/reader")?);
        assert!(started.elapsed() < Duration::from_secs(20), "the silent session lives on");
        std::thread::sleep(Duration::from_millis(50));
    }
    reader.close()?.ok()
}

pub(crate) fn a_session_id_that_was_lost_stays_lost(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.call(op::CLOSE_SESSION, &[])?.ok()?;
    client.expect_closed()?;
    // Not a new session under the old id, and not a new one under a new id.
    for _ in 0..2 {
        let mut late = Connection::open(tour.address(), &Connect::resume(&client.session))?;
        assert_eq!(late.session, refusal());
        late.expect_closed()?;
    }
    Ok(())
}

pub(crate) fn a_wrong_password_does_not_harm_the_owner(tour: &Tour) -> Result<(), Failure> {
    let mut owner = tour.session()?;
    owner.create("/owned", b"", flags::EPHEMERAL)?;
    let wrong = Connect { password: Some(vec![7; 16]), ..Connect::resume(&owner.session) };
    let mut thief = Connection::open(tour.address(), &wrong)?;
    assert_eq!(thief.session, refusal());
    thief.expect_closed()?;
    if tour.is_ringkeeper() {
        owner.set("/owned", b"still here", -1)?;
        return owner.close()?.ok();
    }
    // Apache throws the owner out; at least the session is still its own.
    owner.expect_closed()?;
    let mut again = Connection::open(tour.address(), &Connect::resume(&owner.session))?;
    assert_eq!(again.session, owner.session);
    assert!(exists(&mut again, "/owned")?);
    again.close()?.ok()
}

pub(crate) fn no_ghost_is_left_by_a_create_before_a_close(tour: &Tour) -> Result<(), Failure> {
    let mut witness = tour.session()?;
    witness.create("/ghosts", b"", 0)?;
    for round in 0..30 {
        let mut client = tour.session()?;
        // All in flight at once: the close finds the creates undecided.
        for number in 0..10 {
            let path = format!("/ghosts/{round}-{number}");
            let body = records::create(&path, None, &Acl::open(), flags::EPHEMERAL);
            client.send(op::CREATE, &body)?;
        }
        client.send(op::CLOSE_SESSION, &[])?;
        for _ in 0..11 {
            client.reply()?.ok()?;
        }
    }
    witness.call(op::SYNC, &records::path_only("/"))?.ok()?;
    assert_eq!(witness.children("/ghosts")?, [""; 0]);
    witness.close()?.ok()
}

pub(crate) fn no_ghost_is_left_by_an_expiry_after_a_restart(tour: &Tour) -> Result<(), Failure> {
    let mut server = tour.private(tour::shared_settings())?;
    let short = Connect { timeout_ms: 1000, ..Connect::default() };
    let mut doomed = Connection::open(server.address(), &short)?;
    doomed.create("/ghost", b"", flags::EPHEMERAL)?;
    server.kill()?;
    server.run()?;
    let mut witness = Connection::new_session(server.address())?;
    eventually(Duration::from_secs(20), "nobody came back for it", || {
        Ok(!exists(&mut witness, "/ghost")?)
    })?;
    let mut late = Connection::open(server.address(), &Connect::resume(&doomed.session))?;
    assert_eq!(late.session, refusal());
    late.expect_closed()?;
    // And it stays so.
    server.kill()?;
    server.run()?;
    let mut witness = Connection::new_session(server.address())?;
    assert!(!exists(&mut witness, "/ghost")?);
    witness.close()?.ok()
}

pub(crate) fn ephemerals_of_a_session_closed_before_a_restart_stay_gone(
    tour: &Tour,
) -> Result<(), Failure> {
    let mut server = tour.private(tour::shared_settings())?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/gone", b"", flags::EPHEMERAL)?;
    client.close()?.ok()?;
    server.kill()?;
    server.run()?;
    let mut witness = Connection::new_session(server.address())?;
    assert!(!exists(&mut witness, "/gone")?);
    assert_eq!(witness.children("/")?, ["zookeeper"]);
    witness.close()?.ok()
}

pub(crate) fn requests_sent_with_the_handshake_are_not_lost(tour: &Tour) -> Result<(), Failure> {
    let mut client = Connection::dial(tour.address())?;
    client.send_frame(&Connect::default().body())?;
    let first = records::create("/with-handshake", None, &Acl::open(), flags::EPHEMERAL);
    client.send_xid(1, op::CREATE, &first)?;
    client.send_xid(2, op::GET_DATA, &records::path_watch("/with-handshake", false))?;
    client.read_connected()?;
    for xid in [1, 2] {
        let reply = client.reply()?;
        assert_eq!((reply.xid, reply.err), (xid, 0));
    }
    client.close()?.ok()
}

pub(crate) fn a_storm_of_reconnects_keeps_every_session(tour: &Tour) -> Result<(), Failure> {
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = tour.session()?;
        client.create(&format!("/storm-{number}"), b"", flags::EPHEMERAL)?;
        clients.push(client);
    }
    let sessions: Vec<Connected> = clients.iter().map(|client| client.session.clone()).collect();
    drop(clients);
    // All at once, each handshake sent before any answer is read.
    let mut again = Vec::new();
    for session in &sessions {
        let mut client = Connection::dial(tour.address())?;
        client.send_frame(&Connect::resume(session).body())?;
        again.push(client);
    }
    for (number, (mut client, session)) in again.into_iter().zip(&sessions).enumerate() {
        client.read_connected()?;
        assert_eq!(&client.session, session);
        assert!(exists(&mut client, &format!("/storm-{number}"))?);
        client.close()?.ok()?;
    }
    Ok(())
}

pub(crate) fn a_client_that_saw_the_future_is_turned_away(tour: &Tour) -> Result<(), Failure> {
    let mut client = Connection::dial(tour.address())?;
    let ahead = Connect { last_zxid: i64::MAX, ..Connect::default() };
    client.send_frame(&ahead.body())?;
    client.expect_closed()
}
