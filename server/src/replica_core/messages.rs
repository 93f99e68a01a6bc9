//! What the replica core does with each message, and with what its log writer says.

use ringkeeper_engine::{
    batch::BatchKind,
    ids::{Instant, SessionId},
    replica::ReadId,
    state::command::Committed,
};

use super::ReplicaCore;
use crate::{
    disk::log_writer::LogEvent,
    messages::{
        ReplicaAnswer, ReplicaQuestion, ShardId, SnapshotDone, ToArchivist, ToReplica, ToShard,
    },
};

/// Sessions of a report that one turn takes: more would keep the core from its commits.
const TURN_TOUCHES_MAX: usize = 4096;

/// Snapshots that are asked for when writes are refused: the log before the older of two may go.
const REFUSAL_SNAPSHOTS: u32 = 2;

/// A shard's report of whom it has heard of.
pub(super) struct TouchReport {
    shard: ShardId,
    heard_until: Instant,
    sessions: Vec<SessionId>,
}

impl ReplicaCore {
    pub(super) fn take_message(&mut self, message: ToReplica, now: Instant) {
        match message {
            ToReplica::Commands(commands) => self.submit(commands, now),
            ToReplica::Touched { shard, heard_until, sessions } => {
                self.report = Some(TouchReport { shard, heard_until, sessions });
                self.take_report();
            }
            ToReplica::Sessions { opened, closed } => {
                self.input.opened.extend(opened);
                self.input.closed.extend(closed);
            }
            ToReplica::Sync { shard, id } => {
                self.read_count += 1;
                let read = ReadId(self.read_count);
                self.reads.push_back((read, shard, id));
                self.input.read = Some(read);
            }
            ToReplica::SnapshotDone(done) => self.note_snapshot(&done),
            ToReplica::SnapshotFailed => self.stats.snapshot_error_count += 1,
            ToReplica::Ask { question, reply } => {
                let answer = self.answer(question);
                // Whoever asked may have given up.
                drop(reply.try_send(answer));
            }
            ToReplica::Stop => self.is_stopping = true,
        }
    }

    /// Takes as much of a shard's report as fits in a turn. Only a whole report moves the time up
    /// to which the shard has spoken.
    pub(super) fn take_report(&mut self) {
        let Some(report) = &mut self.report else { return };
        let rest = report.sessions.len().saturating_sub(TURN_TOUCHES_MAX);
        let heard = report.heard_until;
        let sessions = report.sessions.drain(rest..);
        self.input.touched.extend(sessions.map(|session| (session, heard)));
        if rest > 0 {
            return;
        }
        if let Some(heard_until) = self.heard_until.get_mut(usize::from(report.shard.0)) {
            *heard_until = report.heard_until;
        }
        self.report = None;
        let oldest = self.heard_until.iter().min().copied();
        self.input.heard_until = oldest.unwrap_or(self.input.heard_until);
    }

    pub(super) fn note_log(&mut self, event: LogEvent) {
        match event {
            LogEvent::Durable { bytes, flush_us, .. } => {
                self.stats.flush_us.record(flush_us);
                self.stats.log_bytes += bytes;
                self.log_bytes += bytes;
                if self.settings.snap_log_bytes.is_some_and(|max| self.log_bytes >= max) {
                    self.ask_snapshot();
                }
            }
            LogEvent::WritesRefused(refused) => {
                if refused {
                    tracing::error!("writes are refused: the log's disk is full");
                    self.refusal_snapshots = REFUSAL_SNAPSHOTS;
                    self.ask_refusal_snapshot();
                } else {
                    tracing::info!("writes are accepted again");
                    self.refusal_snapshots = 0;
                }
                for shard in &self.shards {
                    shard.post(ToShard::WritesRefused(refused));
                }
            }
        }
    }

    /// While writes are refused: only snapshots free log.
    fn ask_refusal_snapshot(&mut self) {
        if self.refusal_snapshots > 0 {
            self.refusal_snapshots -= 1;
            self.ask_snapshot();
        }
    }

    fn ask_snapshot(&mut self) {
        self.log_bytes = 0;
        self.archivist.post(ToArchivist::Snapshot);
    }

    pub(super) fn note_commit(&mut self, committed: &Committed) {
        self.stats.commit_count += 1;
        let is_answered = committed.header.slot > self.recovered_end;
        if !is_answered || committed.header.kind == BatchKind::NewEpoch {
            return;
        }
        let mut count = committed.commands.len();
        self.stats.batch_commands.record(count as u64);
        let now = self.clock.now();
        while count > 0 {
            let (arrived, waiting) = self.arrivals.front_mut().expect("every command has arrived");
            self.stats.commit_us.record(now.0.saturating_sub(arrived.0) / 1000);
            let taken = count.min(*waiting);
            *waiting -= taken;
            count -= taken;
            if *waiting == 0 {
                self.arrivals.pop_front();
            }
        }
    }

    fn note_snapshot(&mut self, done: &SnapshotDone) {
        self.stats.snapshot_count += 1;
        self.stats.snapshot_ms.record(done.took_ms);
        self.log_bytes = 0;
        self.input.snapshot = Some(done.base);
        self.ask_refusal_snapshot();
    }

    fn answer(&mut self, question: ReplicaQuestion) -> ReplicaAnswer {
        match question {
            ReplicaQuestion::Expiries => {
                let expiries = self.replica.expiries().into_iter();
                let signed = |ms| i64::try_from(ms).unwrap_or(i64::MAX);
                ReplicaAnswer::Expiries(expiries.map(|(ms, ids)| (signed(ms), ids)).collect())
            }
            ReplicaQuestion::Stats => ReplicaAnswer::Stats(Box::new(self.stats.clone())),
            ReplicaQuestion::ResetStats => {
                let before = Box::new(self.stats.clone());
                self.stats.reset();
                ReplicaAnswer::Stats(before)
            }
        }
    }
}
