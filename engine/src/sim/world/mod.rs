//! A world: machines with disks and clocks, clients, what goes wrong, and the order of it all.
//!
//! Everything that happens is an event at a virtual time; events of one time happen in the order in
//! which they were planned. A run has two parts: first things go wrong, then everything heals, and
//! what clients ask must be answered within a bound.

mod connections;
mod faulty;
mod knobs;
mod links;
mod machine;

pub use self::knobs::{Knobs, VOTERS_MAX};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use self::{connections::Connections, machine::Machine};
use super::{
    chance::Chance,
    check::{
        history::{Counts, Evidence, Violation, check},
        invariants::Invariants,
    },
    client::{Client, ClientAct},
    coverage::Coverage,
    faults::{Death, FaultKind},
    history::History,
    network::Network,
    observer::Observer,
    server::connection::ConnectionId,
    trace::{Sink, Trace},
};
use crate::{
    ids::{Epoch, Instant, ReplicaId},
    replica::Config,
};

/// What is asked of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything else.
    pub seed: u64,
    /// What may go wrong.
    pub faults: Vec<FaultKind>,
    /// Where the trace goes.
    pub sink: Option<Sink>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was met.
    pub coverage: Coverage,
    /// What the history's checks have looked at.
    pub counts: Counts,
    /// The rules that clients saw broken.
    pub violations: Vec<Violation>,
    /// Steps of replicas.
    pub steps: u64,
    /// Virtual time.
    pub took: Instant,
    /// Decided batches.
    pub batches: usize,
    /// Stands for everything that happened.
    pub fingerprint: u64,
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A server's turn, unless another process runs there by now.
    Turn(usize, u64),
    /// A machine starts its server.
    Start(usize),
    /// A client looks around.
    Client(usize),
    /// A connection reaches its server.
    Arrives(ConnectionId),
    /// A server's machine has taken a connection.
    Accepted(ConnectionId),
    ToServer(ConnectionId, Vec<u8>),
    ToClient(ConnectionId, Vec<u8>),
    /// The client has closed it.
    ClosedByClient(ConnectionId),
    /// The server has, or its process is gone.
    ClosedByServer(ConnectionId),
    /// A message reaches a machine.
    Packet(Vec<u8>),
    /// A machine learns that the other one has closed their link.
    LinkClosed(usize, ReplicaId),
    /// Something goes wrong.
    Fault,
    /// A server is killed.
    Kill(usize),
    /// The network is whole again.
    NetworkHeals,
}

/// A run under way.
pub(super) struct World {
    now: Instant,
    chance: Chance,
    knobs: Knobs,
    faults: Vec<FaultKind>,
    /// By time, then in the order in which they were planned.
    events: BTreeMap<(Instant, u64), Event>,
    event_count: u64,
    machines: Vec<Machine>,
    network: Network,
    clients: Vec<Client>,
    /// The wake-up that is planned for each client.
    client_wakes: Vec<Option<Instant>>,
    connections: Connections,
    observer: Observer,
    /// The members that were asked for last, and the epoch of the leader that was asked.
    asked_members: Option<(Epoch, Config)>,
    /// From when on nothing goes wrong any more.
    heals_at: Instant,
    is_healing: bool,
    steps: u64,
    /// From when on nothing has gone wrong until now.
    calm_since: Instant,
    calm: Vec<(Instant, Instant)>,
}

/// After everything has healed, clients must have been answered within this.
const PATIENCE_MS: u64 = 60_000;

/// Runs a seed.
///
/// # Panics
///
/// When an invariant is broken, or nothing goes on after everything has healed.
#[must_use]
pub fn run(options: &Options) -> Report {
    let mut world = World::new(options);
    world.play();
    world.report()
}

impl World {
    fn new(options: &Options) -> Self {
        let chance = Chance::new(options.seed);
        let knobs = Knobs::draw(&mut chance.purpose("knobs", 0));
        let mut observer = Observer {
            now: Instant(0),
            invariants: Invariants::new(knobs.window),
            coverage: Coverage::default(),
            trace: Trace::new(options.sink),
        };
        observer.note(&"world", format_args!("seed {}: {knobs:?}", options.seed));
        let machines = (0..knobs.voters + knobs.observers)
            .map(|index| Machine::new(index, &knobs, &chance))
            .collect();
        let clients: Vec<Client> = (0..knobs.clients)
            .map(|id| {
                let number = u64::try_from(id).expect("64 bits");
                let options = knobs.client(id, &mut chance.purpose("client options", number));
                Client::new(id, chance.purpose("client", number), options)
            })
            .collect();
        Self {
            now: Instant(0),
            network: Network::new(knobs.voters + knobs.observers, chance.purpose("network", 0)),
            faults: options.faults.clone(),
            events: BTreeMap::new(),
            event_count: 0,
            machines,
            client_wakes: clients.iter().map(|_| None).collect(),
            clients,
            connections: Connections::new(chance.purpose("connections", 0)),
            observer,
            asked_members: None,
            heals_at: Instant(0).plus_millis(knobs.trouble_ms),
            is_healing: false,
            steps: 0,
            calm_since: Instant(0),
            calm: Vec::new(),
            knobs,
            chance: chance.purpose("world", 0),
        }
    }

