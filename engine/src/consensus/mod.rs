//! Batched Multi-Paxos as a state machine without I/O.
//!
//! One log of batches. A replica with a *ballot* that a quorum has promised leads: it proposes
//! batches at successive slots, and a slot is decided once a quorum has its batch on disk under the
//! leader's ballot. (Paxos Made Simple, 2.2 and 3; a leader adopts the whole log of the freshest
//! promise, as in Zab and Raft, so that the order of one client's commands survives a change of
//! leader.) Leader, follower and candidate are what the papers call proposer, acceptor and a
//! proposer in phase 1.
//!
//! Rules are numbered R and invariants I, as in the protocol's description. What is here is what
//! a voter does that needs nobody else: it claims a ballot ([`candidate`]), leads ([`leader`]),
//! counts durable votes ([`quorum`]) and decides. A batch is opaque: bytes and a header.
//!
//! Reading order: [`config`], [`quorum`], `window`, `log`, [`candidate`], [`leader`],
//! [`read_index`].
#![deny(clippy::wildcard_enum_match_arm)]

mod ballot;
mod candidate;
pub mod config;
mod leader;
mod log;
pub mod quorum;
pub mod read_index;
#[cfg(test)]
mod tests;
mod window;

use alloc::{sync::Arc, vec::Vec};

use self::{
    candidate::Candidate,
    config::{Config, Voter},
    leader::Leader,
    log::Log,
    quorum::quorum_count,
    read_index::{ReadId, ReadIndex, ReadQueue},
};
use crate::{
    batch::{self, Base, Batch, BatchHeader, BatchKind},
    ids::{Ballot, Epoch, LogPos, Slot, WallTime, Zxid},
    limits::{BATCH_BYTES_MAX, WINDOW_BYTES_MAX, WINDOW_SLOTS_MAX},
};

/// From this counter on, the next batch starts a new epoch. Every command takes at least one byte
/// of a batch, so no batch that starts below can reach the end of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "checked in the block below")]
const COUNTER_MAX: u32 = u32::MAX - BATCH_BYTES_MAX as u32;

const _: () = assert!(BATCH_BYTES_MAX < u32::MAX as usize, "an epoch has room for a batch");

/// What a replica remembered across its restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remembered {
    /// The highest ballot that it promised, by a promise or by accepting.
    pub promised: Ballot,
    /// Its last append.
    pub appended: LogPos,
    /// The end of a part of its log that is known to be decided.
    pub base: Base,
    /// The rest of its log.
    pub batches: Vec<Arc<Batch>>,
    /// The highest slot that it remembers as decided. It may have forgotten later ones.
    pub commit: Slot,
}

/// Something that must be durable before it counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// A promise to ignore lower ballots.
    Promise(Ballot),
    /// A batch, accepted under a ballot.
    Batch(Ballot, Arc<Batch>),
}

/// What commands a leader proposes as one batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The commands.
    pub payload: Arc<[u8]>,
    /// How many.
    pub command_count: u32,
    /// How many of them take a zxid.
    pub zxid_count: u32,
}

/// What a replica is doing under the ballot that it knows.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Role {
    /// It neither leads nor tries to.
    Idle,
    Candidate(Candidate),
    Leader(Leader),
}

/// One replica's part in the protocol.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Consensus {
    own: Voter,
    config: Config,
    /// The highest ballot that was promised. Never goes down (I3).
    promised: Ballot,
    log: Log,
    role: Role,
    reads: ReadQueue,
}

impl Consensus {
    /// The replica `own` of the cluster `config`, as it was before its restart.
    #[must_use]
    pub fn recover(own: Voter, config: Config, remembered: Remembered) -> Self {
        let mut log = Log::new(remembered.base, remembered.appended);
        for batch in remembered.batches {
            let origin = batch.header.origin;
            assert!(origin <= remembered.promised, "I3: {origin:?} accepted above the promise");
            log.restore(batch);
        }
        // A commit is written down only after it was one, and what was decided once stays so.
        let commit = remembered.commit.min(log.end().slot);
        log.commit_up_to(commit.max(log.commit()));
        let promised = remembered.promised;
        Self { own, config, promised, log, role: Role::Idle, reads: ReadQueue::default() }
    }

