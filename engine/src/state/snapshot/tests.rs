//! Round trips in pieces of any size, and damage.

use alloc::{borrow::Cow, format, vec, vec::Vec};

use proptest::prelude::*;

use super::{CHUNK_BYTES_MAX, Loader, Writer};
use crate::{
    protocol::request::{Create, CreateVariant, Write},
    state::{
        State,
        command::DecodeError,
        tests::world::{World, parse_acl},
    },
};

/// Creates a znode of each kind, and one with `data_len` bytes.
fn world(data_len: usize) -> World {
    let mut world = World::new();
    world.open(1).unwrap();
    world.open(2).unwrap();
    let data = vec![7; data_len];
    let znodes = [
        ("/a", CreateVariant::Create, 0, -1, "world:anyone:rwcda"),
        ("/a/b", CreateVariant::Create, 1, -1, "digest:a:b:r"),
        ("/a/c", CreateVariant::Container, 4, -1, "world:anyone:rwcda"),
        ("/a/d", CreateVariant::Ttl, 5, 77, "digest:a:b:r"),
        ("/e", CreateVariant::Create, 0, -1, "world:anyone:r"),
    ];
    for (path, variant, flags, ttl, acl) in znodes {
        let create = Create {
            variant,
            path: Some(Cow::Borrowed(path)),
            data: if flags == 5 { None } else { Some(&data) },
            acl: Some(parse_acl(acl)),
            flags,
            ttl,
        };
        world.write(1, &Write::Create(create)).unwrap();
    }
    let acl = Some(parse_acl("world:anyone:rwa"));
    world.write(1, &Write::SetAcl { path: Some(Cow::Borrowed("/a")), acl, version: 0 }).unwrap();
    world
}

fn load<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<State, DecodeError> {
    let mut loader = Loader::new();
    for piece in pieces {
        loader.push(piece)?;
    }
    loader.finish()
}

#[test]
fn a_fresh_state_comes_back() {
    let world = World { state: State::new(), ..World::new() };
    let loaded = load([world.snapshot().as_slice()].into_iter()).unwrap();
    assert_eq!(loaded.digest(), world.state.digest());
    assert_eq!((loaded.znode_count(), loaded.approximate_data_size()), (5, 44));
}

#[test]
fn chunks_are_full_and_a_large_znode_spans_them() {
    let world = world(3 * CHUNK_BYTES_MAX);
    let mut writer = Writer::new(&world.state);
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    while writer.next_chunk(&world.state, &mut chunk) {
        chunks.push(core::mem::take(&mut chunk));
    }
    let (last, full) = chunks.split_last().unwrap();
    assert!(full.iter().all(|chunk| chunk.len() == CHUNK_BYTES_MAX) && full.len() == 12);
    assert!(!last.is_empty() && last.len() < CHUNK_BYTES_MAX);
    let loaded = load(chunks.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(loaded.digest(), world.state.digest());
}

#[test]
fn everything_comes_back() {
    let world = world(10);
    let mut loaded = world.clone();
    loaded.reload();
    assert_eq!(loaded.snapshot(), world.snapshot());
    let (loaded, state) = (loaded.state, world.state);
    assert_eq!(loaded.applied(), state.applied());
    assert!(loaded.sessions().eq(state.sessions()));
    assert_eq!(loaded.sessions.ephemeral_count(), 1);
    assert_eq!(loaded.approximate_data_size(), state.approximate_data_size());
    for path in ["/", "/zookeeper/config", "/a", "/a/b", "/a/c", "/a/d", "/e"] {
        assert_eq!(loaded.stat_of(path), state.stat_of(path), "{path}");
        let acl = |state: &State| {
            let found = state.tree.find(path).unwrap();
            (state.acls.get(state.tree.get(found.id).acl).clone(), state.tree.extra(found.id))
        };
        assert_eq!(acl(&loaded), acl(&state), "{path}");
    }
    assert_eq!(loaded.acls.count(), state.acls.count());
    assert_eq!((loaded.containers.len(), loaded.ttls.len()), (1, 1));
}

#[test]
fn an_early_end_and_a_late_one_are_errors() {
    let bytes = world(3).snapshot();
    for end in 0..bytes.len() {
        assert!(load([&bytes[..end]].into_iter()).is_err(), "{end} of {} bytes", bytes.len());
    }
    assert!(load([bytes.as_slice(), &[0]].into_iter()).is_err());
}

#[test]
fn every_flipped_bit_is_an_error() {
    let bytes = world(3).snapshot();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(load([damaged.as_slice()].into_iter()).is_err(), "bit {bit} of byte {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn pieces_may_have_any_size(size in 1_usize..300) {
        let world = world(100);
        let bytes = world.snapshot();
        let loaded = load(bytes.chunks(size)).unwrap();
        prop_assert_eq!(loaded.digest(), world.state.digest());
    }

    #[test]
    fn arbitrary_damage_is_an_error(
        patches in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        is_cut in any::<bool>(),
    ) {
        let bytes = world(20).snapshot();
        let mut damaged = bytes.clone();
        for (at, value) in &patches {
            let at = at.index(bytes.len());
            damaged[at] = *value;
        }
        if is_cut {
            let at = patches[0].0.index(bytes.len());
            damaged.drain(at..=at);
        }
        prop_assume!(damaged != bytes);
        prop_assert!(load([damaged.as_slice()].into_iter()).is_err(), "{}", format!("{patches:?}"));
    }
}
