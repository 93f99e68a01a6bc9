//! What the fuzz targets do with their bytes, as plain functions: `engine/tests/fuzz_corpus.rs`
//! compiles them too, and runs them over the corpora without a fuzzer.

pub mod commands;
pub mod connect;
pub mod peer;
pub mod recovery;
pub mod requests;
pub mod snapshot;
