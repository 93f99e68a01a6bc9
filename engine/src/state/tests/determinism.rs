//! The same commands give the same State, whatever else happened to it.

use alloc::{borrow::Cow, format, vec::Vec};

use super::world::{World, parse_acl};
use crate::protocol::request::{Create, CreateVariant, Write};

/// A pseudo-random number below `bound`.
fn below(seed: &mut u64, bound: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % bound
}

/// Some writes that often succeed, and many that fail.
fn submit(world: &mut World, seed: &mut u64) {
    let top = below(seed, 40);
    let session = i64::try_from(1 + below(seed, 3)).unwrap();
    let path = match below(seed, 3) {
        0 => format!("/n{top}"),
        kind => format!("/n{top}/c{}", below(seed, 20 * kind)),
    };
    let path = Cow::Owned(path);
    let data = format!("{}", below(seed, 1 << 30));
    let write = match below(seed, 8) {
        0 | 1 => Write::Delete { path: Some(path), version: -1 },
        2 | 3 => Write::SetData { path: Some(path), data: Some(data.as_bytes()), version: -1 },
        4 => Write::Multi(Vec::from([
            Write::Delete { path: Some(path.clone()), version: -1 },
            Write::Delete { path: Some(Cow::Borrowed("/n1")), version: 0 },
        ])),
        kind => Write::Create(Create {
            variant: CreateVariant::Create,
            path: Some(path),
            data: Some(data.as_bytes()),
            acl: Some(parse_acl(if kind == 5 { "ip:::/0:r" } else { "world:anyone:rwcda" })),
            flags: i32::try_from(below(seed, 4)).unwrap(),
            ttl: -1,
        }),
    };
    // Whether it succeeds is not the point.
    drop(world.write(session, &write));
}

#[test]
fn a_reloaded_state_goes_on_as_the_one_that_never_stopped() {
    let mut first = World::new();
    for session in 1..4 {
        first.open(session).unwrap();
    }
    let mut seed = 1;
    for _ in 0..5000 {
        submit(&mut first, &mut seed);
    }
    let mut second = World::new();
    // `World::new` has applied the batch that starts the epoch.
    for (at, batch) in first.log.iter().enumerate().skip(1) {
        drop(second.apply(batch));
        if at % 500 == 250 {
            second.reload();
        }
    }
    assert!(first.state.znode_count() > 300, "the test does something");
    assert_eq!(first.state.digest(), second.state.digest());
    assert_eq!(first.snapshot(), second.snapshot());
    let zxids: Vec<u32> = first.state.digests().map(|(zxid, _)| zxid.counter()).collect();
    assert_eq!(zxids, (1..=39).map(|n| n * 128).collect::<Vec<_>>());
}
