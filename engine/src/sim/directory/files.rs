//! What the files of a directory are called: as the server's disk module has it.

/// Names of files.
pub(super) mod names {
    use alloc::{format, string::String, vec::Vec};

    use crate::{ids::Slot, sim::disk::Disk};

    /// Ends the names of files that are not finished.
    pub(in super::super) const UNFINISHED: &str = ".tmp";

    pub(in super::super) fn segment(number: u32) -> String {
        format!("segment-{number:08x}")
    }

    pub(in super::super) fn spare(number: u32) -> String {
        format!("segment-{number:08x}{UNFINISHED}")
    }

    pub(in super::super) fn snapshot(slot: Slot) -> String {
        format!("snapshot-{:016x}", slot.0)
    }

    pub(in super::super) fn unfinished_snapshot(slot: Slot, is_received: bool) -> String {
        let kind = if is_received { ".received" } else { "" };
        format!("snapshot-{:016x}{kind}{UNFINISHED}", slot.0)
    }

    pub(in super::super) fn superblock(index: usize) -> String {
        format!("superblock-{index}")
    }

    /// All segments, in order.
    pub(in super::super) fn segments(disk: &Disk) -> Vec<u32> {
        let number = |name: &str| number(name, "segment-", 8).and_then(|n| u32::try_from(n).ok());
        disk.names().filter_map(number).collect()
    }

    /// All snapshots, in order.
    pub(in super::super) fn snapshots(disk: &Disk) -> Vec<Slot> {
        disk.names().filter_map(|name| number(name, "snapshot-", 16)).map(Slot).collect()
    }

    fn number(name: &str, prefix: &str, digits: usize) -> Option<u64> {
        let rest = name.strip_prefix(prefix)?;
        let is_number = rest.len() == digits;
        is_number.then(|| u64::from_str_radix(rest, 16).ok()).flatten()
    }
}
