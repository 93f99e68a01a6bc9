//! What a step takes in.

use alloc::vec::Vec;

use crate::{
    batch::{Base, Commands},
    consensus::read_index::ReadId,
    ids::{Instant, LogPos, SessionId, WallTime},
};

/// What has happened since the last step. Emptied by the step and filled again by the driver, so
/// that its vectors keep their room.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Input {
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock.
    pub wall: WallTime,
    /// Every append up to here is on the disk.
    pub durable: LogPos,
    /// Commands to be replicated, in order; those of one submitter in the order in which it sent
    /// them.
    pub commands: Vec<Commands>,
    /// Sessions that were opened or attached, with their timeouts in milliseconds. Each starts with
    /// its full timeout.
    pub opened: Vec<(SessionId, i32)>,
    /// Sessions that were heard of, and when at the latest.
    pub touched: Vec<(SessionId, Instant)>,
    /// Sessions that are closed.
    pub closed: Vec<SessionId>,
    /// Everybody who hears of sessions has reported what it heard until then: the oldest of their
    /// last reports. No session expires by what was not reported. Reports must come more often than
    /// every quarter of the shortest timeout.
    pub heard_until: Instant,
    /// The newest question for a read index, if there are new ones.
    pub read: Option<ReadId>,
    /// A snapshot was written.
    pub snapshot: Option<Base>,
}
