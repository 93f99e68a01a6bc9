//! `ringkeeper inspect`: prints what is in a data directory, as text or JSON.

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
};

use crate::{
    cli::InspectArgs,
    disk::survey::{
        ConfigFacts, DamageFacts, LogFacts, RecordFacts, SegmentFacts, SnapshotFacts,
        SuperblockFacts, Survey, SurveyError, survey,
    },
    exit_code::ExitCode,
};

/// Runs the command.
pub(crate) fn inspect(arguments: &InspectArgs) -> ExitCode {
    let log_dir = arguments.data_log_dir.as_ref().unwrap_or(&arguments.dir);
    match survey(&arguments.dir, log_dir, arguments.records) {
        Ok(survey) => print(arguments, &survey),
        Err(error) => {
            tracing::error!("{error}");
            exit_code(&error)
        }
    }
}

/// How a command ends that could not look at a directory.
pub(crate) fn exit_code(error: &SurveyError) -> ExitCode {
    match error {
        SurveyError::NotOurs { .. } | SurveyError::NewerVersion { .. } | SurveyError::Io { .. } => {
            ExitCode::DataDir
        }
        SurveyError::Moving { .. } => ExitCode::Unexpected,
    }
}

fn print(arguments: &InspectArgs, survey: &Survey) -> ExitCode {
    let text = if arguments.json {
        serde_json::to_string_pretty(survey).expect("facts are plain values") + "\n"
    } else {
        Text(survey).to_string()
    };
    // Whoever reads may have seen enough, and closed the pipe.
    drop(io::stdout().write_all(text.as_bytes()));
    if survey.damage.is_some() { ExitCode::Damaged } else { ExitCode::Done }
}

/// A survey for people.
pub(crate) struct Text<'a>(pub(crate) &'a Survey);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survey = self.0;
        writeln!(f, "data directory {}", survey.data_dir.display())?;
        if survey.log_dir != survey.data_dir {
            writeln!(f, "log directory {}", survey.log_dir.display())?;
        }
        if let Some(pid) = survey.in_use_by {
            writeln!(
                f,
                "in use by process {pid}: read beside it, without a lock; the log grows meanwhile"
            )?;
        }
        writeln!(f, "\nsuperblocks")?;
        survey.superblocks.iter().try_for_each(|facts| superblock(f, facts))?;
        writeln!(f, "\nsnapshots ({})", survey.snapshots.len())?;
        survey.snapshots.iter().try_for_each(|facts| snapshot(f, facts))?;
        writeln!(f, "\nsegments ({})", survey.segments.len())?;
        survey.segments.iter().try_for_each(|facts| segment(f, facts))?;
        if !survey.unfinished.is_empty() {
            writeln!(f, "\nspare or unfinished, removed by a start")?;
            survey.unfinished.iter().try_for_each(|name| writeln!(f, "  {name}"))?;
        }
        if let Some(facts) = &survey.log {
            writeln!(f, "\nlog")?;
            log(f, facts, survey.in_use_by.is_some())?;
        }
        if !survey.remarks.is_empty() {
            writeln!(f, "\nremarks")?;
            survey.remarks.iter().try_for_each(|remark| writeln!(f, "  {remark}"))?;
        }
        writeln!(f)?;
        match (&survey.damage, &survey.log) {
            (Some(facts), _) => damage(f, facts, survey),
            (None, Some(log)) => writeln!(
                f,
                "whole: a start recovers everything up to slot {}, zxid {}",
                log.last_slot, log.last_zxid
            ),
            (None, None) => writeln!(f, "whole, as far as a log that is being written can be read"),
        }
    }
}

fn superblock(f: &mut fmt::Formatter<'_>, facts: &SuperblockFacts) -> fmt::Result {
    let Some(content) = &facts.content else {
        let error = facts.error.as_deref().unwrap_or_default();
        return writeln!(f, "  {}: {error}", facts.file);
    };
    writeln!(
        f,
        "  {}: sequence {}, replica {}, promised {}, snapshot at slot {}, log durable up to {}",
        facts.file,
        content.sequence,
        content.replica,
        content.promised,
        content.snapshot_slot,
        content.tail
    )?;
    writeln!(f, "    cluster {}, incarnation {}", content.cluster, content.incarnation)
}

fn snapshot(f: &mut fmt::Formatter<'_>, facts: &SnapshotFacts) -> fmt::Result {
    let verdict = facts.error.as_deref().unwrap_or("every byte verified");
    writeln!(f, "  {}: {} bytes, {verdict}", facts.file, facts.file_bytes)?;
    let Some(trailer) = &facts.trailer else { return Ok(()) };
    writeln!(
        f,
        "    slot {}, zxid {}, {} znodes, {} sessions, {} chunks with {} bytes, hash {}",
        trailer.slot,
        trailer.zxid,
        trailer.znodes,
        trailer.sessions,
        trailer.chunks,
        trailer.payload_bytes,
        trailer.hash
    )?;
    if trailer.is_received {
        writeln!(f, "    received from another replica")?;
    }
    trailer.config.as_ref().map_or(Ok(()), |facts| config(f, facts))
}

