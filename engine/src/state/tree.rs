//! The tree of znodes: a slab, an index by path, and links between relatives.
//!
//! Nothing here stalls while it grows: the slab grows by chunks, the index is many small tables of
//! which one at a time is rebuilt, and the rest are B-trees. It knows structure only: versions,
//! permissions and events are `edit`'s.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::znode::{Extra, Links, Znode, ZnodeId};
use crate::shared_bytes::SharedStr;

/// Znodes of a slab chunk.
const CHUNK_ZNODES: usize = 1024;

/// Tables of the index. With 10 million znodes each holds 10 thousand, and rebuilding one takes
/// about 0.1 ms.
const INDEX_TABLES: usize = 1024;

/// A hash of a path's bytes, the same everywhere: it goes into digests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PathHash(pub(super) u64);

impl PathHash {
    pub(super) fn of(path: &str) -> Self {
        Self(xxh3_64(path.as_bytes()))
    }

    /// Which table of the index.
    fn table(self) -> usize {
        usize::try_from(self.0 >> 32).expect("32 bits") % INDEX_TABLES
    }

    /// What the table remembers.
    fn short(self) -> u32 {
        u32::try_from(self.0 & 0xffff_ffff).expect("32 bits")
    }
}

/// A znode that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) id: ZnodeId,
    pub(super) hash: PathHash,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    id: ZnodeId,
}

impl Entry {
    /// The table wants 64 bits of which the upper seven matter most.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The tree. Always has a root.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    chunks: Vec<Vec<Znode>>,
    /// First of the free entries, linked by `Links::parent`. A stack: an undo that frees and takes
    /// in the reverse order gets the same ids.
    free: ZnodeId,
    count: usize,
    index: Vec<HashTable<Entry>>,
    /// Of znodes that differ from `Extra::DEFAULT`.
    extras: BTreeMap<ZnodeId, Extra>,
    /// The path of free entries.
    empty_path: SharedStr,
}

impl Tree {
    /// A tree of `root` alone, whose links are set here.
    pub(super) fn new(root: Znode) -> Self {
        let mut tree = Self {
            chunks: Vec::new(),
            free: ZnodeId::NONE,
            count: 0,
            index: vec![HashTable::new(); INDEX_TABLES],
            extras: BTreeMap::new(),
            empty_path: root.path.clone(),
        };
        let hash = PathHash::of(&root.path);
        let id = tree.take_entry(Znode { links: Links::NONE, ..root });
        assert!(id == ZnodeId::ROOT);
        tree.index_entry(id, hash);
        tree
    }

    /// Makes room in the index for `count` znodes, so that loading them rebuilds no table.
    pub(super) fn reserve(&mut self, count: usize) {
        // Tables do not fill evenly: a little more than their share.
        let share = count / INDEX_TABLES;
        let spare = share / 16 + usize::from(share > 0) * 16;
        for table in &mut self.index {
            table.reserve(share + spare, |entry| Entry::spread(entry.hash));
        }
    }

    /// Adds `znode` as the last child of `parent`. No znode may have its path.
    pub(super) fn insert(&mut self, parent: ZnodeId, znode: Znode, hash: PathHash) -> ZnodeId {
        let id = self.take_entry(Znode { links: Links::below(parent), ..znode });
        let first = self.get(parent).links.first_child;
        if first == ZnodeId::NONE {
            self.get_mut(parent).links.first_child = id;
            self.get_mut(id).links.previous = id;
        } else {
            let last = self.get(first).links.previous;
            self.get_mut(last).links.next = id;
            self.get_mut(first).links.previous = id;
            self.get_mut(id).links.previous = last;
        }
        self.get_mut(parent).child_count += 1;
        self.index_entry(id, hash);
        id
    }

    /// Takes a znode without children out. The root stays.
    pub(super) fn remove(&mut self, found: Found) -> Removed {
        let Links { parent, first_child, previous, next } = self.get(found.id).links;
        assert!(first_child == ZnodeId::NONE && parent != ZnodeId::NONE);
        let was_first = self.get(parent).links.first_child == found.id;
        if was_first {
            self.get_mut(parent).links.first_child = next;
        } else {
            self.get_mut(previous).links.next = next;
        }
        if next != ZnodeId::NONE {
            self.get_mut(next).links.previous = previous;
        } else if !was_first {
            let first = self.get(parent).links.first_child;
            self.get_mut(first).links.previous = previous;
        }
        self.get_mut(parent).child_count -= 1;
        self.unindex_entry(found);
        let extra = self.extras.remove(&found.id).unwrap_or(Extra::DEFAULT);
        let znode = self.free_entry(found.id);
        Removed { id: found.id, znode, extra, was_first }
    }

    /// Undoes `remove`. Everything that was done after it must have been undone before.
    pub(super) fn restore(&mut self, removed: Removed, hash: PathHash) {
        let Links { parent, previous, next, .. } = removed.znode.links;
        let id = self.take_entry(removed.znode);
        assert!(id == removed.id, "the stack of free entries gives back what was freed last");
        if removed.was_first {
            self.get_mut(parent).links.first_child = id;
            if next != ZnodeId::NONE {
                self.get_mut(next).links.previous = id;
            }
        } else {
            self.get_mut(previous).links.next = id;
            let after =
                if next == ZnodeId::NONE { self.get(parent).links.first_child } else { next };
            self.get_mut(after).links.previous = id;
        }
        self.get_mut(parent).child_count += 1;
        self.index_entry(id, hash);
        self.set_extra(id, removed.extra);
    }

