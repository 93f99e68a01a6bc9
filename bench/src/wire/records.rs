//! Records of the protocol as a client sees them: request bodies out, Stats and results in.

use super::{
    Failure,
    jute::{Reader, Writer},
};

/// Opcodes, by ZooKeeper's numbers.
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub mod op {
    pub const NOTIFICATION: i32 = 0;
    pub const CREATE: i32 = 1;
    pub const DELETE: i32 = 2;
    pub const EXISTS: i32 = 3;
    pub const GET_DATA: i32 = 4;
    pub const SET_DATA: i32 = 5;
    pub const GET_ACL: i32 = 6;
    pub const SET_ACL: i32 = 7;
    pub const GET_CHILDREN: i32 = 8;
    pub const SYNC: i32 = 9;
    pub const PING: i32 = 11;
    pub const GET_CHILDREN2: i32 = 12;
    pub const CHECK: i32 = 13;
    pub const MULTI: i32 = 14;
    pub const CREATE2: i32 = 15;
    pub const RECONFIG: i32 = 16;
    pub const CHECK_WATCHES: i32 = 17;
    pub const REMOVE_WATCHES: i32 = 18;
    pub const CREATE_CONTAINER: i32 = 19;
    pub const DELETE_CONTAINER: i32 = 20;
    pub const CREATE_TTL: i32 = 21;
    pub const MULTI_READ: i32 = 22;
    pub const AUTH: i32 = 100;
    pub const SET_WATCHES: i32 = 101;
    pub const SASL: i32 = 102;
    pub const GET_EPHEMERALS: i32 = 103;
    pub const GET_ALL_CHILDREN_NUMBER: i32 = 104;
    pub const SET_WATCHES2: i32 = 105;
    pub const ADD_WATCH: i32 = 106;
    pub const WHO_AM_I: i32 = 107;
    pub const CREATE_SESSION: i32 = -10;
    pub const CLOSE_SESSION: i32 = -11;

    /// Every number above with the name that ZooKeeper's documents use.
    pub const NAMES: [(i32, &str); 32] = [
        (NOTIFICATION, "notification"),
        (CREATE, "create"),
        (DELETE, "delete"),
        (EXISTS, "exists"),
        (GET_DATA, "getData"),
        (SET_DATA, "setData"),
        (GET_ACL, "getACL"),
        (SET_ACL, "setACL"),
        (GET_CHILDREN, "getChildren"),
        (SYNC, "sync"),
        (PING, "ping"),
        (GET_CHILDREN2, "getChildren2"),
        (CHECK, "check"),
        (MULTI, "multi"),
        (CREATE2, "create2"),
        (RECONFIG, "reconfig"),
        (CHECK_WATCHES, "checkWatches"),
        (REMOVE_WATCHES, "removeWatches"),
        (CREATE_CONTAINER, "createContainer"),
        (DELETE_CONTAINER, "deleteContainer"),
        (CREATE_TTL, "createTTL"),
        (MULTI_READ, "multiRead"),
        (AUTH, "auth"),
        (SET_WATCHES, "setWatches"),
        (SASL, "sasl"),
        (GET_EPHEMERALS, "getEphemerals"),
        (GET_ALL_CHILDREN_NUMBER, "getAllChildrenNumber"),
        (SET_WATCHES2, "setWatches2"),
        (ADD_WATCH, "addWatch"),
        (WHO_AM_I, "whoAmI"),
        (CREATE_SESSION, "createSession"),
        (CLOSE_SESSION, "closeSession"),
    ];

    /// The name of an opcode that has one.
    #[must_use]
    pub fn name(opcode: i32) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number == opcode).map(|(_, name)| *name)
    }
}

/// Result codes, by ZooKeeper's numbers.
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub mod code {
    pub const OK: i32 = 0;
    pub const RUNTIME_INCONSISTENCY: i32 = -2;
    pub const MARSHALLING_ERROR: i32 = -5;
    pub const UNIMPLEMENTED: i32 = -6;
    pub const BAD_ARGUMENTS: i32 = -8;
    pub const NO_NODE: i32 = -101;
    pub const NO_AUTH: i32 = -102;
    pub const BAD_VERSION: i32 = -103;
    pub const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
    pub const NODE_EXISTS: i32 = -110;
    pub const NOT_EMPTY: i32 = -111;
    pub const SESSION_EXPIRED: i32 = -112;
    pub const INVALID_ACL: i32 = -114;
    pub const AUTH_FAILED: i32 = -115;
    pub const NO_WATCHER: i32 = -121;
    pub const RECONFIG_DISABLED: i32 = -123;
    pub const QUOTA_EXCEEDED: i32 = -125;
    pub const THROTTLED_OP: i32 = -127;
}

/// Create flags, by ZooKeeper's numbers.
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub mod flags {
    pub const PERSISTENT: i32 = 0;
    pub const EPHEMERAL: i32 = 1;
    pub const SEQUENTIAL: i32 = 2;
    pub const EPHEMERAL_SEQUENTIAL: i32 = 3;
    pub const CONTAINER: i32 = 4;
    pub const TTL: i32 = 5;
    pub const TTL_SEQUENTIAL: i32 = 6;
}

/// One entry of an ACL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acl {
    /// Bits: read 1, write 2, create 4, delete 8, admin 16.
    pub perms: i32,
    /// How the id is to be understood.
    pub scheme: String,
    /// Who.
    pub id: String,
}

impl Acl {
    /// One entry.
    #[must_use]
    pub fn new(perms: i32, scheme: &str, id: &str) -> Self {
        Self { perms, scheme: scheme.into(), id: id.into() }
    }

