//! What a step takes in.

use alloc::vec::Vec;

use super::message::{Envelope, Received};
use crate::{
    batch::{Base, Commands},
    consensus::{config::Config, read_index::ReadId},
    ids::{Epoch, Instant, LogPos, ReplicaId, SessionId, WallTime},
};

/// What has happened since the last step. Emptied by the step and filled again by the driver, so
/// that its vectors keep their room.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Input {
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock.
    pub wall: WallTime,
    /// Any number, another one in every step: when elections are is chance.
    pub random: u64,
    /// Every append up to here is on the disk.
    pub durable: LogPos,
    /// Commands to be replicated, in order; those of one submitter in the order in which it sent
    /// them.
    pub commands: Vec<Commands>,
    /// What the leader of an epoch has found to do: sessions to close, znodes that are due. Dropped
    /// unless this replica leads that epoch ([`Output::leading`](super::Output::leading)).
    pub housekeeping: Vec<(Epoch, Commands)>,
    /// What other replicas say, in the order in which it came.
    pub messages: Vec<Envelope>,
    /// Replicas that have closed the link to this one.
    pub links_closed: Vec<ReplicaId>,
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
    /// A snapshot was written, and the log is durable up to it.
    pub snapshot: Option<Base>,
    /// All chunks of a snapshot that another replica sent were written.
    pub received: Option<Received>,
    /// This replica is about to stop: if it leads, somebody else should.
    pub hand_over: bool,
    /// The cluster should have this configuration. Nothing happens unless this replica leads, and
    /// no other change is under way.
    pub reconfigure: Option<Config>,
}
