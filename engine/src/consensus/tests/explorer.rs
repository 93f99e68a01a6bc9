//! Breadth first through every schedule of some replicas, within small bounds: messages stay under
//! way for ever, so each may arrive late, twice, in any order or not at all; each flush takes one
//! more record; a crash loses any suffix that was not flushed.
//!
//! `limits` says what happens how often, and which schedules are left out because others are like
//! them. `local` asks the shipped core what one replica does, `search` puts replicas together,
//! `story` tells how a violation comes about, and `tables` lists the explorations.
//!
//! `scripts/explore` explores further: `RINGKEEPER_STATES` is the most states of an exploration,
//! and `RINGKEEPER_LIMITS` a part of the names of those that are wanted.
#![expect(clippy::print_stdout, reason = "a long run is watched")]

mod limits;
mod local;
mod numbered;
mod search;
mod story;
mod tables;

use std::{env, format, println, string::String, time, vec::Vec};

use self::{
    limits::Limits,
    search::{End, Explorer, Seen},
    tables::{LARGE, SMALL, about},
};
use crate::consensus::mutant::{Mutant, set_broken};

/// The most states of an exploration, and whether somebody has asked for that many.
fn states_max() -> (usize, bool) {
    let states = env::var("RINGKEEPER_STATES").ok();
    (states.as_ref().map_or(20_000, |text| text.parse().unwrap()), states.is_some())
}

fn is_wanted(name: &str) -> bool {
    env::var("RINGKEEPER_LIMITS").map_or(true, |part| name.contains(&part))
}

/// One line of a table, and the schedule if something did not hold.
fn explore(limits: Limits, states_max: usize, is_long: bool) -> (Seen, String) {
    let mut explorer = Explorer::new(limits);
    let progress = is_long.then_some(time::Duration::from_secs(20));
    let seen = explorer.run(states_max, progress);
    let told = story::tell(&mut explorer, seen.end);
    if is_long {
        println!("  {}", explorer.sizes());
    }
    (seen, told)
}

#[test]
fn every_schedule_within_small_bounds() {
    let (states_max, is_long) = states_max();
    let all = SMALL.into_iter().chain(LARGE.into_iter().filter(|_| is_long));
    println!("| Exploration | States | Depth | Seconds | States per second | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for limits in all.filter(|limits| is_wanted(limits.name)) {
        let name = limits.name;
        let (Seen { states, depth, end, elapsed }, told) = explore(limits, states_max, is_long);
        let seconds = elapsed.as_secs_f64();
        let speed = states as f64 / seconds;
        let end = match end {
            End::Exhausted => "exhausted",
            End::Enough => "enough",
            End::Violation { .. } => "violation",
        };
        println!("| {name} | {states} | {depth} | {seconds:.1} | {speed:.0} | {end} |");
        assert!(told.is_empty(), "{name}:\n{told}");
    }
}

/// What is found in few states.
const SHALLOW: [Mutant; 5] = [
    Mutant::StoredAtAppend,
    Mutant::PromiseNotDurable,
    Mutant::PrepareNotDurable,
    Mutant::ConfigUnestablished,
    Mutant::StrangerVotes,
];

#[test]
fn the_explorer_finds_broken_rules() {
    let (states_max, is_long) = states_max();
    let mut survivors = Vec::new();
    println!("| Mutant | States | Depth | Exploration |");
    println!("| --- | --- | --- | --- |");
    for mutant in Mutant::ALL {
        let name = format!("{mutant:?}");
        let is_sought = is_long || SHALLOW.contains(&mutant);
        let Some(limits) = about(mutant).filter(|_| is_sought && is_wanted(&name)) else {
            continue;
        };
        let limits_name = limits.name;
        set_broken(Some(mutant));
        let (Seen { states, depth, .. }, told) = explore(limits, states_max, is_long);
        set_broken(None);
        println!("| `{name}` | {states} | {depth} | {limits_name} |");
        if told.is_empty() {
            survivors.push(mutant);
        } else if is_long {
            println!("{told}\n");
        }
    }
    assert!(survivors.is_empty(), "{survivors:?} survive");
}
