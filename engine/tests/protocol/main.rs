//! The client protocol against bytes that Apache ZooKeeper sent, and against a naive second
//! implementation of it.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

mod captured;
mod naive;
mod properties;
mod recorded;
