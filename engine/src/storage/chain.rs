//! Records in order: what they add up to, and whether each continues the one before.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

use super::{
    Base, Lsn,
    reader::Record,
    record::{Install, RecordHeader, Seal},
    recovery::Recovered,
};
use crate::{
    batch::Batch,
    ids::{Ballot, Slot},
    limits::WINDOW_SLOTS_MAX,
};

/// How many of the last batches a batch may replace: no replica has more that are undecided.
const REPLACEABLE_MAX: usize = 2 * WINDOW_SLOTS_MAX;

/// Why a sound record is none that this log can have at its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// The log starts too late.
    #[error("the log starts after slot {start}, and the snapshot ends with slot {snapshot}")]
    Gap {
        /// The last slot before the log.
        start: u64,
        /// The snapshot's slot.
        snapshot: u64,
    },
    /// Snapshot and log are not of one history.
    #[error("the log has another batch at the snapshot's slot {slot} than the snapshot")]
    OtherSnapshot {
        /// The snapshot's slot.
        slot: u64,
    },
    /// A slot was left out, or is too far back to be replaced.
    #[error("slot {found} follows slot {last}")]
    Slot {
        /// The last slot.
        last: u64,
        /// The slot of the record.
        found: u64,
    },
    /// The hash of the batch before is not the one that the record names.
    #[error("the batch at slot {slot} does not continue the one before it")]
    Hash {
        /// The slot of the record.
        slot: u64,
    },
    /// The log goes on behind a snapshot that was received, and that is not the one that was loaded
    /// nor an older one.
    #[error("the log goes on behind a snapshot of slot {slot}")]
    NotInstalled {
        /// That snapshot's slot.
        slot: u64,
    },
    /// The log cannot go on behind a snapshot as the record says.
    #[error("a snapshot of slot {slot} was put where it cannot have been")]
    Install {
        /// That snapshot's slot.
        slot: u64,
    },
    /// A seal that contradicts the records before it.
    #[error("the segment's seal contradicts the records before it")]
    Seal,
    /// A seal that is not at the start of a segment.
    #[error("a seal inside a segment")]
    SecondSeal,
    /// Blocks that are sound, and whose content is not.
    #[error("sound blocks with impossible content")]
    Content,
}

/// The log has another batch at the snapshot's slot than the snapshot. It may be one that was
/// replaced later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Doubt {
    /// The record.
    pub(super) lsn: Lsn,
    /// The end of the log before it.
    pub(super) last: Base,
}

/// What the records so far add up to.
#[derive(Debug)]
pub(super) struct Chain {
    recovered: Recovered,
    /// The last batch.
    last: Base,
    /// The last slot before the log: what is trimmed.
    start: Slot,
    /// The ends of the log before the last batches, newest last: what a batch may continue.
    before: VecDeque<Base>,
    /// The newest snapshot that a record speaks of.
    snapshot: Option<Base>,
    /// The last snapshot behind which the log went on.
    installed: Slot,
    doubt: Option<Doubt>,
}

impl Chain {
    pub(super) fn new(base: Base, promised: Ballot) -> Self {
        Self {
            recovered: Recovered { base, promised, ..Recovered::default() },
            last: Base::default(),
            start: Slot(0),
            before: VecDeque::new(),
            snapshot: None,
            installed: Slot(0),
            doubt: None,
        }
    }

    /// The first segment says what was before it.
    pub(super) fn start(&mut self, header: &RecordHeader, seal: &Seal) -> Result<(), ChainError> {
        let snapshot = self.recovered.base.slot;
        if snapshot < seal.base.slot {
            return Err(ChainError::Gap { start: seal.base.slot.0, snapshot: snapshot.0 });
        }
        self.recovered.appended = seal.appended;
        self.start = seal.base.slot;
        self.move_to(seal.base, header.lsn);
        Ok(())
    }

    /// A later segment repeats what the records before it add up to.
    pub(super) fn check_seal(&self, seal: &Seal) -> Result<(), ChainError> {
        let is_same = seal.base == self.last && seal.appended == self.recovered.appended;
        if is_same { Ok(()) } else { Err(ChainError::Seal) }
    }

    /// Notes what every record's header says.
    pub(super) fn header(&mut self, header: &RecordHeader) {
        self.recovered.promised = self.recovered.promised.max(header.ballot);
        self.recovered.commit_hint = self.recovered.commit_hint.max(header.commit);
    }

