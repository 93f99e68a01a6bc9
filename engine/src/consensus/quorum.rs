//! Majorities of voters. Pure questions; who is asked and why is the roles' matter.

use super::config::{Config, Voter};
use crate::ids::Slot;

/// Whether those voters of `config` for whom `has_agreed` are a quorum of it; `short` less are
/// enough (0, but for who breaks rules). A cluster that is not formed has none.
#[must_use]
pub(super) fn is_quorum(
    config: &Config,
    short: usize,
    has_agreed: impl Fn(&Voter) -> bool,
) -> bool {
    let voters = config.voters();
    let count = voters.iter().filter(|voter| has_agreed(voter)).count();
    !voters.is_empty() && quorum_count(voters.len()) <= count + short
}

/// The highest slot that a quorum of `config` has stored durably. A cluster that is not formed has
/// stored nothing.
#[must_use]
pub(super) fn stored_by_quorum(config: &Config, stored: impl Fn(&Voter) -> Slot + Clone) -> Slot {
    let stored = config.voters().iter().map(stored);
    if config.is_formed() { quorum_slot(&stored) } else { Slot(0) }
}

/// How many of `voter_count` voters are a quorum: any two quorums share a voter.
#[must_use]
pub fn quorum_count(voter_count: usize) -> usize {
    assert!(voter_count > 0, "a cluster has a voter");
    voter_count / 2 + 1
}

/// The highest slot that a quorum has stored durably, given how far each voter has come. Every
/// voter counts once, and none counts more than another: not even the leader, whose own disk is
/// one of the entries (R4).
#[must_use]
pub fn quorum_slot(durable: &(impl Iterator<Item = Slot> + Clone)) -> Slot {
    let needed = quorum_count(durable.clone().count());
    // Quadratic, for a handful of voters, and without an allocation.
    let is_held_by_quorum =
        |slot: &Slot| durable.clone().filter(|stored| stored >= slot).count() >= needed;
    durable.clone().filter(is_held_by_quorum).max().expect("the lowest of all is held by all")
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn quorum_slot_of(durable: &[u64]) -> u64 {
        quorum_slot(&durable.iter().map(|slot| Slot(*slot))).0
    }

    #[test]
    fn majorities_of_small_clusters() {
        let counts: Vec<usize> = (1..=7).map(quorum_count).collect();
        assert_eq!(counts, [1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn one_voter_is_its_own_quorum() {
        assert_eq!(quorum_slot_of(&[7]), 7);
    }

    #[test]
    fn two_voters_need_each_other() {
        assert_eq!(quorum_slot_of(&[7, 3]), 3);
    }

    #[test]
    fn the_slowest_minority_does_not_hold_back() {
        assert_eq!(quorum_slot_of(&[9, 0, 5]), 5);
        assert_eq!(quorum_slot_of(&[0, 0, 9, 9, 8]), 8);
    }

    proptest! {
        /// With n voters sorted upwards, the slot at (n-1)/2 is stored by the n - (n-1)/2 voters
        /// from there on, which is a majority; and the next higher one is not.
        #[test]
        fn agrees_with_sorting(durable in prop::collection::vec(0_u64..20, 1..8)) {
            let mut sorted = durable.clone();
            sorted.sort_unstable();
            prop_assert_eq!(quorum_slot_of(&durable), sorted[(sorted.len() - 1) / 2]);
        }
    }
}
