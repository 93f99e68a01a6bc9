//! State as bytes and back, in chunks, so that a writer can do other things in between.
//!
//! The bytes are a function of the State alone, not of how it came about: records, each with its
//! length in front. A head; the sessions by id; the znodes, parents first, siblings in the order of
//! their creation; an end with the digest and a hash of everything before it. A znode names its
//! parent by how far up the walk went, and its ACL by a number that is defined where it first
//! occurs. What follows from the rest (indexes, counts, who owns which ephemeral) is not written.

mod loader;
mod writer;

pub use loader::Loader;
pub use writer::Writer;

/// Most bytes of a chunk.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// The first field of the head, and the version of all that follows.
const MAGIC: [u8; 8] = *b"RKState1";

/// Kinds of record. Part of the format: never reused.
mod tag {
    pub(super) const HEAD: u8 = 1;
    pub(super) const SESSION: u8 = 2;
    pub(super) const ZNODE: u8 = 3;
    pub(super) const END: u8 = 4;
}

/// Bits of a znode's marks; the lowest two are its kind.
mod mark {
    pub(super) const KIND: u8 = 0b11;
    pub(super) const PERSISTENT: u8 = 0;
    pub(super) const EPHEMERAL: u8 = 1;
    pub(super) const CONTAINER: u8 = 2;
    pub(super) const TTL: u8 = 3;
    /// It has data, if only empty.
    pub(super) const DATA: u8 = 4;
    /// Its ACL version is not 0.
    pub(super) const AVERSION: u8 = 8;
    pub(super) const ALL: u8 = KIND | DATA | AVERSION;
}

#[cfg(test)]
mod tests;
