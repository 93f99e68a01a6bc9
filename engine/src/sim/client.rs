//! A simulated client: a session that moves between servers as a ZooKeeper library's does, watches
//! that it sets again, and somebody above it who asks things.
//!
//! It speaks the wire's bytes and knows nothing of what is right: it writes down what it sees
//! ([`Record`]) for `check`. Whoever drives it reports only about the connection begun last.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::{
    ask::{Answer, Ask, ReplyHeader},
    chance::Chance,
    history::{Entry, Record},
    workload::{Workload, Workshop},
};
use crate::{
    ids::{Instant, SessionId, Xid, Zxid},
    limits::PASSWORD_BYTES,
    protocol::{
        error_code::ErrorCode,
        event::EventKind,
        frame,
        jute::{DecodeError, Reader, put_boolean, put_buffer, put_int, put_long},
    },
};

mod watching;

use watching::Watching;

const EVENT_XID: Xid = Xid(-1);
const PING_XID: Xid = Xid(-2);
const SET_WATCHES_XID: Xid = Xid(-8);

/// What a client wants of whoever drives it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientAct {
    /// Begin a connection to this server, counted from 0. An earlier one was closed.
    Connect(usize),
    /// Send this frame on the connection.
    Send(Vec<u8>),
    /// Close the connection, or stop trying to make it. Need not be reported back.
    Close,
}

/// How a client behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// How many servers there are to choose from.
    pub servers: usize,
    /// What it asks for as its session timeout, milliseconds.
    pub timeout_ms: i32,
    /// What it does.
    pub workload: Workload,
    /// Most requests without an answer.
    pub pipeline_max: usize,
    /// About how long it thinks between requests, milliseconds.
    pub think_ms: usize,
    /// Once in how many thoughts it moves to another server; 0 is never.
    pub moves_one_in: usize,
    /// Once in how many thoughts it ends its session, by `closeSession` or by silence; 0 is never.
    pub ends_one_in: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: 1,
            timeout_ms: 6000,
            workload: Workload::Mixed,
            pipeline_max: 4,
            think_ms: 100,
            moves_one_in: 40,
            ends_one_in: 80,
        }
    }
}

impl Options {
    /// Those of one client of many: what it does, how fast, and how much at a time, by chance.
    #[must_use]
    pub fn draw(chance: &mut Chance, servers: usize, timeout_ms: i32) -> Self {
        Self {
            servers,
            timeout_ms,
            workload: Workload::ALL[chance.below(Workload::ALL.len())],
            pipeline_max: 1 + chance.below(6),
            think_ms: 1 + chance.below(300),
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Has no connection, and tries the next server then.
    Idle { until: Instant },
    /// Waits for a connection, or for the answer to its handshake.
    Connecting { until: Instant, is_greeted: bool },
    /// Has a session and speaks.
    Open,
    /// Has a session and a connection, and says nothing until then.
    Mute { until: Instant },
    /// Has asked to close its session.
    Closing,
    /// Has stopped for good.
    Stopped,
}

/// How far a client is that winds down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Farewell {
    /// It does not wind down.
    No,
    /// It must ask once more.
    Due,
    /// It has asked.
    Asked,
    /// It was answered.
    Done,
}

/// A request without an answer.
#[derive(Clone, Debug)]
struct Pending {
    xid: Xid,
    ask: Ask,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    chance: Chance,
    options: Options,
    phase: Phase,
    /// The server it is at, or tried last.
    server: usize,
    acts: Vec<ClientAct>,
    /// 0 while it has none.
    session: SessionId,
    password: [u8; PASSWORD_BYTES],
    /// Negotiated.
    timeout_ms: u64,
    last_zxid: Zxid,
    next_xid: i32,
    pending: VecDeque<Pending>,
    pings: usize,
    watching: Watching,
    workshop: Workshop,
    heard: Instant,
    spoke: Instant,
    thinks_at: Instant,
    farewell: Farewell,
    record: Record,
}

impl Client {
    /// A client that has not connected yet.
    #[must_use]
    pub fn new(id: usize, mut chance: Chance, options: Options) -> Self {
        let server = chance.below(options.servers);
        let first = Instant(chance.draw() % 50_000_000);
        Self {
            phase: Phase::Idle { until: first },
            server,
            acts: Vec::new(),
            session: SessionId(0),
            password: [0; PASSWORD_BYTES],
            timeout_ms: u64::try_from(options.timeout_ms).unwrap_or(0),
            last_zxid: Zxid::NONE,
            next_xid: 1,
            pending: VecDeque::new(),
            pings: 0,
            watching: Watching::default(),
            workshop: Workshop::new(id, chance.fork(), options.workload),
            heard: Instant(0),
            spoke: Instant(0),
            thinks_at: Instant(0),
            farewell: Farewell::No,
            record: Record { client: id, entries: Vec::new() },
            chance,
            options,
        }
    }

