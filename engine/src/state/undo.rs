//! The way back out of a multi that fails: what to put back, newest first.
//!
//! Only while a multi runs is anything noted here; a single operation checks before it changes.

use super::{
    State,
    tree::{Found, PathHash, Removed},
    znode::ZnodeId,
};
use crate::{ids::Zxid, shared_bytes::SharedBytes};

/// One change and what there was before it.
#[derive(Clone, Debug)]
pub(super) enum Undo {
    /// A znode was created.
    Created { id: ZnodeId, parent_creates: i32, parent_pzxid: Zxid },
    /// A znode was deleted. Keeps its use of its ACL.
    Deleted { removed: Removed, hash: PathHash, parent_pzxid: Zxid },
    /// A znode's data was replaced.
    DataSet { id: ZnodeId, data: Option<SharedBytes>, version: i32, mzxid: Zxid, mtime: i64 },
}

/// What needs no list, because one number says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Savepoint {
    digest_sum: u64,
    data_bytes: u64,
}

impl State {
    pub(super) fn start_undo(&mut self) -> Savepoint {
        self.undo = Some(self.undo_room.take().unwrap_or_default());
        Savepoint { digest_sum: self.digest.sum, data_bytes: self.data_bytes }
    }

    pub(super) fn is_undoable(&self) -> bool {
        self.undo.is_some()
    }

    pub(super) fn log_undo(&mut self, undo: Undo) {
        if let Some(log) = &mut self.undo {
            log.push(undo);
        }
    }

    /// A znode's data as it was before the multi under way; as it is, outside of one.
    pub(super) fn data_before_multi(&self, id: ZnodeId) -> Option<&SharedBytes> {
        let mut log = self.undo.iter().flatten();
        let before = log.find_map(|undo| match undo {
            Undo::DataSet { id: changed, data, .. } if *changed == id => Some(data),
            Undo::DataSet { .. } | Undo::Created { .. } | Undo::Deleted { .. } => None,
        });
        before.unwrap_or(&self.tree.get(id).data).as_ref()
    }

    /// The multi has succeeded.
    pub(super) fn forget_undo(&mut self) {
        let mut log = self.undo.take().expect("started");
        for undo in log.drain(..) {
            if let Undo::Deleted { removed, .. } = undo {
                self.acls.release(removed.znode.acl);
            }
        }
        self.undo_room = Some(log);
    }

    /// The multi has failed: everything since `savepoint` is taken back.
    pub(super) fn roll_back(&mut self, savepoint: Savepoint) {
        let mut log = self.undo.take().expect("started");
        while let Some(undo) = log.pop() {
            match undo {
                Undo::Created { id, parent_creates, parent_pzxid } => {
                    self.uncreate(id, parent_creates, parent_pzxid);
                }
                Undo::Deleted { removed, hash, parent_pzxid } => {
                    self.undelete(removed, hash, parent_pzxid);
                }
                Undo::DataSet { id, data, version, mzxid, mtime } => {
                    let znode = self.tree.get_mut(id);
                    znode.data = data;
                    znode.version = version;
                    znode.mzxid = mzxid;
                    znode.mtime = mtime;
                }
            }
        }
        self.undo_room = Some(log);
        self.digest.sum = savepoint.digest_sum;
        self.data_bytes = savepoint.data_bytes;
    }

    fn uncreate(&mut self, id: ZnodeId, parent_creates: i32, parent_pzxid: Zxid) {
        let hash = PathHash::of(&self.tree.get(id).path);
        let removed = self.tree.remove(Found { id, hash });
        let path = &removed.znode.path;
        self.unlist_kind(id, removed.extra.kind, path);
        self.unlist_quota(path);
        self.acls.release(removed.znode.acl);
        let parent = self.tree.get_mut(removed.parent());
        parent.creates = parent_creates;
        parent.pzxid = parent_pzxid;
    }

    fn undelete(&mut self, removed: Removed, hash: PathHash, parent_pzxid: Zxid) {
        let (id, kind) = (removed.id(), removed.extra.kind);
        let path = removed.znode.path.clone();
        self.tree.get_mut(removed.parent()).pzxid = parent_pzxid;
        self.tree.restore(removed, hash);
        self.list_kind(id, kind, &path);
        self.list_quota(&path);
    }
}
