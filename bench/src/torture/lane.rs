//! A lane: a session that writes to its own part of the tree, always knows what must be there, and
//! finds out after a crash how far its unacknowledged requests got.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    audit::Reading,
    model::{EPHEMERALS, Ledger, Model, Node, Outcome, Seen, Step, StepNo},
};
use crate::{
    rng::Rng,
    wire::{
        Connect, Connected, Connection, Failure,
        records::{code, flags},
    },
};

/// Sessions that fall silent expire after this, and no earlier.
pub(super) const SESSION_TIMEOUT_MS: i32 = 4000;
/// Names that a lane creates and deletes again and again.
const NAMES: u64 = 12;

/// What all lanes of one life of the server share.
pub(super) struct Life {
    pub(super) address: SocketAddr,
    /// Set before the server is stopped: from then on connections may break.
    pub(super) ends: AtomicBool,
    /// Whether a session that is taken over in mid-flight orders its old requests before the
    /// takeover. Apache ZooKeeper does not.
    pub(super) takeover_is_ordered: bool,
}

/// A session that was left alone, and the ephemerals that must go with it, all at once.
pub(super) struct Dying {
    nodes: BTreeMap<String, Node>,
    /// A life of the server was long enough since.
    pub(super) may_expire: bool,
}

pub(super) struct Lane {
    pub(super) root: String,
    index: usize,
    rng: Rng,
    model: Model,
    ledger: Ledger,
    next_step: StepNo,
    session: Option<Connected>,
    /// Sessions opened so far.
    sessions: u64,
    may_be_closed: bool,
    /// Sent and not answered, oldest first, each with the answer that is due.
    pending: VecDeque<(StepNo, Step, Outcome)>,
    pub(super) dying: Vec<Dying>,
    /// zxids of this life's answers.
    pub(super) acknowledged: Vec<i64>,
    /// Sessions opened or closed in this life: each takes a zxid that no reply shows.
    pub(super) hidden_zxids: usize,
}

impl Lane {
    pub(super) fn new(index: usize, rng: Rng) -> Self {
        let root = format!("/t/l{index:02}");
        Self {
            model: Model::with_root(&root),
            root,
            index,
            rng,
            ledger: Ledger::default(),
            next_step: 1,
            session: None,
            sessions: 0,
            may_be_closed: false,
            pending: VecDeque::new(),
            dying: Vec::new(),
            acknowledged: Vec::new(),
            hidden_zxids: 0,
        }
    }

    /// Prefix of the names of this lane's ephemerals.
    pub(super) fn ephemeral_prefix(&self) -> String {
        format!("{EPHEMERALS}/l{:02}-", self.index)
    }

    /// Finds how many unacknowledged steps were applied: some prefix of them, exactly once each.
    pub(super) fn resolve(&mut self, mut seen: Seen) -> Result<(), Failure> {
        self.resolve_dying(&mut seen)?;
        let session = self.session.as_ref().map_or(0, |session| session.session);
        let mut causes = Vec::new();
        let mut candidate = self.model.clone();
        let mut pending = self.pending.iter();
        let mut closed = false;
        loop {
            match candidate.matches(&seen, &self.ledger) {
                Ok(ledger) => {
                    self.ledger = ledger;
                    break;
                }
                Err(cause) => causes.push(cause),
            }
            let Some((no, step, _)) = pending.next() else {
                let pending = self.pending.len();
                let root = &self.root;
                let last = causes.last().cloned().unwrap_or_default();
                return Err(format!(
                    "{root}: no prefix of {pending} unacknowledged requests gives what is there; \
                     with none of them: {}; with all: {last}",
                    causes[0]
                )
                .into());
            };
            candidate.apply(*no, step, session);
            closed |= matches!(step, Step::Close);
        }
        // Without ephemerals, nothing in the tree tells whether a close at the end was applied.
        self.may_be_closed = self.pending.iter().any(|(_, step, _)| matches!(step, Step::Close));
        self.model = candidate;
        // In the middle of a life: those that were applied have taken zxids that nobody was told.
        self.hidden_zxids += self.pending.len();
        self.pending.clear();
        let nodes = self.model.nodes.values();
        self.ledger.forget(&nodes.chain(self.dying.iter().flat_map(|dying| dying.nodes.values())));
        if closed {
            self.session = None;
        }
        Ok(())
    }

