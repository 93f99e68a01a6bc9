//! A cluster of the shipped core in one value: replicas, their disks, the network between them, and
//! what was ever decided. Whoever drives it decides what happens next; what must hold is checked
//! after every step.
//!
//! The disk keeps a prefix of what it was told: a crash loses any suffix that was not flushed. The
//! network loses, repeats and reorders.
#![expect(clippy::wildcard_enum_match_arm, reason = "looks at the messages that matter to it")]

use alloc::{collections::BTreeSet, sync::Arc, vec, vec::Vec};
use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;

use crate::{
    batch::Batch,
    consensus::{
        Append, Bounds, Consensus, Fetch, Proposal, Ready, Record, Remembered, Settings,
        config::{Config, Voter},
        message::Message,
        read_index::ReadId,
    },
    ids::{Ballot, Incarnation, Instant, LogPos, ReplicaId, Slot, WallTime},
};

/// A message under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Packet {
    /// Of its content.
    key: u64,
    pub(super) from: Voter,
    pub(super) to: ReplicaId,
    pub(super) message: Message,
}

impl Hash for Packet {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key.hash(hasher);
    }
}

/// What the disk was told.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Written {
    pos: LogPos,
    /// The commit slot when it was appended.
    commit: Slot,
    is_promise: bool,
    ballot: Ballot,
    batch: Option<Arc<Batch>>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Node {
    pub(super) voter: Voter,
    /// `None` while it is down.
    pub(super) core: Option<Consensus>,
    disk: Vec<Written>,
    flushed_count: usize,
    /// Decided, as this life of the process knows.
    applied: Vec<Arc<Batch>>,
    /// What everybody knew to be decided when the newest question was asked here.
    read: Option<(ReadId, usize)>,
    /// Whether it led after the last step, and under which ballot.
    led: Option<Ballot>,
    /// The highest ballot that a flushed record had at the last step.
    promised: Ballot,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    pub(super) network: Vec<Arc<Packet>>,
    /// Whether the network is a set from which nothing is ever removed: the explorer's.
    is_set: bool,
    bounds: Bounds,
    /// The hash of every decided batch, from slot 1 on, and the ballot that decided it.
    pub(super) decided: Vec<(u128, Ballot)>,
    /// Every ballot that was ever led.
    led: BTreeSet<Ballot>,
    next_read: u64,
    /// What happened, for the driver's report.
    pub(super) stats: Stats,
}

/// How often interesting things happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stats {
    pub(super) decided: usize,
    pub(super) leaders: usize,
    pub(super) fetches: usize,
    pub(super) fetched: usize,
    pub(super) tails: usize,
    pub(super) mismatches: usize,
    pub(super) reads: usize,
    pub(super) crashes: usize,
}

impl PartialEq for Stats {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for Stats {}
impl Hash for Stats {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Node {
    /// What recovery says of `written`.
    fn remember(written: &[Written]) -> Remembered {
        let mut remembered = super::nothing();
        for record in written {
            remembered.appended = record.pos;
            remembered.promised = remembered.promised.max(record.ballot);
            remembered.commit = remembered.commit.max(record.commit);
            if let Some(batch) = &record.batch {
                remembered.batches.retain(|kept| kept.header.slot < batch.header.slot);
                remembered.batches.push(batch.clone());
            }
        }
        remembered
    }

    fn remembered(&self) -> Remembered {
        Self::remember(&self.disk[..self.flushed_count])
    }

    pub(super) fn unflushed_count(&self) -> usize {
        self.disk.len() - self.flushed_count
    }

    pub(super) fn leads(&self) -> bool {
        self.core.as_ref().is_some_and(|core| core.leader_ballot().is_some())
    }
}

impl World {
    pub(super) fn new(count: u16, bounds: Bounds, is_set: bool) -> Self {
        let config = super::voters(count);
        let node = |voter: &Voter| Node {
            voter: *voter,
            core: None,
            disk: Vec::new(),
            flushed_count: 0,
            applied: Vec::new(),
            read: None,
            led: None,
            promised: Ballot::default(),
        };
        let mut world = Self {
            now: Instant(0),
            nodes: config.voters().iter().map(node).collect(),
            network: Vec::new(),
            is_set,
            bounds,
            decided: Vec::new(),
            led: BTreeSet::new(),
            next_read: 0,
            stats: Stats::default(),
        };
        (0..world.nodes.len()).for_each(|index| world.restart(index));
        world
    }

    fn config(&self) -> Config {
        super::voters(u16::try_from(self.nodes.len()).unwrap())
    }

