//! A shard core: its sockets, the sessions that speak through them, its watches, and a State.
//!
//! All decisions are taken without awaiting, in [`ShardCore`]; the tasks around it (`tasks`) move
//! bytes and messages. A turn is what the executor runs between two looks at its ring: connections
//! read and their requests run; what must go through the log is gathered and leaves as one message;
//! every connection with output gets one write.
//!
//! Order: a connection's replies leave in the order of its requests. Reads run at once if none of
//! the session's own writes is under way, else right after the write before them was applied and
//! before the next command. Events that a command causes are queued before any reply that follows.

mod apply;
mod client;
mod handshake;
mod poll;
mod reads;
mod report;
mod requests;
mod settings;
mod tasks;
mod throttle;
mod words;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
};

use ringkeeper_engine::{
    batch::Commands,
    ids::{Instant, Owner, SessionId, Slot, Zxid},
    limits::BATCH_BYTES_TARGET,
    state::{Changes, State},
    watch::{WatcherId, Watches},
};

pub(crate) use settings::{ServerLimits, ShardSettings};
pub(crate) use tasks::{Shard, ShardLinks};
pub(crate) use words::WordSettings;

use self::{
    client::{ClientId, Clients, Deferred},
    throttle::Held,
};
use crate::{client::connection::BufferPool, clock::Clock, messages::ShardId, metrics::ShardStats};

/// Bytes of commands that wait for room in the replica core's mailbox from which on no socket is
/// read: the disk sets the pace, and the clients' kernels hold what is too much.
const HANDOVER_BYTES_MAX: usize = 2 * BATCH_BYTES_TARGET;

/// Room for what one read brings. Larger frames come in several reads; more would let one
/// connection keep the core for too long.
const SCRATCH_BYTES: usize = 16 << 10;

/// Which of a server's shards one is.
#[derive(Clone, Debug)]
pub(crate) struct ShardPlace {
    /// Which.
    pub(crate) id: ShardId,
    /// Of how many.
    pub(crate) shard_count: u16,
    /// The newest slot that any shard of this server has begun to apply, and so may have shown to
    /// a client. The one thing that shards share on every request's way: none serves before it has
    /// come as far, so that a server looks the same whichever of its shards a client happens to be
    /// on.
    pub(crate) newest_shown: Arc<AtomicU64>,
}

/// Everything a shard decides with. Lives on its core; nothing here awaits.
pub(crate) struct ShardCore {
    place: ShardPlace,
    settings: Arc<ShardSettings>,
    limits: ServerLimits,
    clock: Clock,
    /// Read once per turn of a connection and per batch.
    now: Instant,

    state: State,
    /// The last slot whose commands were all applied.
    applied: Slot,
    /// Once it is, clients are let in: before, the State is one of the past.
    serves_from: Slot,
    watches: Watches,

    clients: Clients,
    /// Whom a command's answer belongs to, if it is a client of this shard.
    owners: HashMap<Owner, ClientId, BuildHasherDefault<RandomHasher>>,
    /// What the ids of new sessions are counted from.
    next_session: i64,
    /// How far apart they are: other shards draw from the same range.
    session_stride: i64,

    /// Commands of this turn.
    commands: Commands,
    /// Whether commands wait because the replica core's mailbox is full.
    is_congested: bool,
    /// Whether new writes are refused because the disk is almost full.
    refuses_writes: bool,
    /// Requests that are not answered yet.
    outstanding: usize,
    /// Requests that wait until fewer are outstanding, oldest first.
    held: VecDeque<Held>,
    /// Requests that were answered at once in this turn of a connection.
    immediate: u64,
    /// Questions for a read index: the last one asked, and the last one sent.
    sync_asked: u64,
    sync_sent: u64,
    /// Who has a sync under way.
    syncing: Vec<ClientId>,
    /// Sessions that were heard of and not reported, and their clients.
    touched: Vec<(SessionId, ClientId)>,
    /// Sessions whose report found the replica core's mailbox full.
    late_touches: Vec<SessionId>,
    /// What applying did to sessions and was not reported; shard 0 only.
    opened: Vec<(SessionId, i32)>,
    closed: Vec<SessionId>,
    /// New connections that have shown no session yet, oldest first.
    sessionless: VecDeque<ClientId>,

    /// Who has output to be sent at the end of the turn.
    dirty: Vec<ClientId>,
    /// Who waits for requests to be answered or handed over before it is read again.
    paused: Vec<ClientId>,

