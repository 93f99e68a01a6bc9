//! Reading snapshots: one thread reads and checks, the caller builds.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
};

use ringkeeper_engine::{
    ids::Slot,
    storage::{
        block::BLOCK_BYTES,
        snapshot_file::{Decoder, FRAME_BYTES_MAX, SnapshotDamage, Trailer},
        standalone::Owner,
    },
};

use super::{
    direct::{AlignedBuffer, DirectFile},
    open::LoadSnapshot,
};

/// Frames that are read ahead of what is built.
const FRAMES_AHEAD: usize = 8;

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error("{0}")]
    Damage(#[from] SnapshotDamage),
    /// It is what was written, and no State.
    #[error("its content is no State: {0}")]
    Content(Box<dyn Error + Send + Sync>),
}

/// A snapshot's file, and what its trailer says.
#[derive(Clone, Debug)]
pub(super) struct SnapshotFile {
    path: PathBuf,
    file_bytes: u64,
    pub(super) trailer: Trailer,
}

impl SnapshotFile {
    /// Reads the trailer, and checks that the name does not lie.
    pub(super) fn open(path: &Path, slot: Slot) -> Result<Self, SnapshotError> {
        let file = DirectFile::open(path)?;
        let file_bytes = file.len()?;
        let block_bytes = BLOCK_BYTES as u64;
        if file_bytes < 2 * block_bytes || !file_bytes.is_multiple_of(block_bytes) {
            return Err(SnapshotDamage::Truncated.into());
        }
        let block = file.read_block(file_bytes - block_bytes)?;
        let trailer = Trailer::decode(&*block.ok_or(SnapshotDamage::Truncated)?)?;
        if trailer.meta.base.slot != slot {
            return Err(SnapshotDamage::Misnamed { found: trailer.meta.base.slot.0 }.into());
        }
        Ok(Self { path: path.to_owned(), file_bytes, trailer })
    }

    /// Refuses the snapshot of another cluster.
    pub(super) fn check_owner(&self, owner: &Owner) -> Result<(), SnapshotError> {
        let is_ours = self.trailer.owner == *owner;
        if is_ours { Ok(()) } else { Err(SnapshotDamage::Foreign.into()) }
    }

    /// Reads and checks everything; gives each chunk to `push`, and ends when that fails.
    pub(super) fn read(
        &self,
        mut push: impl FnMut(&[u8]) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        thread::scope(|scope| {
            let (full_sender, full) = mpsc::sync_channel::<Frame>(FRAMES_AHEAD);
            let (empty_sender, empty) = mpsc::channel::<AlignedBuffer>();
            let reader = scope.spawn(move || self.read_frames(&full_sender, &empty));
            // By value: if pushing fails, the reader learns that nobody takes its frames.
            let result = full.into_iter().try_for_each(|frame| {
                push(&frame.buffer.as_ref()[frame.start..frame.end])?;
                // A reader that has ended needs no buffer.
                drop(empty_sender.send(frame.buffer));
                Ok(())
            });
            let read = reader.join().expect("reading does not panic");
            result.and(read)
        })
    }

    /// Builds the State.
    pub(super) fn load<L: LoadSnapshot>(&self) -> Result<L::State, SnapshotError> {
        let content = |error: L::Error| SnapshotError::Content(error.into());
        let mut loader = L::start();
        self.read(|bytes| loader.push(bytes).map_err(content))?;
        loader.finish().map_err(content)
    }

    fn read_frames(
        &self,
        full: &mpsc::SyncSender<Frame>,
        empty: &mpsc::Receiver<AlignedBuffer>,
    ) -> Result<(), SnapshotError> {
        let file = DirectFile::open(&self.path)?;
        let header = file.read_block(0)?.ok_or(SnapshotDamage::Truncated)?;
        let mut decoder = Decoder::start(&header, self.trailer.clone())?;
        let mut offset = BLOCK_BYTES as u64;
        let end = self.file_bytes - BLOCK_BYTES as u64;
        loop {
            let buffer = empty.try_recv();
            let mut buffer = buffer.unwrap_or_else(|_| AlignedBuffer::new(FRAME_BYTES_MAX));
            let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let wanted = left.min(FRAME_BYTES_MAX);
            let read = file.read_at(&mut buffer.as_mut()[..wanted], offset)?;
            let Some(chunk) = decoder.chunk(&buffer.as_ref()[..read])? else { return Ok(()) };
            let (start, end) = (chunk.start, chunk.start + chunk.bytes.len());
            offset += chunk.frame_bytes as u64;
            if full.send(Frame { buffer, start, end }).is_err() {
                // The caller has failed and says why.
                return Ok(());
            }
        }
    }
}

/// A frame that was read and checked, and where its chunk is in the buffer.
struct Frame {
    buffer: AlignedBuffer,
    start: usize,
    end: usize,
}
