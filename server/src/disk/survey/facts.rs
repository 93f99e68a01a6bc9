//! What a survey found, as text and JSON show it.

use std::path::PathBuf;

use serde::Serialize;

/// A data directory.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Survey {
    /// Superblocks and snapshots.
    pub(crate) data_dir: PathBuf,
    /// Segments.
    pub(crate) log_dir: PathBuf,
    /// The process that uses the directory: what is here changes while it is read.
    pub(crate) in_use_by: Option<u32>,
    /// Both superblocks.
    pub(crate) superblocks: Vec<SuperblockFacts>,
    /// Snapshots, oldest first.
    pub(crate) snapshots: Vec<SnapshotFacts>,
    /// Segments, in order.
    pub(crate) segments: Vec<SegmentFacts>,
    /// Files that a start removes: spare segments, and what was not finished.
    pub(crate) unfinished: Vec<String>,
    /// What a start makes of the log; `None` where it does not come that far.
    pub(crate) log: Option<LogFacts>,
    /// What a start would mend or work around.
    pub(crate) remarks: Vec<String>,
    /// Why a start would refuse; `None`: the directory is whole.
    pub(crate) damage: Option<DamageFacts>,
    /// Whether there is no damage, for those who want one word.
    pub(crate) is_whole: bool,
}

/// One of the two superblocks.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SuperblockFacts {
    /// Its name.
    pub(crate) file: String,
    /// What it says; `None`: it cannot be read.
    pub(crate) content: Option<SuperblockContent>,
    /// Why not.
    pub(crate) error: Option<String>,
}

/// What a superblock says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SuperblockContent {
    /// Writes so far.
    pub(crate) sequence: u64,
    /// The cluster, in hexadecimal.
    pub(crate) cluster: String,
    /// The directory, in hexadecimal.
    pub(crate) incarnation: String,
    /// Which member.
    pub(crate) replica: u16,
    /// The highest promised ballot: round.replica.
    pub(crate) promised: String,
    /// The slot of the newest snapshot with a record; 0: none.
    pub(crate) snapshot_slot: u64,
    /// The log was durable up to here: segment:block.
    pub(crate) tail: String,
}

/// A snapshot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SnapshotFacts {
    /// Its name.
    pub(crate) file: String,
    /// Its length.
    pub(crate) file_bytes: u64,
    /// What its trailer says; `None`: that cannot be read.
    pub(crate) trailer: Option<TrailerFacts>,
    /// Why a start cannot use it; `None`: every byte was checked.
    pub(crate) error: Option<String>,
}

/// What a snapshot's trailer says.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TrailerFacts {
    /// The last slot in it.
    pub(crate) slot: u64,
    /// The last zxid in it.
    pub(crate) zxid: String,
    /// Znodes.
    pub(crate) znodes: u64,
    /// Sessions.
    pub(crate) sessions: u64,
    /// Chunks.
    pub(crate) chunks: u32,
    /// Bytes in them.
    pub(crate) payload_bytes: u64,
    /// Of the file, in hexadecimal.
    pub(crate) hash: String,
    /// Whether another replica sent it.
    pub(crate) is_received: bool,
    /// The configuration of the cluster as of it; `None`: none was decided, or it cannot be read.
    pub(crate) config: Option<ConfigFacts>,
}

/// The configuration of the cluster.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConfigFacts {
    /// The cluster, in hexadecimal.
    pub(crate) cluster: String,
    /// What applying a command may rely on.
    pub(crate) feature_level: u16,
    /// Who votes.
    pub(crate) voters: Vec<MemberFacts>,
    /// Members without a vote.
    pub(crate) observers: Vec<MemberFacts>,
}

/// A member of the cluster.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MemberFacts {
    /// Which replica.
    pub(crate) replica: u16,
    /// Its data directory, in hexadecimal; zeros: not there yet.
    pub(crate) incarnation: String,
}

