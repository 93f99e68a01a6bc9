//! A data directory on a simulated disk, in the shipped formats: what the server's disk module does
//! with its threads, as steps of a value.
//!
//! Three things go on side by side, each doing one operation at a time: the log writer (one group
//! with one write and one flush under way), the segments thread (prepares and recycles segments,
//! keeps the superblocks), and the writer of snapshots.

mod files;
mod open;
pub mod snapshots;
mod thread;

use alloc::{collections::VecDeque, string::String, vec::Vec};

pub use self::open::{OpenError, OpenSettings, Opened, open};

use self::{
    files::names,
    thread::{Done, Step, Thread, prepare},
};
use super::{
    chance::Chance,
    disk::{Disk, DiskError, OpId, Operation},
};
use crate::{
    ids::{Ballot, Instant, LogPos, Slot},
    storage::{
        Append, AppendKind, Base, Lsn,
        block::BLOCK_BYTES,
        group::{LogEnd, Plan},
        kept::{KeptSnapshots, UsedSegment, superfluous_segment},
        segment::SegmentHeader,
        snapshot_file::SnapshotMeta,
        standalone::Owner,
        superblock::Superblock,
    },
};

/// The names of the segments of a log, in order.
#[must_use]
pub fn segment_names(disk: &Disk) -> Vec<String> {
    names::segments(disk).into_iter().map(names::segment).collect()
}

/// The names of snapshots, in order.
#[must_use]
pub fn snapshot_names(disk: &Disk) -> Vec<String> {
    names::snapshots(disk).into_iter().map(names::snapshot).collect()
}

/// A snapshot's file.
#[must_use]
pub fn snapshot_file(disk: &Disk, slot: Slot) -> Option<&[u8]> {
    disk.read(&names::snapshot(slot))
}

/// Whether both superblocks can be read.
#[must_use]
pub fn has_both_superblocks(disk: &Disk) -> bool {
    (0..2).all(|index| {
        let block = disk.read(&names::superblock(index)).and_then(|bytes| bytes.first_chunk());
        block.is_some_and(|block| Superblock::decode(block).is_ok())
    })
}

/// The name of one of the two superblocks.
#[must_use]
pub fn superblock_name(index: usize) -> String {
    names::superblock(index)
}

/// After so long without an append, a record witnesses that everything before it is durable.
const IDLE_NS: u64 = 2_000_000;

/// How often the superblock learns of the end of a log that is never idle.
const WITNESS_NS: u64 = 500_000_000;

/// Between two writes of a superblock by the segments thread.
const SUPERBLOCK_NS: u64 = 100_000_000;

/// Segments that are kept ready.
const READY_TARGET: u32 = 1;

/// Files of former segments that are kept for later ones.
const SPARES_MAX: usize = 2;

/// A segment that the log may go on in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct ReadySegment {
    number: u32,
    generation: u64,
    block_count: u32,
}

/// What the log writer does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writing {
    Nothing,
    /// A group is being written.
    Group {
        op: Option<OpId>,
    },
    /// A group is being flushed.
    Flush {
        op: OpId,
    },
    /// The segment is full: what was written is flushed before the next is entered.
    BeforeRoll {
        op: OpId,
    },
    /// The next segment is not ready.
    WaitsForSegment,
}

/// What a directory has to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum News {
    /// Every append up to here is on the disk.
    Durable(LogPos),
    /// An own snapshot has its name.
    Snapshot(Base),
    /// A snapshot of another replica has.
    Received(Base),
    /// The log goes on in another segment.
    Rolled,
    /// A witness was written.
    Padded,
}

/// An open directory. Dies with its process.
#[derive(Debug)]
pub struct Directory {
    owner: Owner,
    segment_blocks: u32,
    chance: Chance,
    // The log writer.
    end: LogEnd,
    segment: ReadySegment,
    ready: VecDeque<ReadySegment>,
    queue: VecDeque<Append>,
    writing: Writing,
    group: Vec<Append>,
    pad: Option<OpId>,
    needs_pad: bool,
    /// When the last group was done.
    idle_since: Instant,
    witnessed: (Lsn, Ballot),
    witnessed_at: Instant,
    // The segments thread.
    segments: Thread,
    superblock: Superblock,
    /// What the next superblock says, and since when it may be written.
    witness: Option<(Lsn, Ballot)>,
    superblock_at: Instant,
    used: VecDeque<UsedSegment>,
    prepared: u32,
    spares: Vec<String>,
    /// Snapshots that are kept, oldest first.
    snapshots: KeptSnapshots,
    // The writers of snapshots, own ones and others.
    archive: Thread,
    /// The archive goes on when the log is durable up to here.
    archive_waits_for: Option<LogPos>,
    arrivals: Thread,
}

