//! What a client sees when a server has too much to do: connections that are closed without an
//! answer, requests that wait, and requests that are refused because they waited for too long.

use std::time::Duration;

use ringkeeper_bench::{
    servers::{Server, Settings, four_letter},
    tour::{Tour, eventually},
    wire::{
        Connect, Connection, Failure, Reply,
        jute::Writer,
        records::{self, Acl, code, flags, op},
    },
};

/// Longer than any case runs.
const NEVER_MS: &str = "3600000";

/// Writes that are sent in one go: reading them takes a server much less time than doing them one
/// after the other, each with its own flush.
const BURST: usize = 800;

fn words() -> Settings {
    Settings::new().line("4lw.commands.whitelist", "*")
}

/// One request under way, any number that wait: `globalOutstandingLimit` would leave some of a
/// burst unread.
fn one_at_a_time() -> Settings {
    words().line("request_throttle_max_requests", "1").line("globalOutstandingLimit", "100000")
}

/// A number of `mntr`, as it is printed.
fn number(server: &Server, name: &str) -> Result<String, Failure> {
    let text = four_letter(server.address(), "mntr")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("zk_")?.split_once('\t'));
    let found = lines.find(|(key, _)| *key == name);
    Ok(found.ok_or_else(|| format!("no {name} in\n{text}"))?.1.to_owned())
}

fn renew(server: &Server, client: &Connection) -> Result<Connection, Failure> {
    Connection::open(server.address(), &Connect::resume(&client.session))
}

/// Asks for a session and is closed without a byte.
fn is_turned_away(server: &Server, connect: &Connect) -> Result<(), Failure> {
    let mut refused = Connection::dial(server.address())?;
    refused.send_frame(&connect.body())?;
    refused.expect_closed()
}

/// Requests in one piece, so that a server reads all of them before it has done many.
fn burst(client: &mut Connection, requests: &[(i32, i32, Vec<u8>)]) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    for (xid, opcode, body) in requests {
        let frame = Writer::new().int(*xid).int(*opcode).raw(body).into_bytes();
        bytes.extend_from_slice(&i32::try_from(frame.len())?.to_be_bytes());
        bytes.extend_from_slice(&frame);
    }
    client.send_raw(&bytes)
}

fn creates(parent: &str, count: usize) -> Result<Vec<(i32, i32, Vec<u8>)>, Failure> {
    let mut requests = Vec::new();
    for number in 0..count {
        let body = records::create(&format!("{parent}/{number}"), Some(b"x"), &Acl::open(), 0);
        requests.push((1000 + i32::try_from(number)?, op::CREATE, body));
    }
    Ok(requests)
}

fn replies(
    client: &mut Connection,
    xids: impl Iterator<Item = i32>,
) -> Result<Vec<Reply>, Failure> {
    let mut replies = Vec::new();
    for xid in xids {
        let reply = client.reply()?;
        assert_eq!(reply.xid, xid, "in the order of the requests");
        replies.push(reply);
    }
    Ok(replies)
}

pub(crate) fn connections_beyond_the_tokens_are_closed(tour: &Tour) -> Result<(), Failure> {
    let settings = words()
        .line("connection_throttle_tokens", "4")
        .line("connection_throttle_fill_time", NEVER_MS);
    let server = tour.private_unprobed(settings)?;
    let first = Connection::new_session(server.address())?;
    let mut second = Connection::new_session(server.address())?;
    // Who comes back takes a token as well, and so does whoever is turned away for what it says.
    let mut again = renew(&server, &first)?;
    is_turned_away(&server, &Connect { last_zxid: 1 << 60, ..Connect::default() })?;
    assert_eq!(number(&server, "connection_rejected")?, "0");
    is_turned_away(&server, &Connect::default())?;
    is_turned_away(&server, &Connect::resume(&second.session))?;
    // Whoever is in stays in, and words need no token.
    again.create("/throttled", b"", 0)?;
    second.stat("/throttled")?;
    assert_eq!(number(&server, "connection_rejected")?, "2");
    assert_eq!(number(&server, "connection_request_count")?, "4");
    assert_eq!(number(&server, "connection_drop_probability")?, "0.0");
    assert_eq!(number(&server, "cnt_connection_token_deficit")?, "4");
    assert_eq!(number(&server, "min_connection_token_deficit")?, "1");
    assert_eq!(number(&server, "max_connection_token_deficit")?, "4");
    again.close()?.ok()?;
    second.close()?.ok()
}

