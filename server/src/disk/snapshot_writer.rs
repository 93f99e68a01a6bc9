//! Writing snapshots beside a busy log: direct I/O, a limited rate, visible only when complete.

use std::{io, path::PathBuf, time::Duration};

use ringkeeper_engine::storage::{Base, snapshot_file::SnapshotMeta};

/// Where snapshots are. Clones are the same place.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotDirectory(());

impl SnapshotDirectory {
    /// Starts a snapshot of the log up to `base`. Blocks, as everything here.
    pub(crate) fn create(&self, base: Base) -> io::Result<SnapshotWriter> {
        let _ = base;
        unimplemented!()
    }

    /// Bytes of all snapshots, and of all log segments.
    pub(crate) fn sizes(&self) -> io::Result<(u64, u64)> {
        unimplemented!()
    }
}

/// A snapshot that is being written. Dropped before `finish`, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct SnapshotWriter(());

impl SnapshotWriter {
    /// Adds a chunk of `state::snapshot::Writer`. Returns how long the caller should do other
    /// things before the next one, so that the log gets its share of the disk.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> io::Result<Duration> {
        let _ = chunk;
        unimplemented!()
    }

    /// Makes the snapshot durable and gives it its name. Then append
    /// `AppendKind::Snapshot { base }`: once that is durable, the log writer has older snapshots
    /// and the log before them removed.
    pub(crate) fn finish(self, meta: SnapshotMeta) -> io::Result<WrittenSnapshot> {
        let _ = meta;
        unimplemented!()
    }
}

/// A finished snapshot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WrittenSnapshot {
    /// What it is of.
    pub(crate) meta: SnapshotMeta,
    /// The file.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) bytes: u64,
}
