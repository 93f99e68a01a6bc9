//! One blocking connection: handshake, requests, replies in order, watch events apart.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{
    Failure,
    jute::{Reader, Writer, length},
    records::{self, Stat, op},
};

/// Longest wait for one reply. A server that needs longer on loopback is broken.
const REPLY_WAIT: Duration = Duration::from_secs(20);

/// The first frame of a connection.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Clients send 0; servers look at nothing else of it.
    pub protocol: i32,
    /// A server that is behind this must refuse.
    pub last_zxid: i64,
    /// Asked session timeout.
    pub timeout_ms: i32,
    /// 0 for a new session.
    pub session: i64,
    /// Null, 16 zero bytes, or the session's.
    pub password: Option<Vec<u8>>,
    /// `None` leaves the byte out, as clients before 3.4 do.
    pub read_only: Option<bool>,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            protocol: 0,
            last_zxid: 0,
            timeout_ms: 10_000,
            session: 0,
            password: Some(vec![0; 16]),
            read_only: Some(false),
        }
    }
}

impl Connect {
    /// The frame's payload.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut writer = Writer::new()
            .int(self.protocol)
            .long(self.last_zxid)
            .int(self.timeout_ms)
            .long(self.session)
            .buffer(self.password.as_deref());
        if let Some(read_only) = self.read_only {
            writer = writer.boolean(read_only);
        }
        writer.into_bytes()
    }

    /// Takes up the session that `connected` describes.
    #[must_use]
    pub fn resume(connected: &Connected) -> Self {
        Self {
            session: connected.session,
            password: Some(connected.password.clone()),
            timeout_ms: connected.timeout_ms,
            ..Self::default()
        }
    }
}

/// The server's answer to [`Connect`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Connected {
    /// Always 0.
    pub protocol: i32,
    /// Negotiated; 0 says that the session is gone.
    pub timeout_ms: i32,
    /// 0 says that the session is gone.
    pub session: i64,
    /// 16 bytes that resume the session.
    pub password: Vec<u8>,
    /// `None` when the answer has no such byte.
    pub read_only: Option<bool>,
}

/// A reply: its header, and its body still encoded.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub struct Reply {
    pub xid: i32,
    pub zxid: i64,
    pub err: i32,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body is one Stat, and nothing else.
    pub fn stat(&self) -> Result<Stat, Failure> {
        self.ok()?;
        let mut reader = Reader::new(&self.body);
        let stat = Stat::read(&mut reader)?;
        reader.end()?;
        Ok(stat)
    }

    /// The body is a path (create, sync), and nothing else.
    pub fn path(&self) -> Result<String, Failure> {
        self.ok()?;
        let mut reader = Reader::new(&self.body);
        let path = reader.string()?;
        reader.end()?;
        Ok(path)
    }

    /// The body of create2 and its relatives.
    pub fn path_stat(&self) -> Result<(String, Stat), Failure> {
        self.ok()?;
        let mut reader = Reader::new(&self.body);
        let (path, stat) = (reader.string()?, Stat::read(&mut reader)?);
        reader.end()?;
        Ok((path, stat))
    }

    /// The body of getData.
    pub fn data(&self) -> Result<(Option<Vec<u8>>, Stat), Failure> {
        self.ok()?;
        let mut reader = Reader::new(&self.body);
        let (data, stat) = (reader.buffer()?, Stat::read(&mut reader)?);
        reader.end()?;
        Ok((data, stat))
    }

    /// The body of getChildren, getEphemerals: names, sorted here.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        self.ok()?;
        let mut reader = Reader::new(&self.body);
        let mut names = reader.strings()?;
        reader.end()?;
        names.sort();
        Ok(names)
    }

    /// Fails unless the result is OK.
    pub fn ok(&self) -> Result<(), Failure> {
        if self.err == 0 {
            return Ok(());
        }
        Err(format!("error {} (xid {}, zxid {:#x})", self.err, self.xid, self.zxid).into())
    }
}

