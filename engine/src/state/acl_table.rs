//! Every ACL once: most znodes of a tree share a few.

use alloc::{sync::Arc, vec::Vec};
use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::znode::AclId;
use crate::protocol::records::Acl;

/// ACLs with the number of znodes that have each.
#[derive(Clone, Debug, Default)]
pub(super) struct AclTable {
    entries: Vec<Entry>,
    /// Entries without users.
    free: Vec<AclId>,
    by_content: HashTable<AclId>,
    /// The one that was asked for last: the next is likely to be alike.
    last: Option<AclId>,
}

#[derive(Clone, Debug)]
struct Entry {
    acl: Arc<[Acl]>,
    users: u64,
}

fn hash(acl: &[Acl]) -> u64 {
    // Only finds; the order of the table is never seen.
    FixedState::default().hash_one(acl)
}

fn position(id: AclId) -> usize {
    usize::try_from(id.0).expect("32 bits")
}

impl AclTable {
    /// The id of `acl`, with one user more.
    pub(super) fn acquire(&mut self, acl: &[Acl]) -> AclId {
        if let Some(last) = self.last
            && *self.entries[position(last)].acl == *acl
        {
            self.acquire_again(last);
            return last;
        }
        let id = self.find_or_add(acl);
        self.acquire_again(id);
        self.last = Some(id);
        id
    }

    /// One user more.
    pub(super) fn acquire_again(&mut self, id: AclId) {
        self.entries[position(id)].users += 1;
    }

    /// One user fewer. The last one frees the id.
    pub(super) fn release(&mut self, id: AclId) {
        let entry = &mut self.entries[position(id)];
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        let found = self.by_content.find_entry(hash(&entry.acl), |other| *other == id);
        found.expect("every ACL in use is in the table").remove();
        entry.acl = Arc::from([]);
        self.free.push(id);
        self.last = None;
    }

    pub(super) fn get(&self, id: AclId) -> &Arc<[Acl]> {
        &self.entries[position(id)].acl
    }

    /// How many different ACLs there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.by_content.len()
    }

    fn find_or_add(&mut self, acl: &[Acl]) -> AclId {
        let Self { entries, by_content, free, .. } = self;
        let hash_of = |id: &AclId| hash(&entries[position(*id)].acl);
        if let Some(id) = by_content.find(hash(acl), |id| *entries[position(*id)].acl == *acl) {
            return *id;
        }
        let entry = Entry { acl: Arc::from(acl), users: 0 };
        let next = AclId(u32::try_from(entries.len()).expect("fewer than 2^32 ACLs"));
        let id = free.pop().unwrap_or(next);
        by_content.insert_unique(hash(acl), id, hash_of);
        if id == next {
            entries.push(entry);
        } else {
            entries[position(id)] = entry;
        }
        id
    }
}
