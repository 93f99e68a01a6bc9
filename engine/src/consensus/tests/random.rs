//! Random schedules: a seed decides everything. `RINGKEEPER_SEEDS=10000` runs more of them, from
//! `RINGKEEPER_SEED` on.
#![expect(clippy::print_stdout, reason = "a long run is watched")]

use std::{env, println, time};

use alloc::{string::String, vec::Vec};

use super::world::{Node, Plan, Stats, World, links, tiny};
use crate::{
    consensus::{
        Bounds,
        config::{Config, Voter},
    },
    ids::WallTime,
    mutant::{Mutant, set_broken},
};

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).unwrap()
    }
}

/// How much happens before everything is healed.
const EVENTS: usize = 1500;

/// How often what happens, relative to each other.
type Weights = [usize; 13];

struct Driver {
    world: World,
    chance: Chance,
    weights: Weights,
    /// Which links work, from and to.
    links: Vec<Vec<bool>>,
    /// The data directory that was made last, until it has a vote.
    newcomer: Option<usize>,
}

impl Driver {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let count = if chance.below(4) == 0 { 5 } else { 3 };
        let bounds = match chance.below(3) {
            0 => Bounds { window_slots_max: 1, kept_slots_max: 0, ..tiny() },
            1 => tiny(),
            _ => Bounds { message_bytes_max: 0, ..Bounds::default() },
        };
        let mut plan = Plan::of(count);
        plan.voters = match chance.below(4) {
            0 => 0,
            1 => count - 1,
            _ => count,
        };
        plan.settings.bounds = bounds;
        plan.settings.all_to_all = chance.below(3) == 0;
        plan.settings.feature_level_max = u16::from(chance.below(4) == 0);
        let most = [160, 100, 50, 10, 12, 8, 6, 16, 8, 6, 10, 4, 2];
        let weights = most.map(|most| 1 + chance.below(most));
        let links = links(usize::from(count));
        Self { world: World::new(plan), chance, weights, links, newcomer: None }
    }

    fn event(&mut self) {
        let index = self.someone();
        let mut rest = self.chance.below(self.weights.iter().sum());
        let event = self.weights.iter().position(|weight| {
            let is_it = rest < *weight;
            rest = rest.saturating_sub(*weight);
            is_it
        });
        match event.unwrap() {
            0 => (0..3).for_each(|_| self.network()),
            1 => {
                let index = self.chance.below(self.world.nodes.len());
                let unflushed = self.world.nodes[index].unflushed_count();
                if self.world.nodes[index].core.is_some() {
                    let count = self.chance.below(unflushed + 1);
                    self.world.flush(index, count);
                }
            }
            2 => self.world.propose(index, self.chance.draw().to_le_bytes()[0]),
            3 => {
                let index = self.chance.below(self.world.nodes.len());
                if self.world.nodes[index].votes() {
                    self.world.step(index, |core, _, ready| core.campaign(ready));
                }
            }
            4 => self.world.step(index, |core, now, ready| core.heartbeat(now, ready)),
            5 => self.tick(),
            6 => self.crash_or_restart(index),
            7 => self.read(index),
            8 => self.cut_or_mend(),
            9 => self.world.snapshot(self.chance.below(self.world.nodes.len())),
            10 => (0..self.world.nodes.len()).for_each(|index| self.world.install(index)),
            11 => self.reconfigure(index),
            _ => self.world.step(index, |core, now, _| core.hand_over(now)),
        }
    }

    /// Any replicas that are up may become the voters, but no more than one is changed at a time
    /// that has nothing: a majority of the new voters knows the log.
    fn reconfigure(&mut self, index: usize) {
        let nodes = &self.world.nodes;
        if !nodes[index].leads() || self.newcomer.is_some() {
            return;
        }
        let commit = nodes[index].core.as_ref().unwrap().commit_slot();
        let is_near = |node: &&Node| {
            node.core.as_ref().is_some_and(|core| commit.0 <= core.commit_slot().0 + 3)
        };
        let near: Vec<Voter> = nodes.iter().filter(is_near).map(|node| node.voter).collect();
        let count = 1 + self.chance.below(near.len());
        let mut voters = near;
        while count < voters.len() {
            voters.remove(self.chance.below(voters.len()));
        }
        self.world.reconfigure(index, voters);
    }

    /// A leader, if there is one, or anybody.
    fn someone(&mut self) -> usize {
        let nodes = &self.world.nodes;
        let leads = |index: &usize| nodes[*index].leads();
        let leaders: Vec<usize> = (0..nodes.len()).filter(leads).collect();
        if leaders.is_empty() || self.chance.below(3) == 0 {
            return self.chance.below(nodes.len());
        }
        leaders[self.chance.below(leaders.len())]
    }

    fn read(&mut self, index: usize) {
        if self.world.nodes[index].core.is_some() {
            self.world.read(index);
        }
    }

    /// A message arrives, is lost, or arrives and will arrive again.
    fn network(&mut self) {
        if self.world.network.is_empty() {
            return;
        }
        // Mostly in order, so that something is decided.
        let end = if self.chance.below(3) == 0 { self.world.network.len() } else { 1 };
        let place = self.chance.below(end);
        let packet = self.world.network[place].clone();
        // What stands in a long queue is from another age.
        if self.world.network.len() > 40 {
            self.world.network.remove(place);
            return;
        }
        let fate = self.chance.below(20);
        if fate != 0 {
            self.world.network.remove(place);
        }
        let [from, to] = [packet.from.id, packet.to.id].map(|id| usize::from(id.0) - 1);
        if fate != 1 && self.links[from][to] {
            self.world.deliver(&packet);
        }
    }

    fn tick(&mut self) {
        let millis = self.chance.draw() % 200;
        self.world.now = self.world.now.plus_millis(millis);
        for index in 0..self.world.nodes.len() {
            let random = self.chance.draw();
            self.world.step(index, |core, now, ready| {
                core.tick(now, WallTime(0), random, ready);
            });
        }
    }

    fn crash_or_restart(&mut self, index: usize) {
        let down = self.world.nodes.iter().position(|node| node.core.is_none());
        if let Some(down) = down
            && self.chance.below(4) != 0
        {
            self.world.restart(down);
            return;
        }
        let node = &self.world.nodes[index];
        if node.core.is_none() {
            return;
        }
        let newcomer = self.newcomer.map(|index| self.world.nodes[index].voter);
        let is_admitted = |voter| self.world.nodes.iter().any(|node| node.knows(voter));
        if newcomer.is_some_and(is_admitted) {
            self.newcomer = None;
        }
        if self.newcomer.is_none() && self.may_lose(index) && self.chance.below(15) == 0 {
            self.newcomer = Some(index);
            self.world.wipe(index);
        } else {
            let kept = self.chance.below(node.unflushed_count() + 1);
            self.world.crash(index, kept);
        }
    }

    /// Whether the cluster may lose what this replica has: the others are a quorum of every
    /// configuration that anybody knows, and know it themselves.
    fn may_lose(&self, index: usize) -> bool {
        let lost = self.world.nodes[index].voter;
        let others = || self.world.nodes.iter().filter(|node| node.voter != lost);
        let has_others = |config: &Config| {
            let have_votes = others().filter(|other| config.has_vote(other.voter));
            config.voters().len() / 2 < have_votes.count()
        };
        let is_safe_at = |node: &Node| {
            let core = node.core.as_ref();
            core.is_some_and(|core| core.log.configs().all(|(_, config)| has_others(config)))
        };
        // The first configuration is decided by its founder alone: the others must have it for
        // good.
        let has_log = |other: usize| {
            self.world.nodes[other].voter == lost || self.world.has_durable_log(other)
        };
        self.world.nodes.iter().all(is_safe_at) && (0..self.world.nodes.len()).all(has_log)
    }

    /// One-way cuts, replicas that nobody reaches, or everything mended.
    fn cut_or_mend(&mut self) {
        let count = self.links.len();
        let (from, to) = (self.someone(), self.chance.below(count));
        match self.chance.below(4) {
            0..2 => self.links = links(count),
            2 => self.links[from][to] = false,
            _ => {
                for other in 0..count {
                    self.links[from][other] = false;
                    self.links[other][from] = false;
                }
            }
        }
    }
}