/// A watch event. `zxid` is the header's.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub struct Event {
    pub zxid: i64,
    pub kind: i32,
    pub state: i32,
    pub path: String,
}

/// What a server sends after the handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// The answer to a request.
    Reply(Reply),
    /// Because of a watch.
    Event(Event),
}

/// A connection, with or without a session.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    next_xid: i32,
    /// Handshake's answer; zeros before it.
    pub session: Connected,
    /// Events that came while a reply was awaited, oldest first.
    pub events: VecDeque<Event>,
}

impl Connection {
    /// A TCP connection, nothing sent.
    pub fn dial(address: SocketAddr) -> Result<Self, Failure> {
        Self::from_stream(TcpStream::connect_timeout(&address, Duration::from_secs(5))?)
    }

    /// The same on a socket that was connected in another way.
    pub fn from_stream(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WAIT))?;
        stream.set_write_timeout(Some(REPLY_WAIT))?;
        Ok(Self { stream, next_xid: 1, session: Connected::default(), events: VecDeque::new() })
    }

    /// How long to wait for the bytes of an answer.
    pub fn set_reply_wait(&mut self, wait: Duration) -> Result<(), Failure> {
        Ok(self.stream.set_read_timeout(Some(wait))?)
    }

    /// A connection with a session. A refusal (session 0) is an answer, not a failure.
    pub fn open(address: SocketAddr, connect: &Connect) -> Result<Self, Failure> {
        let mut connection = Self::dial(address)?;
        connection.handshake(connect)?;
        Ok(connection)
    }

    /// A connection with a new session.
    pub fn new_session(address: SocketAddr) -> Result<Self, Failure> {
        let connection = Self::open(address, &Connect::default())?;
        if connection.session.session == 0 {
            return Err("a new session was refused".into());
        }
        Ok(connection)
    }

    /// Sends the connect request and reads its answer.
    pub fn handshake(&mut self, connect: &Connect) -> Result<(), Failure> {
        self.send_frame(&connect.body())?;
        self.read_connected()
    }

    /// Reads the answer to a connect request that was sent before.
    pub fn read_connected(&mut self) -> Result<(), Failure> {
        let frame = self.receive_frame()?;
        let mut reader = Reader::new(&frame);
        self.session = Connected {
            protocol: reader.int()?,
            timeout_ms: reader.int()?,
            session: reader.long()?,
            password: reader.buffer()?.unwrap_or_default(),
            read_only: if reader.rest().is_empty() { None } else { Some(reader.boolean()?) },
        };
        reader.end()
    }

    /// Bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// A payload behind its length.
    pub fn send_frame(&mut self, payload: &[u8]) -> Result<(), Failure> {
        let mut bytes = length(payload.len()).to_be_bytes().to_vec();
        bytes.extend_from_slice(payload);
        self.send_raw(&bytes)
    }

    /// A request with a chosen xid.
    pub fn send_xid(&mut self, xid: i32, opcode: i32, body: &[u8]) -> Result<(), Failure> {
        self.send_frame(&Writer::new().int(xid).int(opcode).raw(body).into_bytes())
    }

    /// A request with the next xid, which it returns.
    pub fn send(&mut self, opcode: i32, body: &[u8]) -> Result<i32, Failure> {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.send_xid(xid, opcode, body)?;
        Ok(xid)
    }

    /// A request and its reply. Events on the way are kept in `events`.
    pub fn call(&mut self, opcode: i32, body: &[u8]) -> Result<Reply, Failure> {
        let xid = self.send(opcode, body)?;
        let reply = self.reply()?;
        if reply.xid != xid {
            return Err(format!("reply to xid {} where {xid} was due", reply.xid).into());
        }
        Ok(reply)
    }

    /// The next reply. Events on the way are kept in `events`.
    pub fn reply(&mut self) -> Result<Reply, Failure> {
        loop {
            match self.receive()? {
                Message::Reply(reply) => return Ok(reply),
                Message::Event(event) => self.events.push_back(event),
            }
        }
    }

    /// The next event: one that waits, or one that comes before any reply.
    pub fn event(&mut self) -> Result<Event, Failure> {
        if let Some(event) = self.events.pop_front() {
            return Ok(event);
        }
        match self.receive()? {
            Message::Event(event) => Ok(event),
            Message::Reply(reply) => Err(format!("{reply:?} where an event was due").into()),
        }
    }

    /// Fails when an event waits, or comes before the reply to a ping sent now.
    pub fn no_event(&mut self) -> Result<(), Failure> {
        self.send_xid(-2, op::PING, &[])?;
        self.reply()?;
        match self.events.pop_front() {
            None => Ok(()),
            Some(event) => Err(format!("unexpected {event:?}").into()),
        }
    }

    /// The next frame, decoded as far as its header.
    pub fn receive(&mut self) -> Result<Message, Failure> {
        let frame = self.receive_frame()?;
        let mut reader = Reader::new(&frame);
        let (xid, zxid, err) = (reader.int()?, reader.long()?, reader.int()?);
        if xid != -1 {
            let body = reader.rest().to_vec();
            return Ok(Message::Reply(Reply { xid, zxid, err, body }));
        }
        let (kind, state, path) = (reader.int()?, reader.int()?, reader.string()?);
        reader.end()?;
        Ok(Message::Event(Event { zxid, kind, state, path }))
    }

    /// The next frame's payload.
    pub fn receive_frame(&mut self) -> Result<Vec<u8>, Failure> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let length = usize::try_from(i32::from_be_bytes(head))?;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }

    /// Everything until the server closes; fails when it does not within `wait`.
    pub fn read_to_end(&mut self, wait: Duration) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + wait;
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("still open after {wait:?}").into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(bytes),
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                Err(cause) if cause.kind() == ErrorKind::ConnectionReset => return Ok(bytes),
                Err(cause) if is_timeout(&cause) => {}
                Err(cause) => return Err(cause.into()),
            }
        }
    }

    /// Fails unless the server closes the connection without another byte.
    pub fn expect_closed(&mut self) -> Result<(), Failure> {
        let bytes = self.read_to_end(Duration::from_secs(15))?;
        if bytes.is_empty() {
            return Ok(());
        }
        Err(format!("{} bytes where the connection should close: {bytes:02x?}", bytes.len()).into())
    }

    /// No more requests will come; replies are still read.
    pub fn shut_down_writing(&mut self) -> Result<(), Failure> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Another handle on the same socket, to write from another thread.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Closes the session, as a well-behaved client does.
    pub fn close(mut self) -> Result<Reply, Failure> {
        self.call(op::CLOSE_SESSION, &[])
    }
}

