//! A server of the small ensemble: as a shard core does it, and where a mutant says so, otherwise.

use std::collections::{BTreeMap, VecDeque};

use alloc::{borrow::Cow, string::String, sync::Arc, vec, vec::Vec};

use super::ensemble::Mutant;
use crate::{
    batch::Batch,
    ids::{Owner, SessionId, Xid, Zxid},
    limits::PASSWORD_BYTES,
    protocol::{
        connect::{ConnectRequest, ConnectResponse},
        error_code::ErrorCode,
        frame,
        reply::{self, EventKind, MultiResult, PING_XID, Reply, WatchEvent, encode_event},
        request::{self, CreateVariant, Read, Request, SetWatches, Write},
    },
    session_order::SessionOrder,
    shared_bytes::SharedStr,
    sim::chance::Chance,
    state::{
        ChangeKind, Changes, Outcome, Reader, SessionChange, State,
        command::{Command, Committed, EdgeSettings, Op, TtlSupport, admit},
    },
    watch::{WatchKind, WatcherId, Watches},
};

const SETTINGS: EdgeSettings = EdgeSettings {
    ttl: TtlSupport::On,
    reconfig_enabled: false,
    schemes: crate::state::acl::Schemes { digest: true, sasl: false, x509: false },
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    New,
    Connecting,
    Open,
    Done,
}

#[derive(Debug)]
enum Expected {
    Write { xid: Xid, creates: Vec<CreateVariant> },
    Close { xid: Xid },
    Sync { xid: Xid, path: String, question: u64, index: Option<usize> },
}

#[derive(Debug)]
enum Deferred {
    Frame(Vec<u8>),
    /// By a broken server: answered too early, sent in its turn.
    Answered(Vec<u8>),
}

#[derive(Debug)]
struct Connection {
    client: usize,
    phase: Phase,
    session: SessionId,
    owner: Owner,
    password: [u8; PASSWORD_BYTES],
    order: SessionOrder<Expected, Deferred>,
    syncs: usize,
    /// Nothing more is sent.
    is_ended: bool,
    input: VecDeque<Vec<u8>>,
    /// Frames, and whether each is an event.
    output: Vec<(bool, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) struct Server {
    index: i64,
    chance: Chance,
    mutant: Option<Mutant>,
    pub(super) state: State,
    /// What broken servers read from.
    old: State,
    applied: usize,
    watches: Watches,
    connections: BTreeMap<u64, Connection>,
    owners: BTreeMap<Owner, u64>,
    next_session: i64,
    asked: u64,
    /// For the sequencer.
    pub(super) commands: Vec<Command>,
    /// Questions for a read index.
    pub(super) questions: Vec<u64>,
    /// Links that end once their output is sent.
    pub(super) ended: Vec<(u64, usize)>,
}

impl Server {
    pub(super) fn new(index: usize, chance: Chance, mutant: Option<Mutant>) -> Self {
        Self {
            index: i64::try_from(index).unwrap(),
            chance,
            mutant,
            state: State::new(),
            old: State::new(),
            applied: 0,
            watches: Watches::new(),
            connections: BTreeMap::new(),
            owners: BTreeMap::new(),
            next_session: 1,
            asked: 0,
            commands: Vec::new(),
            questions: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Whether this server does wrong now.
    fn is(&mut self, mutant: Mutant, one_in: usize) -> bool {
        self.mutant == Some(mutant) && self.chance.one_in(one_in)
    }

    pub(super) fn welcome(&mut self, link: u64, client: usize) {
        let connection = Connection {
            client,
            phase: Phase::New,
            session: SessionId(0),
            owner: Owner(0),
            password: [0; PASSWORD_BYTES],
            order: SessionOrder::new(),
            syncs: 0,
            is_ended: false,
            input: VecDeque::new(),
            output: Vec::new(),
        };
        self.connections.insert(link, connection);
    }

    /// The link is gone; its session stays.
    pub(super) fn forget(&mut self, link: u64) {
        if let Some(connection) = self.connections.remove(&link) {
            self.owners.remove(&connection.owner);
            self.watches.remove_watcher(WatcherId(link));
        }
    }

    pub(super) fn session_of(&self, link: u64) -> Option<SessionId> {
        self.connections.get(&link).map(|connection| connection.session)
    }

    pub(super) fn receive(&mut self, link: u64, bytes: Vec<u8>) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.input.push_back(bytes);
            self.go_on(link);
        }
    }

