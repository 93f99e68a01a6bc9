//! When quotas are counted and enforced: the usage of a subtree is a znode's data, and every
//! create, delete and change of size rewrites it, without a version or an event of its own.

use alloc::string::String;

use super::{
    State,
    apply::Asker,
    quota::{QuotaLimits, QuotaNode, QuotaStats, limits_path, quota_node, stats_path},
    tree::Found,
    znode::ZnodeId,
};
use crate::{protocol::error_code::ErrorCode, shared_bytes::SharedBytes};

/// The change from `old` to `new`.
fn difference(new: usize, old: usize) -> i64 {
    let signed = |length| i64::try_from(length).expect("lengths fit in 63 bits");
    signed(new) - signed(old)
}

impl State {
    /// Refuses what a hard limit forbids, if the asking server enforces quotas. Each operation of a
    /// multi is held against the use before the multi, as in Apache: together they may exceed it.
    pub(super) fn check_quota(
        &self,
        asker: Asker<'_>,
        path: &str,
        count_diff: i64,
        new_len: usize,
        old_len: usize,
    ) -> Result<(), ErrorCode> {
        if !asker.enforce_quota {
            return Ok(());
        }
        let Some(prefix) = self.quotas.innermost(path) else {
            return Ok(());
        };
        let data = |path: &str| {
            let found = self.tree.find(path)?;
            Some(self.data_before_multi(found.id).map_or(&[][..], |data| data))
        };
        let (Some(limits), Some(stats)) = (data(&limits_path(prefix)), data(&stats_path(prefix)))
        else {
            // The client that sets a quota creates both, one after the other.
            return Ok(());
        };
        let (limits, stats) = (QuotaLimits::parse(limits), QuotaStats::parse(stats));
        if limits.allow(&stats, count_diff, difference(new_len, old_len)) {
            Ok(())
        } else {
            Err(ErrorCode::QuotaExceeded)
        }
    }

    /// Counts a znode that was created, which may itself be part of a quota.
    pub(super) fn account_created(&mut self, id: ZnodeId) {
        let znode = self.tree.get(id);
        let (path, data_len) = (znode.path.clone(), znode.data_len());
        self.list_quota(&path);
        if let Some(QuotaNode::Stats(subtree)) = quota_node(&path) {
            let usage = self.count_usage(subtree);
            self.write_usage(subtree, |stats| *stats = usage);
        }
        self.account(&path, 1, difference(data_len, 0));
    }

    /// Counts a znode that was deleted.
    pub(super) fn account_deleted(&mut self, path: &str, data_len: usize) {
        self.unlist_quota(path);
        self.account(path, -1, difference(0, data_len));
    }

    /// Counts a change of data.
    pub(super) fn account_resized(&mut self, id: ZnodeId, old_len: usize) {
        let znode = self.tree.get(id);
        let bytes_diff = difference(znode.data_len(), old_len);
        let path = znode.path.clone();
        self.account(&path, 0, bytes_diff);
    }

    /// Remembers that a subtree has limits, if `path` is where they are.
    pub(super) fn list_quota(&mut self, path: &str) {
        if let Some(QuotaNode::Limits(subtree)) = quota_node(path) {
            self.quotas.insert(subtree);
        }
    }

    /// Undoes `list_quota`.
    pub(super) fn unlist_quota(&mut self, path: &str) {
        if let Some(QuotaNode::Limits(subtree)) = quota_node(path) {
            self.quotas.remove(subtree);
        }
    }

    fn account(&mut self, path: &str, count_diff: i64, bytes_diff: i64) {
        if let Some(prefix) = self.quotas.innermost(path).map(String::from) {
            self.write_usage(&prefix, |stats| stats.add(count_diff, bytes_diff));
        }
    }

    /// Rewrites the usage of a subtree, if a client has made a place for it.
    fn write_usage(&mut self, subtree: &str, edit: impl FnOnce(&mut QuotaStats)) {
        let Some(Found { id, hash }) = self.tree.find(&stats_path(subtree)) else {
            return;
        };
        let mut stats = QuotaStats::parse(self.tree.get(id).data.as_deref().unwrap_or_default());
        edit(&mut stats);
        let data = SharedBytes::new(stats.format().as_bytes());
        self.replace_data(Found { id, hash }, Some(data), |_, _| {});
    }

    /// Counts the subtree anew: for a client that has just made a place for its usage.
    fn count_usage(&self, subtree: &str) -> QuotaStats {
        let Some(top) = self.tree.find(subtree) else {
            return QuotaStats::new(0, 0);
        };
        let mut count = 0;
        let mut bytes = 0;
        let mut at = Some(top.id);
        while let Some(id) = at {
            count += 1;
            bytes += difference(self.tree.get(id).data_len(), 0);
            at = self.tree.next_in_subtree(id, top.id).map(|(next, _)| next);
        }
        QuotaStats::new(count, bytes)
    }
}
