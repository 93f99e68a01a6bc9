//! Length-prefixed frames: where one message ends and the next begins.

use alloc::vec::Vec;

use super::jute::put_int;

/// Bytes of a frame's length.
pub const LENGTH_BYTES: usize = 4;

/// A frame that its connection cannot survive: closed without a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// Its length is negative or above the limit (`jute.maxbuffer`).
    #[error("frame length {0} is not allowed")]
    Length(i32),
}

/// The first whole frame of some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// What the length counts.
    pub payload: &'a [u8],
    /// Payload and length: how many bytes to drop from the front before the next frame.
    pub consumed_bytes: usize,
}

/// The first frame of `bytes`, or `None` if it is not all there. A length that is not allowed is
/// seen as soon as it is there, before anybody makes room for it.
///
/// # Errors
///
/// The length is negative or above `payload_bytes_max`, which itself is allowed.
pub fn next(bytes: &[u8], payload_bytes_max: usize) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let payload_bytes = payload_bytes(*length, payload_bytes_max)?;
    let frame = rest.get(..payload_bytes).map(|payload| Frame {
        payload,
        consumed_bytes: LENGTH_BYTES.saturating_add(payload_bytes),
    });
    Ok(frame)
}

/// What a frame's first bytes say about its length.
///
/// # Errors
///
/// The length is negative or above `payload_bytes_max`.
pub fn payload_bytes(
    length: [u8; LENGTH_BYTES],
    payload_bytes_max: usize,
) -> Result<usize, FrameError> {
    let length = i32::from_be_bytes(length);
    match usize::try_from(length) {
        Ok(payload_bytes) if payload_bytes <= payload_bytes_max => Ok(payload_bytes),
        _ => Err(FrameError::Length(length)),
    }
}

/// Starts a frame at the end of `out`; [`finish`] fills its length in.
#[must_use]
pub(super) fn start(out: &mut Vec<u8>) -> Start {
    let start = Start(out.len());
    put_int(out, 0);
    start
}

/// Ends the frame that starts at `start`. Returns false and takes it back if it is longer than a
/// frame can be.
#[must_use]
pub(super) fn finish(out: &mut Vec<u8>, start: Start) -> bool {
    let payload_bytes = out.len().saturating_sub(start.0.saturating_add(LENGTH_BYTES));
    let length = i32::try_from(payload_bytes).ok();
    let place = out.get_mut(start.0..).and_then(<[u8]>::first_chunk_mut);
    let (Some(length), Some(place)) = (length, place) else {
        out.truncate(start.0);
        return false;
    };
    *place = length.to_be_bytes();
    true
}

/// Where a frame starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start(usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_it_is_all_there() {
        assert_eq!(next(&[], 10), Ok(None));
        assert_eq!(next(&[0, 0, 0], 10), Ok(None));
        assert_eq!(next(&[0, 0, 0, 2, 7], 10), Ok(None));
        let frame = Frame { payload: &[7, 8], consumed_bytes: 6 };
        assert_eq!(next(&[0, 0, 0, 2, 7, 8, 9], 10), Ok(Some(frame)));
        let empty = Frame { payload: &[], consumed_bytes: 4 };
        assert_eq!(next(&[0, 0, 0, 0], 10), Ok(Some(empty)));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_its_bytes_come() {
        assert_eq!(next(&[0, 0, 0, 10], 10), Ok(None));
        assert_eq!(next(&[0, 0, 0, 11], 10), Err(FrameError::Length(11)));
        assert_eq!(next(&[0xff, 0xff, 0xff, 0xff], usize::MAX), Err(FrameError::Length(-1)));
    }
}
