//! What a log says after a restart: its records, or a report of what is wrong.
//!
//! One pass over the segments in order, and no look back. Records are taken as long as each is
//! valid at its place and continues the one before. The first that is not is where the log ended,
//! or where it is damaged; `verdict` tells which, from the blocks that stand there and from what
//! every later record, and the superblock, witness: that the log was durable up to some place when
//! they were written.
//!
//! The rule that matters: what may have been acknowledged is never taken for absent.

use alloc::{sync::Arc, vec::Vec};
use core::{cmp::Ordering, fmt};

use super::{
    Base, Lsn,
    block::{self, BLOCK_BYTES},
    chain::{Chain, Doubt},
    group::Continuation,
    reader::{self, Flaw, Record},
    record::{self, Install, RecordHeader, Seal},
    segment::SegmentHeader,
    standalone::{BlockError, Owner},
};
use crate::{
    batch::{BATCH_HEADER_BYTES, Batch, BatchHeader},
    ids::{Ballot, LogPos, Slot},
    limits::BATCH_BYTES_MAX,
    mutant::{Mutant, is_broken},
};

pub use super::chain::ChainError;

/// What the log holds, for the replica.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// The highest ballot that was promised, by a promise or by accepting.
    pub promised: Ballot,
    /// The ballot under which the last batch was accepted.
    pub accepted: Ballot,
    /// The position of the last append. The next one is `appended.next()`; everything up to here
    /// is durable.
    pub appended: LogPos,
    /// What the State that the caller loaded contains: the snapshot's end of the log, or the empty
    /// log.
    pub base: Base,
    /// The batches after `base`, in slot order, without a gap.
    pub batches: Vec<Arc<Batch>>,
    /// The highest commit slot that a record knew of. Not a bound on anything.
    pub commit_hint: Slot,
    /// The encoded configuration of the cluster as of `base`, from the snapshot; empty: none. The
    /// caller's to fill in: recovery sees no snapshot.
    pub config: Arc<[u8]>,
}

impl Recovered {
    /// The end of the log.
    #[must_use]
    pub fn last(&self) -> Base {
        self.batches.last().map_or(self.base, |batch| Base::of(&batch.header))
    }
}

/// What recovery must be told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Whose log it must be; `None` takes anybody's.
    pub owner: Option<Owner>,
    /// The end of the log that the snapshot holds; the default without a snapshot.
    pub base: Base,
    /// The superblock's witness: the log was durable up to here.
    pub tail: Lsn,
    /// The superblock's promise.
    pub promised: Ballot,
    /// The smallest piece that the device writes whole: below `BLOCK_BYTES`, a power cut may tear
    /// a block.
    pub atomic_bytes: usize,
}

/// A segment as recovery found it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SegmentSummary {
    /// Which.
    pub number: u32,
    /// Its life.
    pub generation: u64,
    /// The length that it should have.
    pub block_count: u32,
    /// The last batch before it; `None`: it was never used.
    pub seal: Option<Seal>,
    /// Records in it.
    pub record_count: u64,
    /// Whether it is fit to be used anew: as long as it should be, every block sound.
    pub is_sound: bool,
}

/// What recovery found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// For the replica.
    pub recovered: Recovered,
    /// For whoever writes on.
    pub continuation: Continuation,
    /// All segments, in order; those that were never used are last.
    pub segments: Vec<SegmentSummary>,
    /// How the log ended.
    pub end: EndKind,
    /// The newest snapshot that a record speaks of.
    pub snapshot: Option<Base>,
}

/// How a log that is whole ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum EndKind {
    /// Nothing was being written.
    #[default]
    Clean,
    /// The last write was cut short before anybody could rely on it.
    Torn,
}

