//! The data directory as the server uses it, on a real file system.

mod damage;
mod directory;
mod harness;
mod log;
mod snapshots;
mod tools;
