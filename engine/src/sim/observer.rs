//! Whoever looks on: what every part of a world tells what it does.

use core::fmt;

use super::{check::invariants::Invariants, coverage::Coverage, trace::Trace};
use crate::ids::Instant;

/// The eyes of a run.
#[derive(Debug)]
pub struct Observer {
    /// Virtual time.
    pub now: Instant,
    /// What must hold after every step.
    pub invariants: Invariants,
    /// What was seen.
    pub coverage: Coverage,
    /// For people.
    pub trace: Trace,
}

impl Observer {
    /// Notes that `who` did `what` now.
    pub fn note(&mut self, who: &dyn fmt::Display, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, who, what);
    }
}
