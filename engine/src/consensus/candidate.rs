//! Phase 1: a replica asks whether it would win a ballot, claims it, and adopts the freshest log
//! among those of a quorum.

use alloc::{sync::Arc, vec::Vec};

use super::{
    Append, Consensus, Ready, Record, Role,
    config::Voter,
    follower::Follower,
    leader::Leader,
    log::Log,
    message::{LogEnd, Message},
    quorum::is_quorum,
};
use crate::{
    batch::Batch,
    ids::{Ballot, Instant, Slot, WallTime},
    mutant::{Mutant, is_broken},
};

/// A replica that asks whether it would be promised a ballot (pre-vote: a replica that comes back
/// from a partition does not disturb a leader that the others hear, R7).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct PreCandidate {
    ballot: Ballot,
    granted_by: Vec<Voter>,
}

/// A replica that claims a ballot, which is the last that it promised.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Candidate {
    /// Who was asked.
    asked: Vec<Voter>,
    /// Who has promised, durably, each voter once; and the commit slot that it knew.
    promises: Vec<(Voter, Slot)>,
}

/// Whether `agreed` are a quorum of every configuration that is in force in `log`.
fn has_quorum(log: &Log, agreed: impl Fn(&Voter) -> bool) -> bool {
    let short = usize::from(is_broken(Mutant::LeadByMinority));
    let mut configs = log.configs().map(|(_, config)| config);
    if is_broken(Mutant::OldConfigOnly) {
        return configs.next().is_some_and(|config| is_quorum(config, short, &agreed));
    }
    configs.all(|config| is_quorum(config, short, &agreed))
}

impl Consensus {
    /// Claims a ballot at once if nobody else is needed for it: no timer has to decide when.
    pub fn campaign_alone(&mut self, ready: &mut Ready) {
        if self.can_win_alone() && matches!(self.role, Role::Follower(_)) {
            self.campaign(ready);
        }
    }

    fn can_win_alone(&self) -> bool {
        has_quorum(&self.log, |voter| *voter == self.settings.own)
    }

    /// Asks the others whether they would promise, if there are others.
    pub(super) fn ask_before_campaign(&mut self, ready: &mut Ready) {
        if self.can_win_alone() {
            self.campaign(ready);
            return;
        }
        let ballot = self.next_ballot();
        let granted_by = [self.settings.own].to_vec();
        self.role = Role::PreCandidate(PreCandidate { ballot, granted_by });
        let commit = self.log.commit();
        for voter in self.other_voters() {
            ready.send(voter, Message::PreVote { ballot, commit });
        }
    }

    /// Whether `ballot` would be promised.
    pub(super) fn on_pre_vote(
        &self,
        now: Instant,
        from: Voter,
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
        from: Voter,
        (ballot, is_granted): (Ballot, bool),
        ready: &mut Ready,
    ) {
        let Role::PreCandidate(asked) = &mut self.role else { return };
        if !is_granted || asked.ballot != ballot || asked.granted_by.contains(&from) {
            return;
        }
        asked.granted_by.push(from);
        if has_quorum(&self.log, |voter| asked.granted_by.contains(voter)) {
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

    /// The leader wants to be succeeded by this replica, which has its whole log.
    pub(super) fn on_take_over(&mut self, ballot: Ballot, ready: &mut Ready) {
        let follows = matches!(&self.role, Role::Follower(follower) if follower.leader().is_some());
        if ballot == self.promised && follows && self.has_vote() {
            self.campaign(ready);
        }
    }

    /// Asks for promises once its own is durable: a candidate that forgot it in a crash could claim
    /// the same ballot twice, with two logs (R1, I4). A log that it adopts may name others to ask.
    pub(super) fn prepare(&mut self, ready: &mut Ready) {
        let is_durable = self.is_promise_durable() || is_broken(Mutant::PrepareNotDurable);
        let Role::Candidate(candidate) = &mut self.role else { return };
        if !is_durable {
            return;
        }
        let (own, ballot) = (self.settings.own, self.promised);
        let (end, commit) = (LogEnd::of(self.log.end()), self.log.commit());
        if candidate.promises.is_empty() {
            candidate.promises.push((own, commit));
        }
        for voter in self.log.configs().flat_map(|(_, config)| config.voters()) {
            if voter.id != own.id && !candidate.asked.contains(voter) {
                candidate.asked.push(*voter);
                ready.send(*voter, Message::Prepare { ballot, end, commit });
            }
        }
    }

    /// A voter has promised, and its log ends at `end`. A fresher log than its own the candidate
    /// adopts at once, as a whole: whatever is decided and in its own log is in that one, too (R3).
    pub(super) fn on_promise(
        &mut self,
        (from, ballot): (Voter, Ballot),
        (end, commit): (LogEnd, Slot),
        tail: Vec<Arc<Batch>>,
        ready: &mut Ready,
    ) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        let is_known = candidate.promises.iter().any(|(voter, _)| *voter == from);
        if ballot != self.promised || candidate.promises.is_empty() || is_known {
            return;
        }
        candidate.promises.push((from, commit));
        let own = LogEnd::of(self.log.end());
        let is_fresher =
            if is_broken(Mutant::LongestLogAdopted) { own.slot < end.slot } else { own < end };
        if is_fresher && !is_broken(Mutant::OwnLogAdopted) {
            tail.into_iter().for_each(|batch| self.store(batch, ready));
            let own = LogEnd::of(self.log.end());
            assert!(own == end, "adopts {end:?} and has {own:?}");
        }
    }

    /// Somebody has promised more than this replica's ballot, or has no memory of what this replica
    /// lacks.
    pub(super) fn on_reject(
        &mut self,
        from: Voter,
        (promised, commit): (Ballot, Slot),
        ready: &mut Ready,
    ) {
        let is_overtaken = self.promised < promised;
        if is_overtaken && matches!(self.role, Role::Candidate(_) | Role::Leader(_)) {
            self.step_down();
        }
        self.fetch_up_to(from, commit, ready);
    }

    /// Leads once a quorum has promised: starts an epoch behind the log that it has adopted.
    pub(super) fn lead(&mut self, now: Instant, wall: WallTime, ready: &mut Ready) {
        let Role::Candidate(candidate) = &self.role else { return };
        let has_promised = |voter: &Voter| candidate.promises.iter().any(|(id, _)| id == voter);
        if candidate.promises.is_empty() || !has_quorum(&self.log, has_promised) {
            return;
        }
        // What is decided is in the log of every quorum's freshest member (I2).
        let commit = candidate.promises.iter().map(|(_, commit)| *commit).max();
        self.log.commit_up_to(commit.max(Some(self.log.commit())).expect("not none"));
        let ballot = self.promised;
        self.role = Role::Leader(Leader::new(self.settings.own, ballot, &self.log, now));
        let epoch = self.log.end().epoch.0 + 1;
        tracing::info!(round = ballot.round, epoch, "leading");
        self.start_epoch(wall, ready);
    }

    /// Neither leads nor tries to any more, under the ballot that it promised.
    pub(super) fn step_down(&mut self) {
        self.role = Role::Follower(Follower::new(self.log.commit()));
        self.reads.lose_round();
    }

    /// A ballot that was never used, above all that were heard of.
    fn next_ballot(&self) -> Ballot {
        self.promised.max(self.heard_of).next(self.settings.own.id)
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