    /// Reused buffers.
    scratch: Vec<u8>,
    pool: BufferPool,
    changes: Changes,
    watchers: Vec<WatcherId>,
    event: Vec<u8>,
    ready: Vec<Deferred>,

    stats: ShardStats,
    is_stopping: bool,
    /// Woken when there are commands or questions for the replica core.
    handover: Option<Waker>,
    /// Woken when there is output.
    sender: Option<Waker>,
}

impl ShardCore {
    /// A shard over the State of the last snapshot. It lets clients in once the slot `serves_from`
    /// is applied.
    pub(crate) fn new(
        place: ShardPlace,
        settings: Arc<ShardSettings>,
        limits: ServerLimits,
        clock: Clock,
        state: State,
        serves_from: Slot,
    ) -> Self {
        Self {
            serves_from,
            now: clock.now(),
            applied: state.applied().slot,
            watches: Watches::new(),
            clients: Clients::default(),
            owners: HashMap::default(),
            next_session: 0,
            session_stride: i64::from(place.shard_count),
            place,
            commands: Commands::default(),
            is_congested: false,
            refuses_writes: false,
            outstanding: 0,
            held: VecDeque::new(),
            sync_asked: 0,
            sync_sent: 0,
            syncing: Vec::new(),
            touched: Vec::new(),
            late_touches: Vec::new(),
            immediate: 0,
            opened: Vec::new(),
            closed: Vec::new(),
            sessionless: VecDeque::new(),
            dirty: Vec::new(),
            paused: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            pool: BufferPool::default(),
            changes: Changes::default(),
            watchers: Vec::new(),
            event: Vec::new(),
            ready: Vec::new(),
            stats: ShardStats::default(),
            is_stopping: false,
            handover: None,
            sender: None,
            settings,
            limits,
            clock,
            state,
        }
    }

    /// Whether clients may be let in. If so, everything is ready for them.
    fn begin_serving(&mut self) -> bool {
        if self.applied < self.serves_from {
            return false;
        }
        let chance = getrandom::u64().expect("the kernel has random numbers");
        let first = SessionId::first(self.settings.replica_id, chance);
        self.next_session = first.0 + i64::from(self.place.id.0);
        true
    }

    /// The State, for those who report.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    fn last_zxid(&self) -> Zxid {
        self.state.last_zxid()
    }

    /// Notes that a client has output.
    fn mark_dirty(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id)
            && !client.is_dirty
        {
            client.is_dirty = true;
            self.dirty.push(id);
            if let Some(sender) = &self.sender {
                sender.wake_by_ref();
            }
        }
    }

    /// Has commands and questions handed over at the end of the turn.
    fn wake_handover(&self) {
        if let Some(handover) = &self.handover {
            handover.wake_by_ref();
        }
    }

    /// Whether sockets must wait until commands were handed over.
    fn is_full(&self) -> bool {
        self.is_congested || self.commands.bytes.len() >= HANDOVER_BYTES_MAX
    }

    /// Whether another shard may have shown a client what this one has not applied yet.
    fn is_behind(&self) -> bool {
        self.applied.0 < self.place.newest_shown.load(Ordering::Acquire)
    }

    /// Whether those who have unanswered requests must wait for some answers.
    fn is_over_limit(&self) -> bool {
        self.outstanding.max(self.held.len()) > self.settings.outstanding_max
    }

    /// Goes on with those who waited for requests of this shard.
    fn resume_paused(&mut self) {
        self.release_held();
        if self.is_behind() || self.is_full() || self.is_over_limit() {
            return;
        }
        for id in self.paused.drain(..) {
            if let Some(client) = self.clients.get_mut(id) {
                client.resume();
            }
        }
    }

    /// A connection goes: its watches with it; its session stays.
    fn forget(&mut self, id: ClientId) {
        self.settle_held(id);
        let Some(client) = self.clients.remove(id) else { return };
        self.owners.remove(&client.owner());
        self.watches.remove_watcher(watcher(id));
        self.outstanding -= client.order.len();
        tracing::debug!(peer = %client.connection.peer, session = %client.session(), "closed");
    }
}

/// Under which name a client's watches are kept.
fn watcher(id: ClientId) -> WatcherId {
    WatcherId(id.0)
}

/// Owners are random already: hashing them again would only cost.
#[derive(Default)]
struct RandomHasher(u64);

impl Hasher for RandomHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("an owner is one number");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
