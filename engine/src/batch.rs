//! The replicated unit as consensus and storage see it: a header, and commands as opaque bytes.

use alloc::{sync::Arc, vec::Vec};

use crate::ids::{Ballot, Epoch, Slot, WallTime, Zxid};

/// What a batch is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BatchKind {
    /// Commands of clients, and of the leader's clock.
    Commands,
    /// The first batch of a ballot: starts `epoch`, carries no command, takes no zxid (R3).
    NewEpoch,
}

/// Everything about a batch that decides its place in the log. The same on every replica.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct BatchHeader {
    /// Position in the replicated log.
    pub slot: Slot,
    /// The ballot under which the batch was first proposed. (slot, origin) names its content.
    pub origin: Ballot,
    /// What it is for.
    pub kind: BatchKind,
    /// The epoch its zxids belong to.
    pub epoch: Epoch,
    /// The zxid of its first command that takes one; where none does, the zxid that the next will
    /// take.
    pub first_zxid: Zxid,
    /// How many of its commands take a zxid.
    pub zxid_count: u32,
    /// How many commands it has.
    pub command_count: u32,
    /// The leader's clock, non-decreasing along the log (I10).
    pub time: WallTime,
    /// `hash` of the batch at the slot before.
    pub previous_hash: u128,
    /// Content of the whole log up to here: xxh3-128 over this header (with `hash` as zero) and the
    /// payload. I5: equal (slot, origin) has equal `hash`.
    pub hash: u128,
}

impl BatchHeader {
    /// The last zxid given out once this batch is applied.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        // One before `first_zxid` is the last zxid of the batch before, or counter 0 of the epoch.
        Zxid(self.first_zxid.0 - 1 + i64::from(self.zxid_count))
    }
}

/// One slot's worth of the log.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Batch {
    /// Where it belongs.
    pub header: BatchHeader,
    /// The commands, as `state::command` encodes them, back to back.
    pub payload: Arc<[u8]>,
}

/// Encoded commands that wait for a batch, and what a sequencer must know of them.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Commands {
    /// Encoded commands, back to back.
    pub bytes: Vec<u8>,
    /// Where each command ends in `bytes`.
    pub ends: Vec<CommandEnd>,
}

/// The end of one command in `Commands::bytes`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CommandEnd {
    /// Offset of the first byte after the command.
    pub end: u32,
    /// Whether it takes a zxid: all do but those that clients cannot see, such as attach.
    pub takes_zxid: bool,
}

impl Commands {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
