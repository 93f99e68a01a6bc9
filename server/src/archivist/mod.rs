//! The archivist: a thread with a State of its own, for whatever takes longer than a client should
//! wait: snapshots, scans for containers and TTL znodes, and questions about the whole tree.
//!
//! A snapshot is of one slot exactly: while it is written, nothing is applied, and committed
//! batches queue here. Nobody waits for this thread but who asks it a question.

mod reaper;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use ringkeeper_engine::{
    batch::BatchKind,
    ids::{Instant, Slot},
    protocol::error_code::ErrorCode,
    state::{
        ChangeKind, Changes, Outcome, State,
        command::{Committed, Op},
    },
};

use self::{
    reaper::Reaper,
    snapshot::{Progress, Snapshot, Snapshots},
};
use crate::{
    clock::Clock,
    config::Config,
    disk::snapshot_writer::SnapshotDirectory,
    mailbox::{Received, Receiver, Sender},
    messages::{ArchivistAnswer, ArchivistQuestion, ToArchivist, ToReplica},
    metrics::{NamespaceReport, Namespaces, QuotaReport, namespace},
};

/// Batches that may wait for a snapshot to be finished. Beyond, they wait in the mailbox, then in
/// the replica core, and in the end clients wait: better than memory without a bound.
const WAITING_MAX: usize = 1 << 18;

/// How soon a message is tried again that the replica core had no room for.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// An operator's settings, as far as the archivist decides by them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ArchivistSettings {
    /// Commands between snapshots.
    pub(crate) snap_count: u64,
    /// How often containers and TTL znodes are looked for.
    pub(crate) container_check_interval_ms: u64,
    /// How many of them go in a minute.
    pub(crate) container_max_per_minute: u32,
    /// Containers that never had a child go after this long; 0: never.
    pub(crate) container_max_never_used_ms: u64,
}

impl ArchivistSettings {
    /// What `config` says about the archivist.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            snap_count: config.snap_count,
            container_check_interval_ms: config.container_check_interval_ms,
            container_max_per_minute: config.container_max_per_minute,
            container_max_never_used_ms: config.container_max_never_used_ms,
        }
    }
}

/// What the archivist starts with.
pub(crate) struct ArchivistStart {
    /// Settings.
    pub(crate) settings: ArchivistSettings,
    /// The process's clock.
    pub(crate) clock: Clock,
    /// What recovery found.
    pub(crate) state: State,
    /// If the log is so long that a snapshot should shorten it soon: from which slot on, which is
    /// the end of what is replayed now.
    pub(crate) wants_snapshot_from: Option<Slot>,
    /// The configuration of the cluster in it, encoded.
    pub(crate) config: Arc<[u8]>,
    /// Where snapshots go.
    pub(crate) directory: SnapshotDirectory,
    /// Who is told.
    pub(crate) replica: Sender<ToReplica>,
}

/// The thread's state.
struct Archivist {
    clock: Clock,
    state: State,
    changes: Changes,
    /// Committed and not applied, because a snapshot is being written.
    waiting: VecDeque<Arc<Committed>>,
    /// The configurations in those and in the next, in order.
    configs: VecDeque<Arc<[u8]>>,
    /// Bytes written by namespace. Counted here, because nobody waits for this thread.
    writes: Namespaces,
    /// Writes that a hard quota refused, by namespace. No more than there were quotas.
    refused: BTreeMap<String, u64>,
    snapshots: Snapshots,
    /// The snapshot that is being written.
    snapshot: Option<Box<Snapshot>>,
    reaper: Reaper,
    replica: Sender<ToReplica>,
    /// What the replica core had no room for. This thread must not wait for it: it may be waiting
    /// for this one.
    outgoing: VecDeque<ToReplica>,
}

