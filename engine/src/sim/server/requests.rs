//! A request's way in: decided at the edge at once, or sent through the log.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    connection::{Connection, ConnectionId, Deferred, Ending, Expected, ExpectedKind, Phase},
    shard::{Shard, watcher},
};
use crate::{
    ids::{Owner, SessionId, Xid, Zxid},
    limits::FRAME_BYTES_MAX_DEFAULT,
    protocol::{
        connect::{ConnectRequest, ConnectResponse},
        error_code::ErrorCode,
        frame,
        reply::{self, NOT_OFFERED_ZXID, PING_XID, Reply, WatchEvent, encode_event},
        request::{
            self, Read, Request, RequestError, RequestHeader, SetWatches, Write,
            goes_through_the_log,
        },
    },
    state::{
        Outcome, Reader,
        auth::{AuthError, AuthPolicy, authenticate, client_info},
        command::{EdgeSettings, Op, TtlSupport, admit, encode},
        shape::Shape,
    },
    watch::{NULL_PATH, WatchKind, WatcherType, Watches, event_of, watch_of},
};

/// What clients may wish for as their sessions' timeouts is kept within these.
pub(super) const TIMEOUT_MS: (i32, i32) = (200, 20_000);

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    Taken,
    Waits,
    Over,
}

impl Shard {
    /// Bytes came: whole frames.
    pub(super) fn receive(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut rest = bytes;
        while !rest.is_empty() {
            let Ok(Some(found)) = frame::next(rest, FRAME_BYTES_MAX_DEFAULT) else {
                connection.end(Ending::Now);
                return;
            };
            connection.input.push_back(found.payload.to_vec());
            rest = &rest[found.consumed_bytes..];
        }
        self.go_on(id);
    }

