//! The network between servers: messages that are late, lost, repeated and out of order, and links
//! that are down in one direction or both.

use alloc::{vec, vec::Vec};

use super::chance::Chance;
use crate::ids::Instant;

/// One direction of a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Link {
    is_up: bool,
    /// A message takes at least so long.
    delay_ns: u64,
    /// And about so much longer, each by its own: that is what reorders.
    jitter_ns: u64,
    loss_percent: u64,
    repeat_percent: u64,
}

/// All links between so many servers.
#[derive(Clone, Debug)]
pub struct Network {
    chance: Chance,
    count: usize,
    /// From, to.
    links: Vec<Vec<Link>>,
}

/// Who cannot speak to whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Partition {
    /// Everybody hears everybody.
    None,
    /// One hears nobody and nobody hears it.
    Isolated(usize),
    /// One is heard and does not hear, or the other way round.
    OneWay(usize, Direction),
    /// Two sides; which one each is on.
    Split(Vec<bool>),
    /// Everybody hears only this one, which hears all.
    Hub(usize),
    /// In this order, each hears only its neighbours.
    Chain(Vec<usize>),
    /// This one reaches and hears only some.
    Reaches(usize, Vec<bool>),
}

/// Which way is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// It is not heard.
    Mute,
    /// It does not hear.
    Deaf,
}

impl Network {
    /// A network of `count` servers with delays drawn by chance.
    #[must_use]
    pub fn new(count: usize, mut chance: Chance) -> Self {
        let mut network = Self { count, links: Vec::new(), chance: chance.fork() };
        network.calm(&mut chance);
        network
    }

    /// Nothing is lost or repeated, and everybody hears everybody.
    pub fn calm(&mut self, chance: &mut Chance) {
        let mut link = || Link {
            is_up: true,
            delay_ns: chance.between(50_000, 2_000_000),
            jitter_ns: chance.between(10_000, 500_000),
            loss_percent: 0,
            repeat_percent: 0,
        };
        self.links = vec![];
        for _ in 0..self.count {
            self.links.push((0..self.count).map(|_| link()).collect());
        }
    }

    /// All links become as bad as chance has it.
    pub fn disturb(&mut self, chance: &mut Chance) {
        let (loss_max, repeat_max) = (chance.pick(&[0, 5, 30]), chance.pick(&[0, 5, 30]));
        let jitter_max = chance.pick(&[100_000, 5_000_000, 60_000_000]);
        for link in self.links.iter_mut().flatten() {
            link.loss_percent = chance.between(0, loss_max);
            link.repeat_percent = chance.between(0, repeat_max);
            link.jitter_ns = chance.between(10_000, jitter_max);
            // Now and then one link is slow in a way that no timeout forgives.
            if chance.one_in(12) {
                link.delay_ns = chance.between(20_000_000, 400_000_000);
            }
        }
    }

    /// From now on this is who hears whom.
    pub fn partition(&mut self, partition: &Partition) {
        for from in 0..self.count {
            for to in 0..self.count {
                self.links[from][to].is_up = is_up(partition, from, to);
            }
        }
    }

    /// Whether messages get from `from` to `to`.
    #[must_use]
    pub fn is_up(&self, from: usize, to: usize) -> bool {
        self.links[from][to].is_up
    }

    /// When a message that is sent now arrives: never, once, or more than once.
    pub fn send(&mut self, now: Instant, from: usize, to: usize) -> Vec<Instant> {
        let link = self.links[from][to];
        let mut arrivals = Vec::new();
        if !link.is_up || self.chance.percent(link.loss_percent) {
            return arrivals;
        }
        let copies = 1 + usize::from(self.chance.percent(link.repeat_percent));
        for _ in 0..copies {
            let late_ns = self.chance.about(link.jitter_ns);
            arrivals.push(Instant(now.0 + link.delay_ns + late_ns));
        }
        arrivals
    }
}

fn is_up(partition: &Partition, from: usize, to: usize) -> bool {
    match partition {
        Partition::None => true,
        Partition::Isolated(alone) => from != *alone && to != *alone,
        Partition::OneWay(one, Direction::Mute) => from != *one,
        Partition::OneWay(one, Direction::Deaf) => to != *one,
        Partition::Split(sides) => sides[from] == sides[to],
        Partition::Hub(hub) => from == *hub || to == *hub,
        Partition::Chain(order) => {
            let place = |one: usize| order.iter().position(|other| *other == one);
            place(from).zip(place(to)).is_some_and(|(from, to)| from.abs_diff(to) <= 1)
        }
        Partition::Reaches(one, others) => {
            (from != *one || others[to]) && (to != *one || others[from])
        }
    }
}

impl Partition {
    /// A partition of any shape among `count` servers, of which `leader` may lead.
    pub fn any(count: usize, leader: Option<usize>, chance: &mut Chance) -> Self {
        let one = match leader {
            Some(leader) if chance.one_in(2) => leader,
            _ => chance.below(count),
        };
        let sides = |chance: &mut Chance| (0..count).map(|_| chance.one_in(2)).collect();
        match chance.below(7) {
            0 => Self::Isolated(one),
            1 => Self::OneWay(one, Direction::Mute),
            2 => Self::OneWay(one, Direction::Deaf),
            3 => Self::Split(sides(chance)),
            4 => Self::Hub(one),
            5 => {
                let mut order: Vec<usize> = (0..count).collect();
                chance.shuffle(&mut order);
                Self::Chain(order)
            }
            _ => Self::Reaches(one, sides(chance)),
        }
    }
}
