//! Who has no vote: an observer, a replica that was never part of a cluster, one whose data
//! directory was lost (R10). It learns what is decided from anybody, and the cluster may give it a
//! vote. And the first formation: how there comes to be a configuration at all.

use alloc::vec::Vec;

use super::{
    Consensus, Ready, Role,
    config::{Config, Voter},
    message::Message,
};
use crate::{
    ids::{Ballot, Incarnation, Instant, ReplicaId, Slot, WallTime},
    mutant::{Mutant, is_broken},
};

/// After so many of the longest election timeouts without a word, a learner is forgotten.
const FORGOTTEN_TIMEOUTS: u64 = 4;

/// A replica without a vote that this one sends what is decided.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Learner {
    voter: Voter,
    /// It was sent everything up to here.
    sent: Slot,
    /// When it last asked.
    heard: Instant,
}

/// A replica with the name of a voter and another data directory, as a leader knows it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Newcomer {
    voter: Voter,
    /// Its commit slot.
    commit: Slot,
    heard: Instant,
}

/// What a replica without a vote knows of where it learns from.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Source {
    /// The number of the replica that it asks, among those that it knows.
    index: usize,
    /// When it was last of use, or first asked.
    heard: Instant,
    /// What was decided here then: that it answers is not enough, it may know no more than this
    /// replica.
    commit: Slot,
    /// When it asks again.
    next_ask: Instant,
}

impl Source {
    /// It has offered something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }
}

impl Consensus {
    /// Somebody lacks what is decided. Who has no vote is sent what comes later, too.
    pub(super) fn on_fetch(
        &mut self,
        now: Instant,
        (from, to): (Voter, Voter),
        first: Slot,
        ready: &mut Ready,
    ) {
        let sent = self.serve(from, first, ready);
        let has_vote = self.log.configs().any(|(_, config)| config.has_vote(from));
        if self.log.end().slot == Slot(0) {
            // Who asks for more has a log, and is no founder of another cluster.
            if first == Slot(1) {
                self.note_founder(now, (from, to), ready);
            }
        } else if !has_vote {
            if self.log.commit() < first {
                // A sign of life: whoever learns from here need not look for somebody else.
                let (ballot, commit) = (self.promised, self.log.commit());
                ready.send(from, Message::Fetched { ballot, batches: Vec::new(), commit });
            }
            self.learners.retain(|learner| learner.voter.id != from.id);
            let sent = sent.max(Slot(first.0 - 1));
            self.learners.push(Learner { voter: from, sent, heard: now });
        }
    }

    /// Sends learners what was decided since.
    pub(super) fn feed_learners(&mut self, ready: &mut Ready) {
        let commit = self.log.commit();
        for index in 0..self.learners.len() {
            while self.learners[index].sent < commit {
                let Learner { voter, sent, .. } = self.learners[index];
                self.learners[index].sent = self.serve(voter, sent.next(), ready);
            }
        }
    }

    /// A data directory that is not in the configuration has caught up so far.
    pub(super) fn on_newcomer(&mut self, now: Instant, from: Voter, commit: Slot) {
        if matches!(self.role, Role::Leader(_)) {
            self.newcomers.retain(|newcomer| newcomer.voter.id != from.id);
            self.newcomers.push(Newcomer { voter: from, commit, heard: now });
        }
    }

    /// Time has passed for a replica without a vote: asks one that it knows for what is decided,
    /// another one if nothing was heard, and tells the leader that it is there.
    pub(super) fn tick_learner(&mut self, now: Instant, ready: &mut Ready) {
        if now < self.source.next_ask {
            return;
        }
        self.reads.tell_again();
        self.source.next_ask = now.plus_millis(self.settings.timing.heartbeat_ms);
        let first = self.log.commit().next();
        let known = self.known_replicas();
        if !self.log.decided_config().is_formed() {
            known.iter().for_each(|peer| ready.send(*peer, Message::Fetch { first }));
            return;
        }
        let commit = self.log.commit();
        if self.source.commit < commit {
            self.source.commit = commit;
            self.source.heard = now;
        } else if self.source.heard <= self.election_min_before(now) {
            self.source.index += 1;
            self.source.heard = now;
        }
        if let Some(peer) = known.get(self.source.index % known.len().max(1)) {
            ready.send(*peer, Message::Fetch { first });
        }
        if let Some(leader) = self.epoch_leader() {
            ready.send(leader, Message::Newcomer { commit: self.log.commit() });
        }
    }

