//! An ensemble without consensus: one log, to which a sequencer appends, and servers that apply it
//! late, each in its own time. Clients, latencies, lost connections; and servers that are broken on
//! purpose.

use std::collections::BTreeMap;

use alloc::{sync::Arc, vec, vec::Vec};

use super::{
    super::{Evidence, Findings, Rule, check},
    batch_behind,
};
use crate::{
    batch::{Base, Batch, BatchKind, Commands},
    ids::{Instant, Owner, SessionId, WallTime},
    sim::{
        chance::Chance,
        client::{Client, ClientAct, Options},
        history::History,
        workload::Workload,
    },
    state::{
        State,
        command::{Command, Committed, Op, encode},
    },
};

use super::server::Server;

/// What is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mutant {
    /// An event is not sent.
    SkipsEvent,
    /// An event is sent twice.
    TellsTwice,
    /// Two events in a row change places.
    SwapsEvents,
    /// An event comes behind the reply that it should precede.
    TellsLate,
    /// A watch for one time stays.
    WatchStays,
    /// `setWatches` tells nothing of what was missed.
    RestoresBlindly,
    /// A read sees the State before the writes of its own session that precede it.
    ReadsBeforeOwnWrite,
    /// A read is answered from an old State, which its header says.
    ReadsOldState,
    /// A read is answered from an old State, and its header says otherwise.
    ReadsOldStateAndLies,
    /// A sync does not wait.
    SyncsAtOnce,
    /// A command is in the log twice.
    LogsTwice,
    /// A command does not get into the log.
    LosesCommand,
    /// Two commands of one batch change places.
    SwapsCommands,
    /// The last batches are lost, after they were acknowledged.
    LosesTail,
    /// Somebody else's data is written.
    ChangesData,
    /// Versions are not compared.
    IgnoresVersions,
    /// A server keeps the ephemerals of a session that was closed.
    KeepsEphemerals,
    /// Sessions expire after half their timeout.
    ExpiresEarly,
    /// A client whose session lives is told that it is gone.
    DeniesSession,
    /// A client that has seen more than the server is let in, and answered before the server has
    /// caught up.
    AdmitsAhead,
}

impl Mutant {
    /// The rule that it breaks; it may break others, too.
    pub(super) fn breaks(self) -> Rule {
        match self {
            Self::SkipsEvent
            | Self::TellsTwice
            | Self::SwapsEvents
            | Self::TellsLate
            | Self::WatchStays
            | Self::RestoresBlindly => Rule::Watches,
            Self::ReadsBeforeOwnWrite
            | Self::ReadsOldState
            | Self::ReadsOldStateAndLies
            | Self::AdmitsAhead => Rule::Reads,
            Self::SyncsAtOnce => Rule::Sync,
            Self::LogsTwice | Self::LosesCommand | Self::SwapsCommands | Self::LosesTail => {
                Rule::SessionOrder
            }
            Self::ChangesData => Rule::Replay,
            Self::IgnoresVersions => Rule::Registers,
            Self::KeepsEphemerals | Self::ExpiresEarly | Self::DeniesSession => Rule::Sessions,
        }
    }

    pub(super) const ALL: [Self; 20] = [
        Self::SkipsEvent,
        Self::TellsTwice,
        Self::SwapsEvents,
        Self::TellsLate,
        Self::WatchStays,
        Self::RestoresBlindly,
        Self::ReadsBeforeOwnWrite,
        Self::ReadsOldState,
        Self::ReadsOldStateAndLies,
        Self::SyncsAtOnce,
        Self::LogsTwice,
        Self::LosesCommand,
        Self::SwapsCommands,
        Self::LosesTail,
        Self::ChangesData,
        Self::IgnoresVersions,
        Self::KeepsEphemerals,
        Self::ExpiresEarly,
        Self::DeniesSession,
        Self::AdmitsAhead,
    ];
}

