//! The exit codes of `ringkeeper`: stable, and in one place. `FatalReason` has those from 10 on.

use std::fmt::Write;

use crate::fatal::FatalReason;

/// How the process ends, unless something breaks while it serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// As asked: SIGTERM or SIGINT, or the command is done.
    Done = 0,
    /// For a reason that has no code of its own.
    Unexpected = 1,
    /// The command line or the configuration is wrong. ZooKeeper's scripts know this number, and
    /// `clap` ends with it too.
    Config = 2,
    /// A data directory cannot be used: missing, not writable, of something else, of a newer
    /// version, or on an unsuitable file system.
    DataDir = 3,
    /// Another process uses the data directory.
    DataDirInUse = 4,
    /// The data directory is damaged; nothing was changed.
    Damaged = 5,
    /// The machine does not offer what the server needs, such as io_uring.
    Environment = 6,
    /// An address cannot be listened at.
    Listen = 7,
}

impl ExitCode {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Ends the process.
    pub(crate) fn exit(self) -> ! {
        std::process::exit(i32::from(self.code()))
    }
}

/// Every code with what it says, for the help and for `docs/operations.md`.
const MEANINGS: [(u8, &str); 15] = [
    (ExitCode::Done as u8, "ended as asked (SIGTERM, SIGINT, or the command is done)"),
    (ExitCode::Unexpected as u8, "anything that has no code of its own"),
    (ExitCode::Config as u8, "wrong command line or configuration"),
    (ExitCode::DataDir as u8, "a data directory cannot be used"),
    (ExitCode::DataDirInUse as u8, "another process uses the data directory"),
    (ExitCode::Damaged as u8, "the data directory is damaged; nothing was changed"),
    (ExitCode::Environment as u8, "the machine lacks something (io_uring, locked memory, ..)"),
    (ExitCode::Listen as u8, "an address cannot be listened at"),
    (FatalReason::LogWrite as u8, "a log write failed while serving"),
    (FatalReason::LogSpace as u8, "no room for the log while serving"),
    (FatalReason::Stalled as u8, "a core stood still while serving"),
    (FatalReason::ThreadEnded as u8, "a thread ended while serving"),
    (FatalReason::Undecodable as u8, "the log holds what this version never wrote"),
    (FatalReason::Listen as u8, "a bound address could not be listened at"),
    (
        FatalReason::TooOld as u8,
        "the cluster uses a feature level that this version does not know: update this server",
    ),
];

/// The codes as lines of a help text.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for (code, meaning) in MEANINGS {
        writeln!(text, "  {code:>2}  {meaning}").expect("a String takes everything");
    }
    text
}

/// The codes as a table of `docs/operations.md`.
#[cfg(test)]
pub(crate) fn table() -> String {
    let mut table = String::from("| Code | Meaning |\n| --- | --- |\n");
    for (code, meaning) in MEANINGS {
        writeln!(table, "| {code} | {meaning} |").expect("a String takes everything");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_and_in_order() {
        assert!(MEANINGS.is_sorted_by(|left, right| left.0 < right.0));
    }
}
