//! Round trips, and damage.

use alloc::vec::Vec;

use super::{Loader, Writer};
use crate::state::State;

/// All bytes of a snapshot of `state`.
fn bytes(state: &State) -> Vec<u8> {
    let mut writer = Writer::new(state);
    let mut out = Vec::new();
    while writer.next_chunk(state, &mut out) {}
    out
}

#[test]
fn a_fresh_state_comes_back() {
    let state = State::new();
    let mut loader = Loader::new();
    loader.push(&bytes(&state)).unwrap();
    let loaded = loader.finish().unwrap();
    assert_eq!(loaded.digest(), state.digest());
    assert_eq!(bytes(&loaded), bytes(&state));
    assert_eq!((state.znode_count(), state.approximate_data_size()), (5, 44));
}
