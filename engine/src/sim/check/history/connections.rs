//! The history as connections: what was asked on each, and what came back.

use alloc::{format, vec::Vec};

use super::{Report, Rule};
use crate::{
    ids::{Instant, SessionId, Xid, Zxid},
    protocol::{error_code::ErrorCode, event::EventKind},
    sim::{
        ask::{Answer, Ask},
        history::{Entry, History, Record},
    },
};

/// One connection of a client.
#[derive(Debug, Default)]
pub(super) struct Connection<'a> {
    pub(super) client: usize,
    pub(super) server: usize,
    /// 0: it never had one.
    pub(super) session: SessionId,
    /// When the handshake was sent, and the session that was to be resumed.
    pub(super) greeted: Option<(Instant, SessionId)>,
    /// When the session was there, and its timeout.
    pub(super) opened: Option<(Instant, i32)>,
    /// The session that it was told is gone, and when.
    pub(super) expired: Option<(Instant, SessionId)>,
    pub(super) operations: Vec<Operation<'a>>,
    /// In order.
    pub(super) received: Vec<Received<'a>>,
}

/// One request.
#[derive(Debug)]
pub(super) struct Operation<'a> {
    pub(super) xid: Xid,
    pub(super) ask: &'a Ask,
    pub(super) invoked: Instant,
    pub(super) reply: Option<Reply<'a>>,
}

/// Its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply<'a> {
    pub(super) at: Instant,
    pub(super) zxid: Zxid,
    pub(super) answer: &'a Result<Answer, ErrorCode>,
}

/// What came in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Received<'a> {
    /// The answer to this operation.
    Reply(usize),
    /// An event.
    Told { at: Instant, zxid: Zxid, kind: EventKind, path: &'a str },
}

impl Connection<'_> {
    /// Whether it went on with a session that was there before.
    pub(super) fn is_resumed(&self) -> bool {
        self.opened.is_some() && self.greeted.is_some_and(|(_, session)| session != SessionId(0))
    }
}

/// All connections: each client's in their order, one client after the other.
pub(super) fn collect<'a>(history: &'a History, report: &mut Report) -> Vec<Connection<'a>> {
    let mut connections = Vec::new();
    for record in &history.records {
        collect_of(record, &mut connections, report);
    }
    connections
}

fn collect_of<'a>(record: &'a Record, connections: &mut Vec<Connection<'a>>, report: &mut Report) {
    let client = record.client;
    for (at, entry) in &record.entries {
        if let Entry::Connecting { server } = entry {
            let server = *server;
            connections.push(Connection { client, server, ..Connection::default() });
            continue;
        }
        let Some(connection) = connections.last_mut().filter(|one| one.client == client) else {
            report.broken(Rule::Protocol, format!("client {client} has no connection: {entry:?}"));
            continue;
        };
        if let Err(what) = note(connection, *at, entry) {
            let text = format!("client {client} at {} us, {what}: {entry:?}", at.0 / 1000);
            report.broken(Rule::Protocol, text);
        }
    }
}

fn note<'a>(
    connection: &mut Connection<'a>,
    at: Instant,
    entry: &'a Entry,
) -> Result<(), &'static str> {
    match entry {
        Entry::Connecting { .. } | Entry::Lost => {}
        Entry::Greeted { session, .. } => connection.greeted = Some((at, *session)),
        Entry::Opened { session, timeout_ms } => {
            connection.session = *session;
            connection.opened = Some((at, *timeout_ms));
        }
        Entry::Expired { session } => connection.expired = Some((at, *session)),
        Entry::Invoked { xid, ask } => {
            connection.operations.push(Operation { xid: *xid, ask, invoked: at, reply: None });
        }
        Entry::Replied { xid, zxid, answer } => {
            let operations = &mut connection.operations;
            let is_it = |one: &Operation<'_>| one.xid == *xid && one.reply.is_none();
            let index = operations.iter().position(is_it).ok_or("an answer to nothing")?;
            operations[index].reply = Some(Reply { at, zxid: *zxid, answer });
            connection.received.push(Received::Reply(index));
        }
        Entry::Told { zxid, kind, path } => {
            connection.received.push(Received::Told { at, zxid: *zxid, kind: *kind, path });
        }
        Entry::Broken { what } => return Err(what),
    }
    Ok(())
}
