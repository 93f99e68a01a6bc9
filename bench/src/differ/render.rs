//! Answers as they can be compared: zxids counted from the start of the run, times only judged,
//! session ids by the client that has them, names sorted.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::wire::{
    Event, Failure, Reply,
    jute::Reader,
    records::{self, Part, Stat, op},
};

use super::act::op_name;

/// How far a server's clock may be from ours: it is the same clock, read a little earlier.
const CLOCK_TOLERANCE_MS: i64 = 60_000;

/// What one server's own numbers mean.
#[derive(Debug)]
pub(super) struct Renderer {
    /// zxid at the start of the run.
    base: i64,
    started_ms: i64,
    /// Session ids, in the order of their creation.
    sessions: BTreeMap<i64, usize>,
}

impl Renderer {
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(Duration::ZERO, |now| now);
        let started_ms = i64::try_from(now.as_millis()).expect("milliseconds fit");
        Self { base: i64::MAX, started_ms, sessions: BTreeMap::new() }
    }

    /// From here on zxids are counted.
    pub(super) fn set_base(&mut self, zxid: i64) {
        self.base = zxid;
    }

    /// A zxid that no server has reached.
    pub(super) fn future(&self) -> i64 {
        self.base + (1 << 40)
    }

    /// One more session, known by its number from now on.
    pub(super) fn add_session(&mut self, session: i64) {
        let number = self.sessions.len();
        self.sessions.entry(session).or_insert(number);
    }

    pub(super) fn zxid(&self, zxid: i64) -> String {
        // Before the run: system znodes (0), and "unknown" (-1).
        if zxid < self.base { format!("={zxid}") } else { format!("+{}", zxid - self.base) }
    }

    pub(super) fn session(&self, session: i64) -> String {
        match session {
            0 => "nobody".to_owned(),
            id => self.sessions.get(&id).map_or(format!("stranger {id:#x}"), |n| format!("s{n}")),
        }
    }

    pub(super) fn stat(&self, stat: &Stat) -> String {
        let Stat { version, cversion, aversion, data_length, num_children, .. } = stat;
        format!(
            "Stat[c {} m {} p {} v {version} cv {cversion} av {aversion} owner {} \
             length {data_length} children {num_children}{}]",
            self.zxid(stat.czxid),
            self.zxid(stat.mzxid),
            self.zxid(stat.pzxid),
            self.session(stat.ephemeral_owner),
            self.times(stat),
        )
    }

    /// Nothing where the times make sense: they differ between servers, their rules do not.
    fn times(&self, stat: &Stat) -> String {
        let Stat { ctime, mtime, czxid, mzxid, .. } = stat;
        let is_now = |time: i64| (time - self.started_ms).abs() < 3600 * 1000 + CLOCK_TOLERANCE_MS;
        let sane = match (*czxid, *mzxid) {
            (0, 0) => *ctime == 0 && *mtime == 0,
            (0, _) => *ctime == 0 && is_now(*mtime),
            (created, modified) => {
                is_now(*ctime)
                    && is_now(*mtime)
                    && *ctime <= *mtime
                    && (created != modified || ctime == mtime)
            }
        };
        if sane { String::new() } else { format!(" odd times {ctime} {mtime}") }
    }

    pub(super) fn event(&self, event: &Event) -> String {
        let Event { zxid, kind, state, path } = event;
        format!("event {kind} {state} {path:?} {}", self.zxid(*zxid))
    }

    pub(super) fn reply(&self, xid: i32, opcode: i32, reply: &Reply) -> String {
        let zxid = self.zxid(reply.zxid);
        let xid = if reply.xid == xid {
            String::new()
        } else {
            format!(" xid {} where {xid} was due", reply.xid)
        };
        let name = op_name(opcode);
        if reply.err != 0 {
            let body = reply.body.escape_ascii();
            return format!("{name} err {} zxid {zxid}{xid} {body}", reply.err);
        }
        let body = self.body(opcode, &reply.body);
        let body = body.unwrap_or_else(|cause| format!("{cause}: {}", reply.body.escape_ascii()));
        format!("{name} ok zxid {zxid}{xid} {body}")
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
                let data = data(reader.buffer()?.as_deref());
                format!("{data} {}", self.stat(&Stat::read(&mut reader)?))
            }
            op::GET_ACL => {
                // What stands for `auth` comes in no particular order on Apache.
                let mut acl = records::read_acl(&mut reader)?;
                acl.sort_by_key(|entry| format!("{entry:?}"));
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
            _ => return Ok(body.escape_ascii().to_string()),
        };
        reader.end()?;
        Ok(text)
    }

    fn multi(&self, body: &[u8]) -> Result<String, Failure> {
        let parts = records::multi_reply(body)?.into_iter().map(|part| match part {
            Part::Created2(path, stat) => format!("created2 {path:?} {}", self.stat(&stat)),
            Part::Set(stat) => format!("set {}", self.stat(&stat)),
            Part::Data(bytes, stat) => {
                format!("data {} {}", data(bytes.as_deref()), self.stat(&stat))
            }
            Part::Children(names) => format!("children {}", sorted(names)),
            other => format!("{other:?}"),
        });
        Ok(format!("[{}]", parts.collect::<Vec<_>>().join("; ")))
    }
}

fn data(data: Option<&[u8]>) -> String {
    match data {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= 200 => format!("\"{}\"", bytes.escape_ascii()),
        Some(bytes) => format!("{} bytes from {:?}", bytes.len(), bytes.first()),
    }
}

fn sorted(mut names: Vec<String>) -> String {
    names.sort();
    format!("{names:?}")
}
