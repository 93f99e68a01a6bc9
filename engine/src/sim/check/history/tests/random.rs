//! Random histories: those of right servers are right, and what broken servers do is found.
#![expect(clippy::print_stdout, reason = "a long run is watched")]

use std::{collections::BTreeSet, env, println, string::ToString};

use alloc::{format, string::String, vec::Vec};

use super::{
    super::{Counts, Findings},
    ensemble::{Ensemble, Mutant},
};

fn run(seed: u64, mutant: Option<Mutant>) -> Findings {
    let mut ensemble = Ensemble::new(seed, 6, mutant);
    ensemble.run(15_000);
    let findings = ensemble.findings();
    for state in ensemble.states().filter(|_| mutant.is_none()) {
        assert_eq!(findings.tree.differs_from(state), None, "RINGKEEPER_SEED={seed}");
    }
    findings
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[test]
fn right_servers_break_no_rule() {
    let mut sum = Counts::default();
    let (first, count) = (number("RINGKEEPER_SEED", 1), number("RINGKEEPER_SEEDS", 40));
    for seed in first..first + count {
        let found = run(seed, None);
        let broken: Vec<String> = found.violations.iter().map(ToString::to_string).collect();
        assert!(broken.is_empty(), "RINGKEEPER_SEED={seed}\n{}", broken.join("\n"));
        sum.add(&found.counts);
    }
    println!("{count} seeds: {sum:?}");
}

#[test]
fn broken_servers_are_found() {
    let seeds = number("RINGKEEPER_MUTANT_SEEDS", 100);
    let mut survivors = Vec::new();
    let mut table = String::new();
    for mutant in Mutant::ALL {
        let mut rules = BTreeSet::new();
        let found = (1..=seeds).find(|seed| {
            rules.extend(run(*seed, Some(mutant)).violations.iter().map(|one| one.rule));
            rules.contains(&mutant.breaks())
        });
        table.push_str(&format!("{mutant:?}: seed {found:?}, {rules:?}\n"));
        if found.is_none() {
            survivors.push(mutant);
        }
    }
    println!("{table}");
    assert!(survivors.is_empty(), "{survivors:?} survive\n{table}");
}