    /// Who has no vote hears no leader; it asks whoever leads the newest epoch in its log (R9).
    pub(super) fn ask_read_as_learner(&mut self, ready: &mut Ready) {
        if self.has_vote() {
            return;
        }
        if let Some(leader) = self.epoch_leader()
            && let Some(id) = self.reads.tell_once(self.log.end().origin)
        {
            ready.send(leader, Message::AskRead { life: self.settings.life, id });
        }
    }

    /// Who else leads the newest epoch in the log, or led it.
    fn epoch_leader(&self) -> Option<Voter> {
        let leader = self.log.last_config().voter(self.log.end().origin.replica);
        leader.filter(|leader| leader.id != self.settings.own.id)
    }

    /// Where to learn from: whoever has the name of a member or of a founder. They and their data
    /// directories may be others by now than those that this log knows.
    fn known_replicas(&self) -> Vec<Voter> {
        let config = self.log.last_config();
        let members = config.voters().iter().chain(config.observers()).map(|member| member.id);
        let mut ids: Vec<ReplicaId> = Vec::new();
        for id in members.chain(self.settings.founders.iter().copied()) {
            if id != self.settings.own.id && !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.into_iter().map(|id| Voter { id, incarnation: Incarnation(0) }).collect()
    }

    /// Forgets who has not been heard for long.
    pub(super) fn forget_learners(&mut self, now: Instant) {
        let longest_ms = FORGOTTEN_TIMEOUTS * self.settings.timing.election_max_ms;
        self.learners.retain(|learner| now < learner.heard.plus_millis(longest_ms));
        self.newcomers.retain(|newcomer| now < newcomer.heard.plus_millis(longest_ms));
    }

    /// A leader's wish: a newcomer that has caught up gets its vote back (R10), and a feature level
    /// that everybody knows is raised.
    pub(super) fn tend_config(&mut self, times: (Instant, WallTime), ready: &mut Ready) {
        let Role::Leader(leader) = &self.role else { return };
        let config = self.log.last_config();
        let window = self.settings.bounds.window_slots_max as u64;
        let commit = self.log.commit();
        let since = self.election_min_before(times.0);
        let known = |voter: &Voter| leader.peers().iter().find(|peer| peer.voter == *voter);
        // Whoever has the place and is heard keeps it: a lost directory's word may come late.
        let is_silent = |voter: &Voter| known(voter).is_none_or(|peer| peer.heard <= since);
        let is_due = |newcomer: &&Newcomer| {
            let place = config.voter(newcomer.voter.id);
            let is_near = commit.0 <= newcomer.commit.0 + window && since <= newcomer.heard;
            place.is_some_and(|voter| voter != newcomer.voter && is_silent(&voter)) && is_near
        };
        let own_level = Some(self.settings.feature_level_max);
        let level = |voter: &Voter| {
            let is_own = *voter == self.settings.own;
            if is_own { own_level } else { known(voter).and_then(|peer| peer.feature_level) }
        };
        let level = config.voters().iter().map(level).min().flatten();
        let mut wanted = Config::clone(config);
        if let Some(newcomer) = self.newcomers.iter().find(is_due) {
            wanted = wanted.with_incarnation(newcomer.voter);
        }
        wanted.feature_level = level.unwrap_or_default().max(wanted.feature_level);
        if wanted != **config {
            self.reconfigure(times, &wanted, ready);
        }
    }

    /// Proposes a configuration. One at a time, and only by a leader that knows everything decided:
    /// false, and nothing happens, if it is not the time.
    pub fn reconfigure(
        &mut self,
        times: (Instant, WallTime),
        config: &Config,
        ready: &mut Ready,
    ) -> bool {
        let is_time = self.is_established() && self.log.is_config_decided()
            || self.leader_ballot().is_some() && is_broken(Mutant::ConfigUnestablished);
        let is_same_cluster = config.cluster == self.log.last_config().cluster;
        if !is_time || !is_same_cluster || !config.is_formed() || !self.may_propose(usize::MAX) {
            return false;
        }
        self.append_config(times, config, ready);
        true
    }

    /// A founder that has no log yet has asked. What it asked whoever has this name may be from an
    /// earlier time, and it may have a log since; what it asks this very directory is not older
    /// than the directory, and was sent by one that has no log.
    fn note_founder(&mut self, now: Instant, (from, to): (Voter, Voter), ready: &mut Ready) {
        if !self.settings.founders.contains(&from.id) {
            return;
        }
        if to == self.settings.own || is_broken(Mutant::FormedByHearsay) {
            self.unformed.retain(|(voter, _)| voter.id != from.id);
            self.unformed.push((from, now));
        } else {
            ready.send(from, Message::Fetch { first: Slot(1) });
        }
    }

    /// Forms the cluster if this is the first founder and all have been heard that they have no
    /// log (or, told to, most: the places of the others are kept). The first batch is the
    /// configuration; everybody gets it like any other decided batch. It is a function of the
    /// founders alone, so that one that was lost in a crash is made again, and not another one.
    pub(super) fn form(&mut self, now: Instant, ready: &mut Ready) {
        let Self { settings, unformed, .. } = self;
        let own = settings.own;
        let is_first = settings.founders.iter().min() == Some(&own.id);
        if !is_first || self.log.end().slot != Slot(0) || self.log.decided_config().is_formed() {
            return;
        }
        let longest_ms = 2 * settings.timing.election_max_ms;
        unformed.retain(|(_, heard)| now < heard.plus_millis(longest_ms));
        let heard = |id: &ReplicaId| unformed.iter().find(|(voter, _)| voter.id == *id);
        let member = |id: &ReplicaId| match heard(id) {
            _ if *id == own.id => own,
            Some((voter, _)) => *voter,
            None => Voter { id: *id, incarnation: Incarnation(0) },
        };
        let voters: Vec<Voter> = settings.founders.iter().map(member).collect();
        let absent_count = voters.iter().filter(|voter| voter.incarnation.0 == 0).count();
        let absent_max = if settings.bootstrap { (voters.len() - 1) / 2 } else { 0 };
        let absent_max =
            if is_broken(Mutant::FormedByMinority) { voters.len() - 1 } else { absent_max };
        if absent_max < absent_count {
            return;
        }
        let mut config = Config::new(voters);
        config.cluster = own.incarnation.0;
        tracing::info!(voters = config.voters().len(), "forming the cluster");
        self.append_genesis(&config, ready);
    }

    fn append_genesis(&mut self, config: &Config, ready: &mut Ready) {
        let origin = Ballot { round: 0, replica: self.settings.own.id };
        if self.promised < origin {
            self.promise(origin, ready);
        }
        let batch = self.make_batch(origin, &self.config_place(), config.into(), WallTime(0));
        self.append_batch(batch, ready);
    }

    /// The first configuration is decided once its founder cannot forget it.
    pub(super) fn decide_genesis(&mut self) {
        let is_formed = self.log.decided_config().is_formed();
        let is_alone = self.log.commit() == Slot(0) && self.log.end().slot >= Slot(1);
        let is_durable = self.log.durable_slot() >= Slot(1);
        if !is_formed && is_alone && is_durable {
            self.log.commit_up_to(Slot(1));
        }
    }
}
