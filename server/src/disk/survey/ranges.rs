//! Slots as ranges, for people.

use std::fmt;

/// Slots in ascending order, put together where they follow one another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct SlotRanges(Vec<(u64, u64)>);

impl SlotRanges {
    /// Of ascending slots.
    pub(crate) fn of(slots: impl Iterator<Item = u64>) -> Self {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for slot in slots {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == slot => *last = slot,
                _ => ranges.push((slot, slot)),
            }
        }
        Self(ranges)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for SlotRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if 0 < index {
                write!(f, ", ")?;
            }
            if first == last { write!(f, "{first}")? } else { write!(f, "{first} to {last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_put_together() {
        let ranges = SlotRanges::of([1, 2, 3, 7, 9, 10].into_iter());
        assert_eq!(ranges.to_string(), "1 to 3, 7, 9 to 10");
        assert!(!ranges.is_empty() && SlotRanges::of([].into_iter()).is_empty());
    }
}
