//! State as bytes and back, in chunks, so that a writer can do other things in between.

use alloc::vec::Vec;

use super::{State, command::DecodeError};

/// Most bytes of a chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Writes one State. The State must not be changed before the last chunk.
#[derive(Debug)]
pub struct Writer(());

impl Writer {
    /// Starts a snapshot of `state`.
    #[must_use]
    pub fn new(state: &State) -> Self {
        let _ = state;
        unimplemented!()
    }

    /// Appends the next chunk to `out`: `CHUNK_BYTES_MAX` bytes, fewer in the last one. False, and
    /// nothing is appended, when there is none left.
    #[must_use]
    pub fn next_chunk(&mut self, state: &State, out: &mut Vec<u8>) -> bool {
        let _ = (state, out);
        unimplemented!()
    }
}

/// Builds a State from the bytes of a snapshot, in pieces of any length.
#[derive(Debug)]
pub struct Loader(());

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl Loader {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        unimplemented!()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// When they cannot be part of a snapshot.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let _ = bytes;
        unimplemented!()
    }

    /// The State, once all bytes have been pushed.
    ///
    /// # Errors
    ///
    /// When bytes are missing, or a checksum or the digest says that they are not what was written.
    pub fn finish(self) -> Result<State, DecodeError> {
        unimplemented!()
    }
}
