//! What is in a data directory, and what a start would make of it: reads, locks nothing, writes
//! nothing. Works on damaged directories, on copies, and beside a running server.

mod facts;
mod holder;
mod log;
pub(crate) mod ranges;
mod records;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use ringkeeper_engine::{
    consensus::config::{Config, Voter},
    ids::{Ballot, Slot},
    storage::{
        Base, Lsn,
        block::BLOCK_BYTES,
        recovery::{Damage, EndKind, Options, Outcome},
        segment::SegmentHeader,
        snapshot_file::{SnapshotDamage, Trailer},
        standalone::{BlockError, Owner},
        superblock::{Chosen, Superblock},
    },
};

pub(crate) use facts::*;
pub(super) use log::{LogReading, read_log};

use super::{
    checks,
    direct::DirectFile,
    names,
    scan::{PROGRESS_INTERVAL, ScanError},
    snapshot_reader::{SnapshotError, SnapshotFile},
    superblocks,
};

/// How often the log of a running server is read again, if it seems damaged: what is written while
/// it is read looks like damage.
const LIVE_ATTEMPTS: usize = 4;

/// Why a directory cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurveyError {
    /// There is no file of ours.
    #[error("{path} is not a data directory of ringkeeper: it has no superblock and no log")]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("{path} has {error}: look at it with the version that wrote it, or a later one")]
    NewerVersion {
        /// The directory.
        path: PathBuf,
        /// Which.
        error: BlockError,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// So much changed while it was read that nothing can be said.
    #[error("{path} changes faster than it can be read: a server trims its log; try again")]
    Moving {
        /// The directory.
        path: PathBuf,
    },
}

impl SurveyError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

impl From<ScanError> for SurveyError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Io { path, source } => Self::Io { path, source },
            ScanError::Damage(damage) => unreachable!("reading gives damage as a value: {damage}"),
        }
    }
}

/// A directory's contents, as far as they can be read.
pub(super) struct Found {
    pub(super) data_dir: PathBuf,
    pub(super) log_dir: PathBuf,
    pub(super) atomic_bytes: usize,
    /// `None`: neither superblock can be read.
    pub(super) chosen: Option<Chosen>,
    pub(super) segments: BTreeMap<u32, PathBuf>,
    /// Snapshots that are sound, oldest first.
    pub(super) snapshots: BTreeMap<Slot, Base>,
    /// Which of them another replica sent.
    received: BTreeSet<Slot>,
    /// Sound ones of those that are newer, and that the log was not told of: oldest last.
    pub(super) not_installed: Vec<PathBuf>,
    /// Those that are not sound.
    pub(super) rotten: Vec<PathBuf>,
    pub(super) snapshot_facts: Vec<SnapshotFacts>,
}

/// Looks at a directory. `with_records`: the facts have every record.
pub(crate) fn survey(
    data_dir: &Path,
    log_dir: &Path,
    with_records: bool,
) -> Result<Survey, SurveyError> {
    let in_use_by = holder::holder(data_dir).or_else(|| holder::holder(log_dir));
    let mut before: Option<Survey> = None;
    for _ in 0..LIVE_ATTEMPTS {
        let survey = match look(data_dir, log_dir, with_records) {
            // Trimmed between the list of files and the look at them.
            Err(SurveyError::Io { source, .. })
                if in_use_by.is_some() && source.kind() == io::ErrorKind::NotFound =>
            {
                continue;
            }
            result => Survey { in_use_by, ..result? },
        };
        let place = |survey: &Survey| {
            survey.damage.as_ref().map(|damage| (damage.file.clone(), damage.offset))
        };
        let is_settled = in_use_by.is_none()
            || survey.damage.is_none()
            || before.as_ref().is_some_and(|before| place(before) == place(&survey));
        if is_settled {
            return Ok(survey);
        }
        before = Some(survey);
    }
    // The place moves on with every look: that is where the server writes.
    let moving = || SurveyError::Moving { path: log_dir.to_owned() };
    let mut survey = before.ok_or_else(moving)?;
    survey.damage = None;
    survey.is_whole = true;
    survey.remarks.push("the end of the log moved on with every look: it is live".to_owned());
    Ok(survey)
}

