//! What may happen in an exploration, and how often.
//!
//! A replica's own campaigns are counted for it alone, because ids decide between ballots of a
//! round: replicas cannot be renamed at will. But a schedule in which two of three campaign is,
//! renamed so that their order stays, one in which 1 and 2 do, whoever they were: nothing depends
//! on the id of a replica that never campaigns. So `[2, 1, 0]` and `[1, 2, 0]` are all there is to
//! three campaigns by two replicas, and `[1, 1, 1]` to those by three.
//!
//! Not tried, because campaigns at any time say it all: pre-votes, `TakeOver` and time.

use alloc::vec::Vec;

use super::super::world::Plan;
use crate::consensus::{Bounds, message::Message};

/// Most replicas of an exploration.
pub(super) const REPLICAS_MAX: usize = 5;

/// What is counted. Campaigns come first, one count per replica.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Cost {
    Free,
    Campaign(u8),
    Propose,
    Heartbeat,
    Crash,
    Snapshot,
    Read,
    Reconfigure,
    Wipe,
    Ask,
    Tend,
    /// A question of another replica arrives at a leader, which may start another heartbeat: it
    /// must not arrive for ever.
    Question,
}

impl Cost {
    fn place(self) -> Option<usize> {
        let place = match self {
            Self::Free => return None,
            Self::Campaign(index) => usize::from(index),
            Self::Propose => REPLICAS_MAX,
            Self::Heartbeat => REPLICAS_MAX + 1,
            Self::Crash => REPLICAS_MAX + 2,
            Self::Snapshot => REPLICAS_MAX + 3,
            Self::Read => REPLICAS_MAX + 4,
            Self::Reconfigure => REPLICAS_MAX + 5,
            Self::Wipe => REPLICAS_MAX + 6,
            Self::Ask => REPLICAS_MAX + 7,
            Self::Tend => REPLICAS_MAX + 8,
            Self::Question => REPLICAS_MAX + 9,
        };
        Some(place)
    }
}

/// What is left of all counts: four bits each.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Left(u64);

impl Left {
    fn with(self, cost: Cost, count: u8) -> Self {
        assert!(count < 16, "four bits each");
        Self(self.0 | u64::from(count) << (4 * cost.place().unwrap()))
    }

    pub(super) fn count(self, cost: Cost) -> u64 {
        cost.place().map_or(1, |place| self.0 >> (4 * place) & 15)
    }

    /// What is left after an event of this cost; `None` if it may not happen any more.
    pub(super) fn spend(self, cost: Cost) -> Option<Self> {
        let Some(place) = cost.place() else { return Some(self) };
        (self.count(cost) > 0).then(|| Self(self.0 - (1 << (4 * place))))
    }
}

/// The bounds of an exploration.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) name: &'static str,
    pub(super) replicas: u16,
    /// How many of them vote at first. 0: they must form the cluster.
    pub(super) voters: u16,
    pub(super) window: usize,
    /// Decided batches that stay in memory.
    pub(super) kept: usize,
    /// R11.
    pub(super) all_to_all: bool,
    /// How often each replica may campaign.
    pub(super) campaigns: [u8; REPLICAS_MAX],
    /// Batches of commands; every ballot has its own first batch besides.
    pub(super) proposals: u8,
    pub(super) heartbeats: u8,
    pub(super) crashes: u8,
    pub(super) snapshots: u8,
    pub(super) reads: u8,
    pub(super) reconfigurations: u8,
    /// What voters a leader may propose.
    pub(super) wanted: &'static [&'static [u16]],
    pub(super) wipes: u8,
    /// How often a replica without a vote asks.
    pub(super) asks: u8,
    /// How often a leader looks whether somebody must be admitted.
    pub(super) tends: u8,
    /// Disks so fast that no step begins before everything is flushed. Otherwise each record takes
    /// an event of its own.
    pub(super) has_fast_disks: bool,
    /// Otherwise the network loses each `Reject`.
    pub(super) has_rejects: bool,
    /// Whether the reductions of the network are made. A test does without.
    pub(super) is_reduced: bool,
}

/// Three voters with a leader and nothing else.
pub(super) const ONE_LEADER: Limits = Limits {
    name: "one leader",
    replicas: 3,
    voters: 3,
    window: 2,
    kept: 8,
    all_to_all: false,
    campaigns: [1, 0, 0, 0, 0],
    proposals: 0,
    heartbeats: 0,
    crashes: 0,
    snapshots: 0,
    reads: 0,
    reconfigurations: 0,
    wanted: &[],
    wipes: 0,
    asks: 0,
    tends: 0,
    has_fast_disks: false,
    has_rejects: false,
    is_reduced: true,
};

impl Limits {
    pub(super) fn plan(&self) -> Plan {
        let mut plan = Plan { is_set: true, voters: self.voters, ..Plan::of(self.replicas) };
        plan.settings.bounds = Bounds {
            window_slots_max: self.window,
            kept_slots_max: self.kept,
            message_bytes_max: 0,
            ..Bounds::default()
        };
        plan.settings.all_to_all = self.all_to_all;
        plan
    }

    pub(super) fn left(&self) -> Left {
        let mut left = Left::default();
        for (index, count) in (0..).zip(self.campaigns) {
            left = left.with(Cost::Campaign(index), count);
        }
        let counts = [
            (Cost::Propose, self.proposals),
            (Cost::Heartbeat, self.heartbeats),
            (Cost::Crash, self.crashes),
            (Cost::Snapshot, self.snapshots),
            (Cost::Read, self.reads),
            (Cost::Reconfigure, self.reconfigurations),
            (Cost::Wipe, self.wipes),
            (Cost::Ask, self.asks),
            (Cost::Tend, self.tends),
            // One of them arrives twice.
            (Cost::Question, if self.reads > 0 { self.reads + 1 } else { 0 }),
        ];
        counts.into_iter().fold(left, |left, (cost, count)| left.with(cost, count))
    }

    /// Whether the network loses each of these.
    pub(super) fn loses(&self, message: &Message) -> bool {
        matches!(message, Message::Reject { .. }) && !self.has_rejects
    }

    /// The voters that a leader may be told to propose.
    pub(super) fn wanted(&self, number: u8) -> Vec<u16> {
        self.wanted[usize::from(number)].to_vec()
    }
}
