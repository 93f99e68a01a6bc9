//! Blocks that stand alone: the headers of segments and snapshots, superblocks, snapshot trailers.
//! Magic, format version, fields, zeros, and a checksum at the end, in every version.

use crate::batch::{put, take};

use super::block::{BLOCK_BYTES, Block};

/// The version of all formats in a data directory.
pub const FORMAT_VERSION: u32 = 1;

/// The length of a magic.
const MAGIC_BYTES: usize = 8;
/// Everything but the checksum.
const CHECKED_BYTES: usize = BLOCK_BYTES - 4;

/// Whose files these are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Owner {
    /// The cluster, drawn at random when it was founded.
    pub cluster: u128,
    /// The data directory, drawn at random when it was made: a wiped replica has another (R10).
    pub incarnation: u128,
}

impl Owner {
    pub(super) fn encode(&self, rest: &mut &mut [u8]) {
        put(rest, &self.cluster.to_le_bytes());
        put(rest, &self.incarnation.to_le_bytes());
    }

    pub(super) fn decode(rest: &mut &[u8]) -> Option<Self> {
        Some(Self {
            cluster: u128::from_le_bytes(take(rest)?),
            incarnation: u128::from_le_bytes(take(rest)?),
        })
    }
}

/// Why a block is not one that this version can use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BlockError {
    /// Damaged, or never written.
    #[error("damaged or never written")]
    Unreadable,
    /// From a later version of the server.
    #[error("format version {0}; this server knows versions up to {FORMAT_VERSION}")]
    NewerVersion(u32),
}

/// Makes a block of what `fields` writes.
pub(super) fn encode(magic: [u8; MAGIC_BYTES], fields: impl FnOnce(&mut &mut [u8])) -> Block {
    let mut block = [0; BLOCK_BYTES];
    let (mut rest, _) = block.split_at_mut(CHECKED_BYTES);
    put(&mut rest, &magic);
    put(&mut rest, &FORMAT_VERSION.to_le_bytes());
    // Reserved: keeps the fields at a multiple of eight bytes.
    put(&mut rest, &[0; 4]);
    fields(&mut rest);
    let checksum = checksum(&block);
    let (_, mut rest) = block.split_at_mut(CHECKED_BYTES);
    put(&mut rest, &checksum.to_le_bytes());
    block
}

/// Checks a block and gives its bytes to `fields`.
pub(super) fn decode<T>(
    block: &Block,
    magic: [u8; MAGIC_BYTES],
    fields: impl FnOnce(&mut &[u8]) -> Option<T>,
) -> Result<T, BlockError> {
    let decode = || {
        let (_, mut rest) = block.split_at(CHECKED_BYTES);
        if u32::from_le_bytes(take(&mut rest)?) != checksum(block) {
            return None;
        }
        let (mut rest, _) = block.split_at(CHECKED_BYTES);
        if take(&mut rest)? != magic {
            return None;
        }
        let version = u32::from_le_bytes(take(&mut rest)?);
        take::<4>(&mut rest)?;
        Some((version, rest))
    };
    let (version, mut rest) = decode().ok_or(BlockError::Unreadable)?;
    if FORMAT_VERSION < version {
        return Err(BlockError::NewerVersion(version));
    }
    fields(&mut rest).ok_or(BlockError::Unreadable)
}

fn checksum(block: &Block) -> u32 {
    let (checked, _) = block.split_at(CHECKED_BYTES);
    crc32c::crc32c(checked)
}
