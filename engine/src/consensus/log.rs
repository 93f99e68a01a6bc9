//! This replica's own log, without most of its bytes: where it ends, what of it is durable, and
//! what of it is committed. Every append goes through here, so this is where the log's invariants
//! are checked.

use alloc::{sync::Arc, vec::Vec};

use super::{Bounds, config::Config, message::LogEnd, window::Window};
use crate::{
    batch::{Base, Batch, BatchKind},
    ids::{Epoch, LogPos, Slot, Zxid},
    mutant::{Mutant, is_broken},
};

/// The log.
///
/// Invariant: start of the window <= `taken` <= `commit` <= end of the window (I7).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Log {
    /// What is in memory: everything after `taken`, and some before.
    window: Window,
    /// Every slot up to it is decided. Never goes back (I7).
    commit: Slot,
    /// Every slot up to it came out of [`Self::pop_committed`].
    taken: Slot,
    /// The last record that was handed out for the disk.
    appended: LogPos,
    /// The last record that is on the disk, and all before it.
    durable: LogPos,
    /// The record of the last snapshot that was taken from another replica.
    installed_at: LogPos,
    /// The configuration that is decided.
    config: Arc<Config>,
    /// Configurations behind the commit slot, and where they stand.
    undecided: Vec<(Slot, Arc<Config>)>,
}