fn config(f: &mut fmt::Formatter<'_>, facts: &ConfigFacts) -> fmt::Result {
    writeln!(f, "    cluster {}, feature level {}", facts.cluster, facts.feature_level)?;
    let members = [("voter", &facts.voters), ("observer", &facts.observers)];
    members
        .into_iter()
        .flat_map(|(role, members)| members.iter().map(move |m| (role, m)))
        .try_for_each(|(role, member)| {
            writeln!(f, "      {role} {}, incarnation {}", member.replica, member.incarnation)
        })
}

fn segment(f: &mut fmt::Formatter<'_>, facts: &SegmentFacts) -> fmt::Result {
    write!(f, "  {}: {} bytes", facts.file, facts.file_bytes)?;
    match (&facts.header, &facts.error) {
        (Some(header), _) => write!(f, ", generation {}", header.generation)?,
        (None, error) => write!(f, ", header {}", error.as_deref().unwrap_or_default())?,
    }
    match facts.after_slot {
        Some(slot) => write!(f, ", begins after slot {slot}")?,
        None => write!(f, ", never used")?,
    }
    let mut rest = String::new();
    if 0 < facts.record_count {
        write!(rest, ", {} records", facts.record_count)?;
    }
    if let Some((first, last)) = &facts.slots {
        write!(rest, ", slots {first} to {last}")?;
    }
    if let Some((first, last)) = &facts.zxids {
        write!(rest, ", zxids {first} to {last}")?;
    }
    if let Some(end) = &facts.sealed_at {
        write!(rest, ", sealed at {end}")?;
    }
    writeln!(f, "{rest}")?;
    facts.records.iter().flatten().try_for_each(|facts| record(f, facts))
}

fn record(f: &mut fmt::Formatter<'_>, facts: &RecordFacts) -> fmt::Result {
    write!(
        f,
        "    {} offset {}, {} blocks: {} under {}",
        facts.lsn, facts.offset, facts.block_count, facts.kind, facts.ballot
    )?;
    if let Some(batch) = &facts.batch {
        write!(
            f,
            ", slot {} of {}, {}, epoch {}, {} commands, {} zxids up to {}, time {}",
            batch.slot,
            batch.origin,
            batch.kind,
            batch.epoch,
            batch.commands,
            batch.zxid_count,
            batch.last_zxid,
            batch.time_ms
        )?;
    }
    if let Some(install) = &facts.install {
        let (slot, last) = (install.slot, install.last_slot);
        write!(f, ", behind the received snapshot of slot {slot}, where the log ends with {last}")?;
    }
    writeln!(f, "; durable up to {}, commit {}", facts.durable, facts.commit)
}

fn log(f: &mut fmt::Formatter<'_>, facts: &LogFacts, is_live: bool) -> fmt::Result {
    match facts.from_slot {
        0 => writeln!(f, "  starts from nothing")?,
        slot => writeln!(f, "  starts from the snapshot at slot {slot}")?,
    }
    writeln!(
        f,
        "  {} batches after it, up to slot {}, zxid {}; highest promise {}",
        facts.batch_count, facts.last_slot, facts.last_zxid, facts.promised
    )?;
    let Some(file) = &facts.end_file else { return writeln!(f, "  no segment was used yet") };
    let how = match (facts.end_kind, is_live) {
        (_, true) => "the live end, where the server writes",
        ("torn", false) => {
            "a torn tail: a last write cut short before anybody was told of it, which a start drops"
        }
        _ => "a clean end",
    };
    writeln!(f, "  ends at {}, {file} offset {}: {how}", facts.end, facts.end_offset)
}

fn damage(f: &mut fmt::Formatter<'_>, facts: &DamageFacts, survey: &Survey) -> fmt::Result {
    writeln!(f, "damage in {} at offset {}: {}", facts.file.display(), facts.offset, facts.what)?;
    writeln!(
        f,
        "  sound before it: everything up to slot {}, zxid {}",
        facts.slot - 1,
        facts.last_zxid
    )?;
    if let Some((first, last)) = facts.readable_behind {
        writeln!(f, "  readable behind it, though not connected: slots {first} to {last}")?;
    }
    match facts.truncate_at {
        Some(slot) => {
            let dir = survey.data_dir.display();
            write!(f, "  without another copy: ringkeeper repair {dir}")?;
            if survey.log_dir != survey.data_dir {
                write!(f, " --data-log-dir {}", survey.log_dir.display())?;
            }
            writeln!(f, " --truncate-at {slot} keeps all that can be kept: slots below {slot}")?;
        }
        None => writeln!(f, "  nothing can be kept: no snapshot is sound and no log begins")?,
    }
    writeln!(f, "damaged: a start refuses; slot {} and what follows it cannot be read", facts.slot)
}