/// What happens at some time. Links are numbered; what comes for one that is gone is dropped.
#[derive(Debug)]
enum Event {
    Connected {
        client: usize,
        link: u64,
    },
    ToServer {
        server: usize,
        link: u64,
        bytes: Vec<u8>,
    },
    ToClient {
        client: usize,
        link: u64,
        bytes: Vec<u8>,
    },
    /// The server learns that a link is gone.
    GoneAtServer {
        server: usize,
        link: u64,
    },
    GoneAtClient {
        client: usize,
        link: u64,
    },
    Forward {
        commands: Vec<Command>,
    },
    Sequence,
    Apply {
        server: usize,
        upto: usize,
    },
    Question {
        server: usize,
        number: u64,
    },
    Index {
        server: usize,
        number: u64,
        slot: usize,
    },
    Tick,
}

/// A client's connection.
#[derive(Clone, Copy, Debug)]
struct Link {
    number: u64,
    server: usize,
    /// When the last thing sent comes in, at the server and at the client: order is kept.
    at_server: Instant,
    at_client: Instant,
}

pub(super) struct Ensemble {
    chance: Chance,
    mutant: Option<Mutant>,
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    event_count: u64,
    link_count: u64,
    clients: Vec<Client>,
    links: Vec<Option<Link>>,
    servers: Vec<Server>,
    log: Vec<Arc<Batch>>,
    decided_at: Vec<Instant>,
    end: Base,
    waiting: Vec<Command>,
    /// Timeout, and when it was heard of last.
    heard: BTreeMap<SessionId, (i32, Instant)>,
    forwarded_until: Vec<Instant>,
}

const TICK_MS: u64 = 200;

impl Ensemble {
    pub(super) fn new(seed: u64, clients: usize, mutant: Option<Mutant>) -> Self {
        let mut chance = Chance::new(seed);
        let servers = 1 + chance.below(4);
        let mut made = Vec::new();
        for index in 0..clients {
            let mut options = Options::draw(&mut chance, servers, 2000);
            // The first ones differ.
            options.workload = *Workload::ALL.get(index).unwrap_or(&options.workload);
            made.push(Client::new(index, chance.fork(), options));
        }
        let mut ensemble = Self {
            mutant,
            now: Instant(1),
            events: BTreeMap::new(),
            event_count: 0,
            link_count: 0,
            links: vec![None; clients],
            clients: made,
            servers: (0..servers).map(|index| Server::new(index, chance.fork(), mutant)).collect(),
            log: Vec::new(),
            decided_at: Vec::new(),
            end: Base::default(),
            waiting: Vec::new(),
            heard: BTreeMap::new(),
            forwarded_until: vec![Instant(0); servers],
            chance,
        };
        ensemble.append(BatchKind::NewEpoch, &Commands::default());
        ensemble.after(TICK_MS, Event::Tick);
        ensemble
    }

    /// Runs for `millis`, and then until everything that was asked is answered.
    pub(super) fn run(&mut self, millis: u64) {
        let until = self.now.plus_millis(millis);
        let end = until.plus_millis(20_000);
        while self.now < until || !self.clients.iter().all(Client::is_idle) {
            assert!(self.now < end || self.mutant.is_some(), "a client is without an answer");
            if self.now >= end {
                return;
            }
            if self.now >= until {
                self.clients.iter_mut().for_each(Client::wind_down);
            }
            let wake = self.clients.iter().filter_map(Client::next_wake).min();
            let first = self.events.first_key_value().map(|((at, _), _)| *at);
            self.now = self.now.max(first.into_iter().chain(wake).min().expect("ticks go on"));
            while let Some(entry) = self.events.first_entry()
                && entry.key().0 <= self.now
            {
                let event = entry.remove();
                self.happen(event);
            }
            for client in 0..self.clients.len() {
                if self.clients[client].next_wake().is_some_and(|at| at <= self.now) {
                    self.poll(client);
                }
            }
        }
    }

    pub(super) fn findings(&self) -> Findings {
        let records = self.clients.iter().map(|client| client.record().clone()).collect();
        let history = History { records };
        let lost = if self.mutant == Some(Mutant::LosesTail) { self.log.len() / 3 } else { 0 };
        let log = &self.log[..self.log.len() - lost];
        let calm = [(Instant(0), self.now)];
        let decided_at = &self.decided_at[..log.len()];
        check(&Evidence { log, history: &history, decided_at, calm: &calm })
    }

    /// The States of all servers, once they have applied the whole log.
    pub(super) fn states(&mut self) -> impl Iterator<Item = &State> {
        for server in &mut self.servers {
            server.apply_upto(&self.log, self.log.len());
        }
        self.servers.iter().map(|server| &server.state)
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.event_count += 1;
        self.events.insert((at.max(self.now), self.event_count), event);
    }

