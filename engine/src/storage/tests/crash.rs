//! Crashes: any set of the blocks of the group in flight may have reached the disk, nothing else
//! changed. What comes back is everything that was acknowledged, and a prefix of what was not.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::model::{Log, recover, segment_bytes};
use crate::storage::{Base, block::BLOCK_BYTES, recovery::EndKind};

/// Undoes those blocks of the group in flight that `reached` does not name.
fn crash(log: &mut Log, reached: &[bool]) {
    let Some((at, before)) = log.in_flight.take() else { return };
    let file = log.files.get_mut(&at.segment()).unwrap();
    let place = &mut file[segment_bytes(at.block())..][..before.len()];
    let blocks = place.chunks_mut(BLOCK_BYTES).zip(before.chunks(BLOCK_BYTES));
    for ((block, before), reached) in blocks.zip(reached.iter().cycle()) {
        if !reached {
            block.copy_from_slice(before);
        }
    }
}

/// Failures are told by their inputs: nothing is kept in files.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_crash_loses_nothing_that_was_acknowledged(
        groups in prop::collection::vec(prop::collection::vec(0..9000_usize, 1..4), 1..12),
        last in prop::collection::vec(0..20_000_usize, 1..5),
        reached in prop::collection::vec(any::<bool>(), 1..24),
        pads in any::<u16>(),
        recycled in any::<bool>(),
        crashes in 1..3_usize,
    ) {
        let mut log = Log::new(16, 1);
        for _ in 0..crashes {
            for (number, group) in groups.iter().enumerate() {
                group.iter().for_each(|payload_bytes| log.append(*payload_bytes));
                log.flush();
                if pads >> number & 1 == 1 {
                    log.pad();
                }
                if recycled && number == 3 {
                    log.recycle(1);
                }
            }
            last.iter().for_each(|payload_bytes| log.append(*payload_bytes));
            log.write();
            crash(&mut log, &reached);

            let outcome = recover(&log.files, log.options(Base::default()))
                .map_err(|damage| TestCaseError::fail(alloc::format!("{damage}")))?;
            let batches = &outcome.recovered.batches;
            prop_assert!(log.acknowledged <= batches.len(), "fewer than acknowledged");
            prop_assert!(batches.len() <= log.batches.len());
            prop_assert_eq!(batches, &log.batches[..batches.len()]);
            log = log.restart(&outcome);
        }
    }
}

#[test]
fn every_prefix_and_every_single_block_of_a_group() {
    let mut clean = 0;
    let mut torn = 0;
    for case in 0..32_usize {
        let mut log = Log::new(16, 2);
        log.append(100);
        log.flush();
        log.append(9000);
        log.append(10);
        log.append(4500);
        log.write();
        let (_, before) = log.in_flight.as_ref().unwrap();
        let blocks = before.len() / BLOCK_BYTES;
        let reached: Vec<bool> = (0..blocks)
            .map(|block| if case < 16 { block < case } else { block == case - 16 })
            .collect();
        crash(&mut log, &reached);
        let outcome = recover(&log.files, log.options(Base::default())).unwrap();
        assert!(log.acknowledged <= outcome.recovered.batches.len());
        match outcome.end {
            EndKind::Clean => clean += 1,
            EndKind::Torn => torn += 1,
        }
    }
    assert!(0 < clean && 0 < torn, "both kinds of end occur: {clean} clean, {torn} torn");
}
