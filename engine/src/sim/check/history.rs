//! Checks of what clients saw. Replies carry zxids, so almost everything is a replay:
//!
//! 1. every answer to a write is the one that the naive tree gives at its place in the log;
//! 2. what was acknowledged before something else was asked comes before it in the log;
//! 3. the writes of a session are in the log at most once, in their order and without a gap, the
//!    acknowledged ones exactly once;
//! 4. every read is answered from the tree as of one zxid, never an older one than the session has
//!    seen;
//! 5. a read after a sync sees what anybody had been acknowledged before the sync was asked for;
//! 6. every watch event comes once, before anything newer is shown, and none is lost while the
//!    connection lives;
//! 7. ephemerals live as long as their session, and no session expires that was heard.
//!
//! Beside them, and without a look at any zxid: the registers are linearizable.

mod connections;
mod order;
mod registers;
mod replay;
mod sessions;
mod watches;

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::fmt;

use crate::{batch::Batch, ids::Instant, sim::history::History};

use super::reference::Reference;
use connections::Connection;
use replay::Replay;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The committed log, from slot 1 on.
    pub log: &'a [Arc<Batch>],
    /// What clients saw.
    pub history: &'a History,
    /// When each batch of `log` was decided first. Empty if nobody knows: no expiry is judged then.
    pub decided_at: &'a [Instant],
    /// From when to when nothing stood between clients, servers and an established leader: no
    /// fault, no stall, no change of leader, and every message takes much less than a third of a
    /// session timeout.
    pub calm: &'a [(Instant, Instant)],
}

/// What can be broken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// The protocol itself.
    Protocol,
    /// Answers to writes (1).
    Replay,
    /// Real time (2).
    RealTime,
    /// Writes of a session (3).
    SessionOrder,
    /// Reads (4).
    Reads,
    /// Reads after a sync (5).
    Sync,
    /// Watch events (6).
    Watches,
    /// Sessions and ephemerals (7).
    Sessions,
    /// The registers are linearizable.
    Registers,
}

/// A rule that is broken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// By what.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.text)
    }
}

/// What was compared: a check that had nothing to look at has not passed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub connections: usize,
    pub resumed_sessions: usize,
    pub answered_writes: usize,
    /// In the log without an answer.
    pub unanswered_writes: usize,
    /// Of a connection that had lost its session.
    pub moved_writes: usize,
    pub reads: usize,
    pub syncs: usize,
    pub events: usize,
    /// Events that `setWatches` found.
    pub missed_events: usize,
    /// Sessions closed by the leader's clock.
    pub expiries: usize,
    /// Of those, the ones that fell into a calm time.
    pub judged_expiries: usize,
    /// Operations on registers whose order was found.
    pub register_operations: usize,
    /// Registers with too much under way at a time to be decided.
    pub undecided_registers: usize,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.resumed_sessions += other.resumed_sessions;
        self.answered_writes += other.answered_writes;
        self.unanswered_writes += other.unanswered_writes;
        self.moved_writes += other.moved_writes;
        self.reads += other.reads;
        self.syncs += other.syncs;
        self.events += other.events;
        self.missed_events += other.missed_events;
        self.expiries += other.expiries;
        self.judged_expiries += other.judged_expiries;
        self.register_operations += other.register_operations;
        self.undecided_registers += other.undecided_registers;
    }
}

/// What came of the checks.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The rules that are broken. Empty: none is.
    pub violations: Vec<Violation>,
    /// How much was looked at.
    pub counts: Counts,
    /// The naive tree after the whole log: what every server's State must be.
    pub tree: Reference,
}

/// Collects what is found.
#[derive(Debug, Default)]
struct Report {
    violations: Vec<Violation>,
    counts: Counts,
}

impl Report {
    fn broken(&mut self, rule: Rule, text: String) {
        self.violations.push(Violation { rule, text });
    }

    fn expect(&mut self, is_right: bool, rule: Rule, text: impl FnOnce() -> String) {
        if !is_right {
            self.broken(rule, text());
        }
    }
}

/// Checks everything.
///
/// # Panics
///
/// When the log is none: it does not start at slot 1, or holds what is no command.
#[must_use]
pub fn check(evidence: &Evidence<'_>) -> Findings {
    let mut report = Report::default();
    let connections = connections::collect(evidence.history, &mut report);
    let replay = Replay::run(evidence.log, &connections, &mut report);
    order::check(&connections, &replay, &mut report);
    watches::check(&connections, &replay, &mut report);
    sessions::check(evidence, &connections, &replay, &mut report);
    registers::check(&connections, &mut report);
    count(&connections, &mut report.counts);
    Findings { violations: report.violations, counts: report.counts, tree: replay.tree }
}

fn count(connections: &[Connection<'_>], counts: &mut Counts) {
    counts.connections += connections.len();
    counts.resumed_sessions += connections.iter().filter(|one| one.is_resumed()).count();
}

/// How an operation is named in a report.
fn name(connection: &Connection<'_>, operation: &connections::Operation<'_>) -> String {
    format!(
        "client {} at server {}, session {}, xid {} asked at {} us: {:?}",
        connection.client,
        connection.server,
        connection.session,
        operation.xid.0,
        operation.invoked.0 / 1000,
        operation.ask
    )
}

#[cfg(test)]
mod tests;
