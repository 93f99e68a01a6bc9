//! When a replica tries to lead, and when a leader says that it is there or gives up. Only
//! progress depends on it: every event may come at any time and the log stays right.
//!
//! Clock and chance come in as arguments.

use super::{Consensus, Ready, Role};
use crate::{
    ids::{Instant, ReplicaId, WallTime},
    mutant::{Mutant, is_broken},
};

/// The spans of time of elections, in milliseconds (R8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Timing {
    /// Between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// The least silence after which a follower tries to lead; and the silence of a quorum after
    /// which a leader gives up (R7).
    pub election_min_ms: u64,
    /// The longest such silence. Chance picks, so that two seldom try together.
    pub election_max_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ms: 40, election_min_ms: 250, election_max_ms: 500 }
    }
}

/// A closed link is news at once: so long a replica waits at least before it tries to lead.
const CLOSED_LINK_MIN_MS: u64 = 5;
/// And so long at most.
const CLOSED_LINK_MAX_MS: u64 = 20;

/// The election timer.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Timer {
    /// When a leader with a quorum was last heard, or this replica last tried.
    heard: Instant,
    /// How long it waits from then on. 0: not drawn yet.
    wait_ms: u64,
}

impl Timer {
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Starts again, with a wait between `min_ms` and `max_ms`.
    fn restart(&mut self, now: Instant, random: u64, (min_ms, max_ms): (u64, u64)) {
        self.heard = now;
        self.wait_ms = min_ms + random % (max_ms - min_ms + 1);
    }

    fn is_over(&self, now: Instant) -> bool {
        self.heard.plus_millis(self.wait_ms) <= now
    }
}

impl Consensus {
    /// Time has passed. `random` is any number, another one each time.
    pub fn tick(&mut self, now: Instant, wall: WallTime, random: u64, ready: &mut Ready) {
        let timing = self.settings.timing;
        let election = (timing.election_min_ms, timing.election_max_ms);
        self.forget_learners(now);
        if let Role::Leader(leader) = &mut self.role {
            self.timer.restart(now, random, election);
            if leader.next_heartbeat <= now {
                leader.next_heartbeat = now.plus_millis(timing.heartbeat_ms);
                self.heartbeat(now, ready);
                self.tend_config((now, wall), ready);
                self.tick_hand_over(now);
            }
            let is_leader = matches!(self.role, Role::Leader(_));
            let has_quorum = self.leads_with_quorum(now) || is_broken(Mutant::LeaderNeverGivesUp);
            if is_leader && !has_quorum {
                tracing::info!("a quorum is silent: no longer leading");
                self.step_down();
            }
        } else if !self.has_vote() {
            self.form(now, ready);
            self.tick_learner(now, ready);
        } else if self.timer.wait_ms == 0 {
            self.timer.restart(now, random, election);
        } else if self.timer.is_over(now) {
            self.timer.restart(now, random, election);
            self.ask_before_campaign(ready);
        }
    }

    /// The link to `peer` was closed by the other side: if it leads, it leads no more (R8).
    pub fn link_closed(&mut self, now: Instant, peer: ReplicaId, random: u64) {
        if let Role::Follower(follower) = &mut self.role
            && follower.leader().is_some_and(|leader| leader.id == peer)
        {
            follower.forget_leader();
            self.timer.restart(now, random, (CLOSED_LINK_MIN_MS, CLOSED_LINK_MAX_MS));
        }
    }

    /// Whether it leads, and a quorum was heard lately.
    pub(super) fn leads_with_quorum(&self, now: Instant) -> bool {
        let since = self.election_min_before(now);
        matches!(&self.role, Role::Leader(leader) if leader.hears_quorum(&self.log, since))
    }

    /// Whether there is a leader that has a quorum, as far as this replica knows: then it helps
    /// nobody else to lead (R7).
    pub(super) fn hears_leader(&self, now: Instant) -> bool {
        match &self.role {
            Role::Follower(follower) => {
                follower.leader().is_some() && self.election_min_before(now) < self.timer.heard
            }
            Role::Leader(_) => self.leads_with_quorum(now),
            Role::PreCandidate(_) | Role::Candidate(_) => false,
        }
    }

    pub(super) fn election_min_before(&self, now: Instant) -> Instant {
        let min_ms = self.settings.timing.election_min_ms;
        Instant(now.0.saturating_sub(Instant(0).plus_millis(min_ms).0))
    }
}
