//! A server's disk without the server: batches go in, positions come out.

use std::{
    cell::{Cell, RefCell},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use glommio::{LocalExecutorBuilder, Placement, timer::Timer};
use ringkeeper_engine::{
    batch::{self, Batch, BatchHeader, BatchKind},
    ids::{Ballot, LogPos, ReplicaId, Slot, WallTime, Zxid},
    storage::{Append, AppendKind, Base, recovery::Recovered, snapshot_file::SnapshotMeta},
};

use crate::disk::{
    DiskConfig,
    log_writer::{LogEvent, LogQueue, LogWriter},
    open::{LoadSnapshot, OpenError, Opened, open},
};

/// A State that is the bytes of its snapshot.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl LoadSnapshot for Bytes {
    type State = Self;
    type Error = std::io::Error;

    fn start() -> Self {
        Self::default()
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self) -> Result<Self, Self::Error> {
        Ok(self)
    }
}

/// Small segments.
pub(super) fn config(directory: &Path) -> DiskConfig {
    DiskConfig {
        data_dir: directory.join("data"),
        log_dir: directory.join("log"),
        create_dirs: true,
        replica_id: ReplicaId(1),
        segment_bytes: 3 << 20,
        command_bytes_max: 1 << 20,
        segments_ready: 2,
        // Where tests run, the directory for temporary files may be in memory.
        allow_volatile: true,
        slow_flush_ms: 60_000,
        background_bytes_per_second: 4 << 30,
    }
}

/// The appending side of a replica.
pub(super) struct Appender {
    pub(super) queue: Rc<LogQueue>,
    pub(super) durable: Rc<Cell<LogPos>>,
    pub(super) events: Rc<RefCell<Vec<LogEvent>>>,
    pub(super) last: Base,
    appended: LogPos,
    ballot: Ballot,
}

impl Appender {
    /// Appends a batch.
    pub(super) fn append(&mut self, payload: &[u8]) {
        let mut header = BatchHeader {
            slot: self.last.slot.next(),
            origin: self.ballot,
            kind: BatchKind::Commands,
            epoch: self.last.epoch,
            first_zxid: Zxid(self.last.last_zxid.0 + 1),
            zxid_count: 1,
            command_count: 1,
            time: WallTime(self.last.time.0 + 1),
            previous_hash: self.last.hash,
            hash: 0,
        };
        header.hash = batch::hash(&header, payload);
        self.last = Base::of(&header);
        let batch = Arc::new(Batch { header, payload: Arc::from(payload) });
        self.push(AppendKind::Batch { ballot: self.ballot, batch });
    }

    /// Appends the record of a snapshot.
    pub(super) fn snapshot(&mut self, base: Base) {
        self.push(AppendKind::Snapshot { base });
    }

    /// Appends that the log goes on behind a snapshot that was received.
    pub(super) fn install(&mut self, base: Base) {
        self.push(AppendKind::Install { base });
        self.last = base;
    }

    fn push(&mut self, kind: AppendKind) {
        self.appended = self.appended.next();
        let append = Append { pos: self.appended, commit: Slot(0), kind };
        self.queue.push(&mut vec![append]);
    }

    /// Waits until everything that was appended is durable.
    pub(super) async fn flushed(&self) {
        until(|| self.durable.get() == self.appended).await;
    }

    /// Appends so many batches, each durable before the next.
    pub(super) async fn append_one_by_one(&mut self, count: usize, payload_bytes: usize) {
        for _ in 0..count {
            self.append(&vec![7; payload_bytes]);
            self.flushed().await;
        }
    }
}

/// Polls until it is so, for ten seconds at most.
pub(super) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..20_000 {
        if condition() {
            return;
        }
        Timer::new(Duration::from_micros(500)).await;
    }
    panic!("it did not come true");
}

/// Runs a log writer and whoever appends to it, as the replica core does; then ends both in order.
pub(super) fn run_log<T: 'static>(
    log: LogWriter,
    recovered: &Recovered,
    work: impl AsyncFnOnce(&mut Appender) -> T + 'static,
) -> T {
    let (last, appended, promised) = (recovered.last(), recovered.appended, recovered.promised);
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make().expect("an executor");
    executor.run(async move {
        let queue = LogQueue::new();
        let durable = Rc::new(Cell::new(appended));
        let events: Rc<RefCell<Vec<LogEvent>>> = Rc::default();
        let (reported, seen) = (durable.clone(), events.clone());
        let report = move |event| {
            seen.borrow_mut().push(event);
            if let LogEvent::Durable { durable, .. } = event {
                reported.set(durable);
            }
        };
        let writer = glommio::spawn_local(log.run(queue.clone(), report));
        let ballot = Ballot { round: promised.round + 1, replica: ReplicaId(1) };
        let mut appender = Appender { queue, durable, events, last, appended, ballot };
        appender.push(AppendKind::Promise { ballot });
        appender.flushed().await;
        let result = work(&mut appender).await;
        appender.queue.close();
        writer.await;
        result
    })
}

/// Opens, works, and stops in order. Returns what was recovered and what the work returned.
pub(super) fn session<T: 'static>(
    config: &DiskConfig,
    work: impl AsyncFnOnce(&mut Appender) -> T + 'static,
) -> Result<(Recovered, T), OpenError> {
    let opened = open::<Bytes>(config)?;
    let Opened { lock, recovered, log, segments, .. } = opened;
    let result = run_log(log, &recovered, work);
    segments.stop();
    drop(lock);
    Ok((recovered, result))
}

/// Writes a snapshot with such content.
pub(super) fn write_snapshot(
    directory: &crate::disk::snapshot_writer::SnapshotDirectory,
    base: Base,
    content: &[u8],
) {
    let mut writer = directory.create(base).unwrap();
    for chunk in content.chunks(1 << 20) {
        writer.push(chunk).unwrap();
    }
    writer.finish(meta(base)).unwrap();
}

fn meta(base: Base) -> SnapshotMeta {
    SnapshotMeta { base, znode_count: 1, session_count: 2, ..SnapshotMeta::default() }
}

/// Writes a snapshot with such content that another replica sent.
pub(super) fn write_received(
    directory: &crate::disk::snapshot_writer::SnapshotDirectory,
    base: Base,
    content: &[u8],
    config: &[u8],
) {
    let mut writer = directory.create(base).unwrap();
    writer.push(content).unwrap();
    writer.finish(SnapshotMeta { is_received: true, config: config.into(), ..meta(base) }).unwrap();
}
