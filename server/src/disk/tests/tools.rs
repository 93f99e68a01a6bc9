//! Looking at directories and cutting them, and what starts on them afterwards.

use std::{fs, path::Path};

use expect_test::expect;
use ringkeeper_engine::{
    consensus::config::{Config, Voter},
    ids::{Incarnation, ReplicaId, Slot},
    storage::Base,
};
use tempfile::TempDir;

use super::harness::{Bytes, config, run_log, session, write_received, write_snapshot};
use crate::{
    disk::{
        DiskConfig, names,
        open::{OpenError, Opened, open},
        repair::{RepairError, Repaired, repair},
        survey::{Survey, SurveyError, survey},
    },
    inspect::Text,
};

fn look(config: &DiskConfig) -> Survey {
    survey(&config.data_dir, &config.log_dir, true).unwrap()
}

fn cut(config: &DiskConfig, slot: u64, force: bool) -> Result<Repaired, RepairError> {
    repair(&config.data_dir, &config.log_dir, Slot(slot), force)
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

/// As above, and two more lives of two batches each.
fn directory_with_segments(config: &DiskConfig) {
    directory_with_snapshot(config);
    for _ in 0..2 {
        session(config, async |appender| appender.append_one_by_one(2, 10).await).unwrap();
    }
}

/// The last slot that a start finds.
fn start(config: &DiskConfig) -> Result<u64, OpenError> {
    session(config, async |_| ()).map(|(recovered, ())| recovered.last().slot.0)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Flips a bit in this block of this segment.
fn flip(config: &DiskConfig, segment: u32, block: u64) {
    let path = names::segment(&config.log_dir, segment);
    let mut bytes = fs::read(&path).unwrap();
    // A segment that a start has left is as short as its records.
    let place = usize::try_from(block).unwrap() % (bytes.len() / 4096) * 4096 + 100;
    bytes[place] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The block in segment 1 at which the batch of a slot starts.
fn block_of(config: &DiskConfig, slot: u64) -> u64 {
    let survey = look(config);
    let records = survey.segments[0].records.as_ref().unwrap();
    let record =
        records.iter().find(|record| record.batch.as_ref().is_some_and(|batch| batch.slot == slot));
    record.unwrap().offset / 4096
}

#[test]
fn a_survey_shows_what_there_is() {
    let directory = TempDir::new().unwrap();
    let config = DiskConfig { segments_ready: 0, ..config(directory.path()) };
    directory_with_snapshot(&config);
    let survey = look(&config);
    assert!(survey.is_whole && survey.in_use_by.is_none());
    assert_eq!((survey.superblocks.len(), survey.remarks.len()), (2, 0));
    let snapshot = survey.snapshots[0].trailer.as_ref().unwrap();
    assert_eq!((snapshot.slot, snapshot.znodes, snapshot.sessions), (5, 1, 2));
    let segment = &survey.segments[0];
    assert_eq!((segment.slots, segment.after_slot), (Some((1, 10)), Some(0)));
    let zxids = segment.zxids.as_ref().unwrap();
    assert_eq!((zxids.0.as_str(), zxids.1.as_str()), ("0x1", "0xa"));
    let kinds = segment.records.as_ref().unwrap().iter().map(|record| record.kind);
    let mut kinds: Vec<_> = kinds.filter(|kind| *kind != "pad").collect();
    kinds.dedup();
    assert_eq!(kinds, ["seal", "promise", "batch", "snapshot", "batch"]);
    let log = survey.log.unwrap();
    assert_eq!((log.from_slot, log.batch_count, log.last_slot), (5, 5, 10));
    assert_eq!((log.last_zxid.as_str(), log.end_kind), ("0xa", "clean"));
    // A second life seals the first.
    session(&config, async |_| ()).unwrap();
    assert_eq!(look(&config).segments[0].sealed_at, Some(log.end));
}

#[test]
fn damage_is_named_and_can_be_given_up() {
    let directory = TempDir::new().unwrap();
    let config = DiskConfig { segments_ready: 0, ..config(directory.path()) };
    directory_with_snapshot(&config);
    let block = block_of(&config, 8);
    flip(&config, 1, block);
    fs::write(names::superblock(&config.data_dir, 0), b"x").unwrap();

    let survey = look(&config);
    let damage = survey.damage.unwrap();
    assert_eq!(damage.file, names::segment(&config.log_dir, 1));
    assert_eq!((damage.offset, damage.slot), (block * 4096, 8));
    assert_eq!(damage.readable_behind, Some((9, 10)));
    assert_eq!(damage.truncate_at, Some(8));
    assert!(damage.what.ends_with("were durable, and may have been acknowledged"));
    assert_eq!(survey.remarks, ["one superblock cannot be read: a start writes it anew"]);

    // A server refuses it, and starts once the rest is given up.
    let error = start(&config).unwrap_err();
    assert!(matches!(error, OpenError::Damage { damage, .. } if damage.slot == Slot(8)), "{error}");
    let error = cut(&config, 9, true).unwrap_err();
    assert!(matches!(error, RepairError::Unreachable { asked: 9, best: 8 }), "{error}");
    let originals = [names::superblock(&config.data_dir, 0), names::segment(&config.log_dir, 1)];
    let originals = originals.map(|path| fs::read(path).unwrap());
    let repaired = cut(&config, 8, false).unwrap();
    assert_eq!((repaired.last_slot, repaired.last_zxid.as_str()), (Slot(7), "0x7"));
    let lost = repaired.lost;
    expect!["unreadable 8; readable 9 to 10 with zxids Some((9, 10)); snapshot None"].assert_eq(
        &format!(
            "unreadable {}; readable {} with zxids {:?}; snapshot {:?}",
            lost.unreadable, lost.readable, lost.zxids, lost.snapshot
        ),
    );
    // The originals are there, byte for byte.
    let [data_aside, log_aside] = &repaired.aside[..] else { panic!("two directories") };
    let superblock = fs::read(names::superblock(data_aside, 0)).unwrap();
    let segment = fs::read(names::segment(log_aside, 1)).unwrap();
    assert!([superblock, segment] == originals, "kept as they were");
    assert!(look(&config).is_whole);
    assert_eq!(start(&config).unwrap(), 7);
    session(&config, async |appender| appender.append_one_by_one(3, 10).await).unwrap();
    assert_eq!(start(&config).unwrap(), 10);
}

#[test]
fn a_cut_at_any_slot_gives_exactly_what_is_before_it() {
    let directory = TempDir::new().unwrap();
    let original = DiskConfig { segments_ready: 1, ..config(&directory.path().join("original")) };
    directory_with_segments(&original);
    for slot in 1..=15 {
        let place = directory.path().join(slot.to_string());
        copy(original.data_dir.parent().unwrap(), &place);
        let config = DiskConfig { segments_ready: 0, ..config(&place) };
        if slot == 15 {
            let error = cut(&config, slot, true).unwrap_err();
            assert!(matches!(error, RepairError::NothingThere { last: 14, .. }), "{error}");
            continue;
        }
        let repaired = cut(&config, slot, true).unwrap();
        assert_eq!(repaired.last_slot.0, slot - 1, "slot {slot}");
        assert_eq!(repaired.lost.snapshot, (slot <= 5).then_some(Slot(5)));
        let survey = look(&config);
        assert!(survey.is_whole, "slot {slot}: {:?}", survey.damage);
        assert_eq!(start(&config).unwrap(), slot - 1, "slot {slot}");
        fs::remove_dir_all(place).unwrap();
    }
}

#[test]
fn whatever_is_damaged_a_cut_where_the_survey_says_starts() {
    let directory = TempDir::new().unwrap();
    let original = DiskConfig { segments_ready: 1, ..config(&directory.path().join("original")) };
    directory_with_segments(&original);
    let mut damaged = 0;
    for case in 0..24 {
        let place = directory.path().join("case");
        copy(original.data_dir.parent().unwrap(), &place);
        let config = DiskConfig { segments_ready: 0, ..config(&place) };
        let (segment, block) = (1 + case % 3, u64::from(case / 3));
        flip(&config, segment, block);
        if case % 5 == 4 {
            fs::remove_file(names::snapshot(&config.data_dir, Slot(5))).unwrap();
        }
        let survey = look(&config);
        let before = start(&config);
        assert_eq!(survey.is_whole, before.is_ok(), "segment {segment}, block {block}: {survey:?}");
        if let Some(damage) = survey.damage {
            damaged += 1;
            let slot = damage.truncate_at.unwrap_or(1);
            cut(&config, slot, false).unwrap();
            let last = start(&config).unwrap();
            assert_eq!(last, slot - 1, "segment {segment}, block {block}: {damage:?}");
        }
        fs::remove_dir_all(place).unwrap();
    }
    assert!(10 < damaged, "{damaged} cases mean something");
}

#[test]
fn a_log_that_is_damaged_before_the_snapshot_can_be_begun_anew_behind_it() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    directory_with_snapshot(&config);
    flip(&config, 1, 4);
    assert!(start(&config).is_err());
    assert_eq!(look(&config).damage.unwrap().truncate_at, Some(6));
    let repaired = cut(&config, 6, false).unwrap();
    assert_eq!(repaired.last_slot, Slot(5));
    let (recovered, ()) =
        session(&config, async |appender| appender.append_one_by_one(2, 10).await).unwrap();
    assert_eq!(recovered.last().slot, Slot(5));
    assert_eq!(start(&config).unwrap(), 7);
}

#[test]
fn lost_superblocks_are_made_anew() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    directory_with_snapshot(&config);
    let owner = look(&config).superblocks[1].content.as_ref().unwrap().cluster.clone();
    for index in 0..2 {
        fs::remove_file(names::superblock(&config.data_dir, index)).unwrap();
    }
    assert!(matches!(start(&config).unwrap_err(), OpenError::LostSuperblocks { .. }));
    let damage = look(&config).damage.unwrap();
    assert_eq!(damage.truncate_at, Some(11));
    let repaired = cut(&config, 11, false).unwrap();
    assert!(repaired.lost.readable.is_empty() && repaired.lost.unreadable.is_empty());
    assert_eq!(start(&config).unwrap(), 10);
    assert_eq!(look(&config).superblocks[1].content.as_ref().unwrap().cluster, owner);
}

#[test]
fn a_directory_that_is_whole_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    directory_with_snapshot(&config);
    let error = cut(&config, 8, false).unwrap_err();
    assert!(matches!(error, RepairError::NothingWrong { last: 10 }), "{error}");
    assert_eq!(start(&config).unwrap(), 10);
}

