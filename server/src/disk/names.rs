//! What files of a data directory are called, and which there are.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use ringkeeper_engine::ids::Slot;

/// Ends the names of files that are not finished, and that the next start removes.
pub(super) const UNFINISHED: &str = ".tmp";

/// The lock file of a directory.
pub(super) fn lock(directory: &Path) -> PathBuf {
    directory.join("ringkeeper.lock")
}

/// A segment of the log.
pub(super) fn segment(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("segment-{number:08x}"))
}

/// A segment that is being made, or that waits to be used again.
pub(super) fn spare(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("segment-{number:08x}{UNFINISHED}"))
}

/// A snapshot of the State after `slot`.
pub(super) fn snapshot(directory: &Path, slot: Slot) -> PathBuf {
    directory.join(format!("snapshot-{:016x}", slot.0))
}

/// One of the two superblocks.
pub(super) fn superblock(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("superblock-{index}"))
}

/// All segments, by number.
pub(super) fn segments(directory: &Path) -> io::Result<BTreeMap<u32, PathBuf>> {
    let mut segments = BTreeMap::new();
    for (name, path) in files(directory)? {
        if let Some(number) = number(&name, "segment-", 8)
            && let Ok(number) = u32::try_from(number)
        {
            segments.insert(number, path);
        }
    }
    Ok(segments)
}

/// All snapshots, by slot.
pub(super) fn snapshots(directory: &Path) -> io::Result<BTreeMap<Slot, PathBuf>> {
    let mut snapshots = BTreeMap::new();
    for (name, path) in files(directory)? {
        if let Some(slot) = number(&name, "snapshot-", 16) {
            snapshots.insert(Slot(slot), path);
        }
    }
    Ok(snapshots)
}

/// Files of ours that were not finished.
pub(super) fn unfinished(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let ours = |name: &str| name.starts_with("segment-") || name.starts_with("snapshot-");
    let files = files(directory)?.into_iter();
    let unfinished = files.filter(|(name, _)| ours(name) && name.ends_with(UNFINISHED));
    Ok(unfinished.map(|(_, path)| path).collect())
}

/// Exactly so many hexadecimal digits behind the prefix.
fn number(name: &str, prefix: &str, digits: usize) -> Option<u64> {
    let rest = name.strip_prefix(prefix)?;
    let is_number = rest.len() == digits && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| u64::from_str_radix(rest, 16).ok()).flatten()
}

fn files(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            files.push((name, entry.path()));
        }
    }
    Ok(files)
}
