//! Batched Multi-Paxos as a state machine without I/O.
//!
//! One log of batches. A replica with a *ballot* that a quorum has promised leads: it proposes
//! batches at successive slots, and a slot is decided once a quorum has its batch on disk under the
//! leader's ballot. (Paxos Made Simple, 2.2 and 3; a leader adopts the whole log of the freshest
//! promise, as in Zab and Raft, so that the order of one client's commands survives a change of
//! leader.) Leader, follower and candidate are what the papers call proposer, acceptor and a
//! proposer in phase 1.
//!
//! Rules are numbered R and invariants I, as in the protocol's description. A batch is opaque:
//! bytes and a header. Nothing in [`Ready`] has to be held back by the driver: what depends on the
//! disk stays inside until [`Consensus::record_durable`] covers it. One step of a driver:
//! `record_durable`, `receive` and `tick` as things have happened, `lead_and_decide`, any number of
//! `propose`, and `send` at the end.
//!
//! Reading order: [`config`], [`quorum`], [`message`], `window`, `log`, `candidate`, `follower`,
//! `leader`, `peer`, [`read_index`], `learner`, `timer`.
#![deny(clippy::wildcard_enum_match_arm)]

mod ballot;
mod candidate;
pub mod config;
mod follower;
mod leader;
mod learner;
mod log;
pub mod message;
mod peer;
pub mod quorum;
pub mod read_index;
#[cfg(test)]
mod tests;
mod timer;
mod window;

use alloc::{sync::Arc, vec::Vec};

pub use self::timer::Timing;

use self::{
    candidate::{Candidate, PreCandidate},
    config::{Config, Voter},
    follower::Follower,
    leader::Leader,
    learner::{Learner, Newcomer, Source},
    log::Log,
    message::{Message, Offer},
    read_index::{ReadId, ReadIndex, ReadQueue},
    timer::Timer,
};
use crate::{
    batch::{self, Base, Batch, BatchHeader, BatchKind},
    ids::{Ballot, Epoch, Instant, Life, LogPos, ReplicaId, Slot, WallTime, Zxid},
    limits::{
        BATCH_BYTES_MAX, BATCH_BYTES_TARGET, KEPT_BYTES_MAX, KEPT_SLOTS_MAX, WINDOW_BYTES_MAX,
        WINDOW_SLOTS_MAX,
    },
    mutant::{Mutant, is_broken},
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
    /// The configuration in force there; `None`: none was ever decided, and the settings say.
    pub config: Option<Config>,
    /// The rest of its log.
    pub batches: Vec<Arc<Batch>>,
    /// The highest slot that it remembers as decided. It may have forgotten later ones.
    pub commit: Slot,
}

/// Something that must be durable before it counts.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Record {
    /// A promise to ignore lower ballots.
    Promise(Ballot),
    /// A batch, accepted under a ballot.
    Batch(Ballot, Arc<Batch>),
    /// The log goes on behind a snapshot of another replica. What stood behind the same batch
    /// stays, anything else is gone.
    Install(Base),
}

/// Something for the disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Append {
    /// Which of this replica's appends it is.
    pub pos: LogPos,
    /// The commit slot as known from the appends before this one. Never a later one: a crash that
    /// keeps this record may lose the batch that a later commit slot is about.
    pub commit: Slot,
    /// What.
    pub record: Record,
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

impl From<&Config> for Proposal {
    fn from(config: &Config) -> Self {
        Self { payload: config.encode(), command_count: 0, zxid_count: 0 }
    }
}

/// How much of the log is in memory.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Bounds {
    /// Batches that a leader may have accepted and not committed (R5).
    pub window_slots_max: usize,
    /// Bytes that a leader may have accepted and not committed (R5).
    pub window_bytes_max: usize,
    /// Committed batches that are kept for followers that are a little behind.
    pub kept_slots_max: usize,
    /// Their bytes.
    pub kept_bytes_max: usize,
    /// Bytes of one message of batches; a batch that is larger travels alone.
    pub message_bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            window_slots_max: WINDOW_SLOTS_MAX,
            window_bytes_max: WINDOW_BYTES_MAX,
            kept_slots_max: KEPT_SLOTS_MAX,
            kept_bytes_max: KEPT_BYTES_MAX,
            message_bytes_max: BATCH_BYTES_TARGET,
        }
    }
}

