//! Making segments ready: every block written once before the log writes it, and a header with a
//! new generation, all of it durable.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ringkeeper_engine::storage::{block::BLOCK_BYTES, segment::SegmentHeader, standalone::Owner};

use super::{
    direct::{AlignedBuffer, DirectFile, flush_directory, rename},
    names,
};

/// Zeros are written in pieces of this length.
const PIECE_BYTES: usize = 1 << 20;

/// A segment that the log may go on in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ReadySegment {
    /// Which.
    pub(super) number: u32,
    /// Its life.
    pub(super) generation: u64,
    /// Its length.
    pub(super) block_count: u32,
    /// Its file.
    pub(super) path: PathBuf,
}

/// Where segments come from.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) directory: PathBuf,
    pub(super) owner: Owner,
    pub(super) segment_bytes: u64,
    /// The smallest piece that the device writes whole.
    pub(super) atomic_bytes: usize,
    /// Files of the right length that hold no needed record.
    pub(super) spares: Vec<PathBuf>,
    /// Most spares to keep.
    pub(super) spares_max: usize,
    /// How fast zeros are written; `None`: as fast as possible, because somebody waits.
    pub(super) bytes_per_second: Option<u64>,
    stop: Arc<AtomicBool>,
}

impl Pool {
    /// A pool without spares, in a hurry.
    pub(super) fn new(directory: &Path, owner: Owner, segment_bytes: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            owner,
            segment_bytes,
            atomic_bytes: BLOCK_BYTES,
            spares: Vec::new(),
            spares_max: 0,
            bytes_per_second: None,
            stop: Arc::default(),
        }
    }

    /// Set it to end a preparation that is under way.
    pub(super) fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Whether it was set.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Makes segment `number` ready. It has its name only when everything in it is durable.
    pub(super) fn prepare(&mut self, number: u32) -> io::Result<ReadySegment> {
        let unfinished = names::spare(&self.directory, number);
        let result = self.prepare_file(number, &unfinished);
        if result.is_err() {
            // It may be what fills the disk. If it cannot be removed either, the next start will.
            drop(fs::remove_file(&unfinished));
        }
        result
    }

    fn prepare_file(&mut self, number: u32, unfinished: &Path) -> io::Result<ReadySegment> {
        let file = match self.spares.pop() {
            Some(spare) => {
                fs::rename(&spare, unfinished)?;
                let file = DirectFile::open_for_writing(unfinished)?;
                // Where a power cut may tear a block, a torn block can only be told from a damaged
                // one if it held zeros before.
                if self.atomic_bytes < BLOCK_BYTES {
                    self.fill_with_zeros(&file)?;
                }
                file
            }
            None => {
                let file = DirectFile::create(unfinished)?;
                file.allocate(self.segment_bytes)?;
                self.fill_with_zeros(&file)?;
                file
            }
        };
        let blocks = self.segment_bytes / BLOCK_BYTES as u64;
        let block_count = u32::try_from(blocks).expect("checked by the settings");
        let generation = getrandom::u64()?;
        let header = SegmentHeader { owner: self.owner, generation, number, block_count };
        file.write_at(AlignedBuffer::of_block(&header.encode()).as_ref(), 0)?;
        file.flush()?;
        let path = names::segment(&self.directory, number);
        rename(unfinished, &path)?;
        Ok(ReadySegment { number, generation, block_count, path })
    }

    /// Takes a segment out of the log: as a spare, if it may be used again.
    pub(super) fn recycle(&mut self, number: u32) -> io::Result<()> {
        let path = names::segment(&self.directory, number);
        let is_whole = fs::metadata(&path)?.len() == self.segment_bytes;
        if is_whole && self.spares.len() < self.spares_max {
            let spare = names::spare(&self.directory, number);
            fs::rename(&path, &spare)?;
            self.spares.push(spare);
        } else {
            fs::remove_file(&path)?;
        }
        flush_directory(&self.directory)
    }

    fn fill_with_zeros(&self, file: &DirectFile) -> io::Result<()> {
        let zeros = AlignedBuffer::new(PIECE_BYTES);
        let start = Instant::now();
        let mut offset = 0;
        while offset < self.segment_bytes {
            if self.is_stopping() {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
            let left = usize::try_from(self.segment_bytes - offset).unwrap_or(usize::MAX);
            let piece = &zeros.as_ref()[..left.min(PIECE_BYTES)];
            file.write_at(piece, offset)?;
            offset += piece.len() as u64;
            if let Some(bytes_per_second) = self.bytes_per_second {
                let due = Duration::from_micros(offset * 1_000_000 / bytes_per_second.max(1));
                thread::sleep(due.saturating_sub(start.elapsed()));
            }
        }
        file.flush()
    }
}
