//! A client alone, with a server played by hand.

use alloc::{vec, vec::Vec};

use super::*;
use crate::protocol::{
    connect::{ConnectRequest, ConnectResponse},
    reply::{self, Reply, WatchEvent, encode_event},
    request::{self, Read, Request},
};

fn client() -> Client {
    let still = Options { moves_one_in: 0, ends_one_in: 0, ..Options::default() };
    let options = Options { servers: 3, ..still };
    Client::new(0, Chance::new(1), options)
}

/// Polls until there is something to do, and returns when that is.
fn next(client: &mut Client, now: &mut Instant) -> Vec<ClientAct> {
    loop {
        let acts = client.poll(*now);
        if !acts.is_empty() {
            return acts;
        }
        *now = client.next_wake().expect("it has plans").max(*now);
    }
}

/// Lets a client connect, and returns its handshake.
fn connect(client: &mut Client, now: &mut Instant) -> (usize, Vec<u8>) {
    let acts = next(client, now);
    let [ClientAct::Connect(server)] = acts[..] else { panic!("{acts:?}") };
    client.on_connected(*now);
    let acts = client.poll(*now);
    let [ClientAct::Send(frame)] = &acts[..] else { panic!("{acts:?}") };
    (server, frame[4..].to_vec())
}

fn greet(client: &mut Client, now: Instant, timeout_ms: i32) {
    let session = SessionId(if timeout_ms > 0 { 77 } else { 0 });
    let response =
        ConnectResponse { timeout_ms, session, password: [9; 16], read_only: Some(false) };
    let mut out = Vec::new();
    response.encode(&mut out);
    client.on_frame(now, &out);
}

/// It thinks of nothing to ask.
fn be_quiet(client: &mut Client) {
    client.thinks_at = Instant(u64::MAX);
}

#[test]
fn it_resumes_its_session_at_another_server_when_nobody_answers() {
    let (mut client, mut now) = (client(), Instant(0));
    let (first, hello) = connect(&mut client, &mut now);
    let hello = ConnectRequest::decode(&hello).unwrap();
    assert_eq!((hello.session, hello.timeout_ms), (SessionId(0), 6000));
    greet(&mut client, now, 3000);
    be_quiet(&mut client);
    let opened = now;
    // It pings after a third of its timeout, and gives up after two.
    let acts = next(&mut client, &mut now);
    let [ClientAct::Send(ping)] = &acts[..] else { panic!("{acts:?}") };
    let (header, request) = request::decode(&ping[4..]).unwrap();
    assert_eq!((header.xid, request), (Xid(-2), Ok(Request::Ping)));
    assert_eq!(now, opened.plus_millis(1000));
    assert_eq!(next(&mut client, &mut now), [ClientAct::Close]);
    assert_eq!(now, opened.plus_millis(2000));
    let (second, hello) = connect(&mut client, &mut now);
    let hello = ConnectRequest::decode(&hello).unwrap();
    assert_eq!((hello.session, hello.password), (SessionId(77), Some(&[9; 16][..])));
    assert_ne!(first, second);
    // It is told that its session is gone, and asks for a new one.
    greet(&mut client, now, 0);
    assert_eq!(next(&mut client, &mut now), [ClientAct::Close]);
    let (_, hello) = connect(&mut client, &mut now);
    assert_eq!(ConnectRequest::decode(&hello).unwrap().session, SessionId(0));
}

#[test]
fn it_sets_its_watches_again() {
    let (mut client, mut now) = (client(), Instant(0));
    connect(&mut client, &mut now);
    greet(&mut client, now, 3000);
    be_quiet(&mut client);
    for path in ["/a", "/b"] {
        client.request(now, Ask::Exists { path: path.into(), watch: true });
    }
    client.poll(now);
    let mut out = Vec::new();
    reply::encode(&mut out, Xid(1), Zxid(40), Err(ErrorCode::NoNode));
    reply::encode(&mut out, Xid(2), Zxid(41), Ok(&Reply::Stat(Default::default())));
    client.on_frame(now, &out);
    let restored = |client: &mut Client, now: &mut Instant| {
        client.lose(*now);
        client.poll(*now);
        connect(client, now);
        greet(client, *now, 3000);
        be_quiet(client);
        let acts = client.poll(*now);
        let [ClientAct::Send(frame)] = &acts[..] else { panic!("{acts:?}") };
        match request::decode(&frame[4..]).unwrap().1 {
            Ok(Request::SetWatches(watches)) => watches,
            other => panic!("{other:?}"),
        }
    };
    let watches = restored(&mut client, &mut now);
    assert_eq!(watches.relative_zxid, Zxid(41));
    assert_eq!((watches.exist, watches.data), (vec!["/a".into()], vec!["/b".into()]));
    let mut out = Vec::new();
    let event = WatchEvent { kind: EventKind::Deleted, path: "/b".into(), zxid: Zxid(50) };
    encode_event(&mut out, &event);
    client.on_frame(now, &out);
    let watches = restored(&mut client, &mut now);
    assert_eq!(watches.relative_zxid, Zxid(41), "an event does not show what else happened");
    assert_eq!((watches.exist, watches.data), (vec!["/a".into()], vec![]));
}