    pub(super) fn take_output(&mut self) -> Vec<(u64, usize, Vec<u8>)> {
        let mut sent = Vec::new();
        for (link, connection) in &mut self.connections {
            let mut frames = core::mem::take(&mut connection.output);
            let place = frames.windows(2).position(|two| match self.mutant {
                Some(Mutant::SwapsEvents) => two[0].0 && two[1].0 && two[0].1 != two[1].1,
                Some(Mutant::TellsLate) => two[0].0 && !two[1].0,
                _ => false,
            });
            if let Some(place) = place {
                frames.swap(place, place + 1);
            }
            if !frames.is_empty() {
                let bytes = frames.into_iter().flat_map(|(_, frame)| frame).collect();
                sent.push((*link, connection.client, bytes));
            }
        }
        sent
    }

    /// Takes in what came, as far as it may be taken in.
    fn go_on(&mut self, link: u64) {
        while let Some(connection) = self.connections.get_mut(&link)
            && let Some(bytes) = connection.input.front()
        {
            let payload = frame::next(bytes, usize::MAX).unwrap().unwrap().payload.to_vec();
            match connection.phase {
                Phase::Connecting => return,
                Phase::Done => drop(connection.input.pop_front()),
                Phase::New => {
                    connection.input.pop_front();
                    self.connect(link, &payload);
                }
                Phase::Open => {
                    let (header, request) = request::decode(&payload).unwrap();
                    let request = request.unwrap();
                    let is_logged = matches!(request, Request::Write(_) | Request::CloseSession);
                    if connection.syncs > 0 && is_logged {
                        return;
                    }
                    connection.input.pop_front();
                    self.request(link, header.xid, request, &payload);
                }
            }
        }
    }

    fn end(&mut self, link: u64) {
        if let Some(connection) = self.connections.get_mut(&link) {
            connection.phase = Phase::Done;
            connection.is_ended = true;
            self.ended.push((link, connection.client));
            self.owners.remove(&connection.owner);
        }
    }

    fn connect(&mut self, link: u64, payload: &[u8]) {
        let request = ConnectRequest::decode(payload).unwrap();
        if request.last_zxid_seen > self.state.last_zxid()
            && self.mutant != Some(Mutant::AdmitsAhead)
        {
            return self.end(link);
        }
        let is_new = request.session == SessionId(0);
        let timeout_ms = request.timeout_ms.clamp(500, 4000);
        let mut session = request.session;
        let (mut password, op);
        if is_new {
            session = SessionId((self.index + 1) << 32 | self.next_session);
            self.next_session += 1;
            password = [0; PASSWORD_BYTES];
            password[..8].copy_from_slice(&self.chance.draw().to_be_bytes());
            op = Op::CreateSession { timeout_ms, password };
        } else {
            password = request.password.unwrap().try_into().unwrap();
            op = Op::AttachSession { timeout_ms, password };
        }
        let denies = !is_new && self.is(Mutant::DeniesSession, 10);
        let owner = Owner(self.chance.draw() | 1);
        let connection = self.connections.get_mut(&link).unwrap();
        (connection.session, connection.owner, connection.password) = (session, owner, password);
        connection.phase = Phase::Connecting;
        if denies {
            return self.greet(link, Err(ErrorCode::SessionExpired));
        }
        self.owners.insert(owner, link);
        self.submit(link, Xid(0), op);
        if self.mutant == Some(Mutant::AdmitsAhead) && !is_new {
            self.greet(link, Ok(timeout_ms));
        }
    }

    /// Answers a handshake.
    fn greet(&mut self, link: u64, result: Result<i32, ErrorCode>) {
        let connection = self.connections.get_mut(&link).unwrap();
        if connection.phase != Phase::Connecting {
            return;
        }
        let response = ConnectResponse {
            timeout_ms: result.unwrap_or(0),
            session: result.map_or(SessionId(0), |_| connection.session),
            password: result.map_or([0; PASSWORD_BYTES], |_| connection.password),
            read_only: Some(false),
        };
        let mut out = Vec::new();
        response.encode(&mut out);
        connection.output.push((false, out));
        connection.phase = Phase::Open;
        if result.is_err() {
            return self.end(link);
        }
        self.go_on(link);
    }

