//! A request's way in: decided at the edge at once, or sent through the log.

use std::borrow::Cow;

use ringkeeper_engine::{
    batch::Commands,
    ids::{Instant, Xid, Zxid},
    limits::COMMAND_BYTES_MAX,
    protocol::{
        error_code::ErrorCode,
        reply::{self, NOT_OFFERED_ZXID, PING_XID, Reply},
        request::{self, Request, RequestError, RequestHeader, Write, goes_through_the_log},
    },
    state::{
        Reader,
        auth::{AuthError, authenticate},
        command::{Op, admit, encode},
        shape::Shape,
    },
};

use super::{
    ShardCore,
    client::{Arrival, ClientId, Deferred, DeferredKind, Expected, ExpectedKind, Phase},
    poll::Progress,
};
use crate::client::connection::Ending;

impl ShardCore {
    /// A request of a connection that has a session.
    pub(super) fn request(&mut self, id: ClientId, payload: &[u8]) -> Progress {
        let (header, request) = match request::decode(payload) {
            Ok(decoded) => decoded,
            Err(error) => return self.refuse(id, &error),
        };
        let is_throttled = self.is_throttled();
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        if client.syncs > 0 && !is_throttled && goes_through_the_log(&request) {
            return Progress::Waits;
        }
        client.counts.request(header.xid, header.opcode);
        self.stats.packets_received += 1;
        if !client.is_touched {
            client.is_touched = true;
            self.touched.push((client.command.session, id));
        }
        match request {
            Ok(Request::Auth { scheme, auth, .. }) => {
                self.auth(id, header.xid, scheme.as_deref(), auth)
            }
            Ok(Request::Sasl { token }) => self.sasl(id, header.xid, token),
            _ if !self.is_authenticated(id) => {
                self.answer(id, header.xid, Zxid::NONE, Err(ErrorCode::SessionClosedRequireAuth));
                self.end(id, Ending::AfterOutput)
            }
            request => {
                let bytes = payload.len() - HEADER_BYTES;
                let Ok(large) = self.limits.large_requests.enter(bytes) else {
                    return self.reject_large(id);
                };
                let arrival = Arrival { received: self.now, _large: large };
                if is_throttled {
                    self.hold(id, &request, arrival, payload)
                } else {
                    self.dispatch(id, header, request, payload, arrival)
                }
            }
        }
    }

    /// A request whose turn has come: through the log, or answered here.
    pub(super) fn dispatch(
        &mut self,
        id: ClientId,
        header: RequestHeader,
        request: Result<Request<'_>, RequestError>,
        payload: &[u8],
        arrival: Arrival,
    ) -> Progress {
        match request {
            Ok(Request::Write(write)) => self.write(id, header.xid, &write, payload.len(), arrival),
            Ok(Request::CloseSession) => {
                self.submit(id, header.xid, Op::CloseSession, ExpectedKind::Close, arrival);
                // What follows in the same breath is for a session that is over.
                if let Some(client) = self.clients.get_mut(id) {
                    client.phase = Phase::Done;
                }
                Progress::Over
            }
            Ok(Request::Sync { path }) => self.sync(id, header.xid, path, arrival),
            Err(RequestError::MalformedMulti(_)) => {
                let op = Op::Fail(ErrorCode::MarshallingError);
                self.submit(id, header.xid, op, ExpectedKind::Write(Shape::AsItIs), arrival)
            }
            Err(RequestError::MalformedAuth(error)) => self.refuse(id, &error),
            other => self.at_the_edge(id, header, other, payload, arrival),
        }
    }

    /// Runs what needs no log, or lets it wait for the writes before it.
    fn at_the_edge(
        &mut self,
        id: ClientId,
        header: RequestHeader,
        request: Result<Request<'_>, RequestError>,
        payload: &[u8],
        arrival: Arrival,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        let is_last = matches!(request, Err(RequestError::NotOffered(_)));
        if client.order.is_idle() {
            self.immediate += 1;
            self.run(id, header, request);
        } else {
            let kind = DeferredKind::Frame(payload.into());
            let deferred = Deferred { arrival, kind };
            let runs = client.order.push_read(deferred);
            debug_assert!(runs.is_none(), "a write is under way");
            self.outstanding += 1;
        }
        if is_last {
            if let Some(client) = self.clients.get_mut(id) {
                client.phase = Phase::Done;
            }
            return Progress::Over;
        }
        Progress::Taken
    }