fn reply(xid: i32, reply: Result<&Reply<'_>, ErrorCode>) -> Vec<u8> {
    let mut out = Vec::new();
    reply::encode(&mut out, Xid(xid), Zxid(1), reply);
    out
}

#[test]
fn it_notes_what_the_protocol_does_not_allow() {
    let what = |frame: &[u8]| {
        let (mut client, mut now) = (client(), Instant(0));
        connect(&mut client, &mut now);
        greet(&mut client, now, 3000);
        client.request(now, Ask::GetData { path: "/a".into(), watch: false });
        client.request(now, Ask::Sync { path: "/a".into() });
        client.on_frame(now, frame);
        client.record().entries.iter().find_map(|(_, entry)| match entry {
            Entry::Broken { what } => Some(*what),
            _ => None,
        })
    };
    let stat = Default::default();
    assert_eq!(what(&reply(1, Ok(&Reply::Data { data: None, stat }))), None);
    assert_eq!(what(&reply(1, Err(ErrorCode::NoNode))), None);
    let body = Some("a body of another form");
    assert_eq!(what(&reply(1, Ok(&Reply::Stat(stat)))), body);
    assert_eq!(what(&reply(1, Ok(&Reply::Empty))), body);
    assert_eq!(what(&reply(2, Ok(&Reply::Sync { path: None }))), Some("an answer out of order"));
    assert_eq!(what(&reply(-2, Ok(&Reply::Empty))), Some("an answer to no ping"));
    assert_eq!(what(&[0, 0, 0, 1, 7]), Some("a reply without a header"));
    assert_eq!(what(&[0, 0, 0, 9, 7]), Some("bytes that are no whole frame"));
}

#[test]
fn what_it_asks_is_what_servers_read() {
    let mut workshops = Workload::ALL.map(|workload| Workshop::new(3, Chance::new(1), workload));
    for number in 0..2000 {
        let session = SessionId(9);
        let workshop = &mut workshops[number % 4];
        for ask in workshop.next(session, 1) {
            let mut frame = Vec::new();
            ask.encode(Xid(5), &mut frame);
            let (header, request) = request::decode(&frame[4..]).unwrap();
            assert_eq!((header.xid, header.opcode), (Xid(5), ask.opcode()));
            match request.unwrap() {
                Request::Write(write) => {
                    use crate::state::command::{EdgeSettings, TtlSupport, admit};
                    let settings = EdgeSettings { ttl: TtlSupport::On, ..EdgeSettings::default() };
                    assert_eq!(Some(admit(&write, &[], settings)), ask.op());
                }
                Request::Read(Read::Exists { path, watch }) => {
                    assert_eq!(ask, Ask::Exists { path: path.into_owned(), watch });
                }
                Request::Read(Read::GetData { path, watch }) => {
                    assert_eq!(ask, Ask::GetData { path: path.into_owned(), watch });
                }
                _ => assert_eq!(ask.op(), None),
            }
        }
    }
}

#[test]
fn it_is_done_once_it_has_seen_everything() {
    let (mut client, mut now) = (client(), Instant(0));
    client.wind_down();
    connect(&mut client, &mut now);
    greet(&mut client, now, 3000);
    assert_eq!(client.poll(now).len(), 2);
    let sync = reply(1, Ok(&Reply::Sync { path: Some("/".into()) }));
    client.on_frame(now, &sync);
    client.on_closed(now);
    assert!(!client.is_idle(), "half of it is not enough");
    connect(&mut client, &mut now);
    greet(&mut client, now, 3000);
    assert_eq!(client.poll(now).len(), 2);
    let sync = reply(3, Ok(&Reply::Sync { path: Some("/".into()) }));
    client.on_frame(now, &sync);
    let (names, stat) = (vec![], Default::default());
    client.on_frame(now, &reply(4, Ok(&Reply::Children2 { names, stat })));
    assert!(client.is_idle());
    client.on_closed(now);
    assert_eq!((client.poll(now), client.next_wake()), (vec![], None));
}

#[test]
fn a_seed_decides_what_it_does() {
    let run = |seed| {
        let mut client = Client::new(1, Chance::new(seed), Options::default());
        let mut now = Instant(0);
        connect(&mut client, &mut now);
        greet(&mut client, now, 3000);
        (0..50).for_each(|_| drop(next(&mut client, &mut now)));
        alloc::format!("{:?}", client.record())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}
