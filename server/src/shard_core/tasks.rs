//! The tasks of a shard: they wait, take what came, let [`ShardCore`] decide, and hand over.
//!
//! No borrow of the core lives across an await, and no task is ever cancelled: each ends by
//! itself, or with its executor.

use std::{cell::RefCell, future::poll_fn, mem, rc::Rc, sync::Arc, task::Poll, time::Duration};

use glommio::{executor, net::AcceptedTcpStream, spawn_local, timer};
use ringkeeper_engine::state::command::Committed;

use super::{
    ShardCore,
    client::{ClientId, Phase},
    poll::Turn,
    words,
};
use crate::{
    client::{
        accept::{self, ACCEPT_PAUSE, Admission, Bound, Refused},
        connection::{Connection, Ending, OUTPUT_BYTES_PAUSE},
    },
    fatal::{FatalReason, fatal},
    mailbox::{Receiver, Sender},
    messages::{SyncId, ToArchivist, ToReplica, ToShard},
};

/// Connections that get their output before others may run.
const SLICE_SENDS: usize = 64;

/// Connections that are accepted before others may run.
const SLICE_ACCEPTS: usize = 16;

/// How long closing clients may take to be sent their last replies when the server stops.
const STOP_PATIENCE: Duration = Duration::from_millis(200);

/// Whom a shard can talk to.
#[derive(Clone, Debug)]
pub(crate) struct ShardLinks {
    /// All shards, this one included, in order.
    pub(crate) shards: Vec<Sender<ToShard>>,
    /// The replica core.
    pub(crate) replica: Sender<ToReplica>,
    /// The archivist.
    pub(crate) archivist: Sender<ToArchivist>,
}

/// A shard core and its tasks.
pub(crate) struct Shard {
    pub(super) core: RefCell<ShardCore>,
    pub(super) links: ShardLinks,
    pub(super) words: Arc<words::WordSettings>,
    admission: Admission,
}

impl Shard {
    /// Puts a shard together; nothing runs yet.
    pub(crate) fn new(
        core: ShardCore,
        links: ShardLinks,
        words: Arc<words::WordSettings>,
        admission: Admission,
    ) -> Rc<Self> {
        Rc::new(Self { core: RefCell::new(core), links, words, admission })
    }

    /// Serves until it is told to stop. Says `serving` once clients are let in.
    pub(crate) async fn run(
        self: Rc<Self>,
        inbox: Receiver<ToShard>,
        mut sockets: Vec<Bound>,
        serving: impl Fn(),
    ) {
        spawn_local(self.clone().hand_over()).detach();
        spawn_local(self.clone().send()).detach();
        spawn_local(self.clone().tick()).detach();
        let mut is_serving = false;
        while let Some(message) = inbox.recv().await {
            match message {
                ToShard::Committed(committed) => self.apply(committed).await,
                ToShard::ReadIndex { id, slot } => {
                    self.core.borrow_mut().note_read_index(id, slot);
                }
                ToShard::WritesRefused(refused) => {
                    self.core.borrow_mut().refuses_writes = refused;
                }
                ToShard::Ask { question, reply } => {
                    let answer = self.core.borrow_mut().answer_question(question, inbox.depth());
                    // Whoever asked may have given up.
                    reply.try_send(answer).ok();
                }
                ToShard::Stop => break,
            }
            if !is_serving && self.core.borrow_mut().begin_serving() {
                is_serving = true;
                for socket in sockets.drain(..) {
                    spawn_local(self.clone().accept(socket)).detach();
                }
                serving();
            }
            // Others run between two messages, and what this one caused is sent.
            executor().yield_now().await;
        }
        self.stop().await;
    }

    async fn apply(&self, committed: Arc<Committed>) {
        let mut applying = self.core.borrow_mut().begin(committed);
        while !self.core.borrow_mut().apply_some(&mut applying) {
            executor().yield_if_needed().await;
        }
    }

