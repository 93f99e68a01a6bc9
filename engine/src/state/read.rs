//! Answers from a State, without a change: what a shard does for its own clients.
//!
//! Watches are the caller's. Paths are taken as they came: nothing is validated, as in ZooKeeper.

use alloc::{borrow::Cow, vec::Vec};

use super::{State, acl, znode::ZnodeId};
use crate::{
    ids::SessionId,
    protocol::{
        error_code::ErrorCode,
        records::{Id, perms},
        reply::{MultiResult, Reply},
        request::Read,
    },
};

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

impl State {
    /// Answers `read`.
    ///
    /// # Errors
    ///
    /// The code for the client.
    pub fn read(&self, reader: &Reader<'_>, read: &Read<'_>) -> Result<Reply<'_>, ErrorCode> {
        Ok(match read {
            // The one path that a read refuses (seen on Apache ZooKeeper 3.9.5).
            Read::Exists { path, .. } if path.contains('\0') => {
                return Err(ErrorCode::BadArguments);
            }
            Read::Exists { path, .. } => Reply::Stat(self.stat(self.readable(reader, path)?)),
            Read::GetData { path, .. } => {
                let id = self.readable(reader, path)?;
                Reply::Data { data: self.tree.get(id).data.as_deref(), stat: self.stat(id) }
            }
            Read::GetAcl { path } => self.read_acl(reader, path)?,
            Read::GetChildren { path, .. } => {
                let id = self.readable(reader, path)?;
                Reply::Children { names: self.child_names(id) }
            }
            Read::GetChildren2 { path, .. } => {
                let id = self.readable(reader, path)?;
                Reply::Children2 { names: self.child_names(id), stat: self.stat(id) }
            }
            Read::GetEphemerals { prefix } => Reply::Paths(self.own_ephemerals(reader, prefix)),
            Read::GetAllChildrenNumber { path } => {
                Reply::Count(self.all_children_number(reader, path)?)
            }
            Read::MultiRead(reads) => Reply::Multi(self.multi_read(reader, reads)),
        })
    }

    pub(super) fn permit_reader(
        &self,
        reader: &Reader<'_>,
        id: ZnodeId,
        needed: i32,
    ) -> Result<(), ErrorCode> {
        let acl = self.acls.get(self.tree.get(id).acl);
        if acl::permitted(acl, needed, reader.auth, reader.skip_acl) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    fn readable(&self, reader: &Reader<'_>, path: &str) -> Result<ZnodeId, ErrorCode> {
        let found = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.permit_reader(reader, found.id, perms::READ)?;
        Ok(found.id)
    }

    /// Who may not administer sees no digests.
    fn read_acl(&self, reader: &Reader<'_>, path: &str) -> Result<Reply<'_>, ErrorCode> {
        let found = self.tree.find(path).ok_or(ErrorCode::NoNode)?;
        self.permit_reader(reader, found.id, perms::READ | perms::ADMIN)?;
        let acl = self.acls.get(self.tree.get(found.id).acl);
        let is_admin = self.permit_reader(reader, found.id, perms::ADMIN).is_ok();
        let acl = if is_admin { Cow::Borrowed(&**acl) } else { Cow::Owned(acl::masked(acl)) };
        Ok(Reply::Acl { acl, stat: self.stat(found.id) })
    }

    /// In the order of their creation; ZooKeeper promises none.
    fn child_names(&self, id: ZnodeId) -> Vec<&str> {
        let name_start = self.tree.get(id).path.as_bytes().len() + 1;
        let name = |child| {
            let path = self.tree.get(child).path.as_str();
            path.get(name_start..).expect("a child's path starts with its parent's")
        };
        self.tree.children(id).map(name).collect()
    }

    fn own_ephemerals(&self, reader: &Reader<'_>, prefix: &str) -> Vec<&str> {
        let is_all = matches!(prefix.trim(), "" | "/");
        let paths = self.ephemerals_of(reader.session).map(|path| path.as_str());
        paths.filter(|path| is_all || path.starts_with(prefix)).collect()
    }

    fn all_children_number(&self, reader: &Reader<'_>, path: &str) -> Result<i32, ErrorCode> {
        let id = self.readable(reader, path)?;
        let below = self.tree.descendant_count(id);
        // ZooKeeper's map has the root under two names: below "" it counts "/" as a child.
        let counted = if path.is_empty() { below + 1 } else { below };
        Ok(i32::try_from(counted).unwrap_or(i32::MAX))
    }

    fn multi_read(&self, reader: &Reader<'_>, reads: &[Read<'_>]) -> Vec<MultiResult<'_>> {
        let result = |read: &Read<'_>| match self.read(reader, read) {
            Ok(Reply::Data { data, stat }) => MultiResult::Data { data, stat },
            Ok(Reply::Children { names }) => MultiResult::Children { names },
            Ok(_) => MultiResult::Error(Some(ErrorCode::MarshallingError)),
            Err(code) => MultiResult::Error(Some(code)),
        };
        reads.iter().map(result).collect()
    }
}
