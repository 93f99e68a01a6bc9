//! The committed log through the naive tree, with every answer beside it (rules 1, 3 and 4).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};

use super::{
    Report, Rule,
    connections::{Connection, Operation},
    name,
};
use crate::{
    batch::Batch,
    ids::{Owner, SessionId, Slot, Xid, Zxid},
    protocol::error_code::ErrorCode,
    sim::{
        ask::{Answer, Ask},
        check::reference::{Expected, Reference},
    },
    state::{
        ChangeKind, Outcome,
        command::{Command, Committed, Op},
    },
};

/// What one command changed, in order.
pub(super) type Changed = (Zxid, Vec<(ChangeKind, alloc::string::String)>);

/// A client's operation, by connection and place in it.
pub(super) type OperationId = (usize, usize);

/// What the log says.
#[derive(Debug)]
pub(super) struct Replay {
    /// What changed, command by command.
    pub(super) changes: Vec<Changed>,
    /// Where each client's write is.
    pub(super) logged: BTreeMap<OperationId, Zxid>,
    /// The zxid that opened each session, and the timeout it began with.
    pub(super) opened: BTreeMap<SessionId, (Zxid, i32)>,
    /// Where each session was attached to a connection: the place of the batch, and the zxid of
    /// the command before.
    pub(super) attached: BTreeMap<SessionId, Vec<(usize, Zxid)>>,
    /// The sessions that were closed.
    pub(super) closed: BTreeMap<SessionId, Closed>,
    /// What each `setWatches` should have found.
    pub(super) missed: BTreeMap<OperationId, Vec<(ChangeKind, alloc::string::String)>>,
    /// The tree at the end.
    pub(super) tree: Reference,
}

/// How a session ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    /// The place of its batch in the log, from 0.
    pub(super) batch: usize,
    /// When, as zxids count.
    pub(super) zxid: Zxid,
    /// Whether the leader's clock did it.
    pub(super) is_expiry: bool,
}

/// What is under way while the log is read.
struct Run<'a, 'b> {
    connections: &'a [Connection<'a>],
    report: &'b mut Report,
    replay: Replay,
    /// Writes of clients, by what the log names them.
    writes: BTreeMap<(SessionId, Xid), OperationId>,
    /// What was answered as of each zxid.
    answered: BTreeMap<Zxid, Vec<OperationId>>,
    /// The last xid of each session that had an effect.
    effective: BTreeMap<SessionId, Xid>,
    /// The last xid of each connection.
    sent: BTreeMap<usize, Xid>,
}

impl Replay {
    pub(super) fn run(
        log: &[Arc<Batch>],
        connections: &[Connection<'_>],
        report: &mut Report,
    ) -> Self {
        let replay = Self {
            changes: Vec::new(),
            logged: BTreeMap::new(),
            opened: BTreeMap::new(),
            attached: BTreeMap::new(),
            closed: BTreeMap::new(),
            missed: BTreeMap::new(),
            tree: Reference::new(),
        };
        let mut run = Run {
            writes: BTreeMap::new(),
            answered: BTreeMap::new(),
            effective: BTreeMap::new(),
            sent: BTreeMap::new(),
            connections,
            report,
            replay,
        };
        run.index();
        run.answers_at(Zxid::NONE);
        for (index, batch) in log.iter().enumerate() {
            run.batch(index, batch);
        }
        run.finish();
        run.replay
    }
}

impl<'a> Run<'a, '_> {
    fn operation(&self, id: OperationId) -> (&'a Connection<'a>, &'a Operation<'a>) {
        let connection = &self.connections[id.0];
        (connection, &connection.operations[id.1])
    }

    fn index(&mut self) {
        for (at, connection) in self.connections.iter().enumerate() {
            for (index, operation) in connection.operations.iter().enumerate() {
                let id = (at, index);
                if operation.ask.is_write() {
                    let before = self.writes.insert((connection.session, operation.xid), id);
                    assert!(before.is_none(), "a client numbers its requests: {operation:?}");
                } else if let Some(reply) = operation.reply {
                    self.answered.entry(reply.zxid).or_default().push(id);
                }
            }
        }
    }

