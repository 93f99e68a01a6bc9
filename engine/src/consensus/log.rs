//! This replica's own log, without its bytes: where it ends, what of it is durable, and what of it
//! is committed. Every append goes through here, so this is where the log's invariants are checked.

use alloc::sync::Arc;

use super::window::Window;
use crate::{
    batch::{Base, Batch, BatchKind},
    ids::{Epoch, LogPos, Slot, Zxid},
};

/// The log.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Log {
    /// The last batch.
    end: Base,
    /// Every slot up to it is decided. Never goes back (I7).
    commit: Slot,
    /// Everything after `commit`.
    window: Window,
    /// The last record that was handed out for the disk.
    appended: LogPos,
    /// The last record that is on the disk, and all before it.
    durable: LogPos,
}

impl Log {
    /// The log that recovery found: decided up to `base`, and with the records up to `appended`,
    /// all durable.
    pub(super) fn new(base: Base, appended: LogPos) -> Self {
        let window = Window::default();
        Self { end: base, commit: base.slot, window, appended, durable: appended }
    }

    /// Puts a batch that recovery found at the end.
    pub(super) fn restore(&mut self, batch: Arc<Batch>) {
        self.extend(self.appended, batch);
    }

    /// Puts a batch at the end. Its record is the append whose position is returned.
    pub(super) fn append(&mut self, batch: Arc<Batch>) -> LogPos {
        let pos = self.append_other();
        self.extend(pos, batch);
        pos
    }

    /// The position of an append that holds no batch.
    pub(super) fn append_other(&mut self) -> LogPos {
        self.appended = self.appended.next();
        self.appended
    }

    fn extend(&mut self, pos: LogPos, batch: Arc<Batch>) {
        assert_continues(&self.end, &batch);
        self.end = Base::of(&batch.header);
        self.window.push(pos, batch);
    }

    /// Notes that the disk holds every record up to `durable`.
    pub(super) fn record_durable(&mut self, durable: LogPos) {
        assert!(self.durable <= durable, "durable stays so: {:?} then {durable:?}", self.durable);
        assert!(durable <= self.appended, "{durable:?} of {:?} appended", self.appended);
        self.durable = durable;
    }

    /// Decides every slot up to `commit`. What was decided comes out of [`Self::pop_committed`].
    pub(super) fn commit_up_to(&mut self, commit: Slot) {
        assert!(self.commit <= commit, "I7: commit {:?} then {commit:?}", self.commit);
        assert!(commit <= self.end.slot, "I7: commit {commit:?} of {:?}", self.end.slot);
        self.commit = commit;
    }

    /// The oldest decided batch that was not taken yet.
    pub(super) fn pop_committed(&mut self) -> Option<Arc<Batch>> {
        self.window.pop_committed(self.commit)
    }

    /// The highest slot up to which everything is durable here: this replica's vote for a commit,
    /// and not a slot more (I6).
    pub(super) fn durable_slot(&self) -> Slot {
        self.window.durable_slot(self.durable).unwrap_or(self.commit)
    }

    /// How many batches are not durable.
    pub(super) fn in_flight_count(&self) -> usize {
        self.window.in_flight_count(self.durable)
    }

    pub(super) fn end(&self) -> &Base {
        &self.end
    }

    pub(super) fn commit(&self) -> Slot {
        self.commit
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    pub(super) fn durable(&self) -> LogPos {
        self.durable
    }
}

/// Stops unless `batch` is what may come after `end` (I5, I9, I10).
fn assert_continues(end: &Base, batch: &Batch) {
    let header = &batch.header;
    assert!(header.slot == end.slot.next(), "{:?} after {:?}", header.slot, end.slot);
    assert!(header.previous_hash == end.hash, "I5: slot {:?} continues another log", header.slot);
    assert!(header.origin >= end.origin, "ballot {:?} after {:?}", header.origin, end.origin);
    assert!(header.time >= end.time, "I10: {:?} after {:?}", header.time, end.time);
    match header.kind {
        BatchKind::NewEpoch => {
            let epoch = Epoch(end.epoch.0 + 1);
            assert!(header.epoch == epoch, "I9: {:?} after {:?}", header.epoch, end.epoch);
            assert!(header.first_zxid == Zxid::new(epoch, 1), "I9: an epoch starts at 1");
            assert!(header.zxid_count == 0, "I9: a new epoch takes no zxid");
        }
        BatchKind::Commands => {
            assert!(header.epoch == end.epoch, "I9: {:?} in {:?}", header.epoch, end.epoch);
            let next = end.last_zxid.plus(1);
            assert!(header.first_zxid == next, "I9: {} is not {next}", header.first_zxid);
        }
    }
}
