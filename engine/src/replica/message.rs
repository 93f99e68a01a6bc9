//! What replicas say to each other, and what a driver needs to answer.

use alloc::{sync::Arc, vec::Vec};

use super::forwards::{Forward, Forwarded};
use crate::{
    batch::Base,
    consensus::{config::Voter, message::Message},
    ids::{SessionId, Slot},
};

/// What one replica says to another.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PeerMessage {
    /// About the log.
    Consensus(Message),
    /// Commands for the leader.
    Forward(Forward),
    /// Its answer.
    Forwarded(Forwarded),
    /// Sessions that a follower has heard of, for the leader's timers.
    Touched {
        /// Which.
        sessions: Vec<SessionId>,
    },
    /// Send me a chunk of the snapshot that you have offered. No answer to one behind the last.
    Pull {
        /// Of which slot it is.
        slot: Slot,
        /// Which chunk, from 0.
        number: u32,
    },
    /// The answer.
    Chunk(Chunk),
}

/// A message on its way. A link knows both ends, and drops what is for another incarnation.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Envelope {
    /// Who says it.
    pub from: Voter,
    /// To whom.
    pub to: Voter,
    /// What.
    pub message: PeerMessage,
}

/// A chunk of a snapshot that another replica asks for: the driver reads it and sends it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Pull {
    /// Who wants it.
    pub to: Voter,
    /// Of which slot the snapshot is.
    pub slot: Slot,
    /// Which chunk, from 0.
    pub number: u32,
}

/// A part of a snapshot. Chunks are parts of the State alone, not of whose file it is in: those of
/// one slot are the same at every replica that has a snapshot of it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Chunk {
    /// Of which slot the snapshot is.
    pub slot: Slot,
    /// Which chunk, from 0.
    pub number: u32,
    /// Whether the snapshot ends with it.
    pub is_last: bool,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// The driver's word on a snapshot of which it has written every chunk.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Received {
    /// Which.
    pub base: Base,
    /// Whether it is whole, sound and durable. Otherwise it is forgotten, and may be offered again.
    pub is_sound: bool,
}
