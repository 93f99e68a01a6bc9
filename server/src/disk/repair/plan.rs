//! Where to cut, and whether that gives what was asked for.

use std::collections::BTreeSet;

use ringkeeper_engine::{
    ids::{Ballot, Slot},
    storage::{
        Base, Lsn,
        block::BLOCK_BYTES,
        recovery::{Options, Seen, valid_records},
        standalone::Owner,
    },
};

use super::{Cut, Lost, RepairError};
use crate::disk::survey::{Found, LogReading, SurveyError, ranges::SlotRanges, read_log};

/// What `change` does.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cut: Cut,
    /// The snapshot that a start will use; the default: none.
    pub(super) snapshot: Base,
    /// The end of the log after the cut.
    pub(super) base_kept: Base,
    /// For new superblocks, if both are lost.
    pub(super) owner: Option<Owner>,
    pub(super) lost: Lost,
}

/// A sound record, wherever it stands.
#[derive(Clone, Copy, Debug)]
struct Sound {
    lsn: Lsn,
    slot: Slot,
    zxids: Option<(i64, i64)>,
}

/// The log, read for a cut before a slot.
struct Reading {
    log: LogReading,
    /// Where the log ends if it is to end right before the slot.
    end: Option<Lsn>,
    /// The last batch before that.
    kept: Base,
    sound: Vec<Sound>,
    promised: Ballot,
}

pub(super) fn plan(found: &Found, slot: Slot, force: bool) -> Result<Plan, RepairError> {
    let newest = found.snapshots.last_key_value().map(|(_, base)| *base).unwrap_or_default();
    let reading = read(found, newest, slot)?;
    if found.chosen.is_some()
        && let Ok(outcome) = &reading.log.result
    {
        let last = outcome.recovered.last().slot;
        if !force {
            return Err(RepairError::NothingWrong { last: last.0 });
        }
        if last < slot {
            return Err(RepairError::NothingThere { asked: slot.0, last: last.0 });
        }
    }
    let kept = found.snapshots.range(..slot).next_back();
    let snapshot = kept.map(|(_, base)| *base).unwrap_or_default();
    let best = reading.log.last.slot.max(newest.slot).0 + 1;
    let reading = if snapshot == newest { reading } else { read(found, snapshot, slot)? };
    let (end, base_kept) = match reading.end {
        Some(end) if snapshot.slot <= reading.kept.slot => (end, reading.kept),
        // The log is of no use, and the snapshot is all that was asked for.
        _ if snapshot.slot.next() == slot => (Lsn::ZERO, snapshot),
        _ => return Err(RepairError::Unreachable { asked: slot.0, best }),
    };
    let cut = Cut { slot, end, promised: reading.promised };
    if cut.end != Lsn::ZERO && !is_as_planned(found, &cut, snapshot)? {
        return Err(RepairError::Unreachable { asked: slot.0, best });
    }
    let lost = lost(found, &cut, &reading.sound);
    Ok(Plan { cut, snapshot, base_kept, owner: found.owner(), lost })
}

/// Reads the log as a start from `snapshot` does, and all sound records beside.
fn read(found: &Found, snapshot: Base, slot: Slot) -> Result<Reading, RepairError> {
    let mut sound = Vec::new();
    let mut promised = found.options(snapshot).promised;
    let mut each = |_: u32, bytes: &mut [u8]| {
        let observe = &mut |seen: Seen<'_>| {
            promised = promised.max(seen.header.ballot);
            sound.extend(seen.batch.map(|batch| Sound {
                lsn: seen.header.lsn,
                slot: batch.slot,
                zxids: (0 < batch.zxid_count).then(|| (batch.first_zxid.0, batch.last_zxid().0)),
            }));
        };
        // A segment without a header has no record that could be told from an old one.
        valid_records(bytes, observe).ok();
    };
    let mut last: Option<Base> = None;
    let mut end = None;
    let mut kept = Base::default();
    let mut observe = |seen: Seen<'_>| {
        if let Some(install) = seen.install {
            last = Some(install.last);
        }
        let Some(batch) = seen.batch else { return };
        let before = last.map_or(batch.slot.0 - 1, |last| last.slot.0);
        // The last time that the log goes on from there: what was replaced later is not meant.
        if before + 1 == slot.0 && slot <= batch.slot {
            end = Some(seen.header.lsn);
            kept = last.unwrap_or_default();
        }
        last = Some(Base::of(batch));
    };
    let log = read_log(&found.segments, found.options(snapshot), &mut each, &mut observe);
    let log = log.map_err(SurveyError::from)?;
    if let Some(start) = log.start {
        if log.last.slot.next() == slot {
            (end, kept) = (Some(log.end), log.last);
        } else if start.slot.next() == slot {
            // The first segment is begun where the log is cut.
            kept = start;
        }
    }
    Ok(Reading { log, end, kept, sound, promised })
}

/// Whether recovery of the directory as it will be gives what was asked for.
fn is_as_planned(found: &Found, cut: &Cut, snapshot: Base) -> Result<bool, RepairError> {
    let segments = found.segments.range(..=cut.end.segment());
    let segments = segments.map(|(number, path)| (*number, path.clone())).collect();
    let mut each = |number: u32, bytes: &mut [u8]| {
        let start = u64::from(cut.end.block()) * BLOCK_BYTES as u64;
        let start = usize::try_from(start).expect("a segment fits in memory").min(bytes.len());
        if number == cut.end.segment() {
            bytes[start..].fill(0);
        }
    };
    let options = Options { tail: cut.end, ..found.options(snapshot) };
    let log = read_log(&segments, options, &mut each, &mut |_| {}).map_err(SurveyError::from)?;
    Ok(match &log.result {
        Ok(outcome) => outcome.recovered.last().slot.next() == cut.slot,
        // The length of the file is mended with the cut.
        Err(damage) => damage.lsn == cut.end && damage.slot == cut.slot && damage.is_length(),
    })
}

fn lost(found: &Found, cut: &Cut, sound: &[Sound]) -> Lost {
    let given_up = |sound: &&Sound| cut.slot <= sound.slot && cut.end <= sound.lsn;
    let given_up: Vec<&Sound> = sound.iter().filter(given_up).collect();
    let readable: BTreeSet<u64> = given_up.iter().map(|sound| sound.slot.0).collect();
    let snapshot = found.snapshots.keys().next_back().filter(|newest| cut.slot <= **newest);
    let spoken_of = found.chosen.map_or(Slot(0), |chosen| chosen.superblock.snapshot.slot);
    let highest = readable.last().copied().unwrap_or(0);
    let highest = highest.max(snapshot.map_or(0, |slot| slot.0)).max(spoken_of.0);
    let zxids = given_up.iter().filter_map(|sound| sound.zxids);
    Lost {
        unreadable: SlotRanges::of((cut.slot.0..=highest).filter(|slot| !readable.contains(slot))),
        readable: SlotRanges::of(readable.into_iter()),
        zxids: zxids.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))),
        snapshot: snapshot.copied(),
    }
}
