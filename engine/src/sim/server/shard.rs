//! The only shard of a simulated server: what the server's `shard_core` does for clients, by the
//! same functions of the engine. Without limits and throttles, which decide when, not what.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use core::mem;

use super::connection::{Connection, ConnectionId, Ending, Expected, ExpectedKind, Phase};
use crate::{
    batch::{BatchHeader, Commands},
    ids::{Owner, ReplicaId, SessionId, Slot, Zxid},
    protocol::{
        error_code::ErrorCode,
        reply::{Reply, encode_event},
    },
    sim::{chance::Chance, coverage::Situation, observer::Observer},
    state::{
        Changes, Outcome, SessionChange, State,
        acl::may_be_told,
        command::{Command, Committed},
    },
    watch::{WatcherId, Watches, event_of},
};

/// What a shard decides about clients with.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) state: State,
    pub(super) watches: Watches,
    pub(super) connections: BTreeMap<ConnectionId, Box<Connection>>,
    /// Whom a command's answer belongs to.
    pub(super) owners: BTreeMap<Owner, ConnectionId>,
    pub(super) replica: ReplicaId,
    /// `None`: no client is let in yet.
    pub(super) next_session: Option<i64>,
    pub(super) chance: Chance,
    /// Commands of this turn.
    pub(super) commands: Commands,
    /// Questions for a read index: the last one asked, and the last one sent.
    pub(super) sync_asked: u64,
    pub(super) sync_sent: u64,
    /// Sessions that were heard of and not reported, and their connections.
    pub(super) touched: Vec<(SessionId, ConnectionId)>,
    /// What applying did to sessions and was not reported.
    pub(super) opened: Vec<(SessionId, i32)>,
    pub(super) closed: Vec<SessionId>,
    changes: Changes,
}

impl Shard {
    pub(super) fn new(state: State, replica: ReplicaId, chance: Chance) -> Self {
        Self {
            state,
            watches: Watches::new(),
            connections: BTreeMap::new(),
            owners: BTreeMap::new(),
            replica,
            next_session: None,
            chance,
            commands: Commands::default(),
            sync_asked: 0,
            sync_sent: 0,
            touched: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            changes: Changes::default(),
        }
    }

    pub(super) fn applied(&self) -> Slot {
        self.state.applied().slot
    }

    pub(super) fn last_zxid(&self) -> Zxid {
        self.state.last_zxid()
    }

    /// Lets clients in.
    pub(super) fn begin_serving(&mut self) {
        self.next_session = Some(SessionId::first(self.replica, self.chance.draw()).0);
    }

    /// Another State takes the place of this one, of a later slot: whoever was served by the
    /// earlier one must come again.
    pub(super) fn replace_state(&mut self, state: State) {
        let before = mem::replace(&mut self.state, state);
        for connection in self.connections.values_mut() {
            connection.end(Ending::Now);
        }
        self.owners.clear();
        self.watches = Watches::new();
        self.commands = Commands::default();
        self.sync_sent = self.sync_asked;
        let sessions = self.state.sessions();
        self.opened = sessions.map(|(id, session)| (id, session.timeout_ms)).collect();
        let ids = before.sessions().map(|(id, _)| id);
        self.closed = ids.filter(|id| self.state.session(*id).is_none()).collect();
    }

    pub(super) fn forget(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.owners.remove(&connection.command.owner);
        self.watches.remove_watcher(watcher(id));
    }

    /// Applies a batch, tells watchers, and answers its commands.
    pub(super) fn apply_batch(&mut self, committed: &Committed, observer: &mut Observer) {
        let header: &BatchHeader = &committed.header;
        self.state.begin_batch(header);
        for (zxid, command) in committed.with_zxids() {
            self.apply(zxid, command, observer);
        }
        self.answer_syncs();
    }

    fn apply(&mut self, zxid: Zxid, command: &Command, observer: &mut Observer) {
        self.changes.clear();
        let outcome = self.state.apply(zxid, command, &mut self.changes);
        if outcome == Err(ErrorCode::SessionMoved) {
            observer.coverage.count(Situation::SessionMovedError);
        }
        // Whoever watches learns of the change before whoever asked for it learns that it is done.
        self.tell_watchers(observer);
        if let Some(id) = self.owners.get(&command.owner).copied() {
            self.answer_command(id, zxid, &outcome);
        }
        for change in mem::take(&mut self.changes.sessions) {
            self.session_changed(change, command.owner, observer);
        }
    }

    fn tell_watchers(&mut self, observer: &mut Observer) {
        if self.changes.znodes.is_empty() || self.watches.count() == 0 {
            return;
        }
        let mut watchers = Vec::new();
        for change in &self.changes.znodes {
            self.watches.fire(change, &mut watchers);
            let mut event = Vec::new();
            encode_event(&mut event, &event_of(change.kind, change.path.clone(), change.zxid));
            for watcher in watchers.drain(..) {
                let Some(connection) = self.connections.get_mut(&ConnectionId(watcher.0)) else {
                    continue;
                };
                if may_be_told(change, &connection.command.auth, false) {
                    observer.coverage.count(Situation::WatchEvent);
                    connection.output.extend(&event);
                }
            }
        }
    }

