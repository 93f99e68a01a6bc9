//! A client as its shard knows it: a connection, the session it speaks for, and what is not
//! answered yet.

use ringkeeper_engine::{
    ids::{Instant, Owner, SessionId, Slot, Xid, Zxid},
    protocol::{error_code::ErrorCode, opcode::OpCode},
    session_order::SessionOrder,
    state::{
        command::{Command, Op},
        shape::Shape,
    },
};

use crate::{
    client::{
        accept::Ticket,
        connection::{Connection, Ending},
        large_requests::LargeRequest,
    },
    metrics::{ConnectionReport, SessionReport},
};

/// A place in [`Clients`], and which of its tenants. Never the same twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ClientId(pub(super) u64);

impl ClientId {
    fn index(self) -> usize {
        usize::try_from(self.0 & 0xffff_ffff).expect("32 bits")
    }
}

/// The clients of a shard.
#[derive(Debug, Default)]
pub(super) struct Clients {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    /// Upper half of its tenants' ids: counts them.
    generation: u32,
    tenant: Option<Box<Client>>,
}

impl Clients {
    /// Takes a client in.
    pub(super) fn insert(&mut self, client: Box<Client>) -> ClientId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, tenant: None });
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 connections")
        });
        let place = &mut self.places[index as usize];
        place.generation += 1;
        place.tenant = Some(client);
        ClientId((u64::from(place.generation) << 32) | u64::from(index))
    }

    /// Lets a client go.
    pub(super) fn remove(&mut self, id: ClientId) -> Option<Box<Client>> {
        let place = self.place_mut(id)?;
        let client = place.tenant.take()?;
        self.free.push(u32::try_from(id.index()).expect("32 bits"));
        Some(client)
    }

    /// A client, if it is still there.
    pub(super) fn get(&self, id: ClientId) -> Option<&Client> {
        let place = self.places.get(id.index())?;
        if u64::from(place.generation) != id.0 >> 32 {
            return None;
        }
        place.tenant.as_deref()
    }

    /// A client, if it is still there.
    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.place_mut(id)?.tenant.as_deref_mut()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.places.iter().filter_map(|place| place.tenant.as_deref())
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.places.iter_mut().filter_map(|place| place.tenant.as_deref_mut())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn place_mut(&mut self, id: ClientId) -> Option<&mut Place> {
        let place = self.places.get_mut(id.index())?;
        (u64::from(place.generation) == id.0 >> 32).then_some(place)
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Nothing meaningful came yet.
    New,
    /// The log decides about its session. What it sends meanwhile waits.
    Connecting(Handshake),
    /// It has a session.
    Open,
    /// It was sent a four-letter word, or asked to close its session: nothing more is read.
    Done,
}

/// What the answer to a handshake must repeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Handshake {
    /// When it came.
    pub(super) received: Instant,
    /// Whether the request had a read-only byte: the answer has one only then.
    pub(super) has_read_only: bool,
    /// What the client shows, or will have to show, to attach again.
    pub(super) password: [u8; 16],
}

/// What is kept of a request's coming until it is answered.
#[derive(Debug)]
pub(super) struct Arrival {
    /// When it came.
    pub(super) received: Instant,
    /// Its part of what large requests may have together.
    pub(super) _large: Option<LargeRequest>,
}

/// A request whose answer comes with the log, or with the read index.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) xid: Xid,
    pub(super) arrival: Arrival,
    pub(super) kind: ExpectedKind,
}

/// What is to be answered.
#[derive(Clone, Debug)]
pub(super) enum ExpectedKind {
    /// A write, in this form.
    Write(Shape),
    /// `closeSession`.
    Close,
    /// A sync: the path to repeat, and the slot that must be applied first, once it is known.
    Sync {
        /// Repeated in the answer.
        path: Option<Box<str>>,
        /// Which question for a read index.
        question: u64,
        /// The answer to it.
        index: Option<Slot>,
    },
}

/// Something that is answered at the edge, and waits for the writes before it.
#[derive(Debug)]
pub(super) struct Deferred {
    pub(super) arrival: Arrival,
    pub(super) kind: DeferredKind,
}

/// What waits.
#[derive(Clone, Debug)]
pub(super) enum DeferredKind {
    /// A request, as it came.
    Frame(Box<[u8]>),
    /// An error that is already known.
    Fail(Xid, ErrorCode),
}

/// A connection and what it speaks for.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) connection: Connection,
    /// Counts the connection out when it goes.
    pub(super) _ticket: Ticket,
    pub(super) phase: Phase,
    /// What its commands have in common: session, owner and identities. The op changes.
    pub(super) command: Command,
    /// Negotiated.
    pub(super) timeout_ms: i32,
    /// What is not answered yet.
    pub(super) order: SessionOrder<Expected, Deferred>,
    /// Syncs in `order`. Writes behind a sync wait in the connection's input: the answers of both
    /// come by different ways, and must not overtake each other.
    pub(super) syncs: u32,
    /// Requests that wait in the request throttle.
    pub(super) held: u32,
    /// Whether the length of the frame that comes in was found not to be too much.
    pub(super) has_admitted_length: bool,
    /// Whether it may not be read, and must be woken when it may.
    pub(super) is_paused: bool,
    /// Whether it is in the list of those that have output.
    pub(super) is_dirty: bool,
    /// Whether it is in the list of those that were heard of.
    pub(super) is_touched: bool,
    /// When the connection was made.
    pub(super) opened: Instant,
    /// The same by the wall clock, ms since 1970.
    pub(super) established_ms: i64,
    pub(super) counts: ClientCounts,
}

