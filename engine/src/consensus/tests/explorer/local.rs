//! What one replica does at one event, each remembered: the shipped core is asked once for every
//! replica's state and event, however many states of the whole cluster meet there.
//!
//! A step depends on the replica and on the past (what was decided and who led, which the checks
//! compare with), on nothing else; and it changes these and adds messages to the network.

use std::{panic, string::String, vec::Vec};

use alloc::{borrow::ToOwned, collections::BTreeSet, sync::Arc};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{
    limits::{Cost, Limits, REPLICAS_MAX},
    numbered::Numbered,
};
use crate::{
    batch::Batch,
    consensus::{
        Role,
        message::Message,
        tests::{
            voter,
            world::{Node, Packet, Stats, World},
        },
    },
    ids::{Ballot, Instant, Slot, WallTime},
    mutant::{Mutant, is_broken},
};

pub(super) type Map<K, V> = HashMap<K, V, FixedState>;

/// Something that happens at one replica.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Event {
    /// The message with this number arrives.
    Deliver(u32),
    /// One more record reaches the disk.
    Flush,
    Campaign,
    Propose,
    Heartbeat,
    /// It crashes, its disk keeps so many of the records that were not flushed, and it starts
    /// again. Being down for longer is like hearing nothing.
    Crash(u8),
    Snapshot,
    /// The snapshot that was offered is here.
    Install,
    Read,
    /// It leads, and is told to change the voters.
    Reconfigure(u8),
    /// It crashes and comes back with another data directory.
    Wipe,
    /// It has no vote, and asks for what is decided, at this second.
    Ask(u8),
    /// It leads, and looks whether somebody must be admitted.
    Tend,
    /// It looks whether it can form the cluster.
    Form,
}

/// What was decided and who has led.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(super) struct Past {
    pub(super) decided: Vec<(Arc<Batch>, Ballot)>,
    pub(super) led: BTreeSet<Ballot>,
}

/// What an event leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) node: u32,
    pub(super) past: u32,
    /// For each replica, the number of the set of messages to it.
    pub(super) sent: [u32; REPLICAS_MAX],
}

/// A step, or the number of what did not hold.
pub(super) type Outcome = Result<Step, u32>;

/// What a crash cannot take from a replica.
#[derive(Clone, Copy, Default)]
struct Durable {
    promised: Ballot,
    commit: Slot,
}

/// The set of no messages.
pub(super) const NOTHING: u32 = 0;

pub(super) struct Locals {
    pub(super) limits: Limits,
    /// One step happens in it, and then another one.
    scratch: World,
    pub(super) nodes: Numbered<Node>,
    durable: Vec<Durable>,
    pub(super) pasts: Numbered<Past>,
    pub(super) packets: Numbered<Arc<Packet>>,
    /// Sets of messages, in order.
    pub(super) sets: Numbered<Vec<u32>>,
    outcomes: Map<(u32, u32, Event), Outcome>,
    pub(super) violations: Vec<String>,
}

impl Locals {
    pub(super) fn new(limits: Limits) -> Self {
        let scratch = World::new(limits.plan());
        let mut sets = Numbered::default();
        assert_eq!(sets.number(Vec::new()), NOTHING);
        Self {
            limits,
            scratch,
            nodes: Numbered::default(),
            durable: Vec::new(),
            pasts: Numbered::default(),
            packets: Numbered::default(),
            sets,
            outcomes: Map::default(),
            violations: Vec::new(),
        }
    }

    /// The replicas at the start, and their past.
    pub(super) fn first(&mut self) -> (Vec<u32>, u32) {
        let world = World::new(self.limits.plan());
        assert!(world.network.is_empty(), "nobody begins with a message");
        let past = self.pasts.number(Past { decided: Vec::new(), led: BTreeSet::new() });
        (world.nodes.into_iter().map(|node| self.number_node(node)).collect(), past)
    }

    /// How often interesting things happened in different steps.
    pub(super) fn stats(&self) -> Stats {
        self.scratch.stats
    }

    pub(super) fn outcome(&mut self, node: u32, past: u32, event: Event) -> Outcome {
        if let Some(outcome) = self.outcomes.get(&(node, past, event)) {
            return *outcome;
        }
        let outcome = self.step(node, past, event);
        self.outcomes.insert((node, past, event), outcome);
        outcome
    }

