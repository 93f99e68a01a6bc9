//! The sessions' timers: who has not been heard of for its timeout.
//!
//! A session expires at the end of the bucket in which its timeout ends; buckets are one tick long,
//! as in ZooKeeper, so a session lives up to about a tick longer than it asked for, never shorter.
//!
//! Time here is not the clock's. Whoever hears of sessions reports it, and says until when it has
//! listened: time passes for sessions up to where everybody has. It stands still while a reporter
//! is silent, and of a long silence (a paused machine, a stopped process) it takes a short part
//! only: what the clients said meanwhile may not have been listened to yet. Either way every
//! session is extended.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use crate::ids::{Instant, SessionId};

/// Most sessions that one step looks at: more would keep the core from its commits.
const LOOKED_AT_MAX: usize = 4096;

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
    /// Most time that passes for sessions in one step, whatever the reports say.
    step_ms_max: u64,
    /// Until when everybody has listened.
    heard_until: Instant,
    /// Time as it passes for sessions.
    passed_ns: u64,
    timers: BTreeMap<SessionId, Timer>,
    /// By the bucket's end.
    buckets: BTreeMap<u64, VecDeque<SessionId>>,
}

impl Expiry {
    /// No session yet. Reports are expected every `report_ms`.
    #[must_use]
    pub fn new(tick_ms: u64, report_ms: u64, now: Instant) -> Self {
        assert!(tick_ms > 0 && report_ms > 0, "a bucket has a length, and time passes");
        Self {
            tick_ms,
            step_ms_max: 2 * report_ms,
            heard_until: now,
            passed_ns: 0,
            timers: BTreeMap::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// Starts a session's timer with its full timeout, or starts it anew with another one.
    pub fn register(&mut self, session: SessionId, timeout_ms: i32) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let expires_ms = self.bucket_end(timeout_ms);
        let timer = Timer { timeout_ms, expires_ms, listed_ms: expires_ms };
        let before = self.timers.insert(session, timer);
        if before.is_none_or(|before| before.listed_ms != expires_ms) {
            self.buckets.entry(expires_ms).or_default().push_back(session);
        }
    }

    /// Was heard of.
    pub fn touch(&mut self, session: SessionId) {
        let Some(timeout_ms) = self.timers.get(&session).map(|timer| timer.timeout_ms) else {
            return;
        };
        let expires_ms = self.bucket_end(timeout_ms);
        if let Some(timer) = self.timers.get_mut(&session) {
            assert!(timer.expires_ms <= expires_ms, "time does not go back");
            timer.expires_ms = expires_ms;
        }
    }

    /// Is closed.
    pub fn remove(&mut self, session: SessionId) {
        self.timers.remove(&session);
    }

    /// Everybody has listened until `heard_until` at least. To be called before what was heard is
    /// reported by [`Self::touch`]. `does_count`: whether time passes for sessions at all.
    pub fn pass(&mut self, heard_until: Instant, does_count: bool) {
        let passed_ns = heard_until.0.saturating_sub(self.heard_until.0);
        if does_count {
            self.passed_ns += passed_ns.min(self.step_ms_max * NANOS_PER_MS);
        }
        self.heard_until = heard_until.max(self.heard_until);
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

    /// The end of the bucket in which something ends that takes `timeout_ms` from now on.
    fn bucket_end(&self, timeout_ms: u64) -> u64 {
        // Whoever reports it may be ahead of the others, and time can still catch up with it: by
        // one step at most, which is therefore granted on top.
        let end_ms = self.passed_ms() + timeout_ms + self.step_ms_max;
        (end_ms / self.tick_ms + 1) * self.tick_ms
    }
}