    /// Runs what waited for the writes before it.
    pub(super) fn run_deferred(&mut self, id: ClientId, deferred: Deferred) {
        self.outstanding -= 1;
        match deferred.kind {
            DeferredKind::Frame(payload) => {
                let (header, request) =
                    request::decode(&payload).expect("it was decoded when it came");
                self.run(id, header, request);
            }
            DeferredKind::Fail(xid, code) => self.answer(id, xid, self.last_zxid(), Err(code)),
        }
        self.note_latency(id, deferred.arrival.received, 1, Kind::Read);
    }

    /// Answers what needs no log.
    fn run(
        &mut self,
        id: ClientId,
        header: RequestHeader,
        request: Result<Request<'_>, RequestError>,
    ) {
        let xid = header.xid;
        let zxid = self.last_zxid();
        match request {
            Ok(Request::Read(read)) => self.read(id, xid, &read),
            Ok(Request::SetWatches(watches)) => self.set_watches(id, xid, &watches),
            Ok(Request::AddWatch { path, mode }) => self.add_watch(id, xid, path.as_deref(), mode),
            Ok(Request::CheckWatches { path, watcher_type }) => {
                self.check_watches(id, xid, path.as_deref(), watcher_type);
            }
            Ok(Request::RemoveWatches { path, watcher_type }) => {
                self.remove_watches(id, xid, path.as_deref(), watcher_type);
            }
            Ok(Request::Ping) => {
                self.reply(id, PING_XID, zxid, Ok(&Reply::Empty));
                self.note_reply(id, zxid);
            }
            Ok(Request::WhoAmI) => self.who_am_i(id, xid),
            Err(RequestError::Malformed(error)) => {
                tracing::debug!(%error, opcode = header.opcode, "request refused");
                self.answer(id, xid, zxid, Err(ErrorCode::MarshallingError));
            }
            Err(RequestError::NotOffered(opcode)) => {
                tracing::debug!(opcode, "operation not offered");
                self.answer(id, xid, NOT_OFFERED_ZXID, Err(ErrorCode::Unimplemented));
                self.end(id, Ending::AfterOutput);
            }
            other => unreachable!("{other:?} is not run at the edge"),
        }
    }

    fn write(
        &mut self,
        id: ClientId,
        xid: Xid,
        write: &Write<'_>,
        payload_bytes: usize,
        arrival: Arrival,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        if self.refuses_writes {
            return self.fail(id, xid, ErrorCode::SystemError, arrival);
        }
        // A command holds what the request holds and the client's identities.
        if payload_bytes > COMMAND_BYTES_MAX / 2 {
            return self.fail(id, xid, ErrorCode::MarshallingError, arrival);
        }
        let op = admit(write, &client.command.auth, self.settings.edge);
        if self.settings.eager_acl_check {
            let reader = Reader {
                session: client.command.session,
                auth: &client.command.auth,
                skip_acl: client.command.skip_acl,
            };
            if let Err(code) = self.state.eager_acl_check(&reader, &op) {
                return self.fail(id, xid, code, arrival);
            }
        }
        self.submit(id, xid, op, ExpectedKind::Write(Shape::of(write)), arrival)
    }

    /// Sends a command through the log.
    fn submit(
        &mut self,
        id: ClientId,
        xid: Xid,
        op: Op,
        kind: ExpectedKind,
        arrival: Arrival,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        encode(client.command(xid, op), &mut self.commands);
        client.order.push_write(Expected { xid, arrival, kind });
        self.outstanding += 1;
        self.wake_handover();
        Progress::Taken
    }

    /// Asks for a read index; the answer waits for it and for the writes before it.
    fn sync(
        &mut self,
        id: ClientId,
        xid: Xid,
        path: Option<Cow<'_, str>>,
        arrival: Arrival,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        self.sync_asked += 1;
        let kind = ExpectedKind::Sync {
            path: path.map(|path| path.as_ref().into()),
            question: self.sync_asked,
            index: None,
        };
        client.order.push_write(Expected { xid, arrival, kind });
        if client.syncs == 0 {
            self.syncing.push(id);
        }
        client.syncs += 1;
        self.outstanding += 1;
        self.wake_handover();
        Progress::Taken
    }

