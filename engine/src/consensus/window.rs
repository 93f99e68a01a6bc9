//! The part of the log that consensus keeps in memory: what is not known to be committed, bounded
//! by R5, so that a promise that reports it is bounded too; and a little before it, for followers
//! that are a little behind.

use alloc::{collections::VecDeque, sync::Arc};

use crate::{
    batch::{Base, Batch},
    ids::{LogPos, Slot},
};

/// An accepted batch.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Entry {
    /// Where this replica's own log has it.
    pos: LogPos,
    batch: Arc<Batch>,
}

/// Accepted batches.
///
/// Invariant: slots are successive and begin after `start`; positions grow.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Window {
    /// The log before the first entry.
    start: Base,
    entries: VecDeque<Entry>,
    /// The log up to the last entry.
    end: Base,
}

impl Window {
    /// Nothing behind `start`.
    pub(super) fn new(start: Base) -> Self {
        Self { start, entries: VecDeque::new(), end: start }
    }

    /// Adds a batch, whose record is this replica's append number `pos`.
    pub(super) fn push(&mut self, pos: LogPos, batch: Arc<Batch>) {
        if let Some(last) = self.entries.back() {
            assert!(last.pos <= pos, "positions grow: {:?} then {pos:?}", last.pos);
        }
        let (last, slot) = (self.end.slot, batch.header.slot);
        assert!(last.next() == slot, "no gap: {last:?} then {slot:?}");
        self.end = Base::of(&batch.header);
        self.entries.push_back(Entry { pos, batch });
    }

    /// Cuts off `first` and everything after it.
    pub(super) fn truncate(&mut self, first: Slot) {
        assert!(self.start.slot < first && first <= self.end.slot, "cuts what is here: {first:?}");
        self.entries.truncate(self.index_after(first) - 1);
        let last = self.entries.back();
        self.end = last.map_or(self.start, |entry| Base::of(&entry.batch.header));
    }

    /// Forgets the oldest batch.
    pub(super) fn pop(&mut self) {
        let entry = self.entries.pop_front().expect("a batch is here");
        self.start = Base::of(&entry.batch.header);
    }

    /// The batches after `slot`, which is not before the start.
    pub(super) fn after(&self, slot: Slot) -> impl Iterator<Item = &Arc<Batch>> {
        self.entries.range(self.index_after(slot)..).map(|entry| &entry.batch)
    }

    /// The log up to `slot`, if that is known here.
    pub(super) fn base_at(&self, slot: Slot) -> Option<Base> {
        if slot == self.start.slot {
            return Some(self.start);
        }
        let is_here = self.start.slot < slot && slot <= self.end.slot;
        is_here.then(|| Base::of(&self.entries[self.index_after(slot) - 1].batch.header))
    }

    /// The highest slot whose record is durable, as are all before it.
    pub(super) fn durable_slot(&self, durable: LogPos) -> Slot {
        let last = self.durable_count(durable).checked_sub(1);
        last.map_or(self.start.slot, |last| self.entries[last].batch.header.slot)
    }

    /// How many of its records are not durable.
    pub(super) fn in_flight_count(&self, durable: LogPos) -> usize {
        self.entries.len() - self.durable_count(durable)
    }

    /// The log before what is in memory.
    pub(super) fn start(&self) -> &Base {
        &self.start
    }

    /// The end of the log.
    pub(super) fn end(&self) -> &Base {
        &self.end
    }

    fn durable_count(&self, durable: LogPos) -> usize {
        self.entries.partition_point(|entry| entry.pos <= durable)
    }

    /// The index of the entry after `slot`.
    fn index_after(&self, slot: Slot) -> usize {
        assert!(self.start.slot <= slot, "{slot:?} is before {:?}", self.start.slot);
        usize::try_from(slot.0 - self.start.slot.0).expect("the window is small")
    }
}
