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
    batch::{Base, Batch, BatchKind},
    consensus::{
        Append, Bounds, Consensus, Fetch, Proposal, Ready, Record, Remembered, Settings,
        config::{Config, Voter},
        message::{Message, Offer},
        read_index::ReadId,
    },
    ids::{Ballot, Incarnation, Instant, Life, LogPos, ReplicaId, Slot, WallTime},
};

/// A message under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Packet {
    /// Of its content.
    pub(super) key: u64,
    pub(super) from: Voter,
    pub(super) to: Voter,
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
    record: Record,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Node {
    pub(super) voter: Voter,
    /// Never one that it has had.
    life: Life,
    /// `None` while it is down.
    pub(super) core: Option<Consensus>,
    disk: Vec<Written>,
    flushed_count: usize,
    /// Decided, as this life of the process knows.
    applied: Slot,
    /// Its newest snapshot. The log before is gone.
    snapshot: Slot,
    /// A snapshot that was offered and is on its way.
    pub(super) offered: Option<Offer>,
    /// Questions are numbered anew in each life.
    next_read: u64,
    /// What everybody knew to be decided when the newest question was asked here.
    read: Option<(ReadId, usize)>,
    /// Whether it led after the last step, and under which ballot.
    led: Option<Ballot>,
    /// The highest ballot that a flushed record had at the last step.
    pub(super) promised: Ballot,
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) nodes: u16,
    /// How many of them vote at first; 0: all of them must form the cluster.
    pub(super) voters: u16,
    pub(super) settings: Settings,
    /// Whether the network is a set from which nothing is ever removed: the explorer's.
    pub(super) is_set: bool,
}

impl Plan {
    /// So many replicas, which all vote.
    pub(super) fn of(nodes: u16) -> Self {
        let settings = Settings {
            bounds: tiny(),
            ..Settings::new(Voter::default(), Life(0), Config::unformed())
        };
        Self { nodes, voters: nodes, settings, is_set: false }
    }
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    pub(super) network: Vec<Arc<Packet>>,
    is_set: bool,
    settings: Arc<Settings>,
    /// Every decided batch, from slot 1 on, and the ballot that decided it.
    pub(super) decided: Vec<(Arc<Batch>, Ballot)>,
    /// Every ballot that was ever led.
    pub(super) led: BTreeSet<Ballot>,
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
    pub(super) installs: usize,
    pub(super) kept_tails: usize,
    pub(super) configs: usize,
    pub(super) admitted: usize,
    pub(super) hand_overs: usize,
    pub(super) learned: usize,
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
    pub(super) fn unflushed_count(&self) -> usize {
        self.disk.len() - self.flushed_count
    }

    pub(super) fn leads(&self) -> bool {
        self.core.as_ref().is_some_and(|core| core.leader_ballot().is_some())
    }

    /// Whether it votes, as far as it knows.
    pub(super) fn votes(&self) -> bool {
        self.core.as_ref().is_some_and(Consensus::has_vote)
    }

    /// Whether the configuration that is decided here gives `voter` a vote.
    pub(super) fn knows(&self, voter: Voter) -> bool {
        self.core.as_ref().is_some_and(|core| core.config().has_vote(voter))
    }

