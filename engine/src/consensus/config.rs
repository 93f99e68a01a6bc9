//! Who votes, and what all members of the cluster can do: a value that the log carries (R10 and
//! membership), in batches of a kind of their own.

use alloc::{sync::Arc, vec::Vec};

use crate::ids::{Incarnation, ReplicaId};

/// Most members of a cluster, so that a configuration fits into a block of the disk.
pub const MEMBERS_MAX: usize = 100;

/// A replica with a vote, or, as an observer, without one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Voter {
    /// Which replica.
    pub id: ReplicaId,
    /// Which data directory. A replica whose directory was lost comes back with another one and
    /// has no vote until it is admitted anew (R10). 0: nobody yet; the place is kept for the first
    /// that comes.
    pub incarnation: Incarnation,
}

/// The configuration of the cluster.
///
/// Invariant: voters and observers are sorted by id, and no id occurs twice.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Config {
    /// The cluster, by the number that was drawn when it was formed. 0: not formed.
    pub cluster: u128,
    /// What applying a command may rely on: raised once every voter knows how.
    pub feature_level: u16,
    voters: Vec<Voter>,
    observers: Vec<Voter>,
}

impl Config {
    /// The cluster of `voters`, which must not be empty nor name a replica twice.
    #[must_use]
    pub fn new(voters: Vec<Voter>) -> Self {
        assert!(!voters.is_empty(), "a cluster has a voter");
        Self::default().with_members(voters, Vec::new())
    }

    /// No cluster yet: nobody votes, so nothing can be decided.
    #[must_use]
    pub fn unformed() -> Self {
        Self::default()
    }

    /// The same cluster with other members.
    #[must_use]
    pub fn with_members(&self, mut voters: Vec<Voter>, mut observers: Vec<Voter>) -> Self {
        voters.sort_by_key(|voter| voter.id);
        observers.sort_by_key(|observer| observer.id);
        let config = Self { voters, observers, ..*self };
        assert!(config.is_legal(), "a member is named once: {config:?}");
        config
    }

    /// The same members, where `voter` takes the place of whoever has its id.
    #[must_use]
    pub fn with_incarnation(&self, voter: Voter) -> Self {
        let replace = |member: &Voter| if member.id == voter.id { voter } else { *member };
        let voters = self.voters.iter().map(replace).collect();
        self.with_members(voters, self.observers.clone())
    }

    /// The voters, by id.
    #[must_use]
    pub fn voters(&self) -> &[Voter] {
        &self.voters
    }

    /// The members without a vote, by id.
    #[must_use]
    pub fn observers(&self) -> &[Voter] {
        &self.observers
    }

    /// Whether `voter` may vote.
    #[must_use]
    pub fn has_vote(&self, voter: Voter) -> bool {
        self.voters.contains(&voter)
    }

    /// The voter with this id.
    #[must_use]
    pub fn voter(&self, id: ReplicaId) -> Option<Voter> {
        self.voters.iter().find(|voter| voter.id == id).copied()
    }

    /// Whether the cluster was formed.
    #[must_use]
    pub fn is_formed(&self) -> bool {
        !self.voters.is_empty()
    }

    fn is_legal(&self) -> bool {
        let is_unique = |members: &[Voter]| members.is_sorted_by(|a, b| a.id < b.id);
        let votes = |observer: &Voter| self.voter(observer.id).is_some();
        self.voters.len() + self.observers.len() <= MEMBERS_MAX
            && is_unique(&self.voters)
            && is_unique(&self.observers)
            && !self.observers.iter().any(votes)
    }

    /// As bytes: cluster, feature level, number of voters, voters, observers. Little endian.
    #[must_use]
    pub fn encode(&self) -> Arc<[u8]> {
        let mut bytes = Vec::new();
        bytes.extend(self.cluster.to_le_bytes());
        bytes.extend(self.feature_level.to_le_bytes());
        let count = u16::try_from(self.voters.len()).expect("at most MEMBERS_MAX");
        bytes.extend(count.to_le_bytes());
        for member in self.voters.iter().chain(&self.observers) {
            bytes.extend(member.id.0.to_le_bytes());
            bytes.extend(member.incarnation.0.to_le_bytes());
        }
        bytes.into()
    }

    /// Reads what [`Self::encode`] wrote. `None` for anything else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (cluster, rest) = bytes.split_first_chunk::<16>()?;
        let (feature_level, rest) = rest.split_first_chunk::<2>()?;
        let (count, rest) = rest.split_first_chunk::<2>()?;
        let (members, end) = rest.as_chunks::<18>();
        let member = |bytes: &[u8; 18]| {
            let (id, incarnation) = bytes.split_first_chunk::<2>()?;
            let incarnation = u128::from_le_bytes(incarnation.try_into().ok()?);
            let id = ReplicaId(u16::from_le_bytes(*id));
            Some(Voter { id, incarnation: Incarnation(incarnation) })
        };
        let members: Vec<Voter> = members.iter().map(member).collect::<Option<_>>()?;
        let (voters, observers) =
            members.split_at_checked(usize::from(u16::from_le_bytes(*count)))?;
        let config = Self {
            cluster: u128::from_le_bytes(*cluster),
            feature_level: u16::from_le_bytes(*feature_level),
            voters: voters.to_vec(),
            observers: observers.to_vec(),
        };
        (end.is_empty() && config.is_legal()).then_some(config)
    }
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn member() -> impl Strategy<Value = Voter> {
        (0_u16..9, any::<u128>()).prop_map(|(id, incarnation)| Voter {
            id: ReplicaId(id),
            incarnation: Incarnation(incarnation),
        })
    }

    fn unique(mut members: Vec<Voter>, taken: &[Voter]) -> Vec<Voter> {
        members.sort_by_key(|member| member.id);
        members.dedup_by_key(|member| member.id);
        members.retain(|member| !taken.iter().any(|other| other.id == member.id));
        members
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            cluster: u128,
            feature_level: u16,
            voters in prop::collection::vec(member(), 0..8),
            observers in prop::collection::vec(member(), 0..4),
        ) {
            let voters = unique(voters, &[]);
            let observers = unique(observers, &voters);
            let config = Config { cluster, feature_level, ..Config::default() }
                .with_members(voters, observers);
            prop_assert_eq!(Config::decode(&config.encode()), Some(config));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(config) = Config::decode(&bytes) {
                prop_assert_eq!(&config.encode()[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn a_member_twice_is_refused() {
        let one = Voter { id: ReplicaId(1), incarnation: Incarnation(7) };
        let twice = Config { voters: vec![one, one], ..Config::default() };
        assert_eq!(Config::decode(&twice.encode()), None);
        let both = Config { voters: vec![one], observers: vec![one], ..Config::default() };
        assert_eq!(Config::decode(&both.encode()), None);
    }
}
