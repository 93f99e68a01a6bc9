//! One entry of the tree, packed: there may be tens of millions, and every State has its own.

use crate::{
    ids::{SessionId, Zxid},
    shared_bytes::{SharedBytes, SharedStr},
};

/// Where a znode is in the slab of its tree. Local to one State: never written, never compared
/// between States.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ZnodeId(pub(super) u32);

impl ZnodeId {
    /// No znode.
    pub(super) const NONE: Self = Self(u32::MAX);
    /// The root, the first of every tree.
    pub(super) const ROOT: Self = Self(0);
}

/// Where an ACL is in the State's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AclId(pub(super) u32);

/// What makes a znode go away by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Nothing.
    Persistent,
    /// The end of this session.
    Ephemeral(SessionId),
    /// The end of its last child.
    Container,
    /// This many milliseconds without a change of data and without children.
    Ttl(i64),
}

impl Kind {
    /// What clients see as `ephemeralOwner`: 0 for all but ephemerals.
    pub(super) fn ephemeral_owner(self) -> i64 {
        match self {
            Self::Ephemeral(session) => session.0,
            Self::Persistent | Self::Container | Self::Ttl(_) => 0,
        }
    }
}

/// Links to relatives. Siblings are in the order of their creation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    /// `NONE` for the root only. Of a free entry: the next free one.
    pub(super) parent: ZnodeId,
    /// `NONE` without children.
    pub(super) first_child: ZnodeId,
    /// The sibling before; the first child has the last one here, so that adding at the end is
    /// one step.
    pub(super) previous: ZnodeId,
    /// The sibling after; `NONE` for the last.
    pub(super) next: ZnodeId,
}

impl Links {
    /// Of a znode that is not in a tree.
    pub(super) const NONE: Self = Self {
        parent: ZnodeId::NONE,
        first_child: ZnodeId::NONE,
        previous: ZnodeId::NONE,
        next: ZnodeId::NONE,
    };

    /// Of a znode that has no relative but `parent`.
    pub(super) fn below(parent: ZnodeId) -> Self {
        Self { parent, ..Self::NONE }
    }
}

/// One entry of the tree. What few znodes have is in [`Extra`].
#[derive(Clone, Debug)]
pub(super) struct Znode {
    /// From the root; the root itself is empty.
    pub(super) path: SharedStr,
    /// `None` is null.
    pub(super) data: Option<SharedBytes>,
    pub(super) czxid: Zxid,
    pub(super) mzxid: Zxid,
    pub(super) pzxid: Zxid,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    /// Children ever created: gives the next sequential name. Wraps as an `int` of Java does.
    pub(super) creates: i32,
    pub(super) child_count: u32,
    pub(super) acl: AclId,
    pub(super) links: Links,
}

const _: () = assert!(size_of::<Znode>() <= 88, "the memory numbers in docs are for this size");

impl Znode {
    /// What it counts in `approximate_data_size`: Apache counts characters of the path, not bytes.
    pub(super) fn counted_bytes(&self) -> u64 {
        u64::try_from(self.path.chars().count() + self.data_len()).expect("64 bits")
    }

    /// Bytes of data; 0 for null.
    pub(super) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.len())
    }
}

/// What few znodes have; kept beside the tree for those that differ from the default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Extra {
    pub(super) kind: Kind,
    pub(super) aversion: i32,
}

impl Extra {
    /// Most znodes: persistent, with the ACL they were created with.
    pub(super) const DEFAULT: Self = Self { kind: Kind::Persistent, aversion: 0 };
}