/// What is wrong at a place of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DamageKind {
    /// The header of the segment.
    #[error("the segment's header is unusable: {0}")]
    Header(BlockError),
    /// The header is of another segment.
    #[error("the file is segment {found}, not what its name says")]
    Misnamed {
        /// What the header says.
        found: u32,
    },
    /// The header is of another log.
    #[error("the segment belongs to another cluster or another data directory")]
    ForeignSegment,
    /// A file of the sequence.
    #[error("the segment's file is missing")]
    MissingSegment,
    /// The file is shorter or longer than it was made.
    #[error("the file has {found_bytes} bytes and should have {expected_bytes}")]
    Length {
        /// Bytes that it has.
        found_bytes: u64,
        /// Bytes that it had.
        expected_bytes: u64,
    },
    /// Later records, or the superblock, say that this was durable.
    #[error("records up to {durable} were durable, and may have been acknowledged")]
    Acknowledged {
        /// The end of what was durable.
        durable: Lsn,
    },
    /// A block that is neither what should stand there nor what stood there before.
    #[error("a block of the last record is neither new nor old: rot, or a torn sector")]
    Rot,
    /// Too much for one write that was cut short.
    #[error("damaged blocks up to {last}: more than one write cut short can explain")]
    TooMuch {
        /// The last damaged block.
        last: Lsn,
    },
    /// Sound bytes that do not continue the log.
    #[error("a sound record does not continue the log: {0}")]
    Chain(ChainError),
    /// A new segment was begun at another end of the log.
    #[error("the next segment says that the log ended at {sealed}")]
    SealedElsewhere {
        /// What the seal says.
        sealed: Lsn,
    },
    /// The snapshot is newer than the log.
    #[error("the log ends before the snapshot's slot {snapshot}")]
    EndsBeforeSnapshot {
        /// The snapshot's slot.
        snapshot: u64,
    },
    /// The log goes on behind a snapshot that is not there.
    #[error(
        "the log goes on behind a snapshot of slot {slot} that another replica sent, and neither \
         that nor a newer one can be used: put its file back; or, where other replicas have the \
         data, start with an empty directory, and they send everything"
    )]
    NotInstalled {
        /// That snapshot's slot.
        slot: u64,
    },
}

impl From<ChainError> for DamageKind {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::NotInstalled { slot } => Self::NotInstalled { slot },
            error => Self::Chain(error),
        }
    }
}

/// Where the log is damaged, and what that means. The log must not be used as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The place: a segment, and a block in its file.
    pub lsn: Lsn,
    /// The first slot that cannot be read.
    pub slot: Slot,
    /// What is wrong there.
    pub kind: DamageKind,
}

impl Damage {
    /// The place in the segment's file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.lsn.block()) * BLOCK_BYTES as u64
    }
}

impl Damage {
    /// Whether all that is wrong is the length of a file.
    #[must_use]
    pub fn is_length(&self) -> bool {
        matches!(self.kind, DamageKind::Length { .. })
    }

    /// Whether all that is wrong is that the log does not lead to the snapshot. Where that was
    /// received from another replica, nothing is: the log was not told to go on behind it, so
    /// nobody relies on it, and an older one is to be used.
    #[must_use]
    pub fn is_without_snapshot(&self) -> bool {
        matches!(
            self.kind,
            DamageKind::EndsBeforeSnapshot { .. }
                | DamageKind::Chain(ChainError::OtherSnapshot { .. })
        )
    }
}

impl core::error::Error for Damage {}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "segment {}, offset {}: {}. Everything before slot {} is sound; slot {} and what \
             follows it cannot be read",
            self.lsn.segment(),
            self.offset(),
            self.kind,
            self.slot.0,
            self.slot.0,
        )
    }
}

/// What `Recovery` tells an observer of each valid record.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its header.
    pub header: &'a RecordHeader,
    /// The batch's header, if it is a batch.
    pub batch: Option<&'a BatchHeader>,
    /// What it says, if it is a seal.
    pub seal: Option<&'a Seal>,
    /// What it says, if the log goes on behind a snapshot.
    pub install: Option<&'a Install>,
}

