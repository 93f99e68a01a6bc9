//! The frame around a snapshot: a header block, chunks with checksums, and a trailer block that
//! says what it is of and covers all of it. Everything starts at a multiple of a block.

use alloc::sync::Arc;

use crate::batch::{put, take};

use super::{
    Base,
    block::{BLOCK_BYTES, Block},
    record::{decode_base, encode_base},
    standalone::{self, BlockError, Owner},
};

/// Most bytes of a chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Length of what stands before a chunk's bytes.
const CHUNK_HEADER_BYTES: usize = 16;

/// Most bytes of a chunk with its header, in whole blocks.
pub const FRAME_BYTES_MAX: usize =
    (CHUNK_HEADER_BYTES + CHUNK_BYTES_MAX).next_multiple_of(BLOCK_BYTES);

/// Most bytes of a configuration, which the last block has room for.
pub const CONFIG_BYTES_MAX: usize = 3072;

/// Starts every snapshot.
const HEADER_MAGIC: [u8; 8] = *b"RKsnapsh";
/// Starts the last block of every snapshot.
const TRAILER_MAGIC: [u8; 8] = *b"RKsnpend";
/// Starts every chunk.
const CHUNK_MAGIC: u32 = u32::from_le_bytes(*b"RKc1");

/// What a snapshot is of, and how large.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SnapshotMeta {
    /// The log up to the snapshot.
    pub base: Base,
    /// Znodes in it.
    pub znode_count: u64,
    /// Sessions in it.
    pub session_count: u64,
    /// Whether another replica sent it: it counts only if the log goes on behind it
    /// (`AppendKind::Install`), or leads to it as it is.
    pub is_received: bool,
    /// The encoded configuration of the cluster as of `base`, of `CONFIG_BYTES_MAX` bytes at most;
    /// empty: none was decided.
    pub config: Arc<[u8]>,
}

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SnapshotDamage {
    /// The first block.
    #[error("its header: {0}")]
    Header(BlockError),
    /// The last block.
    #[error("its trailer: {0}")]
    Trailer(BlockError),
    /// A chunk is damaged.
    #[error("chunk {number} is damaged")]
    Chunk {
        /// Which, from 0.
        number: u32,
    },
    /// The file ends inside a chunk, or has too many.
    #[error("it ends early")]
    Truncated,
    /// Every chunk is sound, and together they are not what was written.
    #[error("its chunks are not those that were written")]
    Hash,
    /// It is another cluster's.
    #[error("it belongs to another cluster or another data directory")]
    Foreign,
    /// Its name says another slot.
    #[error("it is of slot {found}, not what its name says")]
    Misnamed {
        /// The slot in it.
        found: u64,
    },
}

/// Frames a snapshot that is being written. Its results must be written one after the other.
#[derive(Clone)]
pub struct Encoder {
    hash: xxhash_rust::xxh3::Xxh3Default,
    owner: Owner,
    chunk_count: u32,
    payload_bytes: u64,
}

impl core::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "snapshot with {} chunks so far", self.chunk_count)
    }
}

impl Encoder {
    /// Starts a snapshot with the block that goes first.
    #[must_use]
    pub fn start(owner: Owner) -> (Self, Block) {
        let block = standalone::encode(HEADER_MAGIC, |rest| owner.encode(rest));
        let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
        hash.update(&block);
        (Self { hash, owner, chunk_count: 0, payload_bytes: 0 }, block)
    }

    /// Frames a chunk: fills the start of `frame`, of `FRAME_BYTES_MAX` bytes, and returns how
    /// much of it is to be written.
    pub fn chunk(&mut self, chunk: &[u8], frame: &mut [u8]) -> usize {
        assert!(!chunk.is_empty() && chunk.len() <= CHUNK_BYTES_MAX, "{} bytes", chunk.len());
        let chunk_bytes = u32::try_from(chunk.len()).expect("below CHUNK_BYTES_MAX");
        let used = (CHUNK_HEADER_BYTES + chunk.len()).next_multiple_of(BLOCK_BYTES);
        let (frame, _) = frame.split_at_mut(used);
        let mut rest = &mut *frame;
        put(&mut rest, &CHUNK_MAGIC.to_le_bytes());
        put(&mut rest, &self.chunk_count.to_le_bytes());
        put(&mut rest, &chunk_bytes.to_le_bytes());
        put(&mut rest, &checksum(self.chunk_count, chunk).to_le_bytes());
        put(&mut rest, chunk);
        rest.fill(0);
        self.hash.update(frame);
        self.chunk_count += 1;
        self.payload_bytes += u64::from(chunk_bytes);
        used
    }

    /// The block that goes last.
    #[must_use]
    pub fn finish(self, meta: &SnapshotMeta) -> Block {
        Trailer {
            owner: self.owner,
            meta: meta.clone(),
            chunk_count: self.chunk_count,
            payload_bytes: self.payload_bytes,
            hash: self.hash.digest128(),
        }
        .encode()
    }
}

/// The last block of a snapshot: what it is of, and how to know that it is whole.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trailer {
    /// Whose.
    pub owner: Owner,
    /// What it is of.
    pub meta: SnapshotMeta,
    /// How many chunks there are.
    pub chunk_count: u32,
    /// How many bytes they have together.
    pub payload_bytes: u64,
    /// xxh3-128 of every byte of the file before this block.
    pub hash: u128,
}

