//! The segments thread: prepares log segments before they are needed, recycles those that a
//! snapshot made superfluous, and keeps the superblocks. Nothing on a commit's way waits for it,
//! unless the disk is full.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ringkeeper_engine::{
    ids::{Ballot, Slot},
    storage::{
        Base, Lsn,
        kept::{KeptSnapshots, UsedSegment, superfluous_segment},
    },
};

use super::{
    direct::{DirectFile, flush_directory},
    names,
    pool::{Pool, ReadySegment},
    superblocks::Superblocks,
};
use crate::{
    fatal::{FatalReason, fatal},
    mailbox::{Received, Receiver, Sender},
};

/// Between two writes of a superblock: witnesses are a second line and need not be prompt.
const SUPERBLOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Between two attempts to prepare a segment on a full disk.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// To the segments thread.
#[derive(Clone, Copy, Debug)]
pub(super) enum ToSegments {
    /// The log goes on in segment `number`; the batches before it end with slot `start`.
    Rolled { number: u32, start: Slot },
    /// The log is durable up to `tail`, and `promised` is the highest ballot in it.
    Witness { tail: Lsn, promised: Ballot },
    /// The record that there is a snapshot up to here is durable.
    Snapshot { base: Base },
    /// The record is durable that the log goes on behind the snapshot up to here, which another
    /// replica sent, with nothing from before: older snapshots are of no use.
    BegunAnew { base: Base },
    /// Finish.
    Stop,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Segments {
    inbox: Sender<ToSegments>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Segments {
    /// Lets the thread finish what it was told, and waits for its end. After the log writer ended.
    pub(crate) fn stop(self) {
        // Ends the preparation of a segment early: the next start makes it anew.
        self.stop.store(true, Ordering::Relaxed);
        let is_told = self.inbox.send_blocking(ToSegments::Stop).is_ok();
        if self.thread.join().is_err() || !is_told {
            tracing::error!("the segments thread ended before it was told to");
        }
    }

    /// Starts the thread.
    pub(super) fn start(worker: Worker, inbox: Sender<ToSegments>) -> io::Result<Self> {
        let stop = worker.pool.stop();
        let thread =
            thread::Builder::new().name("segments".to_owned()).spawn(move || worker.run())?;
        Ok(Self { inbox, stop, thread })
    }
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) inbox: Receiver<ToSegments>,
    pub(super) ready: Sender<ReadySegment>,
    pub(super) pool: Pool,
    pub(super) superblocks: Superblocks,
    pub(super) data_dir: PathBuf,
    /// Segments to keep ready.
    pub(super) target: u32,
    /// Segments in use, oldest first.
    pub(super) used: VecDeque<UsedSegment>,
    /// The last segment that was prepared.
    pub(super) prepared: u32,
    /// Snapshots that are kept, oldest first.
    pub(super) snapshots: KeptSnapshots,
    /// A segment whose end was never written to, because a new start left it; with its length.
    pub(super) shrink: Option<(PathBuf, u64)>,
}

/// What the thread knows beside.
#[derive(Debug, Default)]
struct Pending {
    witness: Option<(Lsn, Ballot)>,
    superblock_written: Option<Instant>,
    /// When to try again to prepare a segment.
    retry: Option<Instant>,
    is_stopping: bool,
}

impl Worker {
    fn run(mut self) {
        let mut pending = Pending::default();
        self.shrink_left_segment();
        loop {
            while let Some(message) = self.inbox.try_recv() {
                self.take(message, &mut pending);
            }
            self.write_witness(&mut pending);
            if pending.is_stopping {
                return;
            }
            let is_prepared = self.prepare(&mut pending);
            if is_prepared {
                continue;
            }
            match self.inbox.recv_blocking(pending.wait()) {
                Received::Message(message) => self.take(message, &mut pending),
                Received::Timeout => {}
                Received::Closed => return,
            }
        }
    }

    fn take(&mut self, message: ToSegments, pending: &mut Pending) {
        match message {
            ToSegments::Rolled { number, start } => {
                self.used.push_back(UsedSegment { number, start })
            }
            ToSegments::Witness { tail, promised } => pending.witness = Some((tail, promised)),
            // The newest may turn out rotten.
            ToSegments::Snapshot { base } => self.keep(base, 2),
            // Everything depends on it.
            ToSegments::BegunAnew { base } => self.keep(base, 1),
            ToSegments::Stop => pending.is_stopping = true,
        }
    }

