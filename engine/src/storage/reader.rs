//! One record at one place of a segment: what it says, or what is wrong with it.

use alloc::{sync::Arc, vec::Vec};

use super::{
    Base, Lsn,
    block::{self, BLOCK_BYTES, Block, DATA_BYTES, Identity, LOCAL_HEADER_BYTES, Trailer},
    record::{self, BASE_BYTES, Install, RecordHeader, RecordKind, Seal, decode_base},
    recovery::{DamageKind, Seen},
    segment::SegmentHeader,
};
use crate::batch::{self, BATCH_HEADER_BYTES, Batch, BatchHeader};

/// A valid record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Record {
    Batch(RecordHeader, Arc<Batch>),
    Seal(RecordHeader, Seal),
    Snapshot(RecordHeader, Base),
    Install(RecordHeader, Install),
    /// A promise or a pad.
    Local(RecordHeader),
}

impl Record {
    pub(super) fn header(&self) -> &RecordHeader {
        match self {
            Self::Batch(header, _)
            | Self::Seal(header, _)
            | Self::Snapshot(header, _)
            | Self::Install(header, _)
            | Self::Local(header) => header,
        }
    }

    /// For whoever observes.
    pub(super) fn seen(&self) -> Seen<'_> {
        let mut seen = Seen { header: self.header(), batch: None, seal: None, install: None };
        match self {
            Self::Batch(_, batch) => seen.batch = Some(&batch.header),
            Self::Seal(_, seal) => seen.seal = Some(seal),
            Self::Install(_, install) => seen.install = Some(install),
            Self::Local(_) | Self::Snapshot(..) => {}
        }
        seen
    }
}

/// Why there is no valid record at a place. Ordered: the later, the worse.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Flaw {
    /// What stood there before: nothing, or a record of the file's former life.
    Old,
    /// Some blocks are new, the others hold what stood there before.
    Partial,
    /// A block is neither new nor old, and there are signs that a write was cut short in it.
    Tear,
    /// A block is neither new nor old.
    Rot,
    /// Sound blocks that cannot have been written there.
    Contradiction,
}

/// What one block of a record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    New,
    Old,
    Damaged,
}

/// A segment's header and its whole file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) header: SegmentHeader,
    pub(super) bytes: &'a [u8],
}

impl<'a> Segment<'a> {
    /// The record at `lsn`.
    pub(super) fn read(&self, lsn: Lsn) -> Result<Record, Flaw> {
        // Behind the end of the file there is nothing. Whether that is right is a question of the
        // file's length.
        let Some(first) = block::block_at(self.bytes, lsn.block()) else { return Err(Flaw::Old) };
        let header = match local_header(first) {
            Some(header) if header.generation == self.header.generation => header,
            _ => return Err(Self::flaw_of_first(first)),
        };
        let room = self.header.block_count.saturating_sub(lsn.block());
        if header.lsn != lsn || room < header.block_count {
            return Err(Flaw::Contradiction);
        }
        let Some(trailer) = block::trailer(first) else {
            let has_old = self
                .further(&header)
                .any(|further| further.is_none_or(|block| block::is_zero(block)));
            return Err(if has_old || has_zero_edge(first) { Flaw::Tear } else { Flaw::Rot });
        };
        let identity = trailer.identity;
        self.check_further(&header, identity)?;
        let content = self.content(&header);
        let record = parse(&header, &content).ok_or(Flaw::Contradiction)?;
        let expected = match &record {
            Record::Batch(_, batch) => Identity::of_batch(batch.header.slot, batch.header.origin),
            _ => Identity::of_local(header.kind, header.generation, lsn),
        };
        if (Trailer { identity: expected, number: 0 }) == trailer {
            Ok(record)
        } else {
            Err(Flaw::Contradiction)
        }
    }

    /// The place up to which the log was durable when the record that starts at `lsn` was written;
    /// `Lsn::ZERO` where none starts. Only its header must be sound.
    pub(super) fn witness(&self, lsn: Lsn) -> Lsn {
        block::block_at(self.bytes, lsn.block())
            .and_then(local_header)
            .filter(|header| header.generation == self.header.generation && header.lsn == lsn)
            .map_or(Lsn::ZERO, |header| header.durable)
    }

    /// The blocks from number `start` on.
    pub(super) fn blocks_from(&self, start: u32) -> impl Iterator<Item = (u32, &'a Block)> {
        let (blocks, _) = self.bytes.as_chunks::<BLOCK_BYTES>();
        let skip = usize::try_from(start).expect("a segment fits in memory");
        blocks.iter().skip(skip).zip(start..).map(|(block, number)| (number, block))
    }

    /// What is wrong with the length of the file.
    pub(super) fn length_damage(&self) -> Option<DamageKind> {
        let found_bytes = u64::try_from(self.bytes.len()).expect("a length");
        let expected_bytes = u64::from(self.header.block_count) * BLOCK_BYTES as u64;
        (found_bytes != expected_bytes)
            .then_some(DamageKind::Length { found_bytes, expected_bytes })
    }

