//! The log writer: everything that was appended since the last flush shares one write and one
//! flush. Lives on the replica core.
//!
//! One group is under way at a time, and only what was in it counts as durable when its flush
//! returns: an append that comes while it is written waits for the next one.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use futures_lite::future;
use glommio::{
    io::{DmaFile, OpenOptions},
    timer::Timer,
};
use ringkeeper_engine::{
    ids::{Ballot, LogPos},
    storage::{
        Append, AppendKind, Lsn,
        block::BLOCK_BYTES,
        group::{LogEnd, Plan},
    },
};

use super::{pool::ReadySegment, segments::ToSegments};
use crate::{
    fatal::{FatalReason, fatal},
    mailbox::{Receiver, Sender},
};

/// After so long without an append, a record witnesses that everything before it is durable.
const IDLE: Duration = Duration::from_millis(2);

/// How often the superblock learns of the end of a log that is never idle.
const WITNESS_INTERVAL: Duration = Duration::from_millis(500);

/// What the replica core hands to the log writer.
#[derive(Default)]
pub(crate) struct LogQueue {
    appends: RefCell<VecDeque<Append>>,
    is_closed: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl LogQueue {
    /// An empty queue.
    pub(crate) fn new() -> Rc<Self> {
        Rc::default()
    }

    /// Adds `appends`, in order of their positions, and wakes the writer. Empties the vector.
    pub(crate) fn push(&self, appends: &mut Vec<Append>) {
        self.appends.borrow_mut().extend(appends.drain(..));
        self.wake();
    }

    /// Nothing will be pushed any more: the writer finishes what waits, and ends.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    /// How many appends wait for the next group.
    pub(crate) fn depth(&self) -> usize {
        self.appends.borrow().len()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether the writer has something to do. Otherwise wakes it when it has.
    fn poll_wait(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_closed.get() || 0 < self.depth() {
            return Poll::Ready(());
        }
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// What the log writer tells the replica core.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogEvent {
    /// Every append up to `durable` is on the disk.
    Durable {
        /// For `Input::durable`.
        durable: LogPos,
        /// Bytes that the group took.
        bytes: u64,
        /// Microseconds of its write and flush.
        flush_us: u64,
    },
    /// Whether clients' writes must be refused from now on, because no segment is ready and the
    /// one in use is almost full. What was appended is still written.
    WritesRefused(bool),
}

/// The end of the log, ready to be written on. Made by `open`, run on the replica core.
#[derive(Debug)]
pub(crate) struct LogWriter {
    end: LogEnd,
    segment: ReadySegment,
    ready: Receiver<ReadySegment>,
    segments: Sender<ToSegments>,
    slow_flush: Duration,
}

impl LogWriter {
    pub(super) fn new(
        end: LogEnd,
        segment: ReadySegment,
        ready: Receiver<ReadySegment>,
        segments: Sender<ToSegments>,
        slow_flush_ms: u64,
    ) -> Self {
        Self { end, segment, ready, segments, slow_flush: Duration::from_millis(slow_flush_ms) }
    }

    /// Writes what is pushed into `queue` until it is closed; then seals the log's end and
    /// returns. Never more than one write and flush is under way. A failed write or flush ends the
    /// process (`FatalReason::LogWrite`). Await it to its end; do not drop it before.
    pub(crate) async fn run(self, queue: Rc<LogQueue>, report: impl FnMut(LogEvent)) {
        let file = open(&self.segment).await;
        let running = Running {
            end: self.end,
            file,
            segment_blocks: self.segment.block_count,
            next: None,
            ready: self.ready,
            segments: self.segments,
            slow_flush: self.slow_flush,
            pad: None,
            needs_pad: false,
            witnessed: (Lsn::ZERO, Ballot::default()),
            witnessed_at: Instant::now(),
            is_refusing: false,
            report,
        };
        running.run(&queue).await;
    }
}

/// A write that nobody waits for yet.
type Write = Pin<Box<dyn Future<Output = ()>>>;

/// The next segment, open.
#[derive(Debug)]
struct Next {
    segment: ReadySegment,
    file: Rc<DmaFile>,
}

struct Running<R> {
    end: LogEnd,
    file: Rc<DmaFile>,
    segment_blocks: u32,
    /// Opened ahead of its use, so that rolling costs nothing but a seal.
    next: Option<Next>,
    ready: Receiver<ReadySegment>,
    segments: Sender<ToSegments>,
    slow_flush: Duration,
    /// A witness that is being written. The next flush waits for it, the next write does not.
    pad: Option<Write>,
    /// Whether the last group has no witness behind it.
    needs_pad: bool,
    /// What the superblock was told last.
    witnessed: (Lsn, Ballot),
    witnessed_at: Instant,
    is_refusing: bool,
    report: R,
}

impl<R: FnMut(LogEvent)> Running<R> {
    async fn run(mut self, queue: &LogQueue) {
        loop {
            self.open_next().await;
            self.refuse_or_admit();
            self.wait(queue).await;
            let is_closed = queue.is_closed.get();
            if queue.depth() == 0 {
                if is_closed {
                    break;
                }
                continue;
            }
            self.write_group(queue).await;
        }
        self.finish().await;
    }

    /// Waits for appends, and for a segment if none is ready. Writes a witness when idle.
    async fn wait(&mut self, queue: &LogQueue) {
        if self.needs_pad && queue.depth() == 0 {
            let idle = async {
                Timer::new(IDLE).await;
                true
            };
            let news = async {
                self.news(queue).await;
                false
            };
            if !future::or(news, idle).await {
                return;
            }
            self.start_pad();
            self.witness();
        }
        if let Some(mut pad) = self.pad.take() {
            let written = async {
                (&mut pad).await;
                true
            };
            let news = async {
                self.news(queue).await;
                false
            };
            if !future::or(news, written).await {
                self.pad = Some(pad);
                return;
            }
        }
        self.news(queue).await;
    }

    /// Ends when there are appends, or the next segment, or nothing will come any more.
    async fn news(&self, queue: &LogQueue) {
        let needs_segment = self.next.is_none() && !self.ready.is_closed();
        poll_fn(|context| {
            if needs_segment && self.ready.poll_wait(context).is_ready() {
                return Poll::Ready(());
            }
            queue.poll_wait(context)
        })
        .await;
    }

    /// Writes and flushes everything that waits, as far as it fits in a group.
    async fn write_group(&mut self, queue: &LogQueue) {
        let plan = self.end.plan(queue.appends.borrow().iter());
        let Plan::Write { append_count, block_count } = plan else {
            self.roll().await;
            return;
        };
        let group: Vec<Append> = queue.appends.borrow_mut().drain(..append_count).collect();
        let start = Instant::now();
        let bytes = usize::try_from(block_count).expect("a group fits in memory") * BLOCK_BYTES;
        let mut buffer = self.file.alloc_dma_buffer(bytes);
        let at = self.end.encode(&group, buffer.as_bytes_mut());
        let write = write(self.file.clone(), buffer, at);
        match self.pad.take() {
            None => write.await,
            Some(pad) => {
                future::zip(write, pad).await;
            }
        }
        flush(&self.file).await;
        let durable = self.end.flushed();
        let took = start.elapsed();
        self.needs_pad = true;
        let flush_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bytes = u64::try_from(bytes).expect("64 bits");
        (self.report)(LogEvent::Durable { durable, bytes, flush_us });
        if self.slow_flush <= took {
            tracing::warn!(flush_us, bytes, "slow log flush");
        }
        self.after_group(&group).await;
    }

    /// What others must know of a group that is durable. Nobody's commit waits for it.
    async fn after_group(&mut self, group: &[Append]) {
        for append in group {
            match append.kind {
                AppendKind::Install { base } if self.end.begun_anew() == Some(base) => {
                    self.tell(ToSegments::BegunAnew { base }).await;
                }
                AppendKind::Snapshot { base } | AppendKind::Install { base } => {
                    self.tell(ToSegments::Snapshot { base }).await;
                }
                AppendKind::Batch { .. } | AppendKind::Promise { .. } => {}
            }
        }
        let is_promise_new = self.witnessed.1 < self.end.promised();
        if is_promise_new || WITNESS_INTERVAL <= self.witnessed_at.elapsed() {
            self.witness();
        }
    }

    /// Goes on in the next segment; waits for one if none is ready.
    async fn roll(&mut self) {
        if let Some(pad) = self.pad.take() {
            pad.await;
        }
        // A witness may be written and not flushed, and what a seal says must be durable.
        flush(&self.file).await;
        self.end.flushed();
        while self.next.is_none() {
            if self.ready.depth() == 0 && !self.is_refusing {
                self.is_refusing = true;
                (self.report)(LogEvent::WritesRefused(true));
            }
            poll_fn(|context| self.ready.poll_wait(context)).await;
            if self.ready.is_closed() && self.ready.depth() == 0 {
                fatal(FatalReason::ThreadEnded, &"the segments thread, while the log needs it");
            }
            self.open_next().await;
        }
        let Next { segment, file } = self.next.take().expect("waited for");
        let start = self.end.last().slot;
        self.end.roll(segment.number, segment.generation, segment.block_count);
        self.segment_blocks = segment.block_count;
        let old = std::mem::replace(&mut self.file, file);
        self.tell(ToSegments::Rolled { number: segment.number, start }).await;
        if let Err(error) = old.close_rc().await {
            fatal(FatalReason::LogWrite, &error);
        }
    }

    /// Opens the next segment if it is ready.
    async fn open_next(&mut self) {
        if self.next.is_none()
            && let Some(segment) = self.ready.try_recv()
        {
            let file = open(&segment).await;
            self.next = Some(Next { segment, file });
        }
    }

    /// Tells when clients' writes must be refused, and when no longer. The bound leaves room for
    /// everything that is under way, and for sessions that end.
    fn refuse_or_admit(&mut self) {
        let is_short = self.next.is_none() && self.end.room_blocks() < self.segment_blocks / 4;
        if is_short != self.is_refusing {
            self.is_refusing = is_short;
            (self.report)(LogEvent::WritesRefused(is_short));
        }
    }

    /// Starts to write a witness, without a flush: the next one covers it, and nobody waits.
    fn start_pad(&mut self) {
        self.needs_pad = false;
        let mut buffer = self.file.alloc_dma_buffer(BLOCK_BYTES);
        if let Some(at) = self.end.encode_pad(buffer.as_bytes_mut()) {
            self.pad = Some(Box::pin(write(self.file.clone(), buffer, at)));
        }
    }

    /// Tells the superblock how far the log is durable.
    fn witness(&mut self) {
        let (tail, promised) = (self.end.durable(), self.end.promised());
        self.witnessed_at = Instant::now();
        let message = ToSegments::Witness { tail, promised };
        // With a full mailbox a later one will do.
        if self.witnessed != (tail, promised) && self.segments.try_send(message).is_ok() {
            self.witnessed = (tail, promised);
        }
    }

    async fn tell(&self, message: ToSegments) {
        if self.segments.send(message).await.is_err() {
            fatal(FatalReason::ThreadEnded, &"the segments thread, before the log writer");
        }
    }

    /// Leaves a log that ends with a witness.
    async fn finish(mut self) {
        if self.needs_pad {
            self.start_pad();
        }
        if let Some(pad) = self.pad.take() {
            pad.await;
        }
        flush(&self.file).await;
        self.end.flushed();
        let (tail, promised) = (self.end.durable(), self.end.promised());
        self.tell(ToSegments::Witness { tail, promised }).await;
        for file in [Some(self.file), self.next.map(|next| next.file)].into_iter().flatten() {
            if let Err(error) = file.close_rc().await {
                fatal(FatalReason::LogWrite, &error);
            }
        }
    }
}

async fn open(segment: &ReadySegment) -> Rc<DmaFile> {
    match OpenOptions::new().read(true).write(true).dma_open(&segment.path).await {
        Ok(file) => Rc::new(file),
        Err(error) => fatal(FatalReason::LogWrite, &error),
    }
}

/// Writes all of `buffer`, or ends the process.
async fn write(file: Rc<DmaFile>, buffer: glommio::io::DmaBuffer, at: Lsn) {
    let bytes = buffer.len();
    match file.write_at(buffer, u64::from(at.block()) * BLOCK_BYTES as u64).await {
        Ok(written) if written == bytes => {}
        Ok(written) => {
            fatal(FatalReason::LogWrite, &format_args!("{written} of {bytes} bytes at {at}"));
        }
        Err(error) => fatal(FatalReason::LogWrite, &error),
    }
}

/// Makes what was written durable, or ends the process.
async fn flush(file: &DmaFile) {
    if let Err(error) = file.fdatasync().await {
        fatal(FatalReason::LogWrite, &error);
    }
}
