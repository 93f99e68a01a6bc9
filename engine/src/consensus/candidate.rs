//! Phase 1: a replica asks whether it would win a ballot, claims it, and adopts the freshest log
//! among those of a quorum.

use alloc::{sync::Arc, vec::Vec};

use super::{
    Append, Consensus, Ready, Record, Role,
    config::Config,
    follower::Follower,
    leader::Leader,
    message::{LogEnd, Message},
    mutant::{Mutant, is_broken},
    quorum::quorum_count,
};
use crate::{
    batch::Batch,
    ids::{Ballot, Instant, ReplicaId, Slot, WallTime},
};

/// A replica that asks whether it would be promised a ballot (pre-vote: a replica that comes back
/// from a partition does not disturb a leader that the others hear, R7).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct PreCandidate {
    ballot: Ballot,
    granted_by: Vec<ReplicaId>,
}

/// A replica that claims a ballot, which is the last that it promised.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Candidate {
    /// Who has promised, durably. Each voter once.
    promises: Vec<Promise>,
}

/// What a voter has promised with.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Promise {
    pub(super) voter: ReplicaId,
    /// Where its log ends.
    pub(super) end: LogEnd,
    /// Its commit slot.
    pub(super) commit: Slot,
    /// Its log behind the commit slot that was claimed with, if it is fresher than that log.
    pub(super) tail: Vec<Arc<Batch>>,
}

impl Candidate {
    /// Counts the promise of a voter. The first is as good as a repetition: after it, only this
    /// candidate or a decision changes the voter's log.
    pub(super) fn record_promise(&mut self, promise: Promise) {
        if !self.promises.iter().any(|known| known.voter == promise.voter) {
            self.promises.push(promise);
        }
    }

    /// Whether a quorum has promised.
    pub(super) fn has_quorum(&self, config: &Config) -> bool {
        let promised_by: Vec<ReplicaId> =
            self.promises.iter().map(|promise| promise.voter).collect();
        let one_less = usize::from(is_broken(Mutant::LeadByMinority));
        is_quorum(&promised_by, config, one_less)
    }

    fn is_promised_by(&self, voter: ReplicaId) -> bool {
        self.promises.iter().any(|promise| promise.voter == voter)
    }
}

fn is_quorum(members: &[ReplicaId], config: &Config, one_less: usize) -> bool {
    let voters = config.voters();
    let count = voters.iter().filter(|voter| members.contains(&voter.id)).count();
    count + one_less >= quorum_count(voters.len())
}

impl Consensus {
    /// Claims a ballot at once if nobody else is needed for it: no timer has to decide when.
    pub fn campaign_alone(&mut self, ready: &mut Ready) {
        let can_win_alone = self.has_vote() && quorum_count(self.config.voters().len()) == 1;
        if can_win_alone && matches!(self.role, Role::Follower(_)) {
            self.campaign(ready);
        }
    }

    /// Asks the others whether they would promise.
    pub(super) fn ask_before_campaign(&mut self, ready: &mut Ready) {
        let ballot = self.next_ballot();
        let granted_by = [self.own.id].to_vec();
        self.role = Role::PreCandidate(PreCandidate { ballot, granted_by });
        let commit = self.log.commit();
        self.send_to_others(&Message::PreVote { ballot, commit }, ready);
    }

    /// Whether `ballot` would be promised.
    pub(super) fn on_pre_vote(
        &self,
        now: Instant,
        from: ReplicaId,
        (ballot, commit): (Ballot, Slot),
        ready: &mut Ready,
    ) {
        let may_disturb = !self.hears_leader(now) || is_broken(Mutant::PreVoteDisturbs);
        let is_granted = self.promised < ballot && self.log.start() <= commit && may_disturb;
        let (promised, commit) = (self.promised, self.log.commit());
        ready.send(from, Message::PreVoteAnswer { ballot, is_granted, promised, commit });
    }

    /// Campaigns once a quorum would promise.
    pub(super) fn on_pre_vote_answer(
        &mut self,
        from: ReplicaId,
        (ballot, is_granted): (Ballot, bool),
        ready: &mut Ready,
    ) {
        let Role::PreCandidate(asked) = &mut self.role else { return };
        if !is_granted || asked.ballot != ballot || asked.granted_by.contains(&from) {
            return;
        }
        asked.granted_by.push(from);
        if is_quorum(&asked.granted_by, &self.config, 0) {
            self.campaign(ready);
        }
    }

