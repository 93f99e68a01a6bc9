//! The replicated state: tree, sessions, ACLs, quotas; a function of the committed commands.
//!
//! Every shard has one of its own, and so has the archivist. They share nothing that changes: a
//! znode's path and data are immutable bytes behind a count, the rest is each State's own.
//!
//! Reading order: [`command`], [`admit`], [`outcome`], then `znode`, `tree`, `edit`, `apply`.

pub mod acl;
mod acl_table;
pub mod admit;
mod apply;
pub mod auth;
mod bytes;
pub mod command;
mod digest;
mod edit;
mod encoding;
pub mod outcome;
pub mod quota;
mod quota_accounting;
pub mod read;
pub mod session;
pub mod shape;
pub mod snapshot;
mod tree;
mod undo;
mod znode;

use alloc::{collections::BTreeSet, vec::Vec};
use core::fmt;

pub use outcome::{Change, ChangeKind, Changes, Outcome, SessionChange};
pub use read::Reader;
pub use session::Session;

use crate::{
    ids::{Ballot, Epoch, SessionId, Slot, WallTime, Zxid},
    protocol::records::{Acl, Id, Stat, perms},
    shared_bytes::SharedStr,
};
use acl_table::AclTable;
use digest::Digest;
use quota::{QuotaLimits, QuotaPrefixes, QuotaStats, limits_path, stats_path};
use session::Sessions;
use tree::{PathHash, Tree};
use undo::Undo;
use znode::{Extra, Kind, Links, Znode, ZnodeId};

/// How far a State has come: what of the last applied batch the log's next batch continues.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// Slot of the last batch.
    pub slot: Slot,
    /// The ballot that proposed it.
    pub origin: Ballot,
    /// The epoch that its zxids belong to.
    pub epoch: Epoch,
    /// Its time.
    pub time: WallTime,
    /// Its hash: the content of the whole log up to it.
    pub hash: u128,
    /// The zxid of the last command that took one, or counter 0 of a new epoch.
    pub last_zxid: Zxid,
}

/// Everything that committed commands have built.
#[derive(Clone)]
pub struct State {
    applied: Applied,
    tree: Tree,
    acls: AclTable,
    sessions: Sessions,
    /// The containers.
    containers: BTreeSet<ZnodeId>,
    /// The TTL znodes.
    ttls: BTreeSet<ZnodeId>,
    /// Paths with a quota. Invariant: each has a znode with its limits below `/zookeeper/quota`.
    quotas: QuotaPrefixes,
    digest: Digest,
    /// Bytes of paths and data, the root's other name not included.
    data_bytes: u64,
    /// While a multi runs: the way back.
    undo: Option<Vec<Undo>>,
    /// Otherwise: the room of the last one.
    undo_room: Option<Vec<Undo>>,
    /// `/`, as watches name the root.
    root_path: SharedStr,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for State {
    /// How far it is and how large, not what is in it: that may be gigabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("applied", &self.applied)
            .field("znode_count", &self.znode_count())
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}

impl State {
    /// The State before the first batch: a fresh server's system znodes.
    #[must_use]
    pub fn new() -> Self {
        let world = |perms| [Acl { perms, id: Id { scheme: "world".into(), id: "anyone".into() } }];
        let mut state = Self::with_root(&world(perms::ALL));
        state.add_system_znode("/zookeeper", &world(perms::ALL), 0);
        state.add_system_znode("/zookeeper/quota", &world(perms::ALL), 0);
        // Seen on Apache 3.9.5: read-only to the world, with an ACL that was "never set" yet.
        state.add_system_znode("/zookeeper/config", &world(perms::READ), -1);
        state
    }

    /// A State with nothing but a root.
    fn with_root(acl: &[Acl]) -> Self {
        let mut acls = AclTable::default();
        let root = Self::blank_znode("", acls.acquire(acl));
        let mut digest = Digest::default();
        digest.add(&root, Extra::DEFAULT, PathHash::of(""));
        Self {
            applied: Applied::default(),
            tree: Tree::new(root),
            acls,
            sessions: Sessions::default(),
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            quotas: QuotaPrefixes::default(),
            digest,
            data_bytes: 0,
            undo: None,
            undo_room: None,
            root_path: SharedStr::new("/"),
        }
    }

    fn blank_znode(path: &str, acl: znode::AclId) -> Znode {
        Znode {
            path: SharedStr::new(path),
            data: Some(crate::shared_bytes::SharedBytes::new(&[])),
            czxid: Zxid::NONE,
            mzxid: Zxid::NONE,
            pzxid: Zxid::NONE,
            ctime: 0,
            mtime: 0,
            version: 0,
            creates: 0,
            child_count: 0,
            acl,
            links: Links::NONE,
        }
    }

    /// Adds a znode of a fresh server. Its parent does not count it among its creates.
    fn add_system_znode(&mut self, path: &str, acl: &[Acl], aversion: i32) {
        let acl = self.acls.acquire(acl);
        let znode = Self::blank_znode(path, acl);
        let (parent_path, _) = path.rsplit_once('/').expect("a constant");
        let parent = self.tree.find(parent_path).expect("added before");
        let hash = PathHash::of(path);
        let extra = Extra { kind: Kind::Persistent, aversion };
        self.digest.add(&znode, extra, hash);
        self.data_bytes += znode.counted_bytes();
        let id = self.tree.insert(parent.id, znode, hash);
        self.tree.set_extra(id, extra);
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
        self.sessions.by_id.iter().map(|(id, session)| (*id, session))
    }

