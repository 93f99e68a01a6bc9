//! From a snapshot's bytes to a State, at start.

use ringkeeper_engine::state::{State, command::DecodeError, snapshot::Loader};

use crate::disk::open::LoadSnapshot;

/// Builds a State.
pub(crate) struct StateLoader(Loader);

impl LoadSnapshot for StateLoader {
    type State = State;
    type Error = DecodeError;

    fn start() -> Self {
        Self(Loader::new())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.0.push(bytes)
    }

    fn finish(self) -> Result<State, DecodeError> {
        self.0.finish()
    }
}
