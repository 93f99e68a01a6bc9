//! Acts about connections and sessions: taking up, taking over, closing, expiring, bad bytes.

use std::time::{Duration, Instant};

use crate::{
    servers::four_letter,
    wire::{Connect, Connection, Failure, records::op},
};

use super::{
    super::act::{Request, Resumption},
    Client, View, is_closed, new_session,
};

/// Longest wait for a server to close what it closes.
const CLOSE_WAIT: Duration = Duration::from_secs(15);
/// Longest wait for the shortest session to expire.
const EXPIRY_WAIT: Duration = Duration::from_secs(30);

impl View {
    /// A new session for a client.
    pub(super) fn renew_client(&mut self, number: usize) -> Result<(), Failure> {
        let connection = Connection::open(self.address, &new_session())?;
        let session = connection.session.clone();
        if session.session == 0 {
            return Err(format!("client {number}: a new session was refused").into());
        }
        self.renderer.add_session(session.session);
        self.say(number, &format!("new session, timeout {}", session.timeout_ms));
        let connection = Some(connection);
        self.clients[number] = Client { connection, session, ..Client::default() };
        Ok(())
    }

    /// Closes a client's socket. Events that are on their way to it are read before.
    pub(super) fn drop_connection(&mut self, number: usize) -> Result<(), Failure> {
        self.ping(number)?;
        self.clients[number].connection = None;
        Ok(())
    }

    pub(super) fn resume(
        &mut self,
        number: usize,
        how: Resumption,
        rearm: &[Request],
    ) -> Result<(), Failure> {
        let connect = self.resumption(number, how)?;
        let mut connection = Connection::dial(self.address)?;
        connection.send_frame(&connect.body())?;
        self.clients[number].connection = Some(connection);
        if how == Resumption::Pipelined {
            self.clients[number].send(rearm);
        }
        let client = &mut self.clients[number];
        let connection = client.connection.as_mut().expect("set above");
        let answer = connected(connection, &self.renderer);
        let resumed = connection.session.session == client.session.session;
        self.say(number, &format!("resumed: {answer}"));
        if !resumed {
            return self.renew_client(number);
        }
        if how != Resumption::Pipelined {
            self.clients[number].send(rearm);
        }
        self.answers(number)
    }

    /// The connect request that takes the session up, after the tries that `how` asks for.
    fn resumption(&mut self, number: usize, how: Resumption) -> Result<Connect, Failure> {
        let client = &self.clients[number];
        let right = Connect { last_zxid: client.seen, ..Connect::resume(&client.session) };
        Ok(match how {
            Resumption::WrongPasswordFirst => {
                let wrong = Connect { password: Some(vec![1; 16]), ..right.clone() };
                self.try_connect(number, &wrong)?;
                right
            }
            Resumption::AheadFirst => {
                let last_zxid = self.renderer.future();
                self.try_connect(number, &Connect { last_zxid, ..right.clone() })?;
                right
            }
            Resumption::OtherTimeout => Connect { timeout_ms: right.timeout_ms ^ 0x400, ..right },
            Resumption::Old => Connect { read_only: None, ..right },
            Resumption::Plain | Resumption::Pipelined => right,
        })
    }

    fn try_connect(&mut self, number: usize, connect: &Connect) -> Result<(), Failure> {
        let mut connection = Connection::dial(self.address)?;
        connection.send_frame(&connect.body())?;
        let answer = connected(&mut connection, &self.renderer);
        self.say(number, &format!("tried: {answer}"));
        self.rest_of(number, &mut connection)
    }

    pub(super) fn steal(&mut self, number: usize) -> Result<(), Failure> {
        self.ensure(number)?;
        self.ping(number)?;
        let Some(mut old) = self.clients[number].connection.take() else { return Ok(()) };
        self.resume(number, Resumption::Plain, &[])?;
        // Apache forgets which connection has a session when the end of an earlier one is noticed
        // late: then the old one is closed when it says something.
        old.send_xid(-2, op::PING, &[]).ok();
        self.rest_of(number, &mut old)
    }

    pub(super) fn renew(&mut self, number: usize) -> Result<(), Failure> {
        self.ensure(number)?;
        self.look()?;
        let before = self.lines.len();
        self.clients[number].send(&[Request::new(op::CLOSE_SESSION, Vec::new())]);
        self.answers(number)?;
        if let Some(mut old) = self.clients[number].connection.take() {
            self.rest_of(number, &mut old)?;
        }
        self.look()?;
        sort_events(&mut self.lines[before..]);
        self.renew_client(number)
    }

