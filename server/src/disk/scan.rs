//! Reading the log at a start: one thread reads segments ahead of the one that checks them.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use ringkeeper_engine::storage::{
    block::BLOCK_BYTES,
    recovery::{Damage, Options, Outcome, Recovery, Seen},
};

use super::direct::{AlignedBuffer, DirectFile};

/// Between two traces of progress.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is damaged.
    #[error(transparent)]
    Damage(#[from] Damage),
}

/// A file that was read.
struct Read {
    number: u32,
    buffer: io::Result<(AlignedBuffer, usize)>,
}

/// Recovers the log in these files; `observe` sees every valid record.
pub(super) fn scan(
    segments: &BTreeMap<u32, PathBuf>,
    options: Options,
    observe: &mut dyn FnMut(Seen<'_>),
) -> Result<Outcome, ScanError> {
    let mut recovery = Recovery::new(options);
    scan_into(&mut recovery, segments, observe)?;
    Ok(recovery.finish()?)
}

/// As `scan`, without the verdict: for those who want to know what there is.
pub(super) fn scan_into(
    recovery: &mut Recovery,
    segments: &BTreeMap<u32, PathBuf>,
    observe: &mut dyn FnMut(Seen<'_>),
) -> Result<(), ScanError> {
    thread::scope(|scope| {
        let (full_sender, full) = mpsc::sync_channel(1);
        let (empty_sender, empty) = mpsc::channel();
        scope.spawn(move || read_all(segments, &full_sender, &empty));
        let mut progress = Instant::now();
        for (done, read) in full.into_iter().enumerate() {
            let Read { number, buffer } = read;
            let io_error = |source| ScanError::Io { path: segments[&number].clone(), source };
            let (buffer, len) = buffer.map_err(io_error)?;
            recovery.segment(number, &buffer.as_ref()[..len], observe)?;
            // A reader that has read everything needs no buffer.
            drop(empty_sender.send(buffer));
            if PROGRESS_INTERVAL <= progress.elapsed() {
                progress = Instant::now();
                tracing::info!(done, of = segments.len(), "reading the log");
            }
        }
        Ok(())
    })
}

fn read_all(
    segments: &BTreeMap<u32, PathBuf>,
    full: &mpsc::SyncSender<Read>,
    empty: &mpsc::Receiver<AlignedBuffer>,
) {
    for (number, path) in segments {
        let buffer = read_file(path, empty.try_recv().ok());
        if full.send(Read { number: *number, buffer }).is_err() {
            // The log is damaged: the rest does not matter.
            return;
        }
    }
}

/// The whole file, in the given buffer if that has the right length.
pub(super) fn read_file(
    path: &Path,
    buffer: Option<AlignedBuffer>,
) -> io::Result<(AlignedBuffer, usize)> {
    let file = DirectFile::open(path)?;
    let file_bytes = usize::try_from(file.len()?).expect("64 bits");
    // A block more shows a file that grows while it is read, and lets an empty one be read.
    let buffer_bytes = file_bytes.next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES;
    let mut buffer = buffer
        .filter(|buffer| buffer.as_ref().len() == buffer_bytes)
        .unwrap_or_else(|| AlignedBuffer::new(buffer_bytes));
    let len = file.read_at(buffer.as_mut(), 0)?;
    Ok((buffer, len))
}
