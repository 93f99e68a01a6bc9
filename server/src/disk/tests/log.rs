//! Appending, rolling, restarting.

use std::fs;

use ringkeeper_engine::ids::{LogPos, Slot};
use tempfile::TempDir;

use super::harness::{config, run_log, session, until};
use crate::disk::{
    log_writer::LogEvent,
    names,
    open::{Opened, open},
};

#[test]
fn what_was_durable_comes_back() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let (recovered, last) = session(&config, async |appender| {
        for payload in [b"one".as_slice(), b"", &[3; 10_000]] {
            appender.append(payload);
        }
        appender.flushed().await;
        appender.last
    })
    .unwrap();
    assert_eq!(recovered.last().slot, Slot(0));

    let (recovered, ()) = session(&config, async |_| ()).unwrap();
    assert_eq!(recovered.last(), last);
    assert_eq!(recovered.appended, LogPos(4), "a promise and three batches");
    assert_eq!(recovered.promised.round, 1);
    let payloads: Vec<&[u8]> = recovered.batches.iter().map(|batch| &*batch.payload).collect();
    assert_eq!(payloads, [b"one".as_slice(), b"", &[3; 10_000]]);
}

#[test]
fn a_long_log_goes_through_many_segments() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let (_, last) = session(&config, async |appender| {
        appender.append_one_by_one(60, 300_000).await;
        appender.last
    })
    .unwrap();
    let (recovered, ()) = session(&config, async |_| ()).unwrap();
    assert_eq!(recovered.last(), last);
    assert_eq!(recovered.batches.len(), 60);
    assert!(5 < names::segments(&config.log_dir).unwrap().len());
}

#[test]
fn appends_of_one_turn_share_a_group() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let (_, groups) = session(&config, async |appender| {
        (0..10).for_each(|_| appender.append(b"x"));
        appender.flushed().await;
        appender.events.borrow().len()
    })
    .unwrap();
    assert_eq!(groups, 2, "one for the promise and one for the ten batches");
}

#[test]
fn a_start_costs_no_room_and_reuses_what_was_prepared() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    for start in 1..6 {
        let (recovered, ()) = session(&config, async |appender| {
            appender.append_one_by_one(1, 10).await;
        })
        .unwrap();
        assert_eq!(recovered.batches.len(), start - 1);
    }
    let lengths: Vec<u64> = names::segments(&config.log_dir)
        .unwrap()
        .values()
        .map(|path| fs::metadata(path).unwrap().len())
        .collect();
    let (whole, cut): (Vec<u64>, Vec<u64>) =
        lengths.iter().partition(|length| **length == config.segment_bytes);
    assert!(whole.len() <= 3, "the one in use, and two that are ready: {lengths:?}");
    assert_eq!(cut.len(), 4, "what earlier starts left is as long as its records: {lengths:?}");
    assert!(cut.iter().all(|length| *length <= 6 * 4096), "{lengths:?}");
}

#[test]
fn writes_are_refused_while_no_segment_can_be_prepared() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let Opened { lock, recovered, log, segments, .. } =
        open::<super::harness::Bytes>(&config).unwrap();
    // A directory stands where the fourth segment is made.
    let obstacle = names::spare(&config.log_dir, 4);
    fs::create_dir(&obstacle).unwrap();
    let last = run_log(log, &recovered, async move |appender| {
        let refused = |appender: &super::harness::Appender| {
            let events = appender.events.borrow();
            let is_refusing = |event: &LogEvent| match event {
                LogEvent::WritesRefused(is_refusing) => Some(*is_refusing),
                LogEvent::Durable { .. } => None,
            };
            events.iter().rev().find_map(is_refusing)
        };
        while refused(appender) != Some(true) {
            appender.append_one_by_one(1, 200_000).await;
        }
        // What is appended nevertheless waits for room.
        (0..20).for_each(|_| appender.append(&[1; 200_000]));
        until(|| 0 < appender.queue.depth()).await;
        fs::remove_dir(&obstacle).unwrap();
        appender.flushed().await;
        until(|| refused(appender) == Some(false)).await;
        appender.last
    });
    segments.stop();
    drop(lock);
    let (recovered, ()) = session(&config, async |_| ()).unwrap();
    assert_eq!(recovered.last(), last);
}
