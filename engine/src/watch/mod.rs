//! Watches: which connections of a shard want to be told of changes of which paths.
//!
//! It says whom to tell and never what to send them: the shard makes the event once for all of its
//! watchers, and leaves out those that may not read the znode ([`crate::state::acl::may_be_told`]).
//! ZooKeeper keeps two tables, one of data and exists watches and one of child watches; here both
//! are one, in which each kind of watch is a bit. What clients see of the two tables stays:
//! exists and data watches are one and the same, a persistent watch is in both, a recursive one in
//! the first only.

mod links;

use alloc::vec::Vec;

use crate::{
    ids::Zxid,
    protocol::{
        error_code::ErrorCode,
        reply::{EventKind, WatchEvent},
        request::{Read, SetWatches},
    },
    shared_bytes::SharedStr,
    state::{Change, ChangeKind, State},
};
use links::{Links, Modes};

/// A connection of this shard that may watch. Never used for a second connection.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WatcherId(pub u64);

/// What a connection wants to be told of a path.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WatchKind {
    /// Once: that the znode is created, deleted, or changes its data. `exists` and `getData` leave
    /// one and the same watch.
    Data,
    /// Once: that a child comes or goes, or the znode is deleted. Left by `getChildren`.
    Child,
    /// Every time: all of the above.
    Persistent,
    /// Every time: that the znode or one below it is created, deleted, or changes its data.
    PersistentRecursive,
}

impl WatchKind {
    /// The kind that `addWatch` means by `mode`.
    #[must_use]
    pub fn from_add_mode(mode: i32) -> Option<Self> {
        match mode {
            0 => Some(Self::Persistent),
            1 => Some(Self::PersistentRecursive),
            _ => None,
        }
    }

    fn modes(self) -> Modes {
        match self {
            Self::Data => Modes::DATA,
            Self::Child => Modes::CHILD,
            Self::Persistent => Modes::PERSISTENT,
            Self::PersistentRecursive => Modes::RECURSIVE,
        }
    }
}

/// Which watches `checkWatches` and `removeWatches` mean.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WatcherType {
    /// Those of one kind.
    Only(WatchKind),
    /// All of the path.
    Any,
}

impl WatcherType {
    /// The type that clients number so; `None` is answered with `MarshallingError`.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::Only(WatchKind::Child)),
            2 => Some(Self::Only(WatchKind::Data)),
            3 => Some(Self::Any),
            4 => Some(Self::Only(WatchKind::Persistent)),
            5 => Some(Self::Only(WatchKind::PersistentRecursive)),
            _ => None,
        }
    }

    fn modes(self) -> Modes {
        match self {
            Self::Only(kind) => kind.modes(),
            Self::Any => Modes::ALL,
        }
    }
}

/// Under this path the watches of clients that named none (a null path) are kept. No change has it.
pub const NULL_PATH: &str = "\0";

/// The watch that a read leaves, given how it ended.
#[must_use]
pub fn watch_of<'a>(read: &'a Read<'_>, error: Option<ErrorCode>) -> Option<(&'a str, WatchKind)> {
    match (read, error) {
        // The one read that may watch what is not there.
        (Read::Exists { path, watch: true }, None | Some(ErrorCode::NoNode)) => {
            Some((path, WatchKind::Data))
        }
        (Read::GetData { path, watch: true }, None) => Some((path, WatchKind::Data)),
        (
            Read::GetChildren { path, watch: true } | Read::GetChildren2 { path, watch: true },
            None,
        ) => Some((path, WatchKind::Child)),
        _ => None,
    }
}

/// What those are told who watch.
#[must_use]
pub fn event_of(kind: ChangeKind, path: SharedStr, zxid: Zxid) -> WatchEvent {
    let kind = match kind {
        ChangeKind::Created => EventKind::Created,
        ChangeKind::Deleted => EventKind::Deleted,
        ChangeKind::DataChanged => EventKind::DataChanged,
        ChangeKind::ChildrenChanged => EventKind::ChildrenChanged,
    };
    WatchEvent { kind, path, zxid }
}

/// Links removed in one call when a connection with many watches goes: keeps the call short.
const LEFTOVERS_PER_CALL: usize = 256;

/// The watches of one shard's connections.
///
/// A connection without watches takes no memory. A watch on a path of its own takes about 110 bytes
/// and the path; one more watcher of the same path about 60 bytes (`examples/watch_measure.rs`).
#[derive(Debug, Default)]
pub struct Watches {
    links: Links,
    /// Connections that are gone and whose links are not all removed yet. Being told of what they
    /// watch does no harm: the caller does not know them any more.
    leaving: Vec<WatcherId>,
}

impl Watches {
    /// Nobody watches.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on `watcher` watches `path`, which need not exist. To watch twice is to watch once.
    pub fn add(&mut self, watcher: WatcherId, path: &str, kind: WatchKind) {
        self.remove_leftovers();
        self.links.add(watcher, path, kind.modes());
    }

