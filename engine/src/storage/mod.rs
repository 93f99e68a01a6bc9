//! The log: bytes to records and back. No files: `server/src/disk` has those.
//!
//! `docs/disk-format.md` is the only description of the bytes. In short: a segment is a file of
//! 4 KiB blocks; its first block is a header, the rest are records, each `n` blocks. Every block
//! ends in a trailer that says what it belongs to, so that recovery can tell a write that was cut
//! short (old content, sound) from one that was damaged later (no sound content), with no second
//! write on the way of a commit.
//!
//! Reading order: [`lsn`], [`block`], [`record`], [`standalone`], [`segment`], [`superblock`],
//! [`group`], [`recovery`], [`snapshot_file`], [`kept`].
#![deny(clippy::indexing_slicing)]

use alloc::sync::Arc;

pub use crate::batch::Base;

use crate::{
    batch::Batch,
    ids::{Ballot, LogPos, Slot},
};

pub mod block;
mod chain;
pub mod group;
pub mod kept;
pub mod lsn;
mod reader;
pub mod record;
pub mod recovery;
pub mod segment;
pub mod snapshot_file;
pub mod standalone;
pub mod superblock;

pub use lsn::Lsn;

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
    /// A snapshot that another replica sent is on the disk, and the log goes on behind it, whatever
    /// stood before: an older log, or a longer one, or one with other batches. Where the log has
    /// the same batch at the snapshot's slot, what it has behind that stays.
    Install {
        /// The log up to the snapshot.
        base: Base,
    },
}

#[cfg(test)]
mod tests;
