//! Snapshots as files: whole in memory, because a simulated State is small.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    batch::Base,
    state::{State, snapshot},
    storage::{
        block::{BLOCK_BYTES, Block},
        snapshot_file::{Decoder, Encoder, FRAME_BYTES_MAX, SnapshotDamage, SnapshotMeta, Trailer},
        standalone::Owner,
    },
};

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SnapshotError {
    /// The file is not what was written.
    Damage(SnapshotDamage),
    /// Its content is no State.
    Content,
}

/// Where the log stood when `state` was what it is.
#[must_use]
pub fn base_of(state: &State) -> Base {
    let applied = state.applied();
    Base {
        slot: applied.slot,
        origin: applied.origin,
        hash: applied.hash,
        epoch: applied.epoch,
        last_zxid: applied.last_zxid,
        time: applied.time,
    }
}

/// The bytes of a State.
#[must_use]
pub fn state_bytes(state: &State) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = snapshot::Writer::new(state);
    while writer.next_chunk(state, &mut bytes) {}
    bytes
}

/// What a snapshot's trailer says of `state` and the encoded configuration as of it.
#[must_use]
pub fn meta_of(state: &State, config: Arc<[u8]>, is_received: bool) -> SnapshotMeta {
    SnapshotMeta {
        is_received,
        config,
        base: base_of(state),
        znode_count: u64::try_from(state.znode_count()).expect("64 bits"),
        session_count: u64::try_from(state.session_count()).expect("64 bits"),
    }
}

/// The whole file of a snapshot with this content.
#[must_use]
pub fn encode(owner: Owner, meta: &SnapshotMeta, content: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let (mut encoder, header) = Encoder::start(owner);
    let mut file = header.to_vec();
    for chunk in content.chunks(chunk_bytes) {
        let start = file.len();
        file.resize(start + chunk.len() + 2 * BLOCK_BYTES, 0);
        let used = encoder.chunk(chunk, &mut file[start..]);
        file.truncate(start + used);
    }
    file.extend(encoder.finish(meta));
    file
}

/// What a snapshot's file says and has: its trailer, and the bytes of each chunk.
///
/// # Errors
///
/// When it is not what was written.
pub fn decode(file: &[u8]) -> Result<(Trailer, Vec<Vec<u8>>), SnapshotDamage> {
    let (blocks, rest) = file.as_chunks::<BLOCK_BYTES>();
    let ([header, .., trailer], []) = (blocks, rest) else {
        return Err(SnapshotDamage::Truncated);
    };
    let trailer: Trailer = Trailer::decode(trailer)?;
    let header: &Block = header;
    let mut decoder = Decoder::start(header, trailer.clone())?;
    let mut chunks = Vec::new();
    let mut rest = &file[BLOCK_BYTES..file.len() - BLOCK_BYTES];
    loop {
        let buffer = &rest[..rest.len().min(FRAME_BYTES_MAX)];
        let Some(chunk) = decoder.chunk(buffer)? else { return Ok((trailer, chunks)) };
        chunks.push(chunk.bytes.to_vec());
        rest = &rest[chunk.frame_bytes..];
    }
}

/// Builds a State from its chunks.
///
/// # Errors
///
/// When they are not those of one.
pub fn state_of<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<State, SnapshotError> {
    let mut loader = snapshot::Loader::new();
    for chunk in chunks {
        loader.push(chunk).map_err(|_| SnapshotError::Content)?;
    }
    loader.finish().map_err(|_| SnapshotError::Content)
}

/// Builds the State of a snapshot's file.
///
/// # Errors
///
/// When it is not what was written.
pub fn load(file: &[u8]) -> Result<(Trailer, State), SnapshotError> {
    let (trailer, chunks) = decode(file).map_err(SnapshotError::Damage)?;
    let state = state_of(chunks.iter().map(Vec::as_slice))?;
    Ok((trailer, state))
}
