//! Damage at random places of a log: what comes back is exactly what was acknowledged, or a report.
//! Never less than what was acknowledged.

use alloc::{sync::Arc, vec::Vec};
use std::sync::OnceLock;

use proptest::prelude::*;

use super::model::{Files, Log, Reference, SnapshotFile, recover, recover_newest, segment_bytes};
use crate::{
    batch::Batch,
    ids::Slot,
    storage::{Base, block::BLOCK_BYTES},
};

/// What can happen to a disk.
#[derive(Clone, Debug)]
enum Harm {
    /// One bit.
    Flip { place: usize, bit: u8 },
    /// Bytes become zero.
    Zero { place: usize, bytes: usize },
    /// Whole blocks become zero: writes that were acknowledged and lost.
    ZeroBlocks { place: usize, blocks: usize },
    /// Bytes become something else.
    Garbage { place: usize, bytes: usize, seed: u8 },
    /// A file becomes shorter.
    Truncate { place: usize },
    /// A file is gone.
    Remove { place: usize },
    /// A block holds what another block of the log holds: a misdirected or a lost write.
    Copy { from: usize, to: usize },
    /// A file holds what another one holds.
    CopyFile { from: usize, to: usize },
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = any::<prop::sample::Index>;
    let place = move || place().prop_map(|index| index.index(1 << 40));
    prop_oneof![
        4 => (place(), 0..8_u8).prop_map(|(place, bit)| Harm::Flip { place, bit }),
        3 => (place(), 1..3 * BLOCK_BYTES).prop_map(|(place, bytes)| Harm::Zero { place, bytes }),
        3 => (place(), 1..6_usize)
            .prop_map(|(place, blocks)| Harm::ZeroBlocks { place, blocks }),
        2 => (place(), 1..3 * BLOCK_BYTES, any::<u8>())
            .prop_map(|(place, bytes, seed)| Harm::Garbage { place, bytes, seed }),
        2 => place().prop_map(|place| Harm::Truncate { place }),
        1 => place().prop_map(|place| Harm::Remove { place }),
        3 => (place(), place()).prop_map(|(from, to)| Harm::Copy { from, to }),
        1 => (place(), place()).prop_map(|(from, to)| Harm::CopyFile { from, to }),
    ]
}

/// Maps a number to a file and a place in it.
fn locate(files: &Files, place: usize) -> (u32, usize) {
    let mut place = place % files.values().map(Vec::len).sum::<usize>().max(1);
    for (number, bytes) in files {
        if place < bytes.len() {
            return (*number, place);
        }
        place -= bytes.len();
    }
    unreachable!("a place below the sum of the lengths")
}

fn apply(harm: &Harm, files: &mut Files) {
    let block = |place: usize| place - place % BLOCK_BYTES;
    match *harm {
        Harm::Flip { place, bit } => {
            let (number, place) = locate(files, place);
            files.get_mut(&number).unwrap()[place] ^= 1 << bit;
        }
        Harm::Zero { place, bytes } => {
            let (number, place) = locate(files, place);
            let file = files.get_mut(&number).unwrap();
            let end = file.len().min(place + bytes);
            file[place..end].fill(0);
        }
        Harm::ZeroBlocks { place, blocks } => {
            let (number, place) = locate(files, place);
            let file = files.get_mut(&number).unwrap();
            let end = file.len().min(block(place) + blocks * BLOCK_BYTES);
            file[block(place)..end].fill(0);
        }
        Harm::Garbage { place, bytes, seed } => {
            let (number, place) = locate(files, place);
            let file = files.get_mut(&number).unwrap();
            let mut value = seed;
            for byte in file.iter_mut().skip(place).take(bytes) {
                value = value.wrapping_mul(5).wrapping_add(17);
                *byte = value;
            }
        }
        Harm::Truncate { place } => {
            let (number, place) = locate(files, place);
            files.get_mut(&number).unwrap().truncate(place);
        }
        Harm::Remove { place } => {
            let (number, _) = locate(files, place);
            files.remove(&number);
        }
        Harm::Copy { from, to } => {
            let (from_number, from) = locate(files, from);
            let (to_number, to) = locate(files, to);
            let block_of =
                |bytes: &[u8]| bytes[block(from)..].iter().copied().take(BLOCK_BYTES).collect();
            let source: Vec<u8> = block_of(&files[&from_number]);
            let target = files.get_mut(&to_number).unwrap()[block(to)..].iter_mut();
            target.zip(source).for_each(|(target, source)| *target = source);
        }
        Harm::CopyFile { from, to } => {
            let (from, _) = locate(files, from);
            let (to, _) = locate(files, to);
            let source = files[&from].clone();
            files.insert(to, source);
        }
    }
}

