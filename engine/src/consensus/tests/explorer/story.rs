//! How a violation comes about, told in lines like those of `stories`: the schedule happens again,
//! to a whole world, without any of the explorer's short cuts.

use std::{format, panic, string::String, vec::Vec};

use alloc::{collections::BTreeSet, sync::Arc};

use super::{
    local::{Event, Locals, forget, happen},
    search::{End, Explorer},
};
use crate::{
    batch::Batch,
    consensus::{
        message::{LogEnd, Message, Offer},
        tests::world::{Packet, World},
    },
    ids::Ballot,
};

/// A message that arrived, changed nothing, and was answered.
struct Answered {
    /// Before this event of the path.
    before: usize,
    packet: Arc<Packet>,
    answers: Vec<u64>,
}

/// The schedule that ends in a violation; nothing if there is none.
pub(super) fn tell(explorer: &mut Explorer, end: End) -> String {
    let End::Violation { state, replica, event, what } = end else { return String::new() };
    let mut path = explorer.path(state);
    path.push((replica, event));
    let locals = &explorer.locals;
    let answered = replay(locals, &path);
    let mut needed = BTreeSet::new();
    for (_, event) in &path {
        if let Event::Deliver(packet) = event {
            needed.insert(locals.packets.get(*packet).key);
        }
    }
    let mut lines = Vec::new();
    let mut answered = answered.into_iter().rev().peekable();
    for (number, (replica, event)) in path.iter().enumerate().rev() {
        lines.push(line(locals, *replica, *event));
        while let Some(answer) = answered.next_if(|answer| answer.before >= number) {
            if answer.answers.iter().any(|key| needed.contains(key)) {
                needed.insert(answer.packet.key);
                lines.push(format!("deliver {}", describe(&answer.packet)));
            }
        }
    }
    lines.reverse();
    lines.push(locals.violations[what as usize].clone());
    lines.join("\n")
}

/// Lets the path happen, and every message beside it that is answered and changes nothing else.
fn replay(locals: &Locals, path: &[(usize, Event)]) -> Vec<Answered> {
    let mut world = World::new(locals.limits.plan());
    let mut answered = Vec::new();
    for (before, (replica, event)) in path.iter().enumerate() {
        if before > 0 {
            while let Some(answer) = answer_one(locals, &mut world, before) {
                answered.push(answer);
            }
        }
        let act = panic::AssertUnwindSafe(|| {
            happen(&locals.limits, &locals.packets, &mut world, (*replica, *event));
        });
        let outcome = panic::catch_unwind(act);
        assert_eq!(outcome.is_err(), before + 1 == path.len(), "only the last event fails");
    }
    answered
}

fn answer_one(locals: &Locals, world: &mut World, before: usize) -> Option<Answered> {
    for packet in world.network.clone() {
        let index = usize::from(packet.to.id.0) - 1;
        if locals.limits.loses(&packet.message) {
            continue;
        }
        let mut next = world.clone();
        let act = panic::AssertUnwindSafe(|| {
            next.deliver(&packet);
            forget(&mut next, index);
        });
        let is_silent = panic::catch_unwind(act).is_err()
            || next.nodes[index] != world.nodes[index]
            || next.decided != world.decided
            || next.network == world.network;
        if !is_silent {
            let is_new = |packet: &&Arc<Packet>| !world.network.contains(packet);
            let answers = next.network.iter().filter(is_new).map(|packet| packet.key).collect();
            *world = next;
            return Some(Answered { before, packet, answers });
        }
    }
    None
}

pub(super) fn line(locals: &Locals, replica: usize, event: Event) -> String {
    let who = replica + 1;
    match event {
        Event::Deliver(packet) => format!("deliver {}", describe(locals.packets.get(packet))),
        Event::Flush => format!("flush {who}, one record"),
        Event::Campaign => format!("campaign {who}"),
        Event::Propose => format!("propose {who}"),
        Event::Heartbeat => format!("heartbeat {who}"),
        Event::Crash(kept) => format!("crash {who}, {kept} more records are kept"),
        Event::Snapshot => format!("snapshot {who}"),
        Event::Install => format!("install {who}"),
        Event::Read => format!("read {who}"),
        Event::Reconfigure(number) => {
            format!("reconfigure {who}: voters {:?}", locals.limits.wanted(number))
        }
        Event::Wipe => format!("wipe {who}"),
        Event::Ask(_) => format!("learn {who}"),
        Event::Tend => format!("admit {who}"),
        Event::Form => format!("form {who}"),
    }
}

fn ballot(ballot: Ballot) -> String {
    format!("{}.{}", ballot.round, ballot.replica.0)
}

fn place(end: LogEnd) -> String {
    format!("{}@{}", end.slot.0, ballot(end.origin))
}

fn list(batches: &[Arc<Batch>]) -> String {
    let places = batches.iter().map(|batch| {
        let origin = ballot(batch.header.origin);
        format!("{:?} {}@{origin}", batch.header.kind, batch.header.slot.0)
    });
    format!("[{}]", places.collect::<Vec<_>>().join(", "))
}

fn describe(packet: &Packet) -> String {
    let link = format!("{}>{}", packet.from.id.0, packet.to.id.0);
    let text = match &packet.message {
        Message::Prepare { ballot: b, end, commit } => {
            format!("Prepare {}, log ends {}, decided {}", ballot(*b), place(*end), commit.0)
        }
        Message::Promise { ballot: b, end, commit, tail } => {
            let (end, tail) = (place(*end), list(tail));
            format!("Promise {}, log ends {end}, decided {}, {tail}", ballot(*b), commit.0)
        }
        Message::Reject { promised, commit } => {
            format!("Reject, promised {}, decided {}", ballot(*promised), commit.0)
        }
        Message::Accept { ballot: b, previous, batches, commit } => {
            let (previous, batches) = (place(*previous), list(batches));
            format!("Accept {} after {previous} {batches}, decided {}", ballot(*b), commit.0)
        }
        Message::Accepted { ballot: b, stored } => {
            format!("Accepted {} up to {}", ballot(*b), stored.0)
        }
        Message::Mismatch { ballot: b, commit } => {
            format!("Mismatch {}, decided {}", ballot(*b), commit.0)
        }
        Message::Commit { ballot: b, commit } => {
            format!("Commit {} up to {}", ballot(*b), commit.0)
        }
        Message::Heartbeat { ballot: b, commit, round, .. } => {
            format!("Heartbeat {} number {round}, decided {}", ballot(*b), commit.0)
        }
        Message::HeartbeatAck { ballot: b, round, commit, .. } => {
            format!("HeartbeatAck {} number {round}, decided {}", ballot(*b), commit.0)
        }
        Message::Fetch { first } => format!("Fetch from {}", first.0),
        Message::Fetched { ballot: b, batches, commit } => {
            format!("Fetched {} {}, decided {}", ballot(*b), list(batches), commit.0)
        }
        Message::Offer(Offer { ballot: b, base, .. }) => {
            format!("Offer {} of a snapshot of {}", ballot(*b), place(LogEnd::of(base)))
        }
        other @ (Message::PreVote { .. }
        | Message::PreVoteAnswer { .. }
        | Message::TakeOver { .. }
        | Message::Newcomer { .. }
        | Message::AskRead { .. }
        | Message::ReadAnswer { .. }) => format!("{other:?}"),
    };
    format!("{link} {text}")
}
