//! Random numbers that a seed repeats. Not for secrets.

/// SplitMix64: one word of state, good enough to choose among cases.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another sequence, that of `lane`, from the same seed.
    #[must_use]
    pub fn fork(&mut self, lane: u64) -> Self {
        Self(self.next() ^ lane.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next 64 bits.
    #[expect(clippy::should_implement_trait, reason = "an endless sequence needs no Option")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `end`, which is not 0. The bias is below 2^-32 for every use here.
    pub fn below(&mut self, end: u64) -> u64 {
        assert!(0 < end, "nothing is below 0");
        self.next() % end
    }

    /// An index into something of `length`, which is not 0.
    pub fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("usize has at most 64 bits");
        usize::try_from(self.below(length)).expect("below a usize")
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