pub(crate) fn tokens_come_back_with_time(tour: &Tour) -> Result<(), Failure> {
    let settings = words()
        .line("connection_throttle_tokens", "2")
        .line("connection_throttle_fill_time", "3000")
        .line("connection_throttle_fill_count", "1");
    let server = tour.private_unprobed(settings)?;
    let _first = Connection::new_session(server.address())?;
    let _second = Connection::new_session(server.address())?;
    is_turned_away(&server, &Connect::default())?;
    eventually(Duration::from_secs(20), "a token comes back", || {
        Ok(Connection::new_session(server.address()).is_ok())
    })?;
    // One came back, not all of them.
    is_turned_away(&server, &Connect::default())
}

pub(crate) fn new_and_renewed_sessions_have_weights(tour: &Tour) -> Result<(), Failure> {
    let settings = words()
        .line("connection_throttle_tokens", "2")
        .line("connection_throttle_fill_time", NEVER_MS)
        .line("connection_throttle_weight_enabled", "true");
    let server = tour.private_unprobed(settings.clone())?;
    // Twice three tokens: three for a new session, two for one that comes back.
    let first = Connection::new_session(server.address())?;
    let again = renew(&server, &first)?;
    is_turned_away(&server, &Connect::resume(&again.session))?;
    is_turned_away(&server, &Connect::default())?;
    assert_eq!(number(&server, "max_connection_token_deficit")?, "5");
    drop(server);
    let settings = settings
        .line("connection_throttle_global_session_weight", "4")
        .line("connection_throttle_renew_session_weight", "1")
        .line("connection_throttle_local_session_weight", "1");
    let server = tour.private_unprobed(settings)?;
    let mut client = Connection::new_session(server.address())?;
    for _ in 0..4 {
        client = renew(&server, &client)?;
    }
    is_turned_away(&server, &Connect::resume(&client.session))?;
    assert_eq!(number(&server, "max_connection_token_deficit")?, "8");
    client.close()?.ok()
}