/// Starts the thread. It ends after `ToArchivist::Stop`.
pub(crate) fn start(
    start: ArchivistStart,
    inbox: Receiver<ToArchivist>,
) -> io::Result<JoinHandle<()>> {
    let now = start.clock.now();
    let archivist = Archivist {
        clock: start.clock,
        state: start.state,
        changes: Changes::default(),
        waiting: VecDeque::new(),
        configs: VecDeque::new(),
        writes: Namespaces::default(),
        refused: BTreeMap::new(),
        snapshots: Snapshots::new(
            start.clock,
            start.settings.snap_count,
            start.directory,
            start.wants_snapshot_from,
            start.config,
        ),
        snapshot: None,
        reaper: Reaper::new(start.settings, now),
        replica: start.replica,
        outgoing: VecDeque::new(),
    };
    thread::Builder::new().name("archivist".to_owned()).spawn(move || archivist.run(&inbox))
}

impl Archivist {
    fn run(mut self, inbox: &Receiver<ToArchivist>) {
        loop {
            let patience = self.next_due();
            if self.waiting.len() >= WAITING_MAX {
                thread::sleep(patience);
            } else {
                match inbox.recv_blocking(Some(patience)) {
                    Received::Message(ToArchivist::Stop) | Received::Closed => return,
                    Received::Message(message) => self.take(message),
                    Received::Timeout => {}
                }
            }
            let now = self.clock.now();
            self.write_some(now);
            if let Some(commands) = self.reaper.look(&self.state, now) {
                self.outgoing.push_back(ToReplica::Commands(commands));
            }
            self.send();
        }
    }

    fn take(&mut self, message: ToArchivist) {
        match message {
            ToArchivist::Committed(committed) if self.snapshot.is_some() => {
                self.waiting.push_back(committed);
            }
            ToArchivist::Committed(committed) => self.apply(&committed),
            ToArchivist::Config(config) => self.configs.push_back(config),
            ToArchivist::Snapshot => self.snapshots.want_from(Slot(0)),
            ToArchivist::Ask { question, reply } => {
                let answer = self.answer(question);
                // Whoever asked may have given up.
                drop(reply.try_send(answer));
            }
            ToArchivist::Stop => unreachable!("ends the loop"),
        }
    }

    fn apply(&mut self, committed: &Committed) {
        self.state.begin_batch(&committed.header);
        for (zxid, command) in committed.with_zxids() {
            self.changes.clear();
            // Whoever asked is answered by its own shard; here only the State counts.
            let outcome = self.state.apply(zxid, command, &mut self.changes);
            self.count_refused(&command.op, &outcome);
            count_writes(&mut self.writes, &self.state, &self.changes);
            if let Op::DeleteContainer { .. } = command.op {
                self.reaper.note_applied();
            }
        }
        if committed.header.kind == BatchKind::Config {
            let config = self.configs.pop_front().expect("it came before its batch");
            self.snapshots.note_config(config);
        }
        self.snapshots.note_applied(&committed.header);
    }

