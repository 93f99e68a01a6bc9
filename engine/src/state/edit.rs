//! The edits of the tree: create, delete, set data, set ACL, check. Which error wins when several
//! apply is ZooKeeper's order (PrepRequestProcessor), and every edit checks before it changes.

use alloc::format;

use super::{
    Change, ChangeKind, Changes, Outcome, State, acl,
    apply::Asker,
    command::{CreateKind, CreateOp},
    tree::{Found, PathHash},
    undo::Undo,
    znode::{Extra, Kind, Links, Znode, ZnodeId},
};
use crate::{
    ids::Zxid,
    protocol::{
        error_code::ErrorCode,
        path,
        records::{Acl, perms},
    },
    shared_bytes::{SharedBytes, SharedStr},
};

/// Paths that `delete` refuses.
const UNDELETABLE: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// The path of the parent of `path`, of which not more need be right than that it has one.
fn parent_path(path: &str) -> Result<&str, ErrorCode> {
    if path.as_bytes().contains(&0) {
        return Err(ErrorCode::BadArguments);
    }
    path.rsplit_once('/').map(|(parent, _)| parent).ok_or(ErrorCode::BadArguments)
}

/// The version after `current`, if `expected` allows the change. -1 is never a version: as an
/// expectation it stands for any.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    Ok(match current.wrapping_add(1) {
        -1 => 0,
        next => next,
    })
}

