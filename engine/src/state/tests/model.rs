//! The State beside the naive tree of the simulator's checks, at random and with odd paths; and
//! what `admit` makes of requests beside what it must.

use alloc::{
    borrow::Cow,
    collections::BTreeSet,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::world::{World, parse_acl};
use crate::{
    batch::Batch,
    ids::SessionId,
    protocol::{
        error_code::ErrorCode,
        path,
        records::Id,
        request::{Create, CreateVariant, Write},
    },
    shared_bytes::{SharedBytes, SharedStr},
    sim::check::reference::{Expected, Reference},
    state::{
        ChangeKind,
        admit::admit,
        command::{Committed, CreateKind, CreateOp, Op},
    },
};

const PATHS: [&str; 18] = [
    "/a",
    "/b",
    "/a/x",
    "/a/y",
    "/a/x/1",
    "/b/z",
    "/a0000000000",
    "/a0000000001",
    "/a/x0000000000",
    "/a/x0000000001",
    "/a/x0000000002",
    "/",
    "/a/",
    "//a",
    "a",
    "/zookeeper",
    "/zookeeper/quota",
    "/a/..",
];

const ACLS: [&str; 4] =
    ["world:anyone:rwcda", "digest:a:b:rwcda", "world:anyone:ra,digest:a:b:d", "world:anyone:rwc"];

#[derive(Clone, Debug)]
enum Edit {
    Create { path: usize, kind: u8, sequential: bool, acl: usize, data: Option<u8> },
    Delete { path: usize, version: i32 },
    Set { path: usize, data: Option<u8>, version: i32 },
    SetAcl { path: usize, acl: usize, version: i32 },
    Check { path: usize, version: i32 },
}

#[derive(Clone, Debug)]
enum Step {
    Open(i64),
    Close(i64),
    Expire(i64),
    Attach(i64),
    Edit(i64, Edit),
    Multi(i64, Vec<Edit>),
    Reap(usize),
    Pass(i64),
    BecomeDigest(bool),
    Reload,
}

/// What `admit` must make of an edit: whatever can be said without a look at the tree.
fn admitted(edit: &Edit) -> Op {
    let data = |data: &Option<u8>| data.map(|len| SharedBytes::new(&vec![b'x'; usize::from(len)]));
    let checked = |path: &usize, op: fn(SharedStr, &Edit) -> Op| match path::validate(PATHS[*path])
    {
        Ok(()) => op(SharedStr::new(PATHS[*path]), edit),
        Err(_) => Op::Fail(ErrorCode::BadArguments),
    };
    match edit {
        Edit::Create { path, kind, sequential, acl, data: bytes } => {
            if !PATHS[*path].contains('/') {
                return Op::Fail(ErrorCode::BadArguments);
            }
            Op::Create(CreateOp {
                path: SharedStr::new(PATHS[*path]),
                data: data(bytes),
                acl: parse_acl(ACLS[*acl]),
                kind: [
                    CreateKind::Persistent,
                    CreateKind::Ephemeral,
                    CreateKind::Container,
                    CreateKind::Ttl(100),
                ][usize::from(*kind)],
                sequential: *sequential,
            })
        }
        Edit::Delete { path, version } => {
            Op::Delete { path: SharedStr::new(PATHS[*path]), version: *version }
        }
        Edit::Set { path, .. } => checked(path, |path, edit| {
            let Edit::Set { data, version, .. } = edit else { unreachable!() };
            let data = data.map(|len| SharedBytes::new(&vec![b'x'; usize::from(len)]));
            Op::SetData { path, data, version: *version }
        }),
        Edit::SetAcl { path, .. } => checked(path, |path, edit| {
            let Edit::SetAcl { acl, version, .. } = edit else { unreachable!() };
            Op::SetAcl { path, acl: parse_acl(ACLS[*acl]), version: *version }
        }),
        Edit::Check { path, .. } => checked(path, |path, edit| {
            let Edit::Check { version, .. } = edit else { unreachable!() };
            Op::Check { path, version: *version }
        }),
    }
}

/// The same for a multi, which an ACL spoils as a whole.
fn admitted_multi(edits: &[Edit]) -> Op {
    if edits.iter().any(|edit| matches!(edit, Edit::SetAcl { .. })) {
        return Op::Fail(ErrorCode::MarshallingError);
    }
    Op::Multi(edits.iter().map(admitted).collect())
}

/// Takes one step with both and compares what they say.
fn take(world: &mut World, reference: &mut Reference, step: &Step) {
    let number = |session: &i64| u64::try_from(*session).unwrap();
    let seen = match step {
        Step::Open(session) => world.open(*session),
        Step::Close(session) => world.command(*session, number(session), Op::CloseSession),
        Step::Expire(session) => world.command(*session, 0, Op::CloseSession),
        Step::Attach(session) => {
            let op = Op::AttachSession { timeout_ms: 9, password: [7; 16] };
            // Attached to another owner, or back to the one that the test acts as.
            let found = reference.sessions.get(&SessionId(*session));
            let is_own = found.is_some_and(|found| found.owner.0 == number(session));
            world.command(*session, if is_own { 99 } else { number(session) }, op)
        }
        Step::Edit(session, edit) => {
            let op = admit(&write(edit), &world.auth, world.settings);
            let expected = match edit {
                // A check outside a multi is not offered.
                Edit::Check { .. } => Op::Fail(ErrorCode::Unimplemented),
                edit => admitted(edit),
            };
            assert_eq!(op, expected, "{edit:?}");
            world.command(*session, number(session), op)
        }
        Step::Multi(session, edits) => {
            let write = Write::Multi(edits.iter().map(write).collect());
            let op = admit(&write, &world.auth, world.settings);
            assert_eq!(op, admitted_multi(edits), "{edits:?}");
            world.command(*session, number(session), op)
        }
        Step::Reap(path) => {
            world.command(0, 0, Op::DeleteContainer { path: SharedStr::new(PATHS[*path]) })
        }
        Step::Pass(millis) => {
            world.time += millis;
            return;
        }
        Step::BecomeDigest(is_digest) => {
            let id = |scheme: &str, id: &str| Id { scheme: scheme.into(), id: id.into() };
            world.auth = vec![if *is_digest { id("digest", "a:b") } else { id("ip", "::1") }];
            return;
        }
        Step::Reload => return world.reload(),
    };
    let expected = follow(reference, world.log.last().unwrap());
    assert_eq!(seen, expected, "{step:?}");
    let changes: Vec<(ChangeKind, String)> =
        world.changes.znodes.iter().map(|c| (c.kind, c.path.as_str().to_string())).collect();
    assert_eq!(changes, reference.changes, "{step:?}");
}

/// Applies a batch of one command.
fn follow(reference: &mut Reference, batch: &Batch) -> Expected {
    let committed = Committed::decode(batch).unwrap();
    reference.begin_batch(&committed.header);
    let (zxid, command) = committed.with_zxids().next().unwrap();
    reference.apply(zxid, command)
}

fn write(edit: &Edit) -> Write<'_> {
    const DATA: &[u8] = &[b'x'; 256];
    let bytes = |data: &Option<u8>| data.map(|len| &DATA[..usize::from(len)]);
    let path_of = |path: &usize| Some(Cow::Borrowed(PATHS[*path]));
    match edit {
        Edit::Create { path, kind, sequential, acl, data } => {
            let (variant, flags, ttl) = match kind {
                2 => (CreateVariant::Container, 4, -1),
                3 => (CreateVariant::Ttl, 5, 100),
                kind => (CreateVariant::Create2, i32::from(*kind), -1),
            };
            let flags = match (kind, sequential) {
                (_, false) => flags,
                (3, true) => 6,
                (2, true) => 2,
                (_, true) => flags + 2,
            };
            let acl = Some(parse_acl(ACLS[*acl]));
            let path = path_of(path);
            Write::Create(Create { variant, path, data: bytes(data), acl, flags, ttl })
        }
        Edit::Delete { path, version } => Write::Delete { path: path_of(path), version: *version },
        Edit::Set { path, data, version } => {
            Write::SetData { path: path_of(path), data: bytes(data), version: *version }
        }
        Edit::SetAcl { path, acl, version } => {
            let acl = Some(parse_acl(ACLS[*acl]));
            Write::SetAcl { path: path_of(path), acl, version: *version }
        }
        Edit::Check { path, version } => Write::Check { path: path_of(path), version: *version },
    }
}

