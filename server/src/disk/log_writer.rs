//! The log writer: everything that was appended since the last flush shares one write and one
//! flush. Lives on the replica core.

use std::rc::Rc;

use ringkeeper_engine::{ids::LogPos, storage::Append};

/// What the replica core hands to the log writer.
#[derive(Debug, Default)]
pub(crate) struct LogQueue(());

impl LogQueue {
    /// An empty queue.
    pub(crate) fn new() -> Rc<Self> {
        unimplemented!()
    }

    /// Adds `appends`, in order of their positions, and wakes the writer. Empties the vector.
    pub(crate) fn push(&self, appends: &mut Vec<Append>) {
        let _ = appends;
        unimplemented!()
    }

    /// Nothing will be pushed any more: the writer finishes what waits, and ends.
    pub(crate) fn close(&self) {
        unimplemented!()
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
pub(crate) struct LogWriter(());

impl LogWriter {
    /// Writes what is pushed into `queue` until it is closed; then seals the log's end and
    /// returns. Never more than one write and flush is under way. A failed write or flush ends the
    /// process (`FatalReason::LogWrite`). Await it to its end; do not drop it before.
    pub(crate) async fn run(self, queue: Rc<LogQueue>, report: impl FnMut(LogEvent)) {
        let _ = (self, queue, report);
        unimplemented!()
    }
}
