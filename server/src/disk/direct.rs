//! Direct I/O for threads without an executor: what is read comes from the medium and not from a
//! cache, and what is written leaves no trace in one.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use ringkeeper_engine::storage::block::{BLOCK_BYTES, Block};
use rustix::{fs::OFlags, io::Errno};

/// Bytes that start at a multiple of a block in memory, as direct I/O demands.
pub(super) struct AlignedBuffer {
    /// Longer than needed by almost a block, so that an aligned part of it is long enough.
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// So many zeros; a whole number of blocks.
    pub(super) fn new(len: usize) -> Self {
        assert!(len.is_multiple_of(BLOCK_BYTES), "{len} bytes are not whole blocks");
        let bytes = vec![0; len + BLOCK_BYTES];
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES);
        assert!(start < BLOCK_BYTES, "bytes can always be aligned");
        Self { bytes, start, len }
    }

    /// A copy of one block.
    pub(super) fn of_block(block: &Block) -> Self {
        let mut buffer = Self::new(BLOCK_BYTES);
        buffer.as_mut().copy_from_slice(block);
        buffer
    }

    /// All of it.
    pub(super) fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..][..self.len]
    }

    /// All of it, to be changed.
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} aligned bytes", self.len)
    }
}

/// A file whose reads and writes bypass the page cache.
#[derive(Debug)]
pub(super) struct DirectFile {
    file: File,
}

impl DirectFile {
    /// Opens a file for reading; through the cache where the file system knows nothing else, so
    /// that copies can be looked at anywhere. A server has asked for more before it gets here.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        match Self::with(OpenOptions::new().read(true), path) {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                Ok(Self { file: File::open(path)? })
            }
            result => result,
        }
    }

    /// Opens a file for reading and writing.
    pub(super) fn open_for_writing(path: &Path) -> io::Result<Self> {
        Self::with(OpenOptions::new().read(true).write(true), path)
    }

    /// Makes a new file, or empties an old one.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Self::with(OpenOptions::new().read(true).write(true).create(true).truncate(true), path)
    }

    fn with(options: &mut OpenOptions, path: &Path) -> io::Result<Self> {
        let direct = i32::try_from(OFlags::DIRECT.bits()).expect("a flag of open(2)");
        let file = options.custom_flags(direct).open(path)?;
        Ok(Self { file })
    }

    /// The length of the file.
    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Writes all of `bytes`, or fails.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let written = self.file.write_at(bytes, offset)?;
        if written == bytes.len() {
            Ok(())
        } else {
            // Not continued: where a short write ends, direct I/O cannot go on, and only a full
            // or a broken disk makes one.
            let expected = bytes.len();
            let text = format!("short write: {written} of {expected} bytes at {offset}");
            Err(io::Error::new(io::ErrorKind::WriteZero, text))
        }
    }

    /// Reads until `bytes` is full or the file ends. Returns how many bytes were read.
    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        /// More in one call gains nothing, and blocks the device's queue for the log.
        const READ_BYTES_MAX: usize = 4 << 20;
        let mut read = 0;
        while read < bytes.len() {
            let end = bytes.len().min(read + READ_BYTES_MAX);
            let at = offset + u64::try_from(read).expect("64 bits");
            match self.file.read_at(&mut bytes[read..end], at) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if !read.is_multiple_of(BLOCK_BYTES) {
                // The file ends inside a block.
                break;
            }
        }
        Ok(read)
    }

    /// Reads one block; `None` where the file ends before.
    pub(super) fn read_block(&self, offset: u64) -> io::Result<Option<Box<Block>>> {
        let mut buffer = AlignedBuffer::new(BLOCK_BYTES);
        let read = self.read_at(buffer.as_mut(), offset)?;
        let block = Block::try_from(buffer.as_ref()).expect("a buffer of one block");
        Ok((read == BLOCK_BYTES).then(|| Box::new(block)))
    }

    /// Reserves room for `len` bytes.
    pub(super) fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len) {
            // Every byte is written afterwards anyway: reserving only makes it fail early and
            // keeps the file in one piece.
            Err(Errno::OPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Cuts the file.
    pub(super) fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    /// Makes what was written durable.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Makes names in a directory durable.
pub(super) fn flush_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Renames within a directory, durably.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    flush_directory(to.parent().expect("a file is in a directory"))
}
