//! A State with a log in front of it: what a test submits goes through `admit`, the encoding, a
//! batch and the decoding, as it does in a server.

use alloc::{string::String, vec, vec::Vec};

use crate::{
    batch::{Batch, BatchHeader, BatchKind, Commands},
    ids::{Ballot, Epoch, Life, Owner, ReplicaId, SessionId, WallTime, Xid, Zxid},
    protocol::{
        error_code::ErrorCode,
        records::{Acl, Id},
        request::Write,
    },
    state::{
        Changes, Outcome, Reader, State,
        admit::{EdgeSettings, TtlSupport, admit},
        command::{Command, Committed, Op, encode},
        snapshot::{Loader, Writer},
    },
};

/// A State and the settings of the server that feeds it.
#[derive(Clone)]
pub(in crate::state) struct World {
    pub(in crate::state) state: State,
    pub(in crate::state) time: i64,
    pub(in crate::state) auth: Vec<Id>,
    pub(in crate::state) settings: EdgeSettings,
    pub(in crate::state) enforce_quota: bool,
    /// Of the last command.
    pub(in crate::state) changes: Changes,
    /// Everything that was committed.
    pub(in crate::state) log: Vec<Batch>,
}

impl World {
    pub(in crate::state) fn new() -> Self {
        let mut world = Self {
            state: State::new(),
            time: 1000,
            auth: vec![Id { scheme: "ip".into(), id: "127.0.0.1".into() }],
            settings: EdgeSettings { ttl: TtlSupport::On, ..EdgeSettings::default() },
            enforce_quota: false,
            changes: Changes::default(),
            log: Vec::new(),
        };
        world.commit(BatchKind::NewEpoch, &Commands::default());
        world
    }

    /// Submits a client's write. Sessions of tests are owned by the owner with their number.
    pub(in crate::state) fn write(
        &mut self,
        session: i64,
        write: &Write<'_>,
    ) -> Result<Outcome, ErrorCode> {
        let op = admit(write, &self.auth, self.settings);
        self.command(session, u64::try_from(session).unwrap(), op)
    }

    pub(in crate::state) fn command(
        &mut self,
        session: i64,
        owner: u64,
        op: Op,
    ) -> Result<Outcome, ErrorCode> {
        let command = Command {
            session: SessionId(session),
            owner: Owner(owner),
            cxid: Xid(7),
            auth: self.auth.clone(),
            skip_acl: false,
            enforce_quota: self.enforce_quota,
            op,
        };
        let mut commands = Commands::default();
        encode(&command, &mut commands);
        let mut results = self.commit(BatchKind::Commands, &commands);
        results.pop().unwrap()
    }

    pub(in crate::state) fn open(&mut self, session: i64) -> Result<Outcome, ErrorCode> {
        let op = Op::CreateSession { timeout_ms: 30_000, password: [7; 16] };
        self.command(session, u64::try_from(session).unwrap(), op)
    }

    pub(in crate::state) fn reader(&self, session: i64) -> Reader<'_> {
        Reader { session: SessionId(session), auth: &self.auth, skip_acl: false }
    }

    /// All bytes of a snapshot.
    pub(in crate::state) fn snapshot(&self) -> Vec<u8> {
        let mut writer = Writer::new(&self.state);
        let mut bytes = Vec::new();
        while writer.next_chunk(&self.state, &mut bytes) {}
        bytes
    }

    /// Replaces the State by one that was written and loaded again.
    pub(in crate::state) fn reload(&mut self) {
        let mut loader = Loader::new();
        loader.push(&self.snapshot()).unwrap();
        self.state = loader.finish().unwrap();
    }

    fn commit(&mut self, kind: BatchKind, commands: &Commands) -> Vec<Result<Outcome, ErrorCode>> {
        let applied = self.state.applied();
        let is_new_epoch = kind == BatchKind::NewEpoch;
        let epoch = Epoch(applied.epoch.0 + u32::from(is_new_epoch));
        let first_zxid =
            if is_new_epoch { Zxid::new(epoch, 1) } else { Zxid(applied.last_zxid.0 + 1) };
        let takes_zxid = commands.ends.iter().filter(|end| end.takes_zxid).count();
        let header = BatchHeader {
            slot: applied.slot.next(),
            origin: Ballot { round: 1, replica: ReplicaId(1) },
            kind,
            epoch,
            first_zxid,
            zxid_count: u32::try_from(takes_zxid).unwrap(),
            command_count: u32::try_from(commands.ends.len()).unwrap(),
            time: WallTime(self.time),
            previous_hash: applied.hash,
            hash: applied.hash + 1,
        };
        let payload = if is_new_epoch { [].into() } else { commands.payload(Life(1)) };
        let batch = Batch { header, payload };
        self.log.push(batch.clone());
        self.apply(&batch)
    }

    /// Applies a batch that some State has applied.
    pub(in crate::state) fn apply(&mut self, batch: &Batch) -> Vec<Result<Outcome, ErrorCode>> {
        let committed = Committed::decode(batch).unwrap();
        self.changes.clear();
        self.state.begin_batch(&committed.header);
        let state = &mut self.state;
        let changes = &mut self.changes;
        committed.with_zxids().map(|(zxid, command)| state.apply(zxid, command, changes)).collect()
    }
}

/// `world:anyone:31`, or several of the kind separated by commas; perms are letters of `rwcda`.
pub(in crate::state) fn parse_acl(text: &str) -> Vec<Acl> {
    let entry = |text: &str| {
        let (id, perms) = text.rsplit_once(':').unwrap();
        let (scheme, id) = id.split_once(':').unwrap();
        let bit = |letter| 1 << "rwcda".find(letter).unwrap();
        let id = Id { scheme: scheme.into(), id: id.into() };
        Acl { perms: perms.chars().map(bit).sum(), id }
    };
    text.split(',').filter(|text| !text.is_empty()).map(entry).collect()
}

pub(in crate::state) fn format_acl(acl: &[Acl]) -> String {
    let entry = |entry: &Acl| {
        let letters = "rwcda".char_indices().filter(|(bit, _)| entry.perms >> bit & 1 == 1);
        let letters: String = letters.map(|(_, letter)| letter).collect();
        alloc::format!("{}:{}:{letters}", entry.id.scheme, entry.id.id)
    };
    let entries: Vec<String> = acl.iter().map(entry).collect();
    entries.join(",")
}