impl State {
    pub(super) fn create(
        &mut self,
        asker: Asker<'_>,
        create: &CreateOp,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let parent = self.tree.find(parent_path(&create.path)?).ok_or(ErrorCode::NoNode)?;
        self.permit(asker, parent.id, perms::CREATE)?;
        let path = if create.sequential {
            let number = self.tree.get(parent.id).creates;
            SharedStr::new(&format!("{}{number:010}", create.path.as_str()))
        } else {
            create.path.clone()
        };
        path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
        let hash = PathHash::of(&path);
        // `/` is the root's other name, which the index does not know.
        if path.as_bytes() == b"/" || self.tree.find_hashed(&path, hash).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if matches!(self.tree.extra(parent.id).kind, Kind::Ephemeral(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let data_len = create.data.as_ref().map_or(0, |data| data.len());
        self.check_quota(asker, &path, 1, data_len, 0)?;

        let kind = match create.kind {
            CreateKind::Persistent => Kind::Persistent,
            CreateKind::Ephemeral => Kind::Ephemeral(asker.session),
            CreateKind::Container => Kind::Container,
            CreateKind::Ttl(ttl_ms) => Kind::Ttl(ttl_ms),
        };
        let time = self.applied.time.0;
        let znode = Znode {
            path: path.clone(),
            data: create.data.clone(),
            czxid: asker.zxid,
            mzxid: asker.zxid,
            pzxid: asker.zxid,
            ctime: time,
            mtime: time,
            version: 0,
            creates: 0,
            child_count: 0,
            acl: self.acls.acquire(&create.acl),
            links: Links::NONE,
        };
        let id = self.add_znode(znode, Extra { kind, aversion: 0 }, parent, hash);
        changes.znodes.push(self.change(ChangeKind::Created, id, asker.zxid));
        changes.znodes.push(self.change(ChangeKind::ChildrenChanged, parent.id, asker.zxid));
        self.account_created(id);
        Ok(Outcome::Created { path, stat: self.stat(id) })
    }

    pub(super) fn delete(
        &mut self,
        asker: Asker<'_>,
        path: &SharedStr,
        version: i32,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let parent_path = parent_path(path)?;
        if UNDELETABLE.contains(&path.as_str()) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.tree.find(parent_path).ok_or(ErrorCode::NoNode)?;
        self.permit(asker, parent.id, perms::DELETE)?;
        let found = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        let znode = self.tree.get(found.id);
        next_version(znode.version, version)?;
        if znode.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove_znode(asker.zxid, found, changes);
        Ok(Outcome::Deleted)
    }

    /// Deletes a container or TTL znode that the leader's clock found due. Much may have happened
    /// since it looked, so it is asked again here.
    pub(super) fn delete_due(
        &mut self,
        asker: Asker<'_>,
        path: &SharedStr,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let found = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        let znode = self.tree.get(found.id);
        if znode.child_count > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let is_due = match self.tree.extra(found.id).kind {
            Kind::Container => true,
            Kind::Ttl(ttl_ms) => self.applied.time.0.saturating_sub(znode.mtime) > ttl_ms,
            Kind::Persistent | Kind::Ephemeral(_) => false,
        };
        if !is_due {
            return Err(ErrorCode::BadVersion);
        }
        self.remove_znode(asker.zxid, found, changes);
        Ok(Outcome::Deleted)
    }

    pub(super) fn set_data(
        &mut self,
        asker: Asker<'_>,
        path: &SharedStr,
        data: Option<&SharedBytes>,
        version: i32,
        changes: &mut Changes,
    ) -> Result<Outcome, ErrorCode> {
        let found = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.permit(asker, found.id, perms::WRITE)?;
        let old_len = self.tree.get(found.id).data_len();
        let new_len = data.map_or(0, |data| data.len());
        self.check_quota(asker, path, 0, new_len, old_len)?;
        let next = next_version(self.tree.get(found.id).version, version)?;

        self.replace_data(found, data.cloned(), |znode, time| {
            znode.version = next;
            znode.mzxid = asker.zxid;
            znode.mtime = time;
        });
        changes.znodes.push(self.change(ChangeKind::DataChanged, found.id, asker.zxid));
        self.account_resized(found.id, old_len);
        Ok(Outcome::DataSet { stat: self.stat(found.id) })
    }

    /// Touches neither `mzxid` nor `pzxid`, and no watch is told: as ZooKeeper has it.
    pub(super) fn set_acl(
        &mut self,
        asker: Asker<'_>,
        path: &SharedStr,
        acl: &[Acl],
        version: i32,
    ) -> Result<Outcome, ErrorCode> {
        let found = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.permit(asker, found.id, perms::ADMIN)?;
        let extra = self.tree.extra(found.id);
        let aversion = next_version(extra.aversion, version)?;

        let new_extra = Extra { aversion, ..extra };
        let new_acl = self.acls.acquire(acl);
        let znode = self.tree.get_mut(found.id);
        self.acls.release(core::mem::replace(&mut znode.acl, new_acl));
        self.digest.remove_stat(znode, extra, found.hash);
        self.digest.add_stat(znode, new_extra, found.hash);
        self.tree.set_extra(found.id, new_extra);
        Ok(Outcome::AclSet { stat: self.stat(found.id) })
    }

    pub(super) fn check(
        &self,
        asker: Asker<'_>,
        path: &SharedStr,
        version: i32,
    ) -> Result<Outcome, ErrorCode> {
        let found = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.permit(asker, found.id, perms::READ)?;
        next_version(self.tree.get(found.id).version, version)?;
        Ok(Outcome::Checked)
    }

    fn permit(&self, asker: Asker<'_>, id: ZnodeId, needed: i32) -> Result<(), ErrorCode> {
        let acl = self.acls.get(self.tree.get(id).acl);
        if acl::permitted(acl, needed, asker.auth, asker.skip_acl) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// Puts a new znode below `parent`, which counts it.
    fn add_znode(&mut self, znode: Znode, extra: Extra, parent: Found, hash: PathHash) -> ZnodeId {
        let path = znode.path.clone();
        let zxid = znode.czxid;
        self.digest.add(&znode, extra, hash);
        self.data_bytes += znode.counted_bytes();
        let id = self.tree.insert(parent.id, znode, hash);
        self.tree.set_extra(id, extra);
        self.list_kind(id, extra.kind, &path);

        let parent_extra = self.tree.extra(parent.id);
        let parent_znode = self.tree.get_mut(parent.id);
        self.digest.remove_stat(parent_znode, parent_extra, parent.hash);
        let undo = Undo::Created {
            id,
            parent_creates: parent_znode.creates,
            parent_pzxid: parent_znode.pzxid,
        };
        parent_znode.creates = parent_znode.creates.wrapping_add(1);
        parent_znode.pzxid = zxid;
        self.digest.add_stat(parent_znode, parent_extra, parent.hash);
        self.log_undo(undo);
        id
    }

    /// Takes a znode without children out and tells.
    pub(super) fn remove_znode(&mut self, zxid: Zxid, found: Found, changes: &mut Changes) {
        changes.znodes.push(self.change(ChangeKind::Deleted, found.id, zxid));
        let removed = self.tree.remove(found);
        let path = &removed.znode.path;
        self.digest.remove(&removed.znode, removed.extra, found.hash);
        self.data_bytes -= removed.znode.counted_bytes();
        self.unlist_kind(found.id, removed.extra.kind, path);
        self.account_deleted(path, removed.znode.data_len());

        let parent = removed.parent();
        let parent_extra = self.tree.extra(parent);
        let parent_znode = self.tree.get_mut(parent);
        let parent_hash = PathHash::of(&parent_znode.path);
        self.digest.remove_stat(parent_znode, parent_extra, parent_hash);
        let parent_pzxid = core::mem::replace(&mut parent_znode.pzxid, zxid);
        self.digest.add_stat(parent_znode, parent_extra, parent_hash);
        changes.znodes.push(self.change(ChangeKind::ChildrenChanged, parent, zxid));
        if self.is_undoable() {
            self.log_undo(Undo::Deleted { removed, hash: found.hash, parent_pzxid });
        } else {
            self.acls.release(removed.znode.acl);
        }
    }

    /// Replaces a znode's data, and what else `edit` does with the batch's time.
    pub(super) fn replace_data(
        &mut self,
        found: Found,
        data: Option<SharedBytes>,
        edit: impl FnOnce(&mut Znode, i64),
    ) {
        let extra = self.tree.extra(found.id);
        let znode = self.tree.get_mut(found.id);
        self.digest.remove(znode, extra, found.hash);
        self.data_bytes -= znode.counted_bytes();
        let (version, mzxid, mtime) = (znode.version, znode.mzxid, znode.mtime);
        let old_data = core::mem::replace(&mut znode.data, data);
        edit(znode, self.applied.time.0);
        self.data_bytes += znode.counted_bytes();
        self.digest.add(znode, extra, found.hash);
        if self.is_undoable() {
            self.log_undo(Undo::DataSet { id: found.id, data: old_data, version, mzxid, mtime });
        }
    }

    /// Enters a znode into the lists of those that go away by themselves.
    pub(super) fn list_kind(&mut self, id: ZnodeId, kind: Kind, path: &SharedStr) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(session) => self.sessions.add_ephemeral(session, path.clone()),
            Kind::Container => drop(self.containers.insert(id)),
            Kind::Ttl(_) => drop(self.ttls.insert(id)),
        }
    }

    pub(super) fn unlist_kind(&mut self, id: ZnodeId, kind: Kind, path: &SharedStr) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(session) => self.sessions.remove_ephemeral(session, path),
            Kind::Container => drop(self.containers.remove(&id)),
            Kind::Ttl(_) => drop(self.ttls.remove(&id)),
        }
    }

    fn change(&self, kind: ChangeKind, id: ZnodeId, zxid: Zxid) -> Change {
        let znode = self.tree.get(id);
        let is_root = id == ZnodeId::ROOT;
        let path = if is_root { self.root_path.clone() } else { znode.path.clone() };
        Change { kind, path, acl: self.acls.get(znode.acl).clone(), zxid }
    }
}