    /// Looks at the frames of a connection as far as it may.
    pub(super) fn go_on(&mut self, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(&id)
            && let Some(payload) = connection.input.pop_front()
        {
            let progress = match connection.phase {
                // A client is let in once this server knows what it had before its start.
                Phase::New if self.next_session.is_none() => Progress::Waits,
                Phase::New => self.connect(id, &payload),
                Phase::Connecting { .. } => Progress::Waits,
                Phase::Open => self.request(id, &payload),
                Phase::Done => Progress::Over,
            };
            match progress {
                Progress::Taken => {}
                Progress::Over => return,
                Progress::Waits => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.input.push_front(payload);
                    }
                    return;
                }
            }
        }
    }

    /// The first frame of a connection.
    fn connect(&mut self, id: ConnectionId, payload: &[u8]) -> Progress {
        let Ok(request) = ConnectRequest::decode(payload) else {
            return self.end(id, Ending::Now);
        };
        if request.last_zxid_seen > self.last_zxid() {
            // It has seen what this server has not: it must find one that has.
            return self.end(id, Ending::Now);
        }
        let timeout_ms = request.timeout_ms.max(TIMEOUT_MS.0).min(TIMEOUT_MS.1);
        if request.session == SessionId(0) {
            let next = self.next_session.as_mut().expect("clients are let in");
            let session = SessionId(*next);
            *next += 1;
            let password = self.chance.draw_u128().to_be_bytes();
            let op = Op::CreateSession { timeout_ms, password };
            return self.ask_for_session(id, &request, session, password, op);
        }
        let Some(password) = request.password.and_then(|shown| shown.try_into().ok()) else {
            self.deny_session(id, request.read_only.is_some());
            return Progress::Over;
        };
        let op = Op::AttachSession { timeout_ms, password };
        self.ask_for_session(id, &request, request.session, password, op)
    }

    fn ask_for_session(
        &mut self,
        id: ConnectionId,
        request: &ConnectRequest<'_>,
        session: SessionId,
        password: [u8; 16],
        op: Op,
    ) -> Progress {
        let owner = Owner(self.chance.draw() | 1);
        let Some(connection) = self.connections.get_mut(&id) else { return Progress::Over };
        let has_read_only = request.read_only.is_some();
        connection.phase = Phase::Connecting { has_read_only, password };
        connection.command.session = session;
        connection.command.owner = owner;
        encode(connection.command(Xid(0), op), &mut self.commands);
        self.owners.insert(owner, id);
        Progress::Taken
    }

    /// The log has decided about a handshake.
    pub(super) fn answer_handshake(
        &mut self,
        id: ConnectionId,
        has_read_only: bool,
        password: [u8; 16],
        outcome: &Result<Outcome, ErrorCode>,
    ) {
        let (Ok(Outcome::SessionCreated { timeout_ms })
        | Ok(Outcome::SessionAttached { timeout_ms })) = outcome
        else {
            return self.deny_session(id, has_read_only);
        };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.phase = Phase::Open;
        let response = ConnectResponse {
            timeout_ms: *timeout_ms,
            session: connection.command.session,
            password,
            read_only: has_read_only.then_some(false),
        };
        response.encode(&mut connection.output);
    }

    fn deny_session(&mut self, id: ConnectionId, has_read_only: bool) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let response = ConnectResponse {
            timeout_ms: 0,
            session: SessionId(0),
            password: [0; 16],
            read_only: has_read_only.then_some(false),
        };
        response.encode(&mut connection.output);
        self.owners.remove(&connection.command.owner);
        connection.command.session = SessionId(0);
        connection.end(Ending::AfterOutput);
    }

    /// A request of a connection that has a session.
    fn request(&mut self, id: ConnectionId, payload: &[u8]) -> Progress {
        let Ok((header, request)) = request::decode(payload) else {
            return self.end(id, Ending::AfterOutput);
        };
        let Some(connection) = self.connections.get_mut(&id) else { return Progress::Over };
        if connection.syncs > 0 && goes_through_the_log(&request) {
            return Progress::Waits;
        }
        if !connection.is_touched {
            connection.is_touched = true;
            self.touched.push((connection.command.session, id));
        }
        match request {
            Ok(Request::Auth { scheme, auth, .. }) => {
                self.auth(id, header.xid, scheme.as_deref(), auth)
            }
            Ok(Request::Sasl { .. }) => self.end(id, Ending::Now),
            Ok(Request::Write(write)) => self.write(id, header.xid, &write),
            Ok(Request::CloseSession) => {
                self.submit(id, header.xid, Op::CloseSession, ExpectedKind::Close);
                // What follows in the same breath is for a session that is over.
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.phase = Phase::Done;
                }
                Progress::Over
            }
            Ok(Request::Sync { path }) => self.sync(id, header.xid, path),
            Err(RequestError::MalformedMulti(_)) => {
                let op = Op::Fail(ErrorCode::MarshallingError);
                self.submit(id, header.xid, op, ExpectedKind::Write(Shape::AsItIs))
            }
            Err(RequestError::MalformedAuth(_)) => self.end(id, Ending::AfterOutput),
            other => self.at_the_edge(id, header, other, payload),
        }
    }

    /// Runs what needs no log, or lets it wait for the writes before it.
    fn at_the_edge(
        &mut self,
        id: ConnectionId,
        header: RequestHeader,
        request: Result<Request<'_>, RequestError>,
        payload: &[u8],
    ) -> Progress {
        let Some(connection) = self.connections.get_mut(&id) else { return Progress::Over };
        let is_last = matches!(request, Err(RequestError::NotOffered(_)));
        if connection.order.push_read(payload.to_vec()).is_some() {
            self.run(id, header, request);
        }
        if is_last {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.phase = Phase::Done;
            }
            return Progress::Over;
        }
        Progress::Taken
    }

    /// Runs what waited for the writes before it.
    pub(super) fn run_deferred(&mut self, id: ConnectionId, deferred: &Deferred) {
        let (header, request) = request::decode(deferred).expect("it was decoded when it came");
        self.run(id, header, request);
    }

    /// Answers what needs no log.
    fn run(
        &mut self,
        id: ConnectionId,
        header: RequestHeader,
        request: Result<Request<'_>, RequestError>,
    ) {
        let xid = header.xid;
        let zxid = self.last_zxid();
        match request {
            Ok(Request::Read(read)) => self.read(id, xid, &read),
            Ok(Request::SetWatches(watches)) => self.set_watches(id, xid, &watches),
            Ok(Request::AddWatch { path, mode }) => match WatchKind::from_add_mode(mode) {
                None => self.answer(id, xid, zxid, Err(ErrorCode::MarshallingError)),
                Some(kind) => {
                    self.watches.add(watcher(id), path.as_deref().unwrap_or(NULL_PATH), kind);
                    self.answer(id, xid, zxid, Ok(&Reply::AddWatch));
                }
            },
            Ok(Request::CheckWatches { path, watcher_type }) => {
                let path = path.as_deref().unwrap_or(NULL_PATH);
                self.answer_watcher(id, xid, watcher_type, |watches, kind| {
                    watches.contains(watcher(id), path, kind)
                });
            }
            Ok(Request::RemoveWatches { path, watcher_type }) => {
                let path = path.as_deref().unwrap_or(NULL_PATH);
                self.answer_watcher(id, xid, watcher_type, |watches, kind| {
                    watches.remove(watcher(id), path, kind)
                });
            }
            Ok(Request::Ping) => self.answer(id, PING_XID, zxid, Ok(&Reply::Empty)),
            Ok(Request::WhoAmI) => self.who_am_i(id, xid),
            Err(RequestError::Malformed(_)) => {
                self.answer(id, xid, zxid, Err(ErrorCode::MarshallingError));
            }
            Err(RequestError::NotOffered(_)) => {
                self.answer(id, xid, NOT_OFFERED_ZXID, Err(ErrorCode::Unimplemented));
                self.end(id, Ending::AfterOutput);
            }
            other => unreachable!("{other:?} is not run at the edge"),
        }
    }

    fn write(&mut self, id: ConnectionId, xid: Xid, write: &Write<'_>) -> Progress {
        let Some(connection) = self.connections.get_mut(&id) else { return Progress::Over };
        let settings = EdgeSettings { ttl: TtlSupport::On, ..EdgeSettings::default() };
        let op = admit(write, &connection.command.auth, settings);
        self.submit(id, xid, op, ExpectedKind::Write(Shape::of(write)))
    }

    /// Sends a command through the log.
    fn submit(&mut self, id: ConnectionId, xid: Xid, op: Op, kind: ExpectedKind) -> Progress {
        let Some(connection) = self.connections.get_mut(&id) else { return Progress::Over };
        encode(connection.command(xid, op), &mut self.commands);
        connection.order.push_write(Expected { xid, kind });
        Progress::Taken
    }

    /// Asks for a read index; the answer waits for it and for the writes before it.
    fn sync(&mut self, id: ConnectionId, xid: Xid, path: Option<Cow<'_, str>>) -> Progress {
        let Some(connection) = self.connections.get_mut(&id) else { return Progress::Over };
        self.sync_asked += 1;
        let path = path.map(Cow::into_owned);
        let kind = ExpectedKind::Sync { path, question: self.sync_asked, index: None };
        connection.order.push_write(Expected { xid, kind });
        connection.syncs += 1;
        Progress::Taken
    }

    /// `auth` is answered out of order, as Apache does.
    fn auth(
        &mut self,
        id: ConnectionId,
        xid: Xid,
        scheme: Option<&str>,
        auth: Option<&[u8]>,
    ) -> Progress {
        let Some(connection) = self.connections.get_mut(&id) else { return Progress::Over };
        match authenticate(&AuthPolicy::default(), scheme, auth, &mut connection.command.auth) {
            Ok(()) => {
                self.answer(id, xid, Zxid::NONE, Ok(&Reply::Empty));
                Progress::Taken
            }
            Err(AuthError::Refused) => {
                self.answer(id, xid, Zxid::NONE, Err(ErrorCode::AuthFailed));
                self.end(id, Ending::AfterOutput)
            }
            Err(AuthError::OtherEnsemble) => self.end(id, Ending::Now),
        }
    }

    /// Answers a read and leaves its watch, both of the same State.
    fn read(&mut self, id: ConnectionId, xid: Xid, read: &Read<'_>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let session = connection.command.session;
        let reader = Reader { session, auth: &connection.command.auth, skip_acl: false };
        let result = self.state.read(&reader, read);
        if let Some((path, kind)) = watch_of(read, result.as_ref().err().copied()) {
            self.watches.add(watcher(id), path, kind);
        }
        let (zxid, result) = (self.state.last_zxid(), result.as_ref().map_err(|code| *code));
        reply::encode(&mut connection.output, xid, zxid, result);
    }

    /// Restores the watches of a client that reconnected. What it missed is told before the reply.
    fn set_watches(&mut self, id: ConnectionId, xid: Xid, watches: &SetWatches) {
        let mut missed = Vec::new();
        self.watches.restore(watcher(id), watches, &self.state, &mut missed);
        if let Some(connection) = self.connections.get_mut(&id) {
            for (kind, path) in missed {
                let event = event_of(kind, path, WatchEvent::CAUGHT_UP);
                encode_event(&mut connection.output, &event);
            }
        }
        self.answer(id, xid, self.last_zxid(), Ok(&Reply::Empty));
    }

    /// Answers whether `found` has found a watch of the kind that a client named.
    fn answer_watcher(
        &mut self,
        id: ConnectionId,
        xid: Xid,
        watcher_type: i32,
        found: impl FnOnce(&mut Watches, WatcherType) -> bool,
    ) {
        let result = match WatcherType::from_number(watcher_type) {
            None => Err(ErrorCode::MarshallingError),
            Some(kind) if found(&mut self.watches, kind) => Ok(&Reply::Empty),
            Some(_) => Err(ErrorCode::NoWatcher),
        };
        self.answer(id, xid, self.last_zxid(), result);
    }

    fn who_am_i(&mut self, id: ConnectionId, xid: Xid) {
        let Some(connection) = self.connections.get(&id) else { return };
        let auth = connection.command.auth.clone();
        let reply = Reply::WhoAmI(auth.iter().map(client_info).collect());
        self.answer(id, xid, self.last_zxid(), Ok(&reply));
    }

    /// Appends a reply to a connection's output.
    pub(super) fn answer(
        &mut self,
        id: ConnectionId,
        xid: Xid,
        zxid: Zxid,
        reply: Result<&Reply<'_>, ErrorCode>,
    ) {
        if let Some(connection) = self.connections.get_mut(&id) {
            reply::encode(&mut connection.output, xid, zxid, reply);
        }
    }

    fn end(&mut self, id: ConnectionId, ending: Ending) -> Progress {
        if let Some(connection) = self.connections.get_mut(&id) {
            Connection::end(connection, ending);
        }
        Progress::Over
    }
}