    /// Appends the connections that must be told of `change`, each of them once, and ends those of
    /// their watches that were for one time. Sorted by connection.
    ///
    /// They all get one event of the same kind, path and zxid as `change`. Of a deleted znode,
    /// watchers of its data and of its children are told alike, and who is both is told once.
    pub fn fire(&mut self, change: &Change, watchers: &mut Vec<WatcherId>) {
        self.remove_leftovers();
        let start = watchers.len();
        let (told, ended) = match change.kind {
            ChangeKind::Created | ChangeKind::DataChanged => {
                (Modes::DATA | Modes::PERSISTENT | Modes::RECURSIVE, Modes::DATA)
            }
            ChangeKind::Deleted => (Modes::ALL, Modes::DATA | Modes::CHILD),
            ChangeKind::ChildrenChanged => (Modes::CHILD | Modes::PERSISTENT, Modes::CHILD),
        };
        self.links.fire(&change.path, told, ended, watchers);
        // Recursive watches are not told of children: they are told of each child itself.
        if change.kind == ChangeKind::ChildrenChanged || self.links.recursive_count() == 0 {
            return;
        }
        let count_at_path = watchers.len();
        for ancestor in ancestors(&change.path) {
            self.links.fire(ancestor, Modes::RECURSIVE, Modes::NONE, watchers);
        }
        if count_at_path < watchers.len() {
            let mut all = watchers.split_off(start);
            all.sort_unstable();
            all.dedup();
            watchers.append(&mut all);
        }
    }

    /// Does what a client that reconnected asks for: watches again what has not changed since
    /// `wanted.relative_zxid`, and appends to `events` what it has missed. Every path it names
    /// twice is told twice. Persistent watches are only set again.
    ///
    /// These events have no zxid (-1), and no ACL is asked: as in Apache ZooKeeper.
    pub fn restore(
        &mut self,
        watcher: WatcherId,
        wanted: &SetWatches,
        state: &State,
        events: &mut Vec<(ChangeKind, SharedStr)>,
    ) {
        self.restore_from(watcher, wanted, |path| state.watch_stat(path), events);
    }

    /// `last_changes` gives a znode's `mzxid` and `pzxid`.
    fn restore_from(
        &mut self,
        watcher: WatcherId,
        wanted: &SetWatches,
        last_changes: impl Fn(&str) -> Option<(Zxid, Zxid)>,
        events: &mut Vec<(ChangeKind, SharedStr)>,
    ) {
        let seen = wanted.relative_zxid;
        let mut tell_or_watch = |path: &str, missed: Option<ChangeKind>, kind| match missed {
            Some(missed) => events.push((missed, SharedStr::new(path))),
            None => self.add(watcher, path, kind),
        };
        for path in &wanted.data {
            let missed = match last_changes(path) {
                None => Some(ChangeKind::Deleted),
                Some((mzxid, _)) => (mzxid > seen).then_some(ChangeKind::DataChanged),
            };
            tell_or_watch(path, missed, WatchKind::Data);
        }
        for path in &wanted.exist {
            let missed = last_changes(path).map(|_| ChangeKind::Created);
            tell_or_watch(path, missed, WatchKind::Data);
        }
        for path in &wanted.child {
            let missed = match last_changes(path) {
                None => Some(ChangeKind::Deleted),
                Some((_, pzxid)) => (pzxid > seen).then_some(ChangeKind::ChildrenChanged),
            };
            tell_or_watch(path, missed, WatchKind::Child);
        }
        for path in &wanted.persistent {
            self.add(watcher, path, WatchKind::Persistent);
        }
        for path in &wanted.persistent_recursive {
            self.add(watcher, path, WatchKind::PersistentRecursive);
        }
    }

    /// Ends watches. Returns whether there was one.
    pub fn remove(&mut self, watcher: WatcherId, path: &str, what: WatcherType) -> bool {
        self.links.remove(watcher, path, what.modes())
    }

    /// The connection is gone, and its watches with it.
    pub fn remove_watcher(&mut self, watcher: WatcherId) {
        self.leaving.push(watcher);
        self.remove_leftovers();
    }

    /// Whether `watcher` has such a watch of `path`.
    #[must_use]
    pub fn contains(&self, watcher: WatcherId, path: &str, what: WatcherType) -> bool {
        self.links.modes(watcher, path).intersects(what.modes())
    }

    /// How many watches there are, as the metric `watch_count` counts: a persistent watch is two,
    /// and whatever one connection has on one znode's data is one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.links.data_count() + self.links.child_count()
    }

    /// Who watches which paths, sorted by connection, for `wchs`, `wchc` and `wchp`. Like theirs,
    /// the list leaves out child watches. May name connections that are gone.
    pub fn listed(&self) -> impl Iterator<Item = (WatcherId, &SharedStr)> {
        let listed = self.links.iter().filter(|(_, _, modes)| modes.is_in_data_table());
        listed.map(|(watcher, path, _)| (watcher, path))
    }

    /// Removes some links of connections that are gone. Also done by the way by other calls, so
    /// that no single one takes long.
    fn remove_leftovers(&mut self) {
        while let Some(watcher) = self.leaving.last() {
            let is_done = self.links.remove_some_of(*watcher, LEFTOVERS_PER_CALL);
            if !is_done {
                break;
            }
            self.leaving.pop();
        }
    }
}

/// The paths above `path`, nearest first: of `/a/b`, `/a` and `/`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    core::iter::from_fn(move || {
        let (parent, name) = rest.rsplit_once('/')?;
        if parent.is_empty() && name.is_empty() {
            return None;
        }
        rest = if parent.is_empty() { "/" } else { parent };
        Some(rest)
    })
}

#[cfg(test)]
mod tests;
