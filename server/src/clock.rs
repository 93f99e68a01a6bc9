//! The two clocks, read here and nowhere else: the engine gets readings as data.

use std::time::{SystemTime, UNIX_EPOCH};

use ringkeeper_engine::ids::{Instant, WallTime};

/// The monotonic clock, in nanoseconds since the first reading of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// Starts at zero now. Clones share the start, so that readings of all cores compare.
    pub(crate) fn start() -> Self {
        Self { start: std::time::Instant::now() }
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant(u64::try_from(nanos).expect("a process runs less than 584 years"))
    }

    /// Milliseconds since the start.
    pub(crate) fn uptime_ms(&self) -> u64 {
        self.now().0 / 1_000_000
    }
}

/// The wall clock, in milliseconds since 1970.
pub(crate) fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