    /// Starts a replica with what its disk has.
    pub(super) fn restart(&mut self, index: usize) {
        let config = self.config();
        let node = &mut self.nodes[index];
        let settings =
            Settings { bounds: self.bounds.clone(), ..Settings::new(node.voter, config) };
        node.core = Some(Consensus::recover(settings, node.remembered()));
        self.step(index, |_, _, _| {});
    }

    /// Stops a replica. Its disk keeps `kept` of what was not flushed.
    pub(super) fn crash(&mut self, index: usize, kept: usize) {
        self.stats.crashes += 1;
        let node = &mut self.nodes[index];
        node.core = None;
        node.disk.truncate(node.flushed_count + kept);
        node.flushed_count = node.disk.len();
        node.applied.clear();
        node.read = None;
        node.led = None;
    }

    /// Stops a replica and takes its data directory away: it comes back as somebody else.
    pub(super) fn wipe(&mut self, index: usize) {
        self.crash(index, 0);
        let node = &mut self.nodes[index];
        node.disk.clear();
        node.flushed_count = 0;
        node.promised = Ballot::default();
        node.voter.incarnation = Incarnation(node.voter.incarnation.0 + 1000);
    }

    /// `count` more records reach the disk, and the replica hears of it.
    pub(super) fn flush(&mut self, index: usize, count: usize) {
        let node = &mut self.nodes[index];
        node.flushed_count += count;
        let Some(last) = node.flushed_count.checked_sub(1) else { return };
        let durable = node.disk[last].pos;
        self.step(index, |core, _, _| core.record_durable(durable));
    }

    /// A message arrives. It stays under way if the network is a set.
    pub(super) fn deliver(&mut self, packet: &Packet) {
        let index = usize::from(packet.to.0) - 1;
        let (from, message) = (packet.from, packet.message.clone());
        match &message {
            Message::Fetched { .. } => self.stats.fetched += 1,
            Message::Mismatch { .. } => self.stats.mismatches += 1,
            Message::Promise { tail, .. } => self.stats.tails += usize::from(!tail.is_empty()),
            _ => {}
        }
        self.step(index, |core, now, ready| core.receive(now, from, message, ready));
    }

    /// The leader is given a command.
    pub(super) fn propose(&mut self, index: usize, payload: u8) {
        self.step(index, |core, _, ready| {
            if core.may_propose(usize::MAX) {
                let payload = Arc::from([payload]);
                let proposal = Proposal { payload, command_count: 1, zxid_count: 1 };
                core.propose(proposal, WallTime(0), ready);
            }
        });
    }

    /// Somebody asks for a read index.
    pub(super) fn read(&mut self, index: usize) {
        self.next_read += 1;
        let id = ReadId(self.next_read);
        self.nodes[index].read = Some((id, self.decided.len()));
        self.step(index, |core, _, _| core.ask_read_index(id));
    }

    /// One step of a replica, if it is up.
    pub(super) fn step(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Consensus, Instant, &mut Ready),
    ) {
        let now = self.now;
        let Some(core) = &mut self.nodes[index].core else { return };
        let mut ready = Ready::default();
        act(core, now, &mut ready);
        core.lead_and_decide(now, WallTime(0), &mut ready);
        core.send(now, &mut ready);
        let leads = core.leader_ballot();
        self.carry_out(index, leads, ready);
        self.check(index);
    }

    fn carry_out(&mut self, index: usize, leads: Option<Ballot>, ready: Ready) {
        let node = &mut self.nodes[index];
        for Append { pos, commit, record } in ready.appends {
            let (is_promise, ballot, batch) = match record {
                Record::Promise(ballot) => (true, ballot, None),
                Record::Batch(ballot, batch) => (false, ballot, Some(batch)),
            };
            node.disk.push(Written { pos, commit, is_promise, ballot, batch });
        }
        for batch in ready.committed {
            let slot = node.applied.len() + 1;
            assert_eq!(batch.header.slot.0, slot as u64, "no gap");
            let hash = batch.header.hash;
            match self.decided.get(slot - 1) {
                Some((decided, _)) => assert_eq!(*decided, hash, "I1: two decisions at {slot}"),
                None => {
                    self.stats.decided += 1;
                    self.decided.push((hash, leads.expect("a leader decides first")));
                }
            }
            node.applied.push(batch);
        }
        if let Some(answer) = ready.read {
            let (id, decided) = node.read.unwrap();
            let is_enough = answer.id != id || decided as u64 <= answer.slot.0;
            assert!(is_enough, "R9: {answer:?} and {decided} were decided before");
            self.stats.reads += 1;
        }
        for Fetch { to, first, last, ballot } in ready.fetches {
            self.stats.fetches += 1;
            let [first, last] = [first, last].map(|slot| usize::try_from(slot.0).unwrap());
            let wanted = &self.nodes[index].applied[first - 1..last];
            let batches = wanted.iter().take(3).cloned().collect();
            self.send(index, to, Message::Fetched { ballot, batches });
        }
        for (to, message) in ready.messages {
            self.check_durable(index, &message);
            self.send(index, to, message);
        }
    }