#[test]
fn a_directory_in_use_is_shown_and_not_cut() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    let opened = open::<Bytes>(&config).unwrap();
    let survey = look(&config);
    assert!(survey.is_whole, "{:?}", survey.damage);
    assert_eq!(survey.in_use_by, Some(std::process::id()));
    let error = cut(&config, 1, true).unwrap_err();
    assert!(matches!(error, RepairError::Lock(OpenError::InUse { .. })), "{error}");
    opened.segments.stop();
}

#[test]
fn a_directory_of_something_else_is_not_touched() {
    let directory = TempDir::new().unwrap();
    let error = survey(directory.path(), directory.path(), false).unwrap_err();
    assert!(matches!(error, SurveyError::NotOurs { .. }), "{error}");
    let error = repair(directory.path(), directory.path(), Slot(1), true).unwrap_err();
    assert!(matches!(error, RepairError::Survey(SurveyError::NotOurs { .. })), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Five batches, and a snapshot of slot 100 that another replica sent; if `is_installed`, five more
/// batches behind it.
fn directory_with_received(config: &DiskConfig, is_installed: bool) {
    let Opened { lock, recovered, log, segments, snapshots, .. } = open::<Bytes>(config).unwrap();
    let member = |id| Voter { id: ReplicaId(id), incarnation: Incarnation(id.into()) };
    let mut cluster = Config::unformed();
    (cluster.cluster, cluster.feature_level) = (0xab, 3);
    let cluster = cluster.with_members(vec![member(1), member(2)], vec![member(3)]);
    run_log(log, &recovered, async move |appender| {
        appender.append_one_by_one(5, 10).await;
        let base = Base { slot: Slot(100), hash: 7, ..appender.last };
        write_received(&snapshots, base, b"received", &cluster.encode());
        if is_installed {
            appender.install(base);
            appender.append_one_by_one(5, 10).await;
        }
    });
    segments.stop();
    drop(lock);
}

#[test]
fn a_survey_shows_a_received_snapshot_and_its_configuration() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    directory_with_received(&config, true);
    let survey = look(&config);
    assert!(survey.is_whole && survey.remarks.is_empty());
    let log = survey.log.as_ref().unwrap();
    assert_eq!((log.from_slot, log.batch_count, log.last_slot), (100, 5, 105));
    let text = Text(&survey).to_string();
    let lines = text.lines().skip_while(|line| !line.contains("received from")).take(5);
    expect![[r#"
        received from another replica
        cluster 000000000000000000000000000000ab, feature level 3
        voter 1, incarnation 00000000000000000000000000000001
        voter 2, incarnation 00000000000000000000000000000002
        observer 3, incarnation 00000000000000000000000000000003
    "#]]
    .assert_eq(&lines.map(|line| format!("{}\n", line.trim_start())).collect::<String>());
    let install = text.lines().find(|line| line.contains("install")).unwrap();
    let install = install.split_once(": ").unwrap().1.split_once(';').unwrap().0;
    expect![
        "install under 1.1, behind the received snapshot of slot 100, where the log ends with 100"
    ]
    .assert_eq(install);
    let json = serde_json::to_value(&survey).unwrap();
    let trailer = &json["snapshots"][0]["trailer"];
    assert_eq!(
        (&trailer["is_received"], &trailer["config"]["feature_level"]),
        (&true.into(), &3.into())
    );
    assert_eq!(trailer["config"]["voters"][1]["replica"], 2);
    assert_eq!(trailer["config"]["observers"][0]["incarnation"], format!("{:032x}", 3));
}

#[test]
fn tools_do_not_count_a_received_snapshot_that_the_log_was_not_told_of() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    directory_with_received(&config, false);
    let survey = look(&config);
    assert!(survey.is_whole);
    assert_eq!(survey.log.unwrap().last_slot, 5);
    let remark = "snapshot-0000000000000064 was received and is not in use yet: a start removes it";
    assert_eq!(survey.remarks, [remark]);
    let error = cut(&config, 3, false).unwrap_err();
    assert!(matches!(error, RepairError::NothingWrong { last: 5 }), "{error}");
    cut(&config, 3, true).unwrap();
    assert!(!names::snapshot(&config.data_dir, Slot(100)).exists());
    assert_eq!(start(&config).unwrap(), 2);
}

#[test]
fn a_log_behind_a_received_snapshot_can_be_cut() {
    let directory = TempDir::new().unwrap();
    let config = config(directory.path());
    directory_with_received(&config, true);
    cut(&config, 103, true).unwrap();
    assert_eq!(start(&config).unwrap(), 102);
    cut(&config, 101, true).unwrap();
    let segments = names::segments(&config.log_dir).unwrap();
    assert!(!segments.is_empty(), "the log up to there is kept");
    assert_eq!(start(&config).unwrap(), 100);
}
