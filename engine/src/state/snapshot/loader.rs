//! Builds a State from a snapshot. Total: whatever the bytes, a State or an error comes out.

use alloc::{sync::Arc, vec::Vec};

use xxhash_rust::xxh3::Xxh3;

use super::{MAGIC, mark, tag};
use crate::{
    ids::{Ballot, Epoch, Owner, ReplicaId, SessionId, Slot, WallTime, Zxid},
    protocol::records::Acl,
    shared_bytes::{SharedBytes, SharedStr},
    state::{
        Applied, Session, State,
        bytes::{DecodeError, Fields},
        digest::Digest,
        tree::{PathHash, Tree},
        znode::{AclId, Extra, Kind, Links, Znode, ZnodeId},
    },
};

/// Most znodes that are made room for because a head announces them: more than that costs the time
/// to grow, and a head that lies costs no memory.
const RESERVED_ZNODES_MAX: usize = 1 << 24;

/// What must come next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expect {
    Head,
    /// This many sessions, then the root.
    Sessions(u64),
    Root,
    /// Znodes below the root, then the end.
    Znodes,
    Nothing,
}

/// Builds a State from the bytes of a snapshot, in pieces of any length.
pub struct Loader {
    /// The beginning of a record whose end has not come yet.
    pending: Vec<u8>,
    expect: Expect,
    state: State,
    applied: Applied,
    znode_count: u64,
    /// The znode before and its ancestors, the root first.
    walk: Vec<ZnodeId>,
    /// ACLs by their number.
    acls: Vec<Arc<[Acl]>>,
    hash: Xxh3,
    path: alloc::string::String,
}

