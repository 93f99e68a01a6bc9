//! The segments thread: prepares log segments before they are needed, recycles those that a
//! snapshot made superfluous, and keeps the superblocks.

/// The running thread.
#[derive(Debug)]
pub(crate) struct Segments(());

impl Segments {
    /// Lets the thread finish what it was told, and waits for its end. After the log writer ended.
    pub(crate) fn stop(self) {
        unimplemented!()
    }
}
