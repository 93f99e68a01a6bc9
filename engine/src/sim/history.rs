//! What clients saw: each of them writes down what it did and what came back, and when.

use alloc::{string::String, vec::Vec};
use core::fmt;

use super::ask::{Answer, Ask};
use crate::{
    ids::{Instant, SessionId, Xid, Zxid},
    protocol::{error_code::ErrorCode, event::EventKind},
};

/// Everything that all clients saw.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// One record for each client.
    pub records: Vec<Record>,
}

/// What one client saw, in order.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Which client.
    pub client: usize,
    /// With the virtual time of each.
    pub entries: Vec<(Instant, Entry)>,
}

/// One thing that a client did or saw.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entry {
    /// It began a connection.
    Connecting {
        /// To which server.
        server: usize,
    },
    /// It sent its handshake.
    Greeted {
        /// The session to resume; 0 asks for a new one.
        session: SessionId,
        /// The newest zxid it has seen in this session.
        seen: Zxid,
    },
    /// It got its session.
    Opened {
        /// Which.
        session: SessionId,
        /// Negotiated.
        timeout_ms: i32,
    },
    /// It was told that its session is gone.
    Expired {
        /// Which.
        session: SessionId,
    },
    /// It sent a request.
    Invoked {
        /// Its number: unique in a session, but for pings (-2) and `setWatches` (-8).
        xid: Xid,
        /// The request.
        ask: Ask,
    },
    /// It was answered. Answers come in the order of the requests of a connection.
    Replied {
        /// To which request.
        xid: Xid,
        /// How far the server was.
        zxid: Zxid,
        /// What it was told.
        answer: Result<Answer, ErrorCode>,
    },
    /// A watch event came.
    Told {
        /// What did it; -1 if `setWatches` found it.
        zxid: Zxid,
        /// What happened.
        kind: EventKind,
        /// To which znode.
        path: String,
    },
    /// The connection is gone, whoever ended it. What was not answered may have happened or not.
    Lost,
    /// The server sent what the protocol does not allow.
    Broken {
        /// What is wrong.
        what: &'static str,
    },
}

impl History {
    /// All entries in the order of their time; of one time, by client.
    #[must_use]
    pub fn in_order(&self) -> Vec<(Instant, usize, &Entry)> {
        let of = |record: &'_ Record| record.client;
        let mut all: Vec<_> = self
            .records
            .iter()
            .flat_map(|record| record.entries.iter().map(move |(at, e)| (*at, of(record), e)))
            .collect();
        all.sort_by_key(|(at, client, _)| (*at, *client));
        all
    }
}

impl fmt::Display for History {
    /// One line for each entry, in the order of time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, client, entry) in self.in_order() {
            writeln!(f, "{:>10} us  client {client}: {entry:?}", at.0 / 1000)?;
        }
        Ok(())
    }
}
