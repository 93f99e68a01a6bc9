//! A number that tells two States apart: a sum over their znodes, kept up to date by every change.
//!
//! Like ZooKeeper's it adds one hash per znode, over path, data and Stat, and leaves out what is
//! below `/zookeeper/`. The hash is not ZooKeeper's, so digests compare between our servers only.

use alloc::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    tree::PathHash,
    znode::{Extra, Kind, Znode},
};
use crate::ids::Zxid;

/// Commands between two noted digests, as in ZooKeeper.
const NOTE_INTERVAL: u32 = 128;

/// How many are kept, as in ZooKeeper.
const NOTES_MAX: usize = 1024;

/// Below here nothing counts: quota statistics change without a command of their own.
const EXCLUDED_PREFIX: &[u8] = b"/zookeeper/";

/// The sum, and what it was now and then.
#[derive(Clone, Debug, Default)]
pub(super) struct Digest {
    pub(super) sum: u64,
    notes: VecDeque<(Zxid, u64)>,
}

impl Digest {
    /// Adds all of a znode.
    pub(super) fn add(&mut self, znode: &Znode, extra: Extra, hash: PathHash) {
        self.sum = self.sum.wrapping_add(of_znode(znode, extra, hash));
    }

    /// Takes all of a znode out.
    pub(super) fn remove(&mut self, znode: &Znode, extra: Extra, hash: PathHash) {
        self.sum = self.sum.wrapping_sub(of_znode(znode, extra, hash));
    }

    /// Adds a znode's Stat alone.
    pub(super) fn add_stat(&mut self, znode: &Znode, extra: Extra, hash: PathHash) {
        self.sum = self.sum.wrapping_add(of_stat(znode, extra, hash));
    }

    /// Takes a znode's Stat alone out.
    pub(super) fn remove_stat(&mut self, znode: &Znode, extra: Extra, hash: PathHash) {
        self.sum = self.sum.wrapping_sub(of_stat(znode, extra, hash));
    }

    /// Notes the sum if `zxid`, just applied, is one of those at which it is noted.
    pub(super) fn note(&mut self, zxid: Zxid) {
        if zxid.counter().is_multiple_of(NOTE_INTERVAL) {
            if self.notes.len() == NOTES_MAX {
                self.notes.pop_front();
            }
            self.notes.push_back((zxid, self.sum));
        }
    }

    /// What was noted, oldest first.
    pub(super) fn notes(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.notes.iter().copied()
    }
}

fn of_znode(znode: &Znode, extra: Extra, hash: PathHash) -> u64 {
    of_stat(znode, extra, hash).wrapping_add(of_data(znode, hash))
}

/// Path and data. Apart from the Stat because a change of a child touches its parent's Stat alone.
fn of_data(znode: &Znode, hash: PathHash) -> u64 {
    match &znode.data {
        Some(data) if !is_excluded(znode) => mix(hash.0, xxh3_64(data)),
        Some(_) | None => 0,
    }
}

fn of_stat(znode: &Znode, extra: Extra, hash: PathHash) -> u64 {
    if is_excluded(znode) {
        return 0;
    }
    let (kind, owner) = match extra.kind {
        Kind::Persistent => (0, 0),
        Kind::Ephemeral(session) => (1, session.0),
        Kind::Container => (2, 0),
        Kind::Ttl(ttl_ms) => (3, ttl_ms),
    };
    let long = [znode.czxid.0, znode.mzxid.0, znode.pzxid.0, znode.ctime, znode.mtime, owner];
    let short = [znode.version, znode.creates, extra.aversion, kind];
    let mut bytes = [0; 64];
    let (long_bytes, short_bytes) = bytes.split_at_mut(48);
    for (field, value) in long_bytes.as_chunks_mut().0.iter_mut().zip(long) {
        *field = value.to_le_bytes();
    }
    for (field, value) in short_bytes.as_chunks_mut().0.iter_mut().zip(short) {
        *field = value.to_le_bytes();
    }
    mix(hash.0, xxh3_64(&bytes))
}

fn is_excluded(znode: &Znode) -> bool {
    znode.path.as_bytes().starts_with(EXCLUDED_PREFIX)
}

/// Ties a part's hash to the path's, so that two znodes cannot swap parts unseen.
fn mix(path: u64, part: u64) -> u64 {
    let product = u128::from(path ^ 0x9e37_79b9_7f4a_7c15) * u128::from(part | 1);
    let (high, low) = (product >> 64, product & u128::from(u64::MAX));
    u64::try_from(high ^ low).expect("64 bits") ^ part
}