    fn step(&mut self, node: u32, past: u32, event: Event) -> Outcome {
        let index = self.index(node);
        let Past { decided, led } = self.pasts.get(past).clone();
        self.scratch.nodes[index] = self.nodes.get(node).clone();
        self.scratch.decided = decided;
        self.scratch.led = led;
        self.scratch.network.clear();
        let (limits, packets, scratch) = (&self.limits, &self.packets, &mut self.scratch);
        let act = panic::AssertUnwindSafe(|| happen(limits, packets, scratch, (index, event)));
        if let Err(thrown) = panic::catch_unwind(act) {
            let text = thrown.downcast_ref::<String>().cloned();
            let text =
                text.or_else(|| thrown.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            self.violations.push(text.unwrap_or_default());
            return Err(u32::try_from(self.violations.len() - 1).unwrap());
        }
        let scratch = &mut self.scratch;
        let decided = scratch.decided.clone();
        let past = self.pasts.number(Past { decided, led: scratch.led.clone() });
        let (node, network) = (scratch.nodes[index].clone(), core::mem::take(&mut scratch.network));
        let sent = self.number_sent(network);
        Ok(Step { node: self.number_node(node), past, sent })
    }

    fn number_sent(&mut self, network: Vec<Arc<Packet>>) -> [u32; REPLICAS_MAX] {
        let mut sent = [const { Vec::new() }; REPLICAS_MAX];
        for packet in network {
            if !self.limits.loses(&packet.message) {
                let to = usize::from(packet.to.id.0) - 1;
                sent[to].push(self.packets.number(packet));
            }
        }
        sent.map(|mut set| {
            set.sort_unstable();
            self.sets.number(set)
        })
    }

    fn number_node(&mut self, node: Node) -> u32 {
        let (number, is_new) = self.nodes.insert(node);
        if is_new {
            let (index, node) = (self.index(number), self.nodes.get(number));
            self.scratch.nodes[index] = node.clone();
            let remembered = self.scratch.remembered(index);
            let end = remembered.batches.last().map(|batch| batch.header.slot);
            let commit = remembered.commit.min(end.unwrap_or_default());
            let commit = commit.max(remembered.base.slot);
            let promised = self.nodes.get(number).promised;
            self.durable.push(Durable { promised, commit });
        }
        number
    }

    /// Which replica it is.
    pub(super) fn index(&self, node: u32) -> usize {
        usize::from(self.nodes.get(node).voter.id.0) - 1
    }

    /// Whether a message to this replica changes nothing at it, now or whenever it arrives, and
    /// whatever happens to the replica until then.
    ///
    /// A promise that is durable stays, and so do decisions that a record tells (I3, I7). So:
    ///
    /// - An answer to a ballot below the durable promise finds nobody who waits for it: only a
    ///   candidate or leader of that ballot does, and it had promised it last. (`Accepted` is told
    ///   to followers as well (R11), who look at it if the ballot is the one that they promised.)
    ///   For the same reason nobody waits for it if the ballot is the durable promise, and the
    ///   replica neither leads nor tries to: it never claims that ballot again.
    /// - Of a lower ballot than the promise, what a candidate or leader says is answered by
    ///   `Reject` only; so this holds if the network loses these.
    /// - A `Reject` of somebody who has promised and decided no more raises no claim, takes no
    ///   leader back, and there is nothing to fetch.
    /// - Batches and snapshots of what is decided here, for good, are not looked at.
    /// - What is for another data directory of this replica is not for this one (R10).
    pub(super) fn is_dead(&self, node: u32, packet: u32) -> bool {
        let Durable { promised, commit } = self.durable[node as usize];
        let (node, packet) = (self.nodes.get(node), self.packets.get(packet));
        let core = node.core.as_ref().expect("it is up");
        let waits = matches!(core.role, Role::Leader(_) | Role::Candidate(_));
        let hears_lower = self.limits.has_rejects || is_broken(Mutant::AcceptLowerBallot);
        let is_stranger = packet.to != node.voter && packet.to.incarnation.0 != 0;
        let is_useless = match &packet.message {
            Message::Promise { ballot, .. } => {
                let may_wait = matches!(core.role, Role::Candidate(_));
                *ballot < promised || *ballot == promised && !may_wait
            }
            Message::Mismatch { ballot, .. } | Message::HeartbeatAck { ballot, .. } => {
                *ballot < promised || *ballot == promised && !waits
            }
            Message::Accepted { ballot, .. } => {
                let may_hear = waits || self.limits.all_to_all;
                *ballot < promised || *ballot == promised && !may_hear
            }
            Message::Prepare { ballot, .. }
            | Message::Accept { ballot, .. }
            | Message::Commit { ballot, .. }
            | Message::Heartbeat { ballot, .. } => *ballot < promised && !hears_lower,
            Message::Reject { promised: other, commit: decided } => {
                *other <= promised && *decided <= commit
            }
            // A learner looks at who said it, too.
            Message::Fetched { batches, .. } if self.limits.asks == 0 => {
                batches.iter().all(|batch| batch.header.slot <= commit)
            }
            Message::Offer(offer) if self.limits.asks == 0 => offer.base.slot <= commit,
            Message::Fetched { .. }
            | Message::Offer(_)
            | Message::PreVote { .. }
            | Message::PreVoteAnswer { .. }
            | Message::TakeOver { .. }
            | Message::Fetch { .. }
            | Message::Newcomer { .. }
            | Message::AskRead { .. }
            | Message::ReadAnswer { .. } => false,
        };
        is_useless || is_stranger && !is_broken(Mutant::StrangerVotes)
    }

    /// What it costs that a message arrives.
    pub(super) fn cost_of(&self, packet: u32) -> Cost {
        let is_question = matches!(self.packets.get(packet).message, Message::AskRead { .. });
        if is_question { Cost::Question } else { Cost::Free }
    }

    /// What may happen at a replica beside the arrival of messages, and what it costs. Whether it
    /// changes anything is seen when it happens.
    pub(super) fn events(&self, number: u32) -> Vec<(Event, Cost)> {
        let (limits, node) = (&self.limits, self.nodes.get(number));
        let mut events = Vec::new();
        let unflushed_count = u8::try_from(node.unflushed_count()).unwrap();
        let mut may = |limit: u8, is_possible: bool, event: Event, cost: Cost| {
            if limit > 0 && is_possible {
                events.push((event, cost));
            }
        };
        let index = u8::try_from(self.index(number)).unwrap();
        let campaigns = limits.campaigns[usize::from(index)];
        may(1, unflushed_count > 0, Event::Flush, Cost::Free);
        may(campaigns, node.votes(), Event::Campaign, Cost::Campaign(index));
        may(limits.proposals, node.leads(), Event::Propose, Cost::Propose);
        may(limits.heartbeats, node.leads(), Event::Heartbeat, Cost::Heartbeat);
        for kept in 0..=unflushed_count {
            may(limits.crashes, true, Event::Crash(kept), Cost::Crash);
        }
        may(limits.snapshots, true, Event::Snapshot, Cost::Snapshot);
        may(1, node.offered.is_some(), Event::Install, Cost::Free);
        may(limits.reads, true, Event::Read, Cost::Read);
        for number in 0..u8::try_from(limits.wanted.len()).unwrap() {
            let event = Event::Reconfigure(number);
            may(limits.reconfigurations, node.leads(), event, Cost::Reconfigure);
        }
        may(limits.wipes, true, Event::Wipe, Cost::Wipe);
        for second in 1..=limits.asks {
            may(1, !node.votes(), Event::Ask(second), Cost::Ask);
        }
        may(limits.tends, node.leads(), Event::Tend, Cost::Tend);
        may(1, limits.voters == 0 && index == 0, Event::Form, Cost::Free);
        events
    }
}

/// Lets something happen at a replica of `world`.
pub(super) fn happen(
    limits: &Limits,
    packets: &Numbered<Arc<Packet>>,
    world: &mut World,
    (index, event): (usize, Event),
) {
    match event {
        Event::Deliver(packet) => world.deliver(packets.get(packet)),
        Event::Flush => world.flush(index, 1),
        Event::Campaign => world.step(index, |core, _, ready| core.campaign(ready)),
        Event::Propose => world.propose(index, 1),
        Event::Heartbeat => world.step(index, |core, now, ready| core.heartbeat(now, ready)),
        Event::Crash(kept) => {
            world.crash(index, usize::from(kept));
            world.restart(index);
        }
        Event::Snapshot => world.snapshot(index),
        Event::Install => world.install(index),
        Event::Read => world.read(index),
        Event::Reconfigure(number) => {
            let voters = limits.wanted(number).into_iter().map(voter).collect();
            world.reconfigure(index, voters);
        }
        Event::Wipe => {
            world.wipe(index);
            world.restart(index);
        }
        Event::Ask(second) => {
            let now = Instant(0).plus_millis(1000 * u64::from(second));
            world.step(index, |core, _, ready| core.tick_learner(now, ready));
        }
        Event::Tend => world.step(index, |core, now, ready| {
            core.tend_config((now, WallTime(0)), ready);
        }),
        Event::Form => world.step(index, |core, now, ready| core.form(now, ready)),
    }
    while limits.has_fast_disks && world.nodes[index].unflushed_count() > 0 {
        world.flush(index, world.nodes[index].unflushed_count());
    }
    forget(world, index);
}

/// Takes away what nothing depends on: a ballot that was heard of and is not above the promise,
/// because the next claim is above both.
pub(super) fn forget(world: &mut World, index: usize) {
    let node = &mut world.nodes[index];
    let core = node.core.as_mut().expect("whoever crashes starts again");
    if core.heard_of <= node.promised {
        core.heard_of = Ballot::default();
    }
}
