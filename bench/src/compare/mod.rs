//! Ringkeeper beside Apache ZooKeeper: both on the same machine and disk, in the same run, in
//! turns. Throughput and latency under a few loads, memory of many znodes, and how long a restart
//! takes.

mod plot;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    load::{
        self, Plan, Workload,
        report::{Comparison, Target, compare as compare_load},
    },
    servers::{Product, Server, Settings, scratch},
    wire::{Connection, Failure},
};

/// What to compare, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers; ratios are those to the first.
    pub products: Vec<Product>,
    /// Seconds of counting per round, load and server.
    pub measure: Duration,
    /// Rounds per load.
    pub rounds: usize,
    /// Znodes for memory and restart.
    pub znodes: u64,
    /// Where the report goes.
    pub report_dir: PathBuf,
}

/// Everything that a run has measured.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Under load.
    pub loads: Vec<Comparison>,
    /// Filled with znodes, one per server.
    pub sizes: Vec<Size>,
}

/// A server that holds many znodes.
#[derive(Clone, Debug, Serialize)]
pub struct Size {
    /// The server.
    pub server: String,
    /// Znodes filled in, each with 100 bytes.
    pub znodes: u64,
    /// Seconds that the fill took.
    pub fill_seconds: f64,
    /// Resident memory before and after.
    pub resident_bytes: [u64; 2],
    /// From the start of the process after kill -9 to the first answer, sorted.
    pub restart_seconds: Vec<f64>,
}

impl Size {
    /// Resident bytes that a znode of 100 bytes costs.
    #[must_use]
    pub fn bytes_per_znode(&self) -> f64 {
        let [before, after] = self.resident_bytes;
        approximate(after.saturating_sub(before)) / approximate(self.znodes.max(1))
    }

    /// Median.
    #[must_use]
    pub fn restart(&self) -> f64 {
        self.restart_seconds[self.restart_seconds.len() / 2]
    }
}

/// For ratios: exact below 2^32, near enough above.
fn approximate(number: u64) -> f64 {
    u32::try_from(number).map_or_else(
        |_| f64::from(u32::try_from(number >> 16).unwrap_or(u32::MAX)) * 65536.0,
        f64::from,
    )
}

/// Runs the whole comparison and writes its report.
pub fn run(options: &Options, mut progress: impl FnMut(&str)) -> Result<Outcome, Failure> {
    let loads = measure_loads(options, &mut progress)?;
    let sizes = measure_sizes(options, &mut progress)?;
    let outcome = Outcome { loads, sizes };
    fs::create_dir_all(&options.report_dir)?;
    let write = |name: &str, text: &str| fs::write(options.report_dir.join(name), text);
    write("report.json", &serde_json::to_string_pretty(&outcome)?)?;
    write("report.svg", &plot::bars(&outcome))?;
    write("report.md", &report::markdown(&outcome))?;
    progress(&report::summary(&outcome));
    Ok(outcome)
}

fn settings() -> Settings {
    Settings::new().line("maxClientCnxns", "0").line("tickTime", "2000")
}

fn measure_loads(
    options: &Options,
    progress: &mut impl FnMut(&str),
) -> Result<Vec<Comparison>, Failure> {
    let mut servers = Vec::new();
    for (index, product) in options.products.iter().enumerate() {
        let name = format!("compare-{index}-{}", product.name());
        servers.push(Server::start(product, &name, settings())?);
    }
    let target = |server: &Server| Target {
        name: server.product().name().into(),
        address: server.address(),
    };
    let targets: Vec<Target> = servers.iter().map(target).collect();
    let plan = |workload, connections, in_flight| Plan {
        workload,
        connections,
        in_flight,
        value_bytes: 100,
        warm_up: options.measure / 2,
        measure: options.measure,
        ops_max: u64::MAX,
    };
    let mixed = Workload::Mixed { read_percent: 90 };
    let mut comparisons = Vec::new();
    for plan in [
        plan(Workload::Set, 1, 1),
        plan(Workload::Set, 64, 1),
        plan(Workload::Set, 64, 16),
        plan(Workload::Create, 64, 4),
        plan(Workload::Get, 1, 1),
        plan(Workload::Get, 64, 16),
        plan(mixed, 64, 4),
    ] {
        let comparison = compare_load(&targets, &plan, options.rounds)?;
        progress(&comparison.table());
        comparisons.push(comparison);
    }
    Ok(comparisons)
}

fn measure_sizes(options: &Options, progress: &mut impl FnMut(&str)) -> Result<Vec<Size>, Failure> {
    let mut servers = Vec::new();
    let mut sizes = Vec::new();
    for (index, product) in options.products.iter().enumerate() {
        let dir = scratch(&format!("compare-size-{index}-{}", product.name()))?;
        let (server, size) = fill(product, &dir, options.znodes)?;
        servers.push(server);
        sizes.push(size);
    }
    for _ in 0..options.rounds.clamp(1, 3) {
        for (server, size) in servers.iter_mut().zip(&mut sizes) {
            server.kill()?;
            let started = Instant::now();
            server.run()?;
            size.restart_seconds.push(started.elapsed().as_secs_f64());
            let znodes = Connection::new_session(server.address())?.children("/fill")?.len();
            if znodes == 0 {
                return Err(format!("{} came back empty", size.server).into());
            }
        }
    }
    for (server, size) in servers.iter_mut().zip(&mut sizes) {
        size.restart_seconds.sort_by(f64::total_cmp);
        server.kill()?;
        progress(&report::size_line(size));
        if let Some(dir) = server.data_dir().parent() {
            fs::remove_dir_all(dir)?;
        }
    }
    Ok(sizes)
}

fn fill(product: &Product, dir: &Path, znodes: u64) -> Result<(Server, Size), Failure> {
    let mut server = Server::prepare(product, dir, settings())?;
    server.run()?;
    let before = server.resident_bytes()?;
    let took = load::fill(server.address(), znodes, 100)?;
    // Snapshots under way are part of the price; garbage that is gone a moment later is not.
    std::thread::sleep(Duration::from_secs(2));
    let size = Size {
        server: product.name().into(),
        znodes,
        fill_seconds: took.as_secs_f64(),
        resident_bytes: [before, server.resident_bytes()?],
        restart_seconds: Vec::new(),
    };
    Ok((server, size))
}
