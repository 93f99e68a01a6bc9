//! Groups: everything that shares one write and one flush; and the end of the log that they move.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{
    batch::BATCH_HEADER_BYTES,
    ids::{Ballot, LogPos, Slot},
};

use super::{
    Append, AppendKind, Base, Lsn,
    block::{self, BLOCK_BYTES, Block, DATA_BYTES, Identity, LOCAL_HEADER_BYTES, Trailer},
    record::{Install, RecordHeader, RecordKind, Seal, encode_base},
};

/// Most blocks of a group, unless a single record has more.
pub const GROUP_BLOCKS_MAX: u32 = 1024;

/// The end of the log, where groups are added. It trusts its caller with two things: that what
/// `encode` made is written before the next group, and that `flushed` is called only when it is
/// durable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogEnd {
    /// Where the next record goes. Block 0 of a segment stands for "roll first".
    end: Lsn,
    /// Where the durable part ends.
    durable: Lsn,
    /// Of the segment that `end` is in.
    generation: u64,
    /// Length of that segment.
    segment_blocks: u32,
    /// Whether the segment was entered and has no seal yet. Holds the end of the log before it.
    unsealed: Option<Lsn>,
    /// The last append.
    appended: LogPos,
    /// The last append that is durable.
    durable_pos: LogPos,
    promised: Ballot,
    commit: Slot,
    last: Base,
    /// The hashes of the batches before the last, newest last, from the commit slot on: what is
    /// installed has a slot beyond that.
    before: VecDeque<u128>,
    /// The last install with nothing kept from before it.
    begun_anew: Option<Base>,
}

/// What recovery found at the end of the log, and what a new log starts with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Continuation {
    /// The end of the log.
    pub end: Lsn,
    /// The last append.
    pub appended: LogPos,
    /// The highest ballot that was promised.
    pub promised: Ballot,
    /// The last batch.
    pub last: Base,
    /// The hashes of the batches before the last, newest last, as far as an install may name them:
    /// those that were not known to be committed.
    pub before: Vec<u128>,
}

/// How many appends fit in the next group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// So many appends, and so many blocks with the seal that goes first.
    Write {
        /// How many appends.
        append_count: usize,
        /// How many blocks the group has.
        block_count: u32,
    },
    /// Not even the first fits in the segment: roll to the next one.
    Roll,
}

impl LogEnd {
    /// Continues a log. A new segment must be entered before anything is added.
    #[must_use]
    pub fn new(continuation: &Continuation) -> Self {
        Self {
            end: continuation.end,
            durable: continuation.end,
            generation: 0,
            segment_blocks: 0,
            unsealed: None,
            appended: continuation.appended,
            durable_pos: continuation.appended,
            promised: continuation.promised,
            commit: Slot(0),
            last: continuation.last,
            before: continuation.before.iter().copied().collect(),
            begun_anew: None,
        }
    }

    /// Goes on in a new segment. Everything before must be durable.
    pub fn roll(&mut self, segment: u32, generation: u64, segment_blocks: u32) {
        let end = self.unsealed.unwrap_or(self.end);
        assert!(self.durable == end, "roll with {} durable of {end}", self.durable);
        assert!(self.end.segment() < segment, "roll from {} to segment {segment}", self.end);
        assert!(2 < segment_blocks, "a segment has room for a seal and a record");
        // A segment that was entered and never written is left out: the seal names the log's end
        // before both.
        self.unsealed = Some(end);
        // The durable part still ends in the segment before: a first group that is cut short must
        // not witness that its own beginning was durable.
        self.end = Lsn::new(segment, 1);
        self.generation = generation;
        self.segment_blocks = segment_blocks;
    }

