//! What must hold after every step, whoever asks. The numbers are those of the protocol.
//!
//! Everything here is learned from what replicas hand to their drivers and from what their disks
//! have made durable, never from what replicas believe.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use crate::{
    batch::{Base, Batch, BatchKind},
    consensus::{
        config::{Config, Voter},
        message::Message,
    },
    ids::{Ballot, Epoch, Instant, LogPos, Slot},
    replica::{ReplicaStatus, message::PeerMessage},
    state::State,
    storage::{Append, AppendKind, recovery::Recovered},
};

/// What one data directory has on its disk.
#[derive(Clone, Debug, Default)]
struct OnDisk {
    /// Handed to the log and not durable yet.
    pending: VecDeque<Append>,
    /// The last append that is durable.
    durable: LogPos,
    /// The highest promise that is durable.
    promised: Ballot,
    /// The last slot that was handed to the log.
    end: Slot,
    /// The log: the end of it at each slot, as far back as anybody may ask.
    log: BTreeMap<Slot, Base>,
}

impl OnDisk {
    fn apply(&mut self, append: &Append) {
        self.durable = append.pos;
        match &append.kind {
            AppendKind::Batch { ballot, batch } => {
                self.promised = self.promised.max(*ballot);
                drop(self.log.split_off(&batch.header.slot));
                self.log.insert(batch.header.slot, Base::of(&batch.header));
            }
            AppendKind::Promise { ballot } => self.promised = self.promised.max(*ballot),
            AppendKind::Snapshot { .. } => {}
            AppendKind::Install { base } => {
                // What stood behind the same batch stays, anything else is gone.
                if self.log.get(&base.slot) != Some(base) {
                    self.log.clear();
                    self.log.insert(base.slot, *base);
                }
            }
        }
    }

    fn last(&self) -> Option<Base> {
        self.log.values().next_back().copied()
    }
}

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct Invariants {
    on_disk: BTreeMap<Voter, OnDisk>,
    /// Who leads under which ballot (I4).
    leaders: BTreeMap<Ballot, Voter>,
    /// What a slot and an origin stand for (I5).
    contents: BTreeMap<(Slot, Ballot), u128>,
    /// The decided log, from slot 1 on (I1).
    decided: Vec<Arc<Batch>>,
    /// When each of them was decided first.
    decided_at: Vec<Instant>,
    /// What the State is after a slot, as far as somebody said so (I11).
    digests: BTreeMap<Slot, (u64, usize, usize)>,
    /// The same of whole States as bytes.
    images: BTreeMap<Slot, u64>,
    /// The newest decided configuration, and its slot.
    config: Config,
    config_slot: Slot,
    /// The commit slot of each process that runs, and its end (I7).
    commits: BTreeMap<Voter, Slot>,
    /// Most slots that a log may have behind its commit slot (I8).
    window: u64,
}

impl Invariants {
    /// Nothing was seen yet; no log may have more than `window` undecided slots.
    #[must_use]
    pub fn new(window: u64) -> Self {
        Self { window, ..Self::default() }
    }

    /// The decided log, from slot 1 on.
    #[must_use]
    pub fn decided(&self) -> &[Arc<Batch>] {
        &self.decided
    }

    /// When each batch of the decided log was decided first.
    #[must_use]
    pub fn decided_at(&self) -> &[Instant] {
        &self.decided_at
    }

    /// Who votes, by the newest configuration that is decided.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether most voters are sure to remember that the newest configuration is decided: a batch
    /// is, that no leader proposes before it knows that. Until then the voters before are needed.
    #[must_use]
    pub fn is_settled(&self, window_slots: usize) -> bool {
        let slot = usize::try_from(self.config_slot.0).expect("64 bits");
        slot + window_slots + 1 < self.decided.len()
    }