impl core::fmt::Debug for Loader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Loader").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl Loader {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            pending: Vec::new(),
            expect: Expect::Head,
            state: State::with_root(&[]),
            applied: Applied::default(),
            znode_count: 0,
            walk: Vec::new(),
            acls: Vec::new(),
            hash: Xxh3::new(),
            path: alloc::string::String::new(),
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// When they cannot be part of a snapshot.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.pending.is_empty() {
            let rest = self.records(bytes)?;
            self.pending.extend_from_slice(rest);
            return Ok(());
        }
        self.pending.extend_from_slice(bytes);
        let pending = core::mem::take(&mut self.pending);
        let rest_len = self.records(&pending)?.len();
        self.pending = pending;
        self.pending.drain(..self.pending.len() - rest_len);
        Ok(())
    }

    /// The State, once all bytes have been pushed.
    ///
    /// # Errors
    ///
    /// When bytes are missing.
    pub fn finish(mut self) -> Result<State, DecodeError> {
        if self.expect != Expect::Nothing {
            return Err(DecodeError::Truncated);
        }
        self.state.applied = self.applied;
        Ok(self.state)
    }

    /// Takes all whole records in, and returns what is left.
    fn records<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let mut rest = bytes;
        loop {
            if self.expect == Expect::Nothing && !rest.is_empty() {
                return Err(DecodeError::Contradiction("bytes after the end"));
            }
            let mut fields = Fields::new(rest);
            let Ok(body) = fields.bytes() else {
                return Ok(rest);
            };
            let (record, after) = rest.split_at(rest.len() - fields.remaining());
            self.record(body)?;
            if self.expect != Expect::Nothing {
                self.hash.update(record);
            }
            rest = after;
        }
    }

    fn record(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let mut fields = Fields::new(body);
        match (self.expect, fields.u8()?) {
            (Expect::Head, tag::HEAD) => self.head(&mut fields)?,
            (Expect::Sessions(left), tag::SESSION) => self.session(&mut fields, left)?,
            (Expect::Root, tag::ZNODE) => {
                self.root(&mut fields)?;
                self.expect = Expect::Znodes;
            }
            (Expect::Znodes, tag::ZNODE) => self.znode(&mut fields)?,
            (Expect::Znodes, tag::END) => self.end(&mut fields)?,
            _ => return Err(DecodeError::Unknown("record")),
        }
        if fields.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Contradiction("a record is longer than its fields"))
        }
    }

    fn head(&mut self, fields: &mut Fields<'_>) -> Result<(), DecodeError> {
        if fields.array()? != MAGIC {
            return Err(DecodeError::Unknown("format of State"));
        }
        self.applied = Applied {
            slot: Slot(fields.u64()?),
            origin: Ballot {
                round: fields.u64()?,
                replica: ReplicaId(
                    u16::try_from(fields.u32()?).map_err(|_| DecodeError::Unknown("replica"))?,
                ),
            },
            epoch: Epoch(fields.u32()?),
            time: WallTime(fields.i64()?),
            hash: fields.u128()?,
            last_zxid: Zxid(fields.i64()?),
        };
        let session_count = fields.u64()?;
        self.znode_count = fields.u64()?;
        self.expect_sessions(session_count);
        Ok(())
    }

    fn expect_sessions(&mut self, count: u64) {
        self.expect = if count == 0 { Expect::Root } else { Expect::Sessions(count) };
    }

    fn session(&mut self, fields: &mut Fields<'_>, left: u64) -> Result<(), DecodeError> {
        let id = SessionId(fields.i64()?);
        let timeout_ms = fields.i32()?;
        let session = Session::new(timeout_ms, Owner(fields.u64()?), fields.array()?);
        let sessions = &mut self.state.sessions.by_id;
        if sessions.last_key_value().is_some_and(|(last, _)| *last >= id) {
            return Err(DecodeError::Contradiction("sessions are not in order"));
        }
        sessions.insert(id, session);
        self.expect_sessions(left - 1);
        Ok(())
    }

    fn root(&mut self, fields: &mut Fields<'_>) -> Result<(), DecodeError> {
        let (up, name) = (fields.u32()?, fields.text()?);
        if up != 0 || !name.is_empty() {
            return Err(DecodeError::Contradiction("the first znode is not the root"));
        }
        self.path.clear();
        let (znode, extra) = self.znode_fields(fields)?;
        let state = &mut self.state;
        state.acls.release(state.tree.get(ZnodeId::ROOT).acl);
        state.data_bytes = znode.counted_bytes();
        state.digest = Digest::default();
        state.digest.add(&znode, extra, PathHash::of(""));
        state.tree = Tree::new(znode);
        state.tree.set_extra(ZnodeId::ROOT, extra);
        let announced = usize::try_from(self.znode_count).unwrap_or(usize::MAX);
        state.tree.reserve(announced.min(RESERVED_ZNODES_MAX));
        self.walk.push(ZnodeId::ROOT);
        Ok(())
    }

    fn znode(&mut self, fields: &mut Fields<'_>) -> Result<(), DecodeError> {
        let up = usize::try_from(fields.u32()?).map_err(|_| DecodeError::Truncated)?;
        if up >= self.walk.len() {
            return Err(DecodeError::Contradiction("a znode is above the root"));
        }
        self.walk.truncate(self.walk.len() - up);
        let parent = *self.walk.last().expect("the root is never taken off");
        let name = fields.text()?;
        if name.is_empty() || name.contains('/') {
            return Err(DecodeError::Contradiction("a znode's name is not one"));
        }
        self.path.clear();
        self.path.push_str(&self.state.tree.get(parent).path);
        self.path.push('/');
        self.path.push_str(name);
        let (znode, extra) = self.znode_fields(fields)?;
        let state = &mut self.state;
        let hash = PathHash::of(&self.path);
        state.digest.add(&znode, extra, hash);
        state.data_bytes += znode.counted_bytes();
        let id = state.tree.insert(parent, znode, hash);
        if extra != Extra::DEFAULT {
            let path = state.tree.get(id).path.clone();
            state.tree.set_extra(id, extra);
            if let Kind::Ephemeral(session) = extra.kind
                && !state.sessions.can_own(session, &path)
            {
                return Err(DecodeError::Contradiction("an ephemeral without a session"));
            }
            state.list_kind(id, extra.kind, &path);
        }
        state.list_quota(&self.path);
        self.walk.push(id);
        Ok(())
    }

    /// The fields after the name, for the znode at `self.path`.
    fn znode_fields(&mut self, fields: &mut Fields<'_>) -> Result<(Znode, Extra), DecodeError> {
        let marks = fields.u8()?;
        if marks & !mark::ALL != 0 {
            return Err(DecodeError::Unknown("marks of a znode"));
        }
        let (czxid, mzxid) = (Zxid(fields.i64()?), Zxid(fields.i64()?));
        let pzxid = Zxid(fields.i64()?);
        let (ctime, mtime) = (fields.i64()?, fields.i64()?);
        let (version, creates) = (fields.i32()?, fields.i32()?);
        let kind = match marks & mark::KIND {
            mark::EPHEMERAL => Kind::Ephemeral(SessionId(fields.i64()?)),
            mark::CONTAINER => Kind::Container,
            mark::TTL => Kind::Ttl(fields.i64()?),
            _ => Kind::Persistent,
        };
        let aversion = if marks & mark::AVERSION == 0 { 0 } else { fields.i32()? };
        let has_data = marks & mark::DATA != 0;
        let data = if has_data { Some(SharedBytes::new(fields.bytes()?)) } else { None };
        let znode = Znode {
            path: SharedStr::new(&self.path),
            data,
            czxid,
            mzxid,
            pzxid,
            ctime,
            mtime,
            version,
            creates,
            child_count: 0,
            acl: self.acl(fields)?,
            links: Links::NONE,
        };
        Ok((znode, Extra { kind, aversion }))
    }

    fn acl(&mut self, fields: &mut Fields<'_>) -> Result<AclId, DecodeError> {
        let number = usize::try_from(fields.u32()?).map_err(|_| DecodeError::Truncated)?;
        if number == self.acls.len() {
            self.acls.push(fields.acl()?.into());
        }
        let acl = self.acls.get(number).ok_or(DecodeError::Unknown("ACL"))?;
        Ok(self.state.acls.acquire(acl))
    }

    fn end(&mut self, fields: &mut Fields<'_>) -> Result<(), DecodeError> {
        let (digest, hash) = (fields.u64()?, fields.u128()?);
        if hash != self.hash.digest128() {
            return Err(DecodeError::Contradiction("the hash differs"));
        }
        if u64::try_from(self.state.tree.count()) != Ok(self.znode_count) {
            return Err(DecodeError::Contradiction("the head counts other znodes"));
        }
        if digest != self.state.digest() {
            return Err(DecodeError::Contradiction("the digest differs"));
        }
        self.expect = Expect::Nothing;
        Ok(())
    }
}
