//! The simulator: a whole cluster in one thread, where one seed decides everything.
pub mod chance;
pub mod directory;
pub mod disk;
