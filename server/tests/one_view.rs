//! A server with several shards looks the same whichever of them a client happens to be on: a write
//! that was answered on one connection is seen by every later read on another.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

mod process;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use process::{Server, directory};

/// Connections: enough of them that every shard gets some.
const CLIENTS: usize = 16;

/// Rounds. Without the rule, one in ten went wrong.
const ROUNDS: u16 = 2000;

/// A session, spoken to in bytes: what is tested is the server, not a client.
struct Client(TcpStream);

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self(stream);
        // jute: ConnectRequest; version, zxid, timeout, session, password, read-only.
        let mut request = vec![0; 12];
        request.extend(30_000_i32.to_be_bytes());
        request.extend([0; 8]);
        request.extend(16_i32.to_be_bytes());
        request.extend([0; 17]);
        assert_eq!(client.exchange(&request).len(), 37);
        client
    }

    /// Sends a request of `opcode` and returns the reply's error and body.
    fn call(&mut self, opcode: i32, record: &[u8]) -> (i32, Vec<u8>) {
        let mut request = 1_i32.to_be_bytes().to_vec();
        request.extend(opcode.to_be_bytes());
        request.extend(record);
        let reply = self.exchange(&request);
        let (header, body) = reply.split_at(16);
        (i32::from_be_bytes(header[12..].try_into().unwrap()), body.to_vec())
    }

    fn exchange(&mut self, payload: &[u8]) -> Vec<u8> {
        self.0.write_all(&buffer(payload)).unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut reply).unwrap();
        reply
    }
}

/// Bytes behind their length, as frames and jute's buffers are.
fn buffer(bytes: &[u8]) -> Vec<u8> {
    let mut all = i32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    all.extend(bytes);
    all
}

#[test]
fn an_answered_write_is_seen_on_every_other_connection() {
    const CREATE: i32 = 1;
    const GET_DATA: i32 = 4;
    const SET_DATA: i32 = 5;
    let dir = directory();
    let server = Server::start_on(dir.path(), "4");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.port())).collect();
    let path = buffer(b"/seen");
    let mut create = path.clone();
    create.extend(buffer(b""));
    // One ACL entry: all permissions, for anybody.
    create.extend([0, 0, 0, 1, 0, 0, 0, 31]);
    create.extend(buffer(b"world"));
    create.extend(buffer(b"anyone"));
    create.extend([0; 4]);
    assert_eq!(clients[0].call(CREATE, &create).0, 0);
    for round in 0..ROUNDS {
        let value = buffer(&round.to_be_bytes());
        let writer = usize::from(round) % CLIENTS;
        let mut set = path.clone();
        set.extend(&value);
        set.extend((-1_i32).to_be_bytes());
        assert_eq!(clients[writer].call(SET_DATA, &set).0, 0);
        let mut get = path.clone();
        get.push(0);
        let reader = (writer + 1 + usize::from(round) % (CLIENTS - 1)) % CLIENTS;
        let (error, body) = clients[reader].call(GET_DATA, &get);
        assert_eq!((error, &body[..value.len()]), (0, &*value), "round {round}");
    }
}
