//! A replica that follows a ballot: it promises, stores what the leader sends, and says so once it
//! is durable.

use alloc::{sync::Arc, vec::Vec};

use super::{
    Append, Consensus, Fetch, Ready, Record, Role,
    config::Voter,
    message::{LogEnd, Message, Offer},
    quorum::stored_by_quorum,
    read_index::{ReadId, ReadIndex},
};
use crate::{
    batch::Batch,
    ids::{Ballot, Instant, Life, Slot},
    mutant::{Mutant, is_broken},
};

/// A replica that neither leads nor tries to. The ballot that it follows is the one that it has
/// promised last.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Follower {
    /// Who leads under the ballot, once it was heard.
    leader: Option<Voter>,
    /// Up to here the log is the leader's: compared with it under this ballot, or decided.
    matched: Slot,
    /// The last slot that the leader was told is stored.
    told: Slot,
    /// What waits for the disk.
    owed: Owed,
    /// What other voters have stored of this ballot's log, as they told everybody (R11).
    stored: Vec<(Voter, Slot)>,
}

/// The answer to the last message that needs one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Owed {
    Nothing,
    /// A promise, to a candidate whose log ends at `end` and is decided up to `commit`.
    Promise {
        to: Voter,
        end: LogEnd,
        commit: Slot,
    },
    Accepted,
}

impl Follower {
    /// Has heard nothing under the ballot yet. What is decided is in every later leader's log.
    pub(super) fn new(commit: Slot) -> Self {
        let stored = Vec::new();
        Self { leader: None, matched: commit, told: Slot(0), owed: Owed::Nothing, stored }
    }

    pub(super) fn leader(&self) -> Option<Voter> {
        self.leader
    }

    /// The link to the leader is gone.
    pub(super) fn forget_leader(&mut self) {
        self.leader = None;
    }
}

impl Consensus {
    /// Phase 1. Promises a higher ballot; the answer leaves once the promise is durable (R1).
    pub(super) fn on_prepare(
        &mut self,
        from: Voter,
        ballot: Ballot,
        (end, commit): (LogEnd, Slot),
        ready: &mut Ready,
    ) {
        if ballot == self.promised {
            // A repetition: the promise was given, or waits for the disk.
            return;
        }
        if ballot < self.promised || commit < self.log.start() {
            self.reject(from, ready);
            return;
        }
        self.promise(ballot, ready);
        self.role = Role::Follower(Follower {
            owed: Owed::Promise { to: from, end, commit },
            ..Follower::new(self.log.commit())
        });
    }

    /// Phase 2. Stores `batches` behind `previous` (R2).
    pub(super) fn on_accept(
        &mut self,
        (now, from): (Instant, Voter),
        (ballot, previous): (Ballot, LogEnd),
        batches: Vec<Arc<Batch>>,
        commit: Slot,
        ready: &mut Ready,
    ) {
        if !self.follow(now, (from, ballot), true, ready) {
            return;
        }
        if !self.log.matches(previous) && !is_broken(Mutant::PreviousNotChecked) {
            let commit = self.log.commit();
            ready.send(from, Message::Mismatch { ballot, commit });
            return;
        }
        if is_broken(Mutant::CutWithoutConflict) && self.log.commit() < previous.slot {
            let first = previous.slot.next();
            if first <= self.log.end().slot {
                self.log.truncate(first);
            }
        }
        let matched = previous.slot.0 + batches.len() as u64;
        for batch in batches {
            self.store(batch, ready);
        }
        let Role::Follower(follower) = &mut self.role else { unreachable!("it follows") };
        follower.matched = follower.matched.max(Slot(matched));
        if is_broken(Mutant::WholeLogMatches) {
            follower.matched = self.log.end().slot;
        }
        follower.owed = Owed::Accepted;
        self.learn_commit(commit);
    }