    /// What most clients send: everything to everybody.
    #[must_use]
    pub fn open() -> Vec<Self> {
        vec![Self::new(31, "world", "anyone")]
    }
}

/// The eleven numbers of a znode, in the order of the wire.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub struct Stat {
    pub czxid: i64,
    pub mzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: i64,
}

impl Stat {
    /// jute: `Stat`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            czxid: reader.long()?,
            mzxid: reader.long()?,
            ctime: reader.long()?,
            mtime: reader.long()?,
            version: reader.int()?,
            cversion: reader.int()?,
            aversion: reader.int()?,
            ephemeral_owner: reader.long()?,
            data_length: reader.int()?,
            num_children: reader.int()?,
            pzxid: reader.long()?,
        })
    }
}

/// Reads `vector<ACL>`.
pub fn read_acl(reader: &mut Reader<'_>) -> Result<Vec<Acl>, Failure> {
    let count = reader.int()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let perms = reader.int()?;
        let (scheme, id) = (reader.string()?, reader.string()?);
        entries.push(Acl { perms, scheme, id });
    }
    Ok(entries)
}

fn write_acl(mut writer: Writer, acl: &[Acl]) -> Writer {
    writer = writer.int(super::jute::length(acl.len()));
    for entry in acl {
        writer = writer.int(entry.perms).string(&entry.scheme).string(&entry.id);
    }
    writer
}

/// Body of create, create2 and createContainer.
#[must_use]
pub fn create(path: &str, data: Option<&[u8]>, acl: &[Acl], flags: i32) -> Vec<u8> {
    write_acl(Writer::new().string(path).buffer(data), acl).int(flags).into_bytes()
}

/// Body of createTTL.
#[must_use]
pub fn create_ttl(path: &str, data: Option<&[u8]>, flags: i32, ttl_ms: i64) -> Vec<u8> {
    let writer = Writer::new().string(path).buffer(data);
    write_acl(writer, &Acl::open()).int(flags).long(ttl_ms).into_bytes()
}

/// Body of delete and of check.
#[must_use]
pub fn path_version(path: &str, version: i32) -> Vec<u8> {
    Writer::new().string(path).int(version).into_bytes()
}

/// Body of exists, getData, getChildren and getChildren2.
#[must_use]
pub fn path_watch(path: &str, watch: bool) -> Vec<u8> {
    Writer::new().string(path).boolean(watch).into_bytes()
}

/// Body of the requests that are one path.
#[must_use]
pub fn path_only(path: &str) -> Vec<u8> {
    Writer::new().string(path).into_bytes()
}

/// Body of setData.
#[must_use]
pub fn set_data(path: &str, data: Option<&[u8]>, version: i32) -> Vec<u8> {
    Writer::new().string(path).buffer(data).int(version).into_bytes()
}

/// Body of setACL.
#[must_use]
pub fn set_acl(path: &str, acl: &[Acl], version: i32) -> Vec<u8> {
    write_acl(Writer::new().string(path), acl).int(version).into_bytes()
}

/// Body of addWatch, checkWatches and removeWatches.
#[must_use]
pub fn path_int(path: &str, value: i32) -> Vec<u8> {
    path_version(path, value)
}

/// Body of auth.
#[must_use]
pub fn auth(scheme: &str, auth: &[u8]) -> Vec<u8> {
    Writer::new().int(0).string(scheme).buffer(Some(auth)).into_bytes()
}

/// Body of setWatches (three lists) and setWatches2 (five).
#[must_use]
pub fn set_watches(relative_zxid: i64, lists: &[&[&str]]) -> Vec<u8> {
    let mut writer = Writer::new().long(relative_zxid);
    for list in lists {
        writer = writer.int(super::jute::length(list.len()));
        for path in *list {
            writer = writer.string(path);
        }
    }
    writer.into_bytes()
}

/// Body of multi and multiRead: `(opcode, body)` of each part.
#[must_use]
pub fn multi(parts: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new();
    for (opcode, body) in parts {
        writer = writer.int(*opcode).boolean(false).int(-1).raw(body);
    }
    writer.int(-1).boolean(true).int(-1).into_bytes()
}

/// One result inside a multi's reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// create: the path.
    Created(String),
    /// create2 and its relatives.
    Created2(String, Stat),
    /// delete.
    Deleted,
    /// setData.
    Set(Stat),
    /// check.
    Checked,
    /// getData.
    Data(Option<Vec<u8>>, Stat),
    /// getChildren.
    Children(Vec<String>),
    /// The code of a part of a failed multi, 0 for those before the one that failed.
    Error(i32),
}

/// Reads the body of a multi's or multiRead's reply, to its last byte.
pub fn multi_reply(body: &[u8]) -> Result<Vec<Part>, Failure> {
    let mut reader = Reader::new(body);
    let mut parts = Vec::new();
    loop {
        let (kind, done, _err) = (reader.int()?, reader.boolean()?, reader.int()?);
        if done {
            reader.end()?;
            return Ok(parts);
        }
        parts.push(match kind {
            op::CREATE => Part::Created(reader.string()?),
            op::CREATE2 => Part::Created2(reader.string()?, Stat::read(&mut reader)?),
            op::DELETE => Part::Deleted,
            op::SET_DATA => Part::Set(Stat::read(&mut reader)?),
            op::CHECK => Part::Checked,
            op::GET_DATA => Part::Data(reader.buffer()?, Stat::read(&mut reader)?),
            op::GET_CHILDREN => Part::Children(reader.strings()?),
            -1 => Part::Error(reader.int()?),
            other => return Err(format!("result of kind {other} in a multi").into()),
        });
    }
}