    fn submit(&mut self, link: u64, cxid: Xid, op: Op) {
        let Connection { session, owner, .. } = self.connections[&link];
        let auth = vec![crate::state::acl::ip_id([127, 0, 0, 1].into())];
        let (skip_acl, enforce_quota) = (false, false);
        self.commands.push(Command { session, owner, cxid, auth, skip_acl, enforce_quota, op });
    }

    fn request(&mut self, link: u64, xid: Xid, request: Request<'_>, payload: &[u8]) {
        let order = |this: &mut Self, expected| {
            this.connections.get_mut(&link).unwrap().order.push_write(expected);
        };
        match request {
            Request::Write(write) => {
                self.submit(link, xid, admit(&write, &[], SETTINGS));
                order(self, Expected::Write { xid, creates: creates_of(&write) });
            }
            Request::CloseSession => {
                self.submit(link, xid, Op::CloseSession);
                order(self, Expected::Close { xid });
                self.connections.get_mut(&link).unwrap().phase = Phase::Done;
            }
            Request::Sync { path } => {
                self.asked += 1;
                let (question, path) = (self.asked, path.unwrap().into_owned());
                let at_once = self.mutant == Some(Mutant::SyncsAtOnce);
                let index = at_once.then_some(0);
                order(self, Expected::Sync { xid, path, question, index });
                self.connections.get_mut(&link).unwrap().syncs += 1;
                self.questions.push(question);
                self.answer_syncs(link);
            }
            _ => self.at_the_edge(link, payload),
        }
    }

    fn at_the_edge(&mut self, link: u64, payload: &[u8]) {
        let is_idle = self.connections[&link].order.is_idle();
        if is_idle {
            return self.run(link, payload);
        }
        let mut deferred = Deferred::Frame(payload.to_vec());
        let (_, request) = request::decode(payload).unwrap();
        if let Ok(Request::Read(_)) = request
            && self.is(Mutant::ReadsBeforeOwnWrite, 2)
        {
            self.run(link, payload);
            let (_, frame) = self.connections.get_mut(&link).unwrap().output.pop().unwrap();
            deferred = Deferred::Answered(frame);
        }
        let runs = self.connections.get_mut(&link).unwrap().order.push_read(deferred);
        assert!(runs.is_none(), "a write is under way");
    }

    fn run(&mut self, link: u64, payload: &[u8]) {
        let (header, request) = request::decode(payload).unwrap();
        let (xid, zxid) = (header.xid, self.state.last_zxid());
        match request.unwrap() {
            Request::Read(read) => self.read(link, xid, &read),
            Request::SetWatches(watches) => self.set_watches(link, xid, &watches),
            Request::AddWatch { path, mode } => {
                let kind = WatchKind::from_add_mode(mode).unwrap();
                self.watches.add(WatcherId(link), &path.unwrap(), kind);
                self.reply(link, xid, zxid, Ok(&Reply::AddWatch));
            }
            Request::Ping => self.reply(link, PING_XID, zxid, Ok(&Reply::Empty)),
            other => panic!("clients do not ask {other:?}"),
        }
    }

    fn reply(&mut self, link: u64, xid: Xid, zxid: Zxid, reply: Result<&Reply<'_>, ErrorCode>) {
        let mut out = Vec::new();
        reply::encode(&mut out, xid, zxid, reply);
        self.connections.get_mut(&link).unwrap().output.push((false, out));
    }

    fn read(&mut self, link: u64, xid: Xid, read: &Read<'_>) {
        let is_old = self.is(Mutant::ReadsOldState, 3);
        let lies = self.is(Mutant::ReadsOldStateAndLies, 3);
        let session = self.connections[&link].session;
        let reader = Reader { session, auth: &[], skip_acl: false };
        let state = if is_old || lies { &self.old } else { &self.state };
        let result = state.read(&reader, read);
        let zxid = if is_old { self.old.last_zxid() } else { self.state.last_zxid() };
        match (read, result.as_ref().err()) {
            (Read::Exists { path, watch: true }, None | Some(ErrorCode::NoNode))
            | (Read::GetData { path, watch: true }, None) => {
                self.watches.add(WatcherId(link), path, WatchKind::Data);
            }
            (
                Read::GetChildren { path, watch: true } | Read::GetChildren2 { path, watch: true },
                None,
            ) => self.watches.add(WatcherId(link), path, WatchKind::Child),
            _ => {}
        }
        let mut out = Vec::new();
        reply::encode(&mut out, xid, zxid, result.as_ref().map_err(|code| *code));
        self.connections.get_mut(&link).unwrap().output.push((false, out));
    }

