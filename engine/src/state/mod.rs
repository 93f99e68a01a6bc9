//! The replicated state: tree, sessions, ACLs, quotas; a function of the committed commands.

pub mod acl;
pub mod admit;
pub mod auth;
mod bytes;
pub mod command;
mod encoding;
pub mod outcome;
pub mod quota;
pub mod session;
pub mod snapshot;

use alloc::vec::Vec;

pub use outcome::{Change, ChangeKind, Changes, Outcome, SessionChange};
pub use session::Session;

use crate::{
    batch::BatchHeader,
    ids::{Ballot, Epoch, SessionId, Slot, WallTime, Zxid},
    protocol::{
        error_code::ErrorCode,
        records::{Id, Stat},
    },
    shared_bytes::SharedStr,
};
use command::{Command, Op};

/// How far a State has come: what of the last applied batch the log's next batch continues.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// Slot of the last batch.
    pub slot: Slot,
    /// The ballot that proposed it.
    pub origin: Ballot,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its time.
    pub time: WallTime,
    /// Its hash: the content of the whole log up to it.
    pub hash: u128,
    /// The zxid of the last command that took one, or counter 0 of a new epoch.
    pub last_zxid: Zxid,
}

/// Who reads.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The connection's session.
    pub session: SessionId,
    /// Its identities.
    pub auth: &'a [Id],
    /// Whether ACLs are not checked (`skipACL=yes`).
    pub skip_acl: bool,
}

/// Everything that committed commands have built. One per shard, and one of the archivist.
#[derive(Clone, Debug)]
pub struct State {
    applied: Applied,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The State before the first batch: a fresh server's system znodes.
    #[must_use]
    pub fn new() -> Self {
        Self { applied: Applied::default() }
    }

    /// Starts the batch after the last one. Its commands must follow, each by [`Self::apply`].
    pub fn begin_batch(&mut self, header: &BatchHeader) {
        let _ = header;
        unimplemented!()
    }

    /// Applies one command of the batch that was begun. What it changed is appended to `changes`.
    ///
    /// # Errors
    ///
    /// The code for the client. A command that fails is applied too: it has taken its zxid.
    pub fn apply(
        &mut self,
        zxid: Zxid,
        command: &Command,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let _ = (zxid, command, changes);
        unimplemented!()
    }

    /// Whether `reader` may try `op`, as far as ACLs can say before it is replicated
    /// (`enableEagerACLCheck`).
    ///
    /// # Errors
    ///
    /// `NoAuth`, and nothing else.
    pub fn eager_acl_check(&self, reader: &Reader<'_>, op: &Op) -> Result<(), ErrorCode> {
        let _ = (reader, op);
        unimplemented!()
    }

    /// How far it has come.
    #[must_use]
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// The last zxid that was given out.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        self.applied.last_zxid
    }

    /// The open sessions, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        core::iter::empty()
    }

    /// An open session.
    #[must_use]
    pub fn session(&self, session: SessionId) -> Option<&Session> {
        let _ = session;
        unimplemented!()
    }

    /// How many znodes there are, as ZooKeeper counts: the root twice.
    #[must_use]
    pub fn znode_count(&self) -> usize {
        unimplemented!()
    }

    /// How many of them are ephemeral.
    #[must_use]
    pub fn ephemerals_count(&self) -> usize {
        unimplemented!()
    }

    /// Bytes of paths and data, as ZooKeeper counts.
    #[must_use]
    pub fn approximate_data_size(&self) -> u64 {
        unimplemented!()
    }

    /// The paths of the ephemeral znodes of `session`, sorted.
    pub fn ephemerals_of(&self, session: SessionId) -> impl Iterator<Item = &SharedStr> {
        let _ = session;
        core::iter::empty()
    }

    /// A sum over all znodes outside `/zookeeper/`: equal States have equal digests.
    #[must_use]
    pub fn digest(&self) -> u64 {
        unimplemented!()
    }

    /// The digests that were noted every 128 commands, oldest first, and at which zxid.
    pub fn digests(&self) -> impl Iterator<Item = (Zxid, u64)> {
        core::iter::empty()
    }

    /// A znode's Stat. `""` and `/` are the root.
    #[must_use]
    pub fn stat_of(&self, path: &str) -> Option<Stat> {
        let _ = path;
        unimplemented!()
    }

    /// `mzxid` and `pzxid` of a znode, for watches that are restored.
    #[must_use]
    pub fn watch_stat(&self, path: &str) -> Option<(Zxid, Zxid)> {
        let _ = path;
        unimplemented!()
    }

    /// Containers that have had their last child, sorted by path. With `max_never_used_ms`, which 0
    /// switches off, also those that had none for as long.
    #[must_use]
    pub fn containers_due(&self, now: WallTime, max_never_used_ms: i64) -> Vec<SharedStr> {
        let _ = (now, max_never_used_ms);
        unimplemented!()
    }

    /// TTL znodes without children whose data is older than they may get, sorted by path.
    #[must_use]
    pub fn ttl_due(&self, now: WallTime) -> Vec<SharedStr> {
        let _ = now;
        unimplemented!()
    }
}
