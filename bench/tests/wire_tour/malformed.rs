//! What no client library sends: bad frames, bad records, opcodes that are not offered. The answer
//! is the protocol's error or a closed connection, and never another client's harm.

use std::time::Duration;

use ringkeeper_bench::{
    rng::Rng,
    tour::Tour,
    wire::{
        Connect, Connection, Failure,
        jute::Writer,
        records::{self, Acl, code, flags, op},
    },
};

/// The session outlives the connection that was closed.
fn resumes(tour: &Tour, client: &Connection) -> Result<(), Failure> {
    let again = Connection::open(tour.address(), &Connect::resume(&client.session))?;
    assert_eq!(again.session.session, client.session.session);
    again.close()?.ok()
}

pub(crate) fn frames_of_impossible_length_close(tour: &Tour) -> Result<(), Failure> {
    for length in [-1, i32::MIN, 0xf_ffff + 1, i32::MAX] {
        let mut client = tour.session()?;
        client.send_raw(&length.to_be_bytes())?;
        client.send_raw(&[0; 64]).ok();
        client.expect_closed()?;
        resumes(tour, &client)?;
        let mut stranger = Connection::dial(tour.address())?;
        stranger.send_raw(&length.to_be_bytes())?;
        stranger.expect_closed()?;
    }
    Ok(())
}

pub(crate) fn the_longest_frame_is_accepted(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/longest", b"", 0)?;
    let overhead = records::set_data("/longest", Some(b""), -1).len() + 8;
    let data = vec![1; 0xf_ffff - overhead];
    client.set("/longest", &data, -1)?;
    client.delete("/longest", -1)?;
    client
        .send(op::SET_DATA, &records::set_data("/longest", Some(&vec![1; data.len() + 1]), -1))
        .ok();
    client.expect_closed()?;
    resumes(tour, &client)
}

pub(crate) fn frames_without_a_header_close(tour: &Tour) -> Result<(), Failure> {
    for length in [0, 1, 7] {
        let mut client = tour.session()?;
        client.send_frame(&vec![0; length])?;
        client.expect_closed()?;
        resumes(tour, &client)?;
    }
    Ok(())
}

pub(crate) fn unknown_opcodes_are_answered_and_close(tour: &Tour) -> Result<(), Failure> {
    let mut unknown = vec![
        (op::NOTIFICATION, vec![]),
        (10, vec![]),
        (23, vec![]),
        (99, vec![]),
        (108, vec![]),
        (500, vec![]),
        (-2, vec![]),
        (i32::MAX, vec![]),
        (i32::MIN, vec![]),
        (op::CHECK, records::path_version("/", -1)),
    ];
    if tour.is_ringkeeper() {
        // Apache runs these for anybody; they belong to the server alone.
        unknown.push((op::DELETE_CONTAINER, records::path_only("/")));
        unknown.push((op::CREATE_SESSION, 30_000_i32.to_be_bytes().to_vec()));
    }
    for (opcode, body) in unknown {
        let mut client = tour.session()?;
        client.send_xid(5, opcode, &body)?;
        let reply = client.reply()?;
        let seen = (reply.xid, reply.zxid, reply.err);
        assert_eq!(seen, (5, -1, code::UNIMPLEMENTED), "opcode {opcode}");
        client.expect_closed()?;
        resumes(tour, &client)?;
    }
    Ok(())
}

pub(crate) fn a_client_cannot_delete_as_the_reaper(tour: &Tour) -> Result<(), Failure> {
    tour.only_here("Apache deletes it")?;
    let (mut client, mut witness) = (tour.session()?, tour.session()?);
    witness.create("/not-yours", b"", 0)?;
    client.send(op::DELETE_CONTAINER, &records::path_only("/not-yours"))?;
    client.read_to_end(Duration::from_secs(5))?;
    witness.stat("/not-yours")?;
    witness.close()?.ok()
}

pub(crate) fn records_that_end_early_are_refused(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/early-end", b"", 0)?;
    let open = Acl::open();
    let whole = [
        (op::CREATE, records::create("/cut", Some(b"data"), &open, 0)),
        (op::CREATE2, records::create("/cut", Some(b"data"), &open, 0)),
        (op::DELETE, records::path_version("/cut", -1)),
        (op::EXISTS, records::path_watch("/cut", false)),
        (op::GET_DATA, records::path_watch("/cut", false)),
        (op::SET_DATA, records::set_data("/cut", Some(b"data"), -1)),
        (op::GET_ACL, records::path_only("/cut")),
        (op::SET_ACL, records::set_acl("/cut", &open, -1)),
        (op::GET_CHILDREN, records::path_watch("/cut", false)),
        (op::GET_CHILDREN2, records::path_watch("/cut", false)),
        (op::SYNC, records::path_only("/cut")),
        (op::CHECK_WATCHES, records::path_int("/cut", 1)),
        (op::REMOVE_WATCHES, records::path_int("/cut", 1)),
        (op::ADD_WATCH, records::path_int("/cut", 0)),
        (op::SET_WATCHES, records::set_watches(0, &[&["/a"], &["/b"], &["/c"]])),
        (op::GET_EPHEMERALS, records::path_only("/cut")),
        (op::GET_ALL_CHILDREN_NUMBER, records::path_only("/cut")),
        (op::MULTI_READ, records::multi(&[(op::GET_DATA, records::path_watch("/cut", true))])),
    ];
    for (opcode, body) in whole {
        for end in 0..body.len() {
            let reply = client.call(opcode, &body[..end])?;
            assert_eq!(reply.err, code::MARSHALLING_ERROR, "opcode {opcode}, {end} bytes");
            assert!(reply.body.is_empty());
        }
    }
    client.stat("/early-end")?;
    client.close()?.ok()
}

