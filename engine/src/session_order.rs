//! A session's reads wait for its own writes, nothing else.
//!
//! Replies of one connection go out in the order of its requests. Writes (and syncs) come back from
//! the log in the order in which they were sent; what runs at the edge (reads, pings, errors) would
//! overtake them and must wait for those that were sent before it. It knows neither what requests
//! are nor what they do; one value serves one connection.

use alloc::{collections::VecDeque, vec::Vec};

/// Requests of one session that are not answered yet, oldest first.
///
/// Takes no memory of its own while nothing waits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SessionOrder<W, R> {
    /// Invariant: empty, or the front is a write. A read at the front would have no reason to wait.
    pending: VecDeque<Pending<W, R>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Pending<W, R> {
    Write(W),
    Read(R),
}

impl<W, R> Default for SessionOrder<W, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W, R> SessionOrder<W, R> {
    /// Nothing waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: VecDeque::new() }
    }

    /// Notes a write, or a sync, that is on its way.
    pub fn push_write(&mut self, write: W) {
        self.pending.push_back(Pending::Write(write));
    }

    /// Returns the read if it may run now; keeps it otherwise.
    #[must_use]
    pub fn push_read(&mut self, read: R) -> Option<R> {
        if self.pending.is_empty() {
            return Some(read);
        }
        self.pending.push_back(Pending::Read(read));
        None
    }

    /// The session's oldest write was applied: returns what was noted for it (`None`: no write was
    /// on its way). Appends the reads that waited for it to `ready`; the caller answers the write,
    /// then runs them before it applies the next command, so they see exactly this write's state.
    pub fn applied(&mut self, ready: &mut Vec<R>) -> Option<W> {
        let Pending::Write(write) = self.pending.pop_front()? else {
            unreachable!("the front is a write");
        };
        while let Some(Pending::Read(_)) = self.pending.front() {
            let Some(Pending::Read(read)) = self.pending.pop_front() else {
                unreachable!("the front was just seen");
            };
            ready.push(read);
        }
        // A client that pipelined thousands of requests once should not keep their room forever.
        if self.pending.is_empty() && self.pending.capacity() > 64 {
            self.pending = VecDeque::new();
        }
        Some(write)
    }

    /// The write that `applied` would return: the oldest one on its way.
    #[must_use]
    pub fn oldest_write(&self) -> Option<&W> {
        match self.pending.front()? {
            Pending::Write(write) => Some(write),
            Pending::Read(_) => unreachable!("the front is a write"),
        }
    }

    /// The writes on their way, oldest first.
    pub fn writes_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.pending.iter_mut().filter_map(|pending| match pending {
            Pending::Write(write) => Some(write),
            Pending::Read(_) => None,
        })
    }

    /// Whether nothing waits: a read would run at once.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many requests are not answered yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// As [`is_idle`](Self::is_idle).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_idle()
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write, string::String};

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    /// `w1` and `r2` push a write and a read; `applied` ends the oldest write.
    fn check(script: &str, expected: &Expect) {
        let mut order = SessionOrder::new();
        let mut out = String::new();
        for line in script.split_whitespace() {
            write!(out, "{line}:").expect("a String takes everything");
            match line.split_at(1) {
                ("w", _) => order.push_write(line),
                ("r", _) => match order.push_read(line) {
                    Some(read) => write!(out, " runs {read}").expect("a String takes everything"),
                    None => out.push_str(" waits"),
                },
                _ => {
                    let mut ready = Vec::new();
                    let write = order.applied(&mut ready);
                    write!(out, " {write:?} then {ready:?}").expect("a String takes everything");
                }
            }
            out.push('\n');
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn a_read_runs_at_once_when_nothing_is_on_its_way() {
        check(
            "r1 r2",
            &expect![[r#"
                r1: runs r1
                r2: runs r2
            "#]],
        );
    }

    #[test]
    fn reads_wait_for_the_writes_before_them_only() {
        check(
            "w1 r2 r3 w4 r5 applied applied r6",
            &expect![[r#"
                w1:
                r2: waits
                r3: waits
                w4:
                r5: waits
                applied: Some("w1") then ["r2", "r3"]
                applied: Some("w4") then ["r5"]
                r6: runs r6
            "#]],
        );
    }

    #[test]
    fn applying_without_a_write_answers_nothing() {
        check(
            "applied r1",
            &expect![[r#"
                applied: None then []
                r1: runs r1
            "#]],
        );
    }

    proptest! {
        /// Whatever is pushed and applied, answers come in the order of the requests.
        #[test]
        fn answers_come_in_order(steps in prop::collection::vec(0..3u8, 0..200)) {
            let mut order = SessionOrder::new();
            let mut answered = Vec::new();
            let mut ready = Vec::new();
            for (number, step) in steps.iter().enumerate() {
                match step {
                    0 => order.push_write(number),
                    1 => answered.extend(order.push_read(number)),
                    _ => {
                        answered.extend(order.applied(&mut ready));
                        answered.append(&mut ready);
                    }
                }
                prop_assert_eq!(order.is_idle(), order.oldest_write().is_none());
            }
            prop_assert!(answered.is_sorted());
            while let Some(write) = order.applied(&mut ready) {
                answered.push(write);
                answered.append(&mut ready);
            }
            let pushed = steps.iter().enumerate().filter(|(_, step)| **step < 2);
            prop_assert!(pushed.map(|(number, _)| number).eq(answered));
        }
    }
}