/// Short forms of the calls that every test makes.
impl Connection {
    /// create, open ACL: the path.
    pub fn create(&mut self, path: &str, data: &[u8], flags: i32) -> Result<String, Failure> {
        let body = records::create(path, Some(data), &records::Acl::open(), flags);
        self.call(op::CREATE, &body)?.path()
    }

    /// setData: the new Stat.
    pub fn set(&mut self, path: &str, data: &[u8], version: i32) -> Result<Stat, Failure> {
        self.call(op::SET_DATA, &records::set_data(path, Some(data), version))?.stat()
    }

    /// getData.
    pub fn get(&mut self, path: &str) -> Result<(Option<Vec<u8>>, Stat), Failure> {
        self.call(op::GET_DATA, &records::path_watch(path, false))?.data()
    }

    /// exists.
    pub fn stat(&mut self, path: &str) -> Result<Stat, Failure> {
        self.call(op::EXISTS, &records::path_watch(path, false))?.stat()
    }

    /// delete.
    pub fn delete(&mut self, path: &str, version: i32) -> Result<(), Failure> {
        self.call(op::DELETE, &records::path_version(path, version))?.ok()
    }

    /// getChildren, sorted.
    pub fn children(&mut self, path: &str) -> Result<Vec<String>, Failure> {
        self.call(op::GET_CHILDREN, &records::path_watch(path, false))?.names()
    }
}

fn is_timeout(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