fn look(data_dir: &Path, log_dir: &Path, with_records: bool) -> Result<Survey, SurveyError> {
    let superblocks = superblock_facts(data_dir)?;
    let found = find(data_dir, log_dir)?;
    let base = found.snapshots.last_key_value().map(|(_, base)| *base).unwrap_or_default();
    let mut segments: Vec<SegmentFacts> = Vec::new();
    let mut each =
        |number: u32, bytes: &mut [u8]| segments.push(records::segment(log_dir, number, bytes));
    let reading = read_log(&found.segments, found.options(base), &mut each, &mut |_| {})?;
    records::seal(&mut segments);
    let (log, damage) = match &reading.result {
        Ok(outcome) => {
            let log = found.log_facts(base, outcome);
            let lost = found.chosen.is_none().then(|| found.lost_superblocks(&log));
            (Some(log), lost)
        }
        Err(damage) => (None, Some(found.damage_facts(base, &reading, damage, &segments))),
    };
    if !with_records {
        segments.iter_mut().for_each(|segment| segment.records = None);
    }
    Ok(Survey {
        data_dir: data_dir.to_owned(),
        log_dir: log_dir.to_owned(),
        in_use_by: None,
        superblocks,
        snapshots: found.snapshot_facts.clone(),
        segments,
        unfinished: found.unfinished()?,
        log,
        remarks: found.remarks(),
        is_whole: damage.is_none(),
        damage,
    })
}

/// Whether there is anything of ours.
pub(super) fn check_ours(data_dir: &Path, log_dir: &Path) -> Result<(), SurveyError> {
    let any = || -> io::Result<bool> {
        let has_superblock = (0..2).any(|index| names::superblock(data_dir, index).exists());
        Ok(has_superblock
            || !names::snapshots(data_dir)?.is_empty()
            || !names::segments(log_dir)?.is_empty())
    };
    match any().map_err(|source| SurveyError::io(data_dir, source))? {
        true => Ok(()),
        false => Err(SurveyError::NotOurs { path: data_dir.to_owned() }),
    }
}

/// Finds and checks everything but the log.
pub(super) fn find(data_dir: &Path, log_dir: &Path) -> Result<Found, SurveyError> {
    let read_error = |path: &Path| {
        let path = path.to_owned();
        move |source| SurveyError::Io { path, source }
    };
    // The superblocks first: their witness is then older than the log that it is compared with.
    let chosen = match superblocks::read(data_dir).map_err(read_error(data_dir))? {
        superblocks::Found::Usable(chosen) => Some(chosen),
        superblocks::Found::Unusable(error @ BlockError::NewerVersion(_)) => {
            return Err(SurveyError::NewerVersion { path: data_dir.to_owned(), error });
        }
        superblocks::Found::None | superblocks::Found::Unusable(_) => None,
    };
    let snapshots = names::snapshots(data_dir).map_err(read_error(data_dir))?;
    let segments = names::segments(log_dir).map_err(read_error(log_dir))?;
    if chosen.is_none() && snapshots.is_empty() && segments.is_empty() {
        return Err(SurveyError::NotOurs { path: data_dir.to_owned() });
    }
    let mut found = Found {
        data_dir: data_dir.to_owned(),
        log_dir: log_dir.to_owned(),
        atomic_bytes: checks::atomic_bytes(log_dir),
        chosen,
        segments,
        snapshots: BTreeMap::new(),
        received: BTreeSet::new(),
        not_installed: Vec::new(),
        rotten: Vec::new(),
        snapshot_facts: Vec::new(),
    };
    for (slot, path) in snapshots {
        found.snapshot(slot, path);
    }
    found.leave_out_not_installed()?;
    Ok(found)
}

impl Found {
    /// What recovery must be told, for a start from the snapshot that ends with `base`.
    pub(super) fn options(&self, base: Base) -> Options {
        let superblock = self.chosen.map(|chosen| chosen.superblock);
        Options {
            owner: superblock.map(|superblock| superblock.owner),
            base,
            tail: superblock.map_or(Lsn::ZERO, |superblock| superblock.tail),
            promised: superblock.map_or(Ballot::default(), |superblock| superblock.promised),
            atomic_bytes: self.atomic_bytes,
        }
    }