/// Compares everything that can be asked.
fn compare(world: &World, reference: &Reference) {
    let state = &world.state;
    assert_eq!(reference.differs_from(state), None);
    let mut bytes = 1;
    for (path, node) in &reference.nodes {
        bytes += path.chars().count() + node.data.as_ref().map_or(0, Vec::len);
    }
    assert_eq!(state.approximate_data_size(), u64::try_from(bytes).unwrap());
    let of_kind = |is_it: fn(CreateKind) -> bool| {
        reference.nodes.values().filter(|node| is_it(node.kind)).count()
    };
    assert_eq!(state.ephemerals_count(), of_kind(|kind| kind == CreateKind::Ephemeral));
    let counts = (state.containers.len(), state.ttls.len());
    let is_ttl = |kind| matches!(kind, CreateKind::Ttl(_));
    assert_eq!(counts, (of_kind(|kind| kind == CreateKind::Container), of_kind(is_ttl)));
    let acls: BTreeSet<_> = reference.nodes.values().map(|node| &node.acl).collect();
    assert_eq!(state.acls.count(), acls.len());
}

fn edits() -> impl Strategy<Value = Edit> {
    let path = || 0..PATHS.len();
    let data = || prop::option::of(0_u8..9);
    let version = || -1..3_i32;
    prop_oneof![
        5 => (path(), 0..4_u8, any::<bool>(), prop_oneof![4 => Just(0), 1 => 0..ACLS.len()], data())
            .prop_map(|(path, kind, sequential, acl, data)| {
                Edit::Create { path, kind, sequential, acl, data }
            }),
        3 => (path(), version()).prop_map(|(path, version)| Edit::Delete { path, version }),
        2 => (path(), data(), version())
            .prop_map(|(path, data, version)| Edit::Set { path, data, version }),
        1 => (path(), 0..ACLS.len(), version())
            .prop_map(|(path, acl, version)| Edit::SetAcl { path, acl, version }),
        1 => (path(), version()).prop_map(|(path, version)| Edit::Check { path, version }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let session = || 1..3_i64;
    let in_multi =
        || edits().prop_filter("no setACL in a multi", |edit| !matches!(edit, Edit::SetAcl { .. }));
    prop_oneof![
        2 => session().prop_map(Step::Open),
        1 => session().prop_map(Step::Close),
        1 => session().prop_map(Step::Expire),
        1 => session().prop_map(Step::Attach),
        20 => (session(), edits()).prop_map(|(session, edit)| Step::Edit(session, edit)),
        8 => (session(), prop::collection::vec(in_multi(), 0..6))
            .prop_map(|(session, edits)| Step::Multi(session, edits)),
        1 => (session(), prop::collection::vec(edits(), 1..3))
            .prop_map(|(session, edits)| Step::Multi(session, edits)),
        3 => (0..PATHS.len()).prop_map(Step::Reap),
        2 => (0..90_i64).prop_map(Step::Pass),
        2 => any::<bool>().prop_map(Step::BecomeDigest),
        1 => Just(Step::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn agrees_with_the_model(steps in prop::collection::vec(steps(), 1..80)) {
        let mut world = World::new();
        let mut reference = Reference::new();
        reference.begin_batch(&world.log[0].header);
        for step in [Step::Open(1), Step::Open(2)].iter().chain(&steps) {
            take(&mut world, &mut reference, step);
            compare(&world, &reference);
        }
        // The sum that every change has kept up to date is the one that a load builds anew.
        let before = (world.state.digest(), world.snapshot());
        world.reload();
        compare(&world, &reference);
        prop_assert_eq!((world.state.digest(), world.snapshot()), before);
    }
}
