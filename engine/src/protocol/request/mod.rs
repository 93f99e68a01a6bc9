//! Requests: a frame's payload as a typed value, parsed once at the edge.
//!
//! Paths are not validated here: which operations validate, and when, is part of their semantics
//! (reads accept anything; create validates after the parent's checks). Text that is not UTF-8 is
//! decoded with U+FFFD as Java does. Where a path is not optional here, null is not decodable.

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::records::Acl;
use crate::ids::{Xid, Zxid};

mod decode;

pub use decode::{HeaderError, RequestError, decode, goes_through_the_log};

/// What precedes every request but the first (jute: `RequestHeader`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestHeader {
    /// Echoed in the reply.
    pub xid: Xid,
    /// The operation's number, not yet known to be one of ours.
    pub opcode: i32,
}

/// A decoded request. Borrowed from its frame; `None` is the wire's null.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request<'a> {
    /// Goes through the log.
    Write(Write<'a>),
    /// Is answered from the shard's State.
    Read(Read<'a>),
    /// `setWatches` (101) and `setWatches2` (105).
    SetWatches(SetWatches),
    /// `addWatch` (106). The mode is as it came: 0 persistent, 1 recursive, else bad.
    AddWatch {
        /// Where; null is accepted by Apache 3.9.5.
        path: Option<Cow<'a, str>>,
        /// 0 or 1.
        mode: i32,
    },
    /// `checkWatches` (17).
    CheckWatches {
        /// Where; null is accepted.
        path: Option<Cow<'a, str>>,
        /// A `WatcherType`: 1 children, 2 data, 3 any, 4 persistent, 5 persistent recursive.
        watcher_type: i32,
    },
    /// `removeWatches` (18).
    RemoveWatches {
        /// Where.
        path: Option<Cow<'a, str>>,
        /// As in `CheckWatches`.
        watcher_type: i32,
    },
    /// `sync` (9): catch up, then echo the path.
    Sync {
        /// Echoed; null is accepted.
        path: Option<Cow<'a, str>>,
    },
    /// `ping` (11).
    Ping,
    /// `auth` (100).
    Auth {
        /// Which kind; always 0, ignored.
        auth_type: i32,
        /// The scheme's name.
        scheme: Option<Cow<'a, str>>,
        /// What it needs, such as `user:password`.
        auth: Option<&'a [u8]>,
    },
    /// `sasl` (102).
    Sasl {
        /// The mechanism's next message.
        token: Option<&'a [u8]>,
    },
    /// `whoAmI` (107).
    WhoAmI,
    /// `closeSession` (-11).
    CloseSession,
}

/// A request that goes through the log, and an operation of a multi.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Write<'a> {
    /// `create` (1), `create2` (15), `createContainer` (19), `createTTL` (21).
    Create(Create<'a>),
    /// `delete` (2).
    Delete {
        /// Which znode; null gives `MarshallingError` and takes a zxid.
        path: Option<Cow<'a, str>>,
        /// Expected version, -1 for any.
        version: i32,
    },
    /// `setData` (5).
    SetData {
        /// Which znode; null gives `BadArguments`.
        path: Option<Cow<'a, str>>,
        /// The new data; null differs from empty.
        data: Option<&'a [u8]>,
        /// Expected version, -1 for any.
        version: i32,
    },
    /// `setACL` (7).
    SetAcl {
        /// Which znode; null gives `BadArguments`.
        path: Option<Cow<'a, str>>,
        /// The new list; null is as empty.
        acl: Option<Vec<Acl>>,
        /// Expected aversion, -1 for any.
        version: i32,
    },
    /// `check` (13), in a multi only: alone it is not offered.
    Check {
        /// Which znode.
        path: Option<Cow<'a, str>>,
        /// Expected version, -1 for any (the znode must exist).
        version: i32,
    },
    /// `multi` (14): all or nothing. Never nested.
    Multi(Vec<Self>),
    /// `reconfig` (16). Its contents matter only to an ensemble that allows it.
    Reconfig {
        /// Servers to add, `server.N=...` separated by commas.
        joining: Option<Cow<'a, str>>,
        /// Ids to remove, separated by commas.
        leaving: Option<Cow<'a, str>>,
        /// The whole new membership.
        new_members: Option<Cow<'a, str>>,
        /// Version of the configuration it must apply to, -1 for any.
        config_id: i64,
    },
}

/// The creates: one record, told apart by opcode and flags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Create<'a> {
    /// Which opcode it came under: decides the reply's shape and the role of `flags`.
    pub variant: CreateVariant,
    /// Where; null gives `MarshallingError` and takes a zxid.
    pub path: Option<Cow<'a, str>>,
    /// Data; null differs from empty.
    pub data: Option<&'a [u8]>,
    /// Access control list; null is as empty.
    pub acl: Option<Vec<Acl>>,
    /// A `CreateMode` number, 0..=6, as it came.
    pub flags: i32,
    /// Milliseconds to live: only `createTTL` has it, -1 otherwise.
    pub ttl: i64,
}

/// Which opcode a create came under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CreateVariant {
    /// 1: replies with the path.
    Create,
    /// 15: replies with path and Stat.
    Create2,
    /// 19: replies with path and Stat.
    Container,
    /// 21: replies with path and Stat.
    Ttl,
}

/// A request that is answered from the shard's State. Paths are as they came: `""` is the root,
/// relative paths name nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Read<'a> {
    /// `exists` (3).
    Exists {
        /// Which znode.
        path: Cow<'a, str>,
        /// Leave a watch.
        watch: bool,
    },
    /// `getData` (4).
    GetData {
        /// Which znode.
        path: Cow<'a, str>,
        /// Leave a watch.
        watch: bool,
    },
    /// `getACL` (6).
    GetAcl {
        /// Which znode.
        path: Cow<'a, str>,
    },
    /// `getChildren` (8).
    GetChildren {
        /// Which znode.
        path: Cow<'a, str>,
        /// Leave a watch.
        watch: bool,
    },
    /// `getChildren2` (12).
    GetChildren2 {
        /// Which znode.
        path: Cow<'a, str>,
        /// Leave a watch.
        watch: bool,
    },
    /// `getEphemerals` (103).
    GetEphemerals {
        /// Which of the session's paths: a plain prefix.
        prefix: Cow<'a, str>,
    },
    /// `getAllChildrenNumber` (104).
    GetAllChildrenNumber {
        /// Below which znode.
        path: Cow<'a, str>,
    },
    /// `multiRead` (22): `GetData` and `GetChildren` only, each with an answer of its own.
    MultiRead(Vec<Self>),
}

/// What a client re-registers after it reconnected.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SetWatches {
    /// The last zxid the client has seen: changes after it are told at once.
    pub relative_zxid: Zxid,
    /// Data watches.
    pub data: Vec<String>,
    /// Exists watches on znodes that did not exist.
    pub exist: Vec<String>,
    /// Child watches.
    pub child: Vec<String>,
    /// Persistent watches; `setWatches2` only.
    pub persistent: Vec<String>,
    /// Persistent recursive watches; `setWatches2` only.
    pub persistent_recursive: Vec<String>,
}