impl Log {
    /// The log that recovery found: decided up to `base`, where `config` is in force, and with the
    /// records up to `appended`, all durable.
    pub(super) fn new(base: Base, config: Arc<Config>, appended: LogPos) -> Self {
        let (commit, window) = (base.slot, Window::new(base));
        Self {
            window,
            commit,
            taken: commit,
            appended,
            durable: appended,
            installed_at: LogPos(0),
            config,
            undecided: Vec::new(),
        }
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

    /// Cuts off `first` and everything after it, to make room for another batch: nothing is cut
    /// without an append that says so on the disk. What is decided stays (R2).
    pub(super) fn truncate(&mut self, first: Slot) {
        assert!(self.commit < first, "R2: cuts {first:?}, decided up to {:?}", self.commit);
        self.window.truncate(first);
        self.undecided.retain(|(slot, _)| *slot < first);
    }

    fn extend(&mut self, pos: LogPos, batch: Arc<Batch>) {
        assert_continues(self.window.end(), &batch);
        if batch.header.kind == BatchKind::Config {
            let config = Config::decode(&batch.payload).expect("what a leader has encoded");
            self.undecided.push((batch.header.slot, Arc::new(config)));
        }
        self.window.push(pos, batch);
    }

    /// Goes on behind a snapshot of another replica, which holds more than is known to be decided
    /// here. What stands behind it stays if it follows the same batch; the batches in it do not
    /// come out of [`Self::pop_committed`]. Returns the position of the record that says so.
    pub(super) fn install(&mut self, base: Base, config: Arc<Config>) -> LogPos {
        assert!(self.commit < base.slot, "R6: {:?} is known up to {:?}", base.slot, self.commit);
        let own = self.window.base_at(base.slot);
        if own.is_some_and(|own| own.origin == base.origin) {
            assert!(own == Some(base), "I5: two logs up to {:?}", base.slot);
            self.commit_up_to(base.slot);
            while self.window.start().slot < base.slot {
                self.window.pop();
            }
        } else {
            self.window = Window::new(base);
            self.undecided.clear();
            self.commit = base.slot;
        }
        self.taken = base.slot;
        self.config = config;
        self.installed_at = self.append_other();
        self.installed_at
    }

    /// The configurations in force at the end of this log, and from which slot on: the last one,
    /// and the one before it unless the last is known to be decided. More there are not: a leader
    /// proposes one only when the one before is decided, so in every log that has two, the first
    /// is.
    pub(super) fn configs(&self) -> impl Iterator<Item = (Slot, &Arc<Config>)> {
        let decided = core::iter::once((Slot(0), &self.config));
        let undecided = self.undecided.iter().map(|(slot, config)| (*slot, config));
        decided.chain(undecided).skip(self.undecided.len().saturating_sub(1))
    }

    /// The last configuration of the log.
    pub(super) fn last_config(&self) -> &Arc<Config> {
        self.undecided.last().map_or(&self.config, |(_, config)| config)
    }

    /// The configuration that is decided.
    pub(super) fn decided_config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Whether the last configuration is decided: another one may be proposed.
    pub(super) fn is_config_decided(&self) -> bool {
        self.undecided.is_empty()
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
        let end = self.end().slot;
        assert!(commit <= end, "I7: commit {commit:?} of {end:?}");
        self.commit = commit;
        let count = self.undecided.iter().take_while(|(slot, _)| *slot <= commit).count();
        if let Some((_, config)) = self.undecided.drain(..count).next_back() {
            self.config = config;
        }
    }

    /// The oldest decided batch that was not taken yet.
    pub(super) fn pop_committed(&mut self) -> Option<Arc<Batch>> {
        if self.taken == self.commit {
            return None;
        }
        self.taken = self.taken.next();
        self.window.after(Slot(self.taken.0 - 1)).next().cloned()
    }

    /// Forgets what was taken, except for what `bounds` keep. What is not durable stays: the
    /// window is how this log knows what is.
    pub(super) fn trim(&mut self, bounds: &Bounds) {
        let kept = |log: &Self| {
            let is_taken = |batch: &&Arc<Batch>| batch.header.slot <= log.taken;
            let kept = log.window.after(log.window.start().slot).take_while(is_taken);
            kept.fold((0, 0), |(count, bytes), batch| (count + 1, bytes + batch.payload.len()))
        };
        let (mut count, mut bytes) = kept(self);
        while count > bounds.kept_slots_max || bytes > bounds.kept_bytes_max {
            let slot = self.window.start().slot;
            let oldest = self.window.after(slot).next().expect("it was counted");
            if self.durable_slot() == slot {
                return;
            }
            (count, bytes) = (count - 1, bytes - oldest.payload.len());
            self.window.pop();
        }
    }

    /// The highest slot up to which everything is durable here: this replica's vote for a commit,
    /// and not a slot more (I6).
    pub(super) fn durable_slot(&self) -> Slot {
        if is_broken(Mutant::StoredAtAppend) {
            return self.end().slot;
        }
        self.window.durable_slot(self.durable)
    }

    /// How many batches are not durable.
    pub(super) fn in_flight_count(&self) -> usize {
        self.window.in_flight_count(self.durable)
    }

    /// How many batches are not known to be decided.
    pub(super) fn open_count(&self) -> usize {
        usize::try_from(self.end().slot.0 - self.commit.0).expect("the window is small")
    }

    /// How many payload bytes they have.
    pub(super) fn open_bytes(&self) -> usize {
        self.window.after(self.commit).map(|batch| batch.payload.len()).sum()
    }

    /// Whether this log is another one's up to `end`, whose log has everything that is decided.
    pub(super) fn matches(&self, end: LogEnd) -> bool {
        match self.window.base_at(end.slot) {
            Some(base) => base.origin == end.origin,
            // What is decided is the same everywhere.
            None => end.slot <= self.commit,
        }
    }

    /// The log up to `slot`, if that is known in memory.
    pub(super) fn base_at(&self, slot: Slot) -> Option<Base> {
        self.window.base_at(slot)
    }

    /// The batches after `slot`. It must not be before [`Self::start`].
    pub(super) fn after(&self, slot: Slot) -> impl Iterator<Item = &Arc<Batch>> {
        self.window.after(slot)
    }

    /// Everything after this slot is in memory.
    pub(super) fn start(&self) -> Slot {
        self.window.start().slot
    }

    pub(super) fn end(&self) -> &Base {
        self.window.end()
    }

    pub(super) fn commit(&self) -> Slot {
        self.commit
    }

    pub(super) fn durable(&self) -> LogPos {
        self.durable
    }

    /// Whether the disk knows where the log begins.
    pub(super) fn is_begin_durable(&self) -> bool {
        self.installed_at <= self.durable
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
        BatchKind::Commands | BatchKind::Config => {
            assert!(header.epoch == end.epoch, "I9: {:?} in {:?}", header.epoch, end.epoch);
            let next = end.last_zxid.plus(1);
            assert!(header.first_zxid == next, "I9: {} is not {next}", header.first_zxid);
            let takes_zxids = header.zxid_count > 0;
            assert!(!takes_zxids || header.kind == BatchKind::Commands, "I9: no command, no zxid");
        }
    }
}