/// What `cons` shows of a connection.
#[derive(Clone, Debug)]
pub(super) struct ClientCounts {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) last_operation: &'static str,
    pub(super) last_cxid: Option<Xid>,
    pub(super) last_zxid: Zxid,
    pub(super) last_reply: Instant,
    pub(super) last_latency_us: u64,
    pub(super) min_latency_us: u64,
    pub(super) max_latency_us: u64,
    pub(super) sum_latency_us: u64,
    pub(super) latencies: u64,
}

impl ClientCounts {
    /// Of a new connection: as Apache shows one before its first request.
    pub(super) fn new() -> Self {
        Self {
            last_operation: "null",
            last_cxid: Some(Xid(0)),
            last_zxid: Zxid::NONE,
            ..Self::reset()
        }
    }

    /// After `crst`.
    pub(super) fn reset() -> Self {
        Self {
            received: 0,
            sent: 0,
            last_operation: "NA",
            last_cxid: None,
            last_zxid: Zxid(-1),
            last_reply: Instant(0),
            last_latency_us: 0,
            min_latency_us: 0,
            max_latency_us: 0,
            sum_latency_us: 0,
            latencies: 0,
        }
    }

    /// Counts a request. Pings and what has an xid of its own are not what an operator asks for
    /// who wants to know a client's last request.
    pub(super) fn request(&mut self, xid: Xid, opcode: i32) {
        self.received += 1;
        match OpCode::from_number(opcode) {
            // Answered beside the others, and not noted.
            Some(OpCode::Auth | OpCode::Sasl) => return,
            known => {
                if let Some(name) = known.and_then(OpCode::short_name) {
                    self.last_operation = name;
                }
            }
        }
        if xid.0 >= 0 {
            self.last_cxid = Some(xid);
        }
    }

    /// A write was refused: Apache knows no operation by then.
    pub(super) fn refused(&mut self) {
        self.last_operation = "NA";
    }

    /// Notes that its session was created.
    pub(super) fn session_created(&mut self, zxid: Zxid, now: Instant) {
        self.last_operation = "SESS";
        self.last_cxid = Some(Xid(0));
        self.reply(zxid, now);
    }

    /// Notes the reply to a request.
    pub(super) fn reply(&mut self, zxid: Zxid, now: Instant) {
        self.last_zxid = zxid;
        self.last_reply = now;
    }

    /// Counts how long `count` replies took.
    pub(super) fn latency(&mut self, latency_us: u64, count: u64) {
        self.last_latency_us = latency_us;
        self.min_latency_us =
            if self.latencies == 0 { latency_us } else { self.min_latency_us.min(latency_us) };
        self.max_latency_us = self.max_latency_us.max(latency_us);
        self.sum_latency_us += latency_us * count;
        self.latencies += count;
    }
}

impl Client {
    /// A connection that was just accepted.
    pub(super) fn new(
        connection: Connection,
        ticket: Ticket,
        command: Command,
        opened: Instant,
        established_ms: i64,
    ) -> Box<Self> {
        Box::new(Self {
            connection,
            _ticket: ticket,
            phase: Phase::New,
            command,
            timeout_ms: 0,
            order: SessionOrder::new(),
            syncs: 0,
            held: 0,
            has_admitted_length: false,
            is_paused: false,
            is_dirty: false,
            is_touched: false,
            opened,
            established_ms,
            counts: ClientCounts::new(),
        })
    }

    /// Its session; 0 before it has one.
    pub(super) fn session(&self) -> SessionId {
        match self.phase {
            Phase::Open | Phase::Done => self.command.session,
            Phase::New | Phase::Connecting(_) => SessionId(0),
        }
    }

    /// The number under which it acts.
    pub(super) fn owner(&self) -> Owner {
        self.command.owner
    }

    /// Its next command, encoded by the caller at once.
    pub(super) fn command(&mut self, cxid: Xid, op: Op) -> &Command {
        self.command.cxid = cxid;
        self.command.op = op;
        &self.command
    }

    /// Has its task go on reading, if it was told to stop.
    pub(super) fn resume(&mut self) {
        if self.is_paused {
            self.is_paused = false;
            self.connection.wake();
        }
    }

    /// Closes its connection: once everything was sent, or at once.
    pub(super) fn end(&mut self, ending: Ending) {
        self.phase = Phase::Done;
        self.connection.end(ending);
    }

    /// As `cons` shows it.
    pub(super) fn report(&self) -> ConnectionReport {
        let counts = &self.counts;
        let mean = counts.sum_latency_us.checked_div(counts.latencies).unwrap_or(0);
        let session = (self.session() != SessionId(0)).then(|| SessionReport {
            session: self.session(),
            last_operation: counts.last_operation,
            established_ms: self.established_ms,
            timeout_ms: self.timeout_ms,
            last_cxid: counts.last_cxid.map(|xid| xid.0),
            last_zxid: counts.last_zxid.0,
            last_response_ms: counts.last_reply.0 / 1_000_000,
            last_latency_ms: counts.last_latency_us / 1000,
            min_latency_ms: counts.min_latency_us / 1000,
            mean_latency_ms: mean / 1000,
            max_latency_ms: counts.max_latency_us / 1000,
        });
        ConnectionReport {
            address: self.connection.peer,
            is_read: !self.is_paused && matches!(self.phase, Phase::New | Phase::Open),
            queued: self.order.len() as u64 + u64::from(self.held),
            received: counts.received,
            sent: counts.sent,
            session,
        }
    }
}
