//! Superblocks: two blocks in files of their own, written in turns, that say whose the directory
//! is, what was promised, and how far the log was known to be durable.

use crate::{
    batch::{put, take},
    ids::{Ballot, ReplicaId},
};

use super::{
    Base, Lsn,
    block::Block,
    record::{decode_base, encode_base},
    standalone::{self, BlockError, Owner},
};

/// One superblock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Superblock {
    /// Grows by one with every write; the lowest bit is the slot it is written to.
    pub sequence: u64,
    /// Whose.
    pub owner: Owner,
    /// Which member of the cluster.
    pub replica: ReplicaId,
    /// The highest ballot that was promised when this was written.
    pub promised: Ballot,
    /// The newest snapshot whose record was durable when this was written; default: none.
    pub snapshot: Base,
    /// The log was durable up to here when this was written: a second witness beside the log.
    /// Zero: there is no log yet, or it starts anew behind `snapshot`.
    pub tail: Lsn,
}

const MAGIC: [u8; 8] = *b"RKsuperb";

impl Superblock {
    /// The superblock as a block.
    #[must_use]
    pub fn encode(&self) -> Block {
        standalone::encode(MAGIC, |rest| {
            put(rest, &self.sequence.to_le_bytes());
            self.owner.encode(rest);
            put(rest, &self.promised.round.to_le_bytes());
            put(rest, &self.promised.replica.0.to_le_bytes());
            put(rest, &self.replica.0.to_le_bytes());
            put(rest, &[0; 4]);
            put(rest, &self.tail.0.to_le_bytes());
            put(rest, &encode_base(&self.snapshot));
        })
    }

    /// Reads a superblock.
    ///
    /// # Errors
    ///
    /// When the block is not one.
    pub fn decode(block: &Block) -> Result<Self, BlockError> {
        standalone::decode(block, MAGIC, |rest| {
            let sequence = u64::from_le_bytes(take(rest)?);
            let owner = Owner::decode(rest)?;
            let round = u64::from_le_bytes(take(rest)?);
            let promised = Ballot { round, replica: ReplicaId(u16::from_le_bytes(take(rest)?)) };
            let replica = ReplicaId(u16::from_le_bytes(take(rest)?));
            take::<4>(rest)?;
            let tail = Lsn(u64::from_le_bytes(take(rest)?));
            let snapshot = decode_base(&take(rest)?);
            Some(Self { sequence, owner, replica, promised, snapshot, tail })
        })
    }

    /// Which of the two files this one belongs to.
    #[must_use]
    pub fn file_index(&self) -> usize {
        usize::from(self.sequence % 2 == 1)
    }
}

/// What the two superblocks say together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chosen {
    /// The newest that can be read.
    pub superblock: Superblock,
    /// Whether the other one cannot be read. It may have been the newer: its promise may be
    /// lost, and the log must know of it (every start writes one to the log first).
    pub is_other_unreadable: bool,
}

/// Chooses between what was read from the two files.
///
/// # Errors
///
/// A later version in either; or neither can be read.
pub fn choose(
    first: Result<Superblock, BlockError>,
    second: Result<Superblock, BlockError>,
) -> Result<Chosen, BlockError> {
    let is_newer = |error| matches!(error, BlockError::NewerVersion(_));
    match (first, second) {
        (Err(error), _) | (_, Err(error)) if is_newer(error) => Err(error),
        (Ok(first), Ok(second)) => {
            let superblock = if first.sequence < second.sequence { second } else { first };
            Ok(Chosen { superblock, is_other_unreadable: false })
        }
        (Ok(superblock), Err(_)) | (Err(_), Ok(superblock)) => {
            Ok(Chosen { superblock, is_other_unreadable: true })
        }
        (Err(error), Err(_)) => Err(error),
    }
}
