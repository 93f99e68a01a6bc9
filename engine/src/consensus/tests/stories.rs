//! Schedules that are worth telling: each is right, and goes wrong with the rule broken that it is
//! about. Lines are
//!
//! - `campaign 1`, `ask 1` (pre-vote), `heartbeat 1`, `propose 1 abc` (one batch each), `read 1`,
//! - `flush 1` (everything), `crash 1 2` (keeps what was flushed, and 2 more records), `restart 1`,
//!   `wipe 1`,
//! - `deliver 1>2` (what is under way now, in order), `deliver 1>2 Promise` (only these),
//!   `repeat 1>2 Promise` (delivers and keeps), `drop` (everything under way),
//! - `run 500 1-2 2-3`: so many milliseconds pass, with only these links; `close 2 1`: 2 sees its
//!   link to 1 closed,
//! - `snapshot 1`, `install 1` (what was offered), `voters 1 2 3` (leader 1 proposes that 2 and 3
//!   be the voters), `hand-over 1`,
//! - `elect 1 2 3`: 1 campaigns and hears 2 and 3; `settle 1 2 3`: they talk until all is said.

mod decisions;
mod leaders;
mod members;

use alloc::{format, string::String, vec::Vec};

use expect_test::Expect;

use super::world::{Plan, World};
use crate::{
    consensus::message::Message,
    ids::{ReplicaId, WallTime},
    mutant::{Mutant, set_broken},
};

impl From<u16> for Plan {
    fn from(count: u16) -> Self {
        Self::of(count)
    }
}

/// Followers that decide for themselves (R11).
fn all_to_all(count: u16) -> Plan {
    let mut plan = Plan::of(count);
    plan.settings.all_to_all = true;
    plan
}

/// The first `voters` of the replicas vote.
fn some_vote(count: u16, voters: u16) -> Plan {
    Plan { voters, ..Plan::of(count) }
}

struct Story {
    world: World,
    out: String,
}

fn kind(message: &Message) -> String {
    let text = format!("{message:?}");
    text.split([' ', '{']).next().unwrap().into()
}

fn index(word: &str) -> usize {
    word.parse::<usize>().unwrap() - 1
}

