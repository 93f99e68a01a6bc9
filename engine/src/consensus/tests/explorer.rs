//! Breadth first through every schedule of three replicas, within small bounds: messages stay under
//! way for ever, so each may arrive late, twice, in any order or not at all; each flush takes one
//! more record; a crash loses any suffix that was not flushed.
//!
//! `RINGKEEPER_STATES=1000000` explores further.
#![expect(clippy::print_stdout, reason = "a long run is watched")]

use std::{collections::HashSet, env, hash::DefaultHasher, panic, println, time};

use alloc::{vec, vec::Vec};
use core::hash::{Hash, Hasher};

use super::world::{Plan, World};
use crate::{
    consensus::Bounds,
    mutant::{Mutant, set_broken},
};

/// How often what may happen.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Budget {
    campaigns: usize,
    proposals: usize,
    heartbeats: usize,
    crashes: usize,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct State {
    world: World,
    left: Budget,
}

/// What an exploration has seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    states: usize,
    depth: usize,
    end: End,
}

/// How an exploration ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Exhausted,
    Enough,
    /// Something did not hold.
    Violation,
}

impl State {
    /// Every state that one event leads to.
    fn successors(&self, found: &mut Vec<Self>) {
        for packet in &self.world.network {
            let mut next = self.clone();
            next.world.deliver(packet);
            found.push(next);
        }
        for index in 0..self.world.nodes.len() {
            self.successors_at(index, found);
        }
    }

    fn successors_at(&self, index: usize, found: &mut Vec<Self>) {
        let mut push = |change: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            change(&mut next);
            found.push(next);
        };
        let node = &self.world.nodes[index];
        if node.unflushed_count() > 0 {
            push(&|next| next.world.flush(index, 1));
        }
        if self.left.campaigns > 0 && !node.leads() {
            push(&|next| {
                next.left.campaigns -= 1;
                next.world.step(index, |core, _, ready| core.campaign(ready));
            });
        }
        if self.left.proposals > 0 && node.leads() {
            push(&|next| {
                next.left.proposals -= 1;
                next.world.propose(index, 1);
            });
        }
        if self.left.heartbeats > 0 && node.leads() {
            push(&|next| {
                next.left.heartbeats -= 1;
                next.world.step(index, |core, now, ready| core.heartbeat(now, ready));
            });
        }
        if self.left.crashes > 0 {
            for kept in 0..=node.unflushed_count() {
                push(&|next| {
                    next.left.crashes -= 1;
                    next.world.crash(index, kept);
                    next.world.restart(index);
                });
            }
        }
    }

    fn fingerprint(&self) -> u128 {
        let [low, high] = [0_u8, 1].map(|salt| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.hash(&mut hasher);
            u128::from(hasher.finish())
        });
        low | high << 64
    }
}

fn explore(budget: Budget, states_max: usize) -> Seen {
    let bounds = Bounds {
        window_slots_max: 2,
        kept_slots_max: 8,
        message_bytes_max: 0,
        ..Bounds::default()
    };
    let mut plan = Plan { is_set: true, ..Plan::of(3) };
    plan.settings.bounds = bounds;
    let first = State { world: World::new(plan), left: budget };
    let mut known = HashSet::from([first.fingerprint()]);
    let (mut layer, mut depth) = (vec![first], 0);
    let mut found = Vec::new();
    let seen = |known: &HashSet<u128>, depth, end| Seen { states: known.len(), depth, end };
    while !layer.is_empty() {
        let mut next_layer = Vec::new();
        for state in layer {
            let successors = panic::AssertUnwindSafe(|| state.successors(&mut found));
            if panic::catch_unwind(successors).is_err() {
                return seen(&known, depth, End::Violation);
            }
            for next in found.drain(..) {
                if known.insert(next.fingerprint()) {
                    next_layer.push(next);
                }
            }
            if known.len() >= states_max {
                return seen(&known, depth, End::Enough);
            }
        }
        layer = next_layer;
        depth += 1;
    }
    seen(&known, depth, End::Exhausted)
}

fn states_max() -> usize {
    env::var("RINGKEEPER_STATES").map_or(8_000, |text| text.parse().unwrap())
}

#[test]
fn every_schedule_within_small_bounds() {
    let budget = |campaigns, proposals, heartbeats, crashes| Budget {
        campaigns,
        proposals,
        heartbeats,
        crashes,
    };
    let budgets = [
        budget(1, 0, 0, 0),
        budget(1, 0, 0, 1),
        budget(1, 1, 0, 0),
        budget(2, 0, 0, 0),
        budget(2, 1, 0, 1),
    ];
    for budget in budgets {
        let start = time::Instant::now();
        let Seen { states, depth, end } = explore(budget.clone(), states_max());
        println!("{budget:?}: {states} states, depth {depth}, {end:?}, {:?}", start.elapsed());
        assert!(end != End::Violation, "{budget:?}");
    }
}

/// What is found by few events. `RINGKEEPER_STATES` looks for all the others too.
const SHALLOW: [Mutant; 3] =
    [Mutant::StoredAtAppend, Mutant::PromiseNotDurable, Mutant::PrepareNotDurable];

#[test]
fn the_explorer_finds_broken_rules() {
    let is_long = env::var("RINGKEEPER_STATES").is_ok();
    for mutant in Mutant::OF_CONSENSUS {
        let is_shallow = SHALLOW.contains(&mutant);
        if !is_long && !is_shallow {
            continue;
        }
        set_broken(Some(mutant));
        let budget = Budget { campaigns: 2, proposals: 1, heartbeats: 0, crashes: 1 };
        let Seen { states, depth, end } = explore(budget, states_max());
        set_broken(None);
        println!("{mutant:?}: {states} states, depth {depth}, {end:?}");
        assert!(end == End::Violation || !is_shallow, "{mutant:?} survives");
    }
}