    /// Hands the turn's commands over to the replica core, all in one message.
    async fn hand_over(self: Rc<Self>) {
        loop {
            poll_fn(|context| {
                let mut core = self.core.borrow_mut();
                core.handover = Some(context.waker().clone());
                if core.has_handover() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            let handover = self.core.borrow_mut().take_handover();
            for message in handover {
                if let Err(message) = self.links.replica.try_send(message) {
                    {
                        let mut core = self.core.borrow_mut();
                        core.is_congested = true;
                        core.stats.handover_stalls += 1;
                    }
                    // Without a replica core the process is about to end.
                    if self.links.replica.send(message).await.is_err() {
                        return;
                    }
                    self.core.borrow_mut().is_congested = false;
                }
            }
            self.core.borrow_mut().resume_paused();
        }
    }

    /// Sends what a turn has gathered, one write per connection.
    async fn send(self: Rc<Self>) {
        loop {
            poll_fn(|context| {
                let mut core = self.core.borrow_mut();
                core.sender = Some(context.waker().clone());
                if core.dirty.is_empty() { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            self.core.borrow_mut().send_some();
            executor().yield_if_needed().await;
        }
    }

    /// What is due by time: reports of living sessions, and connections that never got one.
    async fn tick(self: Rc<Self>) {
        let interval = self.core.borrow().settings.touch_interval_ms;
        loop {
            timer::sleep(Duration::from_millis(interval)).await;
            // Even without sessions: for those of other shards, time waits for this one's report.
            let report = self.core.borrow_mut().tick();
            // Full only when the replica core is far behind; its own clock then waits for it.
            if let Err(ToReplica::Touched { sessions, .. }) = self.links.replica.try_send(report) {
                self.core.borrow_mut().late_touches = sessions;
            }
        }
    }

    async fn accept(self: Rc<Self>, socket: Bound) {
        let listener = match accept::listen(socket) {
            Ok(listener) => listener,
            Err(error) => fatal(FatalReason::Listen, &error),
        };
        let mut in_a_row = 0;
        loop {
            match listener.shared_accept().await {
                Ok(accepted) => self.clone().accepted(accepted),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    timer::sleep(ACCEPT_PAUSE).await;
                }
            }
            in_a_row += 1;
            if in_a_row % SLICE_ACCEPTS == 0 {
                executor().yield_now().await;
            }
        }
    }

    fn accepted(self: Rc<Self>, accepted: AcceptedTcpStream) {
        // Bound first, whatever comes: a stream that is not would leak its descriptor.
        let socket = accepted.bind_to_executor();
        // A client that is gone already has no address.
        let Ok(peer) = socket.peer_addr() else { return };
        let mut core = self.core.borrow_mut();
        if core.is_stopping {
            return;
        }
        let ticket = match self.admission.enter(peer.ip()) {
            Ok(ticket) => ticket,
            Err(refused) => {
                core.stats.connections_rejected += 1;
                let key = match refused {
                    Refused::Address => "maxClientCnxns",
                    Refused::Total => "maxCnxns",
                };
                tracing::warn!(%peer, key, "too many connections");
                return;
            }
        };
        tracing::debug!(%peer, "accepted");
        let id = core.welcome(Connection::new(socket, peer), ticket);
        drop(core);
        spawn_local(self.serve(id)).detach();
    }

    /// A connection's task, from the first byte to the last.
    async fn serve(self: Rc<Self>, id: ClientId) {
        loop {
            match poll_fn(|context| self.core.borrow_mut().poll_client(id, context)).await {
                Turn::Over => break,
                Turn::Word(word, mask) => {
                    // Boxed, so that the tasks of the other connections do not carry its room.
                    let text = Box::pin(self.word(word, mask)).await;
                    self.core.borrow_mut().say(id, text.as_bytes());
                }
            }
        }
        self.core.borrow_mut().forget(id);
    }

    /// Closes all connections in order. Their sessions stay, for whoever serves them next.
    async fn stop(&self) {
        self.core.borrow_mut().begin_stop();
        let mut waited = Duration::ZERO;
        let pause = Duration::from_millis(5);
        while self.core.borrow().clients.len() > 0 && waited < STOP_PATIENCE {
            timer::sleep(pause).await;
            waited += pause;
        }
    }
}

/// A text longer than this counts as several packets.
const WORD_PIECE_BYTES: usize = 8192;

impl ShardCore {
    fn has_handover(&self) -> bool {
        !self.commands.is_empty()
            || self.sync_sent < self.sync_asked
            || !self.opened.is_empty()
            || !self.closed.is_empty()
    }

    /// What this turn has for the replica core.
    fn take_handover(&mut self) -> Vec<ToReplica> {
        let mut messages = Vec::with_capacity(1);
        if !self.opened.is_empty() || !self.closed.is_empty() {
            messages.push(ToReplica::Sessions {
                opened: mem::take(&mut self.opened),
                closed: mem::take(&mut self.closed),
            });
        }
        if !self.commands.is_empty() {
            messages.push(ToReplica::Commands(self.take_commands()));
        }
        if self.sync_sent < self.sync_asked {
            self.sync_sent = self.sync_asked;
            messages.push(ToReplica::Sync { shard: self.place.id, id: SyncId(self.sync_asked) });
        }
        messages
    }

    fn send_some(&mut self) {
        let count = self.dirty.len().min(SLICE_SENDS);
        for id in self.dirty.drain(..count) {
            let Some(client) = self.clients.get_mut(id) else { continue };
            client.is_dirty = false;
            if !client.connection.is_stuck() {
                client.connection.send(&mut self.pool);
            }
            if client.connection.unsent_bytes() < OUTPUT_BYTES_PAUSE {
                // If it still may not go on, its task says so again.
                client.resume();
            }
        }
    }

    /// Sessions that were heard of since the last tick; also closes connections that never got one.
    fn tick(&mut self) -> ToReplica {
        self.now = self.clock.now();
        let patience = self.settings.sessionless_timeout_ms;
        while let Some(id) = self.sessionless.front().copied() {
            let Some(client) = self.clients.get_mut(id) else {
                self.sessionless.pop_front();
                continue;
            };
            let is_waiting = matches!(client.phase, Phase::New);
            if is_waiting && self.now < client.opened.plus_millis(patience) {
                break;
            }
            self.sessionless.pop_front();
            if is_waiting {
                self.stats.sessionless_expired += 1;
                tracing::debug!(peer = %client.connection.peer, "closing: no handshake came");
                client.end(Ending::Now);
            }
        }
        // They may have become stale without anything going on.
        self.release_held();
        let mut sessions = mem::take(&mut self.late_touches);
        for (session, id) in self.touched.drain(..) {
            if let Some(client) = self.clients.get_mut(id) {
                client.is_touched = false;
            }
            sessions.push(session);
        }
        ToReplica::Touched { shard: self.place.id, heard_until: self.now, sessions }
    }

    /// Sends a text that is not of the protocol, then closes the connection.
    fn say(&mut self, id: ClientId, text: &[u8]) {
        self.now = self.clock.now();
        let Some(client) = self.clients.get_mut(id) else { return };
        client.connection.output(&mut self.pool).extend_from_slice(text);
        // As Apache, which sends long texts in pieces of so many bytes.
        let pieces = text.len().div_ceil(WORD_PIECE_BYTES) as u64;
        client.counts.sent += pieces;
        self.stats.packets_sent += pieces;
        client.end(Ending::AfterOutput);
        self.mark_dirty(id);
    }

    fn begin_stop(&mut self) {
        self.is_stopping = true;
        for client in self.clients.iter_mut() {
            client.end(Ending::AfterOutput);
        }
    }
}
