//! Containers and TTL znodes that are due go by commands, as all time does: the reaper only
//! proposes, at a limited rate, and applying decides again.

use std::collections::VecDeque;

use ringkeeper_engine::{
    batch::Commands,
    ids::{Instant, Owner, SessionId, Xid},
    shared_bytes::SharedStr,
    state::{
        State,
        command::{Command, Op, encode},
    },
};

use super::ArchivistSettings;
use crate::clock;

/// How often a part of what was found is proposed.
const SLICES_PER_MINUTE: u32 = 600;

/// Proposals that were not applied by then were lost: the next scan finds their znodes again.
const LOST_AFTER_MS: u64 = 60_000;

/// Finds what is due.
pub(super) struct Reaper {
    settings: ArchivistSettings,
    /// Found and not proposed.
    found: VecDeque<SharedStr>,
    /// Proposed and not applied: until they are, a scan would find them again.
    under_way: usize,
    scan_at: Instant,
    propose_at: Instant,
    lost_at: Instant,
}

impl Reaper {
    pub(super) fn new(settings: ArchivistSettings, now: Instant) -> Self {
        let scan_at = now.plus_millis(settings.container_check_interval_ms);
        let found = VecDeque::new();
        Self { settings, found, under_way: 0, scan_at, propose_at: now, lost_at: now }
    }

    /// A deletion was applied, whoever proposed it and whatever came of it.
    pub(super) fn note_applied(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// When there may be something to do.
    pub(super) fn next_look_at(&self) -> Instant {
        if self.found.is_empty() { self.scan_at } else { self.propose_at }
    }

    /// Looks for what is due if it is time to, and returns what is to be proposed now.
    pub(super) fn look(&mut self, state: &State, now: Instant) -> Option<Commands> {
        if self.found.is_empty() && now >= self.scan_at {
            self.scan(state, now);
        }
        if self.found.is_empty() || now < self.propose_at {
            return None;
        }
        let per_minute = self.settings.container_max_per_minute.max(1);
        let count = per_minute.div_ceil(SLICES_PER_MINUTE);
        self.propose_at = now.plus_millis(u64::from(count) * 60_000 / u64::from(per_minute));
        self.lost_at = now.plus_millis(LOST_AFTER_MS);
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.found.len());
        self.under_way += count;
        let mut commands = Commands::default();
        for path in self.found.drain(..count) {
            encode(&delete_command(path), &mut commands);
        }
        Some(commands)
    }

    fn scan(&mut self, state: &State, now: Instant) {
        self.scan_at = now.plus_millis(self.settings.container_check_interval_ms.max(1));
        if self.under_way > 0 && now < self.lost_at {
            return;
        }
        self.under_way = 0;
        let max_never_used = self.settings.container_max_never_used_ms;
        let wall = clock::wall();
        self.found
            .extend(state.containers_due(wall, i64::try_from(max_never_used).unwrap_or(i64::MAX)));
        self.found.extend(state.ttl_due(wall));
        if !self.found.is_empty() {
            tracing::debug!(count = self.found.len(), "containers and TTL znodes are due");
        }
    }
}

fn delete_command(path: SharedStr) -> Command {
    Command {
        session: SessionId(0),
        owner: Owner(0),
        cxid: Xid(0),
        auth: Vec::new(),
        skip_acl: false,
        enforce_quota: false,
        op: Op::DeleteContainer { path },
    }
}
