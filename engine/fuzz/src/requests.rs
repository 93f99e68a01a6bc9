//! A session: the bytes of one client, served by the engine as a server would, to the end.
//!
//! Every write is admitted, encoded, decoded, and applied to two States, which must agree; every
//! read is answered; watches fire. In the end the State must survive a snapshot.

use ringkeeper_engine::{
    batch::{self, Base, Batch, BatchHeader, BatchKind, Commands},
    ids::{Ballot, Epoch, Life, Owner, ReplicaId, SessionId, WallTime, Xid, Zxid},
    limits::PASSWORD_BYTES,
    protocol::{
        error_code::ErrorCode,
        records::Id,
        reply::{self, Reply},
        request::{self, Read, Request, RequestError},
    },
    state::{
        Changes, State,
        command::{Command, Committed, EdgeSettings, Op, TtlSupport, admit, encode},
        read::Reader,
        snapshot,
    },
    watch::{WatchKind, WatcherId, WatcherType, Watches},
};

const SESSION: SessionId = SessionId(0x0100_0000_0000_0001);
const OWNER: Owner = Owner(77);
const WATCHER: WatcherId = WatcherId(1);

/// Serves the bytes as requests, each with its length in front. A length that lies takes the rest.
pub fn run(data: &[u8]) {
    serve(data).check();
}

/// As `run`, without the checks at the end.
pub fn serve(data: &[u8]) -> Server {
    let mut server = Server::new();
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("64 bits");
        let (payload, after) = after.split_at(length.min(after.len()));
        rest = after;
        if !server.request(payload) {
            break;
        }
    }
    server
}

/// Two States, the watches of one connection, and the log between them.
pub struct Server {
    /// The State that answers reads.
    pub state: State,
    twin: State,
    watches: Watches,
    last: Base,
    auth: Vec<Id>,
    /// Every batch's commands, encoded.
    pub payloads: Vec<Vec<u8>>,
    out: Vec<u8>,
}

impl Server {
    fn new() -> Self {
        let mut server = Self {
            state: State::new(),
            twin: State::new(),
            watches: Watches::new(),
            last: Base::default(),
            auth: vec![Id { scheme: "ip".into(), id: "127.0.0.1".into() }],
            payloads: Vec::new(),
            out: Vec::new(),
        };
        server.commit(&Commands::default(), BatchKind::NewEpoch);
        let create = Op::CreateSession { timeout_ms: 30_000, password: [7; PASSWORD_BYTES] };
        server.command(Xid(0), create);
        server
    }

    /// Serves one request. False: the connection is closed.
    fn request(&mut self, payload: &[u8]) -> bool {
        let Ok((header, request)) = request::decode(payload) else {
            return false;
        };
        self.out.clear();
        match request {
            Ok(request) => self.serve(header.xid, &request),
            Err(RequestError::Malformed(_)) => true,
            Err(RequestError::MalformedMulti(_)) => {
                self.command(header.xid, Op::Fail(ErrorCode::MarshallingError));
                true
            }
            Err(RequestError::NotOffered(_) | RequestError::MalformedAuth(_)) => false,
        }
    }

    fn serve(&mut self, xid: Xid, request: &Request<'_>) -> bool {
        match request {
            Request::Write(write) => {
                let ttl = TtlSupport::On;
                let settings = EdgeSettings { ttl, ..EdgeSettings::default() };
                self.command(xid, admit(write, &self.auth, settings));
            }
            Request::Read(read) => self.read(xid, read),
            Request::SetWatches(wanted) => {
                let mut events = Vec::new();
                self.watches.restore(WATCHER, wanted, &self.state, &mut events);
            }
            Request::AddWatch { path, mode } => {
                if let Some(kind) = WatchKind::from_add_mode(*mode) {
                    self.watches.add(WATCHER, path.as_deref().unwrap_or_default(), kind);
                }
            }
            Request::CheckWatches { path, watcher_type }
            | Request::RemoveWatches { path, watcher_type } => {
                if let Some(what) = WatcherType::from_number(*watcher_type) {
                    let path = path.as_deref().unwrap_or_default();
                    let was_there = self.watches.contains(WATCHER, path, what);
                    assert!(self.watches.remove(WATCHER, path, what) == was_there);
                }
            }
            Request::CloseSession => {
                self.command(xid, Op::CloseSession);
                return false;
            }
            Request::Sync { .. }
            | Request::Ping
            | Request::Auth { .. }
            | Request::Sasl { .. }
            | Request::WhoAmI => {}
        }
        true
    }