    /// The connection is there.
    pub fn on_connected(&mut self, now: Instant) {
        if let Phase::Connecting { is_greeted: false, .. } = self.phase {
            let until = now.plus_millis((self.timeout_ms * 2 / 3).max(1));
            self.phase = Phase::Connecting { is_greeted: true, until };
            let mut payload = Vec::new();
            put_int(&mut payload, 0);
            put_long(&mut payload, self.last_zxid.0);
            put_int(&mut payload, self.options.timeout_ms);
            put_long(&mut payload, self.session.0);
            put_buffer(&mut payload, Some(&self.password));
            put_boolean(&mut payload, false);
            let mut out = Vec::new();
            put_buffer(&mut out, Some(&payload));
            self.note(now, Entry::Greeted { session: self.session, seen: self.last_zxid });
            self.acts.push(ClientAct::Send(out));
            self.spoke = now;
        }
    }

    /// Bytes came: one or more whole frames, each behind its length.
    pub fn on_frame(&mut self, now: Instant, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && self.is_connected() {
            let Ok(Some(found)) = frame::next(rest, usize::MAX) else {
                self.note(now, Entry::Broken { what: "bytes that are no whole frame" });
                return;
            };
            let is_handshake = matches!(self.phase, Phase::Connecting { .. });
            self.heard = now;
            let result = if is_handshake {
                self.greeted(now, found.payload)
            } else {
                self.heard(now, found.payload)
            };
            if let Err(what) = result {
                self.note(now, Entry::Broken { what });
                self.lose(now);
            }
            rest = rest.get(found.consumed_bytes..).unwrap_or_default();
        }
    }

    /// The connection is gone, or could not be made.
    pub fn on_closed(&mut self, now: Instant) {
        if self.is_connected() {
            self.lost(now);
        }
    }

    /// Does what is due, and says what it wants.
    pub fn poll(&mut self, now: Instant) -> Vec<ClientAct> {
        match self.phase {
            Phase::Idle { .. } if self.farewell == Farewell::Done => self.phase = Phase::Stopped,
            Phase::Idle { until } if until <= now => self.connect(now),
            // Nobody answers: the next one may.
            Phase::Connecting { until, .. } if until <= now => self.lose(now),
            Phase::Open => self.go_on(now),
            Phase::Mute { until } if until <= now => {
                self.phase = Phase::Open;
                self.go_on(now);
            }
            Phase::Closing if self.read_timeout_ends() <= now => self.lose(now),
            _ => {}
        }
        core::mem::take(&mut self.acts)
    }

