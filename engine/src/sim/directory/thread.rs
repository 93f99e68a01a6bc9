//! Something that does one operation after the other, and waits for each.

use alloc::{borrow::ToOwned, collections::VecDeque, string::String, vec::Vec};

use super::{ReadySegment, files::names};
use crate::{
    ids::{Instant, LogPos},
    sim::disk::{Disk, DiskError, OpId, Operation},
    storage::{Base, block::BLOCK_BYTES, segment::SegmentHeader},
};

/// One thing to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Create(String, usize),
    Operation(Operation),
    Flush(String),
    Rename(String, String),
    Remove(String),
    FlushNames,
    Truncate(String, usize),
    /// The turn of something that whoever has the thread must look at.
    Tell(Done),
}

impl Step {
    pub(super) fn write(name: &str, offset: usize, bytes: Vec<u8>) -> Self {
        Self::Operation(Operation::Write { name: name.to_owned(), offset, bytes })
    }
}

/// What whoever has a thread must look at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Done {
    /// A segment is to be made ready: what that takes depends on the spares that there are.
    Prepare(u32),
    /// A segment is not needed any more.
    Recycle(u32),
    Ready(ReadySegment),
    /// What follows waits until the log is durable up to here.
    WaitsForLog(LogPos),
    Snapshot(Base),
    Received(Base),
}

/// A queue of steps.
#[derive(Debug, Default)]
pub(super) struct Thread {
    steps: VecDeque<Step>,
    waits_for: Option<OpId>,
}

impl Thread {
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    pub(super) fn push_front(&mut self, steps: impl IntoIterator<Item = Step>) {
        let rest = core::mem::take(&mut self.steps);
        self.steps.extend(steps);
        self.steps.extend(rest);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.steps.is_empty() && self.waits_for.is_none()
    }

    /// Whether that is what it waited for.
    pub(super) fn completed(&mut self, op: OpId) -> bool {
        let is_it = self.waits_for == Some(op);
        if is_it {
            self.waits_for = None;
        }
        is_it
    }

    /// Does steps until one takes time or is somebody else's business.
    pub(super) fn advance(&mut self, now: Instant, disk: &mut Disk) -> Option<Done> {
        while self.waits_for.is_none() {
            match self.steps.pop_front()? {
                Step::Create(name, len) => disk.create(&name, len),
                Step::Operation(operation) => self.waits_for = Some(disk.submit(now, operation)),
                Step::Flush(name) => {
                    self.waits_for = Some(disk.submit(now, Operation::Flush { name }));
                }
                Step::Rename(from, to) => disk.rename(&from, &to),
                Step::Remove(name) => disk.remove(&name),
                Step::FlushNames => disk.flush_names(),
                Step::Truncate(name, len) => disk.truncate(&name, len),
                Step::Tell(done) => return Some(done),
            }
        }
        None
    }
}

/// What makes a segment ready, in a file that holds no needed record if there is one. It has its
/// name only when everything in it is durable.
pub(super) fn prepare(disk: &Disk, spare: Option<String>, header: &SegmentHeader) -> Vec<Step> {
    let bytes = usize::try_from(header.block_count).expect("32 bits") * BLOCK_BYTES;
    let unfinished = names::spare(header.number);
    // Where a power cut may tear a block, a torn block can only be told from a damaged one if it
    // held zeros before.
    let needs_zeros = spare.is_none() || disk.atomic_bytes() < BLOCK_BYTES;
    let mut steps = Vec::new();
    steps.push(match spare {
        Some(spare) => Step::Rename(spare, unfinished.clone()),
        None => Step::Create(unfinished.clone(), bytes),
    });
    if needs_zeros {
        let zeros = core::iter::repeat_n(0, bytes).collect();
        steps.push(Step::write(&unfinished, 0, zeros));
        steps.push(Step::Flush(unfinished.clone()));
    }
    steps.push(Step::write(&unfinished, 0, header.encode().to_vec()));
    steps.push(Step::Flush(unfinished.clone()));
    steps.push(Step::Rename(unfinished, names::segment(header.number)));
    steps.push(Step::FlushNames);
    let &SegmentHeader { number, generation, block_count, .. } = header;
    steps.push(Step::Tell(Done::Ready(ReadySegment { number, generation, block_count })));
    steps
}

/// Does steps while everybody waits, up to one that tells something.
///
/// # Errors
///
/// When one fails.
pub(super) fn run(disk: &mut Disk, steps: Vec<Step>) -> Result<(), DiskError> {
    for step in steps {
        match step {
            Step::Create(name, len) => disk.create(&name, len),
            Step::Operation(operation) => disk.run(operation)?,
            Step::Flush(name) => disk.run(Operation::Flush { name })?,
            Step::Rename(from, to) => disk.rename(&from, &to),
            Step::Remove(name) => disk.remove(&name),
            Step::FlushNames => disk.flush_names(),
            Step::Truncate(name, len) => disk.truncate(&name, len),
            Step::Tell(_) => {}
        }
    }
    Ok(())
}
