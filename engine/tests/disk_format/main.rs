//! The bytes of a data directory: `docs/disk-format.md` against the code, and directories that
//! earlier builds wrote, which every later one must read.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

mod document;
mod golden;
mod layout;
mod structures;
