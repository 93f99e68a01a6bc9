//! One server and the clients that play a run on it: does a act, and tells what came back.

mod audit;
mod sessions;

use std::{collections::VecDeque, io, net::SocketAddr};

use crate::wire::{
    Connect, Connected, Connection, Failure, Message,
    jute::{Writer, length},
    records::{self, op},
};

use super::{
    act::{Act, CLIENTS, Request, Resumption},
    profile::Profile,
    render::Renderer,
};

/// Asked by every client: no session of a client that is still used expires during a run.
const TIMEOUT_MS: i32 = 200_000;
/// The super user of every profile.
const SUPER: &[u8] = b"super:test";

/// One client of the run.
#[derive(Debug, Default)]
struct Client {
    connection: Option<Connection>,
    session: Connected,
    /// Newest zxid in a reply.
    seen: i64,
    next_xid: i32,
    /// xid and opcode of every request without an answer, oldest first.
    awaited: VecDeque<(i32, i32)>,
}

/// One server and its clients.
pub(super) struct View {
    address: SocketAddr,
    clients: Vec<Client>,
    /// Sweeps and audits, as super.
    auditor: Connection,
    renderer: Renderer,
    /// Whether the servers agree on what they count as data.
    compares_data_size: bool,
    /// Lines of the act that is half done.
    lines: Vec<String>,
}

impl View {
    /// Opens every session of the run.
    pub(super) fn open(address: SocketAddr, profile: &Profile) -> Result<Self, Failure> {
        let mut renderer = Renderer::new();
        let mut auditor = Connection::open(address, &new_session())?;
        auditor.send_xid(-4, op::AUTH, &records::auth("digest", SUPER))?;
        auditor.reply()?.ok()?;
        renderer.add_session(auditor.session.session);
        let reply = auditor.call(op::EXISTS, &records::path_watch("/", false))?;
        renderer.set_base(reply.zxid);
        let clients = (0..CLIENTS).map(|_| Client::default()).collect();
        let compares_data_size = profile.name != "quotas";
        let lines = Vec::new();
        let mut view = Self { address, clients, auditor, renderer, compares_data_size, lines };
        for number in 0..CLIENTS {
            view.renew_client(number)?;
        }
        Ok(view)
    }

    /// The first half of a act: what can be sent before the other server is asked.
    pub(super) fn send(&mut self, act: &Act) -> Result<(), Failure> {
        let Act::Burst { client, requests } = act else { return Ok(()) };
        self.ensure(*client)?;
        self.clients[*client].send(requests);
        Ok(())
    }

    /// The second half: everything else, and what came back, a line each.
    pub(super) fn receive(&mut self, act: &Act) -> Result<Vec<String>, Failure> {
        match act {
            Act::Burst { client, requests } => {
                self.answers(*client)?;
                if requests.len() == 1 {
                    self.probe_after_error(*client)?;
                }
            }
            Act::Authenticate { client, scheme, auth } => {
                let mut request = Request::new(op::AUTH, records::auth(scheme, auth));
                request.xid = Some(-4);
                self.burst(*client, &[request])?;
                self.probe_after_error(*client)?;
            }
            Act::Drop { client } => self.drop_connection(*client)?,
            Act::Resume { client, how, rearm } => {
                self.drop_connection(*client)?;
                self.resume(*client, *how, rearm)?;
            }
            Act::Steal { client } => self.steal(*client)?,
            Act::Renew { client } => self.renew(*client)?,
            Act::Expire { requests, connected } => self.expire(requests, *connected)?,
            Act::Raw { client, bytes } => self.raw(*client, bytes)?,
            Act::Stranger { bytes } => self.stranger(bytes)?,
            Act::Handshake { connect, ahead } => self.handshake(connect, *ahead)?,
            Act::Sweep { path } => self.sweep(path)?,
            Act::Look => self.look()?,
        }
        Ok(std::mem::take(&mut self.lines))
    }

