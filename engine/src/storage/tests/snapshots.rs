//! Snapshots' frames: what was written comes back, and every damage is noticed.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use super::model::OWNER;
use crate::storage::{
    Base,
    block::{BLOCK_BYTES, Block},
    snapshot_file::{
        CHUNK_BYTES_MAX, CONFIG_BYTES_MAX, Decoder, Encoder, FRAME_BYTES_MAX, SnapshotDamage,
        SnapshotMeta, Trailer,
    },
};

fn write(chunks: &[Vec<u8>]) -> Vec<u8> {
    let (mut encoder, header) = Encoder::start(OWNER);
    let mut file = header.to_vec();
    let mut frame = vec![0xee; FRAME_BYTES_MAX];
    for chunk in chunks {
        let frame_bytes = encoder.chunk(chunk, &mut frame);
        file.extend_from_slice(&frame[..frame_bytes]);
    }
    let meta = SnapshotMeta {
        base: Base::default(),
        znode_count: 3,
        session_count: 4,
        is_received: true,
        config: vec![5; CONFIG_BYTES_MAX].into(),
    };
    file.extend_from_slice(&encoder.finish(&meta));
    file
}

fn read(file: &[u8]) -> Result<Vec<Vec<u8>>, SnapshotDamage> {
    let header: &Block = file.first_chunk().ok_or(SnapshotDamage::Truncated)?;
    let trailer = Trailer::decode(file.last_chunk().ok_or(SnapshotDamage::Truncated)?)?;
    assert!(trailer.meta.is_received && *trailer.meta.config == [5; CONFIG_BYTES_MAX]);
    let mut decoder = Decoder::start(header, trailer)?;
    let frames = file.len().checked_sub(BLOCK_BYTES).and_then(|end| file.get(BLOCK_BYTES..end));
    let mut frames = frames.ok_or(SnapshotDamage::Truncated)?;
    let mut chunks = Vec::new();
    while let Some(chunk) = decoder.chunk(&frames[..frames.len().min(FRAME_BYTES_MAX)])? {
        chunks.push(chunk.bytes.to_vec());
        frames = &frames[chunk.frame_bytes..];
    }
    Ok(chunks)
}

#[test]
fn chunks_of_every_length_come_back() {
    for length in [1, 4079, 4080, 4081, CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX] {
        let chunks = vec![vec![7; length], vec![8; 1]];
        assert_eq!(read(&write(&chunks)), Ok(chunks));
    }
    assert_eq!(read(&write(&[])), Ok(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500, failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn damage_is_noticed(
        lengths in prop::collection::vec(1..20_000_usize, 1..5),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let chunks: Vec<Vec<u8>> = lengths.iter().map(|length| vec![9; *length]).collect();
        let file = write(&chunks);
        let mut flipped = file.clone();
        flipped[place.index(file.len())] ^= 1 << bit;
        prop_assert!(read(&flipped).is_err());
        prop_assert!(read(&file[..cut.index(file.len())]).is_err());
        // Blocks in the wrong order.
        let mut swapped = file.clone();
        let blocks = swapped.len() / BLOCK_BYTES;
        let (from, to) = (place.index(blocks), cut.index(blocks));
        for offset in 0..BLOCK_BYTES {
            swapped.swap(from * BLOCK_BYTES + offset, to * BLOCK_BYTES + offset);
        }
        prop_assert!(swapped == file || read(&swapped).is_err());
    }
}
