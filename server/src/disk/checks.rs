//! Whether a directory can hold a log: whose it is, who uses it, and what its file system can do.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ringkeeper_engine::storage::block::BLOCK_BYTES;
use rustix::fs::{FlockOperation, flock, statfs};

use super::{
    DiskConfig,
    direct::{AlignedBuffer, DirectFile},
    names,
    open::OpenError,
};

/// The locks of the directories. Dropping it gives them free.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    /// Open as long as the lock is held.
    _files: Vec<File>,
}

/// Makes the directories if that is wanted, and keeps other processes out of them.
pub(super) fn lock(config: &DiskConfig) -> Result<DirectoryLock, OpenError> {
    let mut files = Vec::new();
    for directory in directories(config) {
        prepare(directory, config.create_dirs)?;
        refuse_apache(directory)?;
        files.push(lock_directory(directory)?);
    }
    Ok(DirectoryLock { _files: files })
}

/// Locks a directory that must be there: for the offline tools.
pub(super) fn lock_directory(directory: &Path) -> Result<File, OpenError> {
    let path = names::lock(directory);
    let denied = |source| OpenError::NotWritable { path: directory.to_owned(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(denied)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(in_use(directory, &mut file)),
        Err(error) => return Err(OpenError::io("lock", &path, error.into())),
    }
    file.set_len(0).map_err(denied)?;
    writeln!(file, "{}", std::process::id()).map_err(denied)?;
    Ok(file)
}

fn in_use(directory: &Path, lock: &mut File) -> OpenError {
    let mut holder = String::new();
    // Only for the message: without a number it says so.
    let is_read = lock.read_to_string(&mut holder).is_ok();
    let holder = holder.trim();
    let holder = if is_read && !holder.is_empty() { holder } else { "unknown" };
    OpenError::InUse { path: directory.to_owned(), pid: holder.to_owned() }
}

/// Both directories, once if they are the same.
fn directories(config: &DiskConfig) -> impl Iterator<Item = &Path> {
    let is_same = is_same_directory(&config.data_dir, &config.log_dir);
    let log_dir = (!is_same).then_some(config.log_dir.as_path());
    std::iter::once(config.data_dir.as_path()).chain(log_dir)
}

pub(super) fn is_same_directory(first: &Path, second: &Path) -> bool {
    match (fs::canonicalize(first), fs::canonicalize(second)) {
        (Ok(first), Ok(second)) => first == second,
        _ => first == second,
    }
}

fn prepare(directory: &Path, create: bool) -> Result<(), OpenError> {
    let missing = || OpenError::Missing { path: directory.to_owned() };
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(OpenError::NotADirectory { path: directory.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !create => Err(missing()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(directory)
            .map_err(|source| OpenError::NotWritable { path: directory.to_owned(), source }),
        Err(error) => Err(OpenError::io("look at", directory, error)),
    }
}

/// Apache ZooKeeper keeps its files in `version-2`.
fn refuse_apache(directory: &Path) -> Result<(), OpenError> {
    let theirs = directory.join("version-2");
    let Ok(entries) = fs::read_dir(&theirs) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if ["log.", "snapshot.", "currentEpoch", "acceptedEpoch"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            return Err(OpenError::ApacheData { path: theirs });
        }
    }
    Ok(())
}

/// What the log directory's disk can do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Medium {
    /// The smallest piece that is written whole.
    pub(super) atomic_bytes: usize,
}

/// Tries what the log needs: direct writes, a flush, direct reads.
pub(super) fn probe(config: &DiskConfig) -> Result<Medium, OpenError> {
    for directory in directories(config) {
        if is_volatile(directory) && !config.allow_volatile {
            return Err(OpenError::Volatile { path: directory.to_owned() });
        }
        probe_directory(directory)?;
    }
    Ok(Medium { atomic_bytes: atomic_bytes(&config.log_dir) })
}

fn probe_directory(directory: &Path) -> Result<(), OpenError> {
    let path = directory.join(format!("segment-probe{}", names::UNFINISHED));
    let result = probe_file(&path);
    // A probe that stays is removed by the next start.
    let removed = fs::remove_file(&path);
    match result {
        Ok(true) => removed.map_err(|error| OpenError::io("remove", &path, error)),
        Ok(false) => Err(OpenError::Misread { path: directory.to_owned() }),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
            Err(OpenError::NoDirectIo { path: directory.to_owned() })
        }
        Err(source) => Err(OpenError::NotWritable { path: directory.to_owned(), source }),
    }
}

/// Whether what was written is what is read.
fn probe_file(path: &Path) -> io::Result<bool> {
    let file = DirectFile::create(path)?;
    let mut buffer = AlignedBuffer::new(BLOCK_BYTES);
    buffer.as_mut().fill(0x5a);
    file.write_at(buffer.as_ref(), 0)?;
    file.flush()?;
    let block = file.read_block(0)?;
    Ok(block.is_some_and(|block| block.iter().all(|byte| *byte == 0x5a)))
}

/// Whether a reboot loses what is in the directory.
fn is_volatile(directory: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    let kind = statfs(directory).ok().and_then(|found| u64::try_from(found.f_type).ok());
    kind.is_some_and(|kind| kind == TMPFS || kind == RAMFS)
}

/// What the device says about its sectors. Where it cannot be asked, the smallest there are.
pub(super) fn atomic_bytes(directory: &Path) -> usize {
    const SMALLEST: usize = 512;
    let Ok(metadata) = fs::metadata(directory) else { return SMALLEST };
    if is_volatile(directory) {
        // Memory does not tear: it is lost as a whole.
        return BLOCK_BYTES;
    }
    let device = metadata.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let device = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    // A partition has no queue of its own: its disk has.
    let queues = [device.join("queue"), device.join("../queue")];
    let sizes = queues.iter().filter_map(|queue| {
        fs::read_to_string(queue.join("physical_block_size")).ok()?.trim().parse().ok()
    });
    sizes.into_iter().next().unwrap_or(SMALLEST)
}