    fn read(&mut self, xid: Xid, read: &Read<'_>) {
        if let Read::Exists { path, watch: true }
        | Read::GetData { path, watch: true }
        | Read::GetChildren { path, watch: true }
        | Read::GetChildren2 { path, watch: true } = read
        {
            let is_children = matches!(read, Read::GetChildren { .. } | Read::GetChildren2 { .. });
            let kind = if is_children { WatchKind::Child } else { WatchKind::Data };
            self.watches.add(WATCHER, path, kind);
        }
        let reader = Reader { session: SESSION, auth: &self.auth, skip_acl: false };
        let answer = self.state.read(&reader, read);
        let answer = answer.as_ref().map_err(|code| *code);
        reply::encode(&mut self.out, xid, self.state.last_zxid(), answer);
    }

    fn command(&mut self, cxid: Xid, op: Op) {
        let (session, owner, auth) = (SESSION, OWNER, self.auth.clone());
        let enforce_quota = true;
        let command = Command { session, owner, cxid, auth, skip_acl: false, enforce_quota, op };
        let mut commands = Commands::default();
        encode(&command, &mut commands);
        let committed = self.commit(&commands, BatchKind::Commands);
        assert!(committed.commands.first() == Some(&command), "a command comes back");
    }

    fn commit(&mut self, commands: &Commands, kind: BatchKind) -> Committed {
        let takes = commands.ends.iter().filter(|end| end.takes_zxid).count();
        let is_new_epoch = kind == BatchKind::NewEpoch;
        let first_zxid =
            if is_new_epoch { Zxid::new(Epoch(1), 1) } else { Zxid(self.last.last_zxid.0 + 1) };
        let mut header = BatchHeader {
            slot: self.last.slot.next(),
            origin: Ballot { round: 1, replica: ReplicaId(1) },
            kind,
            epoch: Epoch(1),
            first_zxid,
            zxid_count: u32::try_from(takes).expect("one command"),
            command_count: u32::try_from(commands.ends.len()).expect("one command"),
            time: WallTime(self.last.time.0 + 1),
            previous_hash: self.last.hash,
            hash: 0,
        };
        let payload = if is_new_epoch { [].into() } else { commands.payload(Life(1)) };
        header.hash = batch::hash(&header, &payload);
        self.last = Base::of(&header);
        let batch = Batch { header, payload };
        let committed = Committed::decode(&batch).expect("what was encoded is decoded");
        self.apply(&committed);
        self.payloads.push(batch.payload.to_vec());
        committed
    }

    fn apply(&mut self, committed: &Committed) {
        self.state.begin_batch(&committed.header);
        self.twin.begin_batch(&committed.header);
        for (zxid, command) in committed.with_zxids() {
            let (mut changes, mut twins) = (Changes::default(), Changes::default());
            let outcome = self.state.apply(zxid, command, &mut changes);
            let twins_outcome = self.twin.apply(zxid, command, &mut twins);
            assert!(outcome == twins_outcome, "States answer alike");
            assert!(changes == twins, "States change alike");
            assert!(outcome.is_ok() || changes.is_empty(), "what failed has changed nothing");
            let mut watchers = Vec::new();
            for change in &changes.znodes {
                self.watches.fire(change, &mut watchers);
            }
            assert!(watchers.len() <= changes.znodes.len(), "one event for a change");
        }
    }

    /// The State as a snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot_of(&self.state)
    }

    fn check(&self) {
        let bytes = self.snapshot();
        let mut loader = snapshot::Loader::new();
        loader.push(&bytes).expect("a snapshot loads");
        let loaded = loader.finish().expect("a snapshot loads");
        assert!(loaded.digest() == self.state.digest());
        assert!(loaded.approximate_data_size() == self.state.approximate_data_size());
        assert!(loaded.ephemerals_count() == self.state.ephemerals_count());
        assert!(snapshot_of(&loaded) == bytes, "a State has one snapshot");
        let reader = Reader { session: SESSION, auth: &self.auth, skip_acl: true };
        let count = Read::GetAllChildrenNumber { path: "/".into() };
        let counted = self.state.read(&reader, &count);
        let count = i32::try_from(self.state.znode_count()).expect("few znodes");
        assert!(counted == Ok(Reply::Count(count - 2)), "the root counts twice, and not here");
    }
}

/// All chunks of a State's snapshot.
#[must_use]
pub fn snapshot_of(state: &State) -> Vec<u8> {
    let mut writer = snapshot::Writer::new(state);
    let mut bytes = Vec::new();
    while writer.next_chunk(state, &mut bytes) {}
    bytes
}
