//! Runs seeds of the simulator: `scripts/simulate --seeds N [--from SEED] [--faults LIST]
//! [--trace]`.
//!
//! A seed that fails is printed with the one command that replays it, and ends the run with code 1.
#![expect(clippy::print_stdout, reason = "prints its report")]
#![expect(clippy::print_stderr, reason = "prints what failed")]

use std::{
    env, panic, process,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ringkeeper_engine::sim::{
    check::history::Counts,
    coverage::{Coverage, Situation},
    faults::FaultKind,
    world::{self, Options, VOTERS_MAX},
};

/// Seeds that failed once, each with what it found. They run first.
const KEPT_SEEDS: &str = include_str!("../src/sim/seeds.txt");

/// From so many seeds on, a situation that never happened is a failure.
const COVERAGE_SEEDS_MIN: u64 = 300;

const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// What is run now, for whoever reports its failure.
static RUNNING: Mutex<String> = Mutex::new(String::new());

struct Arguments {
    seeds: u64,
    from: u64,
    faults: String,
    is_traced: bool,
}

#[derive(Default)]
struct Totals {
    seeds: u64,
    steps: u64,
    virtual_ms: u64,
    batches: usize,
    coverage: Coverage,
    counts: Counts,
}

fn main() {
    let arguments = arguments();
    let faults = match FaultKind::parse(&arguments.faults) {
        Ok(faults) => faults,
        Err(name) => fail(&format!("--faults: there is no fault named {name}")),
    };
    panic::set_hook(Box::new(|failure| {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("\n{failure}\n\n{running}");
        process::exit(1);
    }));
    let start = Instant::now();
    let mut progress = start;
    let mut totals = Totals::default();
    let kept = if arguments.is_traced || arguments.seeds == 1 { Vec::new() } else { kept_seeds() };
    for seed in kept.into_iter().chain(arguments.from..arguments.from + arguments.seeds) {
        run(seed, &arguments, &faults, &mut totals);
        if PROGRESS_INTERVAL <= progress.elapsed() {
            progress = Instant::now();
            print_speed(&totals, start.elapsed());
        }
    }
    print_speed(&totals, start.elapsed());
    print_totals(&totals);
    let missing = totals.coverage.missing(VOTERS_MAX);
    if COVERAGE_SEEDS_MIN <= totals.seeds && arguments.faults == "all" && !missing.is_empty() {
        fail(&format!("never happened in {} seeds: {missing:?}", totals.seeds));
    }
    println!("simulate: {} seeds passed, 0 failed", totals.seeds);
}

fn run(seed: u64, arguments: &Arguments, faults: &[FaultKind], totals: &mut Totals) {
    let command =
        format!("scripts/simulate --seeds 1 --from {seed} --faults {} --trace", arguments.faults);
    let what = format!("seed {seed} failed. To see how: {command}");
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&what);
    let sink = arguments.is_traced.then_some(print_line as fn(&str));
    let report = world::run(&Options { seed, faults: faults.to_vec(), sink });
    if !report.violations.is_empty() {
        for violation in report.violations.iter().take(10) {
            eprintln!("{violation}");
        }
        fail(&what);
    }
    totals.seeds += 1;
    totals.steps += report.steps;
    totals.virtual_ms += report.took.0 / 1_000_000;
    totals.batches += report.batches;
    totals.coverage.merge(&report.coverage);
    totals.counts.add(&report.counts);
}

fn print_line(line: &str) {
    println!("{line}");
}

fn print_speed(totals: &Totals, took: Duration) {
    let seconds = took.as_secs_f64().max(0.001);
    let per_second = |count: u64| count as f64 / seconds;
    println!(
        "{} seeds, {:.1} per second; {} steps, {:.0} per second; {} s of virtual time",
        totals.seeds,
        per_second(totals.seeds),
        totals.steps,
        per_second(totals.steps),
        totals.virtual_ms / 1000,
    );
}

fn print_totals(totals: &Totals) {
    println!("\n{} batches decided; {:#?}\n", totals.batches, totals.counts);
    for (situation, _) in Situation::ALL {
        println!("{:>10} {situation:?}", totals.coverage.of(*situation));
    }
}

fn kept_seeds() -> Vec<u64> {
    let lines = KEPT_SEEDS.lines().filter_map(|line| line.split('#').next());
    let seeds = lines.map(str::trim).filter(|line| !line.is_empty());
    seeds.map(|seed| seed.parse().unwrap_or_else(|_| fail("seeds.txt has a bad line"))).collect()
}

fn arguments() -> Arguments {
    let mut parsed = Arguments { seeds: 100, from: 1, faults: "all".to_owned(), is_traced: false };
    let mut arguments = env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--trace" {
            parsed.is_traced = true;
            continue;
        }
        let Some(value) = arguments.next() else { fail(&format!("{name} needs a value")) };
        let number = || match value.parse() {
            Ok(number) => number,
            Err(_) => fail(&format!("{name}: {value} is no number")),
        };
        match name.as_str() {
            "--seeds" => parsed.seeds = number(),
            "--from" => parsed.from = number(),
            "--faults" => parsed.faults = value,
            _ => fail(&format!("there is no option {name}")),
        }
    }
    parsed
}

fn fail(why: &str) -> ! {
    eprintln!("{why}");
    process::exit(1);
}
