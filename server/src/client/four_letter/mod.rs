//! The texts of the four-letter words: pure functions from numbers to text, in the shapes that
//! Apache 3.9.5 gives them, because programs read them.

mod monitor;
mod names;
mod setup;
mod status;
mod text;

use ringkeeper_engine::protocol::four_letter::Word;

pub(crate) use monitor::{Monitor, monitor};
pub(crate) use setup::{
    Directories, configuration, directories, environment, open_files, open_files_max,
};
pub(crate) use status::{
    Dump, Overview, connections, digests, dump, status, watch_summary, watches_by_path,
    watches_by_session,
};

/// What `gtmk` shows until `stmk` sets another. Traces are chosen otherwise here; the number is
/// Apache's default.
pub(crate) const TRACE_MASK: i64 = 306;

/// To a word that is not on the whitelist.
pub(crate) fn refuse(out: &mut String, word: Word) {
    let word = word.as_str();
    status::line(out, format_args!("{word} is not executed because it is not in the whitelist."));
}
