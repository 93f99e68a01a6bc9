//! What recovery says about a log: one line per verdict of `docs/disk-format.md`.

use alloc::{format, string::String};

use expect_test::{Expect, expect};

use super::model::{Log, SnapshotFile, recover, recover_newest, segment_bytes};
use crate::{
    batch::BatchHeader,
    ids::Slot,
    mutant::{Mutant, set_broken},
    storage::{
        Base, Lsn,
        block::BLOCK_BYTES,
        recovery::{Damage, Options, Outcome},
    },
};

/// Three batches of one, three and one blocks, each durable before the next, at blocks 4, 5 and 8
/// of segment 1; the segment has 16 blocks.
fn three_batches() -> Log {
    let mut log = Log::new(16, 1);
    for payload_bytes in [10, 9000, 20] {
        log.append(payload_bytes);
        log.flush();
    }
    log
}

/// The bytes of one block of segment 1.
fn block(log: &mut Log, number: u32) -> &mut [u8] {
    let start = segment_bytes(number);
    &mut log.files.get_mut(&1).unwrap()[start..start + BLOCK_BYTES]
}

fn check(log: &Log, expected: &Expect) {
    check_with(log, log.options(Base::default()), expected);
}

fn check_with(log: &Log, options: Options, expected: &Expect) {
    expected.assert_eq(&told(&recover(&log.files, options)));
}

fn told(result: &Result<Outcome, Damage>) -> String {
    match result {
        Ok(outcome) => {
            let (last, end) = (outcome.recovered.last().slot.0, outcome.continuation.end);
            let base = outcome.recovered.base.slot.0;
            let behind = if base == 0 { String::new() } else { format!(", snapshot of {base}") };
            format!("{:?} end at {end} after slot {last}{behind}\n", outcome.end)
        }
        Err(damage) => format!("{damage}\n"),
    }
}

fn check_newest(log: &Log, snapshots: &[SnapshotFile], expected: &Expect) {
    let result = recover_newest(&log.files, log.options(Base::default()), snapshots);
    expected.assert_eq(&told(&result));
}

fn received(base: Base) -> SnapshotFile {
    SnapshotFile { base, is_received: true, is_rotten: false }
}

/// What another replica's log ended with at a slot.
fn other_base(log: &Log, slot: u64) -> Base {
    Base { slot: Slot(slot), hash: 7, ..log.last }
}

