//! Records: what one append becomes on the disk.

use zerocopy::{
    FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
    transmute, transmute_ref,
};

use crate::{
    batch::{BATCH_HEADER_BYTES, put, take},
    ids::{Ballot, Epoch, LogPos, ReplicaId, Slot, WallTime, Zxid},
};

use super::{
    Append, AppendKind, Base, Lsn,
    block::{DATA_BYTES, LOCAL_HEADER_BYTES},
};

/// Starts every record.
const MAGIC: u32 = u32::from_le_bytes(*b"RKr1");

/// Length of an encoded `Base`.
pub(super) const BASE_BYTES: usize = 64;

/// Length of an encoded `Seal`.
const SEAL_BYTES: usize = BASE_BYTES + 16;

/// Length of an encoded `Install`.
const INSTALL_BYTES: usize = 2 * BASE_BYTES;

/// What the first block of a record has room for beside the local header.
const FIRST_DATA_BYTES: usize = DATA_BYTES - LOCAL_HEADER_BYTES;

/// What a record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordKind {
    /// A batch was accepted.
    Batch,
    /// A ballot was promised.
    Promise,
    /// The first record of a segment: where the log ended before it.
    Seal,
    /// Says nothing but what every record's header says: the log before it is durable.
    Pad,
    /// A snapshot is on the disk.
    Snapshot,
    /// A snapshot that was received is on the disk, and the log goes on behind it.
    Install,
}

impl RecordKind {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Batch => 1,
            Self::Promise => 2,
            Self::Seal => 3,
            Self::Pad => 4,
            Self::Snapshot => 5,
            Self::Install => 6,
        }
    }

    /// Whether it counts as an append: the others are the log's own.
    pub(super) fn is_append(self) -> bool {
        match self {
            Self::Batch | Self::Promise | Self::Snapshot | Self::Install => true,
            Self::Seal | Self::Pad => false,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Batch),
            2 => Some(Self::Promise),
            3 => Some(Self::Seal),
            4 => Some(Self::Pad),
            5 => Some(Self::Snapshot),
            6 => Some(Self::Install),
            _ => None,
        }
    }
}

/// The local header: the start of a record, with what only this replica knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordHeader {
    /// The generation of the segment: a record of the file's former life has another.
    pub generation: u64,
    /// Where the record is.
    pub lsn: Lsn,
    /// Its length.
    pub block_count: u32,
    /// What it is.
    pub kind: RecordKind,
    /// The ballot under which the batch was accepted, or the one that was promised; in other
    /// records the highest promised so far.
    pub ballot: Ballot,
    /// Where the durable part of the log ended when this was written: everything before may have
    /// been acknowledged.
    pub durable: Lsn,
    /// The commit slot as known when this was written.
    pub commit: Slot,
}

/// A `RecordHeader` as it lies on the disk.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct WireHeader {
    magic: U32,
    checksum: U32,
    generation: U64,
    lsn: U64,
    block_count: U32,
    kind: u8,
    reserved: u8,
    ballot_replica: U16,
    ballot_round: U64,
    durable: U64,
    commit: U64,
    reserved_end: [u8; 8],
}

impl RecordHeader {
    /// The header as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; LOCAL_HEADER_BYTES] {
        let mut wire = WireHeader {
            magic: MAGIC.into(),
            checksum: U32::ZERO,
            generation: self.generation.into(),
            lsn: self.lsn.0.into(),
            block_count: self.block_count.into(),
            kind: self.kind.code(),
            ballot_replica: self.ballot.replica.0.into(),
            ballot_round: self.ballot.round.into(),
            durable: self.durable.0.into(),
            commit: self.commit.0.into(),
            ..WireHeader::new_zeroed()
        };
        wire.checksum = Self::checksum(&transmute!(wire)).into();
        transmute!(wire)
    }

    /// The header, if these bytes are one.
    #[must_use]
    pub fn decode(bytes: &[u8; LOCAL_HEADER_BYTES]) -> Option<Self> {
        let wire: &WireHeader = transmute_ref!(bytes);
        if wire.magic != MAGIC || wire.checksum != Self::checksum(bytes) {
            return None;
        }
        let header = Self {
            generation: wire.generation.get(),
            lsn: Lsn(wire.lsn.get()),
            block_count: wire.block_count.get(),
            kind: RecordKind::from_code(wire.kind)?,
            ballot: Ballot {
                round: wire.ballot_round.get(),
                replica: ReplicaId(wire.ballot_replica.get()),
            },
            durable: Lsn(wire.durable.get()),
            commit: Slot(wire.commit.get()),
        };
        let is_possible = 0 < header.block_count && header.durable <= header.lsn;
        is_possible.then_some(header)
    }

    /// Over everything but the magic and the checksum itself.
    fn checksum(bytes: &[u8; LOCAL_HEADER_BYTES]) -> u32 {
        let (_, rest) = bytes.split_at(8);
        crc32c::crc32c(rest)
    }
}