    fn play(&mut self) {
        for machine in 0..self.machines.len() {
            let delay_ns = self.chance.up_to(300_000_000);
            self.plan(Instant(delay_ns), Event::Start(machine));
        }
        for client in 0..self.clients.len() {
            self.plan_client(client);
        }
        if !self.faults.is_empty() {
            self.plan_fault();
        }
        let end = self.heals_at.plus_millis(PATIENCE_MS);
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            self.observer.now = at;
            if !self.is_healing && self.heals_at <= at {
                self.heal();
            }
            self.happen(event);
            if self.is_over() {
                return;
            }
            assert!(at < end, "liveness: {}", self.what_waits());
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Turn(machine, process) => self.turn(machine, process),
            Event::Start(machine) => self.start(machine),
            Event::Client(client) => {
                // Another one was planned for an earlier time, and has been.
                if self.client_wakes[client] == Some(self.now) {
                    self.client_wakes[client] = None;
                    self.poll_client(client);
                }
            }
            Event::Arrives(id) => self.connection_arrives(id),
            Event::Accepted(id) => self.connection_accepted(id),
            Event::ToServer(id, bytes) => self.bytes_to_server(id, &bytes),
            Event::ToClient(id, bytes) => self.bytes_to_client(id, &bytes),
            Event::ClosedByClient(id) => self.closed_by_client(id),
            Event::ClosedByServer(id) => self.closed_by_server(id),
            Event::Packet(frame) => self.packet_arrives(&frame),
            Event::LinkClosed(machine, peer) => self.link_closed(machine, peer),
            Event::Fault => self.fault(),
            Event::Kill(machine) => {
                if self.machines[machine].process.is_some() {
                    self.die(machine, Death::Kill);
                }
            }
            Event::NetworkHeals => self.heal_network(),
        }
    }

    /// Has something happen later.
    fn plan(&mut self, at: Instant, event: Event) {
        self.event_count += 1;
        self.events.insert((at.max(self.now), self.event_count), event);
    }

    // Clients.

    fn plan_client(&mut self, client: usize) {
        let Some(wake) = self.clients[client].next_wake() else { return };
        let wake = wake.max(self.now);
        if self.client_wakes[client].is_none_or(|planned| wake < planned) {
            self.client_wakes[client] = Some(wake);
            self.plan(wake, Event::Client(client));
        }
    }

    fn poll_client(&mut self, client: usize) {
        for act in self.clients[client].poll(self.now) {
            match act {
                ClientAct::Connect(server) => self.connect(client, server),
                ClientAct::Send(bytes) => self.send_to_server(client, bytes),
                ClientAct::Close => self.close_by_client(client),
            }
        }
        self.plan_client(client);
    }

    // The end.

    fn heal(&mut self) {
        self.is_healing = true;
        self.observer.note(&"world", format_args!("heals"));
        self.heal_network();
        self.connections.heal();
        for machine in &mut self.machines {
            machine.disk.calm();
        }
        for client in &mut self.clients {
            client.wind_down();
        }
    }

    /// Whether everybody has what they asked for, and everybody has the same.
    fn is_over(&self) -> bool {
        if !self.is_healing || self.now < self.heals_at.plus_millis(self.knobs.calm_ms) {
            return false;
        }
        self.machines.iter().all(|machine| machine.is_refusing())
            || (self.clients.iter().all(Client::is_idle) && self.are_servers_level())
    }

    fn are_servers_level(&self) -> bool {
        let decided = self.observer.invariants.decided().len();
        let mut machines = self.machines.iter();
        machines.all(|machine| {
            let applied = machine.process.as_ref().map(|process| process.state().applied().slot.0);
            machine.is_refusing() || applied.is_some_and(|slot| slot == decided as u64)
        })
    }

    fn what_waits(&self) -> String {
        let clients: Vec<usize> =
            (0..self.clients.len()).filter(|client| !self.clients[*client].is_idle()).collect();
        let machines: Vec<String> = self.machines.iter().map(Machine::describe).collect();
        let decided = self.observer.invariants.decided().len();
        format!("clients {clients:?} have no answer; {decided} decided; servers: {machines:?}")
    }

    fn report(mut self) -> Report {
        self.final_checks();
        let records = self.clients.iter().map(|client| client.record().clone()).collect();
        let history = History { records };
        let invariants = &self.observer.invariants;
        let findings = check(&Evidence {
            log: invariants.decided(),
            history: &history,
            decided_at: invariants.decided_at(),
            calm: &self.calm,
        });
        Report {
            counts: findings.counts,
            violations: findings.violations,
            steps: self.steps,
            took: self.now,
            batches: invariants.decided().len(),
            fingerprint: self.observer.trace.fingerprint(),
            coverage: self.observer.coverage,
        }
    }

    /// Something goes wrong, or is under way: what is calm ends here and starts anew later.
    fn note_trouble(&mut self, until: Instant) {
        if self.calm_since < self.now {
            self.calm.push((self.calm_since, self.now));
        }
        self.calm_since = self.calm_since.max(until);
    }
}

/// A map with the number of each place.
type ByConnection<T> = BTreeMap<ConnectionId, T>;