    fn batch(&mut self, index: usize, batch: &Batch) {
        assert!(batch.header.slot == Slot(index as u64 + 1), "the log starts at slot 1");
        let committed = Committed::decode(batch).expect("the log holds commands");
        self.replay.tree.begin_batch(&committed.header);
        self.answers_at(self.replay.tree.zxid);
        for (zxid, command) in committed.with_zxids() {
            let expected = self.replay.tree.apply(zxid, command);
            if !self.replay.tree.changes.is_empty() {
                let changes = core::mem::take(&mut self.replay.tree.changes);
                self.replay.changes.push((zxid, changes));
            }
            self.session_command(index, zxid, command, &expected);
            let is_of_client = command.owner != Owner(0)
                && !matches!(command.op, Op::CreateSession { .. } | Op::AttachSession { .. });
            if is_of_client {
                self.write(zxid, command, &expected);
            }
            self.answers_at(zxid);
        }
    }

    fn session_command(
        &mut self,
        index: usize,
        zxid: Zxid,
        command: &Command,
        expected: &Expected,
    ) {
        let session = command.session;
        match expected {
            Ok(Outcome::SessionCreated { timeout_ms }) => {
                self.replay.opened.insert(session, (zxid, *timeout_ms));
            }
            Ok(Outcome::SessionAttached { .. }) => {
                self.replay.attached.entry(session).or_default().push((index, zxid));
            }
            Ok(Outcome::SessionClosed) => {
                let closed = Closed { batch: index, zxid, is_expiry: command.owner == Owner(0) };
                self.replay.closed.insert(session, closed);
                let orphan = self.replay.tree.orphan();
                let text = || format!("{orphan:?} outlives its session at {zxid}");
                self.report.expect(orphan.is_none(), Rule::Sessions, text);
            }
            _ => {}
        }
    }

    /// A client's command in the log.
    fn write(&mut self, zxid: Zxid, command: &Command, expected: &Expected) {
        let (session, xid) = (command.session, command.cxid);
        let Some(id) = self.writes.get(&(session, xid)).copied() else {
            let text = format!("{zxid} in the log: nobody asked for {command:?}");
            return self.report.broken(Rule::SessionOrder, text);
        };
        let (connection, operation) = self.operation(id);
        let name = || name(connection, operation);
        if let Some(before) = self.replay.logged.insert(id, zxid) {
            let text = format!("in the log twice, at {before} and {zxid}: {}", name());
            return self.report.broken(Rule::SessionOrder, text);
        }
        if operation.ask.op().as_ref() != Some(&command.op) {
            let text = format!("in the log at {zxid} as {:?}: {}", command.op, name());
            self.report.broken(Rule::Replay, text);
        }
        let is_in_order = self.sent.insert(id.0, xid).is_none_or(|before| before < xid);
        let is_moved = *expected == Err(ErrorCode::SessionMoved);
        // What an old connection sent may come late, and does nothing.
        let has_followed =
            matches!(expected, Err(ErrorCode::SessionMoved | ErrorCode::SessionExpired))
                || self.effective.insert(session, xid).is_none_or(|before| before < xid);
        self.report.expect(is_in_order && has_followed, Rule::SessionOrder, || {
            format!("at {zxid}, behind a later one of its session: {}", name())
        });
        match operation.reply {
            None => self.report.counts.unanswered_writes += 1,
            Some(reply) => {
                self.report.counts.answered_writes += 1;
                let answer = answer_to(operation.ask, expected);
                let is_right = reply.zxid == zxid && *reply.answer == answer && !is_moved;
                self.report.expect(is_right, Rule::Replay, || {
                    let reply = (reply.zxid, reply.answer);
                    format!("answered {reply:?} and not {:?}: {}", (zxid, &answer), name())
                });
            }
        }
        self.report.counts.moved_writes += usize::from(is_moved);
    }

