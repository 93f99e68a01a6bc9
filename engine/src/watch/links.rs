//! Links between connections and the paths they watch, found from either side.
//!
//! It does not know what the bits of a link mean, but for counting them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{
    hash::BuildHasher,
    ops::{BitAnd, BitOr, Not},
};

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use super::WatcherId;
use crate::shared_bytes::SharedStr;

/// The watches that one connection has on one path: a set of bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Modes(u8);

impl Modes {
    pub(super) const NONE: Self = Self(0);
    pub(super) const DATA: Self = Self(1);
    pub(super) const CHILD: Self = Self(2);
    pub(super) const PERSISTENT: Self = Self(4);
    pub(super) const RECURSIVE: Self = Self(8);
    pub(super) const ALL: Self = Self(15);

    pub(super) fn intersects(self, other: Self) -> bool {
        self & other != Self::NONE
    }

    /// Whether ZooKeeper would have an entry in its table of data watches.
    pub(super) fn is_in_data_table(self) -> bool {
        self.intersects(Self::DATA | Self::PERSISTENT | Self::RECURSIVE)
    }

    /// Whether ZooKeeper would have an entry in its table of child watches.
    fn is_in_child_table(self) -> bool {
        self.intersects(Self::CHILD | Self::PERSISTENT)
    }
}

impl BitAnd for Modes {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Modes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for Modes {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }
}

/// A watched path, as links name it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct PathId(u32);

/// A path's place in the index, with enough of its hash that the index grows without reading paths.
#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    hash: u32,
    path: PathId,
}

/// All links.
///
/// Invariants: `by_path` and `by_watcher` hold the same links; no link is without modes; exactly
/// the paths with links are in `index` and are `Some` in `paths`.
#[derive(Debug, Default)]
pub(super) struct Links {
    index: HashTable<IndexEntry>,
    paths: Vec<Option<SharedStr>>,
    unused: Vec<PathId>,
    by_path: BTreeMap<(PathId, WatcherId), Modes>,
    by_watcher: BTreeSet<(WatcherId, PathId)>,
    data_count: usize,
    child_count: usize,
    recursive_count: usize,
    /// Reused by `fire`: links that have ended.
    ended: Vec<WatcherId>,
}

impl Links {
    /// Adds `modes` to what `watcher` has on `path`.
    pub(super) fn add(&mut self, watcher: WatcherId, path: &str, modes: Modes) {
        let id = self.find(path).unwrap_or_else(|| self.insert_path(path));
        let old = self.by_path.get(&(id, watcher)).copied().unwrap_or_default();
        self.set(watcher, id, old, old | modes);
    }

    /// Appends who has one of the modes `told` on `path`, and takes `ended` from them.
    pub(super) fn fire(
        &mut self,
        path: &str,
        told: Modes,
        ended: Modes,
        watchers: &mut Vec<WatcherId>,
    ) {
        let Some(id) = self.find(path) else { return };
        let mut changed = core::mem::take(&mut self.ended);
        for ((_, watcher), modes) in self.by_path.range(links_of(id)) {
            if modes.intersects(told) {
                watchers.push(*watcher);
            }
            if modes.intersects(ended) {
                changed.push(*watcher);
            }
        }
        for watcher in changed.drain(..) {
            let old = *self.by_path.get(&(id, watcher)).expect("just seen");
            self.set(watcher, id, old, old & !ended);
        }
        self.ended = changed;
    }

    /// Takes `modes` from what `watcher` has on `path`. Returns whether it had one of them.
    pub(super) fn remove(&mut self, watcher: WatcherId, path: &str, modes: Modes) -> bool {
        let Some(id) = self.find(path) else { return false };
        let Some(old) = self.by_path.get(&(id, watcher)).copied() else { return false };
        self.set(watcher, id, old, old & !modes);
        old.intersects(modes)
    }

    /// Removes up to `count` links of `watcher`. Returns whether none is left.
    pub(super) fn remove_some_of(&mut self, watcher: WatcherId, count: usize) -> bool {
        for _ in 0..count {
            let all = (watcher, PathId(0))..=(watcher, PathId(u32::MAX));
            let Some((_, id)) = self.by_watcher.range(all).next().copied() else { return true };
            let old = *self.by_path.get(&(id, watcher)).expect("both sides know every link");
            self.set(watcher, id, old, Modes::NONE);
        }
        false
    }

