//! `ringkeeper`: the server. Reading order: `main`, `serve`, `cores`, `messages`, `mailbox`,
//! `shard_core`, `client`, `replica_core`, `disk`, `archivist`.

mod archivist;
mod cli;
mod client;
mod clock;
mod config;
mod cores;
mod disk;
mod exit_code;
mod fatal;
mod inspect;
mod mailbox;
mod messages;
mod metrics;
mod preflight;
mod prepare;
mod recovered_state;
mod repair;
mod replica_core;
mod serve;
mod shard_core;
mod sync;
mod trace;
mod watchdog;

use cli::{Command, ServeArgs};
use config::TraceFormat;
use exit_code::ExitCode;

/// The allocator that the memory numbers were taken with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let code = match cli::parse() {
        Command::Serve(arguments) => run_server(arguments),
        Command::Inspect(arguments) => {
            trace::start(TraceFormat::Text);
            inspect::inspect(&arguments)
        }
        Command::Repair(arguments) => {
            trace::start(TraceFormat::Text);
            repair::run(&arguments)
        }
        Command::ConfigKeys => {
            prepare::print_keys();
            ExitCode::Done
        }
    };
    code.exit();
}

/// `ringkeeper serve`.
fn run_server(arguments: ServeArgs) -> ExitCode {
    trace::start(arguments.trace_format());
    let config = match prepare::prepare(arguments) {
        Ok(config) => config,
        Err(code) => return code,
    };
    match serve::serve(config) {
        Ok(()) => ExitCode::Done,
        Err(error) => {
            tracing::error!("{error}");
            error.exit_code()
        }
    }
}
