//! Who votes.

use alloc::vec::Vec;

use crate::ids::{Incarnation, ReplicaId};

/// A replica with a vote.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Voter {
    /// Which replica.
    pub id: ReplicaId,
    /// Which data directory. A replica whose directory was lost comes back with another one and
    /// has no vote until it is admitted anew (R10).
    pub incarnation: Incarnation,
}

/// The voters of the cluster.
///
/// Invariant: not empty, sorted by id, each id once.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Config {
    voters: Vec<Voter>,
}

impl Config {
    /// The cluster of `voters`, which must not be empty nor name a replica twice.
    #[must_use]
    pub fn new(mut voters: Vec<Voter>) -> Self {
        voters.sort_by_key(|voter| voter.id);
        assert!(!voters.is_empty(), "a cluster has a voter");
        assert!(voters.is_sorted_by(|a, b| a.id < b.id), "a voter is named once: {voters:?}");
        Self { voters }
    }

    /// The voters, by id.
    #[must_use]
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// Whether `voter` may vote.
    #[must_use]
    pub fn has_vote(&self, voter: Voter) -> bool {
        self.voters.contains(&voter)
    }
}
