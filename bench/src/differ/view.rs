//! Answers as they can be compared: zxids counted from the start of the run, times left out,
//! session ids by the client that has them.

use std::collections::BTreeMap;

use crate::wire::{
    Connect, Connection, Event, Failure, Reply,
    jute::Reader,
    records::{self, Part, Stat, op},
};

use super::requests::{Act, CLIENTS};

/// One server and its clients.
pub(super) struct View {
    address: std::net::SocketAddr,
    clients: Vec<Connection>,
    /// zxid at the start of the run.
    base: i64,
    /// Session ids, in the order of their creation.
    sessions: BTreeMap<i64, usize>,
}

impl View {
    pub(super) fn open(address: std::net::SocketAddr) -> Result<Self, Failure> {
        let mut view = Self { address, clients: Vec::new(), base: 0, sessions: BTreeMap::new() };
        for _ in 0..CLIENTS {
            let client = view.new_session()?;
            view.clients.push(client);
        }
        let reply = view.clients[0].call(op::EXISTS, &records::path_watch("/", false))?;
        view.base = reply.zxid;
        Ok(view)
    }

    fn new_session(&mut self) -> Result<Connection, Failure> {
        let client = Connection::new_session(self.address)?;
        let number = self.sessions.len();
        self.sessions.insert(client.session.session, number);
        Ok(client)
    }

    /// Does it, and says what came back.
    pub(super) fn act(&mut self, act: &Act) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        match act {
            Act::Call { client, opcode, body } => {
                let reply = self.clients[*client].call(*opcode, body)?;
                lines.push(self.reply(*opcode, &reply)?);
            }
            Act::Authenticate { client, scheme, auth } => {
                let body = records::auth(scheme, auth);
                self.clients[*client].send_xid(-4, op::AUTH, &body)?;
                let reply = self.clients[*client].reply()?;
                lines.push(format!("auth {}", reply.err));
            }
            Act::Resume { client } => {
                let resume = Connect::resume(&self.clients[*client].session);
                self.clients[*client] = Connection::open(self.address, &resume)?;
                let resumed = self.clients[*client].session.session == resume.session;
                lines.push(format!("resumed: {resumed}"));
            }
            Act::Renew { client } => {
                let reply = self.clients[*client].call(op::CLOSE_SESSION, &[])?;
                lines.push(format!("closed {} {}", reply.err, self.zxid(reply.zxid)));
                self.clients[*client] = self.new_session()?;
            }
        }
        Ok(lines)
    }

    /// The events of every client so far: a ping comes back behind them.
    pub(super) fn events(&mut self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        for client in 0..CLIENTS {
            self.clients[client].send_xid(-2, op::PING, &[])?;
            let reply = self.clients[client].reply()?;
            lines.push(format!("ping {}", self.zxid(reply.zxid)));
            let events: Vec<Event> = self.clients[client].events.drain(..).collect();
            for Event { zxid, kind, state, path } in events {
                let zxid = self.zxid(zxid);
                lines.push(format!("client {client}: event {kind} {state} {path:?} {zxid}"));
            }
        }
        Ok(lines)
    }

    fn zxid(&self, zxid: i64) -> String {
        // Before the run: system znodes (0), and "unknown" (-1).
        if zxid < self.base { format!("={zxid}") } else { format!("+{}", zxid - self.base) }
    }

    fn stat(&self, stat: &Stat) -> String {
        let owner = match stat.ephemeral_owner {
            0 => "nobody".to_owned(),
            owner => self.sessions.get(&owner).map_or(format!("{owner:#x}"), usize::to_string),
        };
        let Stat { version, cversion, aversion, data_length, num_children, .. } = stat;
        format!(
            "Stat[c {} m {} p {} v {version} cv {cversion} av {aversion} owner {owner} \
             length {data_length} children {num_children}]",
            self.zxid(stat.czxid),
            self.zxid(stat.mzxid),
            self.zxid(stat.pzxid),
        )
    }

    fn reply(&self, opcode: i32, reply: &Reply) -> Result<String, Failure> {
        let zxid = self.zxid(reply.zxid);
        if reply.err != 0 {
            return Ok(format!("err {} zxid {zxid} + {} bytes", reply.err, reply.body.len()));
        }
        Ok(format!("ok zxid {zxid} {}", self.body(opcode, &reply.body)?))
    }

    fn body(&self, opcode: i32, body: &[u8]) -> Result<String, Failure> {
        let mut reader = Reader::new(body);
        let text = match opcode {
            op::CREATE => format!("{:?}", reader.string()?),
            op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => {
                format!("{:?} {}", reader.string()?, self.stat(&Stat::read(&mut reader)?))
            }
            op::EXISTS | op::SET_DATA | op::SET_ACL => self.stat(&Stat::read(&mut reader)?),
            op::GET_DATA => {
                format!("{:?} {}", reader.buffer()?, self.stat(&Stat::read(&mut reader)?))
            }
            op::GET_ACL => {
                let acl = records::read_acl(&mut reader)?;
                format!("{acl:?} {}", self.stat(&Stat::read(&mut reader)?))
            }
            op::GET_CHILDREN | op::GET_EPHEMERALS => sorted(reader.strings()?),
            op::GET_CHILDREN2 => {
                let names = sorted(reader.strings()?);
                format!("{names} {}", self.stat(&Stat::read(&mut reader)?))
            }
            op::MULTI | op::MULTI_READ => return self.multi(body),
            op::WHO_AM_I => {
                let count = reader.int()?;
                let ids = (0..count).map(|_| Ok((reader.string()?, reader.string()?)));
                let mut ids = ids.collect::<Result<Vec<_>, Failure>>()?;
                ids.sort();
                format!("{ids:?}")
            }
            // The rest has bodies without numbers of this server's own.
            _ => return Ok(format!("{body:02x?}")),
        };
        reader.end()?;
        Ok(text)
    }

    fn multi(&self, body: &[u8]) -> Result<String, Failure> {
        let parts = records::multi_reply(body)?.into_iter().map(|part| match part {
            Part::Created2(path, stat) => format!("created2 {path:?} {}", self.stat(&stat)),
            Part::Set(stat) => format!("set {}", self.stat(&stat)),
            Part::Data(data, stat) => format!("data {data:?} {}", self.stat(&stat)),
            Part::Children(names) => format!("children {}", sorted(names)),
            other => format!("{other:?}"),
        });
        Ok(parts.collect::<Vec<_>>().join("; "))
    }
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    format!("{names:?}")
}