    fn set_watches(&mut self, link: u64, xid: Xid, watches: &SetWatches) {
        let mut missed = Vec::new();
        self.watches.restore(WatcherId(link), watches, &self.state, &mut missed);
        if self.mutant != Some(Mutant::RestoresBlindly) {
            for (kind, path) in missed {
                self.tell(link, kind, &path, WatchEvent::CAUGHT_UP);
            }
        }
        self.reply(link, xid, self.state.last_zxid(), Ok(&Reply::Empty));
    }

    fn tell(&mut self, link: u64, kind: ChangeKind, path: &SharedStr, zxid: Zxid) {
        let event = match kind {
            ChangeKind::Created => EventKind::Created,
            ChangeKind::Deleted => EventKind::Deleted,
            ChangeKind::DataChanged => EventKind::DataChanged,
            ChangeKind::ChildrenChanged => EventKind::ChildrenChanged,
        };
        let skips = self.is(Mutant::SkipsEvent, 10);
        let twice = self.is(Mutant::TellsTwice, 10);
        let Some(connection) = self.connections.get_mut(&link) else { return };
        let mut out = Vec::new();
        encode_event(&mut out, &WatchEvent { kind: event, path: path.clone(), zxid });
        if twice {
            connection.output.push((true, out.clone()));
        }
        if !skips {
            connection.output.push((true, out));
        }
        if self.mutant == Some(Mutant::WatchStays) {
            self.watches.add(WatcherId(link), path, WatchKind::Data);
        }
    }

    /// Applies the log up to a length.
    pub(super) fn apply_upto(&mut self, log: &[Arc<Batch>], upto: usize) {
        while self.applied < upto {
            if self.chance.one_in(4) {
                self.old = self.state.clone();
            }
            let committed = Committed::decode(&log[self.applied]).unwrap();
            self.state.begin_batch(&committed.header);
            for (zxid, command) in committed.with_zxids() {
                self.apply(zxid, command);
            }
            self.applied += 1;
            let links: Vec<u64> = self.connections.keys().copied().collect();
            links.into_iter().for_each(|link| self.answer_syncs(link));
        }
    }

    fn apply(&mut self, zxid: Zxid, command: &Command) {
        let mut changes = Changes::default();
        let mut outcome = self.state.apply(zxid, &self.tampered(command), &mut changes);
        if self.mutant == Some(Mutant::KeepsEphemerals) && command.op == Op::CloseSession {
            outcome = Ok(Outcome::SessionClosed);
        }
        for change in &changes.znodes {
            let mut watchers = Vec::new();
            self.watches.fire(change, &mut watchers);
            for watcher in watchers {
                self.tell(watcher.0, change.kind, &change.path, change.zxid);
            }
        }
        if let Some(link) = self.owners.get(&command.owner).copied() {
            self.answer_command(link, zxid, &outcome);
        }
        for change in changes.sessions {
            match change {
                SessionChange::Attached { owner, previous_owner: gone, .. } if owner != gone => {
                    self.end_owner(gone);
                }
                SessionChange::Closed { owner, .. } => self.end_owner(owner),
                _ => {}
            }
        }
    }

    /// The command as a broken server applies it.
    fn tampered(&self, command: &Command) -> Command {
        let mut command = command.clone();
        if self.mutant == Some(Mutant::KeepsEphemerals) && command.op == Op::CloseSession {
            command.op = Op::Fail(ErrorCode::SystemError);
        }
        command
    }

    fn end_owner(&mut self, owner: Owner) {
        if let Some(link) = self.owners.get(&owner).copied() {
            self.end(link);
        }
    }

