//! Ballots: how a candidate finds one that was never used.

use crate::ids::{Ballot, ReplicaId};

/// Rounds have 48 bits on disk and on the wire. One per start or election: they do not run out.
const ROUND_MAX: u64 = (1 << 48) - 1;

impl Ballot {
    /// The lowest ballot of `replica` that is above `self`. Never used before if `self` is the
    /// highest ballot that `replica` has promised: its own earlier ones were promised too (I4).
    #[must_use]
    pub fn next(self, replica: ReplicaId) -> Self {
        assert!(self.round < ROUND_MAX, "rounds do not run out");
        Self { round: self.round + 1, replica }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_candidates_that_saw_the_same_ballot_take_different_ones() {
        let seen = Ballot { round: 4, replica: ReplicaId(2) };
        let [one, three] = [1, 3].map(|replica| seen.next(ReplicaId(replica)));
        assert!(seen < one && one < three);
    }
}
