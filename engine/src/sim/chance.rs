//! Chance: numbers that look random and follow from the seed alone.

/// A source of numbers (splitmix64). Two with the same seed give the same ones.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Chance {
    state: u64,
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chance {
    /// The numbers of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: mix(seed ^ STEP) }
    }

    /// Another source, for one purpose: what is drawn from it changes nothing elsewhere, so that a
    /// change of one part of the simulator leaves the others' choices alone.
    #[must_use]
    pub fn purpose(&self, purpose: &str, number: u64) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(purpose.as_bytes(), self.state);
        Self::new(hash ^ mix(number))
    }

    /// Another source that goes its own way from here on.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.draw())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// 128 bits.
    pub fn draw_u128(&mut self) -> u128 {
        (u128::from(self.draw()) << 64) | u128::from(self.draw())
    }

    /// A number below `end`, which is not 0.
    pub fn up_to(&mut self, end: u64) -> u64 {
        assert!(0 < end, "there is no number below 0");
        self.draw() % end
    }

    /// An index below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("64 bits");
        usize::try_from(self.up_to(end)).expect("below a usize")
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.up_to(high - low + 1)
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// True in `percent` of a hundred times.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.up_to(100) < percent
    }

    /// One of `choices`, which is not empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// About `mean`, mostly less, now and then several times as much (exponential).
    pub fn about(&mut self, mean: u64) -> u64 {
        // The number of leading zeros is geometric: halves of the mean, and a remainder.
        let halvings = u64::from((self.draw() | 1).leading_zeros());
        let unit = (mean * 69 / 100).max(1);
        halvings * unit + self.up_to(unit)
    }

    /// Puts `items` in any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_and_forks_do_not_disturb() {
        let mut one = Chance::new(7);
        let mut other = Chance::new(7);
        let mut fork = other.purpose("disk", 1);
        fork.draw();
        assert_eq!(one.draw(), other.draw());
        assert_ne!(one.purpose("disk", 1).draw(), one.purpose("disk", 2).draw());
        assert_ne!(Chance::new(7).draw(), Chance::new(8).draw());
    }

    #[test]
    fn about_is_about_its_mean() {
        let mut chance = Chance::new(1);
        let sum: u64 = (0..10_000).map(|_| chance.about(1000)).sum();
        assert!((900..1150).contains(&(sum / 10_000)), "{sum}");
    }
}
