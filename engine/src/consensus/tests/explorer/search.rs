//! Breadth first through the states of the whole cluster. A state is a few numbers: for each
//! replica its *place* (its own state and the messages that it may still get), the past, and what
//! may still happen.

use std::{boxed::Box, format, println, string::String, time, vec::Vec};

use super::{
    limits::{Cost, Left, Limits, REPLICAS_MAX},
    local::{Event, Locals, Map, NOTHING, Outcome, Step},
    numbered::{Numbered, hash_of},
};
use crate::consensus::{config::Config, tests::world::Node};

/// A state of the cluster.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct State {
    pub(super) places: [u32; REPLICAS_MAX],
    pub(super) past: u32,
    pub(super) left: Left,
}

/// What may happen next at one place.
#[derive(Clone, Copy, Debug)]
struct Move {
    event: Event,
    cost: Cost,
    outcome: Outcome,
}

/// All that may happen next at one place.
struct Expansion {
    /// Messages that are sent when some arrive, and nothing else happens. They are under way as
    /// soon as they could be: whatever is possible without a message is possible with it, because
    /// it may arrive late.
    answers: [u32; REPLICAS_MAX],
    moves: Box<[Move]>,
}

/// A move, and the state that it leads to, or the number of what does not hold then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) replica: usize,
    pub(super) event: Event,
    pub(super) next: Result<State, u32>,
}

pub(super) struct Explorer {
    pub(super) locals: Locals,
    replicas: usize,
    /// A replica's state, and the set of the messages to it.
    places: Numbered<(u32, u32)>,
    /// Place and node: the place with that node instead.
    changed: Map<(u32, u32), u32>,
    /// Place and set: the place with those messages as well.
    grown: Map<(u32, u32), u32>,
    /// Place and past.
    expanded: Map<(u32, u32), u32>,
    expansions: Vec<Expansion>,
    pub(super) states: Numbered<State>,
    pub(super) parents: Vec<u32>,
}

/// What an exploration has seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) states: usize,
    pub(super) depth: usize,
    pub(super) end: End,
    pub(super) elapsed: time::Duration,
}

/// How an exploration ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Exhausted,
    /// As many states as were allowed.
    Enough,
    /// Something did not hold at this event after that state.
    Violation {
        state: u32,
        replica: usize,
        event: Event,
        what: u32,
    },
}

