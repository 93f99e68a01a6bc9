//! The replica core: drives the engine's `Replica` beside the log writer. Lives on its own core, or
//! beside the only shard.
//!
//! A turn: take everything that has arrived, let the replica decide, hand over what came out. The
//! three never mix, and only handing over awaits. What is committed while the disk is busy with a
//! batch makes the next batch; there is no timer on the way of a commit.
//!
//! Nothing here waits for a receiver: what does not fit into a mailbox waits in an [`outbox`], and
//! while one of those is long, nothing new is taken in.

mod messages;
mod outbox;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    mem,
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use ringkeeper_engine::{
    batch::{Batch, BatchKind, Commands},
    ids::{Instant, Life, LogPos, SessionId, Slot},
    limits::BATCH_BYTES_TARGET,
    replica::{self, Input, Output, ReadId, Replica, ReplicaConfig, Settings, Voter},
    state::command::{Command, Committed, Op, encode},
    storage::{AppendKind, recovery::Recovered},
};

use self::{
    messages::TouchReport,
    outbox::{Outbox, Signal},
};
use crate::{
    clock::{self, Clock},
    config::Config,
    disk::log_writer::{LogEvent, LogQueue, LogWriter},
    fatal::{FatalReason, fatal},
    mailbox::{Receiver, Sender},
    messages::{ShardId, SyncId, ToArchivist, ToReplica, ToShard},
    metrics::ReplicaStats,
};

/// Bytes of commands that wait for a batch from which on no message is taken in.
const WAITING_BYTES_MAX: usize = 64 * BATCH_BYTES_TARGET;

/// Messages that wait for room in one receiver's mailbox from which on none is taken in.
const OUTBOX_MAX: usize = 1024;

/// Batches on their way to the disk at a time. The next one gathers meanwhile: with two, batches
/// and groups were smaller and throughput with 16 and 64 clients was 10 to 25 % lower.
const APPENDS_IN_FLIGHT_MAX: usize = 1;

/// Messages that one turn takes in.
const TURN_MESSAGES_MAX: usize = 256;

/// Batches that are handed over before other tasks may run.
const SLICE_BATCHES: usize = 64;

/// An operator's settings, as far as the replica core decides by them.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaSettings {
    /// What the engine must know.
    pub(crate) replica: ReplicaConfig,
    /// So many bytes of log after a snapshot, the next is asked for; `None`: only the archivist's
    /// count of commands decides.
    pub(crate) snap_log_bytes: Option<u64>,
}

impl ReplicaSettings {
    /// What `config` says about the replica `own`, which is the only voter. To be asked once for
    /// every run of a process: the life is drawn here.
    pub(crate) fn standalone(config: &Config, own: Voter) -> Self {
        Self {
            replica: ReplicaConfig {
                consensus: Settings::new(own, draw_life(), replica::Config::new(vec![own])),
                appends_in_flight_max: APPENDS_IN_FLIGHT_MAX,
                tick_ms: u64::from(config.tick_time_ms),
            },
            snap_log_bytes: config.snap_log_bytes,
        }
    }
}

/// Where what is decided goes.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaLinks {
    /// All shards, in order.
    pub(crate) shards: Vec<Sender<ToShard>>,
    /// The archivist.
    pub(crate) archivist: Sender<ToArchivist>,
}

/// The replica, and what must be remembered between two turns.
pub(crate) struct ReplicaCore {
    settings: ReplicaSettings,
    clock: Clock,
    replica: Replica,
    input: Input,
    output: Output,

    log: Rc<LogQueue>,
    news: Rc<News>,
    shards: Vec<Rc<Outbox<ToShard>>>,
    archivist: Rc<Outbox<ToArchivist>>,

    /// Batches that were appended and are decoded already: that is done while the disk is busy.
    decoded: VecDeque<Arc<Committed>>,
    /// Slots up to this one were in the log at start: nobody waits for an answer.
    recovered_end: Slot,
    /// When the commands came that are not committed, oldest first, and how many.
    arrivals: VecDeque<(Instant, usize)>,
    /// Until when each shard has reported the sessions that it heard of.
    heard_until: Vec<Instant>,
    /// A shard's report that was too long for one turn.
    report: Option<TouchReport>,
    /// Questions for a read index, oldest first.
    reads: VecDeque<(ReadId, ShardId, SyncId)>,
    read_count: u64,