    fn send(&mut self, index: usize, to: ReplicaId, message: Message) {
        let from = self.nodes[index].voter;
        let mut hasher = DefaultHasher::new();
        (from, to, &message).hash(&mut hasher);
        let packet = Arc::new(Packet { key: hasher.finish(), from, to, message });
        if self.is_set {
            if let Err(place) = self.network.binary_search_by_key(&packet.key, |known| known.key) {
                self.network.insert(place, packet);
            }
        } else {
            self.network.push(packet);
        }
    }

    /// I6: what is said of the disk is true.
    fn check_durable(&self, index: usize, message: &Message) {
        let remembered = || self.nodes[index].remembered();
        match message {
            Message::Promise { ballot, .. } | Message::Prepare { ballot, .. } => {
                assert!(*ballot <= remembered().promised, "I6: {ballot:?} is not durable");
            }
            Message::Accepted { ballot, stored } => {
                let remembered = remembered();
                assert!(*ballot <= remembered.promised, "I6: {ballot:?} is not durable");
                let end = remembered.batches.last().map_or(Slot(0), |batch| batch.header.slot);
                assert!(*stored <= end, "I6: {stored:?} of {end:?} is durable");
            }
            _ => {}
        }
    }

    fn check(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(core) = &node.core else { return };
        let promised = Node::remember(&node.disk[..node.flushed_count]).promised;
        assert!(node.promised <= promised && promised <= core.promised(), "I3: promises stay");
        node.promised = promised;
        assert!(core.commit_slot().0 == node.applied.len() as u64, "I7: decided is applied");
        assert!(core.commit_slot() <= core.log_end().slot, "I7");
        let leads = core.leader_ballot();
        if let Some(ballot) = leads
            && leads != node.led
        {
            assert!(self.led.insert(ballot), "I4: {ballot:?} is led twice");
            self.stats.leaders += 1;
            for (slot, (hash, decider)) in (1..).map(Slot).zip(&self.decided) {
                // A leader that comes late need not know what a higher ballot has decided.
                let own = core.log.base_at(slot).map(|own| own.hash);
                let is_there = own == Some(*hash) || slot <= core.commit_slot();
                assert!(ballot < *decider || is_there, "I2: {slot:?} is decided");
            }
        }
        node.led = leads;
        if core.is_established() {
            assert!(core.log.open_count() <= self.bounds.window_slots_max, "I8");
        }
    }

    /// Everything works again: nothing is lost, and disks are fast. Some leader gets a command
    /// decided everywhere before long, by the timers alone.
    pub(super) fn heal(&mut self, random: &mut impl FnMut() -> u64) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].core.is_none() {
                self.restart(index);
            }
        }
        let mut target = None;
        for _ in 0..1000 {
            self.now = self.now.plus_millis(10);
            for index in 0..self.nodes.len() {
                let drawn = random();
                self.step(index, |core, now, ready| core.tick(now, drawn, ready));
            }
            for _ in 0..4 {
                for index in 0..self.nodes.len() {
                    self.flush(index, self.nodes[index].unflushed_count());
                }
                for packet in core::mem::take(&mut self.network) {
                    self.deliver(&packet);
                }
            }
            // Of two that believe to lead, the one with the lower ballot does not know better.
            let leads = |index: &usize| {
                let core = self.nodes[*index].core.as_ref();
                core.filter(|core| core.is_established()).map(Consensus::promised)
            };
            let leader =
                (0..self.nodes.len()).filter(|index| leads(index).is_some()).max_by_key(leads);
            if target.is_none()
                && let Some(leader) = leader
            {
                self.propose(leader, 0xff);
                target = Some(self.decided.len() + 1);
            }
            let has_all = |node: &Node| target.is_some_and(|target| target <= node.applied.len());
            if self.nodes.iter().all(has_all) {
                return;
            }
        }
        let ends = self.nodes.iter().map(|node| node.applied.len()).collect::<Vec<_>>();
        let led = self.nodes.iter().map(|node| node.led).collect::<Vec<_>>();
        panic!("no progress after healing: {ends:?} of {target:?}, {led:?}");
    }
}

/// Bounds that make rare things common.
pub(super) fn tiny() -> Bounds {
    Bounds { window_slots_max: 3, kept_slots_max: 1, message_bytes_max: 0, ..Bounds::default() }
}

/// Everybody's messages to everybody.
pub(super) fn links(count: usize) -> Vec<Vec<bool>> {
    vec![vec![true; count]; count]
}
