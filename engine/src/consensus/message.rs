//! What replicas say to each other. A message is not answered by its sender's state of mind: every
//! one carries the ballot that it belongs to, and is judged by whoever receives it.
//!
//! The link that carries a message has made sure that both ends are of the same cluster, and says
//! which voter it comes from, with its incarnation.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    batch::{Base, Batch},
    ids::{Ballot, Slot},
};

/// Where a log ends. Of two logs the fresher one is greater: the later origin, then the longer log.
/// With equal ends, logs are equal (I5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogEnd {
    /// The ballot under which the last batch was first proposed.
    pub origin: Ballot,
    /// The last slot.
    pub slot: Slot,
}

impl LogEnd {
    pub(super) fn of(base: &Base) -> Self {
        Self { origin: base.origin, slot: base.slot }
    }
}

/// What one replica says to another.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Message {
    /// Would you promise me `ballot`? Changes nothing at whoever is asked.
    PreVote {
        /// What would be claimed.
        ballot: Ballot,
        /// The commit slot of whoever asks.
        commit: Slot,
    },
    /// The answer.
    PreVoteAnswer {
        /// The ballot that was asked for.
        ballot: Ballot,
        /// Whether it would.
        is_granted: bool,
        /// What the answerer has promised, so that the next claim is above.
        promised: Ballot,
        /// The commit slot of the answerer, who may know more.
        commit: Slot,
    },
    /// Phase 1: promise me `ballot`.
    Prepare {
        /// What is claimed.
        ballot: Ballot,
        /// Where the log of the candidate ends.
        end: LogEnd,
        /// The commit slot of the candidate.
        commit: Slot,
    },
    /// I ignore lower ballots from now on, and this is what I have accepted.
    Promise {
        /// What is promised.
        ballot: Ballot,
        /// Where the voter's log ends.
        end: LogEnd,
        /// The commit slot of the voter.
        commit: Slot,
        /// The voter's log behind the candidate's commit slot, if its end is greater than the
        /// candidate's; nothing otherwise.
        tail: Vec<Arc<Batch>>,
    },
    /// A lower ballot than mine, or a candidate that is too far behind to be told my log.
    Reject {
        /// What the sender has promised.
        promised: Ballot,
        /// The commit slot of the sender.
        commit: Slot,
    },
    /// Phase 2: store these batches behind `previous`.
    Accept {
        /// Whose log it is.
        ballot: Ballot,
        /// What must stand before the first batch.
        previous: LogEnd,
        /// Successive batches of the leader's log. None: a probe.
        batches: Vec<Arc<Batch>>,
        /// The commit slot of the leader. Bounds what an acceptor has beyond it (R5).
        commit: Slot,
    },
    /// The leader's log is on my disk up to `stored`, under its ballot.
    Accepted {
        /// Whose log.
        ballot: Ballot,
        /// Up to where.
        stored: Slot,
    },
    /// My log does not have what should stand before your batches.
    Mismatch {
        /// Whose batches.
        ballot: Ballot,
        /// Up to here all logs are alike.
        commit: Slot,
    },
    /// The commit slot, when there is no batch to carry it.
    Commit {
        /// Who leads.
        ballot: Ballot,
        /// Its commit slot.
        commit: Slot,
    },
    /// The leader is there.
    Heartbeat {
        /// Who leads.
        ballot: Ballot,
        /// Its commit slot.
        commit: Slot,
        /// Which of its heartbeats.
        round: u64,
        /// Whether the leader hears a quorum. One that does not is no reason to wait for it (R7).
        has_quorum: bool,
        /// Whether the receiver lacks what the leader has no longer in memory: it must fetch.
        must_fetch: bool,
    },
    /// I have promised nothing above the leader's ballot.
    HeartbeatAck {
        /// Who leads.
        ballot: Ballot,
        /// Which heartbeat.
        round: u64,
        /// The commit slot of the follower.
        commit: Slot,
    },
    /// Send me decided batches from here on. Any replica may ask any other.
    Fetch {
        /// The first slot that is missing.
        first: Slot,
    },
    /// Decided batches, successive.
    Fetched {
        /// They were decided under this ballot or lower ones. Whoever takes them promises it: what
        /// is known to be decided never comes from a ballot above the promise. (A voter that knew
        /// more than its promise would tell it to a candidate whose log need not have it.)
        ballot: Ballot,
        /// They.
        batches: Vec<Arc<Batch>>,
    },
}