    /// How many of `appends` go into the next group.
    #[must_use]
    pub fn plan<'a>(&self, appends: impl Iterator<Item = &'a Append>) -> Plan {
        let seal_blocks = u32::from(self.unsealed.is_some());
        let room = self.segment_blocks.saturating_sub(self.end.block());
        let mut append_count = 0;
        let mut block_count = seal_blocks;
        for append in appends {
            let blocks = append.block_count();
            let is_first = append_count == 0;
            if room < block_count + blocks {
                if is_first {
                    assert!(
                        seal_blocks == 0,
                        "a record of {blocks} blocks does not fit in a segment of {}",
                        self.segment_blocks
                    );
                    return Plan::Roll;
                }
                break;
            }
            if !is_first && GROUP_BLOCKS_MAX < block_count + blocks {
                break;
            }
            append_count += 1;
            block_count += blocks;
        }
        Plan::Write { append_count, block_count }
    }

    /// Encodes a group: a seal if the segment has none, and `appends`, as planned. `buffer` has
    /// exactly the planned blocks and may hold anything before. Returns where the group goes.
    pub fn encode(&mut self, appends: &[Append], buffer: &mut [u8]) -> Lsn {
        let start = self.end;
        let (blocks, rest) = buffer.as_chunks_mut::<BLOCK_BYTES>();
        assert!(rest.is_empty(), "a group is whole blocks");
        let mut blocks = blocks;
        if let Some(previous_end) = self.unsealed.take() {
            let seal = Seal { previous_end, appended: self.appended, base: self.last };
            self.put_local(RecordKind::Seal, &seal.encode(), &mut blocks);
        }
        for append in appends {
            self.put_append(append, &mut blocks);
        }
        assert!(blocks.is_empty(), "{} blocks more than planned", blocks.len());
        start
    }

    /// Encodes a record that only witnesses that everything before it is durable. `None`: there is
    /// no room for it in the segment, and it is not worth a new one.
    pub fn encode_pad(&mut self, block: &mut [u8]) -> Option<Lsn> {
        let has_room = self.end.block() < self.segment_blocks && self.unsealed.is_none();
        let start = self.end;
        has_room.then(|| {
            let (mut blocks, _) = block.as_chunks_mut::<BLOCK_BYTES>();
            self.put_local(RecordKind::Pad, &[], &mut blocks);
            start
        })
    }

    /// Everything that was encoded is durable. Returns the position up to which appends are.
    pub fn flushed(&mut self) -> LogPos {
        self.durable = self.end;
        self.durable_pos = self.appended;
        self.durable_pos
    }

    /// The last append.
    #[must_use]
    pub fn appended(&self) -> LogPos {
        self.appended
    }

    /// The last append that is durable.
    #[must_use]
    pub fn durable_pos(&self) -> LogPos {
        self.durable_pos
    }

    /// Where the durable part of the log ends.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The highest ballot that any record promised.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// The last batch.
    #[must_use]
    pub fn last(&self) -> Base {
        self.last
    }

    /// The last install that nothing was kept from before: once it is durable, no older snapshot,
    /// and nothing in the log before it, is of use.
    #[must_use]
    pub fn begun_anew(&self) -> Option<Base> {
        self.begun_anew
    }

    /// Blocks that are left in the segment.
    #[must_use]
    pub fn room_blocks(&self) -> u32 {
        self.segment_blocks.saturating_sub(self.end.block())
    }

    fn put_append(&mut self, append: &Append, blocks: &mut &mut [Block]) {
        assert!(
            append.pos == self.appended.next(),
            "append {:?} after {:?}",
            append.pos,
            self.appended
        );
        self.appended = append.pos;
        self.commit = append.commit;
        match &append.kind {
            AppendKind::Batch { ballot, batch } => {
                self.promised = self.promised.max(*ballot);
                self.move_to(Base::of(&batch.header));
                let payload_bytes = u32::try_from(batch.payload.len()).expect("BATCH_BYTES_MAX");
                let header: [u8; BATCH_HEADER_BYTES] = batch.header.encode(payload_bytes);
                let identity = Identity::of_batch(batch.header.slot, batch.header.origin);
                let header_and_payload = [header.as_slice(), &batch.payload];
                let count = append.block_count();
                let kind = RecordKind::Batch;
                self.put_record(kind, *ballot, count, identity, header_and_payload, blocks);
            }
            AppendKind::Promise { ballot } => {
                self.promised = self.promised.max(*ballot);
                self.put_local(RecordKind::Promise, &[], blocks);
            }
            AppendKind::Snapshot { base } => {
                self.put_local(RecordKind::Snapshot, &encode_base(base), blocks);
            }
            AppendKind::Install { base } => {
                self.install(*base);
                let install = Install { base: *base, last: self.last };
                self.put_local(RecordKind::Install, &install.encode(), blocks);
            }
        }
        self.forget_committed();
    }

    /// The log ends with another batch: the next, or one that takes the place of an earlier one.
    fn move_to(&mut self, last: Base) {
        self.before.push_back(self.last.hash);
        // How many are there from the new last one on.
        let replaced = (self.last.slot.0 + 1).saturating_sub(last.slot.0);
        let left =
            self.before.len().saturating_sub(usize::try_from(replaced).unwrap_or(usize::MAX));
        self.before.truncate(left);
        self.last = last;
    }

    /// The log goes on behind a snapshot: with what it has there, if it has the snapshot's batch.
    fn install(&mut self, base: Base) {
        let is_known = base == self.last || self.hash_before_last(base.slot) == Some(base.hash);
        if !is_known {
            self.last = base;
            self.before.clear();
            self.begun_anew = Some(base);
        }
    }

    /// The hash of the batch at a slot before the last.
    fn hash_before_last(&self, slot: Slot) -> Option<u128> {
        let back = self.last.slot.0.checked_sub(slot.0)?;
        let index = self.before.len().checked_sub(usize::try_from(back).ok()?)?;
        self.before.get(index).copied()
    }

    /// What is committed, no install names.
    fn forget_committed(&mut self) {
        let behind = self.last.slot.0.saturating_sub(self.commit.0);
        let kept = self.before.len().min(usize::try_from(behind).unwrap_or(usize::MAX));
        self.before.drain(..self.before.len() - kept);
    }

    fn put_local(&mut self, kind: RecordKind, content: &[u8], blocks: &mut &mut [Block]) {
        let identity = Identity::of_local(kind, self.generation, self.end);
        self.put_record(kind, self.promised, 1, identity, [content, &[]], blocks);
    }

    fn put_record(
        &mut self,
        kind: RecordKind,
        ballot: Ballot,
        block_count: u32,
        identity: Identity,
        content: [&[u8]; 2],
        blocks: &mut &mut [Block],
    ) {
        let count = usize::try_from(block_count).expect("a record fits in memory");
        let (record, rest) = core::mem::take(blocks).split_at_mut(count);
        *blocks = rest;
        fill(record, content);
        for (block, number) in record.iter_mut().zip(0..) {
            block::seal(block, Trailer { identity, number });
        }
        let header = RecordHeader {
            generation: self.generation,
            lsn: self.end,
            block_count,
            kind,
            ballot,
            durable: self.durable,
            commit: self.commit,
        };
        let (first, _) = record.split_first_mut().expect("a record has a block");
        first.split_at_mut(LOCAL_HEADER_BYTES).0.copy_from_slice(&header.encode());
        self.end = self.end.plus(block_count);
    }
}

/// Spreads `content` over the data of the blocks, behind the local header, and zeros over what is
/// left.
fn fill(record: &mut [Block], content: [&[u8]; 2]) {
    let mut skip = LOCAL_HEADER_BYTES;
    let [mut content, mut after] = content;
    for block in record {
        let (data, _) = block.split_at_mut(DATA_BYTES);
        let (_, mut data) = data.split_at_mut(skip);
        skip = 0;
        while !data.is_empty() {
            if content.is_empty() {
                content = core::mem::take(&mut after);
            }
            if content.is_empty() {
                data.fill(0);
                break;
            }
            let (now, later) = content.split_at(content.len().min(data.len()));
            crate::batch::put(&mut data, now);
            content = later;
        }
    }
    assert!(content.is_empty() && after.is_empty(), "more content than blocks");
}
