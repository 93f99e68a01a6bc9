//! The log: bytes to records and back. No files: `server/src/disk` has those.
//!
//! `docs/disk-format.md` is the only description of the bytes. In short: a segment is a file of
//! 4 KiB blocks; its first block is a header, the rest are records, each `n` blocks. Every block
//! ends in a trailer that says what it belongs to, so that recovery can tell a write that was cut
//! short (old content, sound) from one that was damaged later (no sound content), with no second
//! write on the way of a commit.
//!
//! Reading order: [`recovery`], [`snapshot_file`].
#![deny(clippy::indexing_slicing)]

use alloc::sync::Arc;

use crate::{
    batch::{Batch, BatchHeader},
    ids::{Ballot, Epoch, LogPos, Slot, WallTime, Zxid},
};

/// One thing that a replica wants on its disk. The positions of successive appends are successive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Append {
    /// Which of this replica's appends it is.
    pub pos: LogPos,
    /// The commit slot as known when it was appended: a hint that recovery may report.
    pub commit: Slot,
    /// What.
    pub kind: AppendKind,
}

/// What an append stores.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AppendKind {
    /// A batch was accepted. Replaces whatever the log has from its slot on.
    Batch {
        /// Under which ballot.
        ballot: Ballot,
        /// What.
        batch: Arc<Batch>,
    },
    /// A ballot was promised.
    Promise {
        /// Which.
        ballot: Ballot,
    },
    /// A snapshot of State is on the disk: once this is durable, the log before the older of the
    /// two newest snapshots may go.
    Snapshot {
        /// The log up to the snapshot.
        base: Base,
    },
}

/// The end of a log as seen by whoever continues it: its last batch without the batch.
/// The default is the end of the empty log.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Base {
    /// The last slot.
    pub slot: Slot,
    /// The ballot under which that batch was first proposed.
    pub origin: Ballot,
    /// The hash of the whole log up to it.
    pub hash: u128,
    /// The epoch it belongs to.
    pub epoch: Epoch,
    /// The last zxid given out.
    pub last_zxid: Zxid,
    /// The leader's clock in it.
    pub time: WallTime,
}

impl Base {
    /// The log that ends with this batch.
    #[must_use]
    pub fn of(header: &BatchHeader) -> Self {
        Self {
            slot: header.slot,
            origin: header.origin,
            hash: header.hash,
            epoch: header.epoch,
            last_zxid: header.last_zxid(),
            time: header.time,
        }
    }
}

pub mod recovery;
pub mod snapshot_file;