    /// Whose the directory is: the superblock's word, else that of the first sound segment or
    /// snapshot.
    pub(super) fn owner(&self) -> Option<Owner> {
        let superblock = self.chosen.map(|chosen| chosen.superblock.owner);
        let segment = || {
            self.segments.values().find_map(|path| {
                let block = DirectFile::open(path).ok()?.read_block(0).ok()??;
                SegmentHeader::decode(&block).ok().map(|header| header.owner)
            })
        };
        let snapshot = || {
            self.snapshots.keys().find_map(|slot| {
                let path = names::snapshot(&self.data_dir, *slot);
                SnapshotFile::open(&path, *slot).ok().map(|file| file.trailer.owner)
            })
        };
        superblock.or_else(segment).or_else(snapshot)
    }

    fn snapshot(&mut self, slot: Slot, path: PathBuf) {
        let mut trailer = None;
        let owner = self.chosen.map(|chosen| chosen.superblock.owner);
        let result = SnapshotFile::open(&path, slot).and_then(|file| {
            trailer = Some(file.trailer.clone());
            if owner.is_some_and(|owner| owner != file.trailer.owner) {
                return Err(SnapshotError::Damage(SnapshotDamage::Foreign));
            }
            verify(&file)
        });
        self.snapshot_facts.push(SnapshotFacts {
            file: file_name(&path),
            file_bytes: fs::metadata(&path).map_or(0, |metadata| metadata.len()),
            trailer: trailer.as_ref().map(trailer_facts),
            error: result.as_ref().err().map(ToString::to_string),
        });
        match (result, trailer) {
            (Ok(()), Some(trailer)) => {
                self.snapshots.insert(slot, trailer.meta.base);
                if trailer.meta.is_received {
                    self.received.insert(slot);
                }
            }
            _ => self.rotten.push(path),
        }
    }

    /// Leaves out snapshots that were received, before the log was told to go on behind them: a
    /// start does.
    fn leave_out_not_installed(&mut self) -> Result<(), SurveyError> {
        while let Some((slot, base)) = self.snapshots.last_key_value()
            && self.received.contains(slot)
        {
            let options = self.options(*base);
            let log = read_log(&self.segments, options, &mut |_, _| {}, &mut |_| {})?;
            if !log.result.is_err_and(|damage| damage.is_without_snapshot()) {
                break;
            }
            self.not_installed.push(names::snapshot(&self.data_dir, *slot));
            self.snapshots.pop_last();
        }
        Ok(())
    }

    /// What a start would mend or work around.
    fn remarks(&self) -> Vec<String> {
        let is_one_lost = self.chosen.is_some_and(|chosen| chosen.is_other_unreadable);
        let superblock = "one superblock cannot be read: a start writes it anew".to_owned();
        let rotten = self.rotten.iter();
        let rotten =
            rotten.map(|path| format!("{} cannot be used: a start sets it aside", file_name(path)));
        let not_installed = self.not_installed.iter().map(|path| {
            let name = file_name(path);
            format!("{name} was received and is not in use yet: a start removes it")
        });
        is_one_lost.then_some(superblock).into_iter().chain(rotten).chain(not_installed).collect()
    }

    /// Files that a start removes.
    fn unfinished(&self) -> Result<Vec<String>, SurveyError> {
        let mut files = BTreeSet::new();
        for directory in [&self.data_dir, &self.log_dir] {
            let found = names::unfinished(directory)
                .map_err(|source| SurveyError::io(directory, source))?;
            files.extend(found.iter().map(|path| file_name(path)));
        }
        Ok(files.into_iter().collect())
    }

    fn log_facts(&self, base: Base, outcome: &Outcome) -> LogFacts {
        let end = outcome.continuation.end;
        let last = outcome.recovered.last();
        let is_used = end != Lsn::ZERO;
        LogFacts {
            from_slot: base.slot.0,
            batch_count: u64::try_from(outcome.recovered.batches.len()).expect("64 bits"),
            last_slot: last.slot.0,
            last_zxid: last.last_zxid.to_string(),
            promised: ballot(outcome.recovered.promised),
            end: end.to_string(),
            end_file: is_used.then(|| file_name(&names::segment(&self.log_dir, end.segment()))),
            end_offset: u64::from(end.block()) * BLOCK_BYTES as u64,
            end_kind: match outcome.end {
                EndKind::Clean => "clean",
                EndKind::Torn => "torn",
            },
        }
    }
}