    fn after(&mut self, millis: u64, event: Event) {
        self.at(self.now.plus_millis(millis), event);
    }

    /// A few milliseconds, sometimes more.
    fn latency(&mut self) -> Instant {
        let slow = if self.chance.one_in(20) { 50 } else { 1 };
        Instant(self.now.0 + 100_000 + self.chance.draw() % (3_000_000 * slow))
    }

    fn link(&self, client: usize, link: u64) -> Option<Link> {
        self.links[client].filter(|found| found.number == link)
    }

    fn poll(&mut self, client: usize) {
        for act in self.clients[client].poll(self.now) {
            match act {
                ClientAct::Connect(server) => {
                    self.link_count += 1;
                    let number = self.link_count;
                    let (at_server, at_client) = (self.now, self.now);
                    self.links[client] = Some(Link { number, server, at_server, at_client });
                    let at = self.latency();
                    self.at(at, Event::Connected { client, link: number });
                }
                ClientAct::Send(bytes) => {
                    let at = self.latency();
                    let Some(link) = &mut self.links[client] else { continue };
                    link.at_server = at.max(link.at_server);
                    let (at, server, link) = (link.at_server, link.server, link.number);
                    self.at(at, Event::ToServer { server, link, bytes });
                }
                ClientAct::Close => self.cut(client, false),
            }
        }
    }

    /// A link breaks: both ends learn of it in their own time.
    fn cut(&mut self, client: usize, tells_client: bool) {
        let Some(link) = self.links[client].take() else { return };
        let at = self.latency().max(link.at_server);
        let number = link.number;
        self.at(at, Event::GoneAtServer { server: link.server, link: number });
        if tells_client {
            self.clients[client].on_closed(self.now);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Connected { client, link } => {
                if let Some(found) = self.link(client, link) {
                    self.servers[found.server].welcome(link, client);
                    self.clients[client].on_connected(self.now);
                    self.poll(client);
                }
            }
            Event::ToServer { server, link, bytes } => {
                if let Some(session) = self.servers[server].session_of(link)
                    && let Some(heard) = self.heard.get_mut(&session)
                {
                    heard.1 = self.now;
                }
                self.servers[server].receive(link, bytes);
                self.flush(server);
            }
            Event::ToClient { client, link, bytes } => {
                if self.link(client, link).is_some() {
                    self.clients[client].on_frame(self.now, &bytes);
                    self.poll(client);
                }
            }
            Event::GoneAtServer { server, link } => self.servers[server].forget(link),
            Event::GoneAtClient { client, link } => {
                if self.link(client, link).is_some() {
                    self.links[client] = None;
                    self.clients[client].on_closed(self.now);
                }
            }
            Event::Forward { mut commands } => {
                if self.waiting.is_empty() {
                    let wait_ms = self.chance.below(5) as u64;
                    self.after(wait_ms, Event::Sequence);
                }
                self.waiting.append(&mut commands);
            }
            Event::Sequence => self.sequence(),
            Event::Apply { server, upto } => {
                self.servers[server].apply_upto(&self.log, upto);
                self.flush(server);
            }
            Event::Question { server, number } => {
                let at = self.latency();
                let slot = self.log.len();
                self.at(at, Event::Index { server, number, slot });
            }
            Event::Index { server, number, slot } => {
                self.servers[server].note_index(number, slot);
                self.flush(server);
            }
            Event::Tick => self.tick(),
        }
    }

    /// Sends what a server has for others.
    fn flush(&mut self, server: usize) {
        let commands = core::mem::take(&mut self.servers[server].commands);
        if !commands.is_empty() {
            // A server's commands keep their order.
            let at = self.latency().max(self.forwarded_until[server]);
            self.forwarded_until[server] = at;
            self.at(at, Event::Forward { commands });
        }
        for number in core::mem::take(&mut self.servers[server].questions) {
            let at = self.latency();
            self.at(at, Event::Question { server, number });
        }
        for (number, client, bytes) in self.servers[server].take_output() {
            let at = self.latency();
            if let Some(link) = &mut self.links[client]
                && link.number == number
            {
                link.at_client = at.max(link.at_client);
                let at = link.at_client;
                self.at(at, Event::ToClient { client, link: number, bytes });
            }
        }
        for (number, client) in core::mem::take(&mut self.servers[server].ended) {
            let at = self.links[client].map_or(self.now, |link| link.at_client);
            self.at(at, Event::GoneAtClient { client, link: number });
        }
    }