    fn say(&mut self, number: usize, text: &str) {
        self.lines.push(format!("c{number} {text}"));
    }

    /// Gives a client without a connection one: on its session, or on a new one if that is gone.
    fn ensure(&mut self, number: usize) -> Result<(), Failure> {
        if self.clients[number].connection.is_none() {
            self.resume(number, Resumption::Plain, &[])?;
        }
        Ok(())
    }

    fn burst(&mut self, number: usize, requests: &[Request]) -> Result<(), Failure> {
        self.ensure(number)?;
        self.clients[number].send(requests);
        self.answers(number)
    }

    /// Reads until everything that was sent has its answer, or the server closes.
    fn answers(&mut self, number: usize) -> Result<(), Failure> {
        let client = &mut self.clients[number];
        let Some(connection) = &mut client.connection else { return Ok(()) };
        while let Some((xid, opcode)) = client.awaited.front().copied() {
            let text = match connection.receive() {
                Ok(Message::Event(event)) => self.renderer.event(&event),
                Ok(Message::Reply(reply)) => {
                    client.awaited.pop_front();
                    client.seen = client.seen.max(reply.zxid);
                    // Whatever xid a ping has, its answer has -2.
                    let xid = if opcode == op::PING { -2 } else { xid };
                    self.renderer.reply(xid, opcode, &reply)
                }
                Err(cause) if is_closed(&cause) => {
                    client.connection = None;
                    client.awaited.clear();
                    self.lines.push(format!("c{number} closed"));
                    return Ok(());
                }
                Err(cause) => return Err(format!("client {number}: {cause}").into()),
            };
            self.lines.push(format!("c{number} {text}"));
        }
        Ok(())
    }

    /// After an answer that may come with the end of the connection: whether it did.
    fn probe_after_error(&mut self, number: usize) -> Result<(), Failure> {
        let last = self.lines.last().map_or("", String::as_str);
        // The answer to an operation that is not offered has no zxid.
        if last.contains(" err -115 ") || last.contains(" err -6 zxid =-1") {
            let Some(mut connection) = self.clients[number].connection.take() else {
                return Ok(());
            };
            return self.rest_of(number, &mut connection);
        }
        if last.contains(" err -6 ") || last.contains(" sasl ok ") {
            self.ping(number)?;
        }
        Ok(())
    }

    fn ping(&mut self, number: usize) -> Result<(), Failure> {
        if self.clients[number].connection.is_some() {
            self.clients[number].send(&[Request::new(op::PING, Vec::new())]);
            self.answers(number)?;
        }
        Ok(())
    }

    /// Every event so far: a ping comes back behind them.
    fn look(&mut self) -> Result<(), Failure> {
        (0..CLIENTS).try_for_each(|number| self.ping(number))
    }
}

impl Client {
    fn send(&mut self, requests: &[Request]) {
        let mut bytes = Vec::new();
        for request in requests {
            let xid = request.xid.unwrap_or_else(|| {
                self.next_xid += 1;
                self.next_xid
            });
            let body = request.bytes(self.seen);
            let payload = Writer::new().int(xid).int(request.opcode).raw(&body).into_bytes();
            bytes.extend_from_slice(&length(payload.len()).to_be_bytes());
            bytes.extend_from_slice(&payload);
            self.awaited.push_back((xid, request.opcode));
        }
        if let Some(connection) = &mut self.connection {
            // A server that closes in the middle of it is heard when the answers are read.
            connection.send_raw(&bytes).ok();
        }
    }
}

/// A connect request for a session that does not expire during a run.
fn new_session() -> Connect {
    Connect { timeout_ms: TIMEOUT_MS, ..Connect::default() }
}

/// Whether a failure is the end of the connection, and not a silent server.
fn is_closed(cause: &Failure) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(UnexpectedEof | ConnectionReset | BrokenPipe))
}