pub(crate) fn without_tokens_connections_are_dropped_by_chance(tour: &Tour) -> Result<(), Failure> {
    let settings = words()
        .line("connection_throttle_tokens", "1")
        .line("connection_throttle_fill_time", "2000")
        .line("connection_throttle_freeze_time", "1")
        .line("connection_throttle_drop_increase", "1.0");
    let falls = settings.clone().line("connection_throttle_drop_decrease", "1.0");
    let server = tour.private_unprobed(falls)?;
    let _first = Connection::new_session(server.address())?;
    eventually(Duration::from_secs(10), "the probability rises", || {
        is_turned_away(&server, &Connect::default())?;
        Ok(number(&server, "connection_drop_probability")? == "1.0")
    })?;
    eventually(Duration::from_secs(20), "and falls when there are tokens again", || {
        Ok(Connection::new_session(server.address()).is_ok())
    })?;
    assert_eq!(number(&server, "connection_drop_probability")?, "0.0");
    drop(server);
    let stays = settings.line("connection_throttle_drop_decrease", "0.0");
    let server = tour.private_unprobed(stays)?;
    let _first = Connection::new_session(server.address())?;
    eventually(Duration::from_secs(10), "the probability rises", || {
        is_turned_away(&server, &Connect::default())?;
        Ok(number(&server, "connection_drop_probability")? == "1.0")
    })?;
    // Twice as long as a token needs to come back.
    for _ in 0..45 {
        is_turned_away(&server, &Connect::default())?;
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

pub(crate) fn large_requests_together_have_a_limit(tour: &Tour) -> Result<(), Failure> {
    let settings = words()
        .line("tickTime", "500")
        .line("largeRequestThreshold", "1000")
        .line("largeRequestMaxBytes", "5000");
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/large", b"", 0)?;
    // The length of the frame counts. One after the other there may be any number.
    for _ in 0..3 {
        client.set("/large", &vec![1; data_bytes(5000)], -1)?;
    }
    assert_eq!(number(&server, "large_requests_rejected")?, "0");
    let session = client.session.clone();
    client.send(op::SET_DATA, &records::set_data("/large", Some(&[2; data_bytes(5001)]), -1))?;
    client.expect_closed()?;
    // The session stays, and so does what was there.
    let mut client = Connection::open(server.address(), &Connect::resume(&session))?;
    assert_eq!(client.session.session, session.session);
    assert_eq!(client.stat("/large")?.data_length, i32::try_from(data_bytes(5000))?);
    // The length alone is enough, of any request, of a handshake too.
    client.send_raw(&5001_i32.to_be_bytes())?;
    client.expect_closed()?;
    let mut stranger = Connection::dial(server.address())?;
    stranger.send_raw(&5001_i32.to_be_bytes())?;
    stranger.expect_closed()?;
    assert_eq!(number(&server, "large_requests_rejected")?, "3");
    let mut client = Connection::open(server.address(), &Connect::resume(&session))?;
    client.set("/large", &vec![1; data_bytes(5000)], -1)?;
    client.close()?.ok()
}

/// Data of a setData of "/large" whose frame has this length.
const fn data_bytes(frame_bytes: usize) -> usize {
    frame_bytes - (8 + 4 + "/large".len() + 4 + 4)
}

pub(crate) fn only_large_requests_count_as_large(tour: &Tour) -> Result<(), Failure> {
    let settings =
        words().line("largeRequestThreshold", "9000").line("largeRequestMaxBytes", "5000");
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/large", b"", 0)?;
    client.set("/large", &vec![1; data_bytes(9000)], -1)?;
    client.send(op::SET_DATA, &records::set_data("/large", Some(&[2; data_bytes(9001)]), -1))?;
    client.expect_closed()?;
    assert_eq!(number(&server, "large_requests_rejected")?, "1");
    Ok(())
}

pub(crate) fn large_requests_under_way_count_together(tour: &Tour) -> Result<(), Failure> {
    let settings =
        words().line("largeRequestThreshold", "1000").line("largeRequestMaxBytes", "5000");
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    let session = client.session.clone();
    client.create("/sum", b"", 0)?;
    let mut requests = creates("/sum", 100)?;
    for (number, request) in requests.iter_mut().enumerate() {
        let path = format!("/sum/{number}");
        request.2 = records::create(&path, Some(&[1; 3000]), &Acl::open(), 0);
    }
    // A server that closes early may reset the rest of what is being sent.
    burst(&mut client, &requests).ok();
    client.read_to_end(Duration::from_secs(15))?;
    assert_eq!(number(&server, "large_requests_rejected")?, "1");
    let mut client = Connection::open(server.address(), &Connect::resume(&session))?;
    client.call(op::SYNC, &records::path_only("/"))?.ok()?;
    let count = client.children("/sum")?.len();
    assert!((1..100).contains(&count), "{count} of 100 were done");
    // Nothing is under way: there is room again.
    client.create("/after", &[1; 4800], 0)?;
    client.close()?.ok()
}

pub(crate) fn throttled_requests_are_done_in_their_order(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(one_at_a_time())?;
    let mut clients = Vec::new();
    for name in ["/a", "/b", "/c"] {
        let mut client = Connection::new_session(server.address())?;
        client.create(name, b"", 0)?;
        let mut requests = Vec::new();
        for number in 0..40 {
            let path = format!("{name}/{number}");
            let xid = 1000 + 3 * number;
            requests.push((xid, op::CREATE, records::create(&path, None, &Acl::open(), 0)));
            requests.push((xid + 1, op::EXISTS, records::path_watch(&path, false)));
            requests.push((xid + 2, op::SYNC, records::path_only(&path)));
        }
        burst(&mut client, &requests)?;
        clients.push(client);
    }
    for client in &mut clients {
        let mut last_zxid = 0;
        for reply in replies(client, 1000..1120)? {
            reply.ok()?;
            assert!(last_zxid <= reply.zxid, "{last_zxid:#x} before {:#x}", reply.zxid);
            last_zxid = reply.zxid;
        }
    }
    assert_eq!(number(&server, "throttled_ops")?, "0");
    for client in clients {
        client.close()?.ok()?;
    }
    Ok(())
}

pub(crate) fn requests_that_waited_too_long_are_refused(tour: &Tour) -> Result<(), Failure> {
    let settings = one_at_a_time().line("throttled_op_wait_time", "20");
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/t", b"", 0)?;
    let mut requests = creates("/t", BURST)?;
    let parts = [(op::CREATE, records::create("/t/multi", None, &Acl::open(), 0))];
    let watches = records::set_watches(0, &[&["/t"], &[], &[]]);
    let late = [
        (1, op::GET_DATA, records::path_watch("/t", false)),
        (2, op::MULTI, records::multi(&parts)),
        (3, op::SYNC, records::path_only("/")),
        (-8, op::SET_WATCHES, watches),
        (4, op::CREATE, b"no record".to_vec()),
        (5, op::WHO_AM_I, Vec::new()),
        // Never refused, however long they wait.
        (-2, op::PING, Vec::new()),
        (6, op::CLOSE_SESSION, Vec::new()),
    ];
    requests.extend(late.clone());
    burst(&mut client, &requests)?;
    let all = replies(&mut client, requests.iter().map(|(xid, ..)| *xid))?;
    client.expect_closed()?;
    let (burst, rest) = all.split_at(BURST);
    let done = burst.iter().filter(|reply| reply.err == code::OK).count();
    assert_eq!(burst[0].err, code::OK, "the first one need not wait");
    assert!((1..BURST).contains(&done), "{done} of {BURST} were done");
    let mut last_zxid = 0;
    for reply in burst {
        match reply.err {
            code::OK => assert!(last_zxid < reply.zxid),
            code::THROTTLED_OP => {
                assert_eq!((reply.zxid, reply.body.len()), (last_zxid, 0), "takes no zxid");
            }
            other => return Err(format!("error {other}").into()),
        }
        last_zxid = reply.zxid;
    }
    let codes: Vec<i32> = rest.iter().map(|reply| reply.err).collect();
    let [throttled, fine] = [code::THROTTLED_OP, code::OK];
    let mut expected = vec![throttled; 6];
    expected.extend([fine; 2]);
    assert_eq!(codes, expected);
    let mut witness = Connection::new_session(server.address())?;
    assert_eq!(witness.children("/t")?.len(), done, "what was refused was not done");
    let refused = BURST - done + 6;
    assert_eq!(number(&server, "throttled_ops")?, refused.to_string());
    witness.close()?.ok()
}

pub(crate) fn authentication_does_not_wait(tour: &Tour) -> Result<(), Failure> {
    let settings = one_at_a_time().line("throttled_op_wait_time", "20");
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/auth", b"", 0)?;
    let mut requests = creates("/auth", BURST)?;
    requests.push((-4, op::AUTH, records::auth("digest", b"me:secret")));
    burst(&mut client, &requests)?;
    let mut place = None;
    for index in 0..=BURST {
        let reply = client.reply()?;
        if reply.xid == -4 {
            assert_eq!((reply.err, reply.zxid), (code::OK, 0));
            place = Some(index);
        }
    }
    let place = place.ok_or("no answer to auth")?;
    assert!(place < BURST, "answered behind what waited");
    client.close()?.ok()
}

pub(crate) fn requests_of_a_closed_connection_are_dropped(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(one_at_a_time())?;
    let done = creates_of_a_client_that_goes(&server)?;
    assert!((1..BURST).contains(&done), "{done} of {BURST} were done");
    let dropped: usize = number(&server, "stale_requests_dropped")?.parse()?;
    // Apache counts the first one only: the others go with their connection.
    assert!(0 < dropped, "{dropped} were dropped");
    Ok(())
}

pub(crate) fn requests_of_a_closed_connection_may_be_kept(tour: &Tour) -> Result<(), Failure> {
    for key in ["request_throttle_drop_stale", "request_stale_connection_check"] {
        let settings = one_at_a_time().line(key, "false");
        let server = tour.private(settings)?;
        assert_eq!(creates_of_a_client_that_goes(&server)?, BURST, "{key}=false");
        assert_eq!(number(&server, "stale_requests_dropped")?, "0");
    }
    Ok(())
}

/// How many of the burst were done, of a client that says it all and goes.
fn creates_of_a_client_that_goes(server: &Server) -> Result<usize, Failure> {
    let mut witness = Connection::new_session(server.address())?;
    witness.create("/gone", b"", 0)?;
    let mut client = Connection::new_session(server.address())?;
    burst(&mut client, &creates("/gone", BURST)?)?;
    client.shut_down_writing()?;
    client.read_to_end(Duration::from_secs(30))?;
    // What still comes is before this write in the throttle, or it does not come.
    let mut count = None;
    eventually(Duration::from_secs(60), "nothing more comes", || {
        witness.set("/gone", b"", -1)?;
        let now = witness.children("/gone")?.len();
        let is_settled = count == Some(now);
        count = Some(now);
        Ok(is_settled)
    })?;
    count.ok_or_else(|| "no count".into())
}

pub(crate) fn requests_older_than_their_session_timeout_are_dropped(
    tour: &Tour,
) -> Result<(), Failure> {
    let settings = one_at_a_time()
        .line("request_stale_latency_check", "true")
        .line("minSessionTimeout", "20")
        .line("maxSessionTimeout", "20");
    let server = tour.private(settings)?;
    let mut client = Connection::new_session(server.address())?;
    let session = client.session.clone();
    assert_eq!(session.timeout_ms, 20);
    client.create("/old", b"", 0)?;
    burst(&mut client, &creates("/old", BURST)?)?;
    // Its connection goes with the first one.
    client.read_to_end(Duration::from_secs(30))?;
    let mut witness = Connection::new_session(server.address())?;
    let done = witness.children("/old")?.len();
    assert!(done < BURST, "{done} of {BURST} were done");
    let dropped: usize = number(&server, "stale_requests_dropped")?.parse()?;
    assert!(0 < dropped, "{dropped} were dropped");
    Ok(())
}

pub(crate) fn the_outstanding_limit_only_slows(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(words().line("globalOutstandingLimit", "2"))?;
    let mut clients = Vec::new();
    for name in ["/a", "/b", "/c"] {
        let mut client = Connection::new_session(server.address())?;
        client.create(name, b"", 0)?;
        burst(&mut client, &creates(name, 60)?)?;
        clients.push((name, client));
    }
    // Another one gets on meanwhile.
    let mut witness = Connection::new_session(server.address())?;
    witness.create("/witness", b"", flags::EPHEMERAL)?;
    for (name, client) in &mut clients {
        for reply in replies(client, 1000..1060)? {
            reply.ok()?;
        }
        assert_eq!(client.children(name)?.len(), 60);
    }
    for (_, client) in clients {
        client.close()?.ok()?;
    }
    witness.close()?.ok()
}