    /// The epoch of the newest decided batch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.decided.last().map_or(Epoch(0), |batch| batch.header.epoch)
    }

    /// Whether what recovery found lacks what was durable.
    #[must_use]
    pub fn is_short(&self, who: Voter, recovered: &Recovered) -> bool {
        self.on_disk.get(&who).is_some_and(|disk| recovered.appended < disk.durable)
    }

    /// A process starts with what recovery found: everything that was durable, and possibly some of
    /// what was on its way, in order.
    pub fn recovered(&mut self, who: Voter, recovered: &Recovered) {
        let disk = self.on_disk.entry(who).or_default();
        let found = recovered.appended;
        assert!(disk.durable <= found, "{who:?} has {found:?} and had {:?} on disk", disk.durable);
        while let Some(append) = disk.pending.pop_front_if(|append| append.pos <= found) {
            disk.apply(&append);
        }
        assert!(disk.durable == found, "{who:?} recovers {found:?}, never appended");
        disk.pending.clear();
        assert!(
            disk.promised <= recovered.promised,
            "I3: {who:?} promised {:?} and remembers {:?}",
            disk.promised,
            recovered.promised
        );
        let last = recovered.last();
        if let Some(expected) = disk.last() {
            assert!(expected == last, "{who:?} had {expected:?} and recovers {last:?}");
        }
        disk.promised = recovered.promised;
        disk.end = last.slot;
        self.commits.insert(who, recovered.base.slot);
    }

    /// A replica hands something to its log. Returns whether that takes the place of batches.
    pub fn appended(&mut self, who: Voter, append: &Append) -> bool {
        let mut is_truncation = false;
        if let AppendKind::Batch { ballot, batch } = &append.kind {
            let header = &batch.header;
            assert!(header.origin <= *ballot, "I3: {:?} under {ballot:?}", header.origin);
            let content = self.contents.entry((header.slot, header.origin)).or_insert(header.hash);
            assert!(*content == header.hash, "I5: {:?} {:?}", header.slot, header.origin);
            let commit = self.commits.get(&who).copied().unwrap_or_default();
            assert!(commit < header.slot, "I7: {who:?} stores {:?} below {commit:?}", header.slot);
        }
        let disk = self.on_disk.entry(who).or_default();
        if let AppendKind::Batch { batch, .. } = &append.kind {
            is_truncation = batch.header.slot <= disk.end;
            disk.end = batch.header.slot;
        }
        disk.pending.push_back(append.clone());
        is_truncation
    }

    /// The disk has everything up to `durable`.
    pub fn durable(&mut self, who: Voter, durable: LogPos) {
        let disk = self.on_disk.entry(who).or_default();
        while let Some(append) = disk.pending.pop_front_if(|append| append.pos <= durable) {
            disk.apply(&append);
        }
    }

    /// A replica says that a batch is decided.
    pub fn committed(&mut self, now: Instant, who: Voter, batch: &Arc<Batch>) {
        let header = &batch.header;
        let index = usize::try_from(header.slot.0 - 1).expect("64 bits");
        match self.decided.get(index) {
            Some(known) => {
                let is_same = known.header == *header;
                assert!(is_same, "I1: {who:?} decides {header:?}, others {:?}", known.header);
            }
            None => {
                assert!(index == self.decided.len(), "{who:?} leaves out slots at {header:?}");
                self.check_order(batch);
                if header.kind == BatchKind::Config {
                    let config = Config::decode(&batch.payload);
                    self.config = config.expect("a configuration is one");
                    self.config_slot = header.slot;
                }
                self.decided.push(batch.clone());
                self.decided_at.push(now);
            }
        }
        let commit = self.commits.entry(who).or_default();
        assert!(commit.next() == header.slot, "I7: {who:?} commits {header:?} after {commit:?}");
        *commit = header.slot;
    }

    /// The next decided batch continues the log: zxids and epochs (I9), time (I10).
    fn check_order(&self, batch: &Batch) {
        let before = self.decided.last().map(|last| Base::of(&last.header)).unwrap_or_default();
        let header = &batch.header;
        assert!(before.hash == header.previous_hash, "I5: {header:?} after {before:?}");
        assert!(before.time <= header.time, "I10: {header:?} after {before:?}");
        match header.kind {
            BatchKind::NewEpoch => {
                assert!(before.epoch.0 + 1 == header.epoch.0, "I9: {header:?} after {before:?}");
                assert!(header.first_zxid.counter() == 1, "I9: {header:?}");
            }
            BatchKind::Commands | BatchKind::Config => {
                assert!(before.epoch == header.epoch, "I9: {header:?} after {before:?}");
                let is_next = before.last_zxid.0 + 1 == header.first_zxid.0;
                assert!(is_next, "I9: {header:?} after {before:?}");
            }
        }
    }

    /// A snapshot of another replica takes the place of State and log.
    pub fn installed(&mut self, who: Voter, base: &Base) {
        let index = usize::try_from(base.slot.0 - 1).expect("64 bits");
        let decided = self.decided.get(index).map(|batch| Base::of(&batch.header));
        assert!(decided == Some(*base), "I1: {who:?} installs {base:?}, decided is {decided:?}");
        let commit = self.commits.entry(who).or_default();
        assert!(*commit < base.slot, "I7: {who:?} installs {base:?} at {commit:?}");
        *commit = base.slot;
    }

    /// A replica says something to another one: what it says it has stored and promised is durable
    /// (I6).
    pub fn said(&self, who: Voter, message: &PeerMessage) {
        let PeerMessage::Consensus(message) = message else { return };
        let nothing = OnDisk::default();
        let disk = self.on_disk.get(&who).unwrap_or(&nothing);
        let claimed = match message {
            Message::Prepare { ballot, .. } | Message::Promise { ballot, .. } => Some(*ballot),
            Message::Accepted { ballot, stored } => {
                let last = disk.last().map_or(Slot(0), |last| last.slot);
                assert!(*stored <= last, "I6: {who:?} has stored {last:?} and says {message:?}");
                Some(*ballot)
            }
            _ => None,
        };
        if let Some(ballot) = claimed {
            let promised = disk.promised;
            assert!(ballot <= promised, "I6: {who:?} promised {promised:?}, says {message:?}");
        }
    }

    /// A server has applied everything up to its State's slot.
    pub fn applied(&mut self, who: Voter, state: &State) {
        let slot = state.applied().slot;
        let decided = u64::try_from(self.decided.len()).expect("64 bits");
        assert!(slot.0 <= decided, "I7: {who:?} applied {slot:?} of {decided}");
        let summary = (state.digest(), state.znode_count(), state.session_count());
        let known = self.digests.entry(slot).or_insert(summary);
        assert!(*known == summary, "I11: {who:?} has {summary:?} at {slot:?}, others {known:?}");
    }

    /// A State as bytes, which are a function of the State.
    pub fn image(&mut self, who: Voter, slot: Slot, bytes: &[u8]) {
        let hash = xxhash_rust::xxh3::xxh3_64(bytes);
        let known = self.images.entry(slot).or_insert(hash);
        assert!(*known == hash, "I11: {who:?} has another State at {slot:?} than others");
    }

    /// How a replica stands after a step.
    pub fn stands(&mut self, who: Voter, status: &ReplicaStatus) {
        let commit = self.commits.get(&who).copied().unwrap_or_default();
        let ReplicaStatus { end, leading, durable, .. } = status;
        assert!(commit == status.commit, "I7: {who:?} at {:?}, told {commit:?}", status.commit);
        assert!(status.commit <= end.slot, "I7: {who:?} {status:?}");
        let open = end.slot.0 - status.commit.0;
        assert!(open <= self.window, "I8: {who:?} has {open} undecided slots");
        if let Some(ballot) = leading {
            let leader = self.leaders.entry(*ballot).or_insert(who);
            assert!(*leader == who, "I4: {who:?} and {leader:?} lead under {ballot:?}");
        }
        let on_disk = self.on_disk.get(&who).map_or(LogPos(0), |disk| disk.durable);
        assert!(*durable <= on_disk, "I6: {who:?} counts {durable:?}, the disk has {on_disk:?}");
    }
}