    /// What `watcher` has on `path`.
    pub(super) fn modes(&self, watcher: WatcherId, path: &str) -> Modes {
        let id = self.find(path);
        id.and_then(|id| self.by_path.get(&(id, watcher)).copied()).unwrap_or_default()
    }

    /// All links, sorted by watcher.
    pub(super) fn iter(&self) -> impl Iterator<Item = (WatcherId, &SharedStr, Modes)> {
        self.by_watcher.iter().map(|(watcher, id)| {
            let modes = *self.by_path.get(&(*id, *watcher)).expect("both sides know every link");
            (*watcher, self.path(*id), modes)
        })
    }

    /// How many links are of ZooKeeper's table of data watches.
    pub(super) fn data_count(&self) -> usize {
        self.data_count
    }

    /// How many links are of ZooKeeper's table of child watches.
    pub(super) fn child_count(&self) -> usize {
        self.child_count
    }

    /// How many links are recursive: without any, a change concerns one path only.
    pub(super) fn recursive_count(&self) -> usize {
        self.recursive_count
    }

    fn find(&self, path: &str) -> Option<PathId> {
        let hash = hash(path);
        let is_path = |entry: &IndexEntry| {
            entry.hash == hash && self.path(entry.path).as_bytes() == path.as_bytes()
        };
        self.index.find(spread(hash), is_path).map(|entry| entry.path)
    }

    fn path(&self, id: PathId) -> &SharedStr {
        let slot = usize::try_from(id.0).expect("usize has 32 bits or more");
        self.paths[slot].as_ref().expect("the index knows paths that are there")
    }

    fn insert_path(&mut self, path: &str) -> PathId {
        let id = self.unused.pop().unwrap_or_else(|| {
            let id = u32::try_from(self.paths.len()).expect("fewer than 2^32 watched paths");
            self.paths.push(None);
            PathId(id)
        });
        let slot = usize::try_from(id.0).expect("usize has 32 bits or more");
        self.paths[slot] = Some(SharedStr::new(path));
        let entry = IndexEntry { hash: hash(path), path: id };
        self.index.insert_unique(spread(entry.hash), entry, |entry| spread(entry.hash));
        id
    }

    fn remove_path(&mut self, id: PathId) {
        let hash = hash(self.path(id));
        let found = self.index.find_entry(spread(hash), |entry| entry.path == id);
        found.expect("a path that is there is in the index").remove();
        let slot = usize::try_from(id.0).expect("usize has 32 bits or more");
        self.paths[slot] = None;
        self.unused.push(id);
        // The last watch gives back the room of all.
        if self.index.is_empty() {
            *self = Self::default();
        }
    }

    /// The only place where a link comes, changes or goes.
    fn set(&mut self, watcher: WatcherId, id: PathId, old: Modes, new: Modes) {
        let count = |count: &mut usize, was: bool, is: bool| {
            *count = *count + usize::from(is) - usize::from(was);
        };
        count(&mut self.data_count, old.is_in_data_table(), new.is_in_data_table());
        count(&mut self.child_count, old.is_in_child_table(), new.is_in_child_table());
        let is_recursive = |modes: Modes| modes.intersects(Modes::RECURSIVE);
        count(&mut self.recursive_count, is_recursive(old), is_recursive(new));
        if new == old {
            return;
        }
        if new != Modes::NONE {
            self.by_path.insert((id, watcher), new);
            if old == Modes::NONE {
                self.by_watcher.insert((watcher, id));
            }
            return;
        }
        self.by_path.remove(&(id, watcher));
        self.by_watcher.remove(&(watcher, id));
        if self.by_path.range(links_of(id)).next().is_none() {
            self.remove_path(id);
        }
    }
}

fn links_of(id: PathId) -> core::ops::RangeInclusive<(PathId, WatcherId)> {
    (id, WatcherId(0))..=(id, WatcherId(u64::MAX))
}

fn hash(path: &str) -> u32 {
    let hash = FixedState::default().hash_one(path.as_bytes());
    u32::try_from(hash >> 32).expect("32 bits")
}

/// The table looks at both ends of a 64-bit hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