    pub(super) fn set_extra(&mut self, id: ZnodeId, extra: Extra) {
        if extra == Extra::DEFAULT {
            self.extras.remove(&id);
        } else {
            self.extras.insert(id, extra);
        }
    }

    pub(super) fn get_mut(&mut self, id: ZnodeId) -> &mut Znode {
        let at = Self::position(id);
        &mut self.chunks[at / CHUNK_ZNODES][at % CHUNK_ZNODES]
    }

    pub(super) fn get(&self, id: ZnodeId) -> &Znode {
        let at = Self::position(id);
        &self.chunks[at / CHUNK_ZNODES][at % CHUNK_ZNODES]
    }

    pub(super) fn extra(&self, id: ZnodeId) -> Extra {
        self.extras.get(&id).copied().unwrap_or(Extra::DEFAULT)
    }

    /// The znode at `path`; `""` and `/` are the root.
    pub(super) fn find(&self, path: &str) -> Option<Found> {
        let path = if path == "/" { "" } else { path };
        let hash = PathHash::of(path);
        self.find_hashed(path, hash).map(|id| Found { id, hash })
    }

    /// The znode at `path`, of which `hash` is the hash.
    pub(super) fn find_hashed(&self, path: &str, hash: PathHash) -> Option<ZnodeId> {
        let short = hash.short();
        let table = &self.index[hash.table()];
        let entry = table.find(Entry::spread(short), |entry| {
            entry.hash == short && self.get(entry.id).path.as_bytes() == path.as_bytes()
        });
        entry.map(|entry| entry.id)
    }

    /// How many there are, the root included.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The children of `parent`, in the order of their creation.
    pub(super) fn children(&self, parent: ZnodeId) -> impl Iterator<Item = ZnodeId> {
        let first = self.get(parent).links.first_child;
        let some = |id| (id != ZnodeId::NONE).then_some(id);
        core::iter::successors(some(first), move |id| some(self.get(*id).links.next))
    }

    /// The znode after `id` in a walk of the subtree of `top`: parents first, children in the order
    /// of their creation. The second number says how many levels the walk went up from `id` before
    /// it went down to the result: 0 for a first child.
    pub(super) fn next_in_subtree(&self, id: ZnodeId, top: ZnodeId) -> Option<(ZnodeId, u32)> {
        let links = self.get(id).links;
        if links.first_child != ZnodeId::NONE {
            return Some((links.first_child, 0));
        }
        let mut at = id;
        let mut up = 0;
        while at != top {
            let links = self.get(at).links;
            up += 1;
            if links.next != ZnodeId::NONE {
                return Some((links.next, up));
            }
            at = links.parent;
        }
        None
    }

    /// How many znodes are below `top`.
    pub(super) fn descendant_count(&self, top: ZnodeId) -> usize {
        let next = |id: &ZnodeId| self.next_in_subtree(*id, top).map(|(id, _)| id);
        core::iter::successors(Some(top), next).count() - 1
    }

    fn position(id: ZnodeId) -> usize {
        usize::try_from(id.0).expect("32 bits")
    }

    fn index_entry(&mut self, id: ZnodeId, hash: PathHash) {
        let entry = Entry { hash: hash.short(), id };
        let table = &mut self.index[hash.table()];
        table.insert_unique(Entry::spread(entry.hash), entry, |entry| Entry::spread(entry.hash));
    }

    fn unindex_entry(&mut self, found: Found) {
        let table = &mut self.index[found.hash.table()];
        let entry = table.find_entry(Entry::spread(found.hash.short()), |e| e.id == found.id);
        entry.expect("every znode is in the index").remove();
    }

    fn take_entry(&mut self, znode: Znode) -> ZnodeId {
        self.count += 1;
        if self.free != ZnodeId::NONE {
            let id = self.free;
            let entry = self.get_mut(id);
            let next_free = entry.links.parent;
            *entry = znode;
            self.free = next_free;
            return id;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_ZNODES) {
            self.chunks.push(Vec::with_capacity(CHUNK_ZNODES));
        }
        let full_chunks = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut().expect("pushed above");
        chunk.push(znode);
        let at = full_chunks * CHUNK_ZNODES + chunk.len() - 1;
        let id = ZnodeId(u32::try_from(at).expect("fewer than 2^32 znodes"));
        assert!(id != ZnodeId::NONE, "fewer than 2^32 - 1 znodes");
        id
    }

    fn free_entry(&mut self, id: ZnodeId) -> Znode {
        self.count -= 1;
        let vacant = Znode {
            path: self.empty_path.clone(),
            data: None,
            links: Links::below(self.free),
            ..*self.get(id)
        };
        self.free = id;
        core::mem::replace(self.get_mut(id), vacant)
    }
}

/// What `Tree::remove` took out, and what `Tree::restore` needs to put it back.
#[derive(Clone, Debug)]
pub(super) struct Removed {
    id: ZnodeId,
    pub(super) znode: Znode,
    pub(super) extra: Extra,
    was_first: bool,
}

impl Removed {
    pub(super) fn parent(&self) -> ZnodeId {
        self.znode.links.parent
    }

    pub(super) fn id(&self) -> ZnodeId {
        self.id
    }
}
