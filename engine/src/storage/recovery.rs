//! What a log says after a restart.

use alloc::{sync::Arc, vec::Vec};

use super::Base;
use crate::{
    batch::Batch,
    ids::{Ballot, LogPos, Slot},
};

/// What the log holds, for the replica.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// The highest ballot that was promised, by a promise or by accepting.
    pub promised: Ballot,
    /// The ballot under which the last batch was accepted.
    pub accepted: Ballot,
    /// The position of the last append. The next one is `appended.next()`; everything up to here
    /// is durable.
    pub appended: LogPos,
    /// What the State that the caller loaded contains: the snapshot's end of the log, or the empty
    /// log.
    pub base: Base,
    /// The batches after `base`, in slot order, without a gap.
    pub batches: Vec<Arc<Batch>>,
    /// The highest commit slot that a record knew of. Not a bound on anything.
    pub commit_hint: Slot,
}

impl Recovered {
    /// The end of the log.
    #[must_use]
    pub fn last(&self) -> Base {
        self.batches.last().map_or(self.base, |batch| Base::of(&batch.header))
    }
}
