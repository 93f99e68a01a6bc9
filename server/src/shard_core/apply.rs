//! Decided commands: applied to the State, told to watchers, answered to whom they belong.

use std::{
    borrow::Cow,
    mem,
    sync::{Arc, atomic::Ordering},
};

use ringkeeper_engine::{
    ids::{Owner, Slot, Zxid},
    protocol::{
        error_code::ErrorCode,
        reply::{Reply, encode_event},
    },
    state::{
        ChangeKind, Outcome, SessionChange,
        acl::may_be_told,
        command::{Command, Committed},
    },
    watch::event_of,
};

use super::{
    ShardCore,
    client::{ClientId, Expected, ExpectedKind, Phase},
    requests::Kind,
};
use crate::{
    client::connection::Ending,
    messages::{ShardId, SyncId},
};

/// Commands that are applied before others may run.
const SLICE_COMMANDS: usize = 128;

/// A batch that is being applied.
pub(super) struct Applying {
    committed: Arc<Committed>,
    /// The next command.
    next: usize,
    /// The zxid of the last one.
    zxid: Zxid,
}

impl ShardCore {
    /// Starts a batch.
    pub(super) fn begin(&mut self, committed: Arc<Committed>) -> Applying {
        assert!(
            committed.header.slot == self.applied.next(),
            "slot {:?} after {:?}",
            committed.header.slot,
            self.applied
        );
        self.now = self.clock.now();
        // Before anything of it can be sent.
        self.place.newest_shown.fetch_max(committed.header.slot.0, Ordering::AcqRel);
        self.state.begin_batch(&committed.header);
        let zxid = Zxid(committed.header.first_zxid.0 - 1);
        Applying { committed, next: 0, zxid }
    }

    /// Applies some of a batch's commands. Returns whether that was the rest of them.
    pub(super) fn apply_some(&mut self, applying: &mut Applying) -> bool {
        let rest = applying.committed.commands.get(applying.next..).unwrap_or_default();
        for command in rest.iter().take(SLICE_COMMANDS) {
            applying.zxid.0 += i64::from(command.op.takes_zxid());
            self.apply(applying.zxid, command);
        }
        applying.next += SLICE_COMMANDS;
        if applying.next < applying.committed.commands.len() {
            return false;
        }
        self.applied = applying.committed.header.slot;
        self.answer_syncs();
        self.resume_paused();
        true
    }

    fn apply(&mut self, zxid: Zxid, command: &Command) {
        self.changes.clear();
        let outcome = self.state.apply(zxid, command, &mut self.changes);
        // Whoever watches learns of the change before whoever asked for it learns that it is done.
        self.tell_watchers();
        if let Some(id) = self.owners.get(&command.owner).copied() {
            self.answer_command(id, zxid, &outcome);
        }
        for index in 0..self.changes.sessions.len() {
            let change = self.changes.sessions[index];
            self.session_changed(change);
        }
    }

    fn tell_watchers(&mut self) {
        if self.changes.znodes.is_empty() || self.watches.count() == 0 {
            return;
        }
        let changes = mem::take(&mut self.changes);
        let mut watchers = mem::take(&mut self.watchers);
        let mut event = mem::take(&mut self.event);
        for change in &changes.znodes {
            self.watches.fire(change, &mut watchers);
            if watchers.is_empty() {
                continue;
            }
            let count = watchers.len() as u64;
            match change.kind {
                ChangeKind::Created => self.stats.created_watches.record(count),
                ChangeKind::Deleted => self.stats.deleted_watches.record(count),
                ChangeKind::DataChanged => self.stats.changed_watches.record(count),
                ChangeKind::ChildrenChanged => self.stats.children_watches.record(count),
            }
            // Made once, whoever many are told.
            event.clear();
            encode_event(&mut event, &event_of(change.kind, change.path.clone(), change.zxid));
            for watcher in watchers.drain(..) {
                let id = ClientId(watcher.0);
                let Some(client) = self.clients.get(id) else { continue };
                if may_be_told(change, &client.command.auth, self.settings.skip_acl) {
                    self.tell(id, &event);
                }
            }
        }
        self.event = event;
        self.watchers = watchers;
        self.changes = changes;
    }