impl Explorer {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            replicas: usize::from(limits.replicas),
            locals: Locals::new(limits),
            places: Numbered::default(),
            changed: Map::default(),
            grown: Map::default(),
            expanded: Map::default(),
            expansions: Vec::new(),
            states: Numbered::default(),
            parents: Vec::new(),
        }
    }

    /// Explores until a violation, the end, or `states_max`. Says where it stands every
    /// `progress`.
    pub(super) fn run(&mut self, states_max: usize, progress: Option<time::Duration>) -> Seen {
        let (start, mut told) = (time::Instant::now(), time::Instant::now());
        self.insert_first();
        let (mut depth, mut layer_end) = (0, 1);
        let (mut next, mut moves) = (0, Vec::new());
        let end = loop {
            if next == layer_end {
                (depth, layer_end) = (depth + 1, self.states.len());
            }
            if next == self.states.len() {
                break End::Exhausted;
            }
            if let Err(violation) = self.expand(u32::try_from(next).unwrap(), &mut moves) {
                break violation;
            }
            if self.states.len() >= states_max {
                break End::Enough;
            }
            next += 1;
            if next % 1024 == 0 && progress.is_some_and(|progress| progress < told.elapsed()) {
                told = time::Instant::now();
                println!("  {} in {:.0?}, depth {depth}: {}", next, start.elapsed(), self.sizes());
            }
        };
        Seen { states: self.states.len(), depth, end, elapsed: start.elapsed() }
    }

    /// How much is in memory.
    pub(super) fn sizes(&self) -> String {
        format!(
            "{} states, {} replica states, {} places, {} expansions",
            self.states.len(),
            self.locals.nodes.len(),
            self.places.len(),
            self.expansions.len(),
        )
    }

    pub(super) fn insert_first(&mut self) {
        let (nodes, past) = self.locals.first();
        let mut places = [0; REPLICAS_MAX];
        for (place, node) in places.iter_mut().zip(nodes) {
            *place = self.places.number((node, NOTHING));
        }
        let left = self.locals.limits.left();
        self.insert(State { places, past, left }, 0);
    }

    pub(super) fn insert(&mut self, state: State, parent: u32) {
        if self.states.insert(state).1 {
            self.parents.push(parent);
        }
    }

    /// The state with this number, if there are so many.
    pub(super) fn state(&self, number: u32) -> Option<State> {
        ((number as usize) < self.states.len()).then(|| *self.states.get(number))
    }

    /// All of a state but the network.
    pub(super) fn view(&self, state: &State) -> u64 {
        let nodes = state.places[..self.replicas].iter().map(|place| self.node(*place));
        let past = self.locals.pasts.get(state.past);
        hash_of(&(nodes.collect::<Vec<_>>(), past, state.left))
    }

    /// Every state that one event leads to.
    fn expand(&mut self, number: u32, moves: &mut Vec<Moved>) -> Result<(), End> {
        let state = *self.states.get(number);
        self.moves(&state, moves);
        for Moved { replica, event, next } in moves.drain(..) {
            match next {
                Ok(next) => self.insert(next, number),
                Err(what) => return Err(End::Violation { state: number, replica, event, what }),
            }
        }
        Ok(())
    }

    /// What may happen in a state, and what it leads to.
    pub(super) fn moves(&mut self, state: &State, moves: &mut Vec<Moved>) {
        for replica in 0..self.replicas {
            let expansion = self.expansion(state.places[replica], state.past);
            for index in 0..self.expansions[expansion].moves.len() {
                let Move { event, cost, outcome } = self.expansions[expansion].moves[index];
                let Some(left) = state.left.spend(cost) else { continue };
                if event != Event::Wipe || self.may_lose(state, replica) {
                    let next = outcome.map(|step| self.after(state, (replica, step), left));
                    moves.push(Moved { replica, event, next });
                }
            }
        }
    }

    /// The state after a step of a replica.
    fn after(&mut self, state: &State, (replica, step): (usize, Step), left: Left) -> State {
        let mut places = state.places;
        places[replica] = self.change(places[replica], step.node);
        self.send(&mut places, step.sent);
        if self.locals.limits.is_reduced {
            self.settle(&mut places, step.past);
        }
        State { places, past: step.past, left }
    }

    /// Sends whatever is sent when messages arrive, and nothing else happens.
    fn settle(&mut self, places: &mut [u32; REPLICAS_MAX], past: u32) {
        loop {
            let before = *places;
            for replica in 0..self.replicas {
                let expansion = self.expansion(places[replica], past);
                let answers = self.expansions[expansion].answers;
                self.send(places, answers);
            }
            if *places == before {
                return;
            }
        }
    }

    fn send(&mut self, places: &mut [u32; REPLICAS_MAX], sent: [u32; REPLICAS_MAX]) {
        for (place, set) in places.iter_mut().zip(sent) {
            if set != NOTHING {
                *place = self.grow(*place, set);
            }
        }
    }

    /// The same messages on their way to another state of the replica.
    fn change(&mut self, place: u32, node: u32) -> u32 {
        let (old, set) = *self.places.get(place);
        if old == node {
            return place;
        }
        if let Some(changed) = self.changed.get(&(place, node)) {
            return *changed;
        }
        let packets = self.locals.sets.get(set).clone();
        let changed = self.place(node, packets);
        self.changed.insert((place, node), changed);
        changed
    }

    /// More messages on their way to the same state of the replica.
    fn grow(&mut self, place: u32, set: u32) -> u32 {
        if let Some(grown) = self.grown.get(&(place, set)) {
            return *grown;
        }
        let (node, own) = *self.places.get(place);
        let [own, more] = [own, set].map(|set| self.locals.sets.get(set).clone());
        let grown = self.place(node, [own, more].concat());
        self.grown.insert((place, set), grown);
        grown
    }

    fn place(&mut self, node: u32, mut packets: Vec<u32>) -> u32 {
        packets.sort_unstable();
        packets.dedup();
        if self.locals.limits.is_reduced {
            packets.retain(|packet| !self.locals.is_dead(node, *packet));
        }
        let set = self.locals.sets.number(packets);
        self.places.number((node, set))
    }

    /// The number of what may happen at `place` after `past`.
    fn expansion(&mut self, place: u32, past: u32) -> usize {
        if let Some(expansion) = self.expanded.get(&(place, past)) {
            return *expansion as usize;
        }
        let (node, set) = *self.places.get(place);
        let (mut moves, mut answers) = (Vec::new(), [NOTHING; REPLICAS_MAX]);
        for packet in self.locals.sets.get(set).clone() {
            let event = Event::Deliver(packet);
            let (cost, outcome) =
                (self.locals.cost_of(packet), self.locals.outcome(node, past, event));
            let is_free = cost == Cost::Free && self.is_reduced();
            match outcome {
                Ok(step) if (step.node, step.past) == (node, past) && is_free => {
                    answers = self.joined(answers, step.sent);
                }
                _ => moves.push(Move { event, cost, outcome }),
            }
        }
        for (event, cost) in self.locals.events(node) {
            let outcome = self.locals.outcome(node, past, event);
            let changes = outcome.is_err()
                || outcome.is_ok_and(|step| {
                    (step.node, step.past) != (node, past) || step.sent != [NOTHING; REPLICAS_MAX]
                });
            if changes {
                moves.push(Move { event, cost, outcome });
            }
        }
        let number = self.expansions.len();
        self.expansions.push(Expansion { answers, moves: moves.into() });
        self.expanded.insert((place, past), u32::try_from(number).unwrap());
        number
    }

    fn is_reduced(&self) -> bool {
        self.locals.limits.is_reduced
    }

    fn joined(
        &mut self,
        one: [u32; REPLICAS_MAX],
        two: [u32; REPLICAS_MAX],
    ) -> [u32; REPLICAS_MAX] {
        let sets = &mut self.locals.sets;
        core::array::from_fn(|replica| {
            let mut packets = [one, two].map(|sent| sets.get(sent[replica]).clone()).concat();
            packets.sort_unstable();
            packets.dedup();
            sets.number(packets)
        })
    }

    /// The state of a replica.
    pub(super) fn node(&self, place: u32) -> &Node {
        self.locals.nodes.get(self.places.get(place).0)
    }

    /// Whether the cluster may lose what this replica has: the others are a quorum of every
    /// configuration that anybody knows.
    fn may_lose(&self, state: &State, replica: usize) -> bool {
        let nodes = || state.places[..self.replicas].iter().map(|place| self.node(*place));
        let lost = self.node(state.places[replica]).voter;
        let has_others = |config: &Config| {
            let have_votes =
                nodes().filter(|node| node.voter != lost && config.has_vote(node.voter));
            config.voters().len() / 2 < have_votes.count()
        };
        nodes().all(|node| {
            let core = node.core.as_ref();
            core.is_some_and(|core| core.log.configs().all(|(_, config)| has_others(config)))
        })
    }

    /// How a state was reached: states and what happened in each, the first one first.
    pub(super) fn path(&mut self, mut number: u32) -> Vec<(usize, Event)> {
        let mut path = Vec::new();
        let mut moves = Vec::new();
        while number != 0 {
            let parent = self.parents[number as usize];
            let [child, state] = [number, parent].map(|number| *self.states.get(number));
            self.moves(&state, &mut moves);
            let taken = moves.drain(..).find(|moved| moved.next == Ok(child));
            let taken = taken.expect("a parent leads to its child");
            path.push((taken.replica, taken.event));
            number = parent;
        }
        path.reverse();
        path
    }
}