/// What a replica must be told. Nothing of it changes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Settings {
    /// Which replica it is, and which data directory it has.
    pub own: Voter,
    /// Which of its lives this is.
    pub life: Life,
    /// The configuration of a log that has none: the only voter, or nobody yet.
    pub config: Config,
    /// Who forms the cluster, if it is not formed.
    pub founders: Vec<ReplicaId>,
    /// Whether most of the founders are enough to form it: an operator's word that the others have
    /// never been part of it.
    pub bootstrap: bool,
    /// How much of the log is in memory.
    pub bounds: Bounds,
    /// When elections are.
    pub timing: Timing,
    /// Whether followers tell each other what they have stored, and so learn what is decided half
    /// a round trip earlier (R11). For clusters of at most five.
    pub all_to_all: bool,
    /// The highest feature level that it knows how to apply.
    pub feature_level_max: u16,
}

impl Settings {
    /// The replica `own` of the cluster `config`, with the usual bounds.
    #[must_use]
    pub fn new(own: Voter, life: Life, config: Config) -> Self {
        let mut bounds = Bounds::default();
        if config.voters().len() == 1 {
            // Nobody follows.
            bounds.kept_slots_max = 0;
        }
        Self {
            own,
            life,
            config,
            founders: Vec::new(),
            bootstrap: false,
            bounds,
            timing: Timing::default(),
            all_to_all: false,
            feature_level_max: FEATURE_LEVEL,
        }
    }
}

/// The highest feature level that this version knows.
pub const FEATURE_LEVEL: u16 = 0;

/// What the driver has to carry out, in any order and without waiting.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ready {
    /// For the disk, in order.
    pub appends: Vec<Append>,
    /// For other replicas. May be lost, repeated and reordered.
    pub messages: Vec<(Voter, Message)>,
    /// Who lacks decided batches that are not in memory: the driver reads some where it has them
    /// and sends one [`Message::Fetched`], or [`Message::Offer`] if they are gone.
    pub fetches: Vec<Fetch>,
    /// A snapshot that this replica needs, and whose it is.
    pub offer: Option<(Voter, Offer)>,
    /// The snapshot up to here is in the place of the log before: what is committed comes after.
    pub installed: Option<Base>,
    /// Decided batches, in slot order without a gap.
    pub committed: Vec<Arc<Batch>>,
    /// Answers every question for a read index up to its id.
    pub read: Option<ReadIndex>,
}

/// Decided batches that somebody lacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fetch {
    /// Who.
    pub to: Voter,
    /// The first.
    pub first: Slot,
    /// The last that may be sent under `ballot`.
    pub last: Slot,
    /// For [`Message::Fetched`].
    pub ballot: Ballot,
}

impl Ready {
    fn send(&mut self, to: Voter, message: Message) {
        self.messages.push((to, message));
    }
}

/// What a replica is doing under the ballot that it knows.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Role {
    Follower(Follower),
    PreCandidate(PreCandidate),
    Candidate(Candidate),
    Leader(Leader),
}

/// One replica's part in the protocol.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Consensus {
    settings: Arc<Settings>,
    /// The highest ballot that was promised. Never goes down (I3).
    promised: Ballot,
    /// The record of that promise.
    promised_at: LogPos,
    /// The highest ballot that somebody else is known to have promised. A hint, for the next claim.
    heard_of: Ballot,
    log: Log,
    role: Role,
    reads: ReadQueue,
    timer: Timer,
    learners: Vec<Learner>,
    newcomers: Vec<Newcomer>,
    /// Founders that had no log when they were last heard.
    unformed: Vec<(Voter, Instant)>,
    source: Source,
}

