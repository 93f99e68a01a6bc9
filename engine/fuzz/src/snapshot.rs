//! A snapshot from a disk or a peer, as whatever bytes.

use ringkeeper_engine::state::snapshot::Loader;

use super::requests::snapshot_of;

/// The first byte says in pieces of which length the rest arrives.
pub fn run(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else {
        return;
    };
    let whole = load(bytes, bytes.len().max(1));
    let pieces = load(bytes, usize::from(*piece) + 1);
    assert!(whole == pieces, "the length of the pieces does not matter");
    if let Some(written) = whole {
        assert!(written == bytes, "a State has one snapshot");
    }
}

/// What the State that these bytes are would be written as, if they are one.
fn load(bytes: &[u8], piece: usize) -> Option<Vec<u8>> {
    let mut loader = Loader::new();
    for piece in bytes.chunks(piece) {
        loader.push(piece).ok()?;
    }
    loader.finish().ok().map(|state| snapshot_of(&state))
}
