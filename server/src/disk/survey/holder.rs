//! Who uses a directory, without disturbing them: asking for the lock could make a server that
//! starts at this moment refuse.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use crate::disk::names;

/// The process that holds the directory's lock.
pub(super) fn holder(directory: &Path) -> Option<u32> {
    let path = names::lock(directory);
    let inode = fs::metadata(&path).ok()?.ino();
    let pid: u32 = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().any(|line| is_lock_of(line, pid, inode)).then_some(pid)
}

/// `1: FLOCK  ADVISORY  WRITE 1234 fe:01:131 0 EOF`. The device is not compared: some file systems
/// show another one here than to those who ask about a file. The process and the inode will do.
fn is_lock_of(line: &str, pid: u32, inode: u64) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let is_flock = words.next() == Some("FLOCK");
    let holder = words.nth(2).and_then(|word| word.parse().ok());
    let file = words.next().and_then(|word| word.rsplit(':').next()?.parse().ok());
    is_flock && holder == Some(pid) && file == Some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel() {
        let line = "17: FLOCK  ADVISORY  WRITE 1234 fe:01:131 0 EOF";
        assert!(is_lock_of(line, 1234, 131));
        assert!(!is_lock_of(line, 1234, 132));
        assert!(!is_lock_of(line, 1235, 131));
        assert!(!is_lock_of(&line.replace("FLOCK", "POSIX"), 1234, 131));
        assert!(!is_lock_of("", 1234, 131));
    }
}
