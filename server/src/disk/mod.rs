//! The data directory: locks, log segments, superblocks and snapshots as files. The bytes in them
//! are `engine/src/storage`'s.
//!
//! How the parts use it: `main` calls [`open::open`] once; the replica core runs the
//! [`log_writer::LogWriter`] and pushes into its [`log_writer::LogQueue`]; the archivist writes
//! snapshots through [`snapshot_writer::SnapshotDirectory`]; a thread of its own prepares, recycles
//! and trims segments ([`segments`]).
//!
//! Offline, [`survey::survey`] looks at a directory, and [`repair::repair`] cuts a damaged log.

mod checks;
mod direct;
pub(crate) mod log_writer;
mod names;
pub(crate) mod open;
mod pool;
mod recover;
pub(crate) mod repair;
mod scan;
pub(crate) mod segments;
mod snapshot_reader;
pub(crate) mod snapshot_writer;
mod superblocks;
pub(crate) mod survey;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use ringkeeper_engine::{ids::ReplicaId, limits::COMMAND_BYTES_MAX};

use crate::config::Config;

/// What the disk part must know of the settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DiskConfig {
    /// Lock file, superblocks, snapshots.
    pub(crate) data_dir: PathBuf,
    /// Log segments.
    pub(crate) log_dir: PathBuf,
    /// Whether missing directories are made.
    pub(crate) create_dirs: bool,
    /// Whose data it is.
    pub(crate) replica_id: ReplicaId,
    /// Length of a new segment.
    pub(crate) segment_bytes: u64,
    /// The longest command that a client may send: a record with it must fit in a segment.
    pub(crate) command_bytes_max: usize,
    /// Segments that are kept ready beyond the one in use.
    pub(crate) segments_ready: usize,
    /// Whether a directory in memory (tmpfs) is accepted, which a reboot loses.
    pub(crate) allow_volatile: bool,
    /// A slower flush of the log is traced as a warning.
    pub(crate) slow_flush_ms: u64,
    /// Bytes per second that preparing segments and writing snapshots may take from the disk.
    pub(crate) background_bytes_per_second: u64,
}

impl DiskConfig {
    /// What `config` says about the disk.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            data_dir: config.data_dir.clone(),
            log_dir: config.data_log_dir.clone(),
            create_dirs: config.create_data_dirs,
            replica_id: config.replica_id,
            segment_bytes: config.segment_bytes,
            command_bytes_max: config.jute_maxbuffer_bytes.min(COMMAND_BYTES_MAX),
            segments_ready: 3,
            allow_volatile: config.allow_tmpfs,
            slow_flush_ms: config.slow_flush_ms,
            background_bytes_per_second: 256 << 20,
        }
    }
}
