//! Commands: the replicated unit. What a client asked, with everything that applying it needs.
//!
//! Whatever depends on a server's settings or on a connection is decided before a command is made
//! (`admit`), so that a replay under other settings gives the same State.

use alloc::vec::Vec;

use crate::{
    ids::{Owner, SessionId, Xid},
    limits::PASSWORD_BYTES,
    protocol::{
        error_code::ErrorCode,
        records::{Acl, Id},
    },
    shared_bytes::{SharedBytes, SharedStr},
};

pub use super::{
    admit::{EdgeSettings, TtlSupport, admit},
    bytes::DecodeError,
    encoding::{Committed, encode},
};

/// The replicated unit: who asks, on whose behalf, and what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// For whom. 0 for the leader's own housekeeping.
    pub session: SessionId,
    /// The connection that asks: must be the session's owner when the command is applied.
    pub owner: Owner,
    /// The client's number for the request.
    pub cxid: Xid,
    /// The connection's identities when it asked: ACLs are checked at apply.
    pub auth: Vec<Id>,
    /// Whether the asking server skips ACL checks (`skipACL=yes`).
    pub skip_acl: bool,
    /// Whether the asking server enforces hard quotas (`enforceQuota=true`).
    pub enforce_quota: bool,
    /// What to do.
    pub op: Op,
}

impl Command {
    /// What the leader's clock asks for: no connection does, and no client waits for it.
    #[must_use]
    pub fn housekeeping(session: SessionId, op: Op) -> Self {
        Self {
            session,
            owner: Owner(0),
            cxid: Xid(0),
            auth: Vec::new(),
            skip_acl: false,
            enforce_quota: false,
            op,
        }
    }
}

/// What a command does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Op {
    /// Opens a session whose id the asking server drew.
    CreateSession {
        /// Negotiated, milliseconds.
        timeout_ms: i32,
        /// What a client must show to attach again.
        password: [u8; PASSWORD_BYTES],
    },
    /// Makes `Command::owner` the session's owner. Takes no zxid.
    AttachSession {
        /// Renegotiated, milliseconds.
        timeout_ms: i32,
        /// What the client showed.
        password: [u8; PASSWORD_BYTES],
    },
    /// Closes the session and deletes its ephemerals. From the client (owner must match) or, with
    /// owner 0, from the leader's clock.
    CloseSession,
    /// Creates a znode.
    Create(CreateOp),
    /// Deletes a znode.
    Delete {
        /// Which.
        path: SharedStr,
        /// Expected version, -1 for any.
        version: i32,
    },
    /// Replaces a znode's data.
    SetData {
        /// Which.
        path: SharedStr,
        /// New data; `None` is null.
        data: Option<SharedBytes>,
        /// Expected version, -1 for any.
        version: i32,
    },
    /// Replaces a znode's ACL.
    SetAcl {
        /// Which.
        path: SharedStr,
        /// The new list, resolved: no duplicates, no `auth` entries.
        acl: Vec<Acl>,
        /// Expected aversion, -1 for any.
        version: i32,
    },
    /// Fails unless the znode exists with this version. In a multi only.
    Check {
        /// Which.
        path: SharedStr,
        /// Expected version, -1 for any.
        version: i32,
    },
    /// All or nothing. Never nested.
    Multi(Vec<Self>),
    /// Deletes a container or TTL znode that the leader's clock found due, if it still has no
    /// child (and, for a TTL znode, if it is still due).
    DeleteContainer {
        /// Which.
        path: SharedStr,
    },
    /// Decided at the edge to fail with this code; takes its zxid as Apache's error transactions
    /// do.
    Fail(ErrorCode),
}

impl Op {
    /// Whether a command that does this takes a zxid: all do but attach, which clients cannot see.
    #[must_use]
    pub fn takes_zxid(&self) -> bool {
        !matches!(self, Self::AttachSession { .. })
    }
}

/// The arguments of a create.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreateOp {
    /// As the client sent it; a sequential name's suffix is not there yet.
    pub path: SharedStr,
    /// Data; `None` is null.
    pub data: Option<SharedBytes>,
    /// Resolved: no duplicates, no `auth` entries, not empty.
    pub acl: Vec<Acl>,
    /// Kind of znode.
    pub kind: CreateKind,
    /// Append the parent's counter to the name.
    pub sequential: bool,
}

/// What makes a znode go away by itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CreateKind {
    /// Nothing.
    Persistent,
    /// The end of the session that creates it.
    Ephemeral,
    /// The end of its last child.
    Container,
    /// This many milliseconds without a change of data and without children.
    Ttl(i64),
}
