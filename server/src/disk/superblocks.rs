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
    let mut results = [Err(BlockError::Unreadable); 2];
    let mut is_any_there = false;
    for (index, result) in results.iter_mut().enumerate() {
        let file = match DirectFile::open(&names::superblock(directory, index)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        is_any_there = true;
        if let Some(block) = file.read_block(0)? {
            *result = Superblock::decode(&block);
        }
    }
    let [first, second] = results;
    Ok(match choose(first, second) {
        Ok(chosen) => Found::Usable(chosen),
        Err(BlockError::Unreadable) if !is_any_there => Found::None,
        Err(error) => Found::Unusable(error),
    })
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
