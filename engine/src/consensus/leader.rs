//! Phase 2: a replica that a quorum has promised a ballot to decides what comes next.

use alloc::vec::Vec;

use super::{config::Config, quorum::quorum_slot};
use crate::ids::{Ballot, ReplicaId, Slot};

/// A replica that leads.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Leader {
    ballot: Ballot,
    /// The slot of the first batch that was proposed under `ballot`: a new epoch (R3). Everything
    /// from here on has `ballot` as its origin.
    first: Slot,
    /// How far each voter has stored this leader's log, durably. Sorted as the voters are.
    stored: Vec<(ReplicaId, Slot)>,
}

impl Leader {
    /// Leads under `ballot`, whose first batch takes the slot `first`.
    pub(super) fn new(ballot: Ballot, first: Slot, config: &Config) -> Self {
        let stored = config.voters().iter().map(|voter| (voter.id, Slot(0))).collect();
        Self { ballot, first, stored }
    }

    /// Notes that `voter` has stored this leader's log up to `slot`, durably. Its own disk speaks
    /// through here like anybody's (R4).
    pub(super) fn record_stored(&mut self, voter: ReplicaId, slot: Slot) {
        if let Some((_, stored)) = self.stored.iter_mut().find(|(id, _)| *id == voter) {
            // A late answer says less than is known.
            *stored = slot.max(*stored);
        }
    }

    /// The highest slot that may be decided; `None` while that is none of this ballot's. A batch of
    /// an earlier ballot is never decided by counting: a later leader may have replaced it
    /// elsewhere. It is decided with the first batch of this ballot behind it (R4).
    pub(super) fn committable(&self) -> Option<Slot> {
        let slot = quorum_slot(&self.stored.iter().map(|(_, slot)| *slot));
        (self.first <= slot).then_some(slot)
    }

    pub(super) fn ballot(&self) -> Ballot {
        self.ballot
    }

    pub(super) fn first(&self) -> Slot {
        self.first
    }
}