/// Shows every record of a segment that is valid where it stands, whether or not it continues
/// anything: what a report says of the log behind its damage. Takes the segment's header as it is.
///
/// # Errors
///
/// When the header is unusable: without its generation nothing can be told from a former life.
pub fn valid_records(bytes: &[u8], observe: &mut dyn FnMut(Seen<'_>)) -> Result<(), BlockError> {
    let header = SegmentHeader::decode(block::block_at(bytes, 0).ok_or(BlockError::Unreadable)?)?;
    let segment = reader::Segment { header, bytes };
    let mut next = 1;
    for (number, block) in segment.blocks_from(1) {
        if number < next || block::is_zero(block) {
            continue;
        }
        if let Ok(record) = segment.read(Lsn::new(header.number, number)) {
            next = number + record.header().block_count;
            observe(record.seen());
        }
    }
    Ok(())
}

/// A recovery under way.
#[derive(Debug)]
pub struct Recovery {
    options: Options,
    chain: Chain,
    segments: Vec<SegmentSummary>,
    /// Where the next record is expected.
    next: Lsn,
    /// The first record that is not valid, once there is one.
    stop: Option<Stop>,
    /// The furthest end of the durable log that anything witnesses.
    durable: Lsn,
    /// The last block behind `stop` that is neither new nor old.
    last_damaged: Option<Lsn>,
}

/// Why the records end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stop {
    /// Where the next record should stand.
    at: Lsn,
    /// What a report names: there, or the start of the segment that cannot be entered.
    blamed: Lsn,
    /// What stands there. If the segment is full, or has so little room that the next record went
    /// to the next segment: the worse of what stands there and at the start of that segment.
    flaw: Flaw,
    /// The length of a file is wrong.
    length: Option<DamageKind>,
}

