//! The watchdog: a thread that ends the process when a core makes no progress.
//!
//! A server with one dead core and live siblings is worse than a stopped one: its clients keep
//! their sockets and get no answers. An executor can also, rarely, park while tasks are runnable;
//! the tick that every core takes repairs that, and this thread is the proof that it does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::fatal::{FatalReason, fatal};

/// How often every core shows that it lives.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks without progress after which the process ends. Looks, not time: a process that was
/// stopped as a whole (a paused virtual machine) finds its cores and its watchdog equally late.
const LOOKS_MAX: u32 = 10;

/// Looks without progress after which a line is traced.
const LOOKS_WARN: u32 = 3;

/// A core's sign of life.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    name: String,
    ticks: Arc<AtomicU64>,
}

impl Pulse {
    /// For the core called `name`.
    pub(crate) fn new(name: String) -> Self {
        Self { name, ticks: Arc::default() }
    }

    /// Shows that the core lives, now and every [`TICK`] from now on. Never returns.
    pub(crate) async fn beat(self) {
        loop {
            self.ticks.fetch_add(1, Ordering::Relaxed);
            glommio::timer::sleep(TICK).await;
        }
    }
}

/// Starts the watchdog over `pulses`. It ends with the process.
pub(crate) fn start(pulses: Vec<Pulse>) -> std::io::Result<()> {
    thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&pulses)).map(drop)
}

fn watch(pulses: &[Pulse]) {
    let mut seen: Vec<(u64, u32)> = vec![(0, 0); pulses.len()];
    loop {
        let before = Instant::now();
        thread::sleep(LOOK_EVERY);
        // This thread itself did not run: the others had no chance either.
        let was_away = before.elapsed() > LOOK_EVERY * 2;
        for (pulse, (ticks, looks)) in pulses.iter().zip(&mut seen) {
            let now = pulse.ticks.load(Ordering::Relaxed);
            *looks = if now != *ticks || was_away { 0 } else { *looks + 1 };
            *ticks = now;
            if *looks == LOOKS_WARN {
                tracing::warn!(core = pulse.name, seconds = LOOKS_WARN, "core makes no progress");
            }
            if *looks == LOOKS_MAX {
                fatal(FatalReason::Stalled, &pulse.name);
            }
        }
    }
}
