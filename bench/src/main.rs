//! `ringkeeper-bench`: loads, tortures and compares ZooKeeper-compatible servers.

#![forbid(unsafe_code)]

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use ringkeeper_bench::{
    compare, damage,
    differ::{self, Profile},
    load::{
        self, Plan, Workload,
        report::{self, Target},
    },
    servers::{Product, Server, scratch, target_dir},
    torture,
    tour::shared_settings,
    wire::Failure,
};

/// Loads, tortures and compares ZooKeeper-compatible servers.
#[derive(Debug, Parser)]
#[command(name = "ringkeeper-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Loads servers in interleaved rounds and compares their throughput and latencies.
    Load(LoadArguments),
    /// Creates many znodes below /fill.
    Fill(FillArguments),
    /// Kills a server again and again under load and checks every acknowledged write.
    Torture(TortureArguments),
    /// Damages copies of a real data directory and starts the server on them.
    Damage(DamageArguments),
    /// Compares servers under load, in memory and in restart time, and writes a report.
    Compare(CompareArguments),
    /// Sends the same random requests to two servers and reports where their answers differ.
    Differ(DifferArguments),
    /// Starts a server on a free port, runs a program with its address, and stops the server.
    WithServer(WithServerArguments),
}

#[derive(Debug, Args)]
struct LoadArguments {
    /// Servers under load, as name=address:port. Ratios are those to the first.
    #[arg(long, value_delimiter = ',', default_value = "server=127.0.0.1:2181")]
    servers: Vec<String>,
    /// What to ask: set, get, create or mixed.
    #[arg(long, default_value = "set")]
    workload: String,
    /// Reads in a hundred requests of the mixed workload.
    #[arg(long, default_value_t = 90)]
    read_percent: u64,
    /// Sessions, each on a connection of its own.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Unanswered requests per connection.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Size of every value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// Seconds of load before counting, in each round.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Seconds of counting, in each round.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Most answers counted in each round.
    #[arg(long, default_value_t = u64::MAX - 1)]
    ops: u64,
    /// Turns of each server.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct FillArguments {
    /// The server.
    #[arg(long, default_value = "127.0.0.1:2181")]
    server: String,
    /// Znodes to create.
    #[arg(long, default_value_t = 1_000_000)]
    znodes: u64,
    /// Size of every value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
}

#[derive(Debug, Args)]
struct TortureArguments {
    /// apache, ringkeeper, or a path to a ringkeeper binary.
    #[arg(long, default_value = "ringkeeper")]
    server: String,
    /// Kills.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Chooses the requests and the moments; taken from the clock when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Sessions that write.
    #[arg(long, default_value_t = 8)]
    lanes: usize,
}

