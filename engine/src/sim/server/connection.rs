//! A client's connection as its server knows it.

use alloc::{
    boxed::Box,
    collections::VecDeque,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{
    ids::{Owner, SessionId, Slot, Xid},
    protocol::records::Id,
    session_order::SessionOrder,
    state::{
        command::{Command, Op},
        shape::Shape,
    },
};

/// A connection. Never the same twice in a world.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    New,
    /// The log decides about its session. What it sends meanwhile waits.
    Connecting {
        has_read_only: bool,
        password: [u8; 16],
    },
    Open,
    /// Nothing more is read.
    Done,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// Once everything was sent.
    AfterOutput,
    /// What was not sent is not.
    Now,
}

/// A request whose answer comes with the log, or with the read index.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) xid: Xid,
    pub(super) kind: ExpectedKind,
}

#[derive(Clone, Debug)]
pub(super) enum ExpectedKind {
    Write(Shape),
    Close,
    Sync { path: Option<String>, question: u64, index: Option<Slot> },
}

/// A request that is answered at the edge, as it came, and waits for the writes before it.
pub(super) type Deferred = Vec<u8>;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    /// What its commands have in common; the op changes.
    pub(super) command: Command,
    pub(super) order: SessionOrder<Expected, Deferred>,
    /// Syncs in `order`. Writes behind a sync wait in `input`: the answers of both come by
    /// different ways, and must not overtake each other.
    pub(super) syncs: u32,
    /// Frames that are not looked at yet.
    pub(super) input: VecDeque<Vec<u8>>,
    pub(super) output: Vec<u8>,
    pub(super) ending: Option<Ending>,
    /// Whether it is in the list of those that were heard of.
    pub(super) is_touched: bool,
}

impl Connection {
    pub(super) fn new() -> Box<Self> {
        let address = Id { scheme: "ip".to_string(), id: "127.0.0.1".to_string() };
        let command = Command {
            session: SessionId(0),
            owner: Owner(0),
            cxid: Xid(0),
            auth: vec![address],
            skip_acl: false,
            enforce_quota: false,
            op: Op::CloseSession,
        };
        Box::new(Self {
            phase: Phase::New,
            command,
            order: SessionOrder::new(),
            syncs: 0,
            input: VecDeque::new(),
            output: Vec::new(),
            ending: None,
            is_touched: false,
        })
    }

    /// Its next command, encoded by the caller at once.
    pub(super) fn command(&mut self, cxid: Xid, op: Op) -> &Command {
        self.command.cxid = cxid;
        self.command.op = op;
        &self.command
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.phase = Phase::Done;
        self.ending.get_or_insert(ending);
    }
}
