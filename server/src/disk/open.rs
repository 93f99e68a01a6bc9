//! Opening a data directory: lock, checks, recovery, and a new segment to go on in.

use std::{fmt, path::PathBuf};

use ringkeeper_engine::storage::{recovery::Recovered, snapshot_file::SnapshotMeta};

use super::{
    DiskConfig, log_writer::LogWriter, segments::Segments, snapshot_writer::SnapshotDirectory,
};

/// Builds what a snapshot is of from its bytes. `state::snapshot::Loader` does.
pub(crate) trait LoadSnapshot: Sized {
    /// What is built.
    type State;
    /// Why bytes cannot be what was written.
    type Error: fmt::Display;
    /// Starts with nothing.
    fn start() -> Self;
    /// Takes the next bytes.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// All bytes were pushed.
    fn finish(self) -> Result<Self::State, Self::Error>;
}

/// An open data directory.
pub(crate) struct Opened<S> {
    /// Keeps other processes out; hold it as long as anything else of this is used.
    pub(crate) lock: DirectoryLock,
    /// For `Replica::recover`.
    pub(crate) recovered: Recovered,
    /// The State that `recovered.base` speaks of; `None`: start with the empty one.
    pub(crate) snapshot: Option<(SnapshotMeta, S)>,
    /// To be run on the replica core.
    pub(crate) log: LogWriter,
    /// The segments thread, already at work.
    pub(crate) segments: Segments,
    /// For the archivist.
    pub(crate) snapshots: SnapshotDirectory,
    /// Segments in use: with more than a few, a snapshot soon shortens the next start.
    pub(crate) segment_count: usize,
}

/// The locks of the directories. Dropping it gives them free.
#[derive(Debug)]
pub(crate) struct DirectoryLock(());

/// Why a data directory cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// It belongs to Apache ZooKeeper.
    #[error("{path} holds data of Apache ZooKeeper: choose an empty directory (dataDir)")]
    ApacheData {
        /// What was found.
        path: PathBuf,
    },
}

/// Locks, checks and recovers the directories of `config`, and rolls to a new segment. The log is
/// ready for appends when this returns. Blocks; reports progress as traces.
pub(crate) fn open<L: LoadSnapshot>(config: &DiskConfig) -> Result<Opened<L::State>, OpenError> {
    let _ = config;
    unimplemented!()
}
