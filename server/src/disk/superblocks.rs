//! The two superblock files.

use std::{io, path::Path};

use ringkeeper_engine::storage::{
    block::BLOCK_BYTES,
    standalone::BlockError,
    superblock::{Chosen, Superblock, choose},
};

use super::{
    direct::{AlignedBuffer, DirectFile, flush_directory},
    names,
};

/// Both files, open.
#[derive(Debug)]
pub(super) struct Superblocks {
    files: [DirectFile; 2],
    /// What was written last.
    current: Superblock,
}

/// What a directory has for superblocks.
#[derive(Debug)]
pub(super) enum Found {
    /// Neither file.
    None,
    /// At least one that can be read.
    Usable(Chosen),
    /// Files that cannot be used.
    Unusable(BlockError),
}

/// Reads both superblocks.
pub(super) fn read(directory: &Path) -> io::Result<Found> {
    let first = read_one(&names::superblock(directory, 0))?;
    let second = read_one(&names::superblock(directory, 1))?;
    let is_any_there = first.is_some() || second.is_some();
    let missing = Err(BlockError::Unreadable);
    Ok(match choose(first.unwrap_or(missing), second.unwrap_or(missing)) {
        Ok(chosen) => Found::Usable(chosen),
        Err(BlockError::Unreadable) if !is_any_there => Found::None,
        Err(error) => Found::Unusable(error),
    })
}

/// Reads the superblock in a file; `None`: there is no such file.
pub(super) fn read_one(path: &Path) -> io::Result<Option<Result<Superblock, BlockError>>> {
    let file = match DirectFile::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let block = file.read_block(0)?;
    Ok(Some(block.map_or(Err(BlockError::Unreadable), |block| Superblock::decode(&block))))
}

impl Superblocks {
    /// Makes both files anew with this content.
    pub(super) fn create(directory: &Path, superblock: Superblock) -> io::Result<Self> {
        let create = |index| {
            let file = DirectFile::create(&names::superblock(directory, index))?;
            file.write_at(AlignedBuffer::new(BLOCK_BYTES).as_ref(), 0)?;
            Ok::<_, io::Error>(file)
        };
        let mut superblocks = Self { files: [create(0)?, create(1)?], current: superblock };
        superblocks.write(|_| {})?;
        superblocks.write(|_| {})?;
        flush_directory(directory)?;
        Ok(superblocks)
    }

    /// Opens the files for writing on. The one that could not be read is written first.
    pub(super) fn open(directory: &Path, chosen: &Chosen) -> io::Result<Self> {
        let open = |index| {
            let path = names::superblock(directory, index);
            match DirectFile::open_for_writing(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => DirectFile::create(&path),
                result => result,
            }
        };
        let mut superblocks = Self { files: [open(0)?, open(1)?], current: chosen.superblock };
        // A process that was killed may have written it and not flushed it. Before the other one is
        // written over, one of them must be durable.
        superblocks.files[chosen.superblock.file_index()].flush()?;
        if chosen.is_other_unreadable {
            superblocks.write(|_| {})?;
            flush_directory(directory)?;
        }
        Ok(superblocks)
    }

    /// What was written last.
    pub(super) fn current(&self) -> &Superblock {
        &self.current
    }

    /// Changes the superblock and makes it durable, in the file that does not hold the last one.
    pub(super) fn write(&mut self, change: impl FnOnce(&mut Superblock)) -> io::Result<()> {
        change(&mut self.current);
        self.current.sequence += 1;
        let file = &self.files[self.current.file_index()];
        file.write_at(AlignedBuffer::of_block(&self.current.encode()).as_ref(), 0)?;
        file.flush()
    }
}