#[derive(Debug, Args)]
struct DamageArguments {
    /// ringkeeper, or a path to a ringkeeper binary.
    #[arg(long, default_value = "ringkeeper")]
    server: String,
    /// Damaged copies.
    #[arg(long, default_value_t = 300)]
    cases: usize,
    /// Chooses what is damaged; taken from the clock when it is not given.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Args)]
struct CompareArguments {
    /// Servers: apache, ringkeeper, or paths to ringkeeper binaries. Ratios are those to the first.
    #[arg(long, value_delimiter = ',', default_value = "apache,ringkeeper")]
    servers: Vec<String>,
    /// Seconds of counting in each round.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Turns of each server.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Znodes of 100 bytes, for memory and restart.
    #[arg(long, default_value_t = 1_000_000)]
    znodes: u64,
}

#[derive(Debug, Args)]
struct DifferArguments {
    /// The servers: apache, ringkeeper, or paths to ringkeeper binaries. The first one is right.
    #[arg(long, num_args = 2, default_values = ["apache", "ringkeeper"])]
    servers: Vec<String>,
    /// Operations in all runs together.
    #[arg(long, default_value_t = 1_000_000)]
    operations: u64,
    /// Operations of one run, on fresh servers.
    #[arg(long, default_value_t = 40_000)]
    run_operations: u64,
    /// Seed of the first run; the next ones count up.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Settings of both servers: plain, small-frames, quotas, eager-acls or skip-acls. Without it
    /// they change from run to run.
    #[arg(long)]
    profile: Option<String>,
    /// Longest time for cutting one difference down.
    #[arg(long, default_value_t = 120)]
    shrink_seconds: u64,
    /// Stops after so many differences.
    #[arg(long, default_value_t = 5)]
    differences_max: usize,
    /// Writes what was met, a line each, to this file.
    #[arg(long)]
    table: Option<PathBuf>,
    /// What was never met is no failure: there were too few operations for all of it.
    #[arg(long)]
    partial: bool,
}

#[derive(Debug, Args)]
struct WithServerArguments {
    /// apache, ringkeeper, or a path to a ringkeeper binary.
    #[arg(long, default_value = "ringkeeper")]
    server: String,
    /// A line `key=value` of its zoo.cfg, besides those that tours use.
    #[arg(long = "line", value_name = "KEY=VALUE")]
    lines: Vec<String>,
    /// The program. `{}` in its arguments becomes the server's address:port.
    #[arg(required = true, trailing_var_arg = true)]
    program: Vec<String>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Action::Load(arguments) => load_servers(&arguments),
        Action::Fill(arguments) => fill_server(&arguments),
        Action::Torture(arguments) => torture_server(&arguments),
        Action::Damage(arguments) => damage_server(&arguments),
        Action::Compare(arguments) => compare_servers(&arguments),
        Action::Differ(arguments) => differ_servers(&arguments),
        Action::WithServer(arguments) => with_server(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(cause) => {
            writeln!(std::io::stderr(), "ringkeeper-bench: {cause}").ok();
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    // A closed standard output is the reader's choice.
    writeln!(std::io::stdout(), "{text}").ok();
}

fn load_servers(arguments: &LoadArguments) -> Result<ExitCode, Failure> {
    let targets: Vec<Target> =
        arguments.servers.iter().map(|text| Target::parse(text)).collect::<Result<_, _>>()?;
    if arguments.connections == 0 || arguments.in_flight == 0 || arguments.rounds == 0 {
        return Err("connections, in-flight and rounds start at 1".into());
    }
    let plan = Plan {
        workload: Workload::parse(&arguments.workload, arguments.read_percent)?,
        connections: arguments.connections,
        in_flight: arguments.in_flight,
        value_bytes: arguments.value_bytes,
        warm_up: Duration::try_from_secs_f64(arguments.warm_up)?,
        measure: Duration::try_from_secs_f64(arguments.seconds)?,
        ops_max: arguments.ops,
    };
    let comparison = report::compare(&targets, &plan, arguments.rounds)?;
    if arguments.json {
        say(&serde_json::to_string_pretty(&comparison)?);
    } else {
        say(&comparison.table());
    }
    let errors: u64 = comparison.lines.iter().map(|line| line.errors).sum();
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn fill_server(arguments: &FillArguments) -> Result<ExitCode, Failure> {
    let target = Target::parse(&arguments.server)?;
    let took = load::fill(target.address, arguments.znodes, arguments.value_bytes)?;
    say(&format!("{} znodes in {:.1} s", arguments.znodes, took.as_secs_f64()));
    Ok(ExitCode::SUCCESS)
}

fn torture_server(arguments: &TortureArguments) -> Result<ExitCode, Failure> {
    let seed = arguments.seed.unwrap_or_else(clock_seed);
    let options = torture::Options {
        product: Product::find(&arguments.server)?,
        rounds: arguments.rounds,
        seed,
        lanes: arguments.lanes,
        dir: scratch("torture")?,
    };
    say(&format!("torture of {}, seed {seed}", options.product.name()));
    let summary = torture::run(&options, say)?;
    std::fs::remove_dir_all(&options.dir)?;
    say(&format!("torture: {} rounds passed, 0 failed", summary.rounds));
    Ok(ExitCode::SUCCESS)
}

fn damage_server(arguments: &DamageArguments) -> Result<ExitCode, Failure> {
    let seed = arguments.seed.unwrap_or_else(clock_seed);
    let product = Product::find(&arguments.server)?;
    say(&format!("damage of {}, seed {seed}", product.name()));
    let summary = damage::run(&product, arguments.cases, seed, say)?;
    let damage::Summary { restored, refused, failed } = summary;
    let passed = restored + refused;
    say(&format!(
        "damage: {passed} cases passed ({restored} restored, {refused} refused with a report), \
         {failed} failed"
    ));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare_servers(arguments: &CompareArguments) -> Result<ExitCode, Failure> {
    let products = arguments.servers.iter().map(|name| Product::find(name));
    let options = compare::Options {
        products: products.collect::<Result<_, _>>()?,
        measure: Duration::try_from_secs_f64(arguments.seconds)?,
        rounds: arguments.rounds,
        znodes: arguments.znodes,
        report_dir: target_dir().join("compare"),
    };
    let outcome = compare::run(&options, say)?;
    let errors = outcome.loads.iter().flat_map(|load| &load.lines).map(|line| line.errors);
    let (loads, errors) = (outcome.loads.len(), errors.sum::<u64>());
    say(&format!("report: {}", options.report_dir.join("report.md").display()));
    say(&format!("compare: {loads} passed, {} failed", u8::from(errors != 0)));
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn differ_servers(arguments: &DifferArguments) -> Result<ExitCode, Failure> {
    let profile = match &arguments.profile {
        None => None,
        Some(name) => Some(Profile::find(name).ok_or_else(|| format!("no profile {name}"))?),
    };
    let options = differ::Options {
        products: [Product::find(&arguments.servers[0])?, Product::find(&arguments.servers[1])?],
        operations: arguments.operations,
        run_operations: arguments.run_operations,
        seed: arguments.seed,
        profile,
        shrink: Duration::from_secs(arguments.shrink_seconds),
        differences_max: arguments.differences_max,
    };
    let summary = differ::run(&options, say)?;
    if let Some(path) = &arguments.table {
        std::fs::write(path, summary.table(arguments.partial))?;
    }
    let differ::Summary { alike, differences, coverage } = &summary;
    say(&format!(
        "differ: {} operations, seeds from {}; {alike} runs passed, {} failed",
        coverage.operations(),
        arguments.seed,
        differences.len()
    ));
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn clock_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| since.as_secs())
}

fn with_server(arguments: &WithServerArguments) -> Result<ExitCode, Failure> {
    let product = Product::find(&arguments.server)?;
    let mut settings = shared_settings();
    for line in &arguments.lines {
        let (key, value) = line.split_once('=').ok_or("--line needs key=value")?;
        settings = settings.line(key, value);
    }
    let server = Server::start(&product, "with-server", settings)?;
    let address = server.address().to_string();
    let mut program = arguments.program.iter().map(|word| word.replace("{}", &address));
    let name = program.next().ok_or("a program to run")?;
    let status = Command::new(name)
        .args(program)
        .env("ZOOKEEPER_ADDRESS", &address)
        .env("ZOOKEEPER_PRODUCT", product.name())
        .status()?;
    let failed = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(failed))
}
