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

/// How often a core that works shows that it lives.
const TICK: Duration = Duration::from_millis(10);

/// How often a core without work does: a hundred timers a second would be all it does.
const IDLE_TICK: Duration = Duration::from_millis(100);

/// Ticks without other work after which a core counts as idle.
const IDLE_AFTER: u32 = 100;

/// Tasks that run in a tick's time on an idle core: the tick's own, and another timer's.
const IDLE_TASKS: u64 = 3;

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

    /// Shows that the core lives, from now on and at regular times. Never returns.
    pub(crate) async fn beat(self) {
        let mut idle_ticks = 0;
        loop {
            self.ticks.fetch_add(1, Ordering::Relaxed);
            // Counts from the call before.
            let tasks = glommio::executor().executor_stats().tasks_executed();
            idle_ticks = if tasks <= IDLE_TASKS { idle_ticks + 1 } else { 0 };
            let pause = if idle_ticks < IDLE_AFTER { TICK } else { IDLE_TICK };
            glommio::timer::sleep(pause).await;
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
