//! Traces: one line per event that matters, on standard error, as text or as JSON.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

use crate::config::TraceFormat;

/// Starts tracing. What is shown is `info` and above, or what `RUST_LOG` says.
pub(crate) fn start(format: TraceFormat) {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let lines = fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    match format {
        TraceFormat::Text => lines.init(),
        TraceFormat::Json => lines.json().flatten_event(true).init(),
    }
}
