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
    /// The monotonic clock. A replica must step at least every `expiry::STEP_EVERY_MS`, with
    /// nothing else to say if need be: longer gaps count as this replica's own absence.
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
    /// Sessions that were heard of.
    pub touched: Vec<SessionId>,
    /// Sessions that are closed.
    pub closed: Vec<SessionId>,
    /// Whether `touched` holds what everybody who hears of sessions had to say until shortly before
    /// `now`. While it does not, time stands still for sessions.
    pub is_everyone_heard: bool,
    /// The newest question for a read index, if there are new ones.
    pub read: Option<ReadId>,
    /// A snapshot was written.
    pub snapshot: Option<Base>,
}
