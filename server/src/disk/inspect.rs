//! `ringkeeper inspect`: what a data directory holds, and whether it is whole. Changes nothing.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    fs,
    path::{Path, PathBuf},
};

use ringkeeper_engine::{
    ids::Ballot,
    storage::{
        Base,
        block::BLOCK_BYTES,
        record::RecordKind,
        recovery::{EndKind, Options, Recovery, Seen},
        superblock::Superblock,
    },
};
use serde::Serialize;

use super::{
    checks,
    direct::DirectFile,
    names,
    open::OpenError,
    scan::scan_into,
    snapshot_reader::{SnapshotError, SnapshotFile},
};
use crate::{cli::InspectArgs, exit_code::ExitCode};

/// Runs the command.
pub(crate) fn run(arguments: &InspectArgs) -> ExitCode {
    let log_dir = arguments.data_log_dir.as_deref().unwrap_or(&arguments.dir);
    let report = match inspect(&arguments.dir, log_dir, arguments.records) {
        Ok(report) => report,
        Err(error) => {
            print_error(&error);
            return error.exit_code();
        }
    };
    let text = if arguments.json {
        serde_json::to_string_pretty(&report).expect("a report is plain data") + "\n"
    } else {
        report.to_string()
    };
    print(&text);
    if report.whole { ExitCode::Done } else { ExitCode::Damaged }
}

#[expect(clippy::print_stdout, reason = "the command's result")]
pub(super) fn print(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the command's failure")]
pub(super) fn print_error(error: &dyn fmt::Display) {
    eprintln!("ringkeeper: {error}");
}

/// Everything that was found. Positions in the log are `segment:block`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    data_dir: PathBuf,
    log_dir: PathBuf,
    /// Whether a server would start on it and miss nothing.
    whole: bool,
    /// What is wrong, a line each.
    problems: Vec<String>,
    superblocks: Vec<SuperblockReport>,
    snapshots: Vec<SnapshotReport>,
    segments: Vec<SegmentReport>,
    log: LogReport,
}

#[derive(Debug, Serialize)]
struct SuperblockReport {
    file: String,
    sequence: u64,
    cluster: String,
    incarnation: String,
    replica: u16,
    promised: String,
    tail: String,
    snapshot_slot: u64,
}

#[derive(Debug, Serialize)]
struct SnapshotReport {
    file: String,
    bytes: u64,
    /// Why it cannot be used, if so.
    problem: Option<String>,
    slot: u64,
    last_zxid: String,
    znodes: u64,
    sessions: u64,
}

#[derive(Debug, Default, Serialize)]
struct SegmentReport {
    number: u32,
    file: String,
    bytes: u64,
    generation: String,
    /// Whether the log ever reached it.
    used: bool,
    /// How many records of each kind could be read.
    records: BTreeMap<&'static str, u64>,
    first_slot: Option<u64>,
    last_slot: Option<u64>,
    /// Each record, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<RecordReport>,
}

#[derive(Debug, Serialize)]
struct RecordReport {
    at: String,
    blocks: u32,
    kind: &'static str,
    ballot: String,
    durable: String,
    slot: Option<u64>,
    first_zxid: Option<String>,
    commands: Option<u32>,
}

#[derive(Debug, Default, Serialize)]
struct LogReport {
    end: String,
    torn: bool,
    last_slot: u64,
    last_zxid: String,
    epoch: u32,
    appended: u64,
    promised: String,
    batches_after_snapshot: u64,
}

/// Looks at everything.
pub(super) fn inspect(
    data_dir: &Path,
    log_dir: &Path,
    with_records: bool,
) -> Result<Report, OpenError> {
    for directory in [data_dir, log_dir] {
        checks::look(directory)?;
    }
    let mut report =
        Report { data_dir: data_dir.to_owned(), log_dir: log_dir.to_owned(), ..Report::default() };
    let superblock = superblocks(data_dir, &mut report)?;
    let base = snapshots(data_dir, superblock.as_ref(), &mut report)?;
    log(log_dir, superblock, base, with_records, &mut report)?;
    let is_empty =
        report.superblocks.is_empty() && report.snapshots.is_empty() && report.segments.is_empty();
    if is_empty {
        return Err(OpenError::NoData { path: data_dir.to_owned() });
    }
    report.whole = report.problems.is_empty();
    Ok(report)
}

