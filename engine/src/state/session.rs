//! Sessions as the State knows them: who may act for one, and which znodes die with it.
//!
//! When a session expires is not known here: the leader's clock decides and says so by a command.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::{Owner, SessionId},
    limits::PASSWORD_BYTES,
    protocol::error_code::ErrorCode,
    shared_bytes::SharedStr,
};

/// A client's lease on presence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Silence after which the leader proposes to close it.
    pub timeout_ms: i32,
    /// The connection that acts for it.
    pub owner: Owner,
    /// What a client must show to attach to it.
    pub password: [u8; PASSWORD_BYTES],
    /// Paths of its ephemeral znodes; the order is the one in which closing deletes them.
    pub(super) ephemerals: BTreeSet<SharedStr>,
}

impl Session {
    pub(super) fn new(timeout_ms: i32, owner: Owner, password: [u8; PASSWORD_BYTES]) -> Self {
        Self { timeout_ms, owner, password, ephemerals: BTreeSet::new() }
    }

    /// Whether `shown` is the password. Takes as long for every wrong one.
    pub(super) fn has_password(&self, shown: &[u8; PASSWORD_BYTES]) -> bool {
        let difference = self.password.iter().zip(shown).fold(0, |sum, (a, b)| sum | (a ^ b));
        difference == 0
    }

    /// Paths of its ephemeral znodes, sorted.
    pub fn ephemerals(&self) -> impl Iterator<Item = &SharedStr> {
        self.ephemerals.iter()
    }
}

/// All open sessions, by id. A B-tree: it grows without a stall and has one order everywhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Sessions {
    /// Invariant: every ephemeral znode's owner is in here and lists the znode's path.
    pub(super) by_id: BTreeMap<SessionId, Session>,
    ephemeral_count: usize,
}

impl Sessions {
    /// Whether a command of `owner` may act for `session`.
    pub(super) fn check(&self, session: SessionId, owner: Owner) -> Result<(), ErrorCode> {
        match self.by_id.get(&session) {
            None => Err(ErrorCode::SessionExpired),
            Some(found) if found.owner != owner => Err(ErrorCode::SessionMoved),
            Some(_) => Ok(()),
        }
    }

    /// Whether `session` is open and does not list `path` yet.
    pub(super) fn can_own(&self, session: SessionId, path: &SharedStr) -> bool {
        self.by_id.get(&session).is_some_and(|owner| !owner.ephemerals.contains(path))
    }

    /// Notes that the znode at `path` dies with `session`, which must be open.
    pub(super) fn add_ephemeral(&mut self, session: SessionId, path: SharedStr) {
        let owner = self.by_id.get_mut(&session).expect("checked before the create");
        let is_new = owner.ephemerals.insert(path);
        assert!(is_new, "an ephemeral znode is created once");
        self.ephemeral_count += 1;
    }

    /// Notes that the znode at `path` is gone. Its session may be too: it is closed first, then its
    /// znodes go.
    pub(super) fn remove_ephemeral(&mut self, session: SessionId, path: &SharedStr) {
        if let Some(owner) = self.by_id.get_mut(&session) {
            let was_there = owner.ephemerals.remove(path);
            assert!(was_there, "an ephemeral is listed by its session");
        }
        self.ephemeral_count -= 1;
    }

    /// Closes a session; the caller deletes its ephemerals.
    pub(super) fn remove(&mut self, session: SessionId) -> Option<Session> {
        self.by_id.remove(&session)
    }

    pub(super) fn ephemeral_count(&self) -> usize {
        self.ephemeral_count
    }
}
