//! The cut itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use ringkeeper_engine::{
    ids::ReplicaId,
    storage::{Lsn, block::BLOCK_BYTES, segment::SegmentHeader, superblock::Superblock},
};

use super::{RepairError, plan::Plan};
use crate::disk::{
    checks,
    direct::{AlignedBuffer, DirectFile, flush_directory},
    names,
    superblocks::Superblocks,
    survey::Found,
};

/// Everything is copied and cleared in pieces of this length.
const PIECE_BYTES: usize = 1 << 20;

/// Changes the directories. Returns where the originals are.
pub(super) fn change(found: &Found, plan: &Plan) -> Result<Vec<PathBuf>, RepairError> {
    let data_aside = make_aside(&found.data_dir)?;
    let is_same = checks::is_same_directory(&found.data_dir, &found.log_dir);
    let log_aside = if is_same { data_aside.clone() } else { make_aside(&found.log_dir)? };
    let shortened = shorten(found, plan)?;
    // The witness goes first: without it, whatever a crash leaves is damaged as before, or cut.
    write_superblocks(found, plan, &data_aside)?;
    move_snapshots(found, plan, &data_aside)?;
    move_segments(found, plan, &log_aside)?;
    if let Some((new, path)) = shortened {
        let original = log_aside.join(path.file_name().expect("a segment has a name"));
        fs::hard_link(&path, &original)
            .or_else(|_| copy(&path, &original))
            .map_err(io_error("keep aside", &path))?;
        fs::rename(&new, &path).map_err(io_error("replace", &path))?;
    }
    for directory in [&data_aside, &log_aside, &found.data_dir, &found.log_dir] {
        flush_directory(directory).map_err(io_error("flush", directory))?;
    }
    Ok(if is_same { vec![data_aside] } else { vec![data_aside, log_aside] })
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RepairError {
    let path = path.to_owned();
    move |source| RepairError::Io { action, path, source }
}

/// A new folder for the originals.
fn make_aside(directory: &Path) -> Result<PathBuf, RepairError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut second = now;
    loop {
        let path = directory.join(format!("damaged-{second}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => second += 1,
            Err(error) => return Err(io_error("make", &path)(error)),
        }
    }
}

/// Writes the segment with the cut beside the original: the records before the cut, zeros, and the
/// length that it should have. Returns both paths; `None`: no segment is cut.
fn shorten(found: &Found, plan: &Plan) -> Result<Option<(PathBuf, PathBuf)>, RepairError> {
    let end = plan.cut.end;
    if end == Lsn::ZERO {
        return Ok(None);
    }
    let path = found.segments.get(&end.segment()).expect("the log was read up to the cut").clone();
    let new = names::spare(&found.log_dir, end.segment());
    write_shortened(&path, &new, end).map_err(io_error("write", &new))?;
    Ok(Some((new, path)))
}

fn write_shortened(path: &Path, new: &Path, end: Lsn) -> io::Result<()> {
    let original = DirectFile::open(path)?;
    let header = original.read_block(0)?.and_then(|block| SegmentHeader::decode(&block).ok());
    let header = header.ok_or(io::ErrorKind::InvalidData)?;
    let file = DirectFile::create(new)?;
    let (kept, total) = (u64::from(end.block()), u64::from(header.block_count));
    let block_bytes = BLOCK_BYTES as u64;
    let mut offset = 0;
    while offset < total * block_bytes {
        let mut buffer = AlignedBuffer::new(PIECE_BYTES);
        let kept_bytes = (kept * block_bytes).saturating_sub(offset);
        let kept_bytes = usize::try_from(kept_bytes).unwrap_or(usize::MAX).min(PIECE_BYTES);
        original.read_at(&mut buffer.as_mut()[..kept_bytes], offset)?;
        let left = usize::try_from(total * block_bytes - offset).unwrap_or(usize::MAX);
        let piece = &buffer.as_ref()[..left.min(PIECE_BYTES)];
        file.write_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    file.flush()
}

/// Keeps the superblocks as they are aside, and writes both anew: the older one would be a witness
/// of what is given up.
fn write_superblocks(found: &Found, plan: &Plan, aside: &Path) -> Result<(), RepairError> {
    for index in 0..2 {
        let path = names::superblock(&found.data_dir, index);
        if path.exists() {
            let original = aside.join(path.file_name().expect("a superblock has a name"));
            copy(&path, &original).map_err(io_error("keep aside", &path))?;
        }
    }
    flush_directory(aside).map_err(io_error("flush", aside))?;
    let change = |superblock: &mut Superblock| {
        superblock.tail = plan.cut.end;
        superblock.snapshot = plan.snapshot;
        superblock.promised = superblock.promised.max(plan.cut.promised);
    };
    let write = || match &found.chosen {
        Some(chosen) => {
            let mut superblocks = Superblocks::open(&found.data_dir, chosen)?;
            superblocks.write(change)?;
            superblocks.write(change)
        }
        None => {
            let owner = plan.owner.unwrap_or_default();
            // The number is that of the last who promised: on a standalone server there is no
            // other. A start with another one says so.
            let replica = ReplicaId(plan.cut.promised.replica.0);
            let mut superblock = Superblock { owner, replica, ..Superblock::default() };
            change(&mut superblock);
            Superblocks::create(&found.data_dir, superblock).map(drop)
        }
    };
    write().map_err(io_error("write the superblocks in", &found.data_dir))
}

/// Snapshots of what is given up, those that cannot be used, and those that never were.
fn move_snapshots(found: &Found, plan: &Plan, aside: &Path) -> Result<(), RepairError> {
    let beyond = found.snapshots.range(plan.cut.slot..);
    let beyond = beyond.map(|(slot, _)| names::snapshot(&found.data_dir, *slot));
    for path in beyond.chain(found.rotten.iter().chain(&found.not_installed).cloned()) {
        move_aside(&path, aside)?;
    }
    Ok(())
}

/// Segments behind the one with the cut, the last first: a crash in between leaves no gap.
fn move_segments(found: &Found, plan: &Plan, aside: &Path) -> Result<(), RepairError> {
    for (number, path) in found.segments.iter().rev() {
        if plan.cut.end == Lsn::ZERO || plan.cut.end.segment() < *number {
            move_aside(path, aside)?;
        }
    }
    Ok(())
}

fn move_aside(path: &Path, aside: &Path) -> Result<(), RepairError> {
    let to = aside.join(path.file_name().expect("our files have names"));
    fs::rename(path, to).map_err(io_error("move aside", path))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::File::open(to)?.sync_all()
}