    /// Answers the command of a client, then the reads that waited for it.
    fn answer_command(
        &mut self,
        id: ConnectionId,
        zxid: Zxid,
        outcome: &Result<Outcome, ErrorCode>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Phase::Connecting { has_read_only, password } = connection.phase {
            self.answer_handshake(id, has_read_only, password, outcome);
            return;
        }
        if matches!(outcome, Err(ErrorCode::SessionMoved)) {
            // Another connection speaks for the session: this one gets no answer, as with Apache.
            connection.end(Ending::Now);
            return;
        }
        let mut ready = Vec::new();
        let Some(Expected { xid, kind }) = connection.order.applied(&mut ready) else {
            unreachable!("{id:?} sent a command and expects nothing")
        };
        match &kind {
            ExpectedKind::Write(shape) => {
                let reply = shape.reply(outcome);
                self.answer(id, xid, zxid, reply.as_ref().map_err(|code| *code));
            }
            ExpectedKind::Close => {
                let result = outcome.as_ref().map(|_| &Reply::Empty).map_err(|code| *code);
                self.answer(id, xid, zxid, result);
            }
            ExpectedKind::Sync { .. } => unreachable!("a sync is answered before a later command"),
        }
        for deferred in ready {
            self.run_deferred(id, &deferred);
        }
        if matches!(kind, ExpectedKind::Close)
            && let Some(connection) = self.connections.get_mut(&id)
        {
            self.owners.remove(&connection.command.owner);
            connection.end(Ending::AfterOutput);
        }
    }

    fn session_changed(&mut self, change: SessionChange, asker: Owner, observer: &mut Observer) {
        match change {
            SessionChange::Opened { session, timeout_ms, .. } => {
                self.opened.push((session, timeout_ms));
            }
            SessionChange::Attached { session, timeout_ms, owner, previous_owner } => {
                if owner != previous_owner {
                    observer.coverage.count(Situation::SessionMove);
                    self.end_owner(previous_owner);
                }
                self.opened.push((session, timeout_ms));
            }
            SessionChange::Closed { session, owner } => {
                if asker == Owner(0) {
                    observer.coverage.count(Situation::Expiry);
                }
                self.end_owner(owner);
                self.closed.push(session);
            }
        }
    }

    /// Closes the connection that spoke for a session until now.
    fn end_owner(&mut self, owner: Owner) {
        if let Some(id) = self.owners.remove(&owner)
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.end(Ending::Now);
        }
    }

    /// A read index came: syncs up to question `id` wait for `slot` at most.
    pub(super) fn note_read_index(&mut self, id: u64, slot: Slot) {
        for connection in self.connections.values_mut() {
            for expected in connection.order.writes_mut() {
                if let ExpectedKind::Sync { question, index: index @ None, .. } = &mut expected.kind
                    && *question <= id
                {
                    *index = Some(slot);
                }
            }
        }
        self.answer_syncs();
    }

    /// Answers the syncs that have nothing to wait for any more.
    fn answer_syncs(&mut self) {
        let syncing = self.connections.iter().filter(|(_, connection)| connection.syncs > 0);
        let ids: Vec<ConnectionId> = syncing.map(|(id, _)| *id).collect();
        let applied = self.applied();
        for id in ids {
            while let Some(connection) = self.connections.get_mut(&id)
                && let Some(Expected { kind: ExpectedKind::Sync { index: Some(slot), .. }, .. }) =
                    connection.order.oldest_write()
                && *slot <= applied
            {
                self.answer_sync(id);
            }
        }
    }

    fn answer_sync(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mut ready = Vec::new();
        if let Some(Expected { xid, kind: ExpectedKind::Sync { path, .. } }) =
            connection.order.applied(&mut ready)
        {
            connection.syncs -= 1;
            let path = path.as_deref().map(Into::into);
            self.answer(id, xid, self.last_zxid(), Ok(&Reply::Sync { path }));
        }
        for deferred in ready {
            self.run_deferred(id, &deferred);
        }
    }

    /// Whether there is something for the replica.
    pub(super) fn has_handover(&self) -> bool {
        !self.commands.is_empty()
            || self.sync_sent < self.sync_asked
            || !self.opened.is_empty()
            || !self.closed.is_empty()
    }

    /// Sessions that were heard of since this was asked last.
    pub(super) fn take_touched(&mut self) -> Vec<SessionId> {
        let mut sessions = Vec::new();
        for (session, id) in mem::take(&mut self.touched) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.is_touched = false;
            }
            sessions.push(session);
        }
        sessions
    }
}

/// Under which name a connection's watches are kept.
pub(super) fn watcher(id: ConnectionId) -> WatcherId {
    WatcherId(id.0)
}
