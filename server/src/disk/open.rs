//! Opening a data directory: lock, checks, recovery, and a new segment to go on in.

use std::{
    collections::BTreeMap,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
};

use ringkeeper_engine::{
    ids::{Incarnation, ReplicaId},
    limits::BATCH_BYTES_TARGET,
    storage::{
        block::BLOCK_BYTES,
        group::LogEnd,
        kept::{KeptSnapshots, UsedSegment, used_segments},
        recovery::{Damage, Outcome, Recovered, SegmentSummary},
        snapshot_file::SnapshotMeta,
        standalone::{BlockError, Owner},
        superblock::Superblock,
    },
};

use super::{
    DiskConfig, checks,
    direct::{AlignedBuffer, DirectFile, flush_directory},
    log_writer::LogWriter,
    names,
    pool::{Pool, ReadySegment},
    recover::{Contents, Recovery, recover},
    segments::{Segments, Worker},
    snapshot_writer::SnapshotDirectory,
    superblocks::{self, Superblocks},
};
use crate::{exit_code::ExitCode, mailbox::mailbox};

pub(crate) use super::checks::DirectoryLock;

/// Builds what a snapshot is of from its bytes. `state::snapshot::Loader` does.
pub(crate) trait LoadSnapshot: Sized {
    /// What is built.
    type State;
    /// Why bytes cannot be what was written.
    type Error: Into<Box<dyn Error + Send + Sync>>;
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
    /// Which life of the directory this is: who votes with it.
    pub(crate) incarnation: Incarnation,
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

/// Why a data directory cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// It belongs to Apache ZooKeeper.
    #[error(
        "{path} holds data of Apache ZooKeeper, which this version cannot import: choose an empty \
         directory (dataDir, --data-dir)"
    )]
    ApacheData {
        /// What was found.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{path} is in use by process {pid}: stop it, or choose another directory (dataDir)")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who, as far as it says.
        pid: String,
    },
    /// It is not there, and must not be made.
    #[error("{path} does not exist: make it, or allow it to be made (datadir.autocreate=true)")]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// It is a file.
    #[error("{path} is not a directory: choose one (dataDir, dataLogDir)")]
    NotADirectory {
        /// What was found.
        path: PathBuf,
    },
    /// It cannot be written to.
    #[error("cannot write to {path}: {source}; check its owner, its mode and its free space")]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file system cannot do direct I/O.
    #[error(
        "the file system of {path} does not support direct I/O (O_DIRECT), without which a flush \
         cannot be trusted: use a directory on ext4, XFS or another one that does"
    )]
    NoDirectIo {
        /// The directory.
        path: PathBuf,
    },
    /// The file system does not give back what was written.
    #[error("{path} does not give back what was written and flushed to it: use another disk")]
    Misread {
        /// The directory.
        path: PathBuf,
    },
    /// A reboot would lose it.
    #[error(
        "{path} is in memory (tmpfs): a reboot loses every acknowledged write; use a directory on \
         a disk, or say that this is wanted (--allow-tmpfs)"
    )]
    Volatile {
        /// The directory.
        path: PathBuf,
    },
    /// Made by a later version.
    #[error("{path} has {error}: start the version that wrote it, or a later one")]
    NewerVersion {
        /// The directory.
        path: PathBuf,
        /// Which.
        error: BlockError,
    },
    /// Who the directory belongs to, and what was promised, is lost.
    #[error(
        "both superblocks in {path} are missing or damaged, and there is a log: what was promised \
         is not known any more; restore the directory from a copy, or start with an empty one"
    )]
    LostSuperblocks {
        /// The directory.
        path: PathBuf,
    },
    /// It is another member's.
    #[error(
        "{path} belongs to replica {found}, and this is replica {expected}: correct myid, or \
         choose the right directory"
    )]
    OtherReplica {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: u16,
        /// Who we are.
        expected: u16,
    },
    /// A segment must have room for the longest record.
    #[error("segments of {segment_bytes} bytes are too small: {needed_bytes} are needed at least")]
    SmallSegments {
        /// As set.
        segment_bytes: u64,
        /// With this `jute.maxbuffer`.
        needed_bytes: u64,
    },
    /// The log is damaged.
    #[error(
        "{path}: {damage}. Nothing was changed. Restore the directory from a copy, or give up slot \
         {} and what follows it: ringkeeper repair {directories} --truncate-at {}",
        damage.slot.0, damage.slot.0
    )]
    Damage {
        /// The segment's file.
        path: PathBuf,
        /// Where, and what.
        damage: Damage,
        /// As `ringkeeper repair` wants them.
        directories: String,
    },
    /// The log is another one's.
    #[error(
        "{path} is of another cluster or another data directory: choose the log directory that \
         belongs to this data directory (dataLogDir, --data-log-dir)"
    )]
    ForeignLog {
        /// The segment's file.
        path: PathBuf,
    },
    /// A file could not be handled.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    /// How a process ends that cannot go on without the directory.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::InUse { .. } => ExitCode::DataDirInUse,
            Self::Damage { .. } | Self::LostSuperblocks { .. } => ExitCode::Damaged,
            Self::SmallSegments { .. } => ExitCode::Config,
            Self::ApacheData { .. }
            | Self::Missing { .. }
            | Self::NotADirectory { .. }
            | Self::NotWritable { .. }
            | Self::NoDirectIo { .. }
            | Self::Misread { .. }
            | Self::Volatile { .. }
            | Self::NewerVersion { .. }
            | Self::OtherReplica { .. }
            | Self::ForeignLog { .. }
            | Self::Io { .. } => ExitCode::DataDir,
        }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// Locks, checks and recovers the directories of `config`, and rolls to a new segment. The log is
