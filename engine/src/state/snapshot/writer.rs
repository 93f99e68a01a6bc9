//! Writes a State.

use alloc::vec::Vec;

use hashbrown::HashMap;
use xxhash_rust::xxh3::Xxh3;

use super::{CHUNK_BYTES_MAX, MAGIC, mark, tag};
use crate::{
    ids::{SessionId, Slot},
    state::{
        Session, State,
        bytes::Append,
        znode::{Kind, ZnodeId},
    },
};

/// What is written next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Head,
    /// The first session after this one.
    SessionAfter(Option<SessionId>),
    /// A znode that is this many levels up and one down from the one before.
    Znode {
        id: ZnodeId,
        up: u32,
    },
    End,
    Nothing,
}

/// Writes one State. The State must not be changed before the last chunk.
#[derive(Debug)]
pub struct Writer {
    /// Of the State, to notice a change.
    slot: Slot,
    next: Next,
    /// Records that are not handed out yet.
    pending: Vec<u8>,
    /// Of all bytes handed out or pending, up to the end record.
    hash: WholeHash,
    /// Numbers of ACLs, in the order in which they were first met.
    acl_numbers: HashMap<u32, u32, foldhash::fast::FixedState>,
}

/// The running hash; its type prints nothing itself.
struct WholeHash(Xxh3);

impl core::fmt::Debug for WholeHash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("WholeHash")
    }
}

impl Writer {
    /// Starts a snapshot of `state`.
    #[must_use]
    pub fn new(state: &State) -> Self {
        Self {
            slot: state.applied.slot,
            next: Next::Head,
            pending: Vec::with_capacity(CHUNK_BYTES_MAX + CHUNK_BYTES_MAX / 8),
            hash: WholeHash(Xxh3::new()),
            acl_numbers: HashMap::default(),
        }
    }

    /// Appends the next chunk to `out`: `CHUNK_BYTES_MAX` bytes, fewer in the last one. False, and
    /// nothing is appended, when there is none left.
    ///
    /// # Panics
    ///
    /// When `state` is not the one it was started with, or has changed.
    #[must_use]
    pub fn next_chunk(&mut self, state: &State, out: &mut Vec<u8>) -> bool {
        assert!(state.applied.slot == self.slot, "the State moved under its snapshot");
        while self.pending.len() < CHUNK_BYTES_MAX && !matches!(self.next, Next::Nothing) {
            self.write_next(state);
        }
        let chunk_len = self.pending.len().min(CHUNK_BYTES_MAX);
        out.extend(self.pending.drain(..chunk_len));
        chunk_len > 0
    }

    fn write_next(&mut self, state: &State) {
        let start = self.pending.len();
        self.pending.u32(0);
        self.next = match self.next {
            Next::Head => {
                write_head(state, &mut self.pending);
                after_session(state, None)
            }
            Next::SessionAfter(before) => {
                let (id, session) =
                    session_after(state, before).expect("`after_session` has seen it");
                write_session(id, session, &mut self.pending);
                after_session(state, Some(id))
            }
            Next::Znode { id, up } => {
                self.write_znode(state, id, up);
                match state.tree.next_in_subtree(id, ZnodeId::ROOT) {
                    Some((id, up)) => Next::Znode { id, up },
                    None => Next::End,
                }
            }
            Next::End => {
                self.pending.truncate(start);
                self.write_end(state);
                Next::Nothing
            }
            Next::Nothing => Next::Nothing,
        };
        if !matches!(self.next, Next::Nothing) {
            close_record(&mut self.pending, start);
            self.hash.0.update(self.pending.get(start..).unwrap_or_default());
        }
    }

    fn write_znode(&mut self, state: &State, id: ZnodeId, up: u32) {
        let znode = state.tree.get(id);
        let extra = state.tree.extra(id);
        let out = &mut self.pending;
        out.u8(tag::ZNODE);
        out.u32(up);
        let path = znode.path.as_bytes();
        let name_start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        out.bytes(path.get(name_start..).unwrap_or_default());
        let kind = match extra.kind {
            Kind::Persistent => mark::PERSISTENT,
            Kind::Ephemeral(_) => mark::EPHEMERAL,
            Kind::Container => mark::CONTAINER,
            Kind::Ttl(_) => mark::TTL,
        };
        let data = if znode.data.is_some() { mark::DATA } else { 0 };
        let aversion = if extra.aversion == 0 { 0 } else { mark::AVERSION };
        out.u8(kind | data | aversion);
        out.i64(znode.czxid.0);
        out.i64(znode.mzxid.0);
        out.i64(znode.pzxid.0);
        out.i64(znode.ctime);
        out.i64(znode.mtime);
        out.i32(znode.version);
        out.i32(znode.creates);
        match extra.kind {
            Kind::Ephemeral(session) => out.i64(session.0),
            Kind::Ttl(ttl_ms) => out.i64(ttl_ms),
            Kind::Persistent | Kind::Container => {}
        }
        if extra.aversion != 0 {
            out.i32(extra.aversion);
        }
        if let Some(data) = &znode.data {
            out.bytes(data);
        }
        let known_count = u32::try_from(self.acl_numbers.len()).expect("fewer than 2^32 ACLs");
        let number = *self.acl_numbers.entry(znode.acl.0).or_insert(known_count);
        out.u32(number);
        if number == known_count {
            out.acl(state.acls.get(znode.acl));
        }
    }

    fn write_end(&mut self, state: &State) {
        let start = self.pending.len();
        self.pending.u32(0);
        self.pending.u8(tag::END);
        self.pending.u64(state.digest());
        self.pending.u128(self.hash.0.digest128());
        close_record(&mut self.pending, start);
    }
}

/// Fills in the length of the record that starts at `start`.
fn close_record(out: &mut [u8], start: usize) {
    let body_len = u32::try_from(out.len() - start - 4).expect("a znode is below 2^32 bytes");
    let length = out.get_mut(start..start + 4).expect("the record began with its length");
    length.copy_from_slice(&body_len.to_le_bytes());
}

fn write_head(state: &State, out: &mut Vec<u8>) {
    let applied = &state.applied;
    out.u8(tag::HEAD);
    out.raw(&MAGIC);
    out.u64(applied.slot.0);
    out.u64(applied.origin.round);
    out.u32(u32::from(applied.origin.replica.0));
    out.u32(applied.epoch.0);
    out.i64(applied.time.0);
    out.u128(applied.hash);
    out.i64(applied.last_zxid.0);
    out.u64(u64::try_from(state.session_count()).expect("64 bits"));
    out.u64(u64::try_from(state.tree.count()).expect("64 bits"));
}

fn write_session(id: SessionId, session: &Session, out: &mut Vec<u8>) {
    out.u8(tag::SESSION);
    out.i64(id.0);
    out.i32(session.timeout_ms);
    out.u64(session.owner.0);
    out.raw(&session.password);
}

/// What follows the session `before`, or the head.
fn after_session(state: &State, before: Option<SessionId>) -> Next {
    if session_after(state, before).is_some() {
        Next::SessionAfter(before)
    } else {
        Next::Znode { id: ZnodeId::ROOT, up: 0 }
    }
}

fn session_after(state: &State, before: Option<SessionId>) -> Option<(SessionId, &Session)> {
    use core::ops::Bound::{Excluded, Unbounded};
    let start = before.map_or(Unbounded, Excluded);
    let (id, session) = state.sessions.by_id.range((start, Unbounded)).next()?;
    Some((*id, session))
}