    /// Answers the command of a client of this shard, then the reads that waited for it.
    fn answer_command(&mut self, id: ClientId, zxid: Zxid, outcome: &Result<Outcome, ErrorCode>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if let Phase::Connecting(handshake) = client.phase {
            self.answer_handshake(id, &handshake, zxid, outcome);
            return;
        }
        if matches!(outcome, Err(ErrorCode::SessionMoved)) {
            // Another connection speaks for the session: this one gets no answer, as with Apache.
            client.end(Ending::Now);
            return;
        }
        let mut ready = mem::take(&mut self.ready);
        let expected = client.order.applied(&mut ready);
        let Some(Expected { xid, arrival, kind }) = expected else {
            unreachable!("{id:?} sent a command and expects nothing")
        };
        self.outstanding -= 1;
        match &kind {
            ExpectedKind::Write(shape) => {
                if outcome.is_err() {
                    client.counts.refused();
                }
                let reply = shape.reply(outcome);
                self.answer(id, xid, zxid, reply.as_ref().map_err(|code| *code));
            }
            ExpectedKind::Close => {
                let result = outcome.as_ref().map(|_| &Reply::Empty).map_err(|code| *code);
                self.answer(id, xid, zxid, result);
            }
            ExpectedKind::Sync { .. } => unreachable!("a sync is answered before a later command"),
        }
        self.note_latency(id, arrival.received, 1, Kind::Update);
        for deferred in ready.drain(..) {
            self.run_deferred(id, deferred);
        }
        self.ready = ready;
        if matches!(kind, ExpectedKind::Close)
            && let Some(client) = self.clients.get_mut(id)
        {
            self.owners.remove(&client.owner());
            client.end(Ending::AfterOutput);
        }
    }

    fn session_changed(&mut self, change: SessionChange) {
        let reports = self.place.id == ShardId(0);
        match change {
            SessionChange::Opened { session, timeout_ms, .. } => {
                if reports {
                    self.opened.push((session, timeout_ms));
                }
            }
            SessionChange::Attached { session, timeout_ms, owner, previous_owner } => {
                if owner != previous_owner {
                    self.end_owner(previous_owner);
                }
                if reports {
                    self.opened.push((session, timeout_ms));
                }
            }
            SessionChange::Closed { session, owner } => {
                self.end_owner(owner);
                if reports {
                    self.closed.push(session);
                }
            }
        }
        if reports {
            self.wake_handover();
        }
    }

    /// Closes the connection that spoke for a session until now, if it is one of this shard's.
    fn end_owner(&mut self, owner: Owner) {
        if let Some(id) = self.owners.remove(&owner)
            && let Some(client) = self.clients.get_mut(id)
        {
            client.end(Ending::Now);
        }
    }

    /// A read index came: syncs up to question `id` wait for `slot` at most.
    pub(super) fn note_read_index(&mut self, id: SyncId, slot: Slot) {
        self.now = self.clock.now();
        for client in self.syncing.iter().copied() {
            let Some(client) = self.clients.get_mut(client) else { continue };
            for expected in client.order.writes_mut() {
                if let ExpectedKind::Sync { question, index: index @ None, .. } = &mut expected.kind
                    && *question <= id.0
                {
                    *index = Some(slot);
                }
            }
        }
        self.answer_syncs();
        self.resume_paused();
    }

    /// Answers the syncs that have nothing to wait for any more.
    fn answer_syncs(&mut self) {
        if self.syncing.is_empty() {
            return;
        }
        let syncing = mem::take(&mut self.syncing);
        for id in syncing {
            while let Some(client) = self.clients.get_mut(id)
                && let Some(Expected { kind: ExpectedKind::Sync { index: Some(slot), .. }, .. }) =
                    client.order.oldest_write()
                && *slot <= self.applied
            {
                self.answer_sync(id);
            }
            if let Some(client) = self.clients.get_mut(id) {
                if client.syncs > 0 {
                    self.syncing.push(id);
                } else {
                    client.resume();
                }
            }
        }
    }

    fn answer_sync(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let mut ready = mem::take(&mut self.ready);
        if let Some(Expected { xid, arrival, kind: ExpectedKind::Sync { path, .. } }) =
            client.order.applied(&mut ready)
        {
            client.syncs -= 1;
            self.outstanding -= 1;
            let path = path.as_deref().map(Cow::Borrowed);
            self.answer(id, xid, self.last_zxid(), Ok(&Reply::Sync { path }));
            self.note_latency(id, arrival.received, 1, Kind::Read);
        }
        for deferred in ready.drain(..) {
            self.run_deferred(id, deferred);
        }
        self.ready = ready;
    }
}
