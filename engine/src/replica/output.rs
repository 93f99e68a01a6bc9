//! What a step asks for.

use alloc::{sync::Arc, vec::Vec};

use crate::{batch::Batch, consensus::read_index::ReadIndex, ids::SessionId, storage::Append};

/// What the driver has to carry out, in any order and without waiting. It empties what it has
/// carried out before the next step.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Output {
    /// For the log, in order.
    pub appends: Vec<Append>,
    /// Decided batches, in slot order without a gap. They may be shown to anybody: what makes them
    /// final is durable.
    pub committed: Vec<Arc<Batch>>,
    /// Answers every question for a read index up to its id.
    pub read: Option<ReadIndex>,
    /// Sessions of which nothing was heard for their timeouts. The driver proposes to close them;
    /// they have no timer any more.
    pub expired: Vec<SessionId>,
}
