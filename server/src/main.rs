//! `ringkeeper`: the server. Reading order: `main`, `cores`, `messages`, `mailbox`, `shard_core`,
//! `client`, `replica_core`, `disk`, `archivist`.
#![expect(dead_code, reason = "the parts land one after the other")]

mod archivist;
mod cli;
mod client;
mod clock;
mod config;
mod cores;
mod disk;
mod exit_code;
mod fatal;
mod mailbox;
mod messages;
mod metrics;
mod preflight;
mod prepare;
mod replica_core;
mod shard_core;
mod sync;
mod watchdog;

fn main() {}