    /// How many sessions are open.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.by_id.len()
    }

    /// An open session.
    #[must_use]
    pub fn session(&self, session: SessionId) -> Option<&Session> {
        self.sessions.by_id.get(&session)
    }

    /// How many znodes there are, as ZooKeeper counts: the root twice.
    #[must_use]
    pub fn znode_count(&self) -> usize {
        self.tree.count() + 1
    }

    /// How many of them are ephemeral.
    #[must_use]
    pub fn ephemerals_count(&self) -> usize {
        self.sessions.ephemeral_count()
    }

    /// Characters of paths and bytes of data, as ZooKeeper counts: the root's other name `/` too.
    #[must_use]
    pub fn approximate_data_size(&self) -> u64 {
        self.data_bytes + 1
    }

    /// The paths of the ephemeral znodes of `session`, sorted.
    pub fn ephemerals_of(&self, session: SessionId) -> impl Iterator<Item = &SharedStr> {
        self.session(session).into_iter().flat_map(Session::ephemerals)
    }

    /// A sum over all znodes outside `/zookeeper/`: equal States have equal digests.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.sum
    }

    /// The digests that were noted every 128 commands since this State was made or loaded, oldest
    /// first, and at which zxid.
    pub fn digests(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.digest.notes()
    }

    /// Each subtree that has limits, with them and its usage, if that is counted. Sorted by path.
    pub fn quotas(&self) -> impl Iterator<Item = (&str, QuotaLimits, Option<QuotaStats>)> {
        let data = |path: &str| {
            let found = self.tree.find(path)?;
            Some(self.tree.get(found.id).data.as_deref().unwrap_or_default())
        };
        self.quotas.iter().map(move |prefix| {
            let limits = QuotaLimits::parse(data(&limits_path(prefix)).unwrap_or_default());
            (prefix, limits, data(&stats_path(prefix)).map(QuotaStats::parse))
        })
    }

    /// A znode's Stat. `""` and `/` are the root.
    #[must_use]
    pub fn stat_of(&self, path: &str) -> Option<Stat> {
        self.tree.find(path).map(|found| self.stat(found.id))
    }

    /// `mzxid` and `pzxid` of a znode, for watches that are restored.
    #[must_use]
    pub fn watch_stat(&self, path: &str) -> Option<(Zxid, Zxid)> {
        let found = self.tree.find(path)?;
        let znode = self.tree.get(found.id);
        Some((znode.mzxid, znode.pzxid))
    }

    /// Containers that have had their last child, sorted by path. With `max_never_used_ms`, which 0
    /// switches off, also those that had none for as long.
    #[must_use]
    pub fn containers_due(&self, now: WallTime, max_never_used_ms: i64) -> Vec<SharedStr> {
        self.due(&self.containers, |znode, _| {
            let age_ms = now.0.saturating_sub(znode.mtime);
            znode.creates > 0 || (max_never_used_ms != 0 && age_ms > max_never_used_ms)
        })
    }

    /// TTL znodes without children whose data is older than they may get, sorted by path.
    #[must_use]
    pub fn ttl_due(&self, now: WallTime) -> Vec<SharedStr> {
        self.due(&self.ttls, |znode, kind| {
            matches!(kind, Kind::Ttl(ttl_ms) if now.0.saturating_sub(znode.mtime) > ttl_ms)
        })
    }

    /// Those of `ids` without children that are due, sorted by path.
    fn due(
        &self,
        ids: &BTreeSet<ZnodeId>,
        is_due: impl Fn(&Znode, Kind) -> bool,
    ) -> Vec<SharedStr> {
        let mut paths: Vec<SharedStr> = ids
            .iter()
            .map(|id| (self.tree.get(*id), self.tree.extra(*id).kind))
            .filter(|(znode, kind)| znode.child_count == 0 && is_due(znode, *kind))
            .map(|(znode, _)| znode.path.clone())
            .collect();
        paths.sort_unstable();
        paths
    }

    /// What clients see of a znode.
    fn stat(&self, id: ZnodeId) -> Stat {
        let znode = self.tree.get(id);
        let extra = self.tree.extra(id);
        let num_children = i32::try_from(znode.child_count).unwrap_or(i32::MAX);
        Stat {
            czxid: znode.czxid.0,
            mzxid: znode.mzxid.0,
            ctime: znode.ctime,
            mtime: znode.mtime,
            version: znode.version,
            // One for every create and one for every delete: creates + (creates - children).
            cversion: znode.creates.wrapping_mul(2).wrapping_sub(num_children),
            aversion: extra.aversion,
            ephemeral_owner: extra.kind.ephemeral_owner(),
            data_length: i32::try_from(znode.data_len()).unwrap_or(i32::MAX),
            num_children,
            pzxid: znode.pzxid.0,
        }
    }
}

#[cfg(test)]
mod tests;