impl Consensus {
    /// A replica as it was before its restart.
    #[must_use]
    pub fn recover(settings: Settings, remembered: Remembered) -> Self {
        let config = remembered.config.unwrap_or_else(|| settings.config.clone());
        let mut log = Log::new(remembered.base, Arc::new(config), remembered.appended);
        for batch in remembered.batches {
            let origin = batch.header.origin;
            assert!(origin <= remembered.promised, "I3: {origin:?} accepted above the promise");
            log.restore(batch);
        }
        // A commit is written down only after it was one, and what was decided once stays so.
        let commit = remembered.commit.min(log.end().slot);
        log.commit_up_to(commit.max(log.commit()));
        let forgets = is_broken(Mutant::PromiseForgotten);
        Self {
            settings: Arc::new(settings),
            promised: if forgets { log.end().origin } else { remembered.promised },
            promised_at: remembered.appended,
            heard_of: Ballot::default(),
            role: Role::Follower(Follower::new(log.commit())),
            log,
            reads: ReadQueue::default(),
            timer: Timer::default(),
            learners: Vec::new(),
            newcomers: Vec::new(),
            unformed: Vec::new(),
            source: Source::default(),
        }
    }

    /// The disk holds every append up to `durable`: what waited for it counts now.
    pub fn record_durable(&mut self, durable: LogPos) {
        self.log.record_durable(durable);
    }

    /// Takes a message of `from` to `to`. What was meant for another data directory is not for this
    /// one (R10), unless it asks whoever has the name for what is decided; and a ballot is claimed
    /// and led by its owner alone.
    pub fn receive(
        &mut self,
        now: Instant,
        (from, to): (Voter, Voter),
        message: Message,
        ready: &mut Ready,
    ) {
        let own = self.settings.own;
        let is_for_any = to.id == own.id
            && (to.incarnation.0 == 0 && matches!(message, Message::Fetch { .. })
                || is_broken(Mutant::StrangerVotes));
        let is_for_this = to == own || is_for_any;
        let is_claim_own = message.claims().is_none_or(|ballot| ballot.replica == from.id);
        if from.id != own.id && is_for_this && is_claim_own {
            self.take_message(now, (from, to), message, ready);
        }
    }

    /// One function looks at what a message is; those of the roles compute.
    fn take_message(
        &mut self,
        now: Instant,
        (from, to): (Voter, Voter),
        message: Message,
        ready: &mut Ready,
    ) {
        match message {
            Message::PreVote { ballot, commit } => {
                self.on_pre_vote(now, from, (ballot, commit), ready);
            }
            Message::PreVoteAnswer { ballot, is_granted, promised, commit } => {
                self.heard_of = self.heard_of.max(promised);
                self.fetch_up_to(from, commit, ready);
                self.on_pre_vote_answer(from, (ballot, is_granted), ready);
            }
            Message::Prepare { ballot, end, commit } => {
                self.on_prepare(from, ballot, (end, commit), ready);
            }
            Message::Promise { ballot, end, commit, tail } => {
                self.on_promise((from, ballot), (end, commit), tail, ready);
            }
            Message::Reject { promised, commit } => {
                self.heard_of = self.heard_of.max(promised);
                self.on_reject(from, (promised, commit), ready);
            }
            Message::Accept { ballot, previous, batches, commit } => {
                self.on_accept((now, from), (ballot, previous), batches, commit, ready);
            }
            Message::Commit { ballot, commit } => {
                self.on_commit(now, (from, ballot), commit, ready);
            }
            Message::Heartbeat { ballot, commit, round, has_quorum, must_fetch } => {
                let flags = (has_quorum, must_fetch);
                self.on_heartbeat((now, from), (ballot, round), commit, flags, ready);
            }
            Message::TakeOver { ballot } => self.on_take_over(ballot, ready),
            Message::Accepted { ballot, stored } => {
                self.on_answer(now, (from, ballot), |peer, _| peer.record_stored(stored));
                self.on_stored_by_other(from, ballot, stored);
            }
            Message::Mismatch { ballot, commit } => {
                self.on_answer(now, (from, ballot), |peer, _| peer.record_mismatch(commit));
            }
            Message::HeartbeatAck { ballot, round, commit, feature_level } => {
                self.on_answer(now, (from, ballot), |peer, log| {
                    peer.feature_level = Some(feature_level);
                    peer.record_heartbeat(round, commit, log);
                });
            }
            Message::Fetch { first } => self.on_fetch(now, (from, to), first, ready),
            Message::Fetched { ballot, batches, commit } => {
                self.on_fetched(from, ballot, batches, commit, ready);
            }
            Message::Offer(offer) => {
                self.source.heard(now);
                self.on_offer(from, offer, ready);
            }
            Message::Newcomer { commit } => self.on_newcomer(now, from, commit),
            Message::AskRead { life, id } => self.on_ask_read(from, life, id),
            Message::ReadAnswer { life, id, slot } => self.on_read_answer((life, id), slot, ready),
        }
    }