#[test]
fn a_whole_log() {
    check(
        &three_batches(),
        &expect![[r#"
            Clean end at 1:9 after slot 4
        "#]],
    );
}

#[test]
fn a_last_write_of_which_only_the_first_block_arrived() {
    let mut log = three_batches();
    log.append(9000);
    log.write();
    block(&mut log, 10).fill(0);
    block(&mut log, 11).fill(0);
    check(
        &log,
        &expect![[r#"
            Torn end at 1:9 after slot 4
        "#]],
    );
}

#[test]
fn a_last_write_of_which_the_first_block_did_not_arrive() {
    let mut log = three_batches();
    log.append(9000);
    log.write();
    block(&mut log, 9).fill(0);
    check(
        &log,
        &expect![[r#"
            Clean end at 1:9 after slot 4
        "#]],
    );
}

#[test]
fn an_acknowledged_write_that_is_gone() {
    let mut log = three_batches();
    (5..8).for_each(|number| block(&mut log, number).fill(0));
    check(
        &log,
        &expect![[r#"
            segment 1, offset 20480: records up to 1:8 were durable, and may have been acknowledged. Everything before slot 3 is sound; slot 3 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn the_last_write_that_is_gone_and_only_the_superblock_knows_of() {
    let mut log = three_batches();
    log.tail = log.end.durable();
    block(&mut log, 8).fill(0);
    check(
        &log,
        &expect![[r#"
            segment 1, offset 32768: records up to 1:9 were durable, and may have been acknowledged. Everything before slot 4 is sound; slot 4 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn a_rotten_last_block() {
    let mut log = three_batches();
    block(&mut log, 8)[2000] ^= 1;
    check(
        &log,
        &expect![[r#"
            segment 1, offset 32768: a block of the last record is neither new nor old: rot, or a torn sector. Everything before slot 4 is sound; slot 4 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn a_torn_block_on_a_device_that_tears_blocks() {
    let mut log = three_batches();
    log.append(3000);
    log.write();
    block(&mut log, 9)[1024..].fill(0);
    let options = log.options(Base::default());
    check_with(
        &log,
        Options { atomic_bytes: 512, ..options },
        &expect![[r#"
            Torn end at 1:9 after slot 4
        "#]],
    );
    check_with(
        &log,
        options,
        &expect![[r#"
            segment 1, offset 36864: a block of the last record is neither new nor old: rot, or a torn sector. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn rot_on_a_device_that_tears_blocks_is_still_rot() {
    let mut log = three_batches();
    block(&mut log, 8)[100] ^= 1;
    let options = log.options(Base::default());
    check_with(
        &log,
        Options { atomic_bytes: 512, ..options },
        &expect![[r#"
            segment 1, offset 32768: a block of the last record is neither new nor old: rot, or a torn sector. Everything before slot 4 is sound; slot 4 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn a_record_at_another_place_than_its_own() {
    let mut log = three_batches();
    let copied = block(&mut log, 4).to_vec();
    block(&mut log, 9).copy_from_slice(&copied);
    check(
        &log,
        &expect![[r#"
            segment 1, offset 36864: a sound record does not continue the log: sound blocks with impossible content. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn an_older_record_in_a_recycled_segment() {
    let mut log = three_batches();
    log.recycle(1);
    log.start();
    log.append(10);
    log.flush();
    check(
        &log,
        &expect![[r#"
            Clean end at 2:5 after slot 6
        "#]],
    );
}

#[test]
fn a_file_that_was_cut() {
    let mut log = three_batches();
    log.files.get_mut(&1).unwrap().truncate(segment_bytes(12));
    check(
        &log,
        &expect![[r#"
            segment 1, offset 36864: the file has 49152 bytes and should have 65536. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn a_file_that_was_cut_to_its_records_after_the_next_one_sealed_it() {
    let mut log = three_batches();
    log.start();
    log.files.get_mut(&1).unwrap().truncate(segment_bytes(9));
    check(
        &log,
        &expect![[r#"
            Clean end at 2:4 after slot 5
        "#]],
    );
}

#[test]
fn a_missing_file() {
    let mut log = three_batches();
    log.start();
    log.start();
    log.files.remove(&2);
    check(
        &log,
        &expect![[r#"
            segment 2, offset 0: the segment's file is missing. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn the_last_file_is_missing() {
    let mut log = three_batches();
    log.start();
    log.tail = log.end.durable();
    log.files.remove(&2);
    check(
        &log,
        &expect![[r#"
        segment 2, offset 0: the segment's file is missing. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
    "#]],
    );
}

#[test]
fn the_first_record_of_the_last_file_is_damaged() {
    let mut log = three_batches();
    log.start();
    log.append(10);
    log.flush();
    log.tail = log.end.durable();
    *log.files.get_mut(&2).unwrap().get_mut(segment_bytes(1) + 100).unwrap() ^= 1;
    check(
        &log,
        &expect![[r#"
        segment 2, offset 4096: records up to 2:5 were durable, and may have been acknowledged. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
    "#]],
    );
}

#[test]
fn no_file_although_there_was_a_log() {
    let mut log = three_batches();
    log.tail = log.end.durable();
    log.files.clear();
    check(
        &log,
        &expect![[r#"
            segment 1, offset 0: the segment's file is missing. Everything before slot 1 is sound; slot 1 and what follows it cannot be read
        "#]],
    );
    log.tail = Lsn::ZERO;
    check(
        &log,
        &expect![[r#"
            Clean end at 0:0 after slot 0
        "#]],
    );
}

#[test]
fn a_snapshot_of_another_history() {
    let log = three_batches();
    let mut base = Base::of(&log.batches[1].header);
    base.hash ^= 1;
    check_with(
        &log,
        log.options(base),
        &expect![[r#"
            segment 1, offset 16384: a sound record does not continue the log: the log has another batch at the snapshot's slot 2 than the snapshot. Everything before slot 2 is sound; slot 2 and what follows it cannot be read
        "#]],
    );
}

#[test]
fn a_snapshot_of_a_batch_that_took_the_place_of_another() {
    let mut log = three_batches();
    log.ballot.round += 1;
    log.last = Base::of(&log.batches[2].header);
    let header = BatchHeader { origin: log.ballot, ..log.next_header() };
    log.batch(header, &[5; 10]);
    log.flush();
    check_with(
        &log,
        log.options(log.last),
        &expect![[r#"
        Clean end at 1:10 after slot 4, snapshot of 4
    "#]],
    );
    // And the snapshot of the batch that is gone.
    let gone = Base::of(&log.batches[3].header);
    check_with(
        &log,
        log.options(gone),
        &expect![[r#"
        segment 1, offset 36864: a sound record does not continue the log: the log has another batch at the snapshot's slot 4 than the snapshot. Everything before slot 4 is sound; slot 4 and what follows it cannot be read
    "#]],
    );
}

#[test]
fn batches_that_took_the_place_of_some_in_a_segment_that_was_trimmed() {
    let mut log = three_batches();
    log.start();
    log.ballot.round += 1;
    log.last = Base::of(&log.batches[1].header);
    for _ in 0..3 {
        let header = BatchHeader { origin: log.ballot, ..log.next_header() };
        log.batch(header, &[5; 10]);
    }
    let base = log.snapshot();
    log.append(10);
    log.flush();
    log.trim(2);
    check_with(
        &log,
        log.options(base),
        &expect![[r#"
        Clean end at 2:9 after slot 6, snapshot of 5
    "#]],
    );
}

#[test]
fn a_crash_before_the_log_went_on_behind_a_received_snapshot() {
    let log = three_batches();
    let ahead = received(other_base(&log, 100));
    check_newest(
        &log,
        &[ahead],
        &expect![[r#"
        Clean end at 1:9 after slot 4
    "#]],
    );
    // The same with a log that has other batches up to there.
    let among = received(other_base(&log, 3));
    check_newest(
        &log,
        &[among],
        &expect![[r#"
        Clean end at 1:9 after slot 4
    "#]],
    );
    // An own snapshot that the log does not lead to is damage.
    let own = SnapshotFile { is_received: false, ..ahead };
    check_newest(
        &log,
        &[own],
        &expect![[r#"
        segment 1, offset 36864: the log ends before the snapshot's slot 100. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
    "#]],
    );
    let own = SnapshotFile { is_received: false, ..among };
    check_newest(
        &log,
        &[own],
        &expect![[r#"
        segment 1, offset 20480: a sound record does not continue the log: the log has another batch at the snapshot's slot 3 than the snapshot. Everything before slot 3 is sound; slot 3 and what follows it cannot be read
    "#]],
    );
}

#[test]
fn a_crash_after_the_log_went_on_behind_a_received_snapshot() {
    let mut log = three_batches();
    log.start();
    let base = other_base(&log, 100);
    log.install(base);
    log.flush();
    check_newest(
        &log,
        &[received(base)],
        &expect![[r#"
            Clean end at 2:5 after slot 100, snapshot of 100
        "#]],
    );
    log.append(10);
    log.flush();
    check_newest(
        &log,
        &[received(base)],
        &expect![[r#"
            Clean end at 2:6 after slot 101, snapshot of 100
        "#]],
    );
    // What is before is not needed.
    log.trim(2);
    check_newest(
        &log,
        &[received(base)],
        &expect![[r#"
            Clean end at 2:6 after slot 101, snapshot of 100
        "#]],
    );
}

#[test]
fn a_received_snapshot_in_the_place_of_a_longer_tail() {
    let mut log = three_batches();
    let base = other_base(&log, 3);
    log.install(base);
    log.flush();
    check_newest(
        &log,
        &[received(base)],
        &expect![[r#"
        Clean end at 1:10 after slot 3, snapshot of 3
    "#]],
    );
}

#[test]
fn a_received_snapshot_that_the_log_leads_to_and_beyond() {
    let mut log = three_batches();
    let base = Base::of(&log.batches[2].header);
    log.install(base);
    log.append(10);
    log.flush();
    check_newest(
        &log,
        &[received(base)],
        &expect![[r#"
        Clean end at 1:11 after slot 5, snapshot of 3
    "#]],
    );
    // Then the log is whole without it.
    check_newest(
        &log,
        &[],
        &expect![[r#"
        Clean end at 1:11 after slot 5
    "#]],
    );
}

#[test]
fn a_second_received_snapshot() {
    let mut log = three_batches();
    let first = other_base(&log, 100);
    log.install(first);
    log.append(10);
    log.flush();
    let second = other_base(&log, 200);
    let snapshots = [received(first), received(second)];
    check_newest(
        &log,
        &snapshots,
        &expect![[r#"
        Clean end at 1:11 after slot 101, snapshot of 100
    "#]],
    );
    log.install(second);
    log.append(10);
    log.flush();
    check_newest(
        &log,
        &snapshots,
        &expect![[r#"
        Clean end at 1:13 after slot 201, snapshot of 200
    "#]],
    );
}

#[test]
fn a_rotten_received_snapshot() {
    let mut log = three_batches();
    let own = SnapshotFile { is_received: false, ..received(log.snapshot()) };
    let base = other_base(&log, 100);
    log.install(base);
    log.append(10);
    log.flush();
    let rotten = SnapshotFile { is_rotten: true, ..received(base) };
    check_newest(
        &log,
        &[own, rotten],
        &expect![[r#"
        segment 1, offset 40960: the log goes on behind a snapshot of slot 100 that another replica sent, and neither that nor a newer one can be used: put its file back; or, where other replicas have the data, start with an empty directory, and they send everything. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
    "#]],
    );
    // Until the replica has one of its own behind it.
    let newer = SnapshotFile { is_received: false, ..received(log.snapshot()) };
    check_newest(
        &log,
        &[own, rotten, newer],
        &expect![[r#"
        Clean end at 1:13 after slot 101, snapshot of 101
    "#]],
    );
}

#[test]
fn a_batch_in_the_place_of_one_that_a_received_snapshot_has() {
    let mut log = three_batches();
    let base = Base::of(&log.batches[2].header);
    log.install(base);
    log.flush();
    log.last = Base::of(&log.batches[1].header);
    log.append(10);
    log.flush();
    check_newest(
        &log,
        &[received(base)],
        &expect![[r#"
        segment 1, offset 40960: a sound record does not continue the log: slot 3 follows slot 4. Everything before slot 5 is sound; slot 5 and what follows it cannot be read
    "#]],
    );
}

/// Without witnesses, or without a verdict, what is gone looks like a log that ended earlier.
#[test]
fn witnesses_tell_what_is_gone() {
    let mut log = three_batches();
    (5..8).for_each(|number| block(&mut log, number).fill(0));
    let recover = |mutant| {
        set_broken(mutant);
        let result = recover(&log.files, log.options(Base::default()));
        set_broken(None);
        result.is_ok()
    };
    assert!(!recover(None));
    assert!(recover(Some(Mutant::WitnessIgnored)));
    assert!(recover(Some(Mutant::DamageIsEnd)));
}
