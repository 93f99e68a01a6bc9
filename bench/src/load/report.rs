//! Rounds on several servers in turns, and the table that compares them.

use std::{fmt::Write as _, net::SocketAddr};

use serde::Serialize;

use super::{Measured, Plan, run};
use crate::wire::Failure;

/// A server under load.
#[derive(Clone, Debug)]
pub struct Target {
    /// As reports name it.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Target {
    /// `name=host:port`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let (name, address) = text.split_once('=').unwrap_or(("server", text));
        let address = address.parse().map_err(|_| format!("{address} is not address:port"))?;
        Ok(Self { name: name.into(), address })
    }
}

/// Medians over the rounds of one load on one server.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The server.
    pub server: String,
    /// Answers per second: median, least, most.
    pub ops_per_second: [f64; 3],
    /// Median over the rounds, in microseconds.
    pub p50_us: f64,
    /// Median over the rounds, in microseconds.
    pub p99_us: f64,
    /// Answers that were errors, in all rounds.
    pub errors: u64,
}

/// One load on all servers.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What was asked.
    pub title: String,
    /// How often each server had its turn.
    pub rounds: usize,
    /// One per server, in the order given.
    pub lines: Vec<Line>,
}

/// Runs `rounds` rounds; in each, every server has a turn, in an order that alternates.
pub fn compare(targets: &[Target], plan: &Plan, rounds: usize) -> Result<Comparison, Failure> {
    let mut measured: Vec<Vec<Measured>> = targets.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..targets.len() {
            let index = if round % 2 == 0 { turn } else { targets.len() - 1 - turn };
            let target = &targets[index];
            let outcome = run(target.address, plan);
            let outcome = outcome.map_err(|cause| format!("{}: {cause}", target.name))?;
            measured[index].push(outcome);
        }
    }
    let lines = targets.iter().zip(&measured).map(|(target, rounds)| line(&target.name, rounds));
    Ok(Comparison { title: plan.title(), rounds, lines: lines.collect() })
}

fn line(server: &str, rounds: &[Measured]) -> Line {
    let sorted = |value: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let ops = sorted(|measured| measured.ops_per_second);
    Line {
        server: server.into(),
        ops_per_second: [median(&ops), ops[0], ops[ops.len() - 1]],
        p50_us: median(&sorted(|measured| measured.percentile_us(50.0))),
        p99_us: median(&sorted(|measured| measured.percentile_us(99.0))),
        errors: rounds.iter().map(|measured| measured.errors).sum(),
    }
}

/// The middle of sorted values.
fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

impl Comparison {
    /// The table for a terminal. Ratios are those to the first server.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{} (median of {} rounds)\n", self.title, self.rounds);
        let head = ["server", "ops/s", "least", "most", "p50 us", "p99 us", "errors"];
        row(&mut text, &head.map(str::to_owned));
        for line in &self.lines {
            let [middle, least, most] = line.ops_per_second;
            let numbers = [middle, least, most, line.p50_us, line.p99_us];
            let [middle, least, most, p50, p99] = numbers.map(|number| format!("{number:.0}"));
            let errors = line.errors.to_string();
            row(&mut text, &[line.server.clone(), middle, least, most, p50, p99, errors]);
        }
        if let Some((first, others)) = self.lines.split_first() {
            for other in others {
                let name = format!("{}/{}", other.server, first.server);
                let ratio = |ours: f64, theirs: f64| format!("{:.2}x", ours / theirs);
                let ops = ratio(other.ops_per_second[0], first.ops_per_second[0]);
                let p50 = ratio(other.p50_us, first.p50_us);
                let p99 = ratio(other.p99_us, first.p99_us);
                let empty = String::new();
                row(&mut text, &[name, ops, empty.clone(), empty.clone(), p50, p99, empty]);
            }
        }
        text
    }
}

fn row(text: &mut String, cells: &[String; 7]) {
    let [name, rest @ ..] = cells;
    write!(text, "  {name:<20}").expect("a String takes all");
    for cell in rest {
        write!(text, "{cell:>10}").expect("a String takes all");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_medians_and_ratios_to_the_first() {
        let line = |server: &str, ops: f64, p99_us: f64| Line {
            server: server.into(),
            ops_per_second: [ops, ops / 2.0, ops * 2.0],
            p50_us: 10.0,
            p99_us,
            errors: 0,
        };
        let lines = vec![line("one", 100.0, 30.0), line("two", 250.0, 10.0)];
        let table = Comparison { title: "set".into(), rounds: 3, lines }.table();
        let last = table.lines().last().unwrap_or_default();
        let cells: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(cells, ["two/one", "2.50x", "1.00x", "0.33x"]);
    }
}