    /// The ephemerals of a session that was left alone: all there and unchanged, or all gone.
    fn resolve_dying(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut kept = Vec::new();
        for dying in self.dying.drain(..) {
            let count = dying.nodes.keys().filter(|path| seen.contains_key(*path)).count();
            if count == 0 && dying.may_expire {
                continue;
            }
            // A life was long enough for the session to expire, or none was.
            let too_late = dying.may_expire && count != 0;
            if too_late || count != dying.nodes.len() {
                let all = dying.nodes.len();
                return Err(format!(
                    "{}: {count} of {all} ephemerals of a silent session are left, \
                     expiry possible: {}",
                    self.root, dying.may_expire
                )
                .into());
            }
            for (path, node) in &dying.nodes {
                let (data, stat) = seen.remove(path).expect("counted above");
                node.matches(data.as_deref(), &stat, 0, &mut self.ledger)
                    .map_err(|cause| format!("{path}: {cause}"))?;
            }
            kept.push(dying);
        }
        self.dying = kept;
        Ok(())
    }

    /// Leaves the session alone: its ephemerals must go by themselves.
    pub(super) fn abandon(&mut self) {
        let Some(session) = self.session.take() else { return };
        let all = std::mem::take(&mut self.model.nodes);
        let (nodes, kept) = all.into_iter().partition(|(_, node)| node.owner == session.session);
        self.model.nodes = kept;
        self.dying.push(Dying { nodes, may_expire: false });
    }

    /// Writes until the server goes. An error is a violation; a broken connection then is not.
    pub(super) fn run(&mut self, life: &Life) -> Result<(), Failure> {
        self.acknowledged.clear();
        self.hidden_zxids = 0;
        match self.write_until_broken(life) {
            Ok(()) => Ok(()),
            Err(cause) if life.ends.load(Ordering::SeqCst) && is_broken_connection(&cause) => {
                Ok(())
            }
            Err(cause) => Err(format!("{}: {cause}", self.root).into()),
        }
    }

    fn write_until_broken(&mut self, life: &Life) -> Result<(), Failure> {
        let mut connection = self.connect(life)?;
        let depth = 1 + self.rng.index(32);
        let mut ahead = self.model.clone();
        loop {
            while self.pending.len() < depth {
                self.send(&mut connection, &mut ahead)?;
            }
            self.receive(&mut connection)?;
            // Not while ephemerals of a silent session may go between two reads.
            let settled = life.takeover_is_ordered && self.dying.is_empty();
            if settled && self.rng.below(3000) == 0 {
                drop(connection);
                connection = self.connect(life)?;
                let seen = Reading::of_lane(&mut connection, self)?;
                self.resolve(seen)?;
                ahead = self.model.clone();
            }
            let at_end = self.rng.below(20_000) == 0;
            if at_end {
                self.close(&mut connection, &mut ahead)?;
                connection = self.connect(life)?;
            }
        }
    }

    /// Takes the session up again, or opens a new one.
    fn connect(&mut self, life: &Life) -> Result<Connection, Failure> {
        if let Some(session) = &self.session {
            let connection = Connection::open(life.address, &Connect::resume(session))?;
            if self.may_be_closed && connection.session.session == 0 {
                self.session = None;
                return self.connect(life);
            }
            if connection.session != *session {
                return Err(
                    format!("session {session:x?} came back as {:x?}", connection.session).into()
                );
            }
            return Ok(connection);
        }
        let connect = Connect { timeout_ms: SESSION_TIMEOUT_MS, ..Connect::default() };
        self.hidden_zxids += 1;
        self.sessions += 1;
        let connection = Connection::open(life.address, &connect)?;
        if connection.session.session == 0 {
            return Err("a new session was refused".into());
        }
        self.session = Some(connection.session.clone());
        Ok(connection)
    }

    fn send(&mut self, connection: &mut Connection, ahead: &mut Model) -> Result<(), Failure> {
        let step = self.choose(ahead);
        self.send_step(connection, ahead, step)
    }