impl Directory {
    /// Whose files these are.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Segments in use.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.used.len()
    }

    /// Snapshots that are kept, oldest first.
    #[must_use]
    pub fn snapshots(&self) -> &[Slot] {
        self.snapshots.slots()
    }

    /// Whether a snapshot is being written.
    #[must_use]
    pub fn is_archiving(&self) -> bool {
        !self.archive.is_idle() || self.archive_waits_for.is_some()
    }

    /// Adds to the log, in order of the positions.
    pub fn push(&mut self, appends: &mut Vec<Append>) {
        self.queue.extend(appends.drain(..));
    }

    /// Whether a snapshot of another replica is being written.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        !self.arrivals.is_idle()
    }

    /// The first slot that a batch of the log may have: those before were trimmed.
    #[must_use]
    pub fn first_slot(&self) -> Slot {
        self.used.front().map_or(Slot(1), |used| used.start.next())
    }

    /// Starts to write a snapshot: `file` is the whole of it. No other one of its kind must be
    /// under way.
    pub fn archive(&mut self, meta: &SnapshotMeta, file: &[u8], piece_bytes: usize) {
        let (thread, done) = if meta.is_received {
            (&mut self.arrivals, Done::Received(meta.base))
        } else {
            (&mut self.archive, Done::Snapshot(meta.base))
        };
        assert!(thread.is_idle(), "one snapshot at a time");
        let slot = meta.base.slot;
        let (unfinished, name) =
            (names::unfinished_snapshot(slot, meta.is_received), names::snapshot(slot));
        thread.push(Step::Create(unfinished.clone(), 0));
        let mut offset = 0;
        for piece in file.chunks(piece_bytes.next_multiple_of(BLOCK_BYTES)) {
            thread.push(Step::write(&unfinished, offset, piece.to_vec()));
            offset += piece.len();
        }
        thread.push(Step::Flush(unfinished.clone()));
        if !meta.is_received {
            // Others may have decided what this log does not have on its disk yet.
            let appended = self.queue.back().map_or(self.end.appended(), |append| append.pos);
            thread.push(Step::Tell(Done::WaitsForLog(appended)));
        }
        thread.push(Step::Rename(unfinished, name));
        thread.push(Step::FlushNames);
        thread.push(Step::Tell(done));
    }

    /// When there is something to do without an operation of the disk being done.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        let pad = (self.needs_pad && self.pad.is_none() && self.writing == Writing::Nothing)
            .then_some(Instant(self.idle_since.0 + IDLE_NS));
        let superblock =
            self.witness.filter(|_| self.segments.is_idle()).map(|_| self.superblock_at);
        [pad, superblock].into_iter().flatten().min()
    }

    /// An operation is done.
    ///
    /// # Errors
    ///
    /// When it failed: the process must end.
    pub fn completed(
        &mut self,
        now: Instant,
        op: OpId,
        result: Result<(), DiskError>,
        news: &mut Vec<News>,
    ) -> Result<(), DiskError> {
        result?;
        if self.pad == Some(op) {
            self.pad = None;
            news.push(News::Padded);
            return Ok(());
        }
        match self.writing {
            Writing::Group { op: Some(group) } if group == op => {
                self.writing = Writing::Group { op: None };
            }
            Writing::Flush { op: flush } if flush == op => self.flushed(now, news),
            Writing::BeforeRoll { op: flush } if flush == op => {
                self.end.flushed();
                self.writing = Writing::WaitsForSegment;
            }
            _ if self.segments.completed(op)
                || self.archive.completed(op)
                || self.arrivals.completed(op) => {}
            _ => unreachable!("{op:?} is nobody's"),
        }
        Ok(())
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(&mut self, now: Instant, disk: &mut Disk, news: &mut Vec<News>) {
        while let Some(done) = self.arrivals.advance(now, disk) {
            self.note_written(&done, news);
        }
        if self.archive_waits_for.is_some_and(|pos| pos <= self.end.durable_pos()) {
            self.archive_waits_for = None;
        }
        while self.archive_waits_for.is_none()
            && let Some(done) = self.archive.advance(now, disk)
        {
            self.note_written(&done, news);
        }
        self.advance_segments(now, disk);
        self.advance_log(now, disk, news);
        // The log may have entered a segment, and a next one is to be prepared.
        self.advance_segments(now, disk);
    }

    /// A writer of snapshots has come to a point that matters.
    fn note_written(&mut self, done: &Done, news: &mut Vec<News>) {
        match *done {
            Done::Snapshot(base) => news.push(News::Snapshot(base)),
            Done::Received(base) => news.push(News::Received(base)),
            Done::WaitsForLog(pos) if self.end.durable_pos() < pos => {
                self.archive_waits_for = Some(pos);
            }
            Done::WaitsForLog(_) => {}
            Done::Prepare(_) | Done::Recycle(_) | Done::Ready(_) => {
                unreachable!("that is the segments thread's")
            }
        }
    }

    fn advance_segments(&mut self, now: Instant, disk: &mut Disk) {
        loop {
            if self.segments.is_idle() {
                if let Some((tail, promised)) = self.witness
                    && self.superblock_at <= now
                {
                    self.witness = None;
                    self.write_witness(now, tail, promised);
                } else if self.prepared < self.segment.number + READY_TARGET {
                    self.prepared += 1;
                    self.segments.push(Step::Tell(Done::Prepare(self.prepared)));
                }
            }
            match self.segments.advance(now, disk) {
                None => return,
                Some(Done::Prepare(number)) => self.prepare(number, disk),
                Some(Done::Recycle(number)) => self.recycle(number, disk),
                Some(Done::Ready(segment)) => self.ready.push_back(segment),
                Some(Done::Snapshot(_) | Done::Received(_) | Done::WaitsForLog(_)) => {
                    unreachable!("others write snapshots")
                }
            }
        }
    }

    fn write_witness(&mut self, now: Instant, tail: Lsn, promised: Ballot) {
        if self.superblock.tail < tail || self.superblock.promised < promised {
            self.write_superblock(|superblock| {
                superblock.tail = superblock.tail.max(tail);
                superblock.promised = superblock.promised.max(promised);
            });
            self.superblock_at = Instant(now.0 + SUPERBLOCK_NS);
        }
    }

    fn write_superblock(&mut self, change: impl FnOnce(&mut Superblock)) {
        change(&mut self.superblock);
        self.superblock.sequence += 1;
        let name = names::superblock(self.superblock.file_index());
        self.segments.push(Step::write(&name, 0, self.superblock.encode().to_vec()));
        self.segments.push(Step::Flush(name));
    }

    /// Keeps this snapshot, `count` in all, and the log from the oldest of them on.
    fn keep(&mut self, base: Base, count: usize) {
        let Some(superfluous) = self.snapshots.add(base.slot, count) else {
            self.segments.push(Step::Remove(names::snapshot(base.slot)));
            return;
        };
        self.write_superblock(|superblock| superblock.snapshot = base);
        for slot in superfluous.snapshots {
            self.segments.push(Step::Remove(names::snapshot(slot)));
        }
        while let Some(number) =
            superfluous.log.and_then(|slot| superfluous_segment(&self.used, slot))
        {
            self.used.pop_front();
            self.segments.push(Step::Tell(Done::Recycle(number)));
        }
    }

    /// Takes a segment out of the log: as a spare, if it may be used again.
    fn recycle(&mut self, number: u32, disk: &Disk) {
        let name = names::segment(number);
        let is_whole = disk.read(&name).is_some_and(|bytes| bytes.len() == self.bytes());
        if is_whole && self.spares.len() < SPARES_MAX {
            let spare = names::spare(number);
            self.spares.push(spare.clone());
            self.segments.push_front([Step::Rename(name, spare), Step::FlushNames]);
        } else {
            self.segments.push_front([Step::Remove(name), Step::FlushNames]);
        }
    }

    fn prepare(&mut self, number: u32, disk: &Disk) {
        let steps = prepare(
            disk,
            self.spares.pop(),
            &SegmentHeader {
                owner: self.owner,
                generation: self.chance.draw(),
                number,
                block_count: self.segment_blocks,
            },
        );
        self.segments.push_front(steps);
    }

    fn bytes(&self) -> usize {
        usize::try_from(self.segment_blocks).expect("32 bits") * BLOCK_BYTES
    }

    // The log writer.

    fn advance_log(&mut self, now: Instant, disk: &mut Disk, news: &mut Vec<News>) {
        loop {
            match self.writing {
                Writing::Nothing if !self.queue.is_empty() => self.begin_group(now, disk),
                Writing::Nothing => return self.pad_if_idle(now, disk),
                Writing::Group { op: None } if self.pad.is_none() => {
                    self.writing = Writing::Flush { op: self.flush(now, disk) };
                }
                Writing::WaitsForSegment if !self.ready.is_empty() => self.roll(news),
                _ => return,
            }
        }
    }

    fn begin_group(&mut self, now: Instant, disk: &mut Disk) {
        let Plan::Write { append_count, block_count } = self.end.plan(self.queue.iter()) else {
            if self.pad.is_none() {
                self.writing = Writing::BeforeRoll { op: self.flush(now, disk) };
            } else {
                // The witness first: a seal says that everything before it is durable.
                self.writing = Writing::Group { op: None };
            }
            return;
        };
        self.group = self.queue.drain(..append_count).collect();
        let bytes = usize::try_from(block_count).expect("32 bits") * BLOCK_BYTES;
        let mut buffer: Vec<u8> = core::iter::repeat_n(0, bytes).collect();
        let at = self.end.encode(&self.group, &mut buffer);
        self.writing = Writing::Group { op: Some(self.write(now, disk, at, buffer)) };
    }

    fn flushed(&mut self, now: Instant, news: &mut Vec<News>) {
        let durable = self.end.flushed();
        self.writing = Writing::Nothing;
        self.needs_pad = true;
        self.idle_since = now;
        news.push(News::Durable(durable));
        for append in core::mem::take(&mut self.group) {
            match append.kind {
                AppendKind::Install { base } if self.end.begun_anew() == Some(base) => {
                    self.keep(base, 1);
                }
                AppendKind::Snapshot { base } | AppendKind::Install { base } => {
                    self.keep(base, 2);
                }
                AppendKind::Batch { .. } | AppendKind::Promise { .. } => {}
            }
        }
        let is_promise_new = self.witnessed.1 < self.end.promised();
        if is_promise_new || self.witnessed_at.0 + WITNESS_NS <= now.0 {
            self.tell_superblock(now);
        }
    }

    fn roll(&mut self, news: &mut Vec<News>) {
        let next = self.ready.pop_front().expect("the caller has seen it");
        let start = self.end.last().slot;
        self.end.roll(next.number, next.generation, next.block_count);
        self.segment = next;
        self.used.push_back(UsedSegment { number: next.number, start });
        self.writing = Writing::Nothing;
        news.push(News::Rolled);
    }

    fn pad_if_idle(&mut self, now: Instant, disk: &mut Disk) {
        let is_idle = self.idle_since.0 + IDLE_NS <= now.0;
        if !self.needs_pad || self.pad.is_some() || !is_idle {
            return;
        }
        self.needs_pad = false;
        let mut block = [0; BLOCK_BYTES];
        if let Some(at) = self.end.encode_pad(&mut block) {
            self.pad = Some(self.write(now, disk, at, block.to_vec()));
        }
        self.tell_superblock(now);
    }

    fn tell_superblock(&mut self, now: Instant) {
        let witness = (self.end.durable(), self.end.promised());
        self.witnessed_at = now;
        if self.witnessed != witness {
            self.witnessed = witness;
            self.witness = Some(witness);
        }
    }

    fn write(&self, now: Instant, disk: &mut Disk, at: Lsn, bytes: Vec<u8>) -> OpId {
        let offset = usize::try_from(at.block()).expect("32 bits") * BLOCK_BYTES;
        let name = names::segment(self.segment.number);
        disk.submit(now, Operation::Write { name, offset, bytes })
    }

    fn flush(&self, now: Instant, disk: &mut Disk) -> OpId {
        disk.submit(now, Operation::Flush { name: names::segment(self.segment.number) })
    }
}
