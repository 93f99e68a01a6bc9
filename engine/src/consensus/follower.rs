//! A replica that follows a ballot: it promises, stores what the leader sends, and says so once it
//! is durable.

use alloc::{sync::Arc, vec::Vec};

use super::{
    Consensus, Fetch, Ready, Role,
    message::{LogEnd, Message},
    mutant::{Mutant, is_broken},
};
use crate::{
    batch::Batch,
    ids::{Ballot, Instant, ReplicaId, Slot},
};

/// A replica that neither leads nor tries to. The ballot that it follows is the one that it has
/// promised last.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Follower {
    /// Who leads under the ballot, once it was heard.
    leader: Option<ReplicaId>,
    /// Up to here the log is the leader's: compared with it under this ballot, or decided.
    matched: Slot,
    /// The last slot that the leader was told is stored.
    told: Slot,
    /// What waits for the disk.
    owed: Owed,
}

/// The answer to the last message that needs one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Owed {
    Nothing,
    /// A promise, to a candidate whose log ends at `end` and is decided up to `commit`.
    Promise {
        end: LogEnd,
        commit: Slot,
    },
    Accepted,
}

impl Follower {
    /// Has heard nothing under the ballot yet. What is decided is in every later leader's log.
    pub(super) fn new(commit: Slot) -> Self {
        Self { leader: None, matched: commit, told: Slot(0), owed: Owed::Nothing }
    }

    pub(super) fn leader(&self) -> Option<ReplicaId> {
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
        from: ReplicaId,
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
            owed: Owed::Promise { end, commit },
            ..Follower::new(self.log.commit())
        });
    }

    /// Phase 2. Stores `batches` behind `previous` (R2).
    pub(super) fn on_accept(
        &mut self,
        now: Instant,
        (ballot, previous): (Ballot, LogEnd),
        batches: Vec<Arc<Batch>>,
        commit: Slot,
        ready: &mut Ready,
    ) {
        if !self.follow(now, ballot, true, ready) {
            return;
        }
        if !self.log.matches(previous) && !is_broken(Mutant::PreviousNotChecked) {
            let commit = self.log.commit();
            ready.send(ballot.replica, Message::Mismatch { ballot, commit });
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
        now: Instant,
        (ballot, round): (Ballot, u64),
        commit: Slot,
        (has_quorum, must_fetch): (bool, bool),
        ready: &mut Ready,
    ) {
        if !self.follow(now, ballot, has_quorum, ready) {
            return;
        }
        self.learn_commit(commit);
        let own = self.log.commit();
        ready.send(ballot.replica, Message::HeartbeatAck { ballot, round, commit: own });
        if must_fetch {
            self.fetch_up_to(ballot.replica, commit, ready);
        }
    }

    /// The leader's commit slot.
    pub(super) fn on_commit(
        &mut self,
        now: Instant,
        ballot: Ballot,
        commit: Slot,
        ready: &mut Ready,
    ) {
        if self.follow(now, ballot, true, ready) {
            self.learn_commit(commit);
        }
    }

    /// Takes decided batches from anybody (R6).
    pub(super) fn on_fetched(
        &mut self,
        ballot: Ballot,
        batches: Vec<Arc<Batch>>,
        ready: &mut Ready,
    ) {
        let brings_news = |batch: &Arc<Batch>| self.log.commit() < batch.header.slot;
        let ballot = if is_broken(Mutant::FetchedWithoutBallot) {
            batches.iter().map(|batch| batch.header.origin).max().unwrap_or_default()
        } else {
            ballot
        };
        if self.promised < ballot && batches.iter().any(brings_news) {
            self.promise(ballot, ready);
        }
        for batch in batches {
            let slot = batch.header.slot;
            if slot <= self.log.commit() {
                continue;
            }
            if slot != self.log.commit().next() {
                return;
            }
            self.store(batch, ready);
            self.log.commit_up_to(slot);
            if let Role::Follower(follower) = &mut self.role {
                follower.matched = follower.matched.max(slot);
            }
        }
    }

    /// Somebody lacks what is decided: the driver answers.
    pub(super) fn on_fetch(&self, from: ReplicaId, first: Slot, ready: &mut Ready) {
        let (last, ballot) = (self.log.commit(), self.promised);
        if first <= last {
            ready.fetches.push(Fetch { to: from, first, last, ballot });
        }
    }

    /// Asks `peer` for what is decided and missing here.
    pub(super) fn fetch_up_to(&self, peer: ReplicaId, commit: Slot, ready: &mut Ready) {
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
        let Role::Follower(follower) = &mut self.role else { return };
        let ballot = self.promised;
        let is_durable = self.promised_at <= self.log.durable();
        if let Owed::Promise { end, commit } = follower.owed
            && (is_durable || is_broken(Mutant::PromiseNotDurable))
        {
            follower.owed = Owed::Nothing;
            if commit < self.log.start() {
                self.reject(ballot.replica, ready);
                return;
            }
            let own = LogEnd::of(self.log.end());
            let tail = if end < own && !is_broken(Mutant::TailOmitted) {
                self.log.after(commit).cloned().collect()
            } else {
                Vec::new()
            };
            let commit = self.log.commit();
            ready.send(ballot.replica, Message::Promise { ballot, end: own, commit, tail });
            return;
        }
        if follower.leader.is_none() || !(is_durable || is_broken(Mutant::BallotNotDurable)) {
            return;
        }
        let stored = follower.matched.min(self.log.durable_slot());
        if follower.told < stored || follower.owed == Owed::Accepted {
            follower.told = stored;
            follower.owed = Owed::Nothing;
            ready.send(ballot.replica, Message::Accepted { ballot, stored });
        }
    }

    /// Follows the leader of `ballot`, unless a higher ballot was promised.
    fn follow(
        &mut self,
        now: Instant,
        ballot: Ballot,
        has_quorum: bool,
        ready: &mut Ready,
    ) -> bool {
        if ballot < self.promised && !is_broken(Mutant::AcceptLowerBallot) {
            self.reject(ballot.replica, ready);
            return false;
        }
        assert!(ballot.replica != self.own.id, "I4: {ballot:?} is led by somebody else");
        if self.promised < ballot {
            self.promise(ballot, ready);
        }
        if !matches!(self.role, Role::Follower(_)) {
            self.role = Role::Follower(Follower::new(self.log.commit()));
        }
        let Role::Follower(follower) = &mut self.role else { unreachable!("just made") };
        follower.leader = Some(ballot.replica);
        if has_quorum {
            self.timer.heard(now);
        }
        true
    }

    fn reject(&self, to: ReplicaId, ready: &mut Ready) {
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
}
