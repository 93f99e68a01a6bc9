//! The records that requests and replies are made of: Stat, ACL, Id
//! (jute: `org.apache.zookeeper.data`).

use alloc::string::String;

/// Permission bits of an ACL entry.
pub mod perms {
    /// Read data, list children.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the ACL.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// An identity: who somebody is, under a scheme (jute: `Id`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id {
    /// `world`, `ip`, `digest`, `auth`, `x509`, `sasl`, `super`.
    pub scheme: String,
    /// Meaning depends on the scheme.
    pub id: String,
}

/// One entry of an access control list (jute: `ACL`).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Acl {
    /// Bits of [`perms`]; other bits are kept as they came.
    pub perms: i32,
    /// Whom it permits.
    pub id: Id,
}

/// The eleven numbers that a client sees of a znode (jute: `Stat`; this is the wire's order).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Stat {
    /// zxid of the create.
    pub czxid: i64,
    /// zxid of the last change of data.
    pub mzxid: i64,
    /// Time of the create, ms since 1970.
    pub ctime: i64,
    /// Time of the last change of data, ms since 1970.
    pub mtime: i64,
    /// Changes of data.
    pub version: i32,
    /// Creates and deletes of children.
    pub cversion: i32,
    /// Changes of the ACL.
    pub aversion: i32,
    /// The session of an ephemeral znode; 0 for every other kind, container and TTL included.
    pub ephemeral_owner: i64,
    /// Bytes of data; 0 for null.
    pub data_length: i32,
    /// Children.
    pub num_children: i32,
    /// zxid of the last create or delete of a child.
    pub pzxid: i64,
}
