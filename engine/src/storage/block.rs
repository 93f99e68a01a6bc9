//! Blocks: the unit of every write. Each ends in a trailer that names what it belongs to.

use crate::{
    batch::{put, take},
    ids::{Ballot, Slot},
    limits::SECTOR_BYTES,
};

use super::{Lsn, record::RecordKind};

/// Length of a block. Always this, also on devices with smaller sectors.
pub const BLOCK_BYTES: usize = SECTOR_BYTES;

/// Length of the trailer at the end of a block.
pub const TRAILER_BYTES: usize = 16;

/// What a block has for its record.
pub const DATA_BYTES: usize = BLOCK_BYTES - TRAILER_BYTES;

/// Length of the header at the start of a record's first block. It has a checksum of its own,
/// because it differs from replica to replica while the rest of a batch's record does not.
pub const LOCAL_HEADER_BYTES: usize = 64;

/// Bits of a trailer's number of a block in its record.
const NUMBER_BITS: u32 = 24;
/// Bits of a trailer's index.
const INDEX_BITS: u32 = 40;
const CHECKED_BYTES: usize = BLOCK_BYTES - 4;

/// One block.
pub type Block = [u8; BLOCK_BYTES];

const _: () = {
    assert!(NUMBER_BITS + INDEX_BITS == 64);
    assert!(
        crate::limits::BATCH_BYTES_MAX / DATA_BYTES < 1 << NUMBER_BITS,
        "the blocks of the longest record can be numbered"
    );
};

/// What a block belongs to. Two records never share one, but for the record of one batch on
/// several replicas (and on one, if a batch is stored again): equal bytes, so no harm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The lower 40 bits of the slot, or of the place of a record that is not a batch.
    index: u64,
    /// A checksum of the origin, or of the segment's generation and the kind.
    tag: u32,
}

impl Identity {
    /// Of a batch: the same on every replica.
    #[must_use]
    pub fn of_batch(slot: Slot, origin: Ballot) -> Self {
        let tag = crc32c::crc32c(&origin.round.to_le_bytes());
        let tag = crc32c::crc32c_append(tag, &origin.replica.0.to_le_bytes());
        Self { index: slot.0 & ((1 << INDEX_BITS) - 1), tag }
    }

    /// Of a record that only this replica has.
    #[must_use]
    pub fn of_local(kind: RecordKind, generation: u64, lsn: Lsn) -> Self {
        let tag = crc32c::crc32c(&generation.to_le_bytes());
        let tag = crc32c::crc32c_append(tag, &[kind.code()]);
        Self { index: lsn.0 & ((1 << INDEX_BITS) - 1), tag }
    }
}

/// The end of a sound block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trailer {
    /// The record.
    pub identity: Identity,
    /// Which block of the record, from 0.
    pub number: u32,
}

/// Writes the trailer of a block whose data is complete. In a record's first block the checksum
/// leaves out the local header.
pub fn seal(block: &mut Block, trailer: Trailer) {
    assert!(trailer.number < 1 << NUMBER_BITS, "block {} of a record", trailer.number);
    let position = trailer.identity.index | (u64::from(trailer.number) << INDEX_BITS);
    let (_, mut rest) = block.split_at_mut(DATA_BYTES);
    put(&mut rest, &position.to_le_bytes());
    put(&mut rest, &trailer.identity.tag.to_le_bytes());
    let checksum = checksum(block, trailer.number);
    let (_, mut rest) = block.split_at_mut(CHECKED_BYTES);
    put(&mut rest, &checksum.to_le_bytes());
}

/// The trailer, if the block is what was once written.
#[must_use]
pub fn trailer(block: &Block) -> Option<Trailer> {
    let (_, mut rest) = block.split_at(DATA_BYTES);
    let position = u64::from_le_bytes(take(&mut rest)?);
    let tag = u32::from_le_bytes(take(&mut rest)?);
    let expected = u32::from_le_bytes(take(&mut rest)?);
    let number = u32::try_from(position >> INDEX_BITS).expect("24 bits");
    let index = position & ((1 << INDEX_BITS) - 1);
    (checksum(block, number) == expected)
        .then_some(Trailer { identity: Identity { index, tag }, number })
}

/// Whether nothing was ever written here.
#[must_use]
pub fn is_zero(block: &[u8]) -> bool {
    // Sixteen bytes at a time: the unused end of every segment goes through here at each start.
    let (chunks, rest) = block.as_chunks::<16>();
    chunks.iter().all(|chunk| u128::from_le_bytes(*chunk) == 0) && rest.iter().all(|b| *b == 0)
}

/// Covers the identity as well: a damaged identity must not pass for old content.
fn checksum(block: &Block, number: u32) -> u32 {
    let (checked, _) = block.split_at(CHECKED_BYTES);
    let (_, checked) = checked.split_at(if number == 0 { LOCAL_HEADER_BYTES } else { 0 });
    crc32c::crc32c(checked)
}

/// The block at `index` of `bytes`, if there is a whole one.
#[must_use]
pub(super) fn block_at(bytes: &[u8], index: u32) -> Option<&Block> {
    let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
    blocks.get(usize::try_from(index).ok()?)
}
