//! Submitters, leaders that change without noticing, and a network that loses, repeats and
//! reorders: every command is committed once, in its submitter's order.

use alloc::collections::VecDeque;
use core::iter;

use proptest::prelude::*;

use super::super::{
    forwards::{Forward, Forwarded, Forwards},
    intake::Intake,
};
use super::*;
use crate::{
    batch::{BatchHeader, decode_runs},
    ids::{Epoch, Zxid},
    limits::{FORWARDED_BYTES_MAX, INTAKE_BYTES_MAX},
    mutant::{Mutant, set_broken},
};

const NODES: usize = 3;
const RESEND_MS: u64 = 40;
/// A command: whose (1 byte), and its number among those (2 bytes).
const COMMAND_BYTES: usize = 3;

#[derive(Clone, Debug)]
enum Event {
    /// A replica submits messages of so many commands.
    Submit(usize, Vec<u8>),
    /// It sends what it has to send.
    Send(usize),
    /// One of the messages under way arrives; it stays under way if it is to arrive again.
    Deliver(prop::sample::Index, bool),
    /// One of them is lost.
    Lose(prop::sample::Index),
    /// A replica that believes that it leads makes a batch of at most so many bytes.
    Propose(usize, usize),
    /// The first batch of the leader is decided.
    Decide,
    /// A replica learns of the next decided batch.
    Learn(usize),
    /// Another leader, or the same one anew, which has so many of the former one's batches.
    Elect(usize, usize),
    /// The process of a replica starts anew.
    Restart(usize),
    /// A replica installs a snapshot of everything that is decided.
    Install(usize),
    /// Time passes.
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let node = || 0..NODES;
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (node(), prop::collection::vec(1..4_u8, 1..4)).prop_map(|(n, c)| Event::Submit(n, c)),
        6 => node().prop_map(Event::Send),
        6 => (index(), any::<bool>()).prop_map(|(i, again)| Event::Deliver(i, again)),
        1 => index().prop_map(Event::Lose),
        4 => (node(), 0..80_usize).prop_map(|(n, bytes)| Event::Propose(n, bytes)),
        4 => Just(Event::Decide),
        6 => node().prop_map(Event::Learn),
        1 => (node(), 0..3_usize).prop_map(|(n, kept)| Event::Elect(n, kept)),
        1 => node().prop_map(Event::Restart),
        1 => node().prop_map(Event::Install),
        2 => (0..60_u64).prop_map(Event::Wait),
    ]
}

/// What is under way between two replicas.
#[derive(Clone, Debug)]
enum Mail {
    Forward(usize, usize, Forward),
    Forwarded(usize, Forwarded),
}

struct Node {
    forwards: Forwards,
    intake: Intake,
    /// The epoch that it believes to lead.
    leads: Option<Epoch>,
    /// How much of the log it has committed.
    learnt: usize,
    /// How many commands this life has submitted.
    submitted: u16,
    /// What it proposed as a leader and has not seen decided.
    proposed: VecDeque<Proposal>,
}

struct World {
    now: Instant,
    nodes: Vec<Node>,
    log: Vec<Batch>,
    leader: usize,
    mail: Vec<Mail>,
    /// By life: how many commands it has submitted, and whether it still runs.
    lives: Vec<(u16, bool)>,
}

