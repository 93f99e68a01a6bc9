//! Places in the log.

use core::fmt;

/// A place in the log: which segment, and which block of it. Totally ordered along the log; a
/// record's place is part of its header, so a record can be valid at one place only.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before everything: segments count from 1.
    pub const ZERO: Self = Self(0);

    /// Block `block` of segment `segment`.
    #[must_use]
    pub fn new(segment: u32, block: u32) -> Self {
        Self((u64::from(segment) << 32) | u64::from(block))
    }

    /// Which segment.
    #[must_use]
    pub fn segment(self) -> u32 {
        u32::try_from(self.0 >> 32).expect("32 bits")
    }

    /// Which block of the segment; 0 is its header.
    #[must_use]
    pub fn block(self) -> u32 {
        u32::try_from(self.0 & 0xffff_ffff).expect("32 bits")
    }

    /// The place `blocks` further on in the same segment.
    #[must_use]
    pub fn plus(self, blocks: u32) -> Self {
        let block = self.block().checked_add(blocks).expect("a segment has less than 2^32 blocks");
        Self::new(self.segment(), block)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment(), self.block())
    }
}