    /// Bytes of log since the last snapshot was asked for.
    log_bytes: u64,
    /// Snapshots that are still to be asked for because writes are refused.
    refusal_snapshots: u32,
    is_stopping: bool,
    stats: ReplicaStats,
}

/// What other tasks of this core tell it between two turns.
#[derive(Default)]
struct News {
    signal: Rc<Signal>,
    log: RefCell<Vec<LogEvent>>,
    durable: Cell<LogPos>,
}

impl ReplicaCore {
    /// The replica over what recovery found. `sessions` are those of the recovered State, with
    /// their timeouts: each starts with its full one.
    pub(crate) fn new(
        settings: ReplicaSettings,
        links: ReplicaLinks,
        clock: Clock,
        recovered: Recovered,
        sessions: Vec<(SessionId, i32)>,
    ) -> Self {
        let now = clock.now();
        let news = Rc::new(News::default());
        let signal = &news.signal;
        let shards: Vec<_> =
            links.shards.into_iter().map(|shard| Outbox::new(shard, signal.clone())).collect();
        let archivist = Outbox::new(links.archivist, signal.clone());
        let recovered_end = recovered.last().slot;
        Self {
            replica: Replica::recover(settings.replica.clone(), recovered, now),
            settings,
            clock,
            input: Input { opened: sessions, heard_until: now, ..Input::default() },
            output: Output::default(),
            log: LogQueue::new(),
            heard_until: vec![now; shards.len()],
            news,
            shards,
            archivist,
            decoded: VecDeque::new(),
            recovered_end,
            arrivals: VecDeque::new(),
            report: None,
            reads: VecDeque::new(),
            read_count: 0,
            log_bytes: 0,
            refusal_snapshots: 0,
            is_stopping: false,
            stats: ReplicaStats::default(),
        }
    }

    /// Runs until it is told to stop. When this returns, everything that was appended is durable.
    pub(crate) async fn run(mut self, inbox: Receiver<ToReplica>, log: LogWriter) {
        let news = self.news.clone();
        let report = move |event| {
            if let LogEvent::Durable { durable, .. } = event {
                news.durable.set(durable);
            }
            news.log.borrow_mut().push(event);
            news.signal.raise();
        };
        let writer = glommio::spawn_local(log.run(self.log.clone(), report));
        // The first turn has nothing to wait for: it claims a ballot.
        self.news.signal.raise();
        while !self.is_stopping {
            self.wait(&inbox).await;
            self.take(&inbox);
            self.replica.step(&mut self.input, &mut self.output);
            if let Some(level) = self.output.too_old_for {
                let cause = format!("the cluster uses feature level {level}: update this server");
                fatal(FatalReason::TooOld, &cause);
            }
            self.hand_over().await;
        }
        self.log.close();
        writer.await;
    }

