//! The handshake: a connection asks for a session, and the log decides.

use ringkeeper_engine::{
    ids::{Owner, SessionId, Xid, Zxid},
    limits::PASSWORD_BYTES,
    protocol::{
        connect::{ConnectRequest, ConnectResponse},
        error_code::ErrorCode,
        records::Id,
    },
    state::{
        Outcome,
        acl::ip_id,
        command::{Command, Op, encode},
    },
};

use super::{
    ShardCore,
    client::{Client, ClientId, Handshake, Phase},
    poll::Progress,
    requests::Kind,
};
use crate::client::{
    accept::Ticket,
    connection::{Connection, Ending},
    connection_throttle::Refused,
};

impl ShardCore {
    /// Takes a connection in.
    pub(super) fn welcome(&mut self, connection: Connection, ticket: Ticket) -> ClientId {
        self.now = self.clock.now();
        let address: Id = ip_id(connection.peer.ip());
        let command = Command {
            session: SessionId(0),
            owner: Owner(0),
            cxid: Xid(0),
            auth: vec![address],
            skip_acl: self.settings.skip_acl,
            enforce_quota: self.settings.enforce_quota,
            op: Op::CloseSession,
        };
        let wall = crate::clock::wall().0;
        let id = self.clients.insert(Client::new(connection, ticket, command, self.now, wall));
        self.sessionless.push_back(id);
        id
    }

    /// The first frame of a connection.
    pub(super) fn connect(&mut self, id: ClientId, payload: &[u8]) -> Progress {
        let request = match ConnectRequest::decode(payload) {
            Ok(request) => request,
            Err(error) => return self.refuse(id, &error),
        };
        self.stats.packets_received += 1;
        let is_new = request.session == SessionId(0);
        let now_ms = self.now.0 / 1_000_000;
        match self.limits.connections.take(is_new, now_ms, chance) {
            Ok(missing_tokens) => self.stats.missing_tokens.record(missing_tokens),
            Err(Refused) => {
                self.stats.connections_rejected += 1;
                return self.end(id, Ending::Now);
            }
        }
        self.stats.connection_requests += 1;
        let last_zxid = self.last_zxid();
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        client.counts.received += 1;
        if request.last_zxid_seen > last_zxid {
            // It has seen what this server has not: it must find one that has.
            tracing::info!(
                peer = %client.connection.peer, seen = %request.last_zxid_seen, here = %last_zxid,
                "refusing a client that is ahead"
            );
            return self.end(id, Ending::Now);
        }
        let timeout_ms = request
            .timeout_ms
            .max(self.settings.min_session_timeout_ms)
            .min(self.settings.max_session_timeout_ms);
        if is_new {
            let session = self.next_session();
            let password = random();
            let op = Op::CreateSession { timeout_ms, password };
            self.ask_for_session(id, &request, session, password, op)
        } else {
            self.stats.connection_revalidations += 1;
            let Some(password) = request.password.and_then(|shown| shown.try_into().ok()) else {
                // No session has a password of another length.
                self.deny_session(id, request.read_only.is_some());
                return Progress::Over;
            };
            let op = Op::AttachSession { timeout_ms, password };
            self.ask_for_session(id, &request, request.session, password, op)
        }
    }

    fn ask_for_session(
        &mut self,
        id: ClientId,
        request: &ConnectRequest<'_>,
        session: SessionId,
        password: [u8; PASSWORD_BYTES],
        op: Op,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        let owner = Owner(u64::from_be_bytes(random()));
        client.phase = Phase::Connecting(Handshake {
            received: self.now,
            has_read_only: request.read_only.is_some(),
            password,
        });
        client.command.session = session;
        client.command.owner = owner;
        encode(client.command(Xid(0), op), &mut self.commands);
        self.owners.insert(owner, id);
        self.wake_handover();
        Progress::Taken
    }

    /// The log has decided about a handshake.
    pub(super) fn answer_handshake(
        &mut self,
        id: ClientId,
        handshake: &Handshake,
        zxid: Zxid,
        outcome: &Result<Outcome, ErrorCode>,
    ) {
        let (Ok(Outcome::SessionCreated { timeout_ms })
        | Ok(Outcome::SessionAttached { timeout_ms })) = outcome
        else {
            self.deny_session(id, handshake.has_read_only);
            return;
        };
        let Some(client) = self.clients.get_mut(id) else { return };
        client.phase = Phase::Open;
        client.timeout_ms = *timeout_ms;
        let response = ConnectResponse {
            timeout_ms: *timeout_ms,
            session: client.command.session,
            password: handshake.password,
            read_only: handshake.has_read_only.then_some(false),
        };
        self.respond(id, &response);
        let Some(client) = self.clients.get_mut(id) else { return };
        client.resume();
        // To create a session counts as a client's first request; to attach one is none.
        if matches!(outcome, Ok(Outcome::SessionCreated { .. })) {
            client.counts.session_created(zxid, self.now);
            self.note_latency(id, handshake.received, 1, Kind::Update);
        }
    }

    /// Tells a client that there is no such session for it.
    fn deny_session(&mut self, id: ClientId, has_read_only: bool) {
        let response = ConnectResponse {
            timeout_ms: 0,
            session: SessionId(0),
            password: [0; PASSWORD_BYTES],
            read_only: has_read_only.then_some(false),
        };
        self.respond(id, &response);
        if let Some(client) = self.clients.get_mut(id) {
            self.owners.remove(&client.owner());
            client.command.session = SessionId(0);
            client.end(Ending::AfterOutput);
        }
    }

    fn respond(&mut self, id: ClientId, response: &ConnectResponse) {
        let Some(client) = self.clients.get_mut(id) else { return };
        response.encode(client.connection.output(&mut self.pool));
        client.counts.sent += 1;
        self.stats.packets_sent += 1;
        self.mark_dirty(id);
    }

    fn next_session(&mut self) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += self.session_stride;
        session
    }
}

/// A number from [0, 1).
fn chance() -> f64 {
    f64::from(u32::from_be_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}

/// Bytes that nobody can guess.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    bytes
}