impl Trailer {
    /// The trailer as a block.
    #[must_use]
    pub fn encode(&self) -> Block {
        standalone::encode(TRAILER_MAGIC, |rest| {
            self.owner.encode(rest);
            put(rest, &encode_base(&self.meta.base));
            put(rest, &self.meta.znode_count.to_le_bytes());
            put(rest, &self.meta.session_count.to_le_bytes());
            put(rest, &self.payload_bytes.to_le_bytes());
            put(rest, &self.hash.to_le_bytes());
            put(rest, &self.chunk_count.to_le_bytes());
            // A byte more is reserved: keeps the fields at a multiple of their length.
            put(rest, &[u8::from(self.meta.is_received), 0]);
            let config = &self.meta.config;
            assert!(config.len() <= CONFIG_BYTES_MAX, "a configuration of {} bytes", config.len());
            let config_bytes = u16::try_from(config.len()).expect("below CONFIG_BYTES_MAX");
            put(rest, &config_bytes.to_le_bytes());
            put(rest, config);
        })
    }

    /// Reads a trailer.
    ///
    /// # Errors
    ///
    /// When the block is not one.
    pub fn decode(block: &Block) -> Result<Self, SnapshotDamage> {
        standalone::decode(block, TRAILER_MAGIC, |rest| {
            let owner = Owner::decode(rest)?;
            let base = decode_base(&take(rest)?);
            let znode_count = u64::from_le_bytes(take(rest)?);
            let session_count = u64::from_le_bytes(take(rest)?);
            let payload_bytes = u64::from_le_bytes(take(rest)?);
            let hash = u128::from_le_bytes(take(rest)?);
            let chunk_count = u32::from_le_bytes(take(rest)?);
            let [is_received, _] = take(rest)?;
            let config_bytes = usize::from(u16::from_le_bytes(take(rest)?));
            let is_possible = is_received <= 1 && config_bytes <= CONFIG_BYTES_MAX;
            let config = rest.get(..config_bytes).filter(|_| is_possible)?;
            let meta = SnapshotMeta {
                base,
                znode_count,
                session_count,
                is_received: is_received == 1,
                config: config.into(),
            };
            Some(Self { owner, meta, chunk_count, payload_bytes, hash })
        })
        .map_err(SnapshotDamage::Trailer)
    }
}

/// Checks a snapshot that is being read, against its trailer, which must be read first.
#[derive(Clone)]
pub struct Decoder {
    hash: xxhash_rust::xxh3::Xxh3Default,
    trailer: Trailer,
    chunk_count: u32,
    payload_bytes: u64,
}

impl core::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "chunk {} of {}", self.chunk_count, self.trailer.chunk_count)
    }
}

/// A chunk in a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chunk<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where they start in the buffer.
    pub start: usize,
    /// How much of the buffer its frame takes.
    pub frame_bytes: usize,
}

impl Decoder {
    /// Starts with the first block and the trailer.
    ///
    /// # Errors
    ///
    /// When the first block is not a snapshot's, or they are not of one owner.
    pub fn start(header: &Block, trailer: Trailer) -> Result<Self, SnapshotDamage> {
        let owner = standalone::decode(header, HEADER_MAGIC, Owner::decode)
            .map_err(SnapshotDamage::Header)?;
        if owner != trailer.owner {
            return Err(SnapshotDamage::Foreign);
        }
        let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
        hash.update(header);
        Ok(Self { hash, trailer, chunk_count: 0, payload_bytes: 0 })
    }

    /// Takes the next chunk from the start of `buffer`, which has the file from the end of the
    /// last frame on: `FRAME_BYTES_MAX` bytes, or fewer where the trailer begins. `None`: that was
    /// the last, and the whole is what was written.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn chunk<'a>(&mut self, buffer: &'a [u8]) -> Result<Option<Chunk<'a>>, SnapshotDamage> {
        let number = self.chunk_count;
        if number == self.trailer.chunk_count {
            let is_whole = buffer.is_empty()
                && self.payload_bytes == self.trailer.payload_bytes
                && self.hash.digest128() == self.trailer.hash;
            return if is_whole { Ok(None) } else { Err(SnapshotDamage::Hash) };
        }
        let damaged = SnapshotDamage::Chunk { number };
        let chunk = Self::frame(number, buffer).ok_or(damaged)?;
        let frame = buffer.get(..chunk.frame_bytes).ok_or(SnapshotDamage::Truncated)?;
        self.hash.update(frame);
        self.chunk_count += 1;
        self.payload_bytes += u64::try_from(chunk.bytes.len()).expect("CHUNK_BYTES_MAX");
        Ok(Some(chunk))
    }

    fn frame(number: u32, buffer: &[u8]) -> Option<Chunk<'_>> {
        let mut rest = buffer;
        let magic = u32::from_le_bytes(take(&mut rest)?);
        let found_number = u32::from_le_bytes(take(&mut rest)?);
        let chunk_bytes = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
        let expected = u32::from_le_bytes(take(&mut rest)?);
        let bytes = rest.get(..chunk_bytes)?;
        let is_sound =
            magic == CHUNK_MAGIC && found_number == number && checksum(number, bytes) == expected;
        let frame_bytes = (CHUNK_HEADER_BYTES + chunk_bytes).next_multiple_of(BLOCK_BYTES);
        is_sound.then_some(Chunk { bytes, start: CHUNK_HEADER_BYTES, frame_bytes })
    }
}

/// Covers the number and the length too.
fn checksum(number: u32, chunk: &[u8]) -> u32 {
    let chunk_bytes = u32::try_from(chunk.len()).expect("below CHUNK_BYTES_MAX");
    let sum = crc32c::crc32c(&number.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &chunk_bytes.to_le_bytes());
    crc32c::crc32c_append(sum, chunk)
}