/// Logs as real servers leave them, with the snapshot that goes with each: never trimmed; trimmed
/// and recycled; restarted several times; ended in the middle of a segment and near its end; and
/// replicas' logs that went on behind a snapshot that was received.
fn logs() -> &'static [(Log, Base)] {
    static LOGS: OnceLock<Vec<(Log, Base)>> = OnceLock::new();
    LOGS.get_or_init(|| (0..8).map(build).chain((0..4).map(build_with_install)).collect())
}

fn build(seed: usize) -> (Log, Base) {
    let mut log = Log::new(12, 2);
    let mut base = Base::default();
    for step in 0..24 + seed {
        for append in 0..1 + (step + seed) % 3 {
            log.append((step * 977 + seed * 401 + append * 3000) % 9000);
        }
        log.flush();
        if (step + seed) % 7 == 6 {
            log.pad();
        }
        if step == 10 && seed % 2 == 1 {
            base = log.snapshot();
            log.recycle(1);
            log.prepare();
        }
        if step == 15 && !seed.is_multiple_of(3) {
            log.start();
        }
    }
    if seed % 4 == 3 {
        // Removes what only the snapshot's absence would need.
        let first = first_needed(&log, base.slot);
        log.trim(first);
    }
    if !seed.is_multiple_of(4) {
        log.prepare();
    }
    log.witness();
    (log, base)
}

/// A log that a snapshot took the place of: of more slots, or of fewer, or of the same batch.
fn build_with_install(seed: usize) -> (Log, Base) {
    let mut log = Log::new(12, 2);
    let mut base = Base::default();
    for step in 0..30 {
        log.append((step * 977 + seed * 401) % 9000);
        log.flush();
        if step == 10 {
            log.snapshot();
        }
        if step == 16 {
            let slot = Slot(log.last.slot.0 + 2 * u64::try_from(seed).unwrap() - 3);
            let own = Reference::of(&log.history).end_at(slot);
            base = match own {
                Some(own) if seed == 1 => own,
                _ => Base { slot, hash: 7, ..log.last },
            };
            log.install(base);
        }
        if step == 20 {
            log.start();
        }
    }
    log.witness();
    (log, base)
}

/// The segment that holds the first slot after `slot`: those before it may go.
fn first_needed(log: &Log, slot: Slot) -> u32 {
    let mut recovery = crate::storage::recovery::Recovery::new(log.options(Base::default()));
    for (number, bytes) in &log.files {
        recovery.segment(*number, bytes, &mut |_| {}).unwrap();
    }
    let starts_in_time = |base: Base| base.slot <= slot;
    let segments = recovery.segments().iter();
    let mut in_time = segments.filter(|s| s.seal.is_some_and(|seal| starts_in_time(seal.base)));
    in_time.next_back().unwrap().number
}

/// What the replica must get back.
fn expected(log: &Log, base: Base) -> Vec<Arc<Batch>> {
    Reference::of(&log.history).behind(base)
}

#[test]
fn undamaged_logs_come_back_whole() {
    for (log, base) in logs() {
        let outcome = recover(&log.files, log.options(*base)).expect("nothing is damaged");
        assert_eq!(outcome.recovered.batches, expected(log, *base));
        assert_eq!(outcome.recovered.appended, log.appended);
        assert_eq!(outcome.recovered.promised, log.ballot);
        assert_eq!(outcome.continuation.end, log.end.durable());
    }
}