/// The content of a segment's first record: everything that the records before it would tell, so
/// that those before the segment can be trimmed; and where the log ended, so that nothing beyond
/// that end can come alive again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seal {
    /// The end of the log before this segment.
    pub previous_end: Lsn,
    /// The last append before this segment.
    pub appended: LogPos,
    /// The last batch before this segment.
    pub base: Base,
}

impl Seal {
    pub(super) fn encode(&self) -> [u8; SEAL_BYTES] {
        let mut bytes = [0; SEAL_BYTES];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, &self.previous_end.0.to_le_bytes());
        put(&mut rest, &self.appended.0.to_le_bytes());
        put(&mut rest, &encode_base(&self.base));
        bytes
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let previous_end = Lsn(u64::from_le_bytes(take(rest)?));
        let appended = LogPos(u64::from_le_bytes(take(rest)?));
        let base = decode_base(&take(rest)?);
        // Whoever goes on counts from here: no number that ever occurs is near the end.
        let is_possible = appended.0 < u64::MAX / 2 && base.slot.0 < u64::MAX / 2;
        is_possible.then_some(Self { previous_end, appended, base })
    }
}

/// The content of the record that the log goes on behind a snapshot that was received.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Install {
    /// The log up to the snapshot.
    pub base: Base,
    /// The end of the log from here on: `base`, unless the log had that batch, and more behind it.
    pub last: Base,
}

impl Install {
    pub(super) fn encode(&self) -> [u8; INSTALL_BYTES] {
        let mut bytes = [0; INSTALL_BYTES];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, &encode_base(&self.base));
        put(&mut rest, &encode_base(&self.last));
        bytes
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let base = decode_base(&take(rest)?);
        let last = decode_base(&take(rest)?);
        let is_kept = base.slot < last.slot && last.slot.0 < u64::MAX / 2;
        let is_possible = Slot(0) < base.slot && base.slot.0 < u64::MAX / 2;
        (is_possible && (is_kept || base == last)).then_some(Self { base, last })
    }
}

/// The end of a log as bytes: in seals, records of snapshots, superblocks and snapshots.
#[must_use]
pub(super) fn encode_base(base: &Base) -> [u8; BASE_BYTES] {
    let mut bytes = [0; BASE_BYTES];
    let mut rest = bytes.as_mut_slice();
    put(&mut rest, &base.slot.0.to_le_bytes());
    put(&mut rest, &base.origin.round.to_le_bytes());
    put(&mut rest, &base.origin.replica.0.to_le_bytes());
    put(&mut rest, &[0; 2]);
    put(&mut rest, &base.epoch.0.to_le_bytes());
    put(&mut rest, &base.hash.to_le_bytes());
    put(&mut rest, &base.last_zxid.0.to_le_bytes());
    put(&mut rest, &base.time.0.to_le_bytes());
    bytes
}

pub(super) fn decode_base(bytes: &[u8; BASE_BYTES]) -> Base {
    let mut rest = bytes.as_slice();
    let mut decode = || {
        let slot = Slot(u64::from_le_bytes(take(&mut rest)?));
        let round = u64::from_le_bytes(take(&mut rest)?);
        let replica = ReplicaId(u16::from_le_bytes(take(&mut rest)?));
        take::<2>(&mut rest)?;
        Some(Base {
            slot,
            origin: Ballot { round, replica },
            epoch: Epoch(u32::from_le_bytes(take(&mut rest)?)),
            hash: u128::from_le_bytes(take(&mut rest)?),
            last_zxid: Zxid(i64::from_le_bytes(take(&mut rest)?)),
            time: WallTime(i64::from_le_bytes(take(&mut rest)?)),
        })
    };
    decode().expect("a base has fewer bytes than its array")
}

/// How many blocks a record with so much content takes.
#[must_use]
pub fn block_count(content_bytes: usize) -> u32 {
    let further = content_bytes.saturating_sub(FIRST_DATA_BYTES).div_ceil(DATA_BYTES);
    u32::try_from(1 + further).expect("a record is below BATCH_BYTES_MAX and a header")
}

impl Append {
    /// How many blocks its record takes.
    #[must_use]
    pub fn block_count(&self) -> u32 {
        match &self.kind {
            AppendKind::Batch { batch, .. } => {
                block_count(BATCH_HEADER_BYTES + batch.payload.len())
            }
            AppendKind::Promise { .. }
            | AppendKind::Snapshot { .. }
            | AppendKind::Install { .. } => 1,
        }
    }
}
