//! Segments and their records, each by itself: what is there, whether or not it adds up.

use std::path::Path;

use ringkeeper_engine::{
    batch::{BatchHeader, BatchKind},
    storage::{
        Lsn,
        block::BLOCK_BYTES,
        record::{RecordHeader, RecordKind, Seal},
        recovery::{Seen, valid_records},
        segment::SegmentHeader,
        standalone::BlockError,
    },
};

use super::{BatchFacts, HeaderFacts, InstallFacts, RecordFacts, SegmentFacts, ballot, file_name};
use crate::disk::names;

/// Everything about one file.
pub(super) fn segment(log_dir: &Path, number: u32, bytes: &[u8]) -> SegmentFacts {
    let mut records = Vec::new();
    let mut begun: Option<Seal> = None;
    let mut slots: Option<(u64, u64)> = None;
    let mut zxids: Option<(i64, i64)> = None;
    let mut observe = |seen: Seen<'_>| {
        if let Some(batch) = seen.batch {
            widen(&mut slots, batch.slot.0, batch.slot.0);
            if 0 < batch.zxid_count {
                widen(&mut zxids, batch.first_zxid.0, batch.last_zxid().0);
            }
        }
        begun = begun.or(seen.seal.copied());
        records.push(record(&seen));
    };
    let valid = valid_records(bytes, &mut observe);
    let header = bytes.first_chunk().map_or(Err(BlockError::Unreadable), SegmentHeader::decode);
    let hexadecimal = |zxid: i64| format!("{zxid:#x}");
    SegmentFacts {
        file: file_name(&names::segment(log_dir, number)),
        number,
        file_bytes: u64::try_from(bytes.len()).expect("64 bits"),
        header: header.ok().map(|header| HeaderFacts {
            generation: format!("{:016x}", header.generation),
            block_count: header.block_count,
        }),
        error: valid.err().map(|error| error.to_string()),
        after_slot: begun.map(|seal| seal.base.slot.0),
        previous_end: begun.map(|seal| seal.previous_end.to_string()),
        sealed_at: None,
        record_count: u64::try_from(records.len()).expect("64 bits"),
        slots,
        zxids: zxids.map(|(first, last)| (hexadecimal(first), hexadecimal(last))),
        records: Some(records),
    }
}

/// Notes in each segment what the seals of later ones say of it.
pub(super) fn seal(segments: &mut [SegmentFacts]) {
    let ends: Vec<Option<String>> =
        segments.iter().map(|segment| segment.previous_end.clone()).collect();
    for end in ends.into_iter().flatten() {
        let number = end.split_once(':').and_then(|(number, _)| number.parse().ok());
        if let Some(sealed) = segments.iter_mut().find(|segment| Some(segment.number) == number) {
            sealed.sealed_at = Some(end);
        }
    }
}

/// The slots of the batches at and behind a place.
pub(super) fn behind(segments: &[SegmentFacts], lsn: Lsn) -> Option<(u64, u64)> {
    let place = (lsn.segment(), offset(lsn));
    let mut slots = None;
    for segment in segments {
        for record in segment.records.iter().flatten() {
            if let Some(batch) = &record.batch
                && place <= (segment.number, record.offset)
            {
                widen(&mut slots, batch.slot, batch.slot);
            }
        }
    }
    slots
}

fn record(seen: &Seen<'_>) -> RecordFacts {
    let RecordHeader { lsn, block_count, kind, ballot: under, durable, commit, .. } = *seen.header;
    RecordFacts {
        lsn: lsn.to_string(),
        offset: offset(lsn),
        block_count,
        kind: match kind {
            RecordKind::Batch => "batch",
            RecordKind::Promise => "promise",
            RecordKind::Seal => "seal",
            RecordKind::Pad => "pad",
            RecordKind::Snapshot => "snapshot",
            RecordKind::Install => "install",
        },
        ballot: ballot(under),
        durable: durable.to_string(),
        commit: commit.0,
        batch: seen.batch.map(batch),
        install: seen.install.map(|install| InstallFacts {
            slot: install.base.slot.0,
            last_slot: install.last.slot.0,
        }),
    }
}

fn batch(header: &BatchHeader) -> BatchFacts {
    BatchFacts {
        slot: header.slot.0,
        origin: ballot(header.origin),
        kind: match header.kind {
            BatchKind::Commands => "commands",
            BatchKind::NewEpoch => "new-epoch",
            BatchKind::Config => "config",
        },
        epoch: header.epoch.0,
        last_zxid: header.last_zxid().to_string(),
        commands: header.command_count,
        zxid_count: header.zxid_count,
        time_ms: header.time.0,
    }
}

fn offset(lsn: Lsn) -> u64 {
    u64::from(lsn.block()) * BLOCK_BYTES as u64
}

fn widen<T: Copy + Ord>(range: &mut Option<(T, T)>, first: T, last: T) {
    *range = Some(range.map_or((first, last), |range| (range.0.min(first), range.1.max(last))));
}