    /// Claims a ballot if nobody else is needed for it. (With other voters, timers and their
    /// answers decide when.) Returns what must be durable first.
    #[must_use]
    pub fn campaign(&mut self) -> Option<(LogPos, Record)> {
        let can_win_alone =
            self.config.has_vote(self.own) && quorum_count(self.config.voters().len()) == 1;
        if self.role != Role::Idle || !can_win_alone {
            return None;
        }
        let ballot = self.promised.next(self.own.id);
        self.promise(ballot);
        let pos = self.log.append_other();
        self.role = Role::Candidate(Candidate::new(ballot, pos));
        tracing::debug!(?ballot, "campaigning");
        Some((pos, Record::Promise(ballot)))
    }

    /// The disk holds every append up to `durable`: counts what waited for it.
    pub fn record_durable(&mut self, durable: LogPos) {
        self.log.record_durable(durable);
        match &mut self.role {
            Role::Idle => {}
            Role::Candidate(candidate) => candidate.record_durable(durable),
            Role::Leader(leader) => leader.record_stored(self.own.id, self.log.durable_slot()),
        }
    }

    /// Starts to lead if a quorum has promised. Returns the first batch of the ballot: a new epoch,
    /// behind everything that the log has, which is decided together with it (R3).
    #[must_use]
    pub fn lead(&mut self, wall: WallTime) -> Option<(LogPos, Record)> {
        let Role::Candidate(candidate) = &self.role else { return None };
        if !candidate.has_quorum(&self.config) {
            return None;
        }
        let ballot = candidate.ballot();
        assert!(ballot == self.promised, "leads only what it promised last");
        let mut leader = Leader::new(ballot, self.log.end().slot.next(), &self.config);
        leader.record_stored(self.own.id, self.log.durable_slot());
        self.role = Role::Leader(leader);
        let epoch = Epoch(self.log.end().epoch.0 + 1);
        tracing::info!(round = ballot.round, epoch = epoch.0, "leading");
        Some(self.start_epoch(ballot, wall))
    }

    /// Whether [`Self::propose`] may be called: this replica leads, its window has room (R5), and
    /// fewer than `appends_in_flight_max` of its batches are on their way to the disk.
    #[must_use]
    pub fn may_propose(&self, appends_in_flight_max: usize) -> bool {
        let window = self.log.window();
        matches!(self.role, Role::Leader(_))
            && self.log.in_flight_count() < appends_in_flight_max
            && window.len() < WINDOW_SLOTS_MAX
            && window.bytes() < WINDOW_BYTES_MAX
    }

    /// Whether the epoch's counter has come so far that a new epoch must be started before the next
    /// batch of commands.
    #[must_use]
    pub fn needs_new_epoch(&self) -> bool {
        self.log.end().last_zxid.counter() >= COUNTER_MAX
    }

    /// Starts a new epoch without an election, because the counter of this one is used up.
    ///
    /// # Panics
    ///
    /// Unless it leads.
    #[must_use]
    pub fn renew_epoch(&mut self, wall: WallTime) -> (LogPos, Record) {
        let ballot = self.leader_ballot().expect("only a leader proposes");
        self.start_epoch(ballot, wall)
    }

    /// Puts a batch of commands at the end of the log.
    ///
    /// # Panics
    ///
    /// Unless it leads and the window has room.
    #[must_use]
    pub fn propose(&mut self, proposal: Proposal, wall: WallTime) -> (LogPos, Record) {
        let ballot = self.leader_ballot().expect("only a leader proposes");
        assert!(proposal.command_count > 0, "a batch has a command");
        assert!(self.log.window().len() < WINDOW_SLOTS_MAX, "I8: the window is full");
        let end = self.log.end();
        let place = Place { kind: BatchKind::Commands, epoch: end.epoch, last: end.last_zxid };
        self.append(ballot, &place, proposal, wall)
    }

