//! `ringkeeper repair`: gives up what a damaged log holds from a slot on. What is given up is kept
//! beside the log.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use ringkeeper_engine::{
    ids::Slot,
    storage::{
        Base, Lsn,
        block::BLOCK_BYTES,
        recovery::{Options, Recovery, Seen},
        segment::SegmentHeader,
        superblock::Superblock,
    },
};

use super::{
    checks,
    direct::{AlignedBuffer, DirectFile, flush_directory},
    inspect::{print, print_error, whole_snapshot},
    names,
    open::OpenError,
    scan::{ScanError, scan_into},
    superblocks::{self, Superblocks},
};
use crate::{cli::RepairArgs, exit_code::ExitCode};

/// Runs the command.
pub(crate) fn run(arguments: &RepairArgs) -> ExitCode {
    let log_dir = arguments.data_log_dir.as_deref().unwrap_or(&arguments.dir);
    match repair(&arguments.dir, log_dir, Slot(arguments.truncate_at)) {
        Ok(aside) => {
            print(&format!(
                "slot {} and what followed it is given up; it is kept in {}\n",
                arguments.truncate_at,
                aside.display()
            ));
            ExitCode::Done
        }
        Err(error) => {
            print_error(&error);
            error.exit_code()
        }
    }
}

/// Why a directory was not repaired. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepairError {
    /// As for a server.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// More was asked to be kept than there is.
    #[error(
        "slot {asked} cannot be the first to give up: the log can be read up to slot {readable} \
         only, so slot {} is", readable + 1
    )]
    Unreadable {
        /// What was asked.
        asked: u64,
        /// What there is.
        readable: u64,
    },
    /// A sound snapshot holds slots that were to be given up.
    #[error(
        "there is a sound snapshot of slot {snapshot}: give up from slot {} on to keep it, or move \
         {path} away", snapshot + 1
    )]
    SnapshotBeyond {
        /// Its slot.
        snapshot: u64,
        /// Its file.
        path: PathBuf,
    },
}

impl RepairError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Open(error) => error.exit_code(),
            Self::Unreadable { .. } | Self::SnapshotBeyond { .. } => ExitCode::Config,
        }
    }
}

/// Gives up `slot` and everything behind it. Returns where it is kept.
pub(super) fn repair(data_dir: &Path, log_dir: &Path, slot: Slot) -> Result<PathBuf, RepairError> {
    for directory in [data_dir, log_dir] {
        checks::look(directory)?;
    }
    let lock = checks::lock_directory(data_dir)?;
    let io_error = |source| OpenError::io("read", log_dir, source);
    let superblocks::Found::Usable(chosen) = superblocks::read(data_dir).map_err(io_error)? else {
        return Err(OpenError::LostSuperblocks { path: data_dir.to_owned() }.into());
    };
    let superblock = chosen.superblock;
    let base = snapshot_base(data_dir, &superblock, slot)?;
    let segments = names::segments(log_dir).map_err(io_error)?;
    let end = find_end(log_dir, &segments, &superblock, base, slot)?;

    let aside = names::free_directory(log_dir).map_err(io_error)?;
    let change = || -> io::Result<()> {
        fs::create_dir(&aside)?;
        for index in 0..2 {
            let from = names::superblock(data_dir, index);
            if from.exists() {
                fs::copy(&from, aside.join(from.file_name().expect("a superblock has a name")))?;
            }
        }
        cut(&segments, &aside, end)?;
        flush_directory(&aside)?;
        flush_directory(log_dir)?;
        let mut superblocks = Superblocks::open(data_dir, &chosen)?;
        // Both: the older one would be a witness of what was given up.
        for _ in 0..2 {
            superblocks.write(|superblock| {
                superblock.tail = end;
                superblock.snapshot = base;
            })?;
        }
        Ok(())
    };
    change().map_err(|source| OpenError::io("repair", log_dir, source))?;
    drop(lock);
    Ok(aside)
}

/// The newest sound snapshot, which must not hold what is given up.
fn snapshot_base(
    data_dir: &Path,
    superblock: &Superblock,
    slot: Slot,
) -> Result<Base, RepairError> {
    let snapshots =
        names::snapshots(data_dir).map_err(|source| OpenError::io("read", data_dir, source))?;
    for (snapshot, path) in snapshots.iter().rev() {
        let Ok(file) = whole_snapshot(path, *snapshot, Some(superblock)) else { continue };
        if slot <= *snapshot {
            let path = path.clone();
            return Err(RepairError::SnapshotBeyond { snapshot: snapshot.0, path });
        }
        return Ok(file.trailer.meta.base);
    }
    Ok(Base::default())
}

/// Where the log will end. `Lsn::ZERO`: nothing of it is kept.
fn find_end(
    log_dir: &Path,
    segments: &BTreeMap<u32, PathBuf>,
    superblock: &Superblock,
    base: Base,
    slot: Slot,
) -> Result<Lsn, RepairError> {
    let mut recovery = Recovery::new(Options {
        owner: Some(superblock.owner),
        base,
        tail: Lsn::ZERO,
        promised: superblock.promised,
        atomic_bytes: checks::atomic_bytes(log_dir),
    });
    let mut first_given_up = None;
    let mut observe = |seen: Seen<'_>| {
        if seen.batch.is_some_and(|batch| slot <= batch.slot) {
            first_given_up = first_given_up.or(Some(seen.header.lsn));
        }
    };
    match scan_into(&mut recovery, segments, &mut observe) {
        // That is why we are here.
        Ok(()) | Err(ScanError::Damage(_)) => {}
        Err(ScanError::Io { path, source }) => {
            return Err(OpenError::io("read", &path, source).into());
        }
    }
    let readable = recovery.last().slot;
    match first_given_up {
        // A log that cannot be read up to the snapshot is not needed before it, and behind it
        // there is no way to it.
        _ if readable < base.slot && slot == base.slot.next() => Ok(Lsn::ZERO),
        Some(first) => Ok(first),
        None if slot == readable.next() => Ok(recovery.end()),
        None => {
            let readable = readable.0.max(base.slot.0);
            Err(RepairError::Unreadable { asked: slot.0, readable })
        }
    }
}

/// Moves the segments behind `end` aside, and what is behind it in its own.
fn cut(segments: &BTreeMap<u32, PathBuf>, aside: &Path, end: Lsn) -> io::Result<()> {
    let into = |path: &Path| aside.join(path.file_name().expect("a segment has a name"));
    // The last first: a crash in between leaves no gap.
    for (number, path) in segments.iter().rev() {
        if end.segment() < *number || end == Lsn::ZERO {
            fs::rename(path, into(path))?;
        } else if end.segment() == *number {
            fs::copy(path, into(path))?;
            clear(path, end)?;
        }
    }
    Ok(())
}

/// Makes the segment as long as it should be, with zeros from `end` on.
fn clear(path: &Path, end: Lsn) -> io::Result<()> {
    let file = DirectFile::open_for_writing(path)?;
    let header = file.read_block(0)?.and_then(|block| SegmentHeader::decode(&block).ok());
    let header = header.ok_or(io::ErrorKind::InvalidData)?;
    let block_bytes = BLOCK_BYTES as u64;
    let (start, blocks) = (u64::from(end.block()), u64::from(header.block_count));
    file.truncate(start * block_bytes)?;
    let zeros = AlignedBuffer::new(BLOCK_BYTES);
    for block in start..blocks {
        file.write_at(zeros.as_ref(), block * block_bytes)?;
    }
    file.flush()
}
