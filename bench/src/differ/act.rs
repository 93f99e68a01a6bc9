//! What a run does, act by act. A run is data: it can be printed, cut down and played again.

use std::fmt;

use crate::wire::{
    Connect,
    records::{self, op},
};

/// How many clients take part, each with a session of its own.
pub(super) const CLIENTS: usize = 4;

/// One act. It names clients by number and zxids by their distance, never by a server's own
/// values, so that it means the same on both servers and after other acts were taken out.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Requests of one client in one write.
    Burst { client: usize, requests: Vec<Request> },
    /// addauth. It overtakes requests on Apache: nothing is sent with it.
    Authenticate { client: usize, scheme: &'static str, auth: &'static [u8] },
    /// Closes a client's socket and leaves its session alone.
    Drop { client: usize },
    /// Takes the session up again on a new connection.
    Resume { client: usize, how: Resumption, rearm: Vec<Request> },
    /// The same while the old connection is still open: the server closes that one.
    Steal { client: usize },
    /// Closes the session and opens another one. Nothing is sent right behind the close: what
    /// Apache makes of that depends on how its threads meet.
    Renew { client: usize },
    /// A session of its own that does these requests and then falls silent until it expires.
    Expire { requests: Vec<Request>, connected: bool },
    /// Bytes that are no frame; nothing more comes behind them.
    Raw { client: usize, bytes: Vec<u8> },
    /// Bytes on a new connection where a connect request should be; nothing more behind them.
    Stranger { bytes: Vec<u8> },
    /// A connect request on a new connection; the session that it may give is closed.
    Handshake { connect: Connect, ahead: bool },
    /// Deletes everything below a path, as super.
    Sweep { path: &'static str },
    /// Everybody pings; the server's own counts are compared.
    Look,
}

/// How a session is taken up again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resumption {
    /// With everything right.
    Plain,
    /// Everything in one write: connect, setWatches, ping, as the Java client does.
    Pipelined,
    /// As clients before 3.4, without the read-only byte.
    Old,
    /// After a try with a wrong password, which is refused.
    WrongPasswordFirst,
    /// After a try with a zxid from the future, which is turned away.
    AheadFirst,
    /// With another session timeout.
    OtherTimeout,
}

/// A request. `xid` is chosen by the player unless it is given.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) opcode: i32,
    pub(super) xid: Option<i32>,
    pub(super) body: Body,
}

/// A request's body.
#[derive(Clone)]
pub(super) enum Body {
    /// As it is.
    Bytes(Vec<u8>),
    /// setWatches or setWatches2: the zxid in it depends on the server.
    Watches { since: Since, lists: Vec<Vec<&'static str>> },
}

/// The relative zxid of setWatches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Since {
    /// The newest that the client has seen, as clients do.
    Seen,
    /// 0: whatever exists has changed since.
    Beginning,
    /// Nothing has changed since.
    Future,
}

impl Request {
    /// A request with the next xid.
    pub(super) fn new(opcode: i32, body: Vec<u8>) -> Self {
        Self { opcode, xid: None, body: Body::Bytes(body) }
    }

    /// The body for a client that has seen `seen`.
    pub(super) fn bytes(&self, seen: i64) -> Vec<u8> {
        match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Watches { since, lists } => {
                let zxid = match since {
                    Since::Seen => seen,
                    Since::Beginning => 0,
                    Since::Future => i64::MAX,
                };
                let lists: Vec<&[&str]> = lists.iter().map(Vec::as_slice).collect();
                records::set_watches(zxid, &lists)
            }
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", op_name(self.opcode))?;
        if let Some(xid) = self.xid {
            write!(out, " xid {xid}")?;
        }
        match &self.body {
            Body::Bytes(bytes) if bytes.len() <= 600 => write!(out, " {}", text(bytes)),
            Body::Bytes(bytes) => {
                write!(out, " {} and so on, {} bytes", bytes[..80].escape_ascii(), bytes.len())
            }
            Body::Watches { since, lists } => write!(out, " since {since:?} {lists:?}"),
        }
    }
}

/// Bytes of a body, with the many zeros and ones of jute's lengths short.
fn text(bytes: &[u8]) -> String {
    bytes
        .escape_ascii()
        .to_string()
        .replace("\\x00\\x00\\x00", "·")
        .replace("\\xff\\xff\\xff\\xff", "¯")
}

/// A number with its name, where it has one.
pub(super) fn op_name(opcode: i32) -> String {
    op::name(opcode).map_or_else(|| format!("opcode {opcode}"), str::to_owned)
}
