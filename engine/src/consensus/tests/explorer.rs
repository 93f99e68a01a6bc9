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

use alloc::collections::BTreeSet;

use self::{
    limits::Limits,
    numbered::hash_of,
    search::{End, Explorer, Moved, Seen},
    tables::{LARGE, SMALL, TINY, about},
};
use crate::mutant::{Mutant, set_broken};

/// The most states of an exploration, and whether somebody has asked for that many.
fn states_max() -> (usize, bool) {
    let states = env::var("RINGKEEPER_STATES").ok();
    (states.as_ref().map_or(500_000, |text| text.parse().unwrap()), states.is_some())
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
        println!("  {}; {:?}", explorer.sizes(), explorer.locals.stats());
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

/// What is about progress: no state is wrong, and `random` or a story finds it.
const OF_PROGRESS: [Mutant; 4] = [
    Mutant::LossUnnoticed,
    Mutant::FetchNever,
    Mutant::PreVoteDisturbs,
    Mutant::LeaderNeverGivesUp,
];

/// What is found only in many states.
const DEEP: [Mutant; 1] = [Mutant::WholeLogMatches];

#[test]
fn the_explorer_finds_broken_rules() {
    let (states_max, is_long) = states_max();
    let mut survivors = Vec::new();
    println!("| Mutant | States | Depth | Exploration |");
    println!("| --- | --- | --- | --- |");
    for mutant in Mutant::OF_CONSENSUS {
        let name = format!("{mutant:?}");
        let is_sought = is_long || !DEEP.contains(&mutant);
        let limits = about(mutant);
        assert!(limits.is_some() != OF_PROGRESS.contains(&mutant), "{name} is looked for");
        let Some(limits) = limits.filter(|_| is_sought && is_wanted(&name)) else { continue };
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

/// The replicas, the past and what is left in every state that can be reached, and what does not
/// hold after which of them.
fn reached(limits: Limits) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let mut explorer = Explorer::new(limits);
    explorer.insert_first();
    let (mut states, mut violations) = (BTreeSet::new(), BTreeSet::new());
    let (mut next, mut moves) = (0, Vec::new());
    while let Some(state) = explorer.state(next) {
        let view = explorer.view(&state);
        states.insert(view);
        explorer.moves(&state, &mut moves);
        for Moved { replica, event, next: outcome } in moves.drain(..) {
            match outcome {
                Ok(state) => explorer.insert(state, next),
                Err(_) => {
                    let event = story::line(&explorer.locals, replica, event);
                    violations.insert(hash_of(&(view, event)));
                }
            }
        }
        next += 1;
    }
    (states, violations)
}

/// What is left out of the network, and what is put into it early, changes nothing: the replicas
/// come into exactly the same states, and exactly the same goes wrong if a rule is broken.
#[test]
fn reductions_hide_nothing() {
    let slow = Limits { has_fast_disks: false, ..TINY };
    let alone = Limits { campaigns: [1, 0, 0, 0, 0], ..TINY };
    let three = Limits { replicas: 3, voters: 3, ..alone };
    let cases = [
        (TINY, None),
        (TINY, Some(Mutant::AcceptLowerBallot)),
        (TINY, Some(Mutant::TailOmitted)),
        (Limits { crashes: 1, ..slow }, Some(Mutant::PromiseNotDurable)),
        (Limits { crashes: 1, ..slow }, Some(Mutant::PromiseForgotten)),
        (Limits { has_rejects: true, ..TINY }, Some(Mutant::CommitStampedLate)),
        (Limits { has_rejects: true, kept: 0, snapshots: 1, ..TINY }, None),
        (Limits { heartbeats: 1, ..alone }, None),
        (Limits { all_to_all: true, ..TINY }, None),
        (three, None),
    ];
    for (limits, mutant) in cases {
        set_broken(mutant);
        let [with, without] =
            [true, false].map(|is_reduced| reached(Limits { is_reduced, ..limits.clone() }));
        set_broken(None);
        println!("{mutant:?}: {} and {} violations", with.0.len(), with.1.len());
        assert!(with == without, "{limits:?} {mutant:?}");
    }
}
