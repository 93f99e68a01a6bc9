//! The connection throttle: who may ask for a session now.
//!
//! Tokens in a bucket: a session takes some, time brings them back. On top of that, optionally,
//! chance: as long as the bucket is found empty, the probability of being dropped grows, so that
//! clients that all come back at once do not decide by their arrival who is served.

use std::sync::{Arc, Mutex};

use crate::config::ConnectionThrottle as Settings;

/// The throttle of a whole server. A client could tell a bucket per shard from one for all, since
/// the kernel decides on which shard a connection lands. Behind a lock, as `Admission`: it is taken
/// once in a connection's life, and not at all where there is no throttle.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionThrottle {
    settings: Settings,
    bucket: Option<Arc<Mutex<Bucket>>>,
}

impl ConnectionThrottle {
    /// With a full bucket.
    pub(crate) fn new(settings: Settings, now_ms: u64) -> Self {
        let bucket = || Arc::new(Mutex::new(Bucket::new(&settings, now_ms)));
        Self { settings, bucket: (settings.tokens_max > 0).then(bucket) }
    }

    /// Lets a connection ask for a session, new or known, and says how many tokens are missing
    /// then; or refuses it. `chance` is drawn from [0, 1).
    pub(crate) fn take(
        &self,
        is_new: bool,
        now_ms: u64,
        chance: impl FnOnce() -> f64,
    ) -> Result<u64, Refused> {
        let Some(bucket) = &self.bucket else { return Ok(0) };
        let Settings { new_session, renewed_session, .. } = self.settings;
        let need = if is_new { new_session } else { renewed_session };
        let mut bucket = bucket.lock().expect("no panic under this lock");
        if bucket.take(&self.settings, need, now_ms, chance) {
            Ok(self.settings.tokens_max - bucket.tokens)
        } else {
            Err(Refused)
        }
    }

    /// The probability that the next one is dropped, whatever tokens there are.
    pub(crate) fn drop_probability(&self) -> f64 {
        let bucket = self.bucket.as_ref().map(|bucket| bucket.lock());
        bucket.map_or(0.0, |bucket| bucket.expect("no panic under this lock").drop_probability)
    }
}

/// There are no tokens, or it was chance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused;

#[derive(Debug)]
struct Bucket {
    tokens: u64,
    filled_at_ms: u64,
    drop_probability: f64,
    changed_at_ms: u64,
}

impl Bucket {
    fn new(settings: &Settings, now_ms: u64) -> Self {
        Self {
            tokens: settings.tokens_max,
            filled_at_ms: now_ms,
            drop_probability: 0.0,
            changed_at_ms: now_ms,
        }
    }

    fn take(
        &mut self,
        settings: &Settings,
        need: u64,
        now_ms: u64,
        chance: impl FnOnce() -> f64,
    ) -> bool {
        let passed_ms = now_ms.saturating_sub(self.filled_at_ms);
        if passed_ms > settings.fill_time_ms {
            let back = passed_ms.saturating_mul(settings.fill_count) / settings.fill_time_ms;
            self.tokens = self.tokens.saturating_add(back).min(settings.tokens_max);
            self.filled_at_ms = now_ms;
        }
        if let Some(freeze_time_ms) = settings.freeze_time_ms {
            self.adapt(settings, freeze_time_ms, now_ms);
            if chance() < self.drop_probability {
                return false;
            }
        }
        match self.tokens.checked_sub(need) {
            Some(rest) => self.tokens = rest,
            None => return false,
        }
        true
    }

    fn adapt(&mut self, settings: &Settings, freeze_time_ms: u64, now_ms: u64) {
        if now_ms.saturating_sub(self.changed_at_ms) <= freeze_time_ms {
            return;
        }
        self.changed_at_ms = now_ms;
        #[expect(clippy::cast_precision_loss, reason = "at most a product of two 32-bit numbers")]
        let (missing, all) =
            ((settings.tokens_max - self.tokens) as f64, settings.tokens_max as f64);
        if self.tokens == 0 && self.drop_probability < 1.0 {
            self.drop_probability = (self.drop_probability + settings.drop_increase).min(1.0);
        } else if missing <= (all * settings.decrease_ratio).round() {
            self.drop_probability = (self.drop_probability - settings.drop_decrease).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::{Expect, expect};

    use super::*;

    /// Each word is a moment in ms and, after a colon, how many tokens are wanted. Chance is 0.5.
    fn check(settings: &Settings, script: &str, expected: &Expect) {
        let mut bucket = Bucket::new(settings, 0);
        let mut out = String::new();
        for word in script.split_whitespace() {
            let (now_ms, need) = word.split_once(':').expect("moment:tokens");
            let (now_ms, need) = (now_ms.parse().expect("ms"), need.parse().expect("tokens"));
            let is_in = bucket.take(settings, need, now_ms, || 0.5);
            let Bucket { tokens, drop_probability, .. } = bucket;
            writeln!(out, "{word} {is_in}, {tokens} left, drops {drop_probability}")
                .expect("a String takes everything");
        }
        expected.assert_eq(&out);
    }

    #[test]
    fn tokens_are_taken_and_come_back() {
        let settings =
            Settings { tokens_max: 3, fill_time_ms: 100, fill_count: 2, ..Settings::default() };
        check(
            &settings,
            "0:2 50:2 100:2 101:2 151:1 400:3",
            &expect![[r#"
                0:2 true, 1 left, drops 0
                50:2 false, 1 left, drops 0
                100:2 false, 1 left, drops 0
                101:2 true, 1 left, drops 0
                151:1 true, 0 left, drops 0
                400:3 true, 0 left, drops 0
            "#]],
        );
    }

    #[test]
    fn an_empty_bucket_makes_drops_likely_and_a_full_one_unlikely() {
        let settings = Settings {
            tokens_max: 1,
            fill_time_ms: 100,
            freeze_time_ms: Some(10),
            drop_increase: 0.4,
            drop_decrease: 0.5,
            ..Settings::default()
        };
        check(
            &settings,
            "0:1 10:1 20:1 40:1 60:1 200:1 220:1 400:1",
            &expect![[r#"
                0:1 true, 0 left, drops 0
                10:1 false, 0 left, drops 0
                20:1 false, 0 left, drops 0.4
                40:1 false, 0 left, drops 0.8
                60:1 false, 0 left, drops 1
                200:1 true, 0 left, drops 0.5
                220:1 false, 0 left, drops 0.9
                400:1 true, 0 left, drops 0.4
            "#]],
        );
    }
}
