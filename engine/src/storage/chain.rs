//! Records in order: what they add up to, and whether each continues the one before.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

use super::{
    Base,
    reader::Record,
    record::{RecordHeader, RecordKind, Seal},
    recovery::Recovered,
};
use crate::{batch::Batch, ids::Ballot, limits::WINDOW_SLOTS_MAX};

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

/// What the records so far add up to.
#[derive(Debug)]
pub(super) struct Chain {
    recovered: Recovered,
    /// The last batch.
    last: Base,
    /// The ends of the log before the last batches, newest last: what a batch may continue.
    before: VecDeque<Base>,
    snapshot: Option<Base>,
}

impl Chain {
    pub(super) fn new(base: Base, promised: Ballot) -> Self {
        Self {
            recovered: Recovered { base, promised, ..Recovered::default() },
            last: Base::default(),
            before: VecDeque::new(),
            snapshot: None,
        }
    }

    /// The first segment says what was before it.
    pub(super) fn start(&mut self, seal: &Seal) -> Result<(), ChainError> {
        let snapshot = self.recovered.base.slot;
        if snapshot < seal.base.slot {
            return Err(ChainError::Gap { start: seal.base.slot.0, snapshot: snapshot.0 });
        }
        self.recovered.appended = seal.appended;
        self.check_against_snapshot(&seal.base)?;
        self.last = seal.base;
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
        self.header(record.header());
        match record {
            Record::Batch(header, batch) => {
                self.batch(batch)?;
                self.recovered.accepted = header.ballot;
                self.recovered.appended = self.recovered.appended.next();
            }
            Record::Snapshot(_, base) => {
                self.snapshot = Some(*base);
                self.recovered.appended = self.recovered.appended.next();
            }
            Record::Local(header) if header.kind == RecordKind::Promise => {
                self.recovered.appended = self.recovered.appended.next();
            }
            Record::Local(_) => {}
            Record::Seal(..) => return Err(ChainError::SecondSeal),
        }
        Ok(())
    }

    pub(super) fn last(&self) -> Base {
        self.last
    }

    pub(super) fn snapshot(&self) -> Option<Base> {
        self.snapshot
    }

    pub(super) fn into_recovered(self) -> Recovered {
        self.recovered
    }

    fn batch(&mut self, batch: &Arc<Batch>) -> Result<(), ChainError> {
        let header = &batch.header;
        let slot = header.slot;
        // A batch replaces the log from its slot on (R2).
        while slot <= self.last.slot {
            let error = ChainError::Slot { last: self.last.slot.0, found: slot.0 };
            self.last = self.before.pop_back().ok_or(error)?;
        }
        if slot != self.last.slot.next() {
            return Err(ChainError::Slot { last: self.last.slot.0, found: slot.0 });
        }
        if header.previous_hash != self.last.hash {
            return Err(ChainError::Hash { slot: slot.0 });
        }
        let base = Base::of(header);
        self.check_against_snapshot(&base)?;
        if self.before.len() == REPLACEABLE_MAX {
            self.before.pop_front();
        }
        self.before.push_back(self.last);
        self.last = base;
        if self.recovered.base.slot < slot {
            self.keep(batch);
        }
        Ok(())
    }

    fn keep(&mut self, batch: &Arc<Batch>) {
        let batches: &mut Vec<Arc<Batch>> = &mut self.recovered.batches;
        while batches.last().is_some_and(|last| batch.header.slot <= last.header.slot) {
            batches.pop();
        }
        batches.push(batch.clone());
    }

    fn check_against_snapshot(&self, end: &Base) -> Result<(), ChainError> {
        let snapshot = &self.recovered.base;
        let is_same = end.slot != snapshot.slot || end.hash == snapshot.hash;
        if is_same { Ok(()) } else { Err(ChainError::OtherSnapshot { slot: end.slot.0 }) }
    }
}
