//! The State from outside: scripts of requests with their results, and a model beside it.
#![expect(clippy::unwrap_used, reason = "helpers of a test: a panic is the report")]

mod determinism;
mod model;
mod stories;
mod world;