    /// Waits until there is something to do.
    async fn wait(&self, inbox: &Receiver<ToReplica>) {
        poll_fn(|context| {
            self.news.signal.register(context.waker());
            let has_commands =
                !self.input.commands.is_empty() || !self.input.housekeeping.is_empty();
            let has_own_work = has_commands || self.report.is_some();
            let has_messages = !self.is_behind() && inbox.poll_wait(context).is_ready();
            if self.news.signal.take() || has_own_work || has_messages {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// Whether what was taken in before must be dealt with first. The senders' mailbox fills, and
    /// they stop reading from clients.
    fn is_behind(&self) -> bool {
        self.replica.waiting_bytes() >= WAITING_BYTES_MAX
            || self.archivist.len() >= OUTBOX_MAX
            || self.shards.iter().any(|shard| shard.len() >= OUTBOX_MAX)
    }

    /// Takes what has arrived into the next step's input.
    fn take(&mut self, inbox: &Receiver<ToReplica>) {
        let now = self.clock.now();
        self.input.now = now;
        self.input.random = now.0;
        self.input.wall = clock::wall();
        self.input.durable = self.news.durable.get();
        for event in self.news.log.take() {
            self.note_log(event);
        }
        self.take_report();
        if self.is_behind() {
            return;
        }
        let mut bytes = self.replica.waiting_bytes();
        for _ in 0..TURN_MESSAGES_MAX {
            if self.report.is_some() || bytes >= WAITING_BYTES_MAX {
                break;
            }
            let Some(message) = inbox.try_recv() else {
                self.is_stopping |= inbox.is_closed();
                break;
            };
            if let ToReplica::Commands(commands) = &message {
                bytes += commands.bytes.len();
            }
            self.take_message(message, now);
        }
    }

    /// Carries out what the replica has decided.
    async fn hand_over(&mut self) {
        let appended: Vec<Arc<Batch>> = self.appended_batches();
        if !self.output.appends.is_empty() {
            self.log.push(&mut self.output.appends);
        }
        for (index, batch) in mem::take(&mut self.output.committed).into_iter().enumerate() {
            self.tell_committed(&batch);
            if (index + 1).is_multiple_of(SLICE_BATCHES) {
                glommio::executor().yield_if_needed().await;
            }
        }
        self.answer_reads();
        self.close_expired();
        // Last: the shards work on what was committed meanwhile, and nothing but handing over is
        // left to do when the disk is done with these.
        self.decoded.extend(appended.iter().map(|batch| decode(batch)));
    }

    fn appended_batches(&self) -> Vec<Arc<Batch>> {
        let batch_of = |kind: &AppendKind| match kind {
            AppendKind::Batch { batch, .. } => Some(batch.clone()),
            AppendKind::Promise { .. }
            | AppendKind::Snapshot { .. }
            | AppendKind::Install { .. } => None,
        };
        self.output.appends.iter().filter_map(|append| batch_of(&append.kind)).collect()
    }

    /// Everybody who has a State gets the batch.
    fn tell_committed(&mut self, batch: &Batch) {
        let decoded = self.decoded.pop_front_if(|decoded| decoded.header == batch.header);
        let committed = decoded.unwrap_or_else(|| decode(batch));
        for shard in &self.shards {
            shard.post(ToShard::Committed(committed.clone()));
        }
        self.note_commit(&committed);
        if batch.header.kind == BatchKind::Config {
            self.archivist.post(ToArchivist::Config(batch.payload.clone()));
        }
        self.archivist.post(ToArchivist::Committed(committed));
    }

    /// Each shard gets one answer, which is to all of its questions that are answered.
    fn answer_reads(&mut self) {
        let Some(index) = self.output.read.take() else { return };
        let mut answers: Vec<Option<SyncId>> = vec![None; self.shards.len()];
        while let Some((_, shard, id)) = self.reads.pop_front_if(|(read, ..)| *read <= index.id) {
            if let Some(answer) = answers.get_mut(usize::from(shard.0)) {
                *answer = Some(id);
            }
        }
        for (shard, id) in self.shards.iter().zip(answers) {
            if let Some(id) = id {
                shard.post(ToShard::ReadIndex { id, slot: index.slot });
            }
        }
    }

    /// Proposes to close the sessions of which nothing was heard.
    fn close_expired(&mut self) {
        if self.output.expired.is_empty() {
            return;
        }
        tracing::info!(count = self.output.expired.len(), "sessions expired");
        self.stats.sessions_expired += self.output.expired.len() as u64;
        let mut commands = Commands::default();
        for session in self.output.expired.drain(..) {
            encode(&Command::housekeeping(session, Op::CloseSession), &mut commands);
        }
        let Some(epoch) = self.output.leading else { return };
        self.arrivals.push_back((self.clock.now(), commands.ends.len()));
        self.input.housekeeping.push((epoch, commands));
    }

    /// Has commands proposed in the next step.
    fn submit(&mut self, commands: Commands, now: Instant) {
        self.arrivals.push_back((now, commands.ends.len()));
        self.input.commands.push(commands);
    }
}

fn draw_life() -> Life {
    loop {
        let life = getrandom::u64().expect("the kernel has random numbers");
        if life != 0 {
            return Life(life);
        }
    }
}

fn decode(batch: &Batch) -> Arc<Committed> {
    match Committed::decode(batch) {
        Ok(committed) => Arc::new(committed),
        Err(error) => {
            let slot = batch.header.slot.0;
            fatal(FatalReason::Undecodable, &format!("the batch at slot {slot}: {error}"))
        }
    }
}
