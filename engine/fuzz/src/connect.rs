//! A stranger's first bytes: a frame or a four-letter word, then the handshake.

use ringkeeper_engine::{
    limits::{FRAME_BYTES_MAX_DEFAULT, PASSWORD_BYTES},
    protocol::{
        connect::{ConnectRequest, ConnectResponse},
        four_letter::Word,
        frame,
    },
};

/// Takes the bytes as a connection's first, and as a handshake without its frame.
pub fn run(data: &[u8]) {
    if let Some(first) = data.first_chunk() {
        let is_refused = frame::next(data, FRAME_BYTES_MAX_DEFAULT).is_err();
        assert!(Word::from_bytes(*first).is_none() || is_refused, "a word is no frame");
    }
    if let Ok(Some(frame)) = frame::next(data, FRAME_BYTES_MAX_DEFAULT) {
        assert!(frame.payload.len() + frame::LENGTH_BYTES == frame.consumed_bytes);
        answer(frame.payload);
    }
    answer(data);
}

fn answer(payload: &[u8]) {
    let Ok(request) = ConnectRequest::decode(payload) else {
        return;
    };
    let password_bytes = request.password.map_or(0, <[u8]>::len);
    let record_bytes = 28 + password_bytes + usize::from(request.read_only.is_some());
    assert!(record_bytes <= payload.len(), "no field comes from nowhere");
    let mut out = Vec::new();
    ConnectResponse::expired(&request).encode(&mut out);
    let response_bytes = 20 + PASSWORD_BYTES + usize::from(request.read_only.is_some());
    assert!(out.len() == frame::LENGTH_BYTES + response_bytes);
}