    /// A sign of the leader's life.
    pub(super) fn on_heartbeat(
        &mut self,
        (now, from): (Instant, Voter),
        (ballot, round): (Ballot, u64),
        commit: Slot,
        (has_quorum, must_fetch): (bool, bool),
        ready: &mut Ready,
    ) {
        if !self.follow(now, (from, ballot), has_quorum, ready) {
            return;
        }
        self.learn_commit(commit);
        let (own, feature_level) = (self.log.commit(), self.settings.feature_level_max);
        ready.send(from, Message::HeartbeatAck { ballot, round, commit: own, feature_level });
        self.reads.tell_again();
        if must_fetch {
            self.fetch_up_to(from, commit, ready);
        }
    }

    /// The leader's commit slot.
    pub(super) fn on_commit(
        &mut self,
        now: Instant,
        (from, ballot): (Voter, Ballot),
        commit: Slot,
        ready: &mut Ready,
    ) {
        if self.follow(now, (from, ballot), true, ready) {
            self.learn_commit(commit);
        }
    }

    /// Takes decided batches from anybody (R6).
    pub(super) fn on_fetched(
        &mut self,
        from: Voter,
        ballot: Ballot,
        batches: Vec<Arc<Batch>>,
        commit: Slot,
        ready: &mut Ready,
    ) {
        let own = self.log.commit();
        let brings_news = |batch: &Arc<Batch>| own.next() == batch.header.slot;
        if !batches.iter().any(brings_news) {
            return;
        }
        let ballot = if is_broken(Mutant::FetchedWithoutBallot) {
            batches.iter().map(|batch| batch.header.origin).max().unwrap_or_default()
        } else {
            ballot
        };
        self.follow_decision(ballot, ready);
        for batch in batches {
            let slot = batch.header.slot;
            if slot <= self.log.commit() {
                continue;
            }
            if slot != self.log.commit().next() {
                break;
            }
            self.store(batch, ready);
            self.log.commit_up_to(slot);
            if let Role::Follower(follower) = &mut self.role {
                follower.matched = follower.matched.max(slot);
            }
        }
        self.fetch_up_to(from, commit, ready);
    }

    /// Somebody knows decisions of `ballot` that this replica does not. A candidate has claimed its
    /// ballot with a log that may be cut now, so it gives up.
    fn follow_decision(&mut self, ballot: Ballot, ready: &mut Ready) {
        if self.promised < ballot {
            self.promise(ballot, ready);
        } else if matches!(self.role, Role::Candidate(_) | Role::PreCandidate(_)) {
            self.step_down();
        }
    }

    /// What this replica wants to fetch is to be had as a snapshot only: the driver gets it, and
    /// calls [`Self::install`] when it is on the disk.
    pub(super) fn on_offer(&self, from: Voter, offer: Offer, ready: &mut Ready) {
        if self.log.commit() < offer.base.slot {
            ready.offer = Some((from, offer));
        }
    }

    /// A snapshot that was offered is whole and durable: the log goes on behind it (R6). The driver
    /// loads the State from it before it applies anything else, and answers nobody whose commands
    /// may be in it. False, and nothing changes, if everything in it is known by now.
    pub fn install(&mut self, offer: &Offer, ready: &mut Ready) -> bool {
        let is_leader = matches!(self.role, Role::Leader(_));
        if is_leader || offer.base.slot <= self.log.commit() {
            return false;
        }
        if is_broken(Mutant::InstalledWithoutBallot) {
            self.step_down();
        } else {
            self.follow_decision(offer.ballot, ready);
        }
        let commit = self.log.commit();
        let pos = self.log.install(offer.base, offer.config.clone());
        ready.appends.push(Append { pos, commit, record: Record::Install(offer.base) });
        ready.committed.clear();
        ready.installed = Some(offer.base);
        if let Role::Follower(follower) = &mut self.role {
            follower.matched = follower.matched.max(offer.base.slot);
        }
        true
    }

