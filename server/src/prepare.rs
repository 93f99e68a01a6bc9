//! From the command line to a configuration that can be served with: loads it, says what is worth
//! saying, and looks at the machine.

use crate::{
    cli::ServeArgs,
    config::{self, Config},
    cores::{Allowance, CorePlan},
    exit_code::ExitCode,
    preflight::{self, Finding, Needs},
};

/// The configuration to serve with. Otherwise everything was said, and the process ends with the
/// code: also after `--check`, with `Done`.
pub(crate) fn prepare(arguments: ServeArgs) -> Result<Config, ExitCode> {
    let only_check = arguments.check;
    let (config, warnings) = config::load(&arguments.into_sources()).map_err(|error| {
        tracing::error!("{error}");
        ExitCode::Config
    })?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!("configuration: {}", config.effective_line());
    let plan = CorePlan::choose(&config.cores, &Allowance::of_this_process()).map_err(|error| {
        tracing::error!("--cores, --cpus: {error}");
        ExitCode::Config
    })?;
    let mut can_run = true;
    for finding in preflight::run(&Needs::of(&plan, config.max_cnxns)) {
        match finding {
            Finding::Error(words) => {
                can_run = false;
                tracing::error!("{words}");
            }
            Finding::Warning(words) => tracing::warn!("{words}"),
        }
    }
    match (can_run, only_check) {
        (false, _) => Err(ExitCode::Environment),
        (true, true) => Err(ExitCode::Done),
        (true, false) => Ok(config),
    }
}

/// Prints every key with its state.
#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(crate) fn print_keys() {
    print!("{}", config::keys_listing());
}
