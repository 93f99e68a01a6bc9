//! Rules that are broken on purpose: the simulator must notice each. `RINGKEEPER_MUTANT_SEEDS=500`
//! looks further, and for those that other instruments find, too; `RINGKEEPER_MUTANT=LifeKept` for
//! one.
#![expect(clippy::print_stdout, reason = "a long run is watched")]

use std::{env, format, panic, println, vec::Vec};

use super::{
    faults::FaultKind,
    world::{Options, run},
};
use crate::mutant::{Mutant, set_broken};

/// The first seed that finds a broken rule: a step stops, or clients have seen what must not be.
fn finds(mutant: Mutant, seeds: u64) -> Option<u64> {
    let is_found = |seed: &u64| {
        let faults = FaultKind::parse("all").expect("all is a list");
        let options = Options { seed: *seed, faults, sink: None };
        panic::catch_unwind(|| run(&options)).map_or(true, |report| !report.violations.is_empty())
    };
    set_broken(Some(mutant));
    let found = (1..=seeds).find(is_found);
    set_broken(None);
    found
}

/// What needs a longer schedule than chance finds soon: tests beside the code tell it.
const BY_STORY: [Mutant; 4] = [
    Mutant::DamageIsEnd,
    Mutant::ForwardsOfAnyEpoch,
    Mutant::HousekeepingLate,
    Mutant::WitnessIgnored,
];

#[test]
fn broken_rules_are_found() {
    let seeds = env::var("RINGKEEPER_MUTANT_SEEDS").ok().map(|text| text.parse().expect("seeds"));
    let mut sought = Mutant::OF_REPLICA.to_vec();
    match seeds {
        None => sought.retain(|mutant| !BY_STORY.contains(mutant)),
        Some(_) => sought.extend(Mutant::OF_CONSENSUS),
    }
    if let Ok(name) = env::var("RINGKEEPER_MUTANT") {
        sought.retain(|mutant| format!("{mutant:?}") == name);
    }
    let mut survivors = Vec::new();
    for mutant in sought {
        let found = finds(mutant, seeds.unwrap_or(300));
        println!("{mutant:?}: {found:?}");
        let must_be_found = Mutant::OF_REPLICA.contains(&mutant) && !BY_STORY.contains(&mutant);
        if found.is_none() && must_be_found {
            survivors.push(mutant);
        }
    }
    assert!(survivors.is_empty(), "{survivors:?} survive");
}