    /// Answers an error that takes no zxid, in its turn.
    pub(super) fn fail(
        &mut self,
        id: ClientId,
        xid: Xid,
        code: ErrorCode,
        arrival: Arrival,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        let deferred = Deferred { arrival, kind: DeferredKind::Fail(xid, code) };
        self.outstanding += 1;
        if let Some(deferred) = client.order.push_read(deferred) {
            self.run_deferred(id, deferred);
        }
        Progress::Taken
    }

    /// `auth` is answered out of order, as Apache does.
    fn auth(
        &mut self,
        id: ClientId,
        xid: Xid,
        scheme: Option<&str>,
        auth: Option<&[u8]>,
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        let ids = &mut client.command.auth;
        match authenticate(&self.settings.auth, scheme, auth, ids) {
            Ok(()) => {
                self.reply(id, xid, Zxid::NONE, Ok(&Reply::Empty));
                Progress::Taken
            }
            Err(AuthError::Refused) => {
                self.stats.auth_failures += 1;
                self.reply(id, xid, Zxid::NONE, Err(ErrorCode::AuthFailed));
                self.end(id, Ending::AfterOutput)
            }
            Err(AuthError::OtherEnsemble) => {
                self.stats.auth_failures += 1;
                self.end(id, Ending::Now)
            }
        }
    }

    /// There is no SASL provider: a client that asks nicely is told that it is done.
    fn sasl(&mut self, id: ClientId, xid: Xid, token: Option<&[u8]>) -> Progress {
        if token.is_none() {
            return self.end(id, Ending::Now);
        }
        self.reply(id, xid, Zxid::NONE, Ok(&Reply::Sasl { token: None }));
        Progress::Taken
    }

    fn is_authenticated(&self, id: ClientId) -> bool {
        let required = &self.settings.required_schemes;
        required.is_empty()
            || self.clients.get(id).is_some_and(|client| {
                client.command.auth.iter().any(|id| required.contains(&id.scheme))
            })
    }

    /// Lets a client's connection end.
    pub(super) fn end(&mut self, id: ClientId, ending: Ending) -> Progress {
        if let Some(client) = self.clients.get_mut(id) {
            client.end(ending);
        }
        Progress::Over
    }

    /// Answers a request: a reply that counts as one.
    pub(super) fn answer(
        &mut self,
        id: ClientId,
        xid: Xid,
        zxid: Zxid,
        reply: Result<&Reply<'_>, ErrorCode>,
    ) {
        self.stats.response_bytes += self.reply(id, xid, zxid, reply);
        self.note_reply(id, zxid);
    }

    /// Appends a reply to a client's output. Returns its bytes.
    pub(super) fn reply(
        &mut self,
        id: ClientId,
        xid: Xid,
        zxid: Zxid,
        reply: Result<&Reply<'_>, ErrorCode>,
    ) -> u64 {
        let Some(client) = self.clients.get_mut(id) else { return 0 };
        let out = client.connection.output(&mut self.pool);
        let before = out.len();
        reply::encode(out, xid, zxid, reply);
        let bytes = frame_payload_bytes(out.len() - before);
        client.counts.sent += 1;
        self.stats.reply(bytes);
        self.mark_dirty(id);
        bytes
    }

    fn note_reply(&mut self, id: ClientId, zxid: Zxid) {
        if let Some(client) = self.clients.get_mut(id) {
            client.counts.reply(zxid, self.now);
        }
    }

    /// Counts how long `count` requests that came at `received` took.
    pub(super) fn note_latency(&mut self, id: ClientId, received: Instant, count: u64, kind: Kind) {
        let micros = self.clock.now().0.saturating_sub(received.0) / 1000;
        self.stats.latency_us.record_many(micros, count);
        match kind {
            Kind::Read => self.stats.read_us.record_many(micros, count),
            Kind::Update => self.stats.update_us.record_many(micros, count),
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.counts.latency(micros, count);
        }
    }

    /// The commands of this turn.
    pub(super) fn take_commands(&mut self) -> Commands {
        std::mem::take(&mut self.commands)
    }
}

/// Bytes of what a request starts with: xid and opcode.
const HEADER_BYTES: usize = 8;

/// Bytes of a frame as metrics count them: Apache leaves its length out.
pub(super) fn frame_payload_bytes(frame_bytes: usize) -> u64 {
    frame_bytes.saturating_sub(size_of::<u32>()) as u64
}

/// What a latency is counted as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Answered from the State.
    Read,
    /// Went through the log.
    Update,
}