    /// Adds a record.
    pub(super) fn record(&mut self, record: &Record) -> Result<(), ChainError> {
        match record {
            Record::Batch(header, batch) => {
                self.batch(batch, header.lsn)?;
                self.recovered.accepted = header.ballot;
            }
            Record::Snapshot(_, base) => self.note_snapshot(*base),
            Record::Install(header, install) => self.install(install, header.lsn)?,
            Record::Local(_) => {}
            Record::Seal(..) => return Err(ChainError::SecondSeal),
        }
        let header = record.header();
        self.header(header);
        if header.kind.is_append() {
            self.recovered.appended = self.recovered.appended.next();
        }
        Ok(())
    }

    pub(super) fn last(&self) -> Base {
        self.last
    }

    pub(super) fn snapshot(&self) -> Option<Base> {
        self.snapshot
    }

    /// The place from which on the log is not that of the snapshot.
    pub(super) fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    pub(super) fn into_recovered(self) -> Recovered {
        self.recovered
    }

    fn batch(&mut self, batch: &Arc<Batch>, lsn: Lsn) -> Result<(), ChainError> {
        let header = &batch.header;
        let slot = header.slot;
        let error = ChainError::Slot { last: self.last.slot.0, found: slot.0 };
        let replaced = self.last.slot.next().0.checked_sub(slot.0).ok_or(error)?;
        if (REPLACEABLE_MAX as u64) < replaced || slot <= self.installed {
            return Err(error);
        }
        // A batch replaces the log from its slot on (R2).
        while slot <= self.last.slot {
            self.last = match self.before.pop_back() {
                Some(end) => end,
                // What it continues was trimmed, because the snapshot has it; whose hash is
                // compared, and speaks for all before.
                None if slot <= self.start => {
                    Base { slot: Slot(slot.0 - 1), hash: header.previous_hash, ..Base::default() }
                }
                None => return Err(error),
            };
        }
        if header.previous_hash != self.last.hash {
            return Err(ChainError::Hash { slot: slot.0 });
        }
        if self.before.len() == REPLACEABLE_MAX {
            self.before.pop_front();
        }
        self.before.push_back(self.last);
        self.move_to(Base::of(header), lsn);
        self.cut(slot);
        if self.recovered.base.slot < slot {
            self.recovered.batches.push(batch.clone());
        }
        Ok(())
    }

    /// The log goes on behind a snapshot that was received, whatever stood before.
    fn install(&mut self, install: &Install, lsn: Lsn) -> Result<(), ChainError> {
        let Install { base, last } = *install;
        let error = ChainError::Install { slot: base.slot.0 };
        if base.slot <= self.installed {
            return Err(error);
        }
        if base != last && last != self.last {
            return Err(error);
        }
        if last != self.last {
            if self.recovered.base.slot < base.slot {
                return Err(ChainError::NotInstalled { slot: base.slot.0 });
            }
            self.before.clear();
            self.cut(Slot(0));
            self.move_to(base, lsn);
        }
        // Nothing takes the place of what the snapshot has.
        self.before.retain(|end| base.slot <= end.slot);
        if self.before.iter().any(|end| end.slot == base.slot && end.hash != base.hash) {
            return Err(error);
        }
        self.installed = base.slot;
        self.recovered.commit_hint = self.recovered.commit_hint.max(base.slot);
        self.note_snapshot(base);
        Ok(())
    }

    fn note_snapshot(&mut self, base: Base) {
        let newest = self.snapshot.map_or(Slot(0), |snapshot| snapshot.slot);
        if newest <= base.slot {
            self.snapshot = Some(base);
        }
    }

    /// Forgets the batches from a slot on.
    fn cut(&mut self, slot: Slot) {
        let batches: &mut Vec<Arc<Batch>> = &mut self.recovered.batches;
        while batches.last().is_some_and(|last| slot <= last.header.slot) {
            batches.pop();
        }
    }

    /// The log ends with another batch. The one at the snapshot's slot must be the snapshot's.
    fn move_to(&mut self, last: Base, lsn: Lsn) {
        let snapshot = &self.recovered.base;
        if last.slot <= snapshot.slot {
            let is_other = last.slot == snapshot.slot && last.hash != snapshot.hash;
            self.doubt = is_other.then_some(Doubt { lsn, last: self.last });
        }
        self.last = last;
    }
}
