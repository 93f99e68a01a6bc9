//! What replicas say to each other. A message is not answered by its sender's state of mind: every
//! one carries the ballot that it belongs to, and is judged by whoever receives it.
//!
//! The link that carries a message has made sure that both ends are of the same cluster. A message
//! goes from one data directory to one other: whoever has lost its own is somebody else (R10).

use alloc::{sync::Arc, vec::Vec};

use super::{config::Config, read_index::ReadId};
use crate::{
    batch::{Base, Batch},
    ids::{Ballot, Life, Slot},
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
        /// The highest feature level that the follower knows.
        feature_level: u16,
    },
    /// Campaign now: you have everything, and I am about to stop or too slow to lead.
    TakeOver {
        /// Who leads.
        ballot: Ballot,
    },
    /// Send me decided batches from here on. Any replica may ask any other; one without a vote is
    /// sent what is decided later, too.
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
        /// The commit slot of the sender: there is more if it is higher.
        commit: Slot,
    },
    /// What you want to fetch is not in my log any more: take this snapshot.
    Offer(Offer),
    /// I have a data directory that you do not know, and everything that is decided up to here.
    /// Goes to whoever leads: it admits a voter that has lost its disk (R10).
    Newcomer {
        /// The commit slot of the sender.
        commit: Slot,
    },
    /// Up to where must I have applied the log to see everything that is decided now? (R9)
    AskRead {
        /// In which of its lives the sender asks.
        life: Life,
        /// Its newest question. Implies all before it.
        id: ReadId,
    },
    /// The answer to a question and all before it.
    ReadAnswer {
        /// In which of its lives the receiver asked.
        life: Life,
        /// Which question.
        id: ReadId,
        /// Up to here.
        slot: Slot,
    },
}

impl Message {
    /// The ballot that the sender claims or leads, if it says so.
    pub(super) fn claims(&self) -> Option<Ballot> {
        match self {
            Self::PreVote { ballot, .. }
            | Self::Prepare { ballot, .. }
            | Self::Accept { ballot, .. }
            | Self::Commit { ballot, .. }
            | Self::Heartbeat { ballot, .. }
            | Self::TakeOver { ballot } => Some(*ballot),
            Self::PreVoteAnswer { .. }
            | Self::Promise { .. }
            | Self::Reject { .. }
            | Self::Accepted { .. }
            | Self::Mismatch { .. }
            | Self::HeartbeatAck { .. }
            | Self::Fetch { .. }
            | Self::Fetched { .. }
            | Self::Offer(_)
            | Self::Newcomer { .. }
            | Self::AskRead { .. }
            | Self::ReadAnswer { .. } => None,
        }
    }
}

/// A snapshot of decided batches.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Offer {
    /// It was decided under this ballot or lower ones: as with [`Message::Fetched`].
    pub ballot: Ballot,
    /// The end of the log that it holds.
    pub base: Base,
    /// The configuration there.
    pub config: Arc<Config>,
}
