//! What happened, one line for each thing, for a person; and a number that stands for all of it, so
//! that two runs of one seed can be compared.

use alloc::string::String;
use core::fmt;

use crate::ids::Instant;

/// Where lines go.
pub type Sink = fn(&str);

/// The trace of one run.
#[derive(Clone, Debug)]
pub struct Trace {
    sink: Option<Sink>,
    fingerprint: u64,
    lines: u64,
}

impl Trace {
    /// A trace that is written to `sink`, or only counted.
    #[must_use]
    pub fn new(sink: Option<Sink>) -> Self {
        Self { sink, fingerprint: 0, lines: 0 }
    }

    /// Notes that `who` did `what` at `now`.
    pub fn note(&mut self, now: Instant, who: &dyn fmt::Display, what: fmt::Arguments<'_>) {
        self.lines += 1;
        // Time alone tells two runs apart as soon as anything differs.
        let mixed = (self.fingerprint ^ now.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.fingerprint = mixed ^ (mixed >> 29);
        let Some(sink) = self.sink else { return };
        let mut line = String::new();
        let micros = now.0 / 1000;
        fmt::write(
            &mut line,
            format_args!("{:>6}.{:06} {who:<10} {what}", micros / 1_000_000, micros % 1_000_000),
        )
        .expect("a String takes everything");
        sink(&line);
    }

    /// Stands for everything that was noted.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