    /// Counts a write that a hard quota refused: alone, or as the part of a multi that failed.
    fn count_refused(&mut self, op: &Op, outcome: &Result<Outcome, ErrorCode>) {
        let refused = match (op, outcome) {
            (op, Err(ErrorCode::QuotaExceeded)) => Some(op),
            (
                Op::Multi(parts),
                Ok(Outcome::MultiFailed { failed, code: ErrorCode::QuotaExceeded, .. }),
            ) => parts.get(*failed),
            _ => None,
        };
        let path = match refused {
            Some(Op::Create(create)) => create.path.as_str(),
            Some(Op::SetData { path, .. }) => path.as_str(),
            _ => return,
        };
        if let Some(name) = namespace(path) {
            *self.refused.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Goes on with a snapshot, or starts one that is due.
    fn write_some(&mut self, now: Instant) {
        let Some(snapshot) = &mut self.snapshot else {
            self.snapshot = self.snapshots.start(&self.state, now);
            return;
        };
        if now < snapshot.next_chunk_at() {
            return;
        }
        let snapshot = self.snapshot.take().expect("was there just now");
        match self.snapshots.go_on(snapshot, &self.state, now) {
            Progress::Writing(snapshot) => self.snapshot = Some(snapshot),
            Progress::Done(done) => {
                self.outgoing.push_back(ToReplica::SnapshotDone(done));
                self.catch_up();
            }
            Progress::Failed => {
                self.outgoing.push_back(ToReplica::SnapshotFailed);
                self.catch_up();
            }
        }
    }

    fn catch_up(&mut self) {
        while let Some(committed) = self.waiting.pop_front() {
            self.apply(&committed);
        }
    }

    fn send(&mut self) {
        while let Some(message) = self.outgoing.pop_front() {
            if let Err(message) = self.replica.try_send(message) {
                self.outgoing.push_front(message);
                return;
            }
        }
    }

    /// How long there is nothing to do unless a message comes.
    fn next_due(&self) -> Duration {
        let due = match &self.snapshot {
            Some(snapshot) => snapshot.next_chunk_at().min(self.reaper.next_look_at()),
            None => self.snapshots.next_start_at().min(self.reaper.next_look_at()),
        };
        let wait = Duration::from_nanos(due.0.saturating_sub(self.clock.now().0));
        if self.outgoing.is_empty() { wait } else { wait.min(RETRY_AFTER) }
    }

    fn answer(&mut self, question: ArchivistQuestion) -> ArchivistAnswer {
        match question {
            ArchivistQuestion::Ephemerals => {
                let of_session = |(id, session): (_, &ringkeeper_engine::state::Session)| {
                    let paths: Vec<_> = session.ephemerals().cloned().collect();
                    (!paths.is_empty()).then_some((id, paths))
                };
                ArchivistAnswer::Ephemerals(self.state.sessions().filter_map(of_session).collect())
            }
            ArchivistQuestion::DirectorySizes => {
                let (data_bytes, log_bytes) = self.snapshots.directory_sizes();
                ArchivistAnswer::DirectorySizes { data_bytes, log_bytes }
            }
            ArchivistQuestion::LastSnapshot => {
                ArchivistAnswer::LastSnapshot(self.snapshots.last().cloned())
            }
            ArchivistQuestion::Namespaces => {
                ArchivistAnswer::Namespaces(Box::new(NamespaceReport {
                    writes: self.writes.clone(),
                    quotas: report_quotas(&self.state),
                    refused: self.refused.clone(),
                }))
            }
            ArchivistQuestion::ResetStats => {
                self.writes.reset();
                self.refused.values_mut().for_each(|count| *count = 0);
                ArchivistAnswer::Done
            }
        }
    }
}

/// Counts what a command wrote, as Apache does: path and data of what is new, the path of what
/// went.
fn count_writes(writes: &mut Namespaces, state: &State, changes: &Changes) {
    for change in &changes.znodes {
        let data_bytes = match change.kind {
            ChangeKind::Created | ChangeKind::DataChanged => {
                let stat = state.stat_of(&change.path);
                stat.map_or(0, |stat| usize::try_from(stat.data_length).unwrap_or(0))
            }
            ChangeKind::Deleted => 0,
            ChangeKind::ChildrenChanged => continue,
        };
        writes.record(&change.path, data_bytes);
    }
}

/// The quotas of each namespace. A hard limit counts where there is one.
fn report_quotas(state: &State) -> BTreeMap<String, QuotaReport> {
    let mut reports: BTreeMap<String, QuotaReport> = BTreeMap::new();
    let limit = |hard: i64, soft: i64| if hard > -1 { hard } else { soft };
    for (prefix, limits, stats) in state.quotas() {
        let Some(name) = namespace(prefix) else { continue };
        let report = reports.entry(name.to_owned()).or_default();
        report.count_limit += limit(limits.count_hard, limits.count);
        report.bytes_limit += limit(limits.bytes_hard, limits.bytes);
        if let Some(stats) = stats {
            report.count += stats.count();
            report.bytes += stats.bytes();
        }
    }
    reports
}
