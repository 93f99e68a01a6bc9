//! Breadth first through every schedule of some replicas, within small bounds: messages stay under
//! way for ever, so each may arrive late, twice, in any order or not at all; each flush takes one
//! more record; a crash loses any suffix that was not flushed.
//!
//! `scripts/explore` explores further.
#![expect(clippy::print_stdout, reason = "a long run is watched")]

mod limits;
mod local;
mod numbered;
mod search;

use std::{env, println, time};

use alloc::vec::Vec;

use self::{
    limits::{Limits, ONE_LEADER},
    search::{End, Explorer, Seen},
};
use crate::consensus::mutant::{Mutant, set_broken};

fn states_max() -> usize {
    env::var("RINGKEEPER_STATES").map_or(8_000, |text| text.parse().unwrap())
}

#[test]
fn every_schedule_within_small_bounds() {
    let is_long = env::var("RINGKEEPER_STATES").is_ok();
    let only = env::var("RINGKEEPER_LIMITS").unwrap_or_default();
    let all = [
        ONE_LEADER,
        Limits { name: "one leader, crash", crashes: 1, ..ONE_LEADER },
        Limits { name: "one leader, proposal", proposals: 1, ..ONE_LEADER },
        Limits { name: "two leaders", campaigns: [1, 1, 0, 0, 0], ..ONE_LEADER },
        Limits {
            name: "two leaders, proposal",
            campaigns: [1, 1, 0, 0, 0],
            proposals: 1,
            ..ONE_LEADER
        },
        Limits {
            name: "two leaders, proposal, fast",
            campaigns: [1, 1, 0, 0, 0],
            proposals: 1,
            has_fast_disks: true,
            ..ONE_LEADER
        },
        Limits {
            name: "two leaders, proposal, crash",
            campaigns: [1, 1, 0, 0, 0],
            proposals: 1,
            crashes: 1,
            ..ONE_LEADER
        },
        Limits {
            name: "three leaders, fast",
            campaigns: [1, 1, 1, 0, 0],
            has_fast_disks: true,
            ..ONE_LEADER
        },
        Limits {
            name: "three leaders, proposal, fast",
            campaigns: [1, 1, 1, 0, 0],
            proposals: 1,
            has_fast_disks: true,
            ..ONE_LEADER
        },
    ];
    for limits in all {
        if !limits.name.contains(&only) {
            continue;
        }
        let mut explorer = Explorer::new(limits.clone());
        let progress = is_long.then_some(time::Duration::from_secs(5));
        let Seen { states, depth, end, elapsed } = explorer.run(states_max(), progress);
        let speed = states as f64 / elapsed.as_secs_f64();
        println!(
            "{}: {states} states, depth {depth}, {end:?}, {elapsed:.1?}, {speed:.0}/s; {}",
            limits.name,
            explorer.sizes()
        );
        if let End::Violation { what, .. } = end {
            panic!("{}: {}", limits.name, explorer.locals.violations[what as usize]);
        }
    }
}
