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
mod trace;
mod watchdog;

use crate::{cli::Command, exit_code::ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let ended = match cli::parse() {
        Command::Serve(arguments) => {
            trace::start(arguments.trace_format());
            prepare::prepare(arguments).map(drop)
        }
        Command::ConfigKeys => {
            prepare::print_keys();
            Ok(())
        }
        Command::Inspect(_) | Command::Repair(_) => Err(ExitCode::Unexpected),
    };
    ended.err().unwrap_or(ExitCode::Done).exit()
}
