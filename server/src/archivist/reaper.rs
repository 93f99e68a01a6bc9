//! Containers and TTL znodes that are due go by commands, as all time does: the reaper only
//! proposes, at a limited rate, and applying decides again.

use std::collections::VecDeque;

use ringkeeper_engine::{
    batch::Commands,
    ids::{Instant, SessionId},
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
    Command::housekeeping(SessionId(0), Op::DeleteContainer { path })
}

#[cfg(test)]
mod tests {
    use ringkeeper_engine::{
        batch::{Batch, BatchHeader, BatchKind},
        ids::{Ballot, Epoch, Life, Owner, Slot, Zxid},
        state::{
            Changes,
            command::{Committed, CreateKind, CreateOp},
        },
    };

    use super::*;

    const SETTINGS: ArchivistSettings = ArchivistSettings {
        snap_count: 100,
        container_check_interval_ms: 1000,
        container_max_per_minute: 1200,
        container_max_never_used_ms: 0,
    };

    fn command(op: Op) -> Command {
        let nobodys = delete_command(SharedStr::new("/"));
        Command { session: SessionId(1), owner: Owner(1), op, ..nobodys }
    }

    fn create(path: &str, kind: CreateKind) -> Op {
        let acl = ringkeeper_engine::state::acl::open();
        Op::Create(CreateOp { path: path.into(), data: None, acl, kind, sequential: false })
    }

    /// A State with containers that had a child each.
    fn state_with_containers(count: usize) -> State {
        let mut commands = vec![Op::CreateSession { timeout_ms: 1000, password: [0; 16] }];
        for index in 0..count {
            commands.push(create(&format!("/c{index}"), CreateKind::Container));
            commands.push(create(&format!("/c{index}/child"), CreateKind::Persistent));
            let path = SharedStr::new(&format!("/c{index}/child"));
            commands.push(Op::Delete { path, version: -1 });
        }
        let mut state = State::new();
        state.begin_batch(&BatchHeader {
            slot: Slot(1),
            origin: Ballot::default(),
            kind: BatchKind::Commands,
            epoch: Epoch(0),
            first_zxid: Zxid(1),
            zxid_count: u32::try_from(commands.len()).expect("few"),
            command_count: u32::try_from(commands.len()).expect("few"),
            time: clock::wall(),
            previous_hash: 0,
            hash: 0,
        });
        for (zxid, op) in (1..).zip(commands) {
            let done = state.apply(Zxid(zxid), &command(op), &mut Changes::default());
            done.expect("nothing stands in the way");
        }
        state
    }

    fn count(commands: Option<Commands>) -> usize {
        commands.map_or(0, |commands| commands.ends.len())
    }

    #[test]
    fn proposes_at_the_rate_that_is_allowed_and_no_container_twice() {
        let state = state_with_containers(5);
        let mut reaper = Reaper::new(SETTINGS, Instant(0));
        assert_eq!(reaper.next_look_at(), Instant(0).plus_millis(1000));
        assert_eq!(count(reaper.look(&state, Instant(0).plus_millis(999))), 0);
        let mut proposed = Vec::new();
        for tenth in 10..40 {
            proposed.push(count(reaper.look(&state, Instant(0).plus_millis(tenth * 100))));
        }
        assert_eq!(proposed[..4], [2, 2, 1, 0]);
        assert_eq!(proposed.iter().sum::<usize>(), 5, "none of them was applied");
        for _ in 0..5 {
            reaper.note_applied();
        }
        assert_eq!(count(reaper.look(&state, Instant(0).plus_millis(5000))), 2);
    }

    #[test]
    fn proposals_that_were_lost_are_made_again() {
        let state = state_with_containers(1);
        let mut reaper = Reaper::new(SETTINGS, Instant(0));
        assert_eq!(count(reaper.look(&state, Instant(0).plus_millis(1000))), 1);
        assert_eq!(count(reaper.look(&state, Instant(0).plus_millis(30_000))), 0);
        assert_eq!(count(reaper.look(&state, Instant(0).plus_millis(62_000))), 1);
    }

    #[test]
    fn a_proposal_is_a_command_of_nobody() {
        let state = state_with_containers(1);
        let mut reaper = Reaper::new(SETTINGS, Instant(0));
        let commands = reaper.look(&state, Instant(0).plus_millis(1000)).expect("one is due");
        let header = BatchHeader {
            slot: Slot(2),
            origin: Ballot::default(),
            kind: BatchKind::Commands,
            epoch: Epoch(0),
            first_zxid: Zxid(100),
            zxid_count: 1,
            command_count: 1,
            time: clock::wall(),
            previous_hash: 0,
            hash: 0,
        };
        let batch = Batch { header, payload: commands.payload(Life(0)) };
        let decoded = Committed::decode(&batch).expect("just encoded");
        assert_eq!(*decoded.commands, [delete_command(SharedStr::new("/c0"))]);
    }
}
