//! `inspect` and `repair`, and a directory after them.

use std::fs;

use expect_test::expect;
use ringkeeper_engine::ids::Slot;
use tempfile::TempDir;

use super::harness::{Bytes, config, run_log, session, write_snapshot};
use crate::disk::{
    DiskConfig,
    inspect::inspect,
    names,
    open::{OpenError, Opened, open},
    repair::{RepairError, repair},
};

/// The lines of a report that start like this.
fn lines(config: &DiskConfig, start: &str) -> String {
    let report = inspect(&config.data_dir, &config.log_dir, true).unwrap().to_string();
    let lines = report.lines().filter(|line| line.starts_with(start));
    lines.collect::<Vec<_>>().join("\n")
}

/// Ten batches, a snapshot after the fifth.
fn directory_with_snapshot(config: &DiskConfig) {
    let opened = open::<Bytes>(config).unwrap();
    let Opened { lock, recovered, log, segments, snapshots, .. } = opened;
    run_log(log, &recovered, async move |appender| {
        appender.append_one_by_one(5, 10).await;
        write_snapshot(&snapshots, appender.last, b"state");
        appender.snapshot(appender.last);
        (0..5).for_each(|_| appender.append(&[1; 5000]));
        appender.flushed().await;
    });
    segments.stop();
    drop(lock);
}

/// Flips a bit in this block of this segment.
fn flip(config: &DiskConfig, segment: u32, block: usize) {
    let path = names::segment(&config.log_dir, segment);
    let mut bytes = fs::read(&path).unwrap();
    bytes[block * 4096 + 100] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn inspect_shows_what_there_is() {
    let directory = TempDir::new().unwrap();
    let config = DiskConfig { segments_ready: 0, ..config(directory.path()) };
    directory_with_snapshot(&config);
    let snapshot = lines(&config, "snapshot-");
    expect![
        "snapshot-0000000000000005: 12288 bytes, slot 5, zxid 0x5, 1 znodes, 2 sessions, sound"
    ]
    .assert_eq(&snapshot);
    let segment = lines(&config, "segment-");
    assert!(segment.contains("768 blocks, 10 batch, "), "{segment}");
    assert!(segment.ends_with("1 promise, 1 seal, 1 snapshot; slots 1 to 10"), "{segment}");
    let batches = lines(&config, "  1:");
    let eighth = "batch under 1.1, durable to 1:";
    assert_eq!(batches.lines().filter(|line| line.contains(eighth)).count(), 10, "{batches}");
    let log = lines(&config, "log: ends at 1:");
    let end = " with slot 10, zxid 0xa, epoch 0; promised 1.1; 12 appends; 5 batches after the \
               snapshot";
    assert!(log.ends_with(end), "{log}");
    assert_eq!(lines(&config, "superblock-").lines().count(), 2);
    assert_eq!(lines(&config, "whole"), "whole");
}

#[test]
fn inspect_says_what_is_damaged() {
    let directory = TempDir::new().unwrap();
    let config = DiskConfig { segments_ready: 0, ..config(directory.path()) };
    directory_with_snapshot(&config);
    let records = lines(&config, "  1:");
    let eighth = records.lines().find(|line| line.contains("slot 8,")).unwrap();
    let block = eighth.trim().split([':', ' ']).nth(1).unwrap().parse().unwrap();
    flip(&config, 1, block);
    fs::write(names::superblock(&config.data_dir, 0), b"x").unwrap();
    let problems = lines(&config, "PROBLEM");
    let place = format!("segment 1, offset {}: records up to 1:", block * 4096);
    assert!(problems.contains("superblock-0: missing or too short\n"), "{problems}");
    assert!(problems.contains(&place), "{problems}");
    let loss = " were durable, and may have been acknowledged. Everything before slot 8 is sound; \
                slot 8 and what follows it cannot be read";
    assert!(problems.ends_with(loss), "{problems}");
    assert_eq!(lines(&config, "DAMAGED"), "DAMAGED");

    // A server refuses it, and starts once the rest is given up.
    let error = session(&config, async |_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Damage { damage, .. } if damage.slot == Slot(8)), "{error}");
    let error = repair(&config.data_dir, &config.log_dir, Slot(9)).unwrap_err();
    assert!(matches!(error, RepairError::Unreadable { asked: 9, readable: 7 }), "{error}");
    let error = repair(&config.data_dir, &config.log_dir, Slot(5)).unwrap_err();
    assert!(matches!(error, RepairError::SnapshotBeyond { snapshot: 5, .. }), "{error}");
    let aside = repair(&config.data_dir, &config.log_dir, Slot(8)).unwrap();
    assert!(names::segment(&aside, 1).exists());
    let (recovered, ()) = session(&config, async |appender| {
        appender.append_one_by_one(3, 10).await;
    })
    .unwrap();
    assert_eq!(recovered.last().slot, Slot(7));
    let (recovered, ()) = session(&config, async |_| ()).unwrap();
    assert_eq!(recovered.last().slot, Slot(10));
}

#[test]
fn a_log_that_is_damaged_before_the_snapshot_can_be_begun_anew_behind_it() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    directory_with_snapshot(&config);
    flip(&config, 1, 4);
    assert!(session(&config, async |_| ()).is_err());
    repair(&config.data_dir, &config.log_dir, Slot(6)).unwrap();
    let (recovered, ()) = session(&config, async |appender| {
        appender.append_one_by_one(2, 10).await;
    })
    .unwrap();
    assert_eq!(recovered.last().slot, Slot(5));
    let (recovered, ()) = session(&config, async |_| ()).unwrap();
    assert_eq!(recovered.last().slot, Slot(7));
}

#[test]
fn a_directory_in_use_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let opened = open::<Bytes>(&config).unwrap();
    let error = inspect(&config.data_dir, &config.log_dir, false).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let error = repair(&config.data_dir, &config.log_dir, Slot(1)).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::InUse { .. })), "{error}");
    opened.segments.stop();
}

#[test]
fn an_empty_directory_holds_nothing() {
    let directory = TempDir::new().unwrap();
    let error = inspect(directory.path(), directory.path(), false).unwrap_err();
    assert!(matches!(error, OpenError::NoData { .. }), "{error}");
}