impl Recovery {
    /// Starts with no segment.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            chain: Chain::new(options.base, options.promised),
            durable: options.tail,
            options,
            segments: Vec::new(),
            next: Lsn::ZERO,
            stop: None,
            last_damaged: None,
        }
    }

    /// Takes the next segment: the whole file whose name says `number`. `observe` sees every valid
    /// record.
    ///
    /// # Errors
    ///
    /// When the log is damaged beyond doubt.
    pub fn segment(
        &mut self,
        number: u32,
        bytes: &[u8],
        observe: &mut dyn FnMut(Seen<'_>),
    ) -> Result<(), Damage> {
        let header = self.header(number, bytes)?;
        self.segments.push(SegmentSummary {
            number,
            generation: header.generation,
            block_count: header.block_count,
            seal: None,
            record_count: 0,
            is_sound: true,
        });
        let segment = reader::Segment { header, bytes };
        let is_used = self.enter(&segment)?;
        while self.stop.is_none() {
            self.record(&segment, observe)?;
        }
        self.look_ahead(&segment, if is_used { self.next.block() } else { 1 });
        Ok(())
    }

    /// Decides what the end of the log means.
    ///
    /// # Errors
    ///
    /// When it is not a legal end.
    pub fn finish(self) -> Result<Outcome, Damage> {
        let end = self.verdict()?;
        if let Some(doubt) = self.chain.doubt() {
            return Err(self.other_snapshot(doubt));
        }
        let slot = self.chain.last().slot;
        if slot < self.options.base.slot && !self.is_without_log() {
            if let Some(missing) = self.missing_segment() {
                return Err(missing);
            }
            let snapshot = self.options.base.slot.0;
            return Err(self.damage(self.next, DamageKind::EndsBeforeSnapshot { snapshot }));
        }
        let snapshot = self.chain.snapshot();
        let recovered = self.chain.into_recovered();
        let hashes = recovered.batches.iter().map(|batch| batch.header.hash);
        let before = [recovered.base.hash].into_iter().chain(hashes);
        let continuation = Continuation {
            end: self.next,
            appended: recovered.appended,
            promised: recovered.promised,
            last: recovered.last(),
            before: before.take(recovered.batches.len()).collect(),
        };
        Ok(Outcome { recovered, continuation, segments: self.segments, end, snapshot })
    }

    /// What was found so far, for a report.
    #[must_use]
    pub fn segments(&self) -> &[SegmentSummary] {
        &self.segments
    }

    /// Where the next record is expected, or where the log is none that leads to the snapshot: for
    /// a report.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.chain.doubt().map_or(self.next, |doubt| doubt.lsn)
    }

    /// The last batch before that, for a report.
    #[must_use]
    pub fn last(&self) -> Base {
        self.chain.doubt().map_or_else(|| self.chain.last(), |doubt| doubt.last)
    }

    /// No segment, and none is expected: a fresh directory, or a log that starts anew behind a
    /// snapshot.
    fn is_without_log(&self) -> bool {
        self.durable == Lsn::ZERO && self.segments.iter().all(|segment| segment.seal.is_none())
    }

    fn header(&self, number: u32, bytes: &[u8]) -> Result<SegmentHeader, Damage> {
        let at = Lsn::new(number, 0);
        if let Some(last) = self.segments.last()
            && last.number.checked_add(1) != Some(number)
        {
            let missing = Lsn::new(last.number.saturating_add(1), 0);
            return Err(self.damage(missing, DamageKind::MissingSegment));
        }
        let header = match block::block_at(bytes, 0) {
            Some(block) => SegmentHeader::decode(block),
            None => Err(BlockError::Unreadable),
        };
        let header = header.map_err(|error| self.damage(at, DamageKind::Header(error)))?;
        if header.number != number {
            let kind = DamageKind::Misnamed { found: header.number };
            return Err(self.damage(at, kind));
        }
        if self.options.owner.is_some_and(|owner| owner != header.owner) {
            return Err(self.damage(at, DamageKind::ForeignSegment));
        }
        Ok(header)
    }

    /// Reads the seal. A sound one settles how the log ended before it; without one, the segment
    /// was never used, or its first write is the one that was cut short.
    fn enter(&mut self, segment: &reader::Segment<'_>) -> Result<bool, Damage> {
        let start = Lsn::new(segment.header.number, 1);
        let (header, seal) = match segment.read(start) {
            Ok(Record::Seal(header, seal)) => (header, seal),
            // Valid, yet no seal: nothing writes that.
            Ok(_) => return Ok(self.stop_at_segment(segment, Flaw::Contradiction)),
            Err(flaw) => return Ok(self.stop_at_segment(segment, flaw)),
        };
        let chained = if self.segments.len() == 1 {
            self.chain.start(&header, &seal)
        } else {
            let kind = match self.next.cmp(&seal.previous_end) {
                Ordering::Less => Some(DamageKind::Acknowledged { durable: seal.previous_end }),
                Ordering::Equal => None,
                Ordering::Greater => {
                    Some(DamageKind::SealedElsewhere { sealed: seal.previous_end })
                }
            };
            if let Some(kind) = kind {
                return Err(self.damage(self.next, kind));
            }
            self.chain.check_seal(&seal)
        };
        chained.map_err(|error| match error {
            // What is missed would be in the segment before; the snapshot's part is there.
            ChainError::Gap { .. } => Damage {
                lsn: Lsn::new(segment.header.number.saturating_sub(1), 0),
                slot: self.options.base.slot.next(),
                kind: DamageKind::Chain(error),
            },
            error => self.damage(start, error.into()),
        })?;
        // Whatever stands behind the end of the segment before is settled: it is no part of the
        // log, whether it was cut short then or damaged since.
        self.stop = None;
        self.last_damaged = None;
        self.chain.header(&header);
        self.durable = self.durable.max(header.durable);
        let summary = self.segments.last_mut().expect("pushed by the caller");
        summary.seal = Some(seal);
        summary.record_count = 1;
        self.next = start.plus(1);
        Ok(true)
    }

    /// Notes that the log does not reach into this segment. Returns false, for `enter`.
    fn stop_at_segment(&mut self, segment: &reader::Segment<'_>, flaw: Flaw) -> bool {
        let start = Lsn::new(segment.header.number, 1);
        let stop = self.stop.unwrap_or(Stop { at: start, blamed: start, flaw, length: None });
        // A log that ends well before a segment that cannot be entered: it is the segment's fault.
        let is_well_before = stop.flaw == Flaw::Old && flaw != Flaw::Old;
        let blamed = if is_well_before { start } else { stop.blamed };
        self.stop = Some(Stop {
            at: stop.at,
            blamed,
            flaw: stop.flaw.max(flaw),
            length: stop.length.or(segment.length_damage()),
        });
        false
    }

    /// Takes the record at `next`, or stops there.
    fn record(
        &mut self,
        segment: &reader::Segment<'_>,
        observe: &mut dyn FnMut(Seen<'_>),
    ) -> Result<(), Damage> {
        let at = self.next;
        let record = match segment.read(at) {
            Ok(record) => record,
            Err(flaw) => {
                self.stop = Some(Stop { at, blamed: at, flaw, length: segment.length_damage() });
                return Ok(());
            }
        };
        let header = *record.header();
        self.durable = self.durable.max(header.durable);
        self.chain.record(&record).map_err(|error| self.damage(at, error.into()))?;
        observe(record.seen());
        self.segments.last_mut().expect("pushed by the caller").record_count += 1;
        self.next = at.plus(header.block_count);
        Ok(())
    }

    /// Searches what follows the end for witnesses, and for damage.
    fn look_ahead(&mut self, segment: &reader::Segment<'_>, start: u32) {
        let mut is_sound = segment.length_damage().is_none();
        for (number, block) in segment.blocks_from(start) {
            if block::is_zero(block) {
                continue;
            }
            let lsn = Lsn::new(segment.header.number, number);
            self.durable = self.durable.max(segment.witness(lsn));
            if !reader::is_sound(block) {
                is_sound = false;
                self.last_damaged = self.last_damaged.max(Some(lsn));
            }
        }
        self.segments.last_mut().expect("pushed by the caller").is_sound = is_sound;
    }

    /// The table of `docs/disk-format.md`.
    fn verdict(&self) -> Result<EndKind, Damage> {
        let Some(stop) = self.stop else {
            // No segment at all.
            return self.missing_segment().map_or(Ok(EndKind::Clean), Err);
        };
        let damage = |kind| Err(self.damage(stop.at, kind));
        if is_broken(Mutant::DamageIsEnd) {
            return Ok(EndKind::Torn);
        }
        if stop.at < self.durable && !is_broken(Mutant::WitnessIgnored) {
            // The log goes well up to the end of a segment whose successor is gone.
            if stop.flaw == Flaw::Old
                && let Some(missing) = self.missing_segment()
            {
                return Err(missing);
            }
            let kind = DamageKind::Acknowledged { durable: self.durable };
            return Err(self.damage(stop.blamed, kind));
        }
        if let Some(kind) = stop.length {
            return damage(kind);
        }
        match stop.flaw {
            Flaw::Old => Ok(EndKind::Clean),
            Flaw::Partial => self.torn(stop.at),
            Flaw::Tear if self.options.atomic_bytes < BLOCK_BYTES => self.torn(stop.at),
            Flaw::Tear | Flaw::Rot => damage(DamageKind::Rot),
            Flaw::Contradiction => damage(DamageKind::Chain(ChainError::Content)),
        }
    }

    /// The segment in which the log was known to be durable is not there: the first that is missed.
    fn missing_segment(&self) -> Option<Damage> {
        let wanted = self.durable.segment();
        let numbers = || self.segments.iter().map(|segment| segment.number);
        // One before the log that there is was trimmed.
        if wanted < self.next.segment() || wanted == 0 || numbers().any(|number| number == wanted) {
            return None;
        }
        let before = numbers().filter(|number| *number < wanted).max();
        let first = before.map_or(wanted, |number| number.saturating_add(1));
        // What the snapshot has is there, whatever became of the log.
        let slot = self.chain.last().slot.max(self.options.base.slot).next();
        Some(Damage { lsn: Lsn::new(first, 0), slot, kind: DamageKind::MissingSegment })
    }

    /// A write was cut short, if there is not more damage than one write has blocks.
    fn torn(&self, at: Lsn) -> Result<EndKind, Damage> {
        let reach = record::block_count(BATCH_HEADER_BYTES + BATCH_BYTES_MAX);
        match self.last_damaged {
            // In the next segment, only the first group may stand.
            Some(last) if last.segment() == at.segment() && reach < last.block() - at.block() => {
                Err(self.damage(at, DamageKind::TooMuch { last }))
            }
            _ => Ok(EndKind::Torn),
        }
    }

    /// A log that is also not the snapshot's is damaged from there on: that comes first.
    fn damage(&self, lsn: Lsn, kind: DamageKind) -> Damage {
        match self.chain.doubt() {
            Some(doubt) => self.other_snapshot(doubt),
            None => Damage { lsn, slot: self.chain.last().slot.next(), kind },
        }
    }

    fn other_snapshot(&self, doubt: Doubt) -> Damage {
        let slot = self.options.base.slot;
        let kind = DamageKind::Chain(ChainError::OtherSnapshot { slot: slot.0 });
        Damage { lsn: doubt.lsn, slot, kind }
    }
}
