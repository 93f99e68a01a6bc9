//! Which situations a run has met. One that never happens in many runs is a hole in the simulator,
//! not a virtue of what it simulates.

use alloc::{vec, vec::Vec};

use crate::{consensus::message::Message, replica::message::PeerMessage};

/// Whether a situation can be met in every kind of world.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Any world has it.
    Anything,
    /// Only with more than one voter.
    Cluster,
    /// Nothing: it should not happen, and is no mistake if it does.
    Never,
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
    /// A cluster was formed.
    Formation, Cluster;
    /// A replica came to lead.
    Election, Cluster;
    /// A batch took the place of others in a log.
    Truncation, Cluster;
    /// A promise came with batches that the candidate did not have.
    PromisedTail, Cluster;
    /// A follower's log had something else where the leader's batches belong.
    Mismatch, Cluster;
    /// A claim was refused, because a higher ballot was promised or too much is not in memory.
    Reject, Cluster;
    /// Commands went to a leader elsewhere.
    Forward, Cluster;
    /// A follower told the leader whose sessions are alive.
    Touched, Cluster;
    /// What was under way when an epoch ended was submitted to the next leader.
    Reforward, Cluster;
    /// Decided batches were read from a log for somebody who lacked them.
    FetchAnswered, Cluster;
    /// A snapshot was offered in the place of batches that are gone.
    SnapshotOffered, Cluster;
    /// A chunk of a snapshot was sent.
    ChunkSent, Cluster;
    /// A snapshot of another replica took the place of State and log.
    SnapshotInstalled, Cluster;
    /// A snapshot of another replica was not what it should be.
    UnsoundSnapshot, Never;
    /// A follower asked the leader for a read index.
    ReadAsked, Cluster;
    /// A leader handed over.
    TakeOver, Cluster;
    /// A replica without a known data directory asked to be admitted.
    Newcomer, Cluster;
    /// It was.
    Admission, Cluster;
    /// Other members were decided.
    MembersChanged, Cluster;
    /// A feature level was decided that every voter knows.
    LevelRaised, Anything;
    /// A server found that the cluster uses a feature level that it does not know.
    TooOld, Never;
    /// A server lost its directory.
    Wipe, Cluster;
    /// A server with a damaged log began anew.
    DamageWiped, Cluster;
    /// A write went to another place of the disk.
    Misdirected, Cluster;
    /// The link to a killed process was closed.
    LinkClosed, Cluster;
    /// The network was parted.
    Partition, Cluster;
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

    /// A replica says something to another one.
    pub fn said(&mut self, message: &PeerMessage) {
        let situation = match message {
            PeerMessage::Forward(_) => Situation::Forward,
            PeerMessage::Touched { .. } => Situation::Touched,
            PeerMessage::Consensus(Message::Promise { tail, .. }) if !tail.is_empty() => {
                Situation::PromisedTail
            }
            PeerMessage::Consensus(Message::Mismatch { .. }) => Situation::Mismatch,
            PeerMessage::Consensus(Message::Reject { .. }) => Situation::Reject,
            PeerMessage::Consensus(Message::AskRead { .. }) => Situation::ReadAsked,
            PeerMessage::Consensus(Message::TakeOver { .. }) => Situation::TakeOver,
            PeerMessage::Consensus(Message::Newcomer { .. }) => Situation::Newcomer,
            _ => return,
        };
        self.count(situation);
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
        let can_be = |needs| match needs {
            Needs::Anything => true,
            Needs::Cluster => 1 < voters_max,
            Needs::Never => false,
        };
        let all = Situation::ALL.iter();
        all.filter(|(situation, needs)| can_be(*needs) && self.of(*situation) == 0)
            .map(|(situation, _)| *situation)
            .collect()
    }
}
