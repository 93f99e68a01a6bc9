//! Positions and names, each a type of its own so that no two can be swapped.

use core::fmt;

/// The number of one client-visible command: `epoch << 32 | counter`, a function of the log alone.
/// 0 means none. Signed because the wire has it signed (jute: `long`).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The zxid before every command.
    pub const NONE: Self = Self(0);

    /// The zxid of `epoch` with `counter`; counter 0 is the start of an epoch and names no command.
    #[must_use]
    pub fn new(epoch: Epoch, counter: u32) -> Self {
        Self((i64::from(epoch.0) << 32) | i64::from(counter))
    }

    /// The epoch: the upper 32 bits.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        Epoch(u32::try_from(self.0 >> 32).expect("epoch < 2^31"))
    }

    /// The counter: the lower 32 bits.
    #[must_use]
    pub fn counter(self) -> u32 {
        u32::try_from(self.0 & 0xffff_ffff).expect("32 bits")
    }

    /// The zxid `count` commands later. The counter must not overflow: the leader starts a new
    /// epoch before it does.
    #[must_use]
    pub fn plus(self, count: u32) -> Self {
        let counter = self.counter().checked_add(count).expect("a new epoch before 2^32 commands");
        Self::new(self.epoch(), counter)
    }
}

impl fmt::Display for Zxid {
    /// As ZooKeeper's operators know it: `0x100000002`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The upper half of a zxid. Grows by one with every `NewEpoch` batch; stays below 2^31.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u32);

/// Position in the replicated log; holds one batch. Starts at 1; 0 means none.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slot(pub u64);

impl Slot {
    /// The slot after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// How many records this replica has ever appended to its own log. Local; 0 means none.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogPos(pub u64);

impl LogPos {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// One member of the cluster: the `N` of `server.N`, and of the `myid` file; 1 to 255, and 0 for a
/// standalone server without a `myid`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReplicaId(pub u16);

/// The right to lead, totally ordered, never two alike: round first, then replica.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ballot {
    /// Raised with every candidacy.
    pub round: u64,
    /// Who claims it.
    pub replica: ReplicaId,
}

/// One life of a replica's data directory: drawn at random when the directory is made. A replica
/// that lost its directory has lost its promises, and comes back as somebody else (R10).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Incarnation(pub u128);

/// One run of a replica's process, drawn at random when it starts. What it submits and asks is
/// counted within it, so that nothing of an earlier run is taken for its own. 0 is nobody: the
/// leader's own housekeeping.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Life(pub u64);

/// A client's session. On the wire a `long`; 0 asks for a new one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub i64);

impl SessionId {
    /// The first id that `replica` draws from a start on; it counts up from there. Chance decides,
    /// and no clock: clocks go back, and a replica may know nothing any more of sessions that it
    /// opened before it started. The upper byte says who drew it, as in Apache ZooKeeper.
    #[must_use]
    pub fn first(replica: ReplicaId, chance: u64) -> Self {
        // One bit less than there is room for, so that counting up stays below the upper byte.
        let chance = i64::try_from(chance >> 9).expect("55 bits");
        Self((i64::from(replica.0) << 56) | chance)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A client's request number, echoed in the reply. Opaque; negative ones are reserved.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Xid(pub i32);

/// Who may act for a session: a number that the serving connection drew at random when it created
/// or attached the session. A command of an earlier owner is refused by its order in the log.
/// 0 means nobody.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Owner(pub u64);

/// A reading of the monotonic clock in nanoseconds since an arbitrary start. Comes in as data.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(pub u64);

impl Instant {
    /// This instant plus `millis` milliseconds.
    #[must_use]
    pub fn plus_millis(self, millis: u64) -> Self {
        Self(self.0 + millis * 1_000_000)
    }
}

/// Wall-clock time in milliseconds since 1970, as the leader stamped it into a batch.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WallTime(pub i64);