impl Story {
    fn new(plan: Plan) -> Self {
        Self { world: World::new(plan), out: String::new() }
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["campaign", who] => {
                self.world.step(index(who), |core, _, ready| core.campaign(ready));
            }
            ["ask", who] => {
                self.world.step(index(who), |core, _, ready| core.ask_before_campaign(ready));
            }
            ["heartbeat", who] => {
                self.world.step(index(who), |core, now, ready| core.heartbeat(now, ready));
            }
            ["propose", who, what] => {
                what.bytes().for_each(|byte| self.world.propose(index(who), byte));
            }
            ["read", who] => self.world.read(index(who)),
            ["flush", who] => self.flush(index(who)),
            ["crash", who] => self.world.crash(index(who), 0),
            ["crash", who, kept] => self.world.crash(index(who), kept.parse().unwrap()),
            ["wipe", who] => self.world.wipe(index(who)),
            ["snapshot", who] => self.world.snapshot(index(who)),
            ["install", who] => self.world.install(index(who)),
            ["voters", who, ref voters @ ..] => {
                let voters = voters.iter().map(|id| self.world.nodes[index(id)].voter).collect();
                self.world.reconfigure(index(who), voters);
            }
            ["hand-over", who] => {
                self.world.step(index(who), |core, now, _| core.hand_over(now));
            }
            ["restart", who] => self.world.restart(index(who)),
            ["deliver", link] => self.deliver(link, None, false),
            ["deliver", link, kind] => self.deliver(link, Some(kind), false),
            ["repeat", link, kind] => self.deliver(link, Some(kind), true),
            ["drop"] => self.world.network.clear(),
            ["elect", who, ref others @ ..] => self.elect(who, others),
            ["settle", ref all @ ..] => self.settle(all),
            ["run", millis, ref links @ ..] => self.run(millis.parse().unwrap(), links),
            ["close", who, peer] => {
                let peer = ReplicaId(peer.parse().unwrap());
                self.world.step(index(who), |core, now, _| core.link_closed(now, peer, 7));
            }
            _ => panic!("not a line: {line}"),
        }
    }

    fn flush(&mut self, index: usize) {
        self.world.flush(index, self.world.nodes[index].unflushed_count());
    }

    fn deliver(&mut self, link: &str, wanted: Option<&str>, is_kept: bool) {
        let (from, to) = link.split_once('>').unwrap();
        let under_way = self.world.network.clone();
        for packet in under_way {
            let is_here = usize::from(packet.from.id.0) - 1 == index(from)
                && usize::from(packet.to.id.0) - 1 == index(to);
            if is_here && wanted.is_none_or(|wanted| kind(&packet.message) == wanted) {
                if !is_kept {
                    let place = self.world.network.iter().position(|other| *other == packet);
                    self.world.network.remove(place.unwrap());
                }
                self.world.deliver(&packet);
            }
        }
    }

    fn elect(&mut self, who: &str, others: &[&str]) {
        self.line(&format!("campaign {who}"));
        self.line(&format!("flush {who}"));
        for other in others {
            self.line(&format!("deliver {who}>{other} Prepare"));
            self.line(&format!("flush {other}"));
            self.line(&format!("deliver {other}>{who} Reject"));
            self.line(&format!("deliver {other}>{who} Promise"));
        }
    }

    fn run(&mut self, millis: u64, links: &[&str]) {
        for _ in 0..millis / 10 {
            self.world.now = self.world.now.plus_millis(10);
            for index in 0..self.world.nodes.len() {
                // The first waits shortest.
                let random = 50 * index as u64;
                self.world
                    .step(index, |core, now, ready| core.tick(now, WallTime(0), random, ready));
            }
            let ends = links.iter().map(|link| link.split_once('-').unwrap());
            ends.for_each(|(one, other)| self.settle(&[one, other]));
            self.world.network.clear();
        }
    }

    fn settle(&mut self, all: &[&str]) {
        for _ in 0..8 {
            all.iter().for_each(|who| self.flush(index(who)));
            for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (from, to))) {
                self.deliver(&format!("{from}>{to}"), None, false);
            }
        }
    }

    /// How everybody stands: commit slot, end of the log, the round of the promise.
    fn report(&mut self) {
        for (node, who) in self.world.nodes.iter().zip(1..) {
            let Some(core) = &node.core else {
                self.out.push_str(&format!("{who} is down\n"));
                continue;
            };
            let role = if core.is_established() { ", leads" } else { "" };
            let (commit, end) = (core.commit_slot().0, core.log_end().slot.0);
            let round = core.promised().round;
            self.out.push_str(&format!("{who}: {commit} of {end} decided, round {round}{role}\n"));
        }
    }
}

fn run(plan: impl Into<Plan>, script: &str) -> Story {
    let mut story = Story::new(plan.into());
    script.lines().map(str::trim).for_each(|line| story.line(line));
    story
}

fn check(plan: impl Into<Plan>, script: &str, expected: &Expect) {
    expected.assert_eq(&report(run(plan, script)));
}

/// `script` goes well, and stops or ends otherwise with the rule broken.
fn check_rule(plan: impl Into<Plan>, mutant: Mutant, script: &str, expected: &Expect) {
    let plan = plan.into();
    check(plan.clone(), script, expected);
    set_broken(Some(mutant));
    let outcome = std::panic::catch_unwind(|| report(run(plan.clone(), script)));
    set_broken(None);
    let is_same = outcome.is_ok_and(|told| told == report(run(plan.clone(), script)));
    assert!(!is_same, "{mutant:?} goes unnoticed");
}

fn report(mut story: Story) -> String {
    story.report();
    story.out
}
