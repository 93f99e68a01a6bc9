//! The first block of a segment: whose it is, and which life of the file this is.

use crate::batch::{put, take};

use super::{
    block::Block,
    standalone::{self, BlockError, Owner},
};

/// The header of a segment. Written and flushed before the segment is used; what is only known
/// when it is used stands in its first record, a `Seal`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SegmentHeader {
    /// Whose.
    pub owner: Owner,
    /// Drawn at random for every use of the file: tells the records of this life from older ones.
    pub generation: u64,
    /// Which segment of the log, from 1; never used again.
    pub number: u32,
    /// The length of the file, this block included.
    pub block_count: u32,
}

const MAGIC: [u8; 8] = *b"RKsegmnt";

impl SegmentHeader {
    /// The header as a block.
    #[must_use]
    pub fn encode(&self) -> Block {
        standalone::encode(MAGIC, |rest| {
            self.owner.encode(rest);
            put(rest, &self.generation.to_le_bytes());
            put(rest, &self.number.to_le_bytes());
            put(rest, &self.block_count.to_le_bytes());
        })
    }

    /// Reads a header.
    ///
    /// # Errors
    ///
    /// When the block is not one.
    pub fn decode(block: &Block) -> Result<Self, BlockError> {
        standalone::decode(block, MAGIC, |rest| {
            Some(Self {
                owner: Owner::decode(rest)?,
                generation: u64::from_le_bytes(take(rest)?),
                number: u32::from_le_bytes(take(rest)?),
                block_count: u32::from_le_bytes(take(rest)?),
            })
        })
    }
}