    fn send_step(
        &mut self,
        connection: &mut Connection,
        ahead: &mut Model,
        step: Step,
    ) -> Result<(), Failure> {
        let no = self.next_step;
        self.next_step += 1;
        let session = connection.session.session;
        let outcome = ahead.apply(no, &step, session);
        let (opcode, body) = step.request();
        self.pending.push_back((no, step, outcome));
        connection.send(opcode, &body)?;
        Ok(())
    }

    /// The oldest pending step's answer: exactly the one that is due, with a fresh zxid.
    fn receive(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        let reply = connection.reply()?;
        let (no, step, due) = self.pending.front().ok_or("an answer to nothing")?;
        let seen = step.outcome(&reply)?;
        if seen != *due {
            return Err(format!("step {no} {step:?}: {seen:?} where {due:?} is due").into());
        }
        self.ledger.bind(*no, reply.zxid)?;
        self.acknowledged.push(reply.zxid);
        self.model.apply(*no, step, connection.session.session);
        self.pending.pop_front();
        Ok(())
    }

    fn close(&mut self, connection: &mut Connection, ahead: &mut Model) -> Result<(), Failure> {
        self.send_step(connection, ahead, Step::Close)?;
        while !self.pending.is_empty() {
            self.receive(connection)?;
        }
        self.session = None;
        Ok(())
    }

    /// A random step, about as likely to fail as real programs' are.
    fn choose(&mut self, ahead: &Model) -> Step {
        match self.rng.below(100) {
            0..=7 => {
                let name = self.rng.below(6);
                // A silent session of this lane may still have its own.
                let path = format!("{}{}-{name}", self.ephemeral_prefix(), self.sessions);
                if ahead.nodes.contains_key(&path) {
                    return Step::Delete { path, version: -1 };
                }
                Step::Create { path, data: self.data(), flags: flags::EPHEMERAL }
            }
            8..=19 => {
                let steps = (0..2 + self.rng.below(3)).map(|_| self.part(ahead, true)).collect();
                Step::Multi(steps)
            }
            20..=23 => Step::SetAcl { path: self.path() },
            _ => self.part(ahead, false),
        }
    }

    fn part(&mut self, ahead: &Model, in_multi: bool) -> Step {
        let path = self.path();
        let version = ahead.nodes.get(&path).map_or(0, |node| node.version());
        let version = if self.rng.percent(10) { version + 1 } else { version };
        match self.rng.below(100) {
            0..=49 => Step::Set { path, data: self.data(), version },
            50..=64 => Step::Create { path, data: self.data(), flags: 0 },
            65..=74 => {
                // Sequential ones are never chosen again by name: keep them few.
                let under = format!("{}/q-", self.root);
                let oldest = ahead.nodes.range(under.clone()..).next().map(|(path, _)| path);
                match oldest.filter(|path| path.starts_with(&under)) {
                    Some(path) if self.rng.percent(60) => {
                        Step::Delete { path: path.clone(), version: -1 }
                    }
                    _ => Step::Create { path: under, data: self.data(), flags: flags::SEQUENTIAL },
                }
            }
            75..=84 if in_multi => Step::Check { path, version },
            _ => Step::Delete { path, version: -1 },
        }
    }

    /// One of few paths, on two levels.
    fn path(&mut self) -> String {
        let name = self.rng.below(NAMES);
        let root = &self.root;
        if self.rng.percent(50) {
            format!("{root}/n{name}")
        } else {
            format!("{root}/n{}/m{name}", name % 3)
        }
    }

    /// Never the same twice.
    fn data(&mut self) -> Vec<u8> {
        let mut data = format!("{}:{}:", self.index, self.next_step).into_bytes();
        let longest = if self.rng.percent(2) { 20_000 } else { 120 };
        data.resize(data.len() + self.rng.index(longest), b'.');
        data
    }

    /// The highest zxid that this lane has seen.
    pub(super) fn last_zxid(&self) -> i64 {
        self.ledger.zxids.values().next_back().copied().unwrap_or(0)
    }

    /// How many requests of the last life are unanswered.
    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }
}

fn is_broken_connection(cause: &Failure) -> bool {
    cause.is::<std::io::Error>()
}

/// The code that a lane's read of a missing znode may give.
pub(super) const MISSING: i32 = code::NO_NODE;
