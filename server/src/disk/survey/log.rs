//! The log as recovery sees it, for those who want to know more than whether it is whole.

use std::{collections::BTreeMap, io, path::PathBuf, time::Instant};

use ringkeeper_engine::storage::{
    Base, Lsn,
    recovery::{Damage, Options, Outcome, Recovery, Seen},
};

use crate::disk::scan::{PROGRESS_INTERVAL, ScanError, read_file};

/// What recovery made of the log.
pub(in crate::disk) struct LogReading {
    /// Its verdict.
    pub(in crate::disk) result: Result<Outcome, Damage>,
    /// The last batch that it took, before the damage if there is any.
    pub(in crate::disk) last: Base,
    /// Where it stopped.
    pub(in crate::disk) end: Lsn,
    /// The end of the log that the first segment was begun at; `None`: no segment was used.
    pub(in crate::disk) start: Option<Base>,
}

/// Recovers the log in these files. `each` sees every file, also behind damage, before recovery
/// does; `observe` every record that recovery takes.
pub(in crate::disk) fn read_log(
    segments: &BTreeMap<u32, PathBuf>,
    options: Options,
    each: &mut dyn FnMut(u32, &mut [u8]),
    observe: &mut dyn FnMut(Seen<'_>),
) -> Result<LogReading, ScanError> {
    let mut recovery = Recovery::new(options);
    let mut damage = None;
    let mut buffer = None;
    let mut progress = Instant::now();
    for (done, (number, path)) in segments.iter().enumerate() {
        let read = read_file(path, buffer.take());
        let (mut read, len) = read.map_err(|source| io_error(path, source))?;
        let bytes = &mut read.as_mut()[..len];
        each(*number, bytes);
        if damage.is_none() {
            damage = recovery.segment(*number, bytes, observe).err();
        }
        buffer = Some(read);
        if PROGRESS_INTERVAL <= progress.elapsed() {
            progress = Instant::now();
            tracing::info!(done = done + 1, of = segments.len(), "reading the log");
        }
    }
    let last = recovery.last();
    let end = recovery.end();
    let start = recovery.segments().first().and_then(|segment| segment.seal).map(|seal| seal.base);
    let result = match damage {
        Some(damage) => Err(damage),
        None => recovery.finish(),
    };
    Ok(LogReading { result, last, end, start })
}

fn io_error(path: &std::path::Path, source: io::Error) -> ScanError {
    ScanError::Io { path: path.to_owned(), source }
}