fn run(seed: u64, events: usize) -> Stats {
    let mut driver = Driver::new(seed);
    for _ in 0..events {
        driver.event();
    }
    let Driver { world, chance, .. } = &mut driver;
    world.heal(&mut || chance.draw());
    world.stats
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

#[test]
fn random_schedules() {
    let (first, count) = (number("RINGKEEPER_SEED", 1), number("RINGKEEPER_SEEDS", 300));
    let start = time::Instant::now();
    let mut sum = Stats::default();
    for seed in first..first + count {
        let outcome = std::panic::catch_unwind(|| run(seed, EVENTS));
        let Ok(stats) = outcome else {
            panic!("RINGKEEPER_SEED={seed} RINGKEEPER_SEEDS=1 shows it again")
        };
        sum.decided += stats.decided;
        sum.leaders += stats.leaders;
        sum.fetches += stats.fetches;
        sum.fetched += stats.fetched;
        sum.tails += stats.tails;
        sum.mismatches += stats.mismatches;
        sum.reads += stats.reads;
        sum.crashes += stats.crashes;
        sum.installs += stats.installs;
        sum.kept_tails += stats.kept_tails;
        sum.configs += stats.configs;
        sum.admitted += stats.admitted;
        sum.hand_overs += stats.hand_overs;
        sum.learned += stats.learned;
    }
    println!("{count} seeds from {first}, {:?}: {sum:?}", start.elapsed());
    // A situation that never happens is a fault of the driver.
    let happened = [
        [sum.leaders, sum.fetches, sum.fetched, sum.tails, sum.mismatches, sum.reads],
        [sum.installs, sum.kept_tails, sum.configs, sum.admitted, sum.hand_overs, sum.learned],
    ]
    .concat();
    assert!(count < 300 || happened.iter().all(|count| *count > 0), "{sum:?}");
}

/// The first seed that finds a broken rule.
pub(super) fn finds(mutant: Mutant, seeds: u64) -> Option<u64> {
    set_broken(Some(mutant));
    let found = (1..=seeds).find(|seed| std::panic::catch_unwind(|| run(*seed, EVENTS)).is_err());
    set_broken(None);
    found
}

/// What needs a longer schedule than chance finds soon: `stories` tells it.
const BY_STORY: [Mutant; 9] = [
    Mutant::CommitEarlierBallot,
    Mutant::CommitStampedLate,
    Mutant::FetchedWithoutBallot,
    Mutant::FormedByHearsay,
    Mutant::LeaderNeverGivesUp,
    Mutant::OthersEarlierBallot,
    Mutant::PreVoteDisturbs,
    Mutant::ReadBehindOthers,
    Mutant::ReadOfEarlierLife,
];

#[test]
fn broken_rules_are_found() {
    let seeds = number("RINGKEEPER_MUTANT_SEEDS", 1500);
    let mut survivors = Vec::new();
    let mut report = String::new();
    let is_sought = |mutant: &Mutant| seeds > 1500 || !BY_STORY.contains(mutant);
    for mutant in Mutant::OF_CONSENSUS.into_iter().filter(is_sought) {
        let found = finds(mutant, seeds);
        report.push_str(&alloc::format!("{mutant:?}: {found:?}\n"));
        if found.is_none() {
            survivors.push(mutant);
        }
    }
    println!("{report}");
    assert!(survivors.is_empty(), "{survivors:?} survive {seeds} seeds\n{report}");
}