/// Failures are told by their inputs: nothing is kept in files.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(12_000))]

    /// A server that was idle for a moment before it ended: everything is witnessed twice.
    #[test]
    fn damage_is_reported_or_harmless(which in 0..12_usize, harms in harms()) {
        let (log, base) = &logs()[which];
        let mut files = log.files.clone();
        for harm in &harms {
            apply(harm, &mut files);
        }
        // Also a log that seems never to have gone on behind the snapshot.
        let is_received = 8 <= which;
        let snapshot = SnapshotFile { base: *base, is_received, is_rotten: false };
        if let Ok(outcome) = recover_newest(&files, log.options(*base), &[snapshot]) {
            prop_assert_eq!(outcome.recovered.base, *base);
            prop_assert_eq!(&outcome.recovered.batches, &expected(log, *base));
            prop_assert_eq!(outcome.recovered.appended, log.appended);
            prop_assert_eq!(outcome.recovered.promised, log.ballot);
        }
    }
}

fn harms() -> impl Strategy<Value = Vec<Harm>> {
    prop_oneof![4 => prop::collection::vec(harm(), 1..2), 1 => prop::collection::vec(harm(), 2..4)]
}

#[test]
fn every_block_of_an_acknowledged_log_can_be_lost_without_loss_unseen() {
    let (log, base) = &logs()[1];
    let used = log.end.durable();
    for (number, bytes) in &log.files {
        for block in 0..bytes.len() / BLOCK_BYTES {
            let mut files = log.files.clone();
            files.get_mut(number).unwrap()[block * BLOCK_BYTES..][..BLOCK_BYTES].fill(0);
            let result = recover(&files, log.options(*base));
            if let Ok(outcome) = result {
                assert_eq!(
                    outcome.recovered.batches,
                    expected(log, *base),
                    "block {block} of segment {number}, log ends at {used}"
                );
            }
        }
    }
}

#[test]
fn without_a_superblock_the_last_pad_is_witness_enough_for_one_lost_block() {
    for (log, base) in logs() {
        let mut log = log.clone();
        log.tail = crate::storage::Lsn::ZERO;
        let Some(last) = log.files.get(&log.end.durable().segment()) else { continue };
        for block in 1..last.len() / BLOCK_BYTES {
            let mut files = log.files.clone();
            let file = files.get_mut(&log.end.durable().segment()).unwrap();
            file[segment_bytes(u32::try_from(block).unwrap())..][..BLOCK_BYTES].fill(0);
            if let Ok(outcome) = recover(&files, log.options(*base)) {
                assert_eq!(outcome.recovered.batches, expected(&log, *base), "block {block}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    /// Whatever bytes there are, recovery ends with a result.
    #[test]
    fn any_bytes_are_survived(
        segments in prop::collection::vec(segment(), 0..4),
        tail in any::<u64>(),
    ) {
        let mut files = logs()[0].0.files.clone();
        for (place, bytes, is_whole) in &segments {
            let number = place % 5 + 1;
            let file = files.entry(number).or_default();
            let place = usize::try_from(*place).unwrap() % file.len().max(1);
            let start = if *is_whole { 0 } else { place };
            let end = file.len().max(start + bytes.len());
            file.resize(end, 0);
            file[start..start + bytes.len()].copy_from_slice(bytes);
        }
        let mut options = logs()[0].0.options(Base::default());
        options.tail = crate::storage::Lsn(tail % (9 << 32));
        options.owner = None;
        // No panic is what is tested; what it says is tested above.
        drop(recover(&files, options));
    }
}

/// A place, what is written there, and whether that is the start of a file.
fn segment() -> impl Strategy<Value = (u32, Vec<u8>, bool)> {
    (any::<u32>(), prop::collection::vec(any::<u8>(), 0..200), any::<bool>())
}