/// A segment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SegmentFacts {
    /// Its name.
    pub(crate) file: String,
    /// Its number.
    pub(crate) number: u32,
    /// Its length.
    pub(crate) file_bytes: u64,
    /// What its header says; `None`: it cannot be read.
    pub(crate) header: Option<HeaderFacts>,
    /// Why not.
    pub(crate) error: Option<String>,
    /// The last slot before it, as its seal says; `None`: it was never used.
    pub(crate) after_slot: Option<u64>,
    /// Where the log ended before it, as its seal says: segment:block.
    pub(crate) previous_end: Option<String>,
    /// Where the log ended in it, as a later segment's seal says: segment:block.
    pub(crate) sealed_at: Option<String>,
    /// Valid records.
    pub(crate) record_count: u64,
    /// Of all its batches, the lowest slot and the highest.
    pub(crate) slots: Option<(u64, u64)>,
    /// Of all its batches, the lowest zxid and the highest.
    pub(crate) zxids: Option<(String, String)>,
    /// Each record, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<Vec<RecordFacts>>,
}

/// A segment's header.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HeaderFacts {
    /// In hexadecimal.
    pub(crate) generation: String,
    /// Blocks that the file should have.
    pub(crate) block_count: u32,
}

/// A valid record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RecordFacts {
    /// Where: segment:block.
    pub(crate) lsn: String,
    /// Where in the file.
    pub(crate) offset: u64,
    /// Its length.
    pub(crate) block_count: u32,
    /// batch, promise, seal, pad, snapshot or install.
    pub(crate) kind: &'static str,
    /// Accepted under it, or promised: round.replica.
    pub(crate) ballot: String,
    /// The log was durable up to here when it was written.
    pub(crate) durable: String,
    /// The commit slot as known then.
    pub(crate) commit: u64,
    /// If it is a batch.
    pub(crate) batch: Option<BatchFacts>,
    /// If the log goes on behind a snapshot that was received.
    pub(crate) install: Option<InstallFacts>,
}

/// That the log goes on behind a snapshot.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InstallFacts {
    /// The last slot in the snapshot.
    pub(crate) slot: u64,
    /// The last slot of the log from there on: more than that where the log had the same batch.
    pub(crate) last_slot: u64,
}

/// A batch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BatchFacts {
    /// Its slot.
    pub(crate) slot: u64,
    /// Proposed under: round.replica.
    pub(crate) origin: String,
    /// commands, new-epoch or config.
    pub(crate) kind: &'static str,
    /// Its epoch.
    pub(crate) epoch: u32,
    /// The last zxid given out once it is applied.
    pub(crate) last_zxid: String,
    /// Commands.
    pub(crate) commands: u32,
    /// Commands that take a zxid.
    pub(crate) zxid_count: u32,
    /// Milliseconds since 1970.
    pub(crate) time_ms: i64,
}

/// What a start makes of the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LogFacts {
    /// The snapshot it starts from: its slot; 0: the empty State.
    pub(crate) from_slot: u64,
    /// Batches after it that are applied.
    pub(crate) batch_count: u64,
    /// The last slot.
    pub(crate) last_slot: u64,
    /// The last zxid.
    pub(crate) last_zxid: String,
    /// The highest promised ballot: round.replica.
    pub(crate) promised: String,
    /// Where the log ends: segment:block.
    pub(crate) end: String,
    /// The file that it ends in; `None`: no segment was used.
    pub(crate) end_file: Option<String>,
    /// Where in that file.
    pub(crate) end_offset: u64,
    /// clean; torn: a last write cut short by a crash, which is dropped; or live: a server writes
    /// here.
    pub(crate) end_kind: &'static str,
}

/// Why a start would refuse.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DamageFacts {
    /// Which file.
    pub(crate) file: PathBuf,
    /// Where in it.
    pub(crate) offset: u64,
    /// What is wrong there.
    pub(crate) what: String,
    /// The first slot that cannot be read.
    pub(crate) slot: u64,
    /// The last zxid before it.
    pub(crate) last_zxid: String,
    /// Batches behind the damage that can be read, as far as slots tell: lowest and highest.
    pub(crate) readable_behind: Option<(u64, u64)>,
    /// The slot for `ringkeeper repair --truncate-at` that keeps all that can be kept.
    pub(crate) truncate_at: Option<u64>,
}
