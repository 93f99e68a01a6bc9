//! What a step asks for.

use alloc::{sync::Arc, vec::Vec};

use super::message::{Chunk, PeerMessage, Pull};
use crate::{
    batch::{Base, Batch},
    consensus::{Fetch, config::Voter, read_index::ReadIndex},
    ids::{Epoch, SessionId},
    storage::Append,
};

/// What the driver has to carry out, in any order and without waiting. It empties what it has
/// carried out before the next step.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Output {
    /// For the log, in order.
    pub appends: Vec<Append>,
    /// For other replicas. May be lost, repeated and reordered.
    pub messages: Vec<(Voter, PeerMessage)>,
    /// Who lacks decided batches that are not in memory: the driver reads some of them from the log
    /// and sends one `Message::Fetched`; or, if the first is gone, `Message::Offer` of its newest
    /// snapshot.
    pub fetches: Vec<Fetch>,
    /// Who wants which chunk of a snapshot: the driver reads and sends it.
    pub pulls: Vec<Pull>,
    /// Chunks of another replica's snapshot, to be written to a file of their own, in order. Number
    /// 0 begins a new file. When the last is written, checked and durable: `Input::received`.
    pub chunks: Vec<Chunk>,
    /// The snapshot up to here takes the place of State and log. The driver loads State from it
    /// before it applies what is committed, and closes its clients' connections: what became of
    /// their commands is not known.
    pub installed: Option<Base>,
    /// The cluster uses this feature level, which this version does not know. The driver ends the
    /// process before it carries out anything of this step.
    pub too_old_for: Option<u16>,
    /// The epoch that this replica leads, if it does.
    pub leading: Option<Epoch>,
    /// Decided batches, in slot order without a gap. They may be shown to anybody: what makes them
    /// final is durable.
    pub committed: Vec<Arc<Batch>>,
    /// Answers every question for a read index up to its id.
    pub read: Option<ReadIndex>,
    /// Sessions of which nothing was heard for their timeouts. The driver proposes to close them;
    /// they have no timer any more.
    pub expired: Vec<SessionId>,
}