    /// Somebody lacks what is decided. Returns the last slot that it was sent, if it was from
    /// memory; otherwise the driver answers, up to the commit slot.
    pub(super) fn serve(&self, to: Voter, first: Slot, ready: &mut Ready) -> Slot {
        let (commit, ballot) = (self.log.commit(), self.promised);
        if commit < first {
            return commit;
        }
        if first <= self.log.start() {
            ready.fetches.push(Fetch { to, first, last: commit, ballot });
            return commit;
        }
        // A batch without commands counts, too: whoever fetches may lack any number of them.
        let (mut bytes, bytes_max) = (0, self.settings.bounds.message_bytes_max);
        let is_sent = |batch: &&Arc<Batch>| {
            let is_first = bytes == 0;
            bytes += batch.payload.len() + 1;
            batch.header.slot <= commit && (is_first || bytes <= bytes_max)
        };
        let before = Slot(first.0 - 1);
        let batches: Vec<_> = self.log.after(before).take_while(is_sent).cloned().collect();
        let last = Slot(before.0 + batches.len() as u64);
        ready.send(to, Message::Fetched { ballot, batches, commit });
        last
    }

    /// Asks `peer` for what is decided and missing here.
    pub(super) fn fetch_up_to(&self, peer: Voter, commit: Slot, ready: &mut Ready) {
        if self.log.commit() < commit {
            ready.send(peer, Message::Fetch { first: self.log.commit().next() });
        }
    }

    /// Puts a batch of a leader's log where it belongs: nothing changes if it is there, and only a
    /// batch of another origin makes room for it (R2).
    pub(super) fn store(&mut self, batch: Arc<Batch>, ready: &mut Ready) {
        let slot = batch.header.slot;
        if slot <= self.log.end().slot {
            let Some(own) = self.log.base_at(slot) else {
                assert!(slot <= self.log.commit(), "what is not decided is in memory");
                return;
            };
            if own.origin == batch.header.origin {
                assert!(own.hash == batch.header.hash, "I5: two batches at {slot:?}");
                return;
            }
            if is_broken(Mutant::ConflictKept) {
                return;
            }
            assert!(!matches!(self.role, Role::Leader(_)), "I4: a leader's log only grows");
            self.log.truncate(slot);
        }
        self.append_batch(batch, ready);
    }

    /// Sends what the disk has released.
    pub(super) fn answer(&mut self, ready: &mut Ready) {
        let (ballot, all_to_all) = (self.promised, self.settings.all_to_all);
        let is_durable = self.is_promise_durable();
        let stored = self.stored_of_ballot();
        let Role::Follower(follower) = &mut self.role else { return };
        if let Owed::Promise { to, end, commit } = follower.owed
            && (is_durable || is_broken(Mutant::PromiseNotDurable))
        {
            follower.owed = Owed::Nothing;
            self.send_promise(to, end, commit, ready);
            return;
        }
        let Some(leader) = follower.leader else {
            self.ask_read_as_learner(ready);
            return;
        };
        if let Some(stored) = stored
            && (follower.told < stored || follower.owed == Owed::Accepted)
        {
            follower.told = stored;
            follower.owed = Owed::Nothing;
            ready.send(leader, Message::Accepted { ballot, stored });
            if all_to_all {
                for voter in self.other_voters().filter(|voter| *voter != leader) {
                    ready.send(voter, Message::Accepted { ballot, stored });
                }
            }
            return;
        }
        if let Some(id) = self.reads.tell_once(ballot) {
            ready.send(leader, Message::AskRead { life: self.settings.life, id });
        }
    }

    fn send_promise(&self, to: Voter, end: LogEnd, commit: Slot, ready: &mut Ready) {
        if commit < self.log.start() {
            self.reject(to, ready);
            return;
        }
        let own = LogEnd::of(self.log.end());
        let tail = if end < own && !is_broken(Mutant::TailOmitted) {
            self.log.after(commit).cloned().collect()
        } else {
            Vec::new()
        };
        let (ballot, commit) = (self.promised, self.log.commit());
        ready.send(to, Message::Promise { ballot, end: own, commit, tail });
    }

