//! Snapshots: written, loaded, kept in twos, survived when rotten.

use std::fs;

use ringkeeper_engine::{
    ids::Slot,
    storage::{Base, recovery::DamageKind},
};
use tempfile::TempDir;

use super::harness::{Bytes, config, run_log, session, until, write_received, write_snapshot};
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

/// Batches, an own snapshot at slot 5, and one of slot 100 that another replica sent; if
/// `is_installed`, the log goes on behind it with three batches.
fn with_received(config: &DiskConfig, is_installed: bool) {
    let Opened { lock, recovered, log, segments, snapshots, .. } = open::<Bytes>(config).unwrap();
    let directory = config.clone();
    run_log(log, &recovered, async move |appender| {
        appender.append_one_by_one(5, 10).await;
        write_snapshot(&snapshots, appender.last, b"own");
        appender.snapshot(appender.last);
        // So much that the log is in another segment.
        appender.append_one_by_one(15, 300_000).await;
        let base = Base { slot: Slot(100), hash: 7, ..appender.last };
        write_received(&snapshots, base, b"received", b"configuration");
        if is_installed {
            appender.install(base);
            appender.append_one_by_one(3, 10).await;
            until(|| names::snapshots(&directory.data_dir).unwrap().len() == 1).await;
        }
    });
    segments.stop();
    drop(lock);
}

#[test]
fn the_log_goes_on_behind_a_received_snapshot() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    with_received(&config, true);
    let first = *names::segments(&config.log_dir).unwrap().keys().next().unwrap();
    assert!(1 < first, "the log before it is gone");
    let opened = open::<Bytes>(&config).unwrap();
    let (meta, state) = opened.snapshot.as_ref().unwrap();
    assert!(meta.is_received && state.0 == b"received");
    assert_eq!(*opened.recovered.config, *b"configuration");
    assert_eq!(opened.recovered.batches.len(), 3);
    assert_eq!(opened.recovered.last().slot, Slot(103));
    opened.segments.stop();
}

#[test]
fn a_received_snapshot_that_the_log_was_not_told_of_is_removed() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    with_received(&config, false);
    let opened = open::<Bytes>(&config).unwrap();
    let (_, state) = opened.snapshot.as_ref().unwrap();
    assert_eq!(state.0, b"own");
    assert!(opened.recovered.config.is_empty());
    assert_eq!(opened.recovered.last().slot, Slot(20));
    let left: Vec<Slot> = names::snapshots(&config.data_dir).unwrap().into_keys().collect();
    assert_eq!(left, [Slot(5)]);
    opened.segments.stop();
}

#[test]
fn without_the_snapshot_that_the_log_goes_on_behind_a_start_is_refused() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    with_received(&config, true);
    fs::write(names::snapshot(&config.data_dir, Slot(100)), b"short").unwrap();
    let error = session(&config, async |_| ()).unwrap_err();
    let OpenError::Damage { damage, .. } = error else { panic!("{error}") };
    assert!(matches!(damage.kind, DamageKind::NotInstalled { slot: 100 } | DamageKind::Chain(_)));
}

#[test]
fn an_own_snapshot_that_a_received_one_overtook_is_removed() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let Opened { lock, recovered, log, segments, snapshots, .. } = open::<Bytes>(&config).unwrap();
    let data_dir = config.data_dir.clone();
    run_log(log, &recovered, async move |appender| {
        appender.append_one_by_one(5, 10).await;
        let own = appender.last;
        let base = Base { slot: Slot(100), hash: 7, ..own };
        write_received(&snapshots, base, b"received", &[]);
        write_snapshot(&snapshots, own, b"own");
        appender.install(base);
        appender.flushed().await;
        appender.snapshot(own);
        appender.append_one_by_one(1, 10).await;
        until(|| names::snapshots(&data_dir).unwrap().len() == 1).await;
    });
    segments.stop();
    drop(lock);
    let opened = open::<Bytes>(&config).unwrap();
    assert_eq!(opened.recovered.base.slot, Slot(100));
    assert_eq!(opened.recovered.last().slot, Slot(101));
    opened.segments.stop();
}
