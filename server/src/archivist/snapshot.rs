//! Snapshots: when one is due, and writing it in chunks.

use std::{io, sync::Arc};

use ringkeeper_engine::{
    batch::{Base, BatchHeader},
    ids::{Instant, Slot},
    state::{State, snapshot},
    storage::snapshot_file::SnapshotMeta,
};

use crate::{
    clock::{self, Clock},
    disk::snapshot_writer::{SnapshotDirectory, SnapshotWriter},
    messages::SnapshotDone,
};

/// After a failure, the next attempt waits so long: a full disk does not get emptier by trying.
const RETRY_AFTER_MS: u64 = 10_000;

/// A snapshot is followed by so many times its own duration without one, so that a State that is
/// large beside `snapCount` does not keep the disk busy with snapshots alone.
const PAUSE_FACTOR: u64 = 9;

/// A time that does not come.
const NEVER: Instant = Instant(u64::MAX);

/// When a snapshot is due, and which was the last.
pub(super) struct Snapshots {
    clock: Clock,
    snap_count: u64,
    directory: SnapshotDirectory,
    /// The newest of this run.
    last: Option<SnapshotDone>,
    /// The slot that was applied last.
    applied: Slot,
    /// The configuration of the cluster as of that slot, encoded; empty: none was decided.
    config: Arc<[u8]>,
    /// Commands since the last one was started.
    command_count: u64,
    /// From which slot on one is wanted whatever the count.
    wanted_from: Option<Slot>,
    /// None is started before.
    not_before: Instant,
}

/// A snapshot that is being written, of a State that does not change meanwhile.
pub(super) struct Snapshot {
    base: Base,
    writer: snapshot::Writer,
    file: SnapshotWriter,
    started: Instant,
    next_chunk_at: Instant,
}

impl Snapshot {
    /// When the next chunk may be written: the log gets its share of the disk before.
    pub(super) fn next_chunk_at(&self) -> Instant {
        self.next_chunk_at
    }
}

/// What became of a snapshot.
pub(super) enum Progress {
    /// There are more chunks.
    Writing(Box<Snapshot>),
    /// It is on the disk.
    Done(SnapshotDone),
    /// It is not, and left nothing behind.
    Failed,
}

impl Snapshots {
    pub(super) fn new(
        clock: Clock,
        snap_count: u64,
        directory: SnapshotDirectory,
        wanted_from: Option<Slot>,
        config: Arc<[u8]>,
    ) -> Self {
        Self {
            clock,
            snap_count,
            directory,
            last: None,
            applied: Slot(0),
            config,
            command_count: 0,
            wanted_from,
            not_before: Instant(0),
        }
    }

    /// Has one written as soon as `slot` is applied.
    pub(super) fn want_from(&mut self, slot: Slot) {
        self.wanted_from = Some(slot);
    }

    /// Counts what was applied.
    pub(super) fn note_applied(&mut self, header: &BatchHeader) {
        self.applied = header.slot;
        self.command_count += u64::from(header.zxid_count);
    }

    /// Another configuration was decided.
    pub(super) fn note_config(&mut self, config: Arc<[u8]>) {
        self.config = config;
    }

    /// When one will be started unless more is applied.
    pub(super) fn next_start_at(&self) -> Instant {
        if self.is_due() { self.not_before } else { NEVER }
    }

    fn is_due(&self) -> bool {
        // Without anything applied since, the last one still holds.
        let last = self.last.as_ref().map_or(Slot(0), |last| last.base.slot);
        last < self.applied
            && (self.command_count >= self.snap_count
                || self.wanted_from.is_some_and(|slot| slot <= self.applied))
    }

    /// Starts one if it is due.
    pub(super) fn start(&mut self, state: &State, now: Instant) -> Option<Box<Snapshot>> {
        if !self.is_due() || now < self.not_before {
            return None;
        }
        let base = base_of(state);
        match self.directory.create(base) {
            Ok(file) => {
                tracing::info!(slot = base.slot.0, zxid = %base.last_zxid, "snapshot started");
                self.wanted_from = None;
                self.command_count = 0;
                let writer = snapshot::Writer::new(state);
                let snapshot = Snapshot { base, writer, file, started: now, next_chunk_at: now };
                Some(Box::new(snapshot))
            }
            Err(error) => {
                self.fail(&error, now);
                None
            }
        }
    }

    /// Writes the next chunk.
    pub(super) fn go_on(
        &mut self,
        snapshot: Box<Snapshot>,
        state: &State,
        now: Instant,
    ) -> Progress {
        match self.try_go_on(snapshot, state, now) {
            Ok(progress) => progress,
            Err(error) => {
                self.fail(&error, now);
                Progress::Failed
            }
        }
    }

    fn try_go_on(
        &mut self,
        mut snapshot: Box<Snapshot>,
        state: &State,
        now: Instant,
    ) -> io::Result<Progress> {
        let mut chunk = Vec::with_capacity(snapshot::CHUNK_BYTES_MAX);
        if snapshot.writer.next_chunk(state, &mut chunk) {
            let pause = snapshot.file.push(&chunk)?;
            let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(0);
            snapshot.next_chunk_at = Instant(now.0.saturating_add(pause_ns));
            return Ok(Progress::Writing(snapshot));
        }
        let meta = SnapshotMeta {
            base: snapshot.base,
            znode_count: state.znode_count() as u64,
            session_count: state.session_count() as u64,
            is_received: false,
            config: self.config.clone(),
        };
        let written = snapshot.file.finish(meta)?;
        let now = self.clock.now();
        let done = SnapshotDone {
            base: snapshot.base,
            done_at: clock::wall(),
            path: written.path,
            bytes: written.bytes,
            took_ms: now.0.saturating_sub(snapshot.started.0) / 1_000_000,
        };
        self.not_before = now.plus_millis(PAUSE_FACTOR * done.took_ms);
        let (slot, path) = (done.base.slot.0, done.path.display());
        tracing::info!(slot, %path, bytes = done.bytes, ms = done.took_ms, "snapshot written");
        self.last = Some(done.clone());
        Ok(Progress::Done(done))
    }

    /// The server goes on without it: the log grows, and restarts take longer.
    fn fail(&mut self, error: &io::Error, now: Instant) {
        tracing::error!(%error, "cannot write a snapshot; trying again later");
        self.want_from(self.applied);
        self.not_before = now.plus_millis(RETRY_AFTER_MS);
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<&SnapshotDone> {
        self.last.as_ref()
    }

    /// Bytes of all snapshots, and of all log segments.
    pub(super) fn directory_sizes(&self) -> (u64, u64) {
        self.directory.sizes().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the sizes of the data directories");
            (0, 0)
        })
    }
}

/// Where the log stood when `state` was what it is.
pub(crate) fn base_of(state: &State) -> Base {
    let applied = state.applied();
    Base {
        slot: applied.slot,
        origin: applied.origin,
        hash: applied.hash,
        epoch: applied.epoch,
        last_zxid: applied.last_zxid,
        time: applied.time,
    }
}
