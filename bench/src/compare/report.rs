//! The comparison as text, with what was expected of it.

use std::fmt::Write as _;

use super::{Outcome, Size};

/// One number that was expected, and what came.
pub(super) struct Goal {
    pub(super) what: &'static str,
    /// Ringkeeper's share of Apache's.
    pub(super) ratio: f64,
    pub(super) bound: f64,
    /// Whether more is better.
    pub(super) at_least: bool,
}

impl Goal {
    pub(super) fn is_met(&self) -> bool {
        if self.at_least { self.bound <= self.ratio } else { self.ratio <= self.bound }
    }
}

/// The goals, where both servers were measured.
pub(super) fn goals(outcome: &Outcome) -> Vec<Goal> {
    let mut goals = Vec::new();
    for load in &outcome.loads {
        let [apache, ours, ..] = load.lines.as_slice() else { continue };
        let ops = ours.ops_per_second[0] / apache.ops_per_second[0];
        let p99 = ours.p99_us / apache.p99_us;
        match load.title.as_str() {
            "set, 64 connections x 1 in flight" => {
                let what = "set, 64 connections: ops/s";
                goals.push(Goal { what, ratio: ops, bound: 2.5, at_least: true });
                let what = "set, 64 connections: p99";
                goals.push(Goal { what, ratio: p99, bound: 1.0 / 3.0, at_least: false });
            }
            "get, 64 connections x 16 in flight" => {
                let what = "get, 64 x 16: ops/s";
                goals.push(Goal { what, ratio: ops, bound: 3.0, at_least: true });
            }
            _ => {}
        }
    }
    if let [apache, ours, ..] = outcome.sizes.as_slice() {
        let ratio = ours.bytes_per_znode() / apache.bytes_per_znode();
        goals.push(Goal { what: "memory per znode", ratio, bound: 0.25, at_least: false });
        let ratio = ours.restart() / apache.restart();
        goals.push(Goal { what: "restart time", ratio, bound: 0.25, at_least: false });
    }
    goals
}

/// Memory and restart of one server.
pub(super) fn size_line(size: &Size) -> String {
    let [before, after] = size.resident_bytes.map(|bytes| bytes >> 20);
    format!(
        "{}: {} znodes in {:.1} s; resident {before} MiB, then {after} MiB \
         ({:.0} bytes per znode); restart {:.2} s",
        size.server,
        size.znodes,
        size.fill_seconds,
        size.bytes_per_znode(),
        size.restart()
    )
}

/// What a terminal shows at the end.
pub(super) fn summary(outcome: &Outcome) -> String {
    let mut text =
        String::from("\nRingkeeper's share of Apache ZooKeeper's, and what is expected:\n");
    for goal in goals(outcome) {
        let Goal { what, ratio, bound, at_least } = goal;
        let (sign, verdict) =
            (if at_least { ">=" } else { "<=" }, if goal.is_met() { "met" } else { "NOT MET" });
        writeln!(text, "  {what:<28} {ratio:>6.2}x   {sign} {bound:.2}x   {verdict}")
            .expect("a String takes all");
    }
    text
}

/// The report file.
pub(super) fn markdown(outcome: &Outcome) -> String {
    let mut text = String::from("# Comparison\n\n![plots](report.svg)\n\n```text\n");
    for load in &outcome.loads {
        text.push_str(&load.table());
        text.push('\n');
    }
    for size in &outcome.sizes {
        text.push_str(&size_line(size));
        text.push('\n');
    }
    text.push_str(&summary(outcome));
    text.push_str("```\n");
    text
}
