//! How many connections there may be, and how long without a session.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use ringkeeper_bench::{
    servers::{Server, Settings, four_letter},
    tour::{Tour, eventually},
    wire::{Connect, Connection, Failure},
};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::window::{Heard, ms};

/// A server that nobody is connected to: the probe of its start has been counted out.
fn server(tour: &Tour, settings: Settings) -> Result<Server, Failure> {
    let server = tour.private(settings)?;
    eventually(Duration::from_secs(10), "the probe is gone", || {
        Ok(four_letter(server.address(), "srvr")?.contains("Connections: 1\n"))
    })?;
    Ok(server)
}

fn limit(count: usize) -> Settings {
    Settings::new().line("maxClientCnxns", &count.to_string())
}

/// Opens sessions until one is refused; says how many were not.
fn fill(address: SocketAddr) -> Vec<Connection> {
    std::iter::from_fn(|| Connection::new_session(address).ok()).take(200).collect()
}

/// A connection from another address of this machine.
fn dial_from(own: Ipv4Addr, server: SocketAddr) -> Result<Connection, Failure> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from((own, 0)))?;
    connect(&socket, &server)?;
    Connection::from_stream(TcpStream::from(socket))
}

pub(crate) fn so_many_connections_of_an_address_and_no_more(tour: &Tour) -> Result<(), Failure> {
    for count in [1, 7] {
        let server = server(tour, limit(count))?;
        let kept = fill(server.address());
        assert_eq!(kept.len(), count);
        // Again and again.
        for _ in 0..3 {
            assert!(Connection::new_session(server.address()).is_err());
        }
        // A four-letter word needs a connection as well.
        assert_eq!(four_letter(server.address(), "srvr").unwrap_or_default(), "");
    }
    Ok(())
}

pub(crate) fn each_address_has_its_own_count(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, limit(3))?;
    let kept = fill(server.address());
    assert_eq!(kept.len(), 3);
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut other = dial_from(Ipv4Addr::new(127, 0, 0, 2), server.address())?;
        other.handshake(&Connect::default())?;
        assert_ne!(other.session.session, 0);
        others.push(other);
    }
    let mut fourth = dial_from(Ipv4Addr::new(127, 0, 0, 2), server.address())?;
    assert!(fourth.handshake(&Connect::default()).is_err());
    let mut third_address = dial_from(Ipv4Addr::new(127, 0, 0, 3), server.address())?;
    third_address.handshake(&Connect::default())
}

pub(crate) fn a_closed_connection_makes_room(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, limit(4))?;
    let mut kept = fill(server.address());
    assert_eq!(kept.len(), 4);
    // One that closes its session, and one that just breaks.
    kept.pop().ok_or("none")?.close()?.ok()?;
    drop(kept.pop());
    eventually(Duration::from_secs(10), "two more fit", || {
        kept.extend(Connection::new_session(server.address()));
        Ok(kept.len() == 4)
    })?;
    assert!(Connection::new_session(server.address()).is_err());
    Ok(())
}

pub(crate) fn sixty_by_default(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, Settings::new())?;
    assert_eq!(fill(server.address()).len(), 60);
    Ok(())
}

pub(crate) fn zero_is_no_limit(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, limit(0))?;
    assert_eq!(fill(server.address()).len(), 200);
    Ok(())
}

pub(crate) fn a_refused_client_sees_the_end(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, limit(1))?;
    let kept = fill(server.address());
    assert_eq!(kept.len(), 1);
    // The connection is made, then ended without a byte, whatever was sent.
    let mut mute = Connection::dial(server.address())?;
    mute.expect_closed()?;
    let mut speaking = Connection::dial(server.address())?;
    speaking.send_frame(&Connect::default().body()).ok();
    speaking.expect_closed()
}

pub(crate) fn a_connection_without_a_session_is_dropped_in_time(
    tour: &Tour,
) -> Result<(), Failure> {
    let settings = Settings::new().define("zookeeper.nio.sessionlessCnxnTimeout", "2000");
    let server = server(tour, settings)?;
    let (opened, mut mute) = Heard::of(|| Connection::dial(server.address()))?;
    let mut with_session = Connection::new_session(server.address())?;
    mute.expect_closed()?;
    // Apache's buckets are as long as the timeout itself.
    opened.check("the end of the connection", ms(2000)..=ms(4000));
    with_session.stat("/")?;
    with_session.close()?.ok()
}