    /// Looks at what was answered as of the tree's zxid.
    fn answers_at(&mut self, zxid: Zxid) {
        for id in self.answered.remove(&zxid).unwrap_or_default() {
            let (connection, operation) = self.operation(id);
            let Some(reply) = operation.reply else { continue };
            let expected = match operation.ask {
                Ask::SetWatches(watches) => {
                    self.replay.missed.insert(id, self.replay.tree.missed(watches));
                    Ok(Answer::Empty)
                }
                Ask::Sync { path } => Ok(Answer::Synced { path: path.clone() }),
                Ask::AddWatch { .. } => Ok(Answer::Watching),
                Ask::Ping => Ok(Answer::Empty),
                ask => {
                    self.report.counts.reads += 1;
                    self.replay.tree.read(ask).expect("everything else is a read")
                }
            };
            self.report.expect(*reply.answer == expected, Rule::Reads, || {
                let name = name(connection, operation);
                format!("answered {:?} as of {zxid} and not {expected:?}: {name}", reply.answer)
            });
        }
    }

    fn finish(&mut self) {
        for (zxid, ids) in core::mem::take(&mut self.answered) {
            for id in ids {
                let (connection, operation) = self.operation(id);
                let name = name(connection, operation);
                let text = format!("answered as of {zxid}, which the log does not have: {name}");
                self.report.broken(Rule::Reads, text);
            }
        }
        for at in 0..self.connections.len() {
            self.has_no_gap(at);
        }
    }

    /// The writes of a connection that are in the log are the first ones, and all that were
    /// answered.
    fn has_no_gap(&mut self, at: usize) {
        let connection = &self.connections[at];
        let mut missing = None;
        for (index, operation) in connection.operations.iter().enumerate() {
            if !operation.ask.is_write() {
                continue;
            }
            let is_logged = self.replay.logged.contains_key(&(at, index));
            if !is_logged && operation.reply.is_some() {
                let text = format!("answered and not in the log: {}", name(connection, operation));
                self.report.broken(Rule::SessionOrder, text);
            }
            match missing {
                None if !is_logged => missing = Some(operation),
                Some(missing) if is_logged => {
                    let [here, missing] = [operation, missing].map(|one| name(connection, one));
                    let text = format!("not in the log: {missing}\nbut what followed is: {here}");
                    return self.report.broken(Rule::SessionOrder, text);
                }
                _ => {}
            }
        }
    }
}

/// The sessions that own ephemerals that a client was shown.
pub(super) fn shown_owners(answer: &Answer) -> BTreeSet<SessionId> {
    let mut owners = BTreeSet::new();
    match answer {
        Answer::Stat(stat)
        | Answer::Data { stat, .. }
        | Answer::Acl { stat, .. }
        | Answer::Created { stat: Some(stat), .. }
        | Answer::Children { stat: Some(stat), .. } => {
            owners.insert(SessionId(stat.ephemeral_owner));
        }
        Answer::Multi(answers) => owners.extend(answers.iter().flat_map(shown_owners)),
        _ => {}
    }
    owners.remove(&SessionId(0));
    owners
}

/// How the outcome of a write is told to who asked so.
pub(super) fn answer_to(ask: &Ask, expected: &Expected) -> Result<Answer, ErrorCode> {
    expected.as_ref().map(|outcome| answer_of(ask, outcome)).map_err(|code| *code)
}

fn answer_of(ask: &Ask, outcome: &Outcome) -> Answer {
    match outcome {
        Outcome::Created { path, stat } => {
            let has_stat = ask.opcode() != 1;
            Answer::Created { path: path.as_str().into(), stat: has_stat.then_some(*stat) }
        }
        Outcome::DataSet { stat } | Outcome::AclSet { stat } => Answer::Stat(*stat),
        Outcome::Multi(outcomes) => {
            let Ask::Multi(asks) = ask else { return Answer::Empty };
            Answer::Multi(asks.iter().zip(outcomes).map(|(ask, one)| answer_of(ask, one)).collect())
        }
        Outcome::MultiFailed { failed, code, op_count } => {
            let result = |index: usize| match index.cmp(failed) {
                core::cmp::Ordering::Less => 0,
                core::cmp::Ordering::Equal => code.number(),
                core::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency.number(),
            };
            Answer::Multi((0..*op_count).map(|index| Answer::Error(result(index))).collect())
        }
        Outcome::Deleted
        | Outcome::Checked
        | Outcome::SessionClosed
        | Outcome::SessionCreated { .. }
        | Outcome::SessionAttached { .. } => Answer::Empty,
    }
}