    pub(super) fn expire(&mut self, requests: &[Request], connected: bool) -> Result<(), Failure> {
        self.look()?;
        let mut mayfly = Client {
            connection: Some(Connection::open(
                self.address,
                &Connect { timeout_ms: 1, ..Connect::default() },
            )?),
            ..Client::default()
        };
        let session = mayfly.connection.as_ref().expect("just opened").session.clone();
        self.renderer.add_session(session.session);
        let number = self.clients.len();
        mayfly.session = session.clone();
        self.clients.push(mayfly);
        let outcome = self.live_and_die(number, requests, connected);
        self.clients.pop();
        outcome
    }

    fn live_and_die(
        &mut self,
        number: usize,
        requests: &[Request],
        connected: bool,
    ) -> Result<(), Failure> {
        let session = self.clients[number].session.clone();
        self.say(number, &format!("mayfly, timeout {}", session.timeout_ms));
        let alive = self.sessions_alive()?;
        self.clients[number].send(requests);
        self.answers(number)?;
        let connection = self.clients[number].connection.take();
        let watching = connection.filter(|_| connected);
        let deadline = Instant::now() + EXPIRY_WAIT;
        while alive <= self.sessions_alive()? {
            if deadline < Instant::now() {
                return Err("the shortest session does not expire".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if let Some(mut connection) = watching {
            self.rest_of(number, &mut connection)?;
        }
        let before = self.lines.len();
        self.look()?;
        sort_events(&mut self.lines[before..]);
        self.try_connect(number, &Connect::resume(&session))
    }

    /// Sessions that the server knows of.
    fn sessions_alive(&self) -> Result<u64, Failure> {
        let text = four_letter(self.address, "mntr")?;
        let line = text.lines().find_map(|line| line.strip_prefix("zk_global_sessions\t"));
        Ok(line.ok_or("mntr has no zk_global_sessions")?.trim().parse()?)
    }

    pub(super) fn raw(&mut self, number: usize, bytes: &[u8]) -> Result<(), Failure> {
        self.ensure(number)?;
        self.ping(number)?;
        let Some(mut connection) = self.clients[number].connection.take() else { return Ok(()) };
        connection.send_raw(bytes).ok();
        connection.shut_down_writing().ok();
        self.rest_of(number, &mut connection)
    }

    pub(super) fn stranger(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut connection = Connection::dial(self.address)?;
        connection.send_raw(bytes).ok();
        connection.shut_down_writing().ok();
        self.rest_of(self.clients.len(), &mut connection)
    }

    /// What a server still says before it closes.
    pub(super) fn rest_of(
        &mut self,
        number: usize,
        connection: &mut Connection,
    ) -> Result<(), Failure> {
        let bytes = connection.read_to_end(CLOSE_WAIT)?;
        self.say(number, &format!("closed after {:?}", bytes.escape_ascii().to_string()));
        Ok(())
    }

    pub(super) fn handshake(&mut self, connect: &Connect, ahead: bool) -> Result<(), Failure> {
        let last_zxid = if ahead { self.renderer.future() } else { connect.last_zxid };
        let number = self.clients.len();
        let mut connection = Connection::dial(self.address)?;
        connection.send_frame(&Connect { last_zxid, ..connect.clone() }.body())?;
        let answer = connected(&mut connection, &self.renderer);
        self.say(number, &format!("handshake: {answer}"));
        if connection.session.session == 0 {
            return self.rest_of(number, &mut connection);
        }
        let reply = connection.call(op::CLOSE_SESSION, &[])?;
        let text = self.renderer.reply(reply.xid, op::CLOSE_SESSION, &reply);
        self.say(number, &text);
        Ok(())
    }
}

/// Sorts events that come one after the other: the ephemerals of a session that ends go in no
/// particular order on Apache.
fn sort_events(lines: &mut [String]) {
    let is_event = |line: &String| line.split(' ').nth(1) == Some("event");
    lines
        .chunk_by_mut(|left, right| is_event(left) && is_event(right))
        .for_each(<[String]>::sort_unstable);
}

/// The answer to a connect request. A new session counts as nobody's: it is not known yet.
fn connected(connection: &mut Connection, renderer: &super::super::render::Renderer) -> String {
    match connection.read_connected() {
        Ok(()) => {
            let answer = &connection.session;
            let session = renderer.session(answer.session);
            let session = if session.starts_with("stranger") { "new" } else { &session };
            let zeros = answer.password.iter().all(|byte| *byte == 0);
            format!(
                "protocol {} timeout {} session {session} password {}{} read-only {:?}",
                answer.protocol,
                answer.timeout_ms,
                answer.password.len(),
                if zeros { " zeros" } else { "" },
                answer.read_only
            )
        }
        Err(cause) if is_closed(&cause) => "closed".to_owned(),
        Err(cause) => format!("failed: {cause}"),
    }
}
