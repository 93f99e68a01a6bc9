//! Cutting a damaged directory: what is before a slot stays, everything else is kept aside.
//!
//! Nothing is changed before it is known that a start will recover exactly what is before the slot.
//! If the cut itself is interrupted, the directory is still damaged or already cut, and can be
//! repaired again.

mod change;
mod plan;

use std::{fs::File, io, path::PathBuf};

use ringkeeper_engine::{
    ids::{Ballot, Slot},
    storage::Lsn,
};

use super::{
    checks,
    open::OpenError,
    survey::{self, SurveyError, ranges::SlotRanges},
};

/// What was done.
#[derive(Clone, Debug)]
pub(crate) struct Repaired {
    /// The last slot that is kept.
    pub(crate) last_slot: Slot,
    /// The last zxid that is kept, as far as it is known.
    pub(crate) last_zxid: String,
    /// Where everything is that was taken out or changed.
    pub(crate) aside: Vec<PathBuf>,
    /// What is given up.
    pub(crate) lost: Lost,
}

/// What is given up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    /// Slots whose batches are sound, and kept aside.
    pub(crate) readable: SlotRanges,
    /// Slots that something speaks of and that cannot be read.
    pub(crate) unreadable: SlotRanges,
    /// The lowest and the highest zxid in the sound ones.
    pub(crate) zxids: Option<(i64, i64)>,
    /// The highest slot that a snapshot holds which is set aside.
    pub(crate) snapshot: Option<Slot>,
}

/// Why nothing was changed, or not everything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepairError {
    /// It cannot be looked at.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// It cannot be locked.
    #[error(transparent)]
    Lock(#[from] OpenError),
    /// A start would find nothing wrong.
    #[error(
        "nothing is wrong: a start recovers everything up to slot {last}. To cut a log that is \
         whole, add --force. Nothing was changed"
    )]
    NothingWrong {
        /// The last slot.
        last: u64,
    },
    /// A log that is whole ends before the slot.
    #[error("the log is whole and ends with slot {last}, before slot {asked}: nothing to cut")]
    NothingThere {
        /// The slot that was named.
        asked: u64,
        /// The last slot.
        last: u64,
    },
    /// Not everything before the slot can be kept.
    #[error(
        "not everything before slot {asked} can be kept. --truncate-at {best} is possible. Nothing \
         was changed"
    )]
    Unreachable {
        /// The slot that was named.
        asked: u64,
        /// The highest that is possible.
        best: u64,
    },
    /// A file could not be written.
    #[error("cannot {action} {path}: {source}. Run the same command again")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// How the directory will look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Cut {
    /// The first slot that is given up.
    slot: Slot,
    /// Where the log ends; `Lsn::ZERO`: it starts anew behind the snapshot.
    end: Lsn,
    /// The highest ballot that anything speaks of.
    promised: Ballot,
}

/// Gives up everything from `slot` on. Without `force`, only if a start would refuse the directory.
pub(crate) fn repair(
    data_dir: &std::path::Path,
    log_dir: &std::path::Path,
    slot: Slot,
    force: bool,
) -> Result<Repaired, RepairError> {
    // Before the lock: it would leave a file in a directory that is not ours.
    survey::check_ours(data_dir, log_dir)?;
    let _data_lock: File = checks::lock_directory(data_dir)?;
    let is_same = checks::is_same_directory(data_dir, log_dir);
    let _log_lock = if is_same { None } else { Some(checks::lock_directory(log_dir)?) };
    let found = survey::find(data_dir, log_dir)?;
    let plan = plan::plan(&found, slot, force)?;
    let aside = change::change(&found, &plan)?;
    Ok(Repaired {
        last_slot: plan.base_kept.slot,
        last_zxid: plan.base_kept.last_zxid.to_string(),
        aside,
        lost: plan.lost,
    })
}