/// The newest superblock that can be read.
fn superblocks(directory: &Path, report: &mut Report) -> Result<Option<Superblock>, OpenError> {
    let mut newest: Option<Superblock> = None;
    for index in 0..2 {
        let path = names::superblock(directory, index);
        let block = match DirectFile::open(&path).and_then(|file| file.read_block(0)) {
            Ok(block) => block,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::io("read", &path, error)),
        };
        let decoded = block.map(|block| Superblock::decode(&block));
        match decoded {
            Some(Ok(superblock)) => {
                report.superblocks.push(SuperblockReport::of(&path, &superblock));
                let is_newer = newest.is_none_or(|newest| newest.sequence < superblock.sequence);
                newest = if is_newer { Some(superblock) } else { newest };
            }
            Some(Err(error)) => report.problems.push(format!("{}: {error}", path.display())),
            None => report.problems.push(format!("{}: missing or too short", path.display())),
        }
    }
    Ok(newest)
}

/// Reads all snapshots to their ends. Returns what the newest sound one is of.
fn snapshots(
    directory: &Path,
    superblock: Option<&Superblock>,
    report: &mut Report,
) -> Result<Base, OpenError> {
    let mut base = Base::default();
    let error = |source| OpenError::io("read", directory, source);
    for (slot, path) in names::snapshots(directory).map_err(error)? {
        let bytes = fs::metadata(&path).map_err(error)?.len();
        let mut snapshot = SnapshotReport {
            file: name(&path),
            bytes,
            problem: None,
            slot: slot.0,
            last_zxid: String::new(),
            znodes: 0,
            sessions: 0,
        };
        match whole_snapshot(&path, slot, superblock) {
            Ok(file) => {
                let meta = file.trailer.meta;
                base = meta.base;
                snapshot.last_zxid = meta.base.last_zxid.to_string();
                snapshot.znodes = meta.znode_count;
                snapshot.sessions = meta.session_count;
            }
            Err(error) => {
                report.problems.push(format!("{}: {error}", path.display()));
                snapshot.problem = Some(error.to_string());
            }
        }
        report.snapshots.push(snapshot);
    }
    Ok(base)
}

/// Opens a snapshot and reads all of it.
pub(super) fn whole_snapshot(
    path: &Path,
    slot: ringkeeper_engine::ids::Slot,
    superblock: Option<&Superblock>,
) -> Result<SnapshotFile, SnapshotError> {
    let file = SnapshotFile::open(path, slot)?;
    if let Some(superblock) = superblock {
        file.check_owner(&superblock.owner)?;
    }
    file.read(|_| Ok(()))?;
    Ok(file)
}

fn log(
    directory: &Path,
    superblock: Option<Superblock>,
    base: Base,
    with_records: bool,
    report: &mut Report,
) -> Result<(), OpenError> {
    let segments =
        names::segments(directory).map_err(|source| OpenError::io("read", directory, source))?;
    for (number, path) in &segments {
        let bytes = fs::metadata(path).map_err(|source| OpenError::io("read", path, source))?;
        report.segments.push(SegmentReport {
            number: *number,
            file: name(path),
            bytes: bytes.len(),
            ..SegmentReport::default()
        });
    }
    let mut recovery = Recovery::new(Options {
        owner: superblock.map(|superblock| superblock.owner),
        base,
        tail: superblock.map(|superblock| superblock.tail).unwrap_or_default(),
        promised: superblock.map(|superblock| superblock.promised).unwrap_or_default(),
        atomic_bytes: checks::atomic_bytes(directory),
    });
    let scanned = scan_into(&mut recovery, &segments, &mut |seen| {
        let number = seen.header.lsn.segment();
        let segment = report.segments.iter_mut().find(|segment| segment.number == number);
        if let Some(segment) = segment {
            segment.note(seen, with_records);
        }
    });
    for found in recovery.segments() {
        let segment = report.segments.iter_mut().find(|segment| segment.number == found.number);
        if let Some(segment) = segment {
            segment.generation = format!("{:016x}", found.generation);
            segment.used = found.seal.is_some();
            if found.seal.is_some() {
                segment.records.insert("seal", 1);
            }
        }
    }
    report.log.end = recovery.end().to_string();
    report.log.note_last(&recovery.last());
    match scanned.and_then(|()| Ok(recovery.finish()?)) {
        Ok(outcome) => {
            report.log.torn = outcome.end == EndKind::Torn;
            report.log.note_last(&outcome.recovered.last());
            report.log.appended = outcome.recovered.appended.0;
            report.log.promised = ballot(outcome.recovered.promised);
            report.log.batches_after_snapshot = outcome.recovered.batches.len() as u64;
        }
        Err(error) => report.problems.push(format!("{}: {error}", directory.display())),
    }
    Ok(())
}

