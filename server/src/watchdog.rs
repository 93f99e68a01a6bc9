//! The watchdog: a thread that wakes a core that has fallen asleep over its work, and ends the
//! process when a core makes no progress at all.
//!
//! An executor of glommio 0.9 parks although tasks are runnable when its preempt timer fires
//! between its arming and the first look at it, as happens on a busy machine to a thread that was
//! just descheduled. If the task of the core's own tick is among the runnable ones then no timer
//! is left to end the sleep, and only something from outside can: this thread. Seen before it did
//! so: cores that slept for ten seconds under a load of ten threads on two processors.
//!
//! A server with one dead core and live siblings is worse than a stopped one: its clients keep
//! their sockets and get no answers. So after ten seconds without a sign of life the process ends.

use std::{
    future::poll_fn,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use crate::fatal::{FatalReason, fatal};

/// How often a core that works shows that it lives, and how often the watchdog looks at it.
const TICK: Duration = Duration::from_millis(10);

/// The same for a core without work: a hundred timers a second would be all it does.
const IDLE_TICK: Duration = Duration::from_millis(100);

/// Ticks without other work after which a core counts as idle.
const IDLE_AFTER: u32 = 100;

/// Tasks that run in a tick's time on an idle core: the tick's own, by its timer and by the
/// watchdog, and other timers'.
const IDLE_TASKS: u64 = 5;

/// By how much a look may be late. Later, this thread itself was stopped (a paused virtual
/// machine), and the others had no chance either.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Silence after which a line is traced.
const WARN_AFTER: Duration = Duration::from_secs(3);

/// Silence after which the process ends.
const FATAL_AFTER: Duration = Duration::from_secs(10);

/// A core's sign of life.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Signs>);

#[derive(Debug)]
struct Signs {
    name: String,
    ticks: AtomicU64,
    is_idle: AtomicBool,
    /// Of the task that ticks; waking it from another thread unparks the core.
    waker: OnceLock<Waker>,
}

impl Pulse {
    /// For the core called `name`.
    pub(crate) fn new(name: String) -> Self {
        Self(Arc::new(Signs {
            name,
            ticks: AtomicU64::new(0),
            is_idle: AtomicBool::new(false),
            waker: OnceLock::new(),
        }))
    }

    /// Shows that the core lives, from now on and at regular times. Never returns.
    pub(crate) async fn beat(self) {
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        self.0.waker.set(waker).expect("a pulse belongs to one core");
        let mut idle_ticks = 0;
        loop {
            self.0.ticks.fetch_add(1, Ordering::Relaxed);
            // Counts from the call before.
            let tasks = glommio::executor().executor_stats().tasks_executed();
            idle_ticks = if tasks <= IDLE_TASKS { idle_ticks + 1 } else { 0 };
            let is_idle = idle_ticks >= IDLE_AFTER;
            self.0.is_idle.store(is_idle, Ordering::Relaxed);
            glommio::timer::sleep(if is_idle { IDLE_TICK } else { TICK }).await;
        }
    }

    fn is_idle(&self) -> bool {
        self.0.is_idle.load(Ordering::Relaxed)
    }

    /// Ends the core's sleep. Harmless if it does not sleep.
    fn wake(&self) {
        if let Some(waker) = self.0.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// Starts the watchdog over `pulses`. It ends with the process.
pub(crate) fn start(pulses: Vec<Pulse>) -> std::io::Result<()> {
    let cores = pulses.into_iter().map(Watched::new).collect();
    thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(cores)).map(drop)
}

/// A core, and what the watchdog has seen of it.
struct Watched {
    pulse: Pulse,
    ticks: u64,
    silent: Duration,
}

impl Watched {
    fn new(pulse: Pulse) -> Self {
        Self { pulse, ticks: 0, silent: Duration::ZERO }
    }

    /// Looks at the core, `pause` after the look before.
    fn look(&mut self, pause: Duration) {
        let ticks = self.pulse.0.ticks.load(Ordering::Relaxed);
        if ticks != self.ticks {
            self.ticks = ticks;
            self.silent = Duration::ZERO;
            return;
        }
        let before = self.silent;
        self.silent += pause;
        self.pulse.wake();
        let name = &self.pulse.0.name;
        if before < WARN_AFTER && self.silent >= WARN_AFTER {
            tracing::warn!(core = name, silent = ?self.silent, "core makes no progress");
        }
        if self.silent >= FATAL_AFTER {
            fatal(FatalReason::Stalled, name);
        }
    }
}

fn watch(mut cores: Vec<Watched>) {
    loop {
        let is_idle = cores.iter().all(|core| core.pulse.is_idle());
        let pause = if is_idle { IDLE_TICK } else { TICK };
        let before = Instant::now();
        thread::sleep(pause);
        let was_away = before.elapsed() > pause + LATE_MAX;
        for core in &mut cores {
            if was_away {
                core.silent = Duration::ZERO;
            }
            core.look(pause);
        }
    }
}
