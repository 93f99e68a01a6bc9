//! Phase 1: a replica claims a ballot and gathers promises for it.

use alloc::vec::Vec;

use super::{config::Config, quorum::quorum_count};
use crate::ids::{Ballot, LogPos, ReplicaId};

/// A replica that claims a ballot.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Candidate {
    ballot: Ballot,
    /// The record of the promise to itself.
    promise: LogPos,
    /// Who has promised, durably. Each voter once.
    promised_by: Vec<ReplicaId>,
}

impl Candidate {
    /// Claims `ballot`. The promise to itself is the append `promise` and counts for nothing yet.
    pub(super) fn new(ballot: Ballot, promise: LogPos) -> Self {
        Self { ballot, promise, promised_by: Vec::new() }
    }

    /// Counts the promise to itself if it is durable by now: a candidate that forgot its own
    /// promise in a crash could promise a lower ballot afterwards (R1, I3, I6).
    pub(super) fn record_durable(&mut self, durable: LogPos) {
        if self.promise <= durable {
            self.record_promise(self.ballot.replica);
        }
    }

    /// Counts the promise of a voter.
    pub(super) fn record_promise(&mut self, voter: ReplicaId) {
        if !self.promised_by.contains(&voter) {
            self.promised_by.push(voter);
        }
    }

    /// Whether a quorum has promised.
    pub(super) fn has_quorum(&self, config: &Config) -> bool {
        let voters = config.voters();
        let promised = voters.iter().filter(|voter| self.promised_by.contains(&voter.id));
        promised.count() >= quorum_count(voters.len())
    }

    pub(super) fn ballot(&self) -> Ballot {
        self.ballot
    }
}
