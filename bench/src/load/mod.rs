//! Load: many connections, each with several requests in flight, and how long each answer took.
//!
//! The generator shares the machine with the server that it loads, so it is one thread over epoll
//! that writes prepared bytes. Only ratios between servers loaded in turns of the same run mean
//! anything.

mod engine;
pub mod report;
mod template;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::wire::Failure;

/// What the connections ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Workload {
    /// setData on one znode per connection.
    Set,
    /// getData of one znode per connection.
    Get,
    /// create, never the same path twice.
    Create,
    /// getData so many times in a hundred, setData otherwise.
    Mixed {
        /// Reads in a hundred requests.
        read_percent: u64,
    },
}

impl Workload {
    /// `set`, `get`, `create`, or `mixed` with its share of reads.
    pub fn parse(text: &str, read_percent: u64) -> Result<Self, Failure> {
        Ok(match text {
            "set" => Self::Set,
            "get" => Self::Get,
            "create" => Self::Create,
            "mixed" => Self::Mixed { read_percent },
            other => return Err(format!("no workload {other}: set, get, create, mixed").into()),
        })
    }

    /// As reports name it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Set => "set".into(),
            Self::Get => "get".into(),
            Self::Create => "create".into(),
            Self::Mixed { read_percent } => format!("{read_percent} % get"),
        }
    }
}

/// One load on one server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is asked.
    pub workload: Workload,
    /// Sessions, each on a connection of its own.
    pub connections: usize,
    /// Requests that a connection has sent and not seen answered.
    pub in_flight: usize,
    /// Size of every value.
    pub value_bytes: usize,
    /// Load before anything is counted.
    pub warm_up: Duration,
    /// How long to count.
    pub measure: Duration,
    /// Stop counting after so many answers.
    pub ops_max: u64,
}

impl Plan {
    /// `set, 64 connections x 16 in flight`.
    #[must_use]
    pub fn title(&self) -> String {
        let Self { connections, in_flight, .. } = self;
        let name = self.workload.name();
        format!("{name}, {connections} connections x {in_flight} in flight")
    }
}

/// What one load on one server gave.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Answers per second.
    pub ops_per_second: f64,
    /// Answers counted.
    pub ops: u64,
    /// Answers that were errors: none, or the load is not what it says.
    pub errors: u64,
    /// From the write of a request to the read of its answer, in nanoseconds.
    pub latencies: Histogram<u64>,
}

impl Measured {
    /// The latency that so many in a hundred stay below, in microseconds.
    #[must_use]
    pub fn percentile_us(&self, percentile: f64) -> f64 {
        let nanoseconds = self.latencies.value_at_percentile(percentile);
        f64::from(u32::try_from(nanoseconds / 10).unwrap_or(u32::MAX)) / 100.0
    }
}

/// Runs one load on one server.
pub fn run(address: SocketAddr, plan: &Plan) -> Result<Measured, Failure> {
    let mut engine = engine::Engine::connect(address, plan)?;
    engine.drive(Instant::now() + plan.warm_up, u64::MAX)?;
    engine.reset();
    let started = Instant::now();
    engine.drive(started + plan.measure, plan.ops_max)?;
    Ok(engine.finish(started.elapsed()))
}

/// Creates `count` znodes of `value_bytes` below `/fill`, a thousand in each folder, and returns
/// how long it took.
pub fn fill(address: SocketAddr, count: u64, value_bytes: usize) -> Result<Duration, Failure> {
    let plan = Plan {
        workload: Workload::Create,
        connections: 8,
        in_flight: 128,
        value_bytes,
        warm_up: Duration::ZERO,
        measure: Duration::from_secs(3600),
        ops_max: u64::MAX,
    };
    let started = Instant::now();
    let mut engine = engine::Engine::connect(address, &plan)?;
    engine.fill(count)?;
    let measured = engine.finish(started.elapsed());
    if measured.errors != 0 {
        return Err(format!("{} creates failed", measured.errors).into());
    }
    Ok(started.elapsed())
}
