//! The frame around a snapshot: chunks with checksums, and a trailer that says what it is of.

use super::Base;

/// What a snapshot is of, and how large.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SnapshotMeta {
    /// The log up to the snapshot.
    pub base: Base,
    /// Znodes in it.
    pub znode_count: u64,
    /// Sessions in it.
    pub session_count: u64,
}