    /// Asks for promises, leads if a quorum has promised, and decides what a quorum has stored.
    /// Before new batches: their records carry the commit slot, and the window has room again.
    pub fn lead_and_decide(&mut self, now: Instant, wall: WallTime, ready: &mut Ready) {
        self.prepare(ready);
        self.lead(now, wall, ready);
        self.decide(now);
        self.take_committed(ready);
    }

    /// Ends a step: says whatever there is to say.
    pub fn send(&mut self, now: Instant, ready: &mut Ready) {
        self.take_committed(ready);
        self.replicate(now, ready);
        self.feed_learners(ready);
        self.answer(ready);
        self.answer_reads(now, ready);
        if is_broken(Mutant::CommitStampedLate) {
            let commit = self.log.commit();
            ready.appends.iter_mut().for_each(|append| append.commit = commit);
        }
    }

    /// Whether [`Self::propose`] may be called: this replica leads, its window has room (R5), and
    /// fewer than `appends_in_flight_max` of its batches are on their way to the disk.
    #[must_use]
    pub fn may_propose(&self, appends_in_flight_max: usize) -> bool {
        matches!(&self.role, Role::Leader(leader) if !leader.is_handing_over())
            && self.log.in_flight_count() < appends_in_flight_max
            && (self.log.open_count() < self.settings.bounds.window_slots_max
                || is_broken(Mutant::WindowUnbounded))
            && self.log.open_bytes() < self.settings.bounds.window_bytes_max
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
    pub fn renew_epoch(&mut self, wall: WallTime, ready: &mut Ready) {
        assert!(self.leader_ballot().is_some(), "only a leader proposes");
        self.start_epoch(wall, ready);
    }

    /// Puts a batch of commands at the end of the log.
    ///
    /// # Panics
    ///
    /// Unless it leads and the window has room.
    pub fn propose(&mut self, proposal: Proposal, wall: WallTime, ready: &mut Ready) {
        assert!(self.leader_ballot().is_some(), "only a leader proposes");
        assert!(proposal.command_count > 0, "a batch has a command");
        let has_room = self.log.open_count() < self.settings.bounds.window_slots_max;
        assert!(has_room || is_broken(Mutant::WindowUnbounded), "I8: the window is full");
        let end = self.log.end();
        let place = Place { kind: BatchKind::Commands, epoch: end.epoch, last: end.last_zxid };
        self.append(&place, proposal, wall, ready);
    }

    /// Asks for a read index.
    pub fn ask_read_index(&mut self, id: ReadId) {
        self.reads.ask(id);
    }

    /// The ballot under which it leads.
    #[must_use]
    pub fn leader_ballot(&self) -> Option<Ballot> {
        match &self.role {
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
            Role::Leader(leader) => Some(leader.ballot()),
        }
    }

    /// Whether it leads and has decided a batch under its ballot: it knows everything decided.
    #[must_use]
    pub fn is_established(&self) -> bool {
        match &self.role {
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => false,
            Role::Leader(leader) => leader.first() <= self.log.commit(),
        }
    }

    /// What it was told when it started.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The highest ballot that it has promised.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
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

    /// The configuration that is decided.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.log.decided_config()
    }