    /// Claims a ballot. Safe at any time: when it is wise is the timer's matter.
    ///
    /// # Panics
    ///
    /// Unless it has a vote.
    pub fn campaign(&mut self, ready: &mut Ready) {
        assert!(self.has_vote(), "R10: a stranger does not campaign");
        let ballot = self.next_ballot();
        self.promise(ballot, ready);
        self.role = Role::Candidate(Candidate::default());
        tracing::debug!(?ballot, "campaigning");
    }

    /// Asks for promises once its own is durable: a candidate that forgot it in a crash could claim
    /// the same ballot twice, with two logs (R1, I4).
    pub(super) fn prepare(&mut self, ready: &mut Ready) {
        let is_durable = self.promised_at <= self.log.durable();
        let Role::Candidate(candidate) = &mut self.role else { return };
        let may_ask = is_durable || is_broken(Mutant::PrepareNotDurable);
        if !may_ask || candidate.is_promised_by(self.own.id) {
            return;
        }
        let (end, commit) = (LogEnd::of(self.log.end()), self.log.commit());
        candidate.record_promise(Promise { voter: self.own.id, end, commit, tail: Vec::new() });
        self.send_to_others(&Message::Prepare { ballot: self.promised, end, commit }, ready);
    }

    /// Counts a promise.
    pub(super) fn on_promise(&mut self, ballot: Ballot, promise: Promise) {
        if let Role::Candidate(candidate) = &mut self.role
            && ballot == self.promised
        {
            candidate.record_promise(promise);
        }
    }

    /// Somebody has promised more than this replica's ballot, or has no memory of what this replica
    /// lacks.
    pub(super) fn on_reject(
        &mut self,
        from: ReplicaId,
        (promised, commit): (Ballot, Slot),
        ready: &mut Ready,
    ) {
        let is_overtaken = self.promised < promised;
        if is_overtaken && matches!(self.role, Role::Candidate(_) | Role::Leader(_)) {
            self.step_down();
        }
        self.fetch_up_to(from, commit, ready);
    }

    /// Starts to lead if a quorum has promised: adopts the freshest of their logs, and puts the
    /// first batch of the ballot behind it, a new epoch, with which it is decided (R3).
    pub(super) fn lead(&mut self, now: Instant, wall: WallTime, ready: &mut Ready) {
        let Role::Candidate(candidate) = &self.role else { return };
        if !candidate.has_quorum(&self.config) {
            return;
        }
        let promises = candidate.promises.clone();
        self.adopt(promises, ready);
        let ballot = self.promised;
        let mut leader = Leader::new(ballot, self.log.end().slot.next(), &self.config, now);
        leader.record_stored(self.own.id, self.log.durable_slot());
        self.role = Role::Leader(leader);
        let epoch = self.log.end().epoch.0 + 1;
        tracing::info!(round = ballot.round, epoch, "leading");
        self.start_epoch(wall, ready);
    }

    fn adopt(&mut self, promises: Vec<Promise>, ready: &mut Ready) {
        let commit = promises.iter().map(|promise| promise.commit).max();
        let freshest = if is_broken(Mutant::LongestLogAdopted) {
            promises.into_iter().max_by_key(|promise| promise.end.slot)
        } else {
            promises.into_iter().max_by_key(|promise| promise.end)
        };
        let freshest = freshest.expect("a quorum has promised");
        if LogEnd::of(self.log.end()) < freshest.end && !is_broken(Mutant::OwnLogAdopted) {
            for batch in freshest.tail {
                self.store(batch, ready);
            }
            let end = LogEnd::of(self.log.end());
            assert!(end == freshest.end, "adopts {:?} and has {end:?}", freshest.end);
        }
        // What is decided is in the log of every quorum's freshest member (I2).
        self.log.commit_up_to(commit.max(Some(self.log.commit())).expect("not none"));
    }

    /// Neither leads nor tries to any more, under the ballot that it promised.
    pub(super) fn step_down(&mut self) {
        self.role = Role::Follower(Follower::new(self.log.commit()));
        self.reads.lose_round();
    }

    /// A ballot that was never used, above all that were heard of.
    fn next_ballot(&self) -> Ballot {
        self.promised.max(self.heard_of).next(self.own.id)
    }

    /// Promises `ballot`: appends it to the log. Whatever says so waits for `promised_at`.
    pub(super) fn promise(&mut self, ballot: Ballot, ready: &mut Ready) {
        assert!(self.promised < ballot, "I3: {ballot:?} after {:?}", self.promised);
        self.promised = ballot;
        self.promised_at = self.log.append_other();
        let (pos, commit) = (self.promised_at, self.log.commit());
        ready.appends.push(Append { pos, commit, record: Record::Promise(ballot) });
        self.step_down();
    }
}
