//! Checks: what must hold after every step, and what clients must have seen, against a naive tree.

pub mod history;
pub mod invariants;
pub mod reference;