impl SuperblockReport {
    fn of(path: &Path, superblock: &Superblock) -> Self {
        Self {
            file: name(path),
            sequence: superblock.sequence,
            cluster: format!("{:032x}", superblock.owner.cluster),
            incarnation: format!("{:032x}", superblock.owner.incarnation),
            replica: superblock.replica.0,
            promised: ballot(superblock.promised),
            tail: superblock.tail.to_string(),
            snapshot_slot: superblock.snapshot.slot.0,
        }
    }
}

impl SegmentReport {
    fn note(&mut self, seen: Seen<'_>, with_records: bool) {
        let kind = match seen.header.kind {
            RecordKind::Batch => "batch",
            RecordKind::Promise => "promise",
            RecordKind::Seal => "seal",
            RecordKind::Pad => "pad",
            RecordKind::Snapshot => "snapshot",
        };
        *self.records.entry(kind).or_default() += 1;
        if let Some(batch) = seen.batch {
            self.first_slot = self.first_slot.or(Some(batch.slot.0));
            self.last_slot = Some(batch.slot.0);
        }
        if with_records {
            self.details.push(RecordReport {
                at: seen.header.lsn.to_string(),
                blocks: seen.header.block_count,
                kind,
                ballot: ballot(seen.header.ballot),
                durable: seen.header.durable.to_string(),
                slot: seen.batch.map(|batch| batch.slot.0),
                first_zxid: seen.batch.map(|batch| batch.first_zxid.to_string()),
                commands: seen.batch.map(|batch| batch.command_count),
            });
        }
    }
}

impl LogReport {
    fn note_last(&mut self, last: &Base) {
        self.last_slot = last.slot.0;
        self.last_zxid = last.last_zxid.to_string();
        self.epoch = last.epoch.0;
    }
}

fn ballot(ballot: Ballot) -> String {
    format!("{}.{}", ballot.round, ballot.replica.0)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "data in {}, log in {}", self.data_dir.display(), self.log_dir.display())?;
        for superblock in &self.superblocks {
            superblock.fmt(f)?;
        }
        for snapshot in &self.snapshots {
            snapshot.fmt(f)?;
        }
        for segment in &self.segments {
            segment.fmt(f)?;
        }
        self.log.fmt(f)?;
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        writeln!(f, "{}", if self.whole { "whole" } else { "DAMAGED" })
    }
}

impl SuperblockReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: cluster {}, incarnation {}, replica {}, sequence {}, promised {}, \
             log durable up to {}, snapshot at slot {}",
            self.file,
            self.cluster,
            self.incarnation,
            self.replica,
            self.sequence,
            self.promised,
            self.tail,
            self.snapshot_slot
        )
    }
}

impl SnapshotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Some(problem) => writeln!(f, "{}: {} bytes, {problem}", self.file, self.bytes),
            None => writeln!(
                f,
                "{}: {} bytes, slot {}, zxid {}, {} znodes, {} sessions, sound",
                self.file, self.bytes, self.slot, self.last_zxid, self.znodes, self.sessions
            ),
        }
    }
}

impl SegmentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = self.bytes / BLOCK_BYTES as u64;
        write!(f, "{}: generation {}, {blocks} blocks, ", self.file, self.generation)?;
        if !self.used {
            return writeln!(f, "no record");
        }
        let mut text = String::new();
        for (kind, count) in &self.records {
            write!(text, "{}{count} {kind}", if text.is_empty() { "" } else { ", " })?;
        }
        if let (Some(first), Some(last)) = (self.first_slot, self.last_slot) {
            write!(text, "; slots {first} to {last}")?;
        }
        writeln!(f, "{text}")?;
        for record in &self.details {
            record.fmt(f)?;
        }
        Ok(())
    }
}

impl RecordReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {} {} under {}, durable to {}",
            self.at, self.kind, self.ballot, self.durable
        )?;
        if let (Some(slot), Some(zxid), Some(commands)) =
            (self.slot, &self.first_zxid, self.commands)
        {
            write!(f, ", slot {slot}, zxid from {zxid}, {commands} commands")?;
        }
        writeln!(f)
    }
}

impl LogReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "log: ends at {}{} with slot {}, zxid {}, epoch {}; promised {}; {} appends; \
             {} batches after the snapshot",
            self.end,
            if self.torn { " (the last write was cut short, and never acknowledged)" } else { "" },
            self.last_slot,
            self.last_zxid,
            self.epoch,
            self.promised,
            self.appended,
            self.batches_after_snapshot
        )
    }
}
