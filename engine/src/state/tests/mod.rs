//! The State from outside: scripts of requests with their results, and a model beside it.

mod determinism;
mod model;
mod stories;
pub(super) mod world;
