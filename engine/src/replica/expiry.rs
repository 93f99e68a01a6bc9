//! The sessions' timers: who has not been heard of for its timeout.
//!
//! A session expires at the end of the bucket in which its timeout ends; buckets are one tick long,
//! as in ZooKeeper, so a session lives up to about a tick longer than it asked for, never shorter.
//!
//! Whoever hears of sessions reports it, and says until when it has listened: time passes here up
//! to where everybody has. A long silence of a reporter (a paused machine, a stopped process) is
//! not held against sessions: when it ends, what clients said meanwhile may still lie unread. A
//! silence that is long beside a session's timeout gives it half a timeout from there.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::ids::{Instant, SessionId};

/// Most sessions that one step looks at: more would keep the core from its commits.
const LOOKED_AT_MAX: usize = 4096;

/// Kinds of silence by length: the longest is 12 days and more.
const SILENCES: usize = 31;

const NANOS_PER_MS: u64 = 1_000_000;

/// One session's timer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Timer {
    timeout_ms: u64,
    /// The end of the bucket in which it expires.
    expires_ms: u64,
    /// The end of the bucket that lists it. Never after `expires_ms`: a touch only moves the
    /// latter, and the session moves to its bucket when the listed one ends.
    listed_ms: u64,
}

/// All timers.
///
/// Invariant: every timer is listed in exactly the bucket that it names. A bucket may also list
/// sessions that were closed or are listed in another one by now: those entries mean nothing.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Expiry {
    tick_ms: u64,
    /// Until when everybody has listened.
    heard_until: Instant,
    /// Time as it passes for sessions.
    passed_ns: u64,
    timers: BTreeMap<SessionId, Timer>,
    /// By the bucket's end.
    buckets: BTreeMap<u64, VecDeque<SessionId>>,
    /// When the last silence of at least `1 << index` milliseconds ended.
    silence_ends_ms: [u64; SILENCES],
}

impl Expiry {
    /// No session yet.
    #[must_use]
    pub fn new(tick_ms: u64, now: Instant) -> Self {
        assert!(tick_ms > 0, "a bucket has a length");
        Self {
            tick_ms,
            heard_until: now,
            passed_ns: 0,
            timers: BTreeMap::new(),
            buckets: BTreeMap::new(),
            silence_ends_ms: [0; SILENCES],
        }
    }

    /// Starts a session's timer at `now` with its full timeout, or starts it anew with another one.
    pub fn register(&mut self, session: SessionId, timeout_ms: i32, now: Instant) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let expires_ms = bucket_end(self.at_ms(now) + timeout_ms, self.tick_ms);
        let timer = Timer { timeout_ms, expires_ms, listed_ms: expires_ms };
        let before = self.timers.insert(session, timer);
        if before.is_none_or(|before| before.listed_ms != expires_ms) {
            self.buckets.entry(expires_ms).or_default().push_back(session);
        }
    }

    /// Was heard of, at `heard`.
    pub fn touch(&mut self, session: SessionId, heard: Instant) {
        let heard_ms = self.at_ms(heard);
        let tick_ms = self.tick_ms;
        if let Some(timer) = self.timers.get_mut(&session) {
            let expires_ms = bucket_end(heard_ms + timer.timeout_ms, tick_ms);
            // Reports of different shards may come out of order.
            timer.expires_ms = expires_ms.max(timer.expires_ms);
        }
    }

    /// Is closed.
    pub fn remove(&mut self, session: SessionId) {
        self.timers.remove(&session);
    }

    /// Everybody has listened until `heard_until` at least. To be called before what was heard is
    /// reported by [`Self::touch`]. `does_count`: whether time passes for sessions at all.
    pub fn pass(&mut self, heard_until: Instant, does_count: bool) {
        let silence_ns = heard_until.0.saturating_sub(self.heard_until.0);
        self.heard_until = heard_until.max(self.heard_until);
        if !does_count {
            return;
        }
        self.passed_ns += silence_ns;
        if let Some(length) = (silence_ns / NANOS_PER_MS).checked_ilog2() {
            let passed_ms = self.passed_ms();
            for end_ms in self.silence_ends_ms.iter_mut().take(length as usize + 1) {
                *end_ms = passed_ms;
            }
        }
    }

    /// Takes off the timers that have ended, and appends their sessions to `expired`.
    pub fn take_expired(&mut self, expired: &mut Vec<SessionId>) {
        let passed_ms = self.passed_ms();
        for _ in 0..LOOKED_AT_MAX {
            let Some(mut bucket) = self.buckets.first_entry() else { return };
            let end_ms = *bucket.key();
            if end_ms > passed_ms {
                return;
            }
            match bucket.get_mut().pop_front() {
                None => {
                    bucket.remove();
                }
                Some(session) => self.look_at(session, end_ms, expired),
            }
        }
    }

    /// How many sessions have a timer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len()
    }

    /// Whether no session has a timer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }

    /// Which sessions expire in how many milliseconds, soonest first.
    #[must_use]
    pub fn buckets(&self) -> Vec<(u64, Vec<SessionId>)> {
        let mut buckets: BTreeMap<u64, Vec<SessionId>> = BTreeMap::new();
        for (session, timer) in &self.timers {
            buckets.entry(timer.expires_ms).or_default().push(*session);
        }
        let passed_ms = self.passed_ms();
        buckets.into_iter().map(|(end, ids)| (end.saturating_sub(passed_ms), ids)).collect()
    }

    /// The bucket that lists `session` has ended.
    fn look_at(&mut self, session: SessionId, end_ms: u64, expired: &mut Vec<SessionId>) {
        let Some(timer) = self.timers.get_mut(&session) else { return };
        if timer.listed_ms != end_ms {
            return;
        }
        let silence_end_ms = self.silence_ends_ms[silence_that_counts(timer.timeout_ms)];
        let earliest_ms = bucket_end(silence_end_ms + timer.timeout_ms / 2, self.tick_ms);
        timer.expires_ms = timer.expires_ms.max(earliest_ms);
        if timer.expires_ms > end_ms {
            timer.listed_ms = timer.expires_ms;
            self.buckets.entry(timer.expires_ms).or_default().push_back(session);
        } else {
            self.timers.remove(&session);
            expired.push(session);
        }
    }

    fn passed_ms(&self) -> u64 {
        self.passed_ns / NANOS_PER_MS
    }

    /// An instant as sessions count time. Whoever reports may be ahead of the others.
    fn at_ms(&self, instant: Instant) -> u64 {
        (self.passed_ns + instant.0.saturating_sub(self.heard_until.0)) / NANOS_PER_MS
    }
}

/// The end of the bucket that `ms` is in.
fn bucket_end(ms: u64, tick_ms: u64) -> u64 {
    (ms / tick_ms + 1) * tick_ms
}

/// Which silences are long beside a timeout: a quarter of it. A client that is alive speaks every
/// third of its timeout, so after a shorter one it has time left to be heard.
fn silence_that_counts(timeout_ms: u64) -> usize {
    let length = (timeout_ms / 4).max(1).next_power_of_two().ilog2();
    (length as usize).min(SILENCES - 1)
}