    /// Who leads, as far as this replica knows.
    #[must_use]
    pub fn leader(&self) -> Option<ReplicaId> {
        match &self.role {
            Role::Follower(follower) => follower.leader().map(|leader| leader.id),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
            Role::Leader(_) => Some(self.settings.own.id),
        }
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

    /// Whether the disk knows what was promised, and where the log begins: others may be told.
    fn is_promise_durable(&self) -> bool {
        self.promised_at <= self.log.durable() && self.log.is_begin_durable()
    }

    /// Whether this replica may vote: its data directory is the one that was admitted (R10).
    fn has_vote(&self) -> bool {
        let own = self.settings.own;
        let is_named = self.log.configs().any(|(_, config)| config.has_vote(own));
        is_named || is_broken(Mutant::StrangerVotes)
    }

    /// The others that vote, in any configuration that is in force, and can be reached.
    fn other_voters(&self) -> impl Iterator<Item = Voter> {
        let voters = self.log.configs().flat_map(|(_, config)| config.voters());
        let own = self.settings.own.id;
        let mut others: Vec<Voter> = voters.copied().filter(|voter| voter.id != own).collect();
        others.retain(|voter| voter.incarnation.0 != 0);
        others.sort();
        others.dedup();
        others.into_iter()
    }

    fn take_committed(&mut self, ready: &mut Ready) {
        ready.committed.extend(core::iter::from_fn(|| self.log.pop_committed()));
        self.log.trim(&self.settings.bounds);
    }

    fn start_epoch(&mut self, wall: WallTime, ready: &mut Ready) {
        let epoch = Epoch(self.log.end().epoch.0 + 1);
        let place = Place { kind: BatchKind::NewEpoch, epoch, last: Zxid::new(epoch, 0) };
        let nothing = Proposal { payload: Arc::from([]), command_count: 0, zxid_count: 0 };
        self.append(&place, nothing, wall, ready);
    }

    fn append(&mut self, place: &Place, proposal: Proposal, wall: WallTime, ready: &mut Ready) {
        let ballot = self.promised;
        assert!(self.leader_ballot() == Some(ballot), "I3, I4: leads what it promised last");
        let batch = self.make_batch(ballot, place, proposal, wall);
        self.append_batch(batch, ready);
    }

    /// The batch behind the log's end.
    fn make_batch(
        &self,
        origin: Ballot,
        place: &Place,
        proposal: Proposal,
        wall: WallTime,
    ) -> Arc<Batch> {
        let end = self.log.end();
        let mut header = BatchHeader {
            slot: end.slot.next(),
            origin,
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
        Arc::new(Batch { header, payload: proposal.payload })
    }

    /// Where a configuration stands behind the log's end.
    fn config_place(&self) -> Place {
        let end = self.log.end();
        Place { kind: BatchKind::Config, epoch: end.epoch, last: end.last_zxid }
    }

    fn append_config(
        &mut self,
        (now, wall): (Instant, WallTime),
        config: &Config,
        ready: &mut Ready,
    ) {
        self.append(&self.config_place(), config.into(), wall, ready);
        if let Role::Leader(leader) = &mut self.role {
            leader.sync_peers(&self.log, now);
        }
    }

    fn append_batch(&mut self, batch: Arc<Batch>, ready: &mut Ready) {
        let commit = self.log.commit();
        let pos = self.log.append(batch.clone());
        let record = Record::Batch(self.promised, batch);
        ready.appends.push(Append { pos, commit, record });
    }
}

/// Where a batch stands in the order of zxids.
struct Place {
    kind: BatchKind,
    epoch: Epoch,
    /// The last zxid before it.
    last: Zxid,
}