    fn answer_command(&mut self, link: u64, zxid: Zxid, outcome: &Result<Outcome, ErrorCode>) {
        let Some(connection) = self.connections.get_mut(&link) else { return };
        if let Ok(
            Outcome::SessionCreated { timeout_ms } | Outcome::SessionAttached { timeout_ms },
        ) = outcome
        {
            return self.greet(link, Ok(*timeout_ms));
        }
        if connection.phase == Phase::Connecting {
            return self.greet(link, Err(ErrorCode::SessionExpired));
        }
        if *outcome == Err(ErrorCode::SessionMoved) {
            return self.end(link);
        }
        let mut ready = Vec::new();
        match connection.order.applied(&mut ready) {
            Some(Expected::Write { xid, creates }) => {
                let reply = outcome.as_ref().map(|outcome| reply_of(outcome, &creates));
                self.reply(link, xid, zxid, reply.as_ref().map_err(|code| **code));
            }
            Some(Expected::Close { xid }) => {
                let result = outcome.as_ref().map(|_| &Reply::Empty).map_err(|code| *code);
                self.reply(link, xid, zxid, result);
                self.end(link);
            }
            // A server whose commands are logged twice answers what nobody expects.
            Some(Expected::Sync { .. }) | None => return self.end(link),
        }
        self.run_ready(link, ready);
    }

    fn run_ready(&mut self, link: u64, ready: Vec<Deferred>) {
        for deferred in ready {
            match deferred {
                Deferred::Frame(payload) => self.run(link, &payload),
                Deferred::Answered(frame) => {
                    self.connections.get_mut(&link).unwrap().output.push((false, frame));
                }
            }
        }
    }

    /// The log must be applied up to `slot` before syncs up to this question are answered.
    pub(super) fn note_index(&mut self, number: u64, slot: usize) {
        let links: Vec<u64> = self.connections.keys().copied().collect();
        for link in links {
            for expected in self.connections.get_mut(&link).unwrap().order.writes_mut() {
                if let Expected::Sync { question, index: index @ None, .. } = expected
                    && *question <= number
                {
                    *index = Some(slot);
                }
            }
            self.answer_syncs(link);
        }
    }

    fn answer_syncs(&mut self, link: u64) {
        while let Some(connection) = self.connections.get_mut(&link)
            && !connection.is_ended
            && let Some(Expected::Sync { index: Some(slot), .. }) = connection.order.oldest_write()
            && *slot <= self.applied
        {
            let mut ready = Vec::new();
            let expected = connection.order.applied(&mut ready);
            let Some(Expected::Sync { xid, path, .. }) = expected else {
                unreachable!("just seen")
            };
            connection.syncs -= 1;
            let path = Some(Cow::Owned(path));
            self.reply(link, xid, self.state.last_zxid(), Ok(&Reply::Sync { path }));
            self.run_ready(link, ready);
            self.go_on(link);
        }
    }
}

fn creates_of(write: &Write<'_>) -> Vec<CreateVariant> {
    match write {
        Write::Create(create) => vec![create.variant],
        Write::Multi(writes) => writes.iter().flat_map(creates_of).collect(),
        _ => Vec::new(),
    }
}

fn reply_of<'a>(outcome: &'a Outcome, creates: &[CreateVariant]) -> Reply<'a> {
    match outcome {
        Outcome::Created { path, .. } if creates == [CreateVariant::Create] => {
            Reply::Created { path: Cow::Borrowed(path.as_str()) }
        }
        Outcome::Created { path, stat } => {
            Reply::Created2 { path: Cow::Borrowed(path.as_str()), stat: *stat }
        }
        Outcome::DataSet { stat } | Outcome::AclSet { stat } => Reply::Stat(*stat),
        Outcome::MultiFailed { failed, code, op_count } => {
            Reply::Multi(MultiResult::of_failed(*failed, *code, *op_count).collect())
        }
        Outcome::Multi(outcomes) => {
            let mut creates = creates.iter();
            let result = |outcome: &'a Outcome| match outcome {
                Outcome::Created { path, stat } => {
                    let path = Cow::Borrowed(path.as_str());
                    match creates.next() {
                        Some(CreateVariant::Create) => MultiResult::Created { path },
                        _ => MultiResult::Created2 { path, stat: *stat },
                    }
                }
                Outcome::DataSet { stat } => MultiResult::DataSet { stat: *stat },
                Outcome::Deleted => MultiResult::Deleted,
                _ => MultiResult::Checked,
            };
            Reply::Multi(outcomes.iter().map(result).collect())
        }
        _ => Reply::Empty,
    }
}
