//! Snapshots: written, loaded, kept in twos, survived when rotten.

use std::fs;

use ringkeeper_engine::{ids::Slot, storage::Base};
use tempfile::TempDir;

use super::harness::{Bytes, config, run_log, session, until, write_snapshot};
use crate::disk::{
    DiskConfig, names,
    open::{OpenError, Opened, open},
};

/// Writes three snapshots with log between them; returns the last two.
fn three_snapshots(config: &DiskConfig) -> Vec<Base> {
    let opened = open::<Bytes>(config).unwrap();
    let Opened { lock, recovered, log, segments, snapshots, .. } = opened;
    let directory = config.clone();
    let bases = run_log(log, &recovered, async move |appender| {
        let mut bases = Vec::new();
        for content in 1..4 {
            appender.append_one_by_one(20, 300_000).await;
            let base = appender.last;
            write_snapshot(&snapshots, base, &vec![content; 2_500_000]);
            appender.snapshot(base);
            appender.flushed().await;
            bases.push(base);
        }
        until(|| names::snapshots(&directory.data_dir).unwrap().len() == 2).await;
        appender.append_one_by_one(1, 10).await;
        bases.split_off(1)
    });
    segments.stop();
    drop(lock);
    bases
}

#[test]
fn the_newest_snapshot_and_the_log_behind_it_come_back() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let bases = three_snapshots(&config);
    let opened = open::<Bytes>(&config).unwrap();
    let (meta, state) = opened.snapshot.as_ref().unwrap();
    assert_eq!(meta.base, bases[1]);
    assert_eq!(state.0, vec![3; 2_500_000]);
    assert_eq!(opened.recovered.base, bases[1]);
    assert_eq!(opened.recovered.batches.len(), 1);
    let first = *names::segments(&config.log_dir).unwrap().keys().next().unwrap();
    assert!(1 < first, "the log before the older snapshot is gone");
    opened.segments.stop();
}

#[test]
fn a_rotten_newest_snapshot_is_survived() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let bases = three_snapshots(&config);
    let newest = names::snapshot(&config.data_dir, bases[1].slot);
    let mut bytes = fs::read(&newest).unwrap();
    bytes[2_000_000] ^= 4;
    fs::write(&newest, bytes).unwrap();

    let opened = open::<Bytes>(&config).unwrap();
    let (meta, state) = opened.snapshot.as_ref().unwrap();
    assert_eq!(meta.base, bases[0]);
    assert_eq!(state.0, vec![2; 2_500_000]);
    assert_eq!(opened.recovered.batches.len(), 21);
    assert!(newest.with_extension("damaged").exists());
    opened.segments.stop();
}

#[test]
fn with_both_snapshots_rotten_the_log_alone_is_refused() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    for base in three_snapshots(&config) {
        fs::write(names::snapshot(&config.data_dir, base.slot), b"short").unwrap();
    }
    let error = session(&config, async |_| ()).unwrap_err();
    assert!(matches!(error, OpenError::Damage { damage, .. } if damage.slot == Slot(1)), "{error}");
}

#[test]
fn a_snapshot_that_was_not_finished_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let Opened { lock, snapshots, segments, .. } = open::<Bytes>(&config).unwrap();
    let mut writer = snapshots.create(Base { slot: Slot(9), ..Base::default() }).unwrap();
    writer.push(&[1; 1000]).unwrap();
    drop(writer);
    assert_eq!(names::unfinished(&config.data_dir).unwrap().len(), 0);
    segments.stop();
    drop(lock);
}
