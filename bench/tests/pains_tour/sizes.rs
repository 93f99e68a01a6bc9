//! Requests, replies and transactions near and beyond `jute.maxbuffer`.

use ringkeeper_bench::{
    servers::{Server, Settings},
    tour::{self, Tour},
    wire::{
        Connect, Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

/// The limit that servers have by default.
const FRAME_BYTES_MAX: usize = 1_048_575;

pub(crate) fn a_request_over_the_limit_costs_the_connection_not_the_session(
    tour: &Tour,
) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/too-large", b"kept", flags::EPHEMERAL)?;
    let body = records::set_data("/too-large", Some(&vec![0; FRAME_BYTES_MAX]), -1);
    // The server may close before it has read all of it.
    client.send(op::SET_DATA, &body).ok();
    client.read_to_end(std::time::Duration::from_secs(15))?;
    let mut again = Connection::open(tour.address(), &Connect::resume(&client.session))?;
    assert_eq!(again.session.session, client.session.session);
    assert_eq!(again.get("/too-large")?.0.as_deref(), Some(&b"kept"[..]));
    again.close()?.ok()
}

pub(crate) fn a_list_of_children_over_the_limit_is_sent_whole(tour: &Tour) -> Result<(), Failure> {
    let mut client = tour.session()?;
    client.create("/long-list", b"", 0)?;
    let name = "x".repeat(200);
    for part in 0..60 {
        let creates: Vec<_> = (0..100)
            .map(|number| {
                let path = format!("/long-list/{name}-{part}-{number}");
                (op::CREATE, records::create(&path, None, &Acl::open(), 0))
            })
            .collect();
        client.call(op::MULTI, &records::multi(&creates))?.ok()?;
    }
    let reply = client.call(op::GET_CHILDREN, &records::path_watch("/long-list", false))?;
    assert!(FRAME_BYTES_MAX < reply.body.len(), "the limit is for requests");
    assert_eq!(reply.names()?.len(), 6000);
    let reply = client.call(op::GET_CHILDREN2, &records::path_watch("/long-list", false))?;
    assert!(FRAME_BYTES_MAX < reply.body.len());
    client.close()?.ok()
}

/// Starts a server again on its data, under other settings if there are some.
fn restart(server: &mut Server) -> Result<Connection, Failure> {
    server.kill()?;
    server.run()?;
    Connection::new_session(server.address())
}

pub(crate) fn a_restart_reads_transactions_of_any_size(tour: &Tour) -> Result<(), Failure> {
    let mut server = tour.private(Settings::new())?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/parent", b"", 0)?;
    // Just below the limit as a request; as a transaction it is longer.
    let data = vec![7; 1000];
    let creates: Vec<_> = (0..1000)
        .map(|number| {
            let path = format!("/parent/{number}");
            (op::CREATE, records::create(&path, Some(&data), &Acl::open(), 0))
        })
        .take(980)
        .collect();
    let body = records::multi(&creates);
    assert!(
        (FRAME_BYTES_MAX - 20_000..FRAME_BYTES_MAX - 8).contains(&body.len()),
        "{}",
        body.len()
    );
    client.call(op::MULTI, &body)?.ok()?;
    let largest = FRAME_BYTES_MAX - 8 - records::set_data("/parent", Some(b""), -1).len();
    client.set("/parent", &vec![1; largest], -1)?;
    let mut client = restart(&mut server)?;
    assert_eq!(client.stat("/parent")?.num_children, 980);
    assert_eq!(client.get("/parent/979")?.0, Some(data));
    assert_eq!(client.get("/parent")?.0.map(|data| data.len()), Some(largest));
    client.close()?.ok()
}

pub(crate) fn a_smaller_limit_after_a_restart_reads_what_is_there(
    tour: &Tour,
) -> Result<(), Failure> {
    let mut server = tour.private(Settings::new().define("jute.maxbuffer", "4000000"))?;
    let mut client = Connection::new_session(server.address())?;
    client.create("/big", &vec![1; 3_000_000], 0)?;
    server.set_defines(&[]);
    let restarted = restart(&mut server);
    if !tour.is_ringkeeper() {
        // Apache does not start again under the smaller limit: the pain itself.
        assert!(restarted.is_err(), "Apache has learned to read its log");
        return Ok(());
    }
    let mut client = restarted?;
    assert_eq!(client.stat("/big")?.data_length, 3_000_000);
    assert_eq!(client.get("/big")?.0.map(|data| data.len()), Some(3_000_000));
    client.close()?.ok()
}

pub(crate) fn a_multi_over_the_limit_is_refused_whole(tour: &Tour) -> Result<(), Failure> {
    let server = tour.private(tour::shared_settings())?;
    let mut client = Connection::new_session(server.address())?;
    let creates: Vec<_> = (0..1100)
        .map(|number| {
            let path = format!("/part-{number}");
            (op::CREATE, records::create(&path, Some(&[0; 1000]), &Acl::open(), 0))
        })
        .collect();
    client.send(op::MULTI, &records::multi(&creates)).ok();
    client.read_to_end(std::time::Duration::from_secs(15))?;
    let mut again = Connection::open(server.address(), &Connect::resume(&client.session))?;
    assert_eq!(again.children("/")?, ["zookeeper"]);
    again.close()?.ok()
}

pub(crate) fn set_watches_may_come_in_many_parts(tour: &Tour) -> Result<(), Failure> {
    let (mut writer, mut client) = (tour.session()?, tour.session()?);
    let seen = writer.set("/zookeeper/quota", b"", -1).map_or(0, |stat| stat.mzxid);
    // Java clients send their watches in parts of 128 KiB; all of them with xid -8.
    let paths: Vec<String> = (0..4000).map(|number| format!("/many/{number:090}")).collect();
    let mut sent = 0;
    for part in paths.chunks(1300) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        let lists: &[&[&str]] = &[&[], &part, &[]];
        client.send_xid(-8, op::SET_WATCHES, &records::set_watches(seen, lists))?;
        sent += 1;
    }
    for _ in 0..sent {
        let reply = client.reply()?;
        assert_eq!((reply.xid, reply.err), (-8, code::OK));
    }
    writer.create("/many", b"", 0)?;
    for path in [&paths[0], &paths[1300], &paths[3999]] {
        writer.create(path, b"", flags::EPHEMERAL)?;
        assert_eq!(&client.event()?.path, path);
    }
    client.no_event()?;
    client.close()?.ok()?;
    writer.close()?.ok()
}
