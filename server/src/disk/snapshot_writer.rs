//! Writing snapshots beside a busy log: direct I/O, a limited rate, visible only when complete.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use ringkeeper_engine::storage::{
    Base,
    block::BLOCK_BYTES,
    snapshot_file::{Encoder, FRAME_BYTES_MAX, SnapshotMeta},
    standalone::Owner,
};

use super::{
    direct::{AlignedBuffer, DirectFile, rename},
    names,
};

/// A flush after so many bytes keeps the one at the end short: the log's flushes wait for it.
const FLUSH_BYTES: u64 = 8 << 20;

/// Where snapshots are. Clones are the same place.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotDirectory {
    pub(super) data_dir: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) owner: Owner,
    pub(super) bytes_per_second: u64,
}

impl SnapshotDirectory {
    /// Starts a snapshot of the log up to `base`. Blocks, as everything here.
    pub(crate) fn create(&self, base: Base) -> io::Result<SnapshotWriter> {
        let path = names::snapshot(&self.data_dir, base.slot);
        let unfinished = UnfinishedFile(path.with_extension(&names::UNFINISHED[1..]));
        let file = DirectFile::create(&unfinished.0)?;
        let (encoder, header) = Encoder::start(self.owner);
        file.write_at(AlignedBuffer::of_block(&header).as_ref(), 0)?;
        Ok(SnapshotWriter {
            file,
            unfinished,
            path,
            encoder,
            buffer: AlignedBuffer::new(FRAME_BYTES_MAX),
            bytes: BLOCK_BYTES as u64,
            flushed_bytes: 0,
            bytes_per_second: self.bytes_per_second,
            started: Instant::now(),
        })
    }

    /// Bytes of all snapshots, and of all log segments.
    pub(crate) fn sizes(&self) -> io::Result<(u64, u64)> {
        let snapshots = names::snapshots(&self.data_dir)?;
        let segments = names::segments(&self.log_dir)?;
        Ok((sum_of_lengths(snapshots.values())?, sum_of_lengths(segments.values())?))
    }
}

fn sum_of_lengths<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> io::Result<u64> {
    let mut sum = 0;
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) => sum += metadata.len(),
            // Removed since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// A file that goes away unless it is renamed.
#[derive(Debug)]
struct UnfinishedFile(PathBuf);

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Ok(()) => {}
            // Renamed: it is finished.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, path = %self.0.display(), "a part stays behind"),
        }
    }
}

/// A snapshot that is being written. Dropped before `finish`, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct SnapshotWriter {
    file: DirectFile,
    unfinished: UnfinishedFile,
    path: PathBuf,
    encoder: Encoder,
    buffer: AlignedBuffer,
    /// Written so far.
    bytes: u64,
    flushed_bytes: u64,
    bytes_per_second: u64,
    started: Instant,
}

impl SnapshotWriter {
    /// Adds a chunk of `state::snapshot::Writer`. Returns how long the caller should do other
    /// things before the next one, so that the log gets its share of the disk.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> io::Result<Duration> {
        let used = self.encoder.chunk(chunk, self.buffer.as_mut());
        self.file.write_at(&self.buffer.as_ref()[..used], self.bytes)?;
        self.bytes += used as u64;
        if FLUSH_BYTES <= self.bytes - self.flushed_bytes {
            self.file.flush()?;
            self.flushed_bytes = self.bytes;
        }
        let due = Duration::from_micros(self.bytes * 1_000_000 / self.bytes_per_second.max(1));
        Ok(due.saturating_sub(self.started.elapsed()))
    }

    /// Makes the snapshot durable and gives it its name. Then append
    /// `AppendKind::Snapshot { base }`: once that is durable, the log writer has older snapshots
    /// and the log before them removed.
    pub(crate) fn finish(self, meta: SnapshotMeta) -> io::Result<WrittenSnapshot> {
        let trailer = self.encoder.finish(&meta);
        self.file.write_at(AlignedBuffer::of_block(&trailer).as_ref(), self.bytes)?;
        self.file.flush()?;
        rename(&self.unfinished.0, &self.path)?;
        Ok(WrittenSnapshot { meta, path: self.path, bytes: self.bytes + BLOCK_BYTES as u64 })
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