    /// Up to where this follower's disk has the log of the leader that it has promised: what it may
    /// say, and not a slot more (I6).
    fn stored_of_ballot(&self) -> Option<Slot> {
        let Role::Follower(follower) = &self.role else { return None };
        let may_say = self.is_promise_durable() || is_broken(Mutant::BallotNotDurable);
        (may_say && follower.leader.is_some())
            .then(|| follower.matched.min(self.log.durable_slot()))
    }

    /// What another follower of the same ballot has stored (R11).
    pub(super) fn on_stored_by_other(&mut self, from: Voter, ballot: Ballot, slot: Slot) {
        if let Role::Follower(follower) = &mut self.role
            && self.settings.all_to_all
            && ballot == self.promised
        {
            match follower.stored.iter_mut().find(|(voter, _)| *voter == from) {
                Some((_, stored)) => *stored = slot.max(*stored),
                None => follower.stored.push((from, slot)),
            }
        }
    }

    /// Decides what a quorum has durably, without waiting for the leader to say so (R11). The same
    /// rule as the leader's (R4), for the part of the leader's log that is here.
    pub(super) fn decide_as_follower(&mut self) {
        let Role::Follower(follower) = &self.role else { return };
        if !self.settings.all_to_all || follower.stored.is_empty() {
            return;
        }
        let own = self.stored_of_ballot().unwrap_or_default();
        let stored = |voter: &Voter| {
            let other = follower.stored.iter().find(|(other, _)| other == voter);
            if *voter == self.settings.own { own } else { other.map_or(Slot(0), |other| other.1) }
        };
        // All configurations in force, for every slot: what stands before the last of them waits
        // a little longer than it must.
        let slot = self.log.configs().map(|(_, config)| stored_by_quorum(config, stored)).min();
        let slot = slot.expect("a log has a configuration").min(follower.matched);
        let is_of_ballot = self.log.base_at(slot).is_some_and(|at| at.origin == self.promised);
        if is_of_ballot || is_broken(Mutant::OthersEarlierBallot) {
            self.log.commit_up_to(slot.max(self.log.commit()));
        }
    }

    /// Follows the leader of `ballot`, unless a higher ballot was promised.
    fn follow(
        &mut self,
        now: Instant,
        (from, ballot): (Voter, Ballot),
        has_quorum: bool,
        ready: &mut Ready,
    ) -> bool {
        if ballot < self.promised && !is_broken(Mutant::AcceptLowerBallot) {
            self.reject(from, ready);
            return false;
        }
        if self.promised < ballot {
            self.promise(ballot, ready);
        }
        if !matches!(self.role, Role::Follower(_)) {
            self.role = Role::Follower(Follower::new(self.log.commit()));
        }
        let Role::Follower(follower) = &mut self.role else { unreachable!("just made") };
        follower.leader = Some(from);
        if has_quorum {
            self.timer.heard(now);
        }
        true
    }

    fn reject(&self, to: Voter, ready: &mut Ready) {
        let (promised, commit) = (self.promised, self.log.commit());
        ready.send(to, Message::Reject { promised, commit });
    }

    /// Decides what the leader has decided, as far as this log is known to be the leader's.
    fn learn_commit(&mut self, commit: Slot) {
        let Role::Follower(follower) = &self.role else { return };
        let known =
            if is_broken(Mutant::CommitUnmatched) { self.log.end().slot } else { follower.matched };
        self.log.commit_up_to(commit.min(known).max(self.log.commit()));
    }

    /// The leader has answered a question for a read index (R9).
    pub(super) fn on_read_answer(
        &mut self,
        (life, id): (Life, ReadId),
        slot: Slot,
        ready: &mut Ready,
    ) {
        let is_own = life == self.settings.life || is_broken(Mutant::ReadOfEarlierLife);
        if is_own && self.reads.answered(id) {
            let is_newer = ready.read.is_none_or(|read| read.id <= id);
            if is_newer {
                ready.read = Some(ReadIndex { id, slot });
            }
        }
    }
}
