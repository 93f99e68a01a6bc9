//! Checks: what must hold after every step, and what clients must have seen.

pub mod invariants;