    /// The highest ballot in what a crash cannot take.
    fn durable_promise(&self) -> Ballot {
        let promises = self.disk[..self.flushed_count].iter().map(|written| match written.record {
            Record::Promise(ballot) | Record::Batch(ballot, _) => ballot,
            Record::Install(_) => Ballot::default(),
        });
        promises.max().unwrap_or_default()
    }
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let node = |id: u16| Node {
            voter: super::voter(id),
            life: Life(1000 * u64::from(id)),
            core: None,
            disk: Vec::new(),
            flushed_count: 0,
            applied: Slot(0),
            snapshot: Slot(0),
            offered: None,
            next_read: 0,
            read: None,
            led: None,
            promised: Ballot::default(),
        };
        let config = if plan.voters == 0 { Config::unformed() } else { super::voters(plan.voters) };
        let founders = (1..=plan.nodes).map(ReplicaId).collect();
        let mut world = Self {
            now: Instant(0),
            nodes: (1..=plan.nodes).map(node).collect(),
            network: Vec::new(),
            is_set: plan.is_set,
            settings: Arc::new(Settings { config, founders, ..plan.settings }),
            decided: Vec::new(),
            led: BTreeSet::new(),
            stats: Stats::default(),
        };
        (0..world.nodes.len()).for_each(|index| world.restart(index));
        world
    }

    /// The end of the decided log up to `slot`.
    fn base(&self, slot: Slot) -> Base {
        let Some(index) = slot.0.checked_sub(1) else { return Base::default() };
        Base::of(&self.decided[usize::try_from(index).unwrap()].0.header)
    }

    /// The configuration after the batch at `slot`, if one was decided.
    fn config(&self, slot: Slot) -> Option<Config> {
        let count = usize::try_from(slot.0).unwrap();
        let batches = self.decided[..count].iter().rev().map(|(batch, _)| batch);
        let newest = batches.into_iter().find(|batch| batch.header.kind == BatchKind::Config);
        newest.map(|batch| Config::decode(&batch.payload).unwrap())
    }

    /// What recovery says of what a crash has left.
    pub(super) fn remembered(&self, index: usize) -> Remembered {
        self.remembered_of(index, self.nodes[index].flushed_count)
    }

    /// What recovery says of the first `count` records.
    fn remembered_of(&self, index: usize, count: usize) -> Remembered {
        let node = &self.nodes[index];
        let mut remembered = super::nothing();
        for Written { pos, commit, record } in &node.disk[..count] {
            remembered.appended = *pos;
            remembered.commit = remembered.commit.max(*commit);
            match record {
                Record::Promise(ballot) => remembered.promised = remembered.promised.max(*ballot),
                Record::Batch(ballot, batch) => {
                    remembered.promised = remembered.promised.max(*ballot);
                    remembered.batches.retain(|kept| kept.header.slot < batch.header.slot);
                    remembered.batches.push(batch.clone());
                }
                Record::Install(base) => {
                    let at = remembered.batches.iter().find(|b| b.header.slot == base.slot);
                    if at.is_none_or(|batch| batch.header.hash != base.hash) {
                        remembered.batches.clear();
                    }
                    remembered.base = *base;
                }
            }
        }
        // Its own snapshots are of what it has applied, and their batches were durable.
        if remembered.base.slot < node.snapshot {
            remembered.base = self.base(node.snapshot);
        }
        let base = remembered.base.slot;
        remembered.batches.retain(|batch| base < batch.header.slot);
        remembered.config = self.config(base);
        remembered
    }

    /// Whether a crash leaves it anything of the log.
    pub(super) fn has_durable_log(&self, index: usize) -> bool {
        let remembered = self.remembered(index);
        Slot(0) < remembered.base.slot || !remembered.batches.is_empty()
    }

    /// Starts a replica with what its disk has.
    pub(super) fn restart(&mut self, index: usize) {
        let remembered = self.remembered(index);
        let node = &mut self.nodes[index];
        let life = Life(node.life.0 + 1);
        node.life = life;
        node.next_read = 0;
        node.applied = remembered.base.slot;
        let settings = Settings { own: node.voter, life, ..Settings::clone(&self.settings) };
        node.core = Some(Consensus::recover(settings, remembered));
        self.step(index, |_, _, _| {});
    }

    /// Stops a replica. Its disk keeps `kept` of what was not flushed.
    pub(super) fn crash(&mut self, index: usize, kept: usize) {
        self.stats.crashes += 1;
        let node = &mut self.nodes[index];
        node.core = None;
        node.disk.truncate(node.flushed_count + kept);
        node.flushed_count = node.disk.len();
        node.applied = Slot(0);
        node.offered = None;
        node.read = None;
        node.led = None;
    }

    /// Stops a replica and takes its data directory away: it comes back as somebody else.
    pub(super) fn wipe(&mut self, index: usize) {
        self.crash(index, 0);
        let node = &mut self.nodes[index];
        node.disk.clear();
        node.flushed_count = 0;
        node.snapshot = Slot(0);
        node.promised = Ballot::default();
        node.voter.incarnation = Incarnation(node.voter.incarnation.0 + 1000);
    }

    /// A replica writes a snapshot of what it has applied, and trims its log. What it has applied
    /// may be on the disks of others only: a snapshot is one when its own log has as much.
    pub(super) fn snapshot(&mut self, index: usize) {
        let remembered = self.remembered(index);
        let applied = self.nodes[index].applied;
        let is_durable = remembered.batches.iter().any(|batch| {
            batch.header.slot == applied && batch.header.hash == self.base(applied).hash
        });
        let node = &mut self.nodes[index];
        if node.core.is_some() && node.snapshot < applied && is_durable {
            node.snapshot = applied;
        }
    }

    /// The snapshot that was offered is whole and durable.
    pub(super) fn install(&mut self, index: usize) {
        if let Some(offer) = self.nodes[index].offered.take() {
            let mut is_taken = false;
            self.step(index, |core, _, ready| is_taken = core.install(&offer, ready));
            if is_taken {
                self.check_follows(index, offer.ballot);
            }
        }
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
        let index = usize::from(packet.to.id.0) - 1;
        let (from, to, message) = (packet.from, packet.to, packet.message.clone());
        match &message {
            Message::Fetched { .. } => self.stats.fetched += 1,
            Message::Mismatch { .. } => self.stats.mismatches += 1,
            Message::Promise { tail, .. } => self.stats.tails += usize::from(!tail.is_empty()),
            Message::TakeOver { .. } => self.stats.hand_overs += 1,
            _ => {}
        }
        let ballot = match &message {
            Message::Fetched { ballot, .. } => *ballot,
            _ => Ballot::default(),
        };
        let commit = self.nodes[index].applied;
        self.step(index, |core, now, ready| core.receive(now, (from, to), message, ready));
        if commit < self.nodes[index].applied {
            self.check_follows(index, ballot);
        }
    }

    /// R6: whoever takes decisions has promised the ballot that they come with.
    fn check_follows(&self, index: usize, ballot: Ballot) {
        let promised = self.nodes[index].core.as_ref().map(Consensus::promised);
        assert!(Some(ballot) <= promised, "R6: decisions of {ballot:?}, promised {promised:?}");
    }

    /// The leader is asked for another configuration.
    pub(super) fn reconfigure(&mut self, index: usize, voters: Vec<Voter>) {
        self.step(index, |core, now, ready| {
            let config = core.config().with_members(voters, Vec::new());
            core.reconfigure((now, WallTime(0)), &config, ready);
        });
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
        let node = &mut self.nodes[index];
        node.next_read += 1;
        let id = ReadId(node.next_read);
        node.read = Some((id, self.decided.len()));
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
        let decided_count = self.decided.len();
        let node = &mut self.nodes[index];
        let appended = node.disk.len()..node.disk.len() + ready.appends.len();
        for Append { pos, commit, record } in ready.appends {
            node.disk.push(Written { pos, commit, record });
        }
        if let Some((_, offer)) = ready.offer {
            node.offered = Some(offer);
        }
        if let Some(base) = ready.installed {
            self.stats.installs += 1;
            node.applied = base.slot;
            self.stats.kept_tails +=
                usize::from(node.core.as_ref().is_some_and(|core| base.slot < core.log_end().slot));
        }
        ready.committed.iter().for_each(|batch| self.apply(index, leads, batch));
        appended.for_each(|count| self.check_stamp(index, count));
        if decided_count < self.decided.len()
            && let Some((batch, by)) = self.decided.last()
        {
            // What is decided for the first time was counted, and nothing of an earlier ballot is;
            // but the first batch of all is decided by its founder.
            let is_own = batch.header.origin == *by || batch.header.origin.round == 0;
            assert!(is_own, "R4: {:?} is decided by {by:?}", batch.header.slot);
        }
        let node = &self.nodes[index];
        if let Some(answer) = ready.read {
            let (id, decided) = node.read.unwrap();
            let is_enough = answer.id != id || decided as u64 <= answer.slot.0;
            assert!(is_enough, "R9: {answer:?} and {decided} were decided before");
            self.stats.reads += 1;
        }
        for fetch in ready.fetches {
            self.stats.fetches += 1;
            let message = self.fetched(index, &fetch);
            self.send(index, fetch.to, message);
        }
        for (to, message) in ready.messages {
            self.check_durable(index, &message);
            self.send(index, to, message);
        }
    }

    fn apply(&mut self, index: usize, leads: Option<Ballot>, batch: &Arc<Batch>) {
        let slot = batch.header.slot;
        let node = &mut self.nodes[index];
        assert_eq!(slot, node.applied.next(), "no gap");
        node.applied = slot;
        if let Some((decided, _)) = self.decided.get(usize::try_from(slot.0).unwrap() - 1) {
            assert_eq!(decided.header.hash, batch.header.hash, "I1: two decisions at {slot:?}");
            return;
        }
        self.stats.decided += 1;
        let core = node.core.as_ref().unwrap();
        // A follower that counts for itself decides for the leader that it has promised (R11); and
        // the first batch of all belongs to nobody.
        let by = leads.unwrap_or(core.promised());
        self.stats.learned += usize::from(leads.is_none());
        let may_decide = leads.is_some() || self.settings.all_to_all || slot == Slot(1);
        assert!(may_decide, "a leader decides first");
        self.decided.push((batch.clone(), by));
        if batch.header.kind == BatchKind::Config {
            self.stats.configs += 1;
            let config = Config::decode(&batch.payload).unwrap();
            let is_new = |voter: &&Voter| 1000 < voter.incarnation.0;
            self.stats.admitted += config.voters().iter().filter(is_new).count();
        }
    }

    /// What the driver of a replica answers: some batches, or a snapshot if they are gone.
    fn fetched(&self, index: usize, fetch: &Fetch) -> Message {
        let node = &self.nodes[index];
        let ballot = fetch.ballot;
        if fetch.first <= node.snapshot {
            let base = self.base(node.snapshot);
            let config = self.config(node.snapshot);
            let config = Arc::new(config.unwrap_or_else(|| self.settings.config.clone()));
            return Message::Offer(Offer { ballot, base, config });
        }
        let [first, last] = [fetch.first, fetch.last].map(|slot| usize::try_from(slot.0).unwrap());
        let wanted = &self.decided[first - 1..last];
        let batches = wanted.iter().take(3).map(|(batch, _)| batch.clone()).collect();
        Message::Fetched { ballot, batches, commit: fetch.last }
    }

    fn send(&mut self, index: usize, to: Voter, message: Message) {
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

    /// The commit slot of a record is about the `count` records before it: a crash may keep no
    /// more.
    fn check_stamp(&self, index: usize, count: usize) {
        let commit = self.nodes[index].disk[count].commit;
        let before = self.remembered_of(index, count);
        let at = before.batches.iter().find(|batch| batch.header.slot == commit);
        let is_there = at.is_some_and(|batch| batch.header.hash == self.base(commit).hash);
        assert!(commit <= before.base.slot || is_there, "R2: {commit:?} is not in the log yet");
    }

    /// I6: what is said of the disk is true.
    fn check_durable(&self, index: usize, message: &Message) {
        match message {
            Message::Promise { ballot, .. } | Message::Prepare { ballot, .. } => {
                let promised = self.remembered(index).promised;
                assert!(*ballot <= promised, "I6: {ballot:?} is not durable");
            }
            Message::Accepted { ballot, stored } => {
                let remembered = self.remembered(index);
                assert!(*ballot <= remembered.promised, "I6: {ballot:?} is not durable");
                let last = remembered.batches.last().map(|batch| batch.header.slot);
                let end = last.unwrap_or(remembered.base.slot);
                assert!(*stored <= end, "I6: {stored:?} of {end:?} is durable");
            }
            _ => {}
        }
    }

    fn check(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(core) = &node.core else { return };
        let promised = node.durable_promise();
        assert!(node.promised <= promised && promised <= core.promised(), "I3: promises stay");
        node.promised = promised;
        assert!(core.commit_slot() == node.applied, "I7: decided is applied");
        assert!(core.commit_slot() <= core.log_end().slot, "I7");
        let leads = core.leader_ballot();
        if let Some(ballot) = leads
            && leads != node.led
        {
            assert!(self.led.insert(ballot), "I4: {ballot:?} is led twice");
            self.stats.leaders += 1;
            for (batch, decider) in &self.decided {
                // A leader that comes late need not know what a higher ballot has decided.
                let slot = batch.header.slot;
                let own = core.log.base_at(slot).map(|own| own.hash);
                let is_there = own == Some(batch.header.hash) || slot <= core.commit_slot();
                assert!(ballot < *decider || is_there, "I2: {slot:?} is decided");
            }
        }
        node.led = leads;
        if core.is_established() {
            let window = self.settings.bounds.window_slots_max;
            assert!(core.log.open_count() <= window, "I8");
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
                let wall = WallTime(0);
                self.step(index, |core, now, ready| core.tick(now, wall, drawn, ready));
            }
            for _ in 0..4 {
                for index in 0..self.nodes.len() {
                    self.flush(index, self.nodes[index].unflushed_count());
                    self.install(index);
                }
                for packet in core::mem::take(&mut self.network) {
                    self.deliver(&packet);
                }
            }
            // Of two that believe to lead, the one with the lower ballot does not know better.
            let leads = |index: &usize| {
                let core = self.nodes[*index].core.as_ref();
                let core =
                    core.filter(|core| core.is_established() && core.may_propose(usize::MAX));
                core.map(Consensus::promised)
            };
            let leader =
                (0..self.nodes.len()).filter(|index| leads(index).is_some()).max_by_key(leads);
            if target.is_none()
                && let Some(leader) = leader
            {
                self.propose(leader, 0xff);
                target = Some(self.decided.len() + 1);
            }
            let has_all =
                |node: &Node| target.is_some_and(|target| target as u64 <= node.applied.0);
            if self.nodes.iter().all(has_all) {
                return;
            }
        }
        let stands = self.nodes.iter().map(|node| {
            let config = node.core.as_ref().unwrap().config();
            let voters = config.voters().iter().map(|v| (v.id.0, v.incarnation.0));
            let own = (node.voter.id.0, node.voter.incarnation.0);
            (own, node.applied.0, node.led, voters.collect::<Vec<_>>())
        });
        panic!("no progress to {target:?}: {:?}", stands.collect::<Vec<_>>());
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
