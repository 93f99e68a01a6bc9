//! What was accepted and is not known to be committed: the only part of the log that consensus
//! keeps in memory. Bounded by R5, so a promise that reports it is bounded too.

use alloc::{collections::VecDeque, sync::Arc};

use crate::{
    batch::Batch,
    ids::{LogPos, Slot},
};

/// An accepted batch.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Entry {
    /// Where this replica's own log has it.
    pos: LogPos,
    batch: Arc<Batch>,
}

/// The accepted batches after the commit slot.
///
/// Invariant: slots are successive, positions grow.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// Payload bytes in `entries`.
    bytes: usize,
}

impl Window {
    /// Adds a batch, whose record is this replica's append number `pos`.
    pub(super) fn push(&mut self, pos: LogPos, batch: Arc<Batch>) {
        if let Some(last) = self.entries.back() {
            assert!(last.pos <= pos, "positions grow: {:?} then {pos:?}", last.pos);
            let (last, slot) = (last.batch.header.slot, batch.header.slot);
            assert!(last.next() == slot, "no gap: {last:?} then {slot:?}");
        }
        self.bytes += batch.payload.len();
        self.entries.push_back(Entry { pos, batch });
    }

    /// Takes the oldest batch out if its slot is not after `commit`.
    pub(super) fn pop_committed(&mut self, commit: Slot) -> Option<Arc<Batch>> {
        let entry = self.entries.pop_front_if(|entry| entry.batch.header.slot <= commit)?;
        self.bytes -= entry.batch.payload.len();
        Some(entry.batch)
    }

    /// The highest slot whose record is durable; `None` if none of these is.
    pub(super) fn durable_slot(&self, durable: LogPos) -> Option<Slot> {
        let durable_count = self.entries.partition_point(|entry| entry.pos <= durable);
        let last = self.entries.get(durable_count.checked_sub(1)?)?;
        Some(last.batch.header.slot)
    }

    /// How many of its records are not durable.
    pub(super) fn in_flight_count(&self, durable: LogPos) -> usize {
        self.entries.len() - self.entries.partition_point(|entry| entry.pos <= durable)
    }

    /// How many batches it holds.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many payload bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
