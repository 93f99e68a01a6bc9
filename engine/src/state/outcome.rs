//! What applying a command did: the answer for the client, and what others may want to be told.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    ids::{Owner, SessionId, Zxid},
    protocol::{
        error_code::ErrorCode,
        records::{Acl, Stat},
    },
    shared_bytes::SharedStr,
};

/// The answer to a command that succeeded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A znode was created.
    Created {
        /// Its path, with the suffix of a sequential name.
        path: SharedStr,
        /// Its Stat.
        stat: Stat,
    },
    /// A znode was deleted, by `delete` or as a due container or TTL znode.
    Deleted,
    /// A znode's data was replaced.
    DataSet {
        /// Its Stat.
        stat: Stat,
    },
    /// A znode's ACL was replaced.
    AclSet {
        /// Its Stat.
        stat: Stat,
    },
    /// A version was as expected.
    Checked,
    /// A session was opened.
    SessionCreated {
        /// Its timeout.
        timeout_ms: i32,
    },
    /// A session was attached to another connection.
    SessionAttached {
        /// Its timeout.
        timeout_ms: i32,
    },
    /// A session was closed.
    SessionClosed,
    /// Every operation of a multi succeeded; their outcomes in order.
    Multi(Vec<Self>),
    /// An operation of a multi failed and nothing was done. The reply shows 0 for the operations
    /// before it, its code, and `RuntimeInconsistency` for those after it.
    MultiFailed {
        /// Which operation failed, counted from 0.
        failed: usize,
        /// Why.
        code: ErrorCode,
        /// How many operations the multi has.
        op_count: usize,
    },
}

/// What commands changed, in the order in which watches must be told. Owned by the caller, who
/// clears and reuses it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Changes of znodes.
    pub znodes: Vec<Change>,
    /// Changes of sessions.
    pub sessions: Vec<SessionChange>,
}

impl Changes {
    /// Forgets all of them and keeps the room.
    pub fn clear(&mut self) {
        self.znodes.clear();
        self.sessions.clear();
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.znodes.is_empty() && self.sessions.is_empty()
    }
}

/// One change of one znode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which znode; the root is `/`.
    pub path: SharedStr,
    /// Its ACL as of the change (of a deleted znode: its last): only who may read is told.
    pub acl: Arc<[Acl]>,
    /// The command that did it.
    pub zxid: Zxid,
}

/// What can happen to a znode that watches tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was replaced.
    DataChanged,
    /// A child was created or deleted.
    ChildrenChanged,
}

/// One change of one session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SessionChange {
    /// It was opened.
    Opened {
        /// Which.
        session: SessionId,
        /// Its timeout.
        timeout_ms: i32,
        /// Whose it is.
        owner: Owner,
    },
    /// Another connection took it over, or the same one renewed it.
    Attached {
        /// Which.
        session: SessionId,
        /// Its timeout.
        timeout_ms: i32,
        /// Whose it is now.
        owner: Owner,
        /// Whose it was: that connection must be closed.
        previous_owner: Owner,
    },
    /// It was closed, by its client or by the leader's clock.
    Closed {
        /// Which.
        session: SessionId,
        /// Whose it was.
        owner: Owner,
    },
}
