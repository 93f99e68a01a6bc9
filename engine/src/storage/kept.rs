//! Which snapshots and segments a directory keeps. Whoever has the files carries it out.

use alloc::{collections::VecDeque, vec::Vec};

use super::recovery::{Outcome, SegmentSummary};
use crate::ids::Slot;

/// Snapshots that a directory keeps, oldest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeptSnapshots {
    slots: Vec<Slot>,
}

/// What a new snapshot makes superfluous.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Superfluous {
    /// Older snapshots.
    pub snapshots: Vec<Slot>,
    /// The log up to here.
    pub log: Option<Slot>,
}

impl KeptSnapshots {
    /// Those that a start found, oldest first.
    #[must_use]
    pub fn new(slots: Vec<Slot>) -> Self {
        Self { slots }
    }

    /// They, oldest first.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// A snapshot was written or received: keeps `count` of them, and the log from the oldest of
    /// these on, if there are so many. `None`: there is a newer one, which was received while this
    /// one was written, so this one is superfluous itself.
    #[must_use]
    pub fn add(&mut self, slot: Slot, count: usize) -> Option<Superfluous> {
        if self.slots.last().is_some_and(|newest| slot < *newest) {
            return None;
        }
        self.slots.retain(|kept| *kept != slot);
        self.slots.push(slot);
        let old = self.slots.len().saturating_sub(count);
        let snapshots = self.slots.drain(..old).collect();
        let log = self.slots.first().filter(|_| self.slots.len() == count).copied();
        Some(Superfluous { snapshots, log })
    }
}

/// A segment in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UsedSegment {
    /// Which.
    pub number: u32,
    /// The last slot before it.
    pub start: Slot,
}

/// The segments that recovery found in use, and the one that the log has entered since.
#[must_use]
pub fn used_segments(outcome: &Outcome, entered: UsedSegment) -> VecDeque<UsedSegment> {
    let used = |segment: &SegmentSummary| {
        let seal = segment.seal?;
        Some(UsedSegment { number: segment.number, start: seal.base.slot })
    };
    outcome.segments.iter().filter_map(used).chain([entered]).collect()
}

/// The oldest of the segments in use, if the log up to `slot` is superfluous and it holds nothing
/// else. One after the other, so that a crash in between leaves no gap.
#[must_use]
pub fn superfluous_segment(used: &VecDeque<UsedSegment>, slot: Slot) -> Option<u32> {
    let next = used.get(1)?;
    used.front().filter(|_| next.start <= slot).map(|first| first.number)
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use super::*;

    fn slots(kept: &KeptSnapshots) -> Vec<u64> {
        kept.slots().iter().map(|slot| slot.0).collect()
    }

    #[test]
    fn two_snapshots_are_kept_and_the_log_from_the_older_one_on() {
        let mut kept = KeptSnapshots::default();
        let first = Superfluous { snapshots: vec![], log: None };
        assert_eq!(kept.add(Slot(5), 2), Some(first), "one alone may rot");
        let second = Superfluous { snapshots: vec![], log: Some(Slot(5)) };
        assert_eq!(kept.add(Slot(9), 2), Some(second));
        let third = Superfluous { snapshots: vec![Slot(5)], log: Some(Slot(9)) };
        assert_eq!(kept.add(Slot(12), 2), Some(third));
        assert_eq!(slots(&kept), [9, 12]);
    }

    #[test]
    fn one_that_everything_depends_on_is_kept_alone() {
        let mut kept = KeptSnapshots::new(vec![Slot(5), Slot(9)]);
        let only = Superfluous { snapshots: vec![Slot(5), Slot(9)], log: Some(Slot(20)) };
        assert_eq!(kept.add(Slot(20), 1), Some(only));
        assert_eq!(kept.add(Slot(12), 2), None, "it was overtaken");
        assert_eq!(slots(&kept), [20]);
    }

    #[test]
    fn the_segment_in_use_stays() {
        let used = |number, start| UsedSegment { number, start: Slot(start) };
        let both = VecDeque::from([used(1, 0), used(2, 7)]);
        assert_eq!(superfluous_segment(&both, Slot(6)), None);
        assert_eq!(superfluous_segment(&both, Slot(7)), Some(1));
        assert_eq!(superfluous_segment(&VecDeque::from([used(2, 7)]), Slot(99)), None);
    }
}