/// ready for appends when this returns. Blocks; reports progress as traces.
pub(crate) fn open<L: LoadSnapshot>(config: &DiskConfig) -> Result<Opened<L::State>, OpenError> {
    check_sizes(config)?;
    let lock = checks::lock(config)?;
    let medium = checks::probe(config)?;
    remove_unfinished(config)?;
    let (superblocks, segments, snapshots) = find(config)?;
    let superblock = *superblocks.current();
    let contents = Contents { superblock, segments, snapshots, atomic_bytes: medium.atomic_bytes };
    let recovery = recover::<L>(config, &contents)?;
    let Recovery { outcome, snapshot, snapshots } = recovery;

    let mut pool = Pool::new(&config.log_dir, superblock.owner, config.segment_bytes);
    pool.atomic_bytes = medium.atomic_bytes;
    let rolled = roll(&mut pool, &outcome)?;
    pool.spares_max = config.segments_ready;
    pool.bytes_per_second = Some(config.background_bytes_per_second);
    let snapshot_directory = SnapshotDirectory {
        data_dir: config.data_dir.clone(),
        log_dir: config.log_dir.clone(),
        owner: superblock.owner,
        bytes_per_second: config.background_bytes_per_second,
    };

    let entered = UsedSegment { number: rolled.segment.number, start: rolled.end.last().slot };
    let used = used_segments(&outcome, entered);
    let segment_count = used.len();
    let (to_segments, inbox) = mailbox(1024, "segments");
    let (ready_sender, ready) = mailbox(config.segments_ready + 1, "ready segments");
    let mut worker = Worker {
        inbox,
        ready: ready_sender,
        pool,
        superblocks,
        data_dir: config.data_dir.clone(),
        target: u32::try_from(config.segments_ready).expect("a few"),
        used,
        prepared: rolled.segment.number,
        snapshots: KeptSnapshots::new(snapshots),
        shrink: left_segment(config, &outcome),
    };
    let tail = rolled.end.durable();
    let promised = rolled.end.promised();
    worker
        .superblocks
        .write(|superblock| {
            superblock.replica = config.replica_id;
            superblock.tail = tail;
            superblock.promised = promised;
        })
        .map_err(|source| OpenError::io("write a superblock in", &config.data_dir, source))?;
    let segments = Segments::start(worker, to_segments.clone())
        .map_err(|source| OpenError::io("start a thread for", &config.log_dir, source))?;
    let log = LogWriter::new(rolled.end, rolled.segment, ready, to_segments, config.slow_flush_ms);
    let recovered = outcome.recovered;
    tracing::info!(
        slot = recovered.last().slot.0,
        batches = recovered.batches.len(),
        segments = segment_count,
        end = ?outcome.end,
        "log recovered"
    );
    let snapshots = snapshot_directory;
    let incarnation = Incarnation(superblock.owner.incarnation);
    Ok(Opened { lock, incarnation, recovered, snapshot, log, segments, snapshots, segment_count })
}

fn check_sizes(config: &DiskConfig) -> Result<(), OpenError> {
    // A batch that is almost full, and the command that came last; headers and trailers.
    let needed = config.command_bytes_max + BATCH_BYTES_TARGET + (1 << 20);
    let needed_bytes = u64::try_from(needed).expect("64 bits");
    let segment_bytes = config.segment_bytes;
    let is_usable = segment_bytes.is_multiple_of(BLOCK_BYTES as u64)
        && u32::try_from(segment_bytes / BLOCK_BYTES as u64).is_ok();
    if needed_bytes <= segment_bytes && is_usable {
        Ok(())
    } else {
        Err(OpenError::SmallSegments { segment_bytes, needed_bytes })
    }
}

fn remove_unfinished(config: &DiskConfig) -> Result<(), OpenError> {
    for directory in [&config.data_dir, &config.log_dir] {
        let io_error = |source| OpenError::io("clean up", directory, source);
        for path in names::unfinished(directory).map_err(io_error)? {
            fs::remove_file(path).map_err(io_error)?;
        }
    }
    Ok(())
}

type Found = (Superblocks, BTreeMap<u32, PathBuf>, BTreeMap<ringkeeper_engine::ids::Slot, PathBuf>);

