//! When a session expires: at the end of the tick in which its timeout ends, counted from the last
//! thing that was heard of it.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use ringkeeper_bench::{
    servers::Settings,
    tour::Tour,
    wire::{
        Connect, Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

use crate::window::{Heard, all_at_once, ms};

const DELETED: i32 = 2;

fn tick(millis: u64) -> Settings {
    Settings::new().line("tickTime", &millis.to_string()).line("minSessionTimeout", "500")
}

/// A session with an ephemeral, and somebody who waits for the ephemeral to go.
struct Pair {
    client: Connection,
    witness: Connection,
    /// When the session was last heard of: it created its ephemeral.
    heard: Heard,
}

impl Pair {
    fn new(address: SocketAddr, path: &str, timeout_ms: i32) -> Result<Self, Failure> {
        let connect = Connect { timeout_ms, ..Connect::default() };
        let mut client = Connection::open(address, &connect)?;
        assert_eq!(client.session.timeout_ms, timeout_ms);
        let watch = Connect { timeout_ms: 60_000, ..Connect::default() };
        let mut witness = Connection::open(address, &watch)?;
        let (heard, _) = Heard::of(|| client.create(path, b"", flags::EPHEMERAL))?;
        witness.call(op::EXISTS, &records::path_watch(path, true))?.ok()?;
        Ok(Self { client, witness, heard })
    }

    /// Fails unless the session expires in the window that Apache gives it from `heard` on.
    fn expect_expiry(&mut self, timeout: Duration, tick: Duration) -> Result<(), Failure> {
        let event = self.witness.event()?;
        assert_eq!(event.kind, DELETED);
        self.heard.check(&event.path, timeout..=timeout + tick);
        Ok(())
    }
}

pub(crate) fn an_idle_session_expires_within_a_tick_of_its_timeout(
    tour: &Tour,
) -> Result<(), Failure> {
    let fast = tour.private(tick(500))?;
    let slow = tour.private(tick(3000))?;
    let cases = [
        (fast.address(), 500, 3000),
        (fast.address(), 500, 4100),
        (fast.address(), 500, 6000),
        (slow.address(), 3000, 3000),
        (slow.address(), 3000, 6000),
        (slow.address(), 3000, 7500),
    ];
    all_at_once(cases, |(address, tick, timeout)| {
        let path = format!("/idle-{tick}-{timeout}");
        let mut pair = Pair::new(address, &path, timeout)?;
        pair.expect_expiry(ms(u64::try_from(timeout)?), ms(tick))
    })
}

pub(crate) fn a_ping_starts_the_time_anew(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tick(500))?;
    let mut pair = Pair::new(server.address(), "/pinged", 2000)?;
    for _ in 0..3 {
        thread::sleep(ms(900));
        (pair.heard, _) = Heard::of(|| {
            pair.client.send_xid(-2, op::PING, &[])?;
            pair.client.reply()
        })?;
    }
    pair.expect_expiry(ms(2000), ms(500))
}

pub(crate) fn a_request_starts_the_time_anew(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tick(500))?;
    let refused = records::create("/spoken", None, &Acl::open(), 0);
    // A read, a write, and what is refused.
    let requests = [
        (op::GET_DATA, records::path_watch("/spoken", false)),
        (op::CREATE, records::create("/spoken-too", None, &Acl::open(), 0)),
        (op::CREATE, refused),
    ];
    let mut pair = Pair::new(server.address(), "/spoken", 2000)?;
    for (opcode, body) in requests {
        thread::sleep(ms(900));
        (pair.heard, _) = Heard::of(|| pair.client.call(opcode, &body))?;
    }
    pair.expect_expiry(ms(2000), ms(500))
}

pub(crate) fn expiry_closes_the_connection(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tick(500))?;
    let mut pair = Pair::new(server.address(), "/closed", 3000)?;
    pair.client.expect_closed()?;
    pair.heard.check("the end of the connection", ms(3000)..=ms(3500));
    let late = Connection::open(server.address(), &Connect::resume(&pair.client.session))?;
    assert_eq!((late.session.session, late.session.timeout_ms), (0, 0));
    Ok(())
}

pub(crate) fn a_broken_connection_leaves_the_session_its_time(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tick(500))?;
    let Pair { client, witness, heard } = Pair::new(server.address(), "/broken", 2000)?;
    let other = Connection::new_session(server.address())?;
    drop(client);
    let mut pair = Pair { client: other, witness, heard };
    pair.expect_expiry(ms(2000), ms(500))
}

pub(crate) fn a_session_that_is_taken_up_starts_anew(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tick(500))?;
    let mut pair = Pair::new(server.address(), "/taken-up", 2000)?;
    let resume = Connect { timeout_ms: 3000, ..Connect::resume(&pair.client.session) };
    thread::sleep(ms(1200));
    (pair.heard, pair.client) = Heard::of(|| Connection::open(server.address(), &resume))?;
    pair.expect_expiry(ms(3000), ms(500))
}

pub(crate) fn after_a_restart_a_session_has_its_full_timeout(tour: &Tour) -> Result<(), Failure> {
    let mut server = tour.private(tick(500))?;
    let connect = Connect { timeout_ms: 3000, ..Connect::default() };
    let mut client = Connection::open(server.address(), &connect)?;
    client.create("/restarted", b"", flags::EPHEMERAL)?;
    thread::sleep(ms(1500));
    server.kill()?;
    let (serving, ()) = Heard::of(|| server.run())?;
    let mut witness = Connection::new_session(server.address())?;
    let deadline = Instant::now() + ms(20_000);
    while witness.call(op::EXISTS, &records::path_watch("/restarted", true))?.err == code::OK {
        assert!(Instant::now() < deadline, "it never expires");
        assert_eq!(witness.event()?.kind, DELETED);
    }
    // From the start of the process at the earliest, from the end of the start at the latest.
    serving.check("the restarted server's session", ms(3000)..=ms(3500));
    Ok(())
}