impl Found {
    fn damage_facts(
        &self,
        base: Base,
        reading: &LogReading,
        damage: &Damage,
        segments: &[SegmentFacts],
    ) -> DamageFacts {
        // What can be kept: the log before its damage, or the newest snapshot. With neither there
        // is nothing to keep.
        let log = reading.start.map(|_| reading.last.slot);
        let reach = log.max((base.slot != Slot(0)).then_some(base.slot));
        DamageFacts {
            file: names::segment(&self.log_dir, damage.lsn.segment()),
            offset: damage.offset(),
            what: damage.kind.to_string(),
            slot: damage.slot.0,
            last_zxid: reading.last.last_zxid.to_string(),
            readable_behind: records::behind(segments, damage.lsn),
            truncate_at: reach.map(|slot| slot.next().0),
        }
    }

    /// The log is whole, and of no use to a start.
    fn lost_superblocks(&self, log: &LogFacts) -> DamageFacts {
        DamageFacts {
            file: names::superblock(&self.data_dir, 0),
            offset: 0,
            what: "both superblocks are missing or damaged".to_owned(),
            slot: log.last_slot + 1,
            last_zxid: log.last_zxid.clone(),
            readable_behind: None,
            truncate_at: Some(log.last_slot + 1),
        }
    }
}

fn trailer_facts(trailer: &Trailer) -> TrailerFacts {
    let meta = &trailer.meta;
    TrailerFacts {
        slot: meta.base.slot.0,
        zxid: meta.base.last_zxid.to_string(),
        znodes: meta.znode_count,
        sessions: meta.session_count,
        chunks: trailer.chunk_count,
        payload_bytes: trailer.payload_bytes,
        hash: format!("{:032x}", trailer.hash),
        is_received: meta.is_received,
        config: Config::decode(&meta.config).map(|config| config_facts(&config)),
    }
}

fn config_facts(config: &Config) -> ConfigFacts {
    let member = |member: &Voter| MemberFacts {
        replica: member.id.0,
        incarnation: format!("{:032x}", member.incarnation.0),
    };
    ConfigFacts {
        cluster: format!("{:032x}", config.cluster),
        feature_level: config.feature_level,
        voters: config.voters().iter().map(member).collect(),
        observers: config.observers().iter().map(member).collect(),
    }
}

/// Reads every byte of a snapshot and checks it.
fn verify(file: &SnapshotFile) -> Result<(), SnapshotError> {
    let start = Instant::now();
    let mut progress = start;
    let mut bytes = 0;
    file.read(|chunk| {
        bytes += chunk.len();
        if PROGRESS_INTERVAL <= progress.elapsed() {
            progress = Instant::now();
            tracing::info!(bytes, of = file.trailer.payload_bytes, "reading a snapshot");
        }
        Ok(())
    })
}

fn superblock_facts(data_dir: &Path) -> Result<Vec<SuperblockFacts>, SurveyError> {
    let facts = |index: usize| {
        let path = names::superblock(data_dir, index);
        let result = superblocks::read_one(&path).map_err(|error| SurveyError::io(&path, error))?;
        let (content, error) = match result {
            None => (None, Some("missing".to_owned())),
            Some(Err(error)) => (None, Some(error.to_string())),
            Some(Ok(superblock)) => (Some(superblock_content(&superblock)), None),
        };
        Ok::<_, SurveyError>(SuperblockFacts { file: file_name(&path), content, error })
    };
    Ok(vec![facts(0)?, facts(1)?])
}

fn superblock_content(superblock: &Superblock) -> SuperblockContent {
    SuperblockContent {
        sequence: superblock.sequence,
        cluster: format!("{:032x}", superblock.owner.cluster),
        incarnation: format!("{:032x}", superblock.owner.incarnation),
        replica: superblock.replica.0,
        promised: ballot(superblock.promised),
        snapshot_slot: superblock.snapshot.slot.0,
        tail: superblock.tail.to_string(),
    }
}

/// `round.replica`.
fn ballot(ballot: Ballot) -> String {
    format!("{}.{}", ballot.round, ballot.replica.0)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
