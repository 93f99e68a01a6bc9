//! Connections of clients to servers: in order, while they carry anything at all.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{ByConnection, Event, World};
use crate::{
    ids::Instant,
    sim::{
        chance::Chance,
        faults::Death,
        server::{Effects, connection::ConnectionId},
    },
};

/// A connection, or the attempt to make one.
#[derive(Clone, Copy, Debug)]
struct Connection {
    client: usize,
    server: usize,
    /// Which of the server's processes has it.
    process: u64,
    /// Nothing gets through any more, and nobody is told.
    is_dead: bool,
    /// What came last to each side: order is kept.
    to_server: Instant,
    to_client: Instant,
}

/// All of them.
pub(super) struct Connections {
    chance: Chance,
    all: ByConnection<Connection>,
    /// The one that each client has.
    of_client: BTreeMap<usize, ConnectionId>,
    count: u64,
    /// A frame takes about so long.
    delay_ns: u64,
}

impl Connections {
    pub(super) fn new(mut chance: Chance) -> Self {
        let delay_ns = chance.pick(&[50_000, 500_000, 5_000_000]);
        Self { chance, all: BTreeMap::new(), of_client: BTreeMap::new(), count: 0, delay_ns }
    }

    /// New connections work. Dead ones stay dead: clients notice.
    pub(super) fn heal(&mut self) {
        self.delay_ns = self.delay_ns.min(500_000);
    }

    fn delay(&mut self) -> u64 {
        1_000 + self.chance.about(self.delay_ns)
    }

    /// One of the clients that have a connection.
    pub(super) fn any(&mut self) -> Option<ConnectionId> {
        let ids: Vec<ConnectionId> = self.of_client.values().copied().collect();
        (!ids.is_empty()).then(|| ids[self.chance.below(ids.len())])
    }

    /// From now on it carries nothing, and nobody is told.
    pub(super) fn silence(&mut self, id: ConnectionId) {
        if let Some(connection) = self.all.get_mut(&id) {
            connection.is_dead = true;
        }
    }
}

impl World {
    /// A client begins a connection.
    pub(super) fn connect(&mut self, client: usize, server: usize) {
        self.close_by_client(client);
        self.connections.count += 1;
        let id = ConnectionId(self.connections.count);
        let connection = Connection {
            client,
            server,
            process: 0,
            is_dead: false,
            to_server: self.now,
            to_client: self.now,
        };
        self.connections.all.insert(id, connection);
        self.connections.of_client.insert(client, id);
        self.plan_to_server(id, Event::Arrives(id));
    }

    pub(super) fn send_to_server(&mut self, client: usize, bytes: Vec<u8>) {
        if let Some(id) = self.connections.of_client.get(&client).copied() {
            self.plan_to_server(id, Event::ToServer(id, bytes));
        }
    }

    pub(super) fn close_by_client(&mut self, client: usize) {
        if let Some(id) = self.connections.of_client.remove(&client) {
            self.plan_to_server(id, Event::ClosedByClient(id));
        }
    }

    /// What a server's turn has for its clients.
    pub(super) fn carry_out(&mut self, server: usize, effects: Effects) {
        self.send_packets(server, effects.packets);
        for (id, bytes) in effects.to_clients {
            self.plan_to_client(id, Event::ToClient(id, bytes));
        }
        for id in effects.closed {
            self.plan_to_client(id, Event::ClosedByServer(id));
        }
    }

    /// Connections of a process that is gone: the machine says so if it can.
    pub(super) fn server_is_gone(&mut self, server: usize, death: Death) {
        let of_server = |(id, connection): (&ConnectionId, &Connection)| {
            (connection.server == server && connection.process != 0).then_some(*id)
        };
        let ids: Vec<ConnectionId> = self.connections.all.iter().filter_map(of_server).collect();
        for id in ids {
            match death {
                Death::Kill => self.plan_to_client(id, Event::ClosedByServer(id)),
                Death::PowerCut => self.connections.silence(id),
            }
        }
    }

    pub(super) fn connection_arrives(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        let machine = &mut self.machines[connection.server];
        let Some(process) = &mut machine.process else {
            // Nobody listens.
            return self.plan_to_client(id, Event::ClosedByServer(id));
        };
        connection.process = machine.process_count;
        process.connect(id);
        self.plan_to_client(id, Event::Accepted(id));
    }

    pub(super) fn connection_accepted(&mut self, id: ConnectionId) {
        if let Some(client) = self.client_of(id) {
            self.clients[client].on_connected(self.now);
            self.poll_client(client);
        }
    }

    pub(super) fn bytes_to_server(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.all.get(&id).copied() else { return };
        let machine = &mut self.machines[connection.server];
        if let Some(process) = &mut machine.process
            && machine.process_count == connection.process
        {
            process.receive(id, bytes);
            self.plan_turn_soon(connection.server);
        }
    }

    pub(super) fn bytes_to_client(&mut self, id: ConnectionId, bytes: &[u8]) {
        if let Some(client) = self.client_of(id) {
            self.clients[client].on_frame(self.now, bytes);
            self.poll_client(client);
        }
    }

    pub(super) fn closed_by_client(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.all.remove(&id) else { return };
        let machine = &mut self.machines[connection.server];
        if let Some(process) = &mut machine.process
            && machine.process_count == connection.process
        {
            process.disconnect(id);
        }
    }

    pub(super) fn closed_by_server(&mut self, id: ConnectionId) {
        let client = self.client_of(id);
        self.connections.all.remove(&id);
        if let Some(client) = client {
            self.connections.of_client.remove(&client);
            self.clients[client].on_closed(self.now);
            self.poll_client(client);
        }
    }

    /// A client's network drops its connection: both sides are told.
    pub(super) fn reset(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.all.get(&id).copied() else { return };
        self.closed_by_client(id);
        if self.connections.of_client.get(&connection.client) == Some(&id) {
            self.connections.of_client.remove(&connection.client);
            self.clients[connection.client].on_closed(self.now);
            self.poll_client(connection.client);
        }
    }

    /// The client, if this is still its connection.
    fn client_of(&self, id: ConnectionId) -> Option<usize> {
        let client = self.connections.all.get(&id)?.client;
        (self.connections.of_client.get(&client) == Some(&id)).then_some(client)
    }

    fn plan_to_server(&mut self, id: ConnectionId, event: Event) {
        let delay_ns = self.connections.delay();
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if connection.is_dead {
            return;
        }
        let at = Instant((self.now.0 + delay_ns).max(connection.to_server.0 + 1));
        connection.to_server = at;
        self.plan(at, event);
    }

    fn plan_to_client(&mut self, id: ConnectionId, event: Event) {
        let delay_ns = self.connections.delay();
        let Some(connection) = self.connections.all.get_mut(&id) else { return };
        if connection.is_dead {
            return;
        }
        let at = Instant((self.now.0 + delay_ns).max(connection.to_client.0 + 1));
        connection.to_client = at;
        self.plan(at, event);
    }
}