    /// A first block that is not of this life of the file.
    fn flaw_of_first(first: &Block) -> Flaw {
        if is_sound(first) {
            Flaw::Old
        } else if has_zero_edge(first) {
            Flaw::Tear
        } else {
            Flaw::Rot
        }
    }

    /// The blocks of a record but the first; `None` where the file ends before.
    fn further(&self, header: &RecordHeader) -> impl Iterator<Item = Option<&'a Block>> {
        let (start, count) = (header.lsn.block(), header.block_count);
        let bytes = self.bytes;
        (1..count).map(move |number| block::block_at(bytes, start + number))
    }

    fn check_further(&self, header: &RecordHeader, identity: Identity) -> Result<(), Flaw> {
        let mut worst = None;
        let mut has_old = false;
        for (block, number) in self.further(header).zip(1..) {
            let class = block.map_or(Class::Old, |block| match block::trailer(block) {
                Some(trailer) if trailer == (Trailer { identity, number }) => Class::New,
                _ if is_sound(block) => Class::Old,
                _ => Class::Damaged,
            });
            let flaw = match class {
                Class::New => continue,
                Class::Old => Flaw::Partial,
                Class::Damaged if block.is_some_and(has_zero_edge) => Flaw::Tear,
                Class::Damaged => Flaw::Rot,
            };
            has_old |= class == Class::Old;
            worst = worst.max(Some(flaw));
        }
        match worst {
            None => Ok(()),
            // An old block in the same record is the other sign of a write that was cut short.
            Some(Flaw::Rot) if has_old => Err(Flaw::Tear),
            Some(flaw) => Err(flaw),
        }
    }

    /// The data of all blocks but the local header, zeros at the end included.
    fn content(&self, header: &RecordHeader) -> Vec<u8> {
        let count = usize::try_from(header.block_count).expect("checked against the file");
        let mut content = Vec::with_capacity(count * DATA_BYTES);
        let (blocks, _) = self.bytes.as_chunks::<BLOCK_BYTES>();
        let skip = usize::try_from(header.lsn.block()).expect("checked against the file");
        for (number, block) in blocks.iter().skip(skip).take(count).enumerate() {
            let (data, _) = block.split_at(DATA_BYTES);
            let (_, data) = data.split_at(if number == 0 { LOCAL_HEADER_BYTES } else { 0 });
            content.extend_from_slice(data);
        }
        content
    }
}

/// Whether a block is what was once written as a whole, or was never written.
pub(super) fn is_sound(block: &Block) -> bool {
    match block::trailer(block) {
        Some(trailer) if trailer.number == 0 => local_header(block).is_some(),
        Some(_) => true,
        None => block::is_zero(block),
    }
}

fn local_header(block: &Block) -> Option<RecordHeader> {
    RecordHeader::decode(block.first_chunk::<LOCAL_HEADER_BYTES>()?)
}

/// Whether the first or the last sector of the smallest kind is zero although no block that was
/// written has zeros there: a local header or data stands at the start, a trailer at the end.
fn has_zero_edge(block: &Block) -> bool {
    const PIECE_BYTES: usize = 512;
    let (first, _) = block.split_at(PIECE_BYTES);
    let (_, last) = block.split_at(BLOCK_BYTES - PIECE_BYTES);
    block::is_zero(last) || (block::is_zero(first) && is_first_of_record(block))
}

/// Only a record's first block is known to have no zeros at its start: the others start with data.
fn is_first_of_record(block: &Block) -> bool {
    let (_, trailer) = block.split_at(DATA_BYTES);
    let position = trailer.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    position >> 40 == 0
}

/// What the content of a record says. `None`: nothing that is ever written.
fn parse(header: &RecordHeader, content: &[u8]) -> Option<Record> {
    match header.kind {
        RecordKind::Batch => {
            let (batch_header, rest) = content.split_first_chunk::<BATCH_HEADER_BYTES>()?;
            let (batch_header, payload_bytes) = BatchHeader::decode(batch_header)?;
            let payload = rest.get(..usize::try_from(payload_bytes).ok()?)?;
            let is_whole = record::block_count(BATCH_HEADER_BYTES + payload.len())
                == header.block_count
                && batch::hash(&batch_header, payload) == batch_header.hash;
            let batch = || Arc::new(Batch { header: batch_header, payload: Arc::from(payload) });
            is_whole.then(batch).map(|batch| Record::Batch(*header, batch))
        }
        RecordKind::Seal => Some(Record::Seal(*header, Seal::decode(content)?)),
        RecordKind::Snapshot => {
            let base = content.first_chunk::<BASE_BYTES>()?;
            Some(Record::Snapshot(*header, decode_base(base)))
        }
        RecordKind::Install => Some(Record::Install(*header, Install::decode(content)?)),
        RecordKind::Promise | RecordKind::Pad => Some(Record::Local(*header)),
    }
}