pub(crate) fn lengths_of_a_stranger_allocate_nothing(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let huge = i32::MAX;
    let bodies = [
        (op::GET_DATA, Writer::new().int(huge).raw(b"/").into_bytes()),
        (op::CREATE, Writer::new().string("/x").int(huge).into_bytes()),
        (op::CREATE, Writer::new().string("/x").buffer(None).int(huge).into_bytes()),
        (op::SET_ACL, Writer::new().string("/x").int(huge).into_bytes()),
        (op::SET_WATCHES, Writer::new().long(0).int(huge).into_bytes()),
        (op::GET_DATA, Writer::new().int(-2).raw(b"/").into_bytes()),
        (op::CREATE, Writer::new().string("/x").int(-7).into_bytes()),
    ];
    for (index, (opcode, body)) in bodies.into_iter().enumerate() {
        let reply = client.call(opcode, &body)?;
        assert_eq!(reply.err, code::MARSHALLING_ERROR, "case {index}");
    }
    client.close()?.ok()
}

pub(crate) fn bytes_behind_a_record_are_ignored(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let mut body = records::create("/tail", Some(b"x"), &Acl::open(), 0);
    body.extend_from_slice(b"more than a create");
    assert_eq!(client.call(op::CREATE, &body)?.path()?, "/tail");
    client.delete("/tail", 0)?;
    client.close()?.ok()
}

pub(crate) fn the_xid_is_the_clients_business(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    for xid in [i32::MAX, 0, -3, i32::MIN, 5, 5] {
        client.send_xid(xid, op::EXISTS, &records::path_watch("/", false))?;
        assert_eq!(client.reply()?.xid, xid);
    }
    for xid in [-2, 0, 77] {
        client.send_xid(xid, op::PING, &[])?;
        let reply = client.reply()?;
        assert_eq!((reply.xid, reply.err, reply.body.len()), (-2, 0, 0));
    }
    client.close()?.ok()
}

pub(crate) fn frames_may_come_in_any_pieces(tour: &Tour) -> Result<(), Failure> {
    let mut client = Connection::dial(tour.address())?;
    let mut bytes = Vec::new();
    let mut add = |payload: Vec<u8>| {
        bytes.extend_from_slice(&ringkeeper_bench::wire::jute::length(payload.len()).to_be_bytes());
        bytes.extend_from_slice(&payload);
    };
    add(Connect::default().body());
    for xid in 1..=20 {
        let body =
            records::create("/pieces", Some(&[7; 90]), &Acl::open(), flags::EPHEMERAL_SEQUENTIAL);
        add(Writer::new().int(xid).int(op::CREATE).raw(&body).into_bytes());
    }
    let mut rng = Rng::new(3);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(rest.len().min(1 + rng.index(9)));
        client.send_raw(piece)?;
        rest = tail;
    }
    client.read_connected()?;
    for xid in 1..=20 {
        let reply = client.reply()?;
        assert_eq!(reply.xid, xid);
        reply.ok()?;
    }
    client.close()?.ok()
}

pub(crate) fn a_broken_connection_harms_nobody_else(tour: &Tour) -> Result<(), Failure> {
    let mut witness = tour.session()?;
    witness.create("/calm", b"", 0)?;
    let mut rng = Rng::new(11);
    for round in 0..200_u32 {
        let mut client = Connection::dial(tour.address())?;
        if rng.percent(70) {
            client.handshake(&Connect::default())?;
        }
        let mut noise: Vec<u8> = (0..rng.index(300)).map(|_| low_byte(rng.next())).collect();
        if rng.percent(60) {
            // A plausible length and header, then noise.
            let payload =
                Writer::new().int(1).int(i32::from(low_byte(rng.next()) % 23)).raw(&noise);
            client.send_frame(&payload.into_bytes()).ok();
            noise.clear();
        }
        client.send_raw(&noise).ok();
        if round % 8 == 0 {
            witness.set("/calm", b"still here", -1)?;
        }
    }
    assert_eq!(witness.get("/calm")?.1.version, 25);
    witness.close()?.ok()
}

fn low_byte(word: u64) -> u8 {
    word.to_le_bytes()[0]
}

pub(crate) fn a_client_that_does_not_read_is_alone(tour: &Tour) -> Result<(), Failure> {
    let (mut deaf, mut witness) = (tour.session()?, tour.session()?);
    deaf.create("/deaf", &vec![5; 500_000], 0)?;
    let frame = Writer::new().int(1).int(op::GET_DATA).raw(&records::path_watch("/deaf", false));
    let frame = frame.into_bytes();
    // 200 MB of replies that nobody takes: neither the server's memory nor others may suffer.
    for _ in 0..400 {
        deaf.send_frame(&frame)?;
    }
    witness.create("/hearing", b"", 0)?;
    for _ in 0..200 {
        witness.set("/hearing", b"x", -1)?;
    }
    for _ in 0..400 {
        assert_eq!(deaf.reply()?.data()?.1.data_length, 500_000);
    }
    deaf.delete("/deaf", -1)?;
    deaf.close()?.ok()?;
    witness.close()?.ok()
}

pub(crate) fn a_half_closed_connection_still_gets_its_replies(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    let session = client.session.clone();
    client.send_xid(1, op::SYNC, &records::path_only("/"))?;
    client.shut_down_writing()?;
    client.read_to_end(Duration::from_secs(10))?;
    let again = Connection::open(tour.address(), &Connect::resume(&session))?;
    assert_eq!(again.session.session, session.session);
    again.close()?.ok()
}
