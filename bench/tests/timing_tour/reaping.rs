//! When containers and TTL znodes go.

use std::{
    thread,
    time::{Duration, Instant},
};

use ringkeeper_bench::{
    servers::{Server, Settings},
    tour::Tour,
    wire::{
        Connection, Failure,
        records::{self, Acl, code, flags, op},
    },
};

use crate::window::{Heard, ms};

const DELETED: i32 = 2;

fn server(tour: &Tour, interval_ms: u64) -> Result<Server, Failure> {
    let settings = Settings::new()
        .line("extendedTypesEnabled", "true")
        .define("znode.container.checkIntervalMs", &interval_ms.to_string());
    tour.private(settings)
}

/// Creates a container; used: it has had a child.
fn container(client: &mut Connection, path: &str, is_used: bool) -> Result<(), Failure> {
    let body = records::create(path, None, &Acl::open(), flags::CONTAINER);
    client.call(op::CREATE_CONTAINER, &body)?.ok()?;
    if is_used {
        let child = format!("{path}/child");
        client.create(&child, b"", 0)?;
        client.delete(&child, -1)?;
    }
    Ok(())
}

pub(crate) fn containers_go_at_the_interval(tour: &Tour) -> Result<(), Failure> {
    const INTERVAL_MS: u64 = 2000;
    let server = server(tour, INTERVAL_MS)?;
    let mut client = Connection::new_session(server.address())?;
    let mut witness = Connection::new_session(server.address())?;
    witness.call(op::ADD_WATCH, &records::path_int("/", 1))?.ok()?;
    let listener = thread::spawn(move || -> Result<Vec<Instant>, Failure> {
        let mut ends = Vec::new();
        // The last one's end is the end of the story.
        loop {
            let event = witness.event()?;
            if event.kind == DELETED && !event.path.ends_with("/child") {
                ends.push(Instant::now());
                if event.path == "/box-last" {
                    return Ok(ends);
                }
            }
        }
    });
    let started = Instant::now();
    for number in 0.. {
        // All the time some are empty: when they go, the server has looked.
        container(&mut client, &format!("/box-{number}"), true)?;
        thread::sleep(ms(100));
        if ms(4 * INTERVAL_MS) < started.elapsed() {
            break;
        }
    }
    container(&mut client, "/box-last", true)?;
    let ends = listener.join().map_err(|_| "the listener panicked")??;
    let mut looks: Vec<Instant> = Vec::new();
    let mut last: Option<Instant> = None;
    for end in ends {
        if last.is_none_or(|last| ms(INTERVAL_MS / 2) < end - last) {
            looks.push(end);
        }
        last = Some(end);
    }
    let gaps: Vec<Duration> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((3..=5).contains(&gaps.len()), "{gaps:?}");
    // On average: a single look may be late on a busy machine.
    let mean = gaps.iter().sum::<Duration>() / u32::try_from(gaps.len())?;
    let expected = ms(INTERVAL_MS * 7 / 8)..=ms(INTERVAL_MS * 9 / 8);
    assert!(expected.contains(&mean), "{gaps:?}");
    Ok(())
}

pub(crate) fn a_container_that_was_never_used_stays(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, 300)?;
    let mut client = Connection::new_session(server.address())?;
    container(&mut client, "/unused", false)?;
    // Three looks, each of which has taken a used one.
    for number in 0..3 {
        let used = format!("/used-{number}");
        container(&mut client, &used, true)?;
        // It may be gone already.
        if client.call(op::GET_DATA, &records::path_watch(&used, true))?.err == code::OK {
            assert_eq!(client.event()?.kind, DELETED);
        }
    }
    client.stat("/unused")?;
    client.close()?.ok()
}

const TTL_MS: u64 = 4000;
const LOOK_MS: u64 = 200;

/// A TTL znode, who created it and waits for its end, and when that was.
fn ttl_znode(server: &Server) -> Result<(Connection, Heard), Failure> {
    let mut client = Connection::new_session(server.address())?;
    let body = records::create_ttl("/ttl", None, flags::TTL, i64::try_from(TTL_MS)?);
    let (created, _) = Heard::of(|| client.call(op::CREATE_TTL, &body)?.path_stat())?;
    Ok((client, created))
}

fn expect_end(client: &mut Connection, from: Heard) -> Result<(), Failure> {
    client.call(op::EXISTS, &records::path_watch("/ttl", true))?.ok()?;
    assert_eq!(client.event()?.kind, DELETED);
    from.check("the end of the znode", ms(TTL_MS)..=ms(TTL_MS + LOOK_MS));
    Ok(())
}

pub(crate) fn a_ttl_counts_from_the_creation(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, LOOK_MS)?;
    let (mut client, created) = ttl_znode(&server)?;
    expect_end(&mut client, created)
}

pub(crate) fn a_ttl_counts_from_the_last_change_of_data(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, LOOK_MS)?;
    let (mut client, mut changed) = ttl_znode(&server)?;
    for _ in 0..2 {
        thread::sleep(ms(TTL_MS * 3 / 4));
        (changed, _) = Heard::of(|| client.set("/ttl", b"", -1))?;
    }
    expect_end(&mut client, changed)
}

pub(crate) fn a_ttl_does_not_count_from_children(tour: &Tour) -> Result<(), Failure> {
    let server = server(tour, LOOK_MS)?;
    let (mut client, created) = ttl_znode(&server)?;
    thread::sleep(ms(TTL_MS * 3 / 4));
    client.create("/ttl/child", b"", 0)?;
    client.delete("/ttl/child", -1)?;
    client.call(op::GET_DATA, &records::path_watch("/ttl", false))?.ok()?;
    client.call(op::SET_ACL, &records::set_acl("/ttl", &Acl::open(), -1))?.ok()?;
    expect_end(&mut client, created)
}