/// Finds the superblocks, segments and snapshots; founds a cluster where there is nothing.
fn find(config: &DiskConfig) -> Result<Found, OpenError> {
    let data_error = |source| OpenError::io("read", &config.data_dir, source);
    let segments = names::segments(&config.log_dir)
        .map_err(|source| OpenError::io("read", &config.log_dir, source))?;
    let snapshots = names::snapshots(&config.data_dir).map_err(data_error)?;
    let is_empty = segments.is_empty() && snapshots.is_empty();
    let path = || config.data_dir.clone();
    let superblocks = match superblocks::read(&config.data_dir).map_err(data_error)? {
        superblocks::Found::Usable(chosen) => {
            check_replica(config, chosen.superblock.replica)?;
            Superblocks::open(&config.data_dir, &chosen).map_err(data_error)?
        }
        superblocks::Found::Unusable(error @ BlockError::NewerVersion(_)) => {
            return Err(OpenError::NewerVersion { path: path(), error });
        }
        // A first start that ended before it had superblocks.
        superblocks::Found::None | superblocks::Found::Unusable(BlockError::Unreadable)
            if is_empty =>
        {
            found_cluster(config)?
        }
        superblocks::Found::None | superblocks::Found::Unusable(BlockError::Unreadable) => {
            return Err(OpenError::LostSuperblocks { path: path() });
        }
    };
    Ok((superblocks, segments, snapshots))
}

fn check_replica(config: &DiskConfig, found: ReplicaId) -> Result<(), OpenError> {
    // A standalone server that gets a number keeps its data.
    if found == config.replica_id || found == ReplicaId(0) {
        return Ok(());
    }
    Err(OpenError::OtherReplica {
        path: config.data_dir.clone(),
        found: found.0,
        expected: config.replica_id.0,
    })
}

fn found_cluster(config: &DiskConfig) -> Result<Superblocks, OpenError> {
    let create = || {
        let owner = Owner { cluster: random()?, incarnation: random()? };
        let replica = config.replica_id;
        let superblock = Superblock { owner, replica, ..Superblock::default() };
        Superblocks::create(&config.data_dir, superblock)
    };
    create().map_err(|source| OpenError::NotWritable { path: config.data_dir.clone(), source })
}

fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}

/// The log, rolled to a new segment.
struct Rolled {
    end: LogEnd,
    segment: ReadySegment,
}

/// Enters a new segment, and seals the end of the log before it: what stands behind that end can
/// never come alive again. Segments that were never used begin a new life, because a first write
/// that was cut short may stand in them.
fn roll(pool: &mut Pool, outcome: &Outcome) -> Result<Rolled, OpenError> {
    let directory = pool.directory.clone();
    let io_error = |source| OpenError::io("prepare a log segment in", &directory, source);
    let used = |segment: &&SegmentSummary| segment.seal.is_some();
    let last_used = outcome.segments.iter().filter(used).map(|segment| segment.number).max();
    take_unused(pool, outcome).map_err(io_error)?;
    let number = last_used.unwrap_or(0) + 1;
    if pool.spares.is_empty() {
        tracing::info!(bytes = pool.segment_bytes, "preparing the first log segment");
    }
    let segment = pool.prepare(number).map_err(io_error)?;
    flush_end(&directory, outcome).map_err(io_error)?;
    let mut end = LogEnd::new(&outcome.continuation);
    end.roll(segment.number, segment.generation, segment.block_count);
    let mut seal = AlignedBuffer::new(BLOCK_BYTES);
    let at = end.encode(&[], seal.as_mut());
    let write = || {
        let file = DirectFile::open_for_writing(&segment.path)?;
        file.write_at(seal.as_ref(), u64::from(at.block()) * BLOCK_BYTES as u64)?;
        file.flush()
    };
    write().map_err(io_error)?;
    end.flushed();
    Ok(Rolled { end, segment })
}

/// Makes durable what the log ends with: a process that was killed may have written it and not have
/// flushed it, and from here on it counts as durable.
fn flush_end(directory: &Path, outcome: &Outcome) -> io::Result<()> {
    let end = outcome.continuation.end;
    if end.segment() == 0 {
        return Ok(());
    }
    DirectFile::open_for_writing(&names::segment(directory, end.segment()))?.flush()
}

/// Makes spares of the segments that were never used, the last first: a crash in between leaves no
/// gap.
fn take_unused(pool: &mut Pool, outcome: &Outcome) -> io::Result<()> {
    let unused = outcome.segments.iter().rev().take_while(|segment| segment.seal.is_none());
    for segment in unused {
        let path = names::segment(&pool.directory, segment.number);
        let is_whole = fs::metadata(&path)?.len() == pool.segment_bytes;
        if segment.is_sound && is_whole {
            let spare = names::spare(&pool.directory, segment.number);
            fs::rename(&path, &spare)?;
            pool.spares.push(spare);
        } else {
            fs::remove_file(&path)?;
        }
    }
    flush_directory(&pool.directory)
}

/// The segment that the new start left, and how much of it is the log.
fn left_segment(config: &DiskConfig, outcome: &Outcome) -> Option<(PathBuf, u64)> {
    let end = outcome.continuation.end;
    let is_used = 0 < end.segment();
    is_used.then(|| {
        let path = names::segment(&config.log_dir, end.segment());
        (path, u64::from(end.block()) * BLOCK_BYTES as u64)
    })
}
