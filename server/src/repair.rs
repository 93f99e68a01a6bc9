//! `ringkeeper repair`: cuts a damaged directory, and says what is lost.

use std::io::{self, Write as _};

use ringkeeper_engine::ids::Slot;

use crate::{
    cli::RepairArgs,
    disk::repair::{Lost, RepairError, Repaired, repair},
    exit_code::ExitCode,
    inspect,
};

/// Runs the command.
pub(crate) fn run(arguments: &RepairArgs) -> ExitCode {
    let log_dir = arguments.data_log_dir.as_ref().unwrap_or(&arguments.dir);
    match repair(&arguments.dir, log_dir, Slot(arguments.truncate_at), arguments.force) {
        Ok(repaired) => {
            // Whoever reads may have closed the pipe: it is done all the same.
            drop(io::stdout().write_all(text(&repaired).as_bytes()));
            ExitCode::Done
        }
        Err(error) => {
            tracing::error!("{error}");
            exit_code(&error)
        }
    }
}

fn exit_code(error: &RepairError) -> ExitCode {
    match error {
        RepairError::Survey(error) => inspect::exit_code(error),
        RepairError::Lock(error) => error.exit_code(),
        RepairError::NothingWrong { .. }
        | RepairError::NothingThere { .. }
        | RepairError::Unreachable { .. } => ExitCode::Damaged,
        RepairError::Io { .. } => ExitCode::DataDir,
    }
}

fn text(repaired: &Repaired) -> String {
    let Repaired { last_slot, last_zxid, aside, lost } = repaired;
    let mut text = lost_text(lost);
    for path in aside {
        text += &format!("originals are in {}\n", path.display());
    }
    text + &format!("a start recovers everything up to slot {}, zxid {last_zxid}\n", last_slot.0)
}

fn lost_text(lost: &Lost) -> String {
    let mut text = String::new();
    if !lost.unreadable.is_empty() {
        text += &format!("lost, and unreadable: slots {}\n", lost.unreadable);
    }
    if !lost.readable.is_empty() {
        text += &format!("given up, though sound: slots {}", lost.readable);
        if let Some((first, last)) = lost.zxids {
            text += &format!(" with zxids {first:#x} to {last:#x}");
        }
        text += "\n";
    }
    if let Some(slot) = lost.snapshot {
        text += &format!("given up: the snapshot at slot {}\n", slot.0);
    }
    if text.is_empty() {
        text += "no batch is given up that anything speaks of\n";
    }
    text
}