    /// Prepares the next segment if one is missing. Says whether to ask again at once.
    fn prepare(&mut self, pending: &mut Pending) -> bool {
        let in_use = self.used.back().map_or(0, |used| used.number);
        let is_due = pending.retry.is_none_or(|retry| retry <= Instant::now());
        if self.target <= self.prepared - in_use.min(self.prepared) || !is_due {
            return false;
        }
        let number = self.prepared + 1;
        match self.pool.prepare(number) {
            Ok(segment) => {
                self.prepared = number;
                if pending.retry.take().is_some() {
                    tracing::info!(number, "log segments can be prepared again");
                }
                // The mailbox has room for the target, and a writer that is gone needs none.
                self.ready.try_send(segment).is_ok()
            }
            Err(_) if self.pool.is_stopping() => false,
            Err(error) => {
                if pending.retry.is_none() {
                    tracing::error!(%error, number, "no log segment can be prepared; trying again");
                }
                pending.retry = Some(Instant::now() + RETRY_INTERVAL);
                false
            }
        }
    }

    /// Puts into the superblock how far the log is durable, not too often.
    fn write_witness(&mut self, pending: &mut Pending) {
        let is_due = pending.is_stopping || pending.superblock_wait().is_zero();
        if is_due && let Some((tail, promised)) = pending.witness.take() {
            let current = self.superblocks.current();
            if current.tail < tail || current.promised < promised {
                self.write_superblock(|superblock| {
                    superblock.tail = superblock.tail.max(tail);
                    superblock.promised = superblock.promised.max(promised);
                });
                pending.superblock_written = Some(Instant::now());
            }
        }
    }

    fn write_superblock(
        &mut self,
        change: impl FnOnce(&mut ringkeeper_engine::storage::superblock::Superblock),
    ) {
        if let Err(error) = self.superblocks.write(change) {
            fatal(FatalReason::LogWrite, &format_args!("superblock: {error}"));
        }
    }

    /// Keeps this snapshot, `count` in all, and the log from the oldest of them on.
    fn keep(&mut self, base: Base, count: usize) {
        let Some(superfluous) = self.snapshots.add(base.slot, count) else {
            self.remove_snapshot(base.slot);
            return;
        };
        self.write_superblock(|superblock| superblock.snapshot = base);
        superfluous.snapshots.iter().for_each(|slot| self.remove_snapshot(*slot));
        if let Some(slot) = superfluous.log {
            self.trim(slot);
        }
    }

    fn remove_snapshot(&self, slot: Slot) {
        let path = names::snapshot(&self.data_dir, slot);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(%error, path = %path.display(), "an old snapshot stays");
        }
    }

    /// Gives up the segments whose batches the snapshot at `slot` contains, oldest first, so that
    /// a crash in between leaves no gap.
    fn trim(&mut self, slot: Slot) {
        if let Err(error) = self.try_trim(slot) {
            tracing::warn!(%error, "superfluous log segments stay");
        }
    }

    fn try_trim(&mut self, slot: Slot) -> io::Result<()> {
        while let Some(number) = superfluous_segment(&self.used, slot) {
            self.pool.recycle(number)?;
            tracing::debug!(number, "log segment trimmed");
            self.used.pop_front();
        }
        Ok(())
    }

    /// A start leaves the segment before it as it is, however empty. Only its records are needed.
    fn shrink_left_segment(&mut self) {
        let Some((path, bytes)) = self.shrink.take() else { return };
        let shrink = |path: &Path| {
            let file = DirectFile::open_for_writing(path)?;
            if bytes < file.len()? {
                file.truncate(bytes)?;
            }
            flush_directory(path.parent().expect("a segment is in a directory"))
        };
        if let Err(error) = shrink(&path) {
            tracing::warn!(%error, path = %path.display(), "unused room of a log segment stays");
        }
    }
}

impl Pending {
    fn superblock_wait(&self) -> Duration {
        let since = self.superblock_written.map_or(SUPERBLOCK_INTERVAL, |at| at.elapsed());
        SUPERBLOCK_INTERVAL.saturating_sub(since)
    }

    /// How long there is nothing to do without a message.
    fn wait(&self) -> Option<Duration> {
        let witness = self.witness.is_some().then(|| self.superblock_wait());
        let retry = self.retry.map(|at| at.saturating_duration_since(Instant::now()));
        [witness, retry].into_iter().flatten().min()
    }
}