    /// Decides what a quorum has durably, and appends it to `committed` in slot order.
    pub fn commit(&mut self, committed: &mut Vec<Arc<Batch>>) {
        match &self.role {
            Role::Idle | Role::Candidate(_) => {}
            Role::Leader(leader) => {
                if let Some(slot) = leader.committable() {
                    self.log.commit_up_to(slot);
                }
            }
        }
        committed.extend(core::iter::from_fn(|| self.log.pop_committed()));
    }

    /// Asks for a read index.
    pub fn ask_read_index(&mut self, id: ReadId) {
        self.reads.ask(id);
    }

    /// Answers questions for a read index. Only a leader that has decided a batch of its ballot
    /// knows every slot that was decided before (R9); and it must know that it still leads: a
    /// quorum that consists of itself cannot have promised another ballot.
    #[must_use]
    pub fn read_index(&mut self) -> Option<ReadIndex> {
        let Role::Leader(leader) = &self.role else { return None };
        let leads_for_sure = quorum_count(self.config.voters().len()) == 1;
        if !leads_for_sure || self.log.commit() < leader.first() {
            return None;
        }
        self.reads.answer(self.log.commit())
    }

    /// The ballot under which it leads.
    #[must_use]
    pub fn leader_ballot(&self) -> Option<Ballot> {
        match &self.role {
            Role::Idle | Role::Candidate(_) => None,
            Role::Leader(leader) => Some(leader.ballot()),
        }
    }

    /// Whether it leads and has decided a batch under its ballot: it knows everything decided.
    #[must_use]
    pub fn is_established(&self) -> bool {
        match &self.role {
            Role::Idle | Role::Candidate(_) => false,
            Role::Leader(leader) => leader.first() <= self.log.commit(),
        }
    }

    /// Every slot up to this one is decided.
    #[must_use]
    pub fn commit_slot(&self) -> Slot {
        self.log.commit()
    }

    /// The end of its log, decided or not.
    #[must_use]
    pub fn log_end(&self) -> &Base {
        self.log.end()
    }

    /// Everything that it appended up to here is on its disk.
    #[must_use]
    pub fn durable(&self) -> LogPos {
        self.log.durable()
    }

    /// A position for an append that says nothing about the log's content.
    #[must_use]
    pub fn append_other(&mut self) -> LogPos {
        self.log.append_other()
    }

    fn start_epoch(&mut self, ballot: Ballot, wall: WallTime) -> (LogPos, Record) {
        let epoch = Epoch(self.log.end().epoch.0 + 1);
        let place = Place { kind: BatchKind::NewEpoch, epoch, last: Zxid::new(epoch, 0) };
        let nothing = Proposal { payload: Arc::from([]), command_count: 0, zxid_count: 0 };
        self.append(ballot, &place, nothing, wall)
    }

    fn append(
        &mut self,
        ballot: Ballot,
        place: &Place,
        proposal: Proposal,
        wall: WallTime,
    ) -> (LogPos, Record) {
        assert!(ballot == self.promised, "I3, I4: proposes under what it promised last");
        let end = self.log.end();
        let mut header = BatchHeader {
            slot: end.slot.next(),
            origin: ballot,
            kind: place.kind,
            epoch: place.epoch,
            first_zxid: place.last.plus(1),
            zxid_count: proposal.zxid_count,
            command_count: proposal.command_count,
            // The clock may have been set back; time as clients see it does not go back (I10).
            time: wall.max(end.time),
            previous_hash: end.hash,
            hash: 0,
        };
        header.hash = batch::hash(&header, &proposal.payload);
        let batch = Arc::new(Batch { header, payload: proposal.payload });
        let pos = self.log.append(batch.clone());
        (pos, Record::Batch(ballot, batch))
    }

    fn promise(&mut self, ballot: Ballot) {
        assert!(self.promised < ballot, "I3: {ballot:?} after {:?}", self.promised);
        self.promised = ballot;
    }
}

/// Where a batch stands in the order of zxids.
struct Place {
    kind: BatchKind,
    epoch: Epoch,
    /// The last zxid before it.
    last: Zxid,
}