fn replica_id(node: usize) -> ReplicaId {
    ReplicaId(u16::try_from(node).expect("few"))
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: Instant(0),
            nodes: Vec::new(),
            log: Vec::new(),
            leader: 0,
            mail: Vec::new(),
            lives: vec![(0, false)],
        };
        for _ in 0..NODES {
            let life = world.new_life();
            world.nodes.push(Node {
                forwards: Forwards::new(life, &Base::default(), RESEND_MS),
                intake: Intake::default(),
                leads: None,
                learnt: 0,
                submitted: 0,
                proposed: VecDeque::new(),
            });
        }
        world.elect(0, 0);
        world
    }

    fn new_life(&mut self) -> Life {
        self.lives.push((0, true));
        Life(u64::try_from(self.lives.len() - 1).expect("few"))
    }

    fn epoch(&self) -> Epoch {
        self.log.last().map_or(Epoch(0), |batch| batch.header.epoch)
    }

    /// The log up to what `node` has committed.
    fn base(&self, node: usize) -> Base {
        let last = self.nodes[node].learnt.checked_sub(1);
        last.map_or_else(Base::default, |last| Base::of(&self.log[last].header))
    }

    fn decide(&mut self, kind: BatchKind, epoch: Epoch, proposal: Proposal) {
        let header = BatchHeader {
            slot: Slot(u64::try_from(self.log.len() + 1).expect("few")),
            origin: Ballot { round: 1, replica: replica_id(self.leader) },
            kind,
            epoch,
            first_zxid: Zxid::new(epoch, 1),
            zxid_count: proposal.zxid_count,
            command_count: proposal.command_count,
            time: WallTime(0),
            previous_hash: 0,
            hash: 0,
        };
        self.log.push(Batch { header, payload: proposal.payload });
    }

    fn elect(&mut self, node: usize, kept: usize) {
        // Whoever leads anew has all of its own log.
        let kept = if node == self.leader { usize::MAX } else { kept };
        let former = &mut self.nodes[self.leader].proposed;
        let kept: Vec<Proposal> = former.drain(..former.len().min(kept)).collect();
        for proposal in kept {
            self.decide(BatchKind::Commands, self.epoch(), proposal);
        }
        self.leader = node;
        let epoch = Epoch(self.epoch().0 + 1);
        let nothing = Proposal { payload: [].into(), command_count: 0, zxid_count: 0 };
        self.decide(BatchKind::NewEpoch, epoch, nothing);
        // The former leader does not know: it goes on until it learns of the epoch.
        self.nodes[node].proposed.clear();
        self.nodes[node].leads = Some(epoch);
        self.nodes[node].intake.lead(Some(epoch));
    }

    fn submit(&mut self, node: usize, counts: &[u8]) {
        let Node { forwards, submitted, .. } = &mut self.nodes[node];
        let life = forwards.life().0;
        for count in counts {
            let mut commands = Commands::default();
            for _ in 0..*count {
                commands.bytes.push(u8::try_from(life).expect("few lives"));
                commands.bytes.extend_from_slice(&submitted.to_be_bytes());
                let end = u32::try_from(commands.bytes.len()).expect("short");
                commands.ends.push(CommandEnd { end, takes_zxid: *submitted % 3 != 0 });
                *submitted += 1;
            }
            forwards.submit(commands);
        }
        self.lives[usize::try_from(life).expect("few")].0 = *submitted;
    }

    fn send(&mut self, node: usize) {
        if let Some((leader, forward)) = self.nodes[node].forwards.to_send(self.now) {
            self.mail.push(Mail::Forward(node, usize::from(leader.0), forward));
        }
    }

    fn deliver(&mut self, mail: Mail) {
        match mail {
            Mail::Forward(from, to, forward) => {
                let answer = self.nodes[to].intake.take(forward);
                self.mail.extend(answer.map(|answer| Mail::Forwarded(from, answer)));
            }
            Mail::Forwarded(to, answer) => {
                self.nodes[to].forwards.acknowledged(answer, self.now);
            }
        }
    }

    fn learn(&mut self, node: usize) {
        let Node { forwards, intake, leads, learnt, proposed, .. } = &mut self.nodes[node];
        let Some(batch) = self.log.get(*learnt) else { return };
        *learnt += 1;
        forwards.committed(batch);
        if leads.is_some_and(|epoch| epoch < batch.header.epoch) {
            *leads = None;
            intake.lead(None);
            proposed.clear();
        }
    }

    fn restart(&mut self, node: usize) {
        let ended = self.nodes[node].forwards.life();
        self.lives[usize::try_from(ended.0).expect("few")].1 = false;
        let (life, base) = (self.new_life(), self.base(node));
        let node = &mut self.nodes[node];
        node.forwards.clear(life, &base);
        node.intake.lead(None);
        (node.leads, node.submitted) = (None, 0);
    }

    fn run(&mut self, event: &Event) {
        match event {
            Event::Submit(node, counts) => self.submit(*node, counts),
            Event::Send(node) => self.send(*node),
            Event::Deliver(index, again) if !self.mail.is_empty() => {
                let index = index.index(self.mail.len());
                let mail = self.mail[index].clone();
                if !again {
                    self.mail.remove(index);
                }
                self.deliver(mail);
            }
            Event::Lose(index) if !self.mail.is_empty() => {
                self.mail.remove(index.index(self.mail.len()));
            }
            Event::Deliver(..) | Event::Lose(_) => {}
            Event::Propose(node, bytes_max) => {
                let node = &mut self.nodes[*node];
                node.proposed.extend(node.intake.take_batch(*bytes_max));
            }
            Event::Decide => {
                if let Some(proposal) = self.nodes[self.leader].proposed.pop_front() {
                    self.decide(BatchKind::Commands, self.epoch(), proposal);
                }
            }
            Event::Learn(node) => self.learn(*node),
            Event::Elect(node, kept) => self.elect(*node, *kept),
            Event::Restart(node) => {
                self.restart(*node);
                if *node == self.leader {
                    self.elect((*node + 1) % NODES, 1);
                }
            }
            Event::Install(node) if *node != self.leader => {
                self.nodes[*node].learnt = self.log.len();
                self.restart(*node);
            }
            Event::Install(_) => {}
            Event::Wait(ms) => self.now = self.now.plus_millis(*ms),
        }
    }

    /// Lets everything happen that has to, and compares.
    fn settle(&mut self) {
        for _ in 0..300 {
            self.now = self.now.plus_millis(RESEND_MS);
            (0..NODES).for_each(|node| self.send(node));
            for mail in core::mem::take(&mut self.mail) {
                self.deliver(mail);
            }
            self.run(&Event::Propose(self.leader, 100));
            self.run(&Event::Decide);
            (0..NODES).for_each(|node| self.learn(node));
        }
        for node in &self.nodes {
            assert_eq!((node.learnt, node.forwards.bytes()), (self.log.len(), 0));
            assert!(node.intake.is_empty());
        }
        let mut committed = vec![0; self.lives.len()];
        for batch in self.log.iter().filter(|batch| batch.header.kind == BatchKind::Commands) {
            let (runs, commands) = decode_runs(&batch.payload).expect("a table of runs");
            let lives = runs.iter().flat_map(|run| {
                iter::repeat_n(run.life.0, usize::try_from(run.command_count).expect("few"))
            });
            let commands = commands.as_chunks::<COMMAND_BYTES>().0;
            assert_eq!(commands.len(), lives.clone().count());
            for ([life, number @ ..], by_table) in commands.iter().zip(lives) {
                assert_eq!(u64::from(*life), by_table, "the table says whose they are");
                let next = &mut committed[usize::from(*life)];
                assert_eq!(u16::from_be_bytes(*number), *next, "once, in order, without a gap");
                *next += 1;
            }
        }
        for (count, (submitted, runs)) in committed.iter().zip(&self.lives) {
            assert!(count == submitted || (!runs && count < submitted), "nothing is forgotten");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn every_command_is_committed_once_in_order(
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut world = World::new();
        for event in &events {
            world.run(event);
        }
        world.settle();
    }
}

fn fixed(text: &[&str]) -> Commands {
    commands(text.iter().copied())
}

fn epoch_of(leader: u16, epoch: u32) -> Batch {
    let mut world = World::new();
    world.leader = usize::from(leader);
    let nothing = Proposal { payload: [].into(), command_count: 0, zxid_count: 0 };
    world.decide(BatchKind::NewEpoch, Epoch(epoch), nothing);
    world.log.pop().expect("just decided")
}

/// A submitter under leader 2 of epoch 1.
fn submitter() -> Forwards {
    let mut forwards = Forwards::new(Life(5), &Base::default(), RESEND_MS);
    forwards.committed(&epoch_of(2, 1));
    forwards
}

fn numbers(forwards: &mut Forwards, at_ms: u64) -> Option<(u64, usize)> {
    let (_, forward) = forwards.to_send(Instant(0).plus_millis(at_ms))?;
    Some((forward.first, forward.commands.len()))
}

fn answer(next: u64) -> Forwarded {
    Forwarded { epoch: Epoch(1), life: Life(5), next }
}

#[test]
fn what_is_not_acknowledged_is_sent_again_although_there_is_always_more() {
    let mut forwards = submitter();
    let mut first_again = None;
    for at_ms in 1..100 {
        forwards.submit(fixed(&["a"]));
        let (first, _) = numbers(&mut forwards, at_ms).expect("there is more");
        if first == 1 && at_ms > 1 {
            first_again = first_again.or(Some(at_ms));
        }
    }
    assert_eq!(first_again, Some(1 + RESEND_MS));
}

#[test]
fn an_answer_gives_the_next_its_time() {
    let mut forwards = submitter();
    forwards.submit(fixed(&["a"]));
    forwards.submit(fixed(&["b"]));
    assert_eq!(numbers(&mut forwards, 0), Some((1, 2)));
    forwards.acknowledged(answer(2), Instant(0).plus_millis(30));
    forwards.acknowledged(answer(1), Instant(0).plus_millis(31));
    assert_eq!(numbers(&mut forwards, 69), None);
    assert_eq!(numbers(&mut forwards, 70), Some((2, 1)));
    // Sent again, and the first time was not in vain.
    forwards.acknowledged(answer(3), Instant(0).plus_millis(71));
    assert_eq!(numbers(&mut forwards, 1000), None, "the leader has all");
    assert_eq!(forwards.bytes(), 2, "and they are not committed");
}

#[test]
fn another_epochs_answer_and_anothers_are_none() {
    let mut forwards = submitter();
    forwards.submit(fixed(&["a"]));
    assert_eq!(numbers(&mut forwards, 0), Some((1, 1)));
    let now = Instant(0).plus_millis(1);
    forwards.acknowledged(Forwarded { epoch: Epoch(2), ..answer(2) }, now);
    forwards.acknowledged(Forwarded { life: Life(6), ..answer(2) }, now);
    assert_eq!(numbers(&mut forwards, RESEND_MS), Some((1, 1)));
}

#[test]
fn no_more_is_under_way_than_may_be() {
    let mut forwards = submitter();
    let half = "x".repeat(FORWARDED_BYTES_MAX / 2);
    for _ in 0..3 {
        forwards.submit(fixed(&[&half]));
    }
    let huge = "y".repeat(FORWARDED_BYTES_MAX + 1);
    forwards.submit(fixed(&[&huge]));
    forwards.submit(fixed(&["z"]));
    assert_eq!(numbers(&mut forwards, 0), Some((1, 2)));
    assert_eq!(numbers(&mut forwards, 1), None);
    forwards.acknowledged(answer(2), Instant(0));
    assert_eq!(numbers(&mut forwards, 1), Some((3, 1)));
    forwards.acknowledged(answer(4), Instant(0));
    assert_eq!(numbers(&mut forwards, 1), Some((4, 1)), "one of any size");
    assert_eq!(numbers(&mut forwards, 1), None);
    forwards.acknowledged(answer(5), Instant(0));
    assert_eq!(numbers(&mut forwards, 1), Some((5, 1)));
}

#[test]
fn commands_that_are_too_many_for_a_message_become_several() {
    let mut forwards = submitter();
    let third = "x".repeat(FORWARDED_BYTES_MAX / 3);
    let huge = "y".repeat(FORWARDED_BYTES_MAX + 1);
    let words = [&third, "~a", &third, &third, &huge, "b"];
    forwards.submit(fixed(&words));
    let mut messages = Vec::new();
    for next in 2.. {
        let Some((_, forward)) = forwards.to_send(Instant(0)) else { break };
        messages.extend(forward.commands);
        forwards.acknowledged(answer(next), Instant(0));
    }
    let expected = [&words[..3], &words[3..4], &words[4..5], &words[5..]];
    assert_eq!(messages, expected.map(|words| Arc::new(fixed(words))));
}

#[test]
fn a_new_leader_gets_what_is_not_committed_from_number_1() {
    let mut forwards = submitter();
    forwards.submit(fixed(&["a", "b"]));
    forwards.submit(fixed(&["ccc", "~d", "ee"]));
    let (leader, forward) = forwards.to_send(Instant(0)).expect("all");
    assert_eq!(leader, ReplicaId(2));
    let mut intake = Intake::default();
    intake.lead(Some(Epoch(1)));
    assert_eq!(intake.take(forward), Some(answer(3)));
    let proposal = intake.take_batch(TABLE + 5).expect("all wait");
    let header = BatchHeader { kind: BatchKind::Commands, ..epoch_of(2, 1).header };
    forwards.committed(&Batch { header, payload: proposal.payload });
    assert_eq!(numbers(&mut forwards, 1000), None, "this leader has the rest");
    forwards.committed(&epoch_of(1, 2));
    let (leader, forward) = forwards.to_send(Instant(0)).expect("the rest");
    assert_eq!((leader, forward.epoch, forward.first), (ReplicaId(1), Epoch(2), 1));
    assert_eq!(forward.commands, [Arc::new(fixed(&["~d", "ee"]))]);
}

#[test]
fn behind_a_snapshot_nothing_is_sent_again_and_the_leader_is_known() {
    let mut forwards = submitter();
    forwards.submit(fixed(&["a"]));
    let base = Base::of(&epoch_of(3, 4).header);
    forwards.clear(Life(6), &base);
    assert_eq!((forwards.bytes(), forwards.to_send(Instant(0))), (0, None));
    forwards.submit(fixed(&["b"]));
    let (leader, forward) = forwards.to_send(Instant(0)).expect("new ones");
    assert_eq!((leader, forward.epoch, forward.life), (ReplicaId(3), Epoch(4), Life(6)));
}

#[test]
fn a_full_leader_takes_no_more_until_it_has_room() {
    let mut intake = Intake::default();
    intake.lead(Some(Epoch(1)));
    let message = Arc::new(fixed(&[&"x".repeat(INTAKE_BYTES_MAX / 2)]));
    let forward = |first, count| {
        let commands = vec![message.clone(); count];
        Forward { epoch: Epoch(1), life: Life(5), first, commands }
    };
    assert_eq!(intake.take(forward(1, 3)), Some(answer(3)));
    assert_eq!(intake.take(forward(3, 1)), Some(answer(3)));
    drop(intake.take_batch(1));
    assert_eq!(intake.take(forward(3, 2)), Some(answer(4)));
    assert_eq!(intake.bytes(), INTAKE_BYTES_MAX);
}

#[test]
fn housekeeping_is_of_its_epoch() {
    let mut intake = Intake::default();
    intake.take_housekeeping(Epoch(1), fixed(&["a"]));
    intake.lead(Some(Epoch(1)));
    intake.take_housekeeping(Epoch(1), fixed(&["b"]));
    intake.take_housekeeping(Epoch(2), fixed(&["c"]));
    let batch = intake.take_batch(100).expect("one waits");
    assert_eq!(content(&batch), (vec![(0, 1)], "b".into()));
    intake.take_housekeeping(Epoch(1), fixed(&["d"]));
    intake.lead(Some(Epoch(2)));
    assert!(intake.is_empty(), "what was found in another epoch is found again");
}

/// What waits at the leader of epoch 2 that was given `forward` and `housekeeping` of epoch 1, with
/// `mutant` broken.
fn waits_of_epoch_1(mutant: Option<Mutant>) -> (bool, bool) {
    set_broken(mutant);
    let mut intake = Intake::default();
    intake.lead(Some(Epoch(2)));
    let commands = || commands(iter::once("a"));
    let (epoch, life) = (Epoch(1), Life(7));
    let forward = Forward { epoch, life, first: 1, commands: vec![Arc::new(commands())] };
    let takes_forward = intake.take(forward).is_some();
    let mut intake = Intake::default();
    intake.lead(Some(Epoch(2)));
    intake.take_housekeeping(epoch, commands());
    set_broken(None);
    (takes_forward, !intake.is_empty())
}

#[test]
fn a_leader_takes_nothing_of_another_epoch() {
    assert_eq!(waits_of_epoch_1(None), (false, false));
    assert_eq!(waits_of_epoch_1(Some(Mutant::ForwardsOfAnyEpoch)), (true, false));
    assert_eq!(waits_of_epoch_1(Some(Mutant::HousekeepingLate)), (false, true));
}
