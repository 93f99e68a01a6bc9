//! Which situations a run has met. One that never happens in many runs is a hole in the simulator,
//! not a virtue of what it simulates.

use alloc::{vec, vec::Vec};

/// Whether a situation can be met in every kind of world.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Any world has it.
    Anything,
    /// Only with more than one voter.
    Cluster,
}

macro_rules! situations {
    ($($(#[$doc:meta])* $name:ident, $needs:ident;)*) => {
        /// Something that must happen now and then.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Situation {
            $($(#[$doc])* $name,)*
        }

        impl Situation {
            /// All of them, with what each needs.
            pub const ALL: &[(Self, Needs)] = &[$((Self::$name, Needs::$needs),)*];
        }
    };
}

situations! {
    /// A process was killed; what had completed on its disk stayed.
    Kill, Anything;
    /// The power of a machine went.
    PowerCut, Anything;
    /// A process died while it opened its directory.
    DeathWhileOpening, Anything;
    /// A process died in the middle of an operation of its disk.
    DeathAtOperation, Anything;
    /// A disk reported an error, and its process ended.
    IoError, Anything;
    /// A disk stood still for a while.
    DiskStall, Anything;
    /// A power cut left parts of a write.
    TornWrite, Anything;
    /// A power cut took a completed write.
    LostWrite, Anything;
    /// A log ended in a write that was cut short.
    TornTail, Anything;
    /// A log that was damaged was found to be.
    DamagedLog, Anything;
    /// A snapshot that had rotted was left aside.
    RottenSnapshot, Anything;
    /// One of two superblocks could not be read.
    LostSuperblock, Anything;
    /// A start found records behind its snapshot.
    Replay, Anything;
    /// The log went on in another segment.
    Roll, Anything;
    /// A witness was written behind an idle log.
    Pad, Anything;
    /// A snapshot was written.
    Snapshot, Anything;
    /// A start had a snapshot.
    SnapshotLoaded, Anything;
    /// A read index was answered.
    ReadIndex, Anything;
    /// A session was taken over by another connection.
    SessionMove, Anything;
    /// A command of a connection that does not own its session any more was refused.
    SessionMovedError, Cluster;
    /// A session expired.
    Expiry, Anything;
    /// A watch event was sent.
    WatchEvent, Anything;
    /// A container or TTL znode was proposed to be deleted.
    Reaped, Anything;
    /// The wall clock of a machine jumped.
    ClockJump, Anything;
    /// A batch had more than one command.
    LargeBatch, Anything;
}

/// How often each situation happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Coverage {
    counts: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { counts: vec![0; Situation::ALL.len()] }
    }
}

impl Coverage {
    /// It happened.
    pub fn count(&mut self, situation: Situation) {
        self.counts[situation as usize] += 1;
    }

    /// It happened so often.
    pub fn count_many(&mut self, situation: Situation, count: u64) {
        self.counts[situation as usize] += count;
    }

    /// How often it happened.
    #[must_use]
    pub fn of(&self, situation: Situation) -> u64 {
        self.counts[situation as usize]
    }

    /// Adds what another run has met.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// What never happened, of what can happen with so many voters at most.
    #[must_use]
    pub fn missing(&self, voters_max: usize) -> Vec<Situation> {
        let can_be = |needs| needs == Needs::Anything || 1 < voters_max;
        let all = Situation::ALL.iter();
        all.filter(|(situation, needs)| can_be(*needs) && self.of(*situation) == 0)
            .map(|(situation, _)| *situation)
            .collect()
    }
}
