//! What crosses from thread to thread: every message of every mailbox, in one place.
//!
//! A batch of commands is one message, and what is shared is immutable behind an `Arc`. A question
//! carries the mailbox that wants the answer, so anybody may ask: a connection that was sent a
//! four-letter word, or an admin thread.

use std::{path::PathBuf, sync::Arc};

use ringkeeper_engine::{
    batch::{Base, Commands},
    ids::{Instant, SessionId, Slot, WallTime},
    shared_bytes::SharedStr,
    state::command::Committed,
};

use crate::{
    mailbox::Sender,
    metrics::{ConnectionReport, NamespaceReport, ReplicaStats, ShardStats, WatchReport},
};

/// Which shard, counted from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ShardId(pub(crate) u16);

/// One of a shard's questions for a read index, so that it finds the answer's place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SyncId(pub(crate) u64);

/// To a shard core.
pub(crate) enum ToShard {
    /// Decided commands, in slot order, without a gap.
    Committed(Arc<Committed>),
    /// Everything that was committed anywhere when the question `id` (or one before it) was asked
    /// is in slots up to `slot`.
    ReadIndex {
        /// Of the newest question that this answers.
        id: SyncId,
        /// What must be applied before the answer may be used.
        slot: Slot,
    },
    /// Whether new commands are refused, because the disk is almost full.
    WritesRefused(bool),
    /// A question about this shard.
    Ask {
        /// What.
        question: ShardQuestion,
        /// Where the answer goes; nobody waits for the send, so it must have room.
        reply: Sender<ShardAnswer>,
    },
    /// Close all connections, then end.
    Stop,
}

/// What can be asked of a shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ShardQuestion {
    /// Its connections.
    Connections,
    /// Its watches.
    Watches,
    /// Its counters.
    Stats,
    /// Start counting anew (`srst`), answering the counters before.
    ResetStats,
    /// Start counting anew for each connection (`crst`).
    ResetConnectionStats,
}

/// A shard's answer.
#[derive(Debug)]
pub(crate) enum ShardAnswer {
    /// To `Connections`.
    Connections(Vec<ConnectionReport>),
    /// To `Watches`.
    Watches(WatchReport),
    /// To `Stats` and `ResetStats`.
    Stats(Box<ShardStats>),
    /// To `ResetConnectionStats`.
    Done,
}

/// To the replica core.
pub(crate) enum ToReplica {
    /// Commands of one shard's turn, or of the archivist's reaper, in order.
    Commands(Commands),
    /// Sessions that a shard has heard of since its last message of this kind. Sent at regular
    /// intervals even if there are none: time passes for sessions only as far as all shards have
    /// reported.
    Touched {
        /// Who reports.
        shard: ShardId,
        /// What was heard until then is in `sessions`, or was in an earlier message.
        heard_until: Instant,
        /// Who was heard of.
        sessions: Vec<SessionId>,
    },
    /// What applying did to sessions, for the timers. Only shard 0 sends it: every shard sees the
    /// same.
    Sessions {
        /// Opened or attached, with their timeouts in milliseconds.
        opened: Vec<(SessionId, i32)>,
        /// Closed or expired.
        closed: Vec<SessionId>,
    },
    /// Asks for a read index; answered with `ToShard::ReadIndex`.
    Sync {
        /// Who asks.
        shard: ShardId,
        /// Which question.
        id: SyncId,
    },
    /// The archivist has written a snapshot: records before the one before it may go.
    SnapshotDone(SnapshotDone),
    /// The archivist could not write a snapshot.
    SnapshotFailed,
    /// A question about the replica.
    Ask {
        /// What.
        question: ReplicaQuestion,
        /// Where the answer goes; nobody waits for the send, so it must have room.
        reply: Sender<ReplicaAnswer>,
    },
    /// Finish what was accepted, then end.
    Stop,
}

/// A finished snapshot.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotDone {
    /// The log up to it.
    pub(crate) base: Base,
    /// When it was done, milliseconds since 1970.
    pub(crate) done_at: WallTime,
    /// The file.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// How long it took.
    pub(crate) took_ms: u64,
}

/// What can be asked of the replica core.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ReplicaQuestion {
    /// When which session expires if nothing is heard of it.
    Expiries,
    /// Its counters.
    Stats,
    /// Start counting anew.
    ResetStats,
}

/// The replica core's answer.
#[derive(Debug)]
pub(crate) enum ReplicaAnswer {
    /// To `Expiries`: milliseconds from now, soonest first, and the sessions of that bucket.
    Expiries(Vec<(i64, Vec<SessionId>)>),
    /// To `Stats` and `ResetStats`.
    Stats(Box<ReplicaStats>),
}

/// To the archivist.
pub(crate) enum ToArchivist {
    /// Decided commands, in slot order, without a gap.
    Committed(Arc<Committed>),
    /// The configuration in the batch of that kind that comes next, encoded.
    Config(Arc<[u8]>),
    /// Write a snapshot now: so much log was written since the last.
    Snapshot,
    /// A question about the whole tree or the disk.
    Ask {
        /// What.
        question: ArchivistQuestion,
        /// Where the answer goes; nobody waits for the send, so it must have room.
        reply: Sender<ArchivistAnswer>,
    },
    /// Finish the snapshot that is being written, or drop it, then end.
    Stop,
}

/// What can be asked of the archivist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ArchivistQuestion {
    /// Sessions and their ephemerals.
    Ephemerals,
    /// Sizes of the directories.
    DirectorySizes,
    /// The last snapshot.
    LastSnapshot,
    /// What there is to say of namespaces.
    Namespaces,
    /// Start counting anew.
    ResetStats,
}

/// The archivist's answer.
#[derive(Debug)]
pub(crate) enum ArchivistAnswer {
    /// To `Ephemerals`: each session that has some, with their paths.
    Ephemerals(Vec<(SessionId, Vec<SharedStr>)>),
    /// To `DirectorySizes`.
    DirectorySizes {
        /// Bytes of snapshots.
        data_bytes: u64,
        /// Bytes of log segments.
        log_bytes: u64,
    },
    /// To `LastSnapshot`.
    LastSnapshot(Option<SnapshotDone>),
    /// To `Namespaces`.
    Namespaces(Box<NamespaceReport>),
    /// To `ResetStats`.
    Done,
}
