//! Stopping the process because its surroundings broke: one line that says what, and a stable
//! exit code.
//!
//! Nothing is tidied up: after a failed flush the only thing known to be right is what recovery
//! will find on the disk.

use std::fmt;

/// Why the process cannot go on. The number is its exit code; `docs/operations.md` lists them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum FatalReason {
    /// A log write or flush failed. What reached the disk is unknown, and a retried flush may
    /// report success for pages the kernel has already dropped.
    LogWrite = 10,
    /// The log pool could not be prepared: no room for the segment that is needed now.
    LogSpace = 11,
    /// A core made no progress for too long.
    Stalled = 12,
    /// A thread that the server needs has ended.
    ThreadEnded = 13,
    /// A batch that was decided cannot be decoded: the log holds what this version never wrote.
    Undecodable = 14,
    /// A socket that was bound cannot be listened on.
    Listen = 15,
    /// The cluster applies commands in a way that this version does not know.
    TooOld = 16,
}

impl FatalReason {
    /// The exit code.
    pub(crate) fn code(self) -> i32 {
        i32::from(self as u8)
    }
}

/// Says why on the trace and ends the process at once.
pub(crate) fn fatal(reason: FatalReason, cause: &dyn fmt::Display) -> ! {
    tracing::error!(?reason, %cause, "cannot go on");
    std::process::exit(reason.code())
}