    /// When it wants to be polled next, if nothing comes before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        if !self.acts.is_empty() {
            return Some(Instant(0));
        }
        match self.phase {
            Phase::Idle { until } | Phase::Connecting { until, .. } | Phase::Mute { until } => {
                Some(until)
            }
            Phase::Open => {
                let next = self.read_timeout_ends().min(self.ping_at());
                Some(match self.farewell {
                    Farewell::No => next.min(self.thinks_at),
                    Farewell::Due => Instant(0),
                    Farewell::Asked | Farewell::Done => next,
                })
            }
            Phase::Closing => Some(self.read_timeout_ends()),
            Phase::Stopped => None,
        }
    }

    /// From now on it asks nothing new but one thing: a sync, and what it sees then. For that it
    /// ends its silence, and comes back as often as it must. Afterwards its session goes on until
    /// it loses its connection.
    pub fn wind_down(&mut self) {
        if self.farewell == Farewell::No {
            self.farewell = Farewell::Due;
            match self.phase {
                Phase::Mute { .. } => self.phase = Phase::Open,
                Phase::Idle { .. } => self.phase = Phase::Idle { until: Instant(0) },
                _ => {}
            }
        }
    }

    /// Whether nothing it asked is without an answer; if it winds down, what it asks last, too.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        match self.farewell {
            Farewell::No => self.pending.is_empty(),
            Farewell::Due | Farewell::Asked => false,
            Farewell::Done => true,
        }
    }

    /// Its session, while it has one and a connection that speaks for it.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        matches!(self.phase, Phase::Open | Phase::Mute { .. }).then_some(self.session)
    }

    /// What it saw until now.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    fn is_connected(&self) -> bool {
        !matches!(self.phase, Phase::Idle { .. } | Phase::Stopped)
    }

    fn note(&mut self, now: Instant, entry: Entry) {
        self.record.entries.push((now, entry));
    }

    fn connect(&mut self, now: Instant) {
        if let others @ 1.. = self.options.servers - 1 {
            self.server = (self.server + 1 + self.chance.below(others)) % self.options.servers;
        }
        let share_ms = self.timeout_ms / self.options.servers as u64;
        let until = now.plus_millis(share_ms.max(1));
        self.phase = Phase::Connecting { until, is_greeted: false };
        self.note(now, Entry::Connecting { server: self.server });
        self.acts.push(ClientAct::Connect(self.server));
    }

    /// Closes the connection, and goes on elsewhere.
    fn lose(&mut self, now: Instant) {
        self.acts.push(ClientAct::Close);
        self.lost(now);
    }

    fn lost(&mut self, now: Instant) {
        // A closed session is not resumed, whether or not that was heard.
        if self.phase == Phase::Closing {
            self.forget_session();
        }
        self.note(now, Entry::Lost);
        self.pending.clear();
        if self.farewell == Farewell::Asked {
            self.farewell = Farewell::Due;
        }
        self.pings = 0;
        let wait_ms = self.chance.below(200) as u64;
        self.phase = Phase::Idle { until: now.plus_millis(1 + wait_ms) };
    }

    fn forget_session(&mut self) {
        self.session = SessionId(0);
        self.password = [0; PASSWORD_BYTES];
        self.last_zxid = Zxid::NONE;
        self.watching = Watching::default();
    }

    /// The answer to the handshake.
    fn greeted(&mut self, now: Instant, payload: &[u8]) -> Result<(), &'static str> {
        const WHAT: &str = "no answer to a handshake";
        let mut reader = Reader::new(payload);
        let decoded = (|| {
            reader.int()?;
            let timeout_ms = reader.int()?;
            let session = SessionId(reader.long()?);
            let password = reader.buffer()?.unwrap_or_default();
            let is_read_only = reader.boolean()?;
            Ok::<_, DecodeError>((timeout_ms, session, password, is_read_only))
        })();
        let (timeout_ms, session, password, is_read_only) = decoded.map_err(|_| WHAT)?;
        if !reader.rest().is_empty() || is_read_only {
            return Err(WHAT);
        }
        let password = password.try_into().map_err(|_| WHAT)?;
        if timeout_ms <= 0 {
            self.note(now, Entry::Expired { session: self.session });
            self.forget_session();
            self.lose(now);
            return Ok(());
        }
        if self.session != SessionId(0) && session != self.session {
            return Err("another session than the one that was to be resumed");
        }
        self.session = session;
        self.password = password;
        self.timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        self.note(now, Entry::Opened { session, timeout_ms });
        self.phase = Phase::Open;
        self.thinks_at = now;
        if let Some(watches) = self.watching.to_restore(self.last_zxid) {
            self.ask(now, SET_WATCHES_XID, Ask::SetWatches(watches));
        }
        Ok(())
    }

    /// A reply or an event.
    fn heard(&mut self, now: Instant, payload: &[u8]) -> Result<(), &'static str> {
        let mut reader = Reader::new(payload);
        let header = ReplyHeader::decode(&mut reader).map_err(|_| "a reply without a header")?;
        if header.xid == EVENT_XID {
            return self.told(now, header, reader);
        }
        let ask = if header.xid == PING_XID {
            self.pings = self.pings.checked_sub(1).ok_or("an answer to no ping")?;
            Ask::Ping
        } else {
            let pending = self.pending.pop_front().ok_or("an answer to no request")?;
            if pending.xid != header.xid {
                return Err("an answer out of order");
            }
            pending.ask
        };
        let answer = match header.error {
            0 => Ok(ask.decode_answer(reader.rest()).map_err(|_| "a body of another form")?),
            _ if !reader.rest().is_empty() => return Err("an error with a body"),
            error => Err(ErrorCode::from_number(error).ok_or("an unknown error")?),
        };
        if header.xid != PING_XID && header.zxid > self.last_zxid {
            self.last_zxid = header.zxid;
        }
        self.answered(now, header, &ask, answer);
        Ok(())
    }

    fn answered(
        &mut self,
        now: Instant,
        header: ReplyHeader,
        ask: &Ask,
        answer: Result<Answer, ErrorCode>,
    ) {
        let is_over = *ask == Ask::Close && answer.is_ok();
        self.watching.note_answer(ask, &answer);
        self.workshop.note_answer(ask, &answer);
        let ReplyHeader { xid, zxid, .. } = header;
        self.note(now, Entry::Replied { xid, zxid, answer });
        if self.farewell == Farewell::Asked && self.pending.is_empty() {
            self.farewell = Farewell::Done;
        }
        if is_over {
            self.lose(now);
        }
    }

    fn told(
        &mut self,
        now: Instant,
        header: ReplyHeader,
        mut reader: Reader<'_>,
    ) -> Result<(), &'static str> {
        const WHAT: &str = "no watch event";
        const SYNC_CONNECTED: i32 = 3;
        let kind = match reader.int() {
            Ok(1) => EventKind::Created,
            Ok(2) => EventKind::Deleted,
            Ok(3) => EventKind::DataChanged,
            Ok(4) => EventKind::ChildrenChanged,
            _ => return Err(WHAT),
        };
        let state = reader.int().map_err(|_| WHAT)?;
        let path = reader.text().ok().flatten().ok_or(WHAT)?.into_owned();
        if state != SYNC_CONNECTED || header.error != 0 || !reader.rest().is_empty() {
            return Err(WHAT);
        }
        self.watching.note_event(kind, &path);
        self.workshop.note_event(kind, &path);
        self.note(now, Entry::Told { zxid: header.zxid, kind, path });
        Ok(())
    }

    fn read_timeout_ends(&self) -> Instant {
        self.heard.plus_millis((self.timeout_ms * 2 / 3).max(1))
    }

    /// A third of the session timeout after it spoke last.
    fn ping_at(&self) -> Instant {
        self.spoke.plus_millis((self.timeout_ms / 3).max(1))
    }

    fn go_on(&mut self, now: Instant) {
        if self.read_timeout_ends() <= now {
            return self.lose(now);
        }
        match self.farewell {
            Farewell::No if self.thinks_at <= now => self.think(now),
            Farewell::Due => {
                self.farewell = Farewell::Asked;
                self.request(now, Ask::Sync { path: "/".into() });
                self.request(
                    now,
                    Ask::GetChildren { path: "/".into(), watch: false, has_stat: true },
                );
            }
            Farewell::No | Farewell::Asked | Farewell::Done => {}
        }
        if self.phase == Phase::Open && self.ping_at() <= now {
            self.pings += 1;
            self.send(now, PING_XID, Ask::Ping);
        }
    }

    fn think(&mut self, now: Instant) {
        let think_ms = 1 + self.chance.below(2 * self.options.think_ms.max(1)) as u64;
        self.thinks_at = now.plus_millis(think_ms);
        let mut happens = |one_in: usize| {
            one_in > 0 && usize::try_from(self.chance.draw()).map_or(0, |n| n % one_in) == 0
        };
        if happens(self.options.moves_one_in) {
            return self.lose(now);
        }
        if happens(self.options.ends_one_in) {
            return self.end_session(now);
        }
        let room = self.options.pipeline_max.saturating_sub(self.pending.len());
        if room > 0 {
            let count = 1 + self.chance.below(room);
            for ask in self.workshop.next(self.session, count) {
                self.request(now, ask);
            }
        }
    }

    /// By asking for it, by silence on the connection, or by leaving and being silent.
    fn end_session(&mut self, now: Instant) {
        let silence_ms = self.timeout_ms / 2 + self.chance.draw() % (self.timeout_ms * 2).max(1);
        match self.chance.below(3) {
            0 => {
                self.request(now, Ask::Close);
                self.phase = Phase::Closing;
            }
            1 => self.phase = Phase::Mute { until: now.plus_millis(silence_ms) },
            _ => {
                self.lose(now);
                self.phase = Phase::Idle { until: now.plus_millis(silence_ms) };
            }
        }
    }

    fn request(&mut self, now: Instant, ask: Ask) {
        let xid = Xid(self.next_xid);
        self.next_xid += 1;
        self.ask(now, xid, ask);
    }

    fn ask(&mut self, now: Instant, xid: Xid, ask: Ask) {
        self.pending.push_back(Pending { xid, ask: ask.clone() });
        self.send(now, xid, ask);
    }

    fn send(&mut self, now: Instant, xid: Xid, ask: Ask) {
        let mut out = vec![];
        ask.encode(xid, &mut out);
        self.acts.push(ClientAct::Send(out));
        self.spoke = now;
        self.note(now, Entry::Invoked { xid, ask });
    }
}

#[cfg(test)]
mod tests;