    fn tick(&mut self) {
        self.after(TICK_MS, Event::Tick);
        let half = self.mutant == Some(Mutant::ExpiresEarly);
        let mut due = Vec::new();
        for (session, (timeout_ms, heard)) in &self.heard {
            let timeout_ms = u64::try_from(*timeout_ms).unwrap() / if half { 5 } else { 1 };
            if heard.plus_millis(timeout_ms) < self.now {
                due.push(Command::housekeeping(*session, Op::CloseSession));
            }
        }
        for command in &due {
            self.heard.remove(&command.session);
        }
        let state = &self.servers[0].state;
        let wall = wall(self.now);
        let reaped = state.containers_due(wall, 0).into_iter().chain(state.ttl_due(wall));
        due.extend(
            reaped.map(|path| Command::housekeeping(SessionId(0), Op::DeleteContainer { path })),
        );
        if !due.is_empty() {
            self.happen(Event::Forward { commands: due });
        }
        if self.chance.one_in(4) {
            let client = self.chance.below(self.clients.len());
            self.cut(client, true);
        }
    }

    fn sequence(&mut self) {
        let mut commands = core::mem::take(&mut self.waiting);
        if self.chance.one_in(30) {
            self.append(BatchKind::NewEpoch, &Commands::default());
        }
        self.tamper(&mut commands);
        let mut encoded = Commands::default();
        commands.iter().for_each(|command| encode(command, &mut encoded));
        self.append(BatchKind::Commands, &encoded);
    }

    fn tamper(&mut self, commands: &mut Vec<Command>) {
        let is_of_client = |command: &Command| {
            command.owner != Owner(0)
                && !matches!(command.op, Op::CreateSession { .. } | Op::AttachSession { .. })
        };
        let last = commands.len() - 1;
        match self.mutant {
            Some(Mutant::LogsTwice) if self.chance.one_in(10) && is_of_client(&commands[last]) => {
                commands.push(commands[last].clone());
            }
            Some(Mutant::LosesCommand) if is_of_client(&commands[0]) && self.chance.one_in(10) => {
                commands.remove(0);
            }
            Some(Mutant::SwapsCommands)
                if last > 0 && commands[0].session == commands[1].session =>
            {
                commands.swap(0, 1);
            }
            Some(Mutant::ChangesData | Mutant::IgnoresVersions) => {
                let is_data = self.mutant == Some(Mutant::ChangesData);
                for command in commands {
                    if let Op::SetData { data, version, .. } = &mut command.op {
                        if is_data {
                            *data = None;
                        } else {
                            *version = -1;
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn append(&mut self, kind: BatchKind, commands: &Commands) {
        let batch = batch_behind(&self.end, kind, wall(self.now), commands);
        self.end = Base::of(&batch.header);
        self.note_sessions(&batch);
        self.log.push(batch);
        self.decided_at.push(self.now);
        let upto = self.log.len();
        for server in 0..self.servers.len() {
            let mut at = self.latency();
            if self.chance.one_in(30) {
                at = at.plus_millis(self.chance.below(800) as u64);
            }
            self.at(at, Event::Apply { server, upto });
        }
    }

    /// The leader's timers start when a session does.
    fn note_sessions(&mut self, batch: &Batch) {
        let committed = Committed::decode(batch).unwrap();
        for command in &committed.commands {
            match command.op {
                Op::CreateSession { timeout_ms, .. } => {
                    self.heard.insert(command.session, (timeout_ms, self.now));
                }
                Op::AttachSession { .. } => {
                    if let Some(heard) = self.heard.get_mut(&command.session) {
                        heard.1 = self.now;
                    }
                }
                Op::CloseSession => drop(self.heard.remove(&command.session)),
                _ => {}
            }
        }
    }
}

fn wall(now: Instant) -> WallTime {
    WallTime(1_000_000 + i64::try_from(now.0 / 1_000_000).unwrap())
}
