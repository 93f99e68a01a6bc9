//! Frames of another replica, as whatever bytes.

use ringkeeper_engine::replica::codec::{FRAME_HEADER_BYTES, decode, encode, frame_bytes};

/// Bytes of a frame, whose length and checksum are made right: a fuzzer would not find them.
pub fn run(data: &[u8]) {
    // As it comes.
    if let Some(Ok(bytes)) = data.first_chunk().map(|start| frame_bytes(*start)) {
        assert!(FRAME_HEADER_BYTES < bytes, "a frame has a message");
    }
    drop(decode(data));
    let Ok(length) = u32::try_from(data.len()) else { return };
    let mut frame = data.to_vec();
    let Some((head, rest)) = frame.split_first_chunk_mut::<12>() else { return };
    head[..4].copy_from_slice(b"RKm1");
    head[4..8].copy_from_slice(&length.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&head[..8]), rest);
    head[8..].copy_from_slice(&sum.to_le_bytes());
    let Ok((cluster, envelope)) = decode(&frame) else { return };
    let mut again = Vec::new();
    encode(cluster, &envelope, &mut again);
    assert!(again == frame, "a message has one encoding");
}
