//! The State beside a model: a map from path to znode in which every rule is written out the slow
//! way, from ZooKeeper's description and not from `edit`.

use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::world::{World, parse_acl};
use crate::{
    protocol::{
        error_code::ErrorCode,
        path,
        records::{Id, Stat, perms},
        request::{Create, CreateVariant, Write},
    },
    shared_bytes::SharedStr,
    state::{ChangeKind, Outcome, admit::admit, command::Op},
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

/// Text of each, and who may do what: the permissions of everybody, and of `digest:a:b`.
const ACLS: [(&str, i32, i32); 4] = [
    ("world:anyone:rwcda", 31, 31),
    ("digest:a:b:rwcda", 0, 31),
    ("world:anyone:ra,digest:a:b:d", 17, 25),
    ("world:anyone:rwc", 7, 7),
];

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

#[derive(Clone, Debug)]
struct Node {
    data: Option<Vec<u8>>,
    acl: usize,
    /// 0 persistent, 1 ephemeral, 2 container, 3 TTL of 100 ms.
    kind: u8,
    owner: i64,
    creates: i32,
    stat: Stat,
}

#[derive(Clone, Debug)]
struct Model {
    nodes: BTreeMap<String, Node>,
    /// Session to owner.
    sessions: BTreeMap<i64, u64>,
    changes: Vec<(ChangeKind, String)>,
    zxid: i64,
    time: i64,
    is_digest: bool,
}

type Answer = Result<Outcome, ErrorCode>;

impl Model {
    fn new() -> Self {
        let mut nodes = BTreeMap::new();
        let system = [("", -1, 0), ("/zookeeper", -2, 0), ("/zookeeper/quota", 0, 0)];
        for (path, cversion, aversion) in system {
            let stat = Stat { cversion, aversion, ..Stat::default() };
            let node = Node { data: Some(vec![]), acl: 0, kind: 0, owner: 0, creates: 0, stat };
            nodes.insert(path.to_string(), node);
        }
        let mut config = nodes["/zookeeper/quota"].clone();
        config.stat.aversion = -1;
        nodes.insert("/zookeeper/config".to_string(), config);
        Self {
            nodes,
            sessions: BTreeMap::new(),
            changes: vec![],
            zxid: 1 << 32,
            time: 1000,
            is_digest: false,
        }
    }

    fn key(path: &str) -> &str {
        if path == "/" { "" } else { path }
    }

    fn parent(path: &str) -> Option<&str> {
        // The root has two names in ZooKeeper's map, so that `//a` has a parent.
        path.rfind('/').map(|slash| Self::key(&path[..slash]))
    }

    fn children(&self, path: &str) -> usize {
        let is_child = |key: &&String| !key.is_empty() && Self::parent(key) == Some(path);
        self.nodes.keys().filter(is_child).count()
    }

    fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        Stat {
            data_length: i32::try_from(node.data.as_ref().map_or(0, Vec::len)).unwrap(),
            num_children: i32::try_from(self.children(path)).unwrap(),
            ephemeral_owner: if node.kind == 1 { node.owner } else { 0 },
            ..node.stat
        }
    }

    fn permit(&self, path: &str, needed: i32) -> Result<(), ErrorCode> {
        let (_, everybody, digest) = ACLS[self.nodes[path].acl];
        let held = if self.is_digest { digest } else { everybody };
        if held & needed == 0 { Err(ErrorCode::NoAuth) } else { Ok(()) }
    }

    fn tell(&mut self, kind: ChangeKind, path: &str) {
        let path = if path.is_empty() { "/" } else { path };
        self.changes.push((kind, path.to_string()));
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path).unwrap();
        let parent = Self::parent(path).unwrap().to_string();
        let node = self.nodes.get_mut(&parent).unwrap();
        node.stat.cversion += 1;
        node.stat.pzxid = self.zxid;
        self.tell(ChangeKind::Deleted, path);
        self.tell(ChangeKind::ChildrenChanged, &parent);
    }

    fn create(&mut self, session: i64, edit: &Edit) -> Answer {
        let Edit::Create { path, kind, sequential, acl, data } = edit else { unreachable!() };
        let path = PATHS[*path];
        let parent = Self::parent(path).ok_or(ErrorCode::BadArguments)?;
        if !self.nodes.contains_key(parent) {
            return Err(ErrorCode::NoNode);
        }
        self.permit(parent, perms::CREATE)?;
        let number = self.nodes[parent].creates;
        let full = if *sequential { format!("{path}{number:010}") } else { path.to_string() };
        path::validate(&full).map_err(|_| ErrorCode::BadArguments)?;
        if self.nodes.contains_key(Self::key(&full)) {
            return Err(ErrorCode::NodeExists);
        }
        if self.nodes[parent].kind == 1 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let (zxid, time) = (self.zxid, self.time);
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ..Stat::default()
        };
        let data = data.map(|len| vec![b'x'; usize::from(len)]);
        let node = Node { data, acl: *acl, kind: *kind, owner: session, creates: 0, stat };
        self.nodes.insert(full.clone(), node);
        let above = self.nodes.get_mut(parent).unwrap();
        above.creates += 1;
        above.stat.cversion += 1;
        above.stat.pzxid = zxid;
        self.tell(ChangeKind::Created, &full);
        self.tell(ChangeKind::ChildrenChanged, parent);
        Ok(Outcome::Created { path: SharedStr::new(&full), stat: self.stat(&full) })
    }

    fn delete(&mut self, path: &str, version: i32) -> Answer {
        let parent = Self::parent(path).ok_or(ErrorCode::BadArguments)?;
        if path == "/" || path == "/zookeeper" || path == "/zookeeper/quota" {
            return Err(ErrorCode::BadArguments);
        }
        if !self.nodes.contains_key(parent) {
            return Err(ErrorCode::NoNode);
        }
        self.permit(parent, perms::DELETE)?;
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && version != node.stat.version {
            return Err(ErrorCode::BadVersion);
        }
        if self.children(path) > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(path);
        Ok(Outcome::Deleted)
    }

    /// The checks of everything that names a znode by a valid path.
    fn found(&self, path: &str, needed: i32) -> Result<String, ErrorCode> {
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let key = Self::key(path);
        if !self.nodes.contains_key(key) {
            return Err(ErrorCode::NoNode);
        }
        self.permit(key, needed)?;
        Ok(key.to_string())
    }

    fn edit(&mut self, session: i64, edit: &Edit) -> Answer {
        match edit {
            Edit::Create { .. } => self.create(session, edit),
            Edit::Delete { path, version } => self.delete(PATHS[*path], *version),
            Edit::Set { path, data, version } => {
                let key = self.found(PATHS[*path], perms::WRITE)?;
                let node = self.nodes.get_mut(&key).unwrap();
                if *version != -1 && *version != node.stat.version {
                    return Err(ErrorCode::BadVersion);
                }
                node.data = data.map(|len| vec![b'x'; usize::from(len)]);
                node.stat.version += 1;
                node.stat.mzxid = self.zxid;
                node.stat.mtime = self.time;
                self.tell(ChangeKind::DataChanged, &key);
                Ok(Outcome::DataSet { stat: self.stat(&key) })
            }
            Edit::SetAcl { path, acl, version } => {
                let key = self.found(PATHS[*path], perms::ADMIN)?;
                let node = self.nodes.get_mut(&key).unwrap();
                if *version != -1 && *version != node.stat.aversion {
                    return Err(ErrorCode::BadVersion);
                }
                node.acl = *acl;
                node.stat.aversion += 1;
                Ok(Outcome::AclSet { stat: self.stat(&key) })
            }
            Edit::Check { path, version } => {
                let key = self.found(PATHS[*path], perms::READ)?;
                if *version != -1 && *version != self.nodes[&key].stat.version {
                    return Err(ErrorCode::BadVersion);
                }
                Ok(Outcome::Checked)
            }
        }
    }

    fn check_session(&self, session: i64) -> Result<(), ErrorCode> {
        match self.sessions.get(&session) {
            None => Err(ErrorCode::SessionExpired),
            Some(owner) if *owner == u64::try_from(session).unwrap() => Ok(()),
            Some(_) => Err(ErrorCode::SessionMoved),
        }
    }

    fn multi(&mut self, session: i64, edits: &[Edit]) -> Answer {
        self.check_session(session)?;
        if edits.iter().any(|edit| matches!(edit, Edit::SetAcl { .. })) {
            return Err(ErrorCode::MarshallingError);
        }
        let before = self.clone();
        let mut outcomes = vec![];
        for (failed, edit) in edits.iter().enumerate() {
            match self.edit(session, edit) {
                Ok(outcome) => outcomes.push(outcome),
                Err(code) => {
                    *self = before;
                    return Ok(Outcome::MultiFailed { failed, code, op_count: edits.len() });
                }
            }
        }
        Ok(Outcome::Multi(outcomes))
    }

    fn close(&mut self, session: i64) -> Answer {
        self.sessions.remove(&session).ok_or(ErrorCode::SessionExpired)?;
        let is_its = |node: &Node| node.kind == 1 && node.owner == session;
        let paths: Vec<String> =
            self.nodes.iter().filter(|(_, node)| is_its(node)).map(|(p, _)| p.clone()).collect();
        paths.iter().for_each(|path| self.remove(path));
        Ok(Outcome::SessionClosed)
    }

    fn reap(&mut self, path: &str) -> Answer {
        let node = self.nodes.get(Self::key(path)).ok_or(ErrorCode::NoNode)?;
        if self.children(Self::key(path)) > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let is_due = node.kind == 2 || node.kind == 3 && self.time - node.stat.mtime > 100;
        if !is_due {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(path);
        Ok(Outcome::Deleted)
    }
}

/// Takes one step with both and compares what they say.
fn take(world: &mut World, model: &mut Model, step: &Step) {
    model.changes.clear();
    model.zxid += i64::from(!matches!(
        step,
        Step::Attach(_) | Step::Pass(_) | Step::BecomeDigest(_) | Step::Reload
    ));
    let number = |session: &i64| u64::try_from(*session).unwrap();
    let (seen, expected) = match step {
        Step::Open(session) => {
            let expected = if model.sessions.contains_key(session) {
                Err(ErrorCode::SystemError)
            } else {
                model.sessions.insert(*session, number(session));
                Ok(Outcome::SessionCreated { timeout_ms: 30_000 })
            };
            (world.open(*session), expected)
        }
        Step::Close(session) => {
            let seen = world.command(*session, number(session), Op::CloseSession);
            let checked = model.check_session(*session);
            (seen, checked.and_then(|()| model.close(*session)))
        }
        Step::Expire(session) => {
            (world.command(*session, 0, Op::CloseSession), model.close(*session))
        }
        Step::Attach(session) => {
            let op = Op::AttachSession { timeout_ms: 9, password: [7; 16] };
            // Attached to another owner, or back to the one that the test acts as.
            let owner = if model.check_session(*session).is_ok() { 99 } else { number(session) };
            let seen = world.command(*session, owner, op);
            let known = model.sessions.get_mut(session).ok_or(ErrorCode::SessionExpired);
            let expected = known.map(|known| {
                *known = owner;
                Outcome::SessionAttached { timeout_ms: 9 }
            });
            (seen, expected)
        }
        Step::Edit(session, edit) => {
            // A check outside a multi is not offered.
            let checked = model.check_session(*session);
            let expected = checked.and_then(|()| match edit {
                Edit::Check { .. } => Err(ErrorCode::Unimplemented),
                edit => model.edit(*session, edit),
            });
            let op = admit(&write(edit), &world.auth, world.settings);
            (world.command(*session, number(session), op), expected)
        }
        Step::Multi(session, edits) => {
            let write = Write::Multi(edits.iter().map(write).collect());
            (world.write(*session, &write), model.multi(*session, edits))
        }
        Step::Reap(path) => {
            let op = Op::DeleteContainer { path: SharedStr::new(PATHS[*path]) };
            (world.command(0, 0, op), model.reap(PATHS[*path]))
        }
        Step::Pass(millis) => {
            world.time += millis;
            model.time += millis;
            return;
        }
        Step::BecomeDigest(is_digest) => {
            let id = |scheme: &str, id: &str| Id { scheme: scheme.into(), id: id.into() };
            model.is_digest = *is_digest;
            world.auth = vec![if *is_digest { id("digest", "a:b") } else { id("ip", "::1") }];
            return;
        }
        Step::Reload => return world.reload(),
    };
    assert_eq!(seen, expected, "{step:?}");
    let changes: Vec<(ChangeKind, String)> =
        world.changes.znodes.iter().map(|c| (c.kind, c.path.as_str().to_string())).collect();
    assert_eq!(changes, model.changes, "{step:?}");
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
            let acl = Some(parse_acl(ACLS[*acl].0));
            let path = path_of(path);
            Write::Create(Create { variant, path, data: bytes(data), acl, flags, ttl })
        }
        Edit::Delete { path, version } => Write::Delete { path: path_of(path), version: *version },
        Edit::Set { path, data, version } => {
            Write::SetData { path: path_of(path), data: bytes(data), version: *version }
        }
        Edit::SetAcl { path, acl, version } => {
            let acl = Some(parse_acl(ACLS[*acl].0));
            Write::SetAcl { path: path_of(path), acl, version: *version }
        }
        Edit::Check { path, version } => Write::Check { path: path_of(path), version: *version },
    }
}

/// Compares everything that can be asked.
fn compare(world: &World, model: &Model) {
    let state = &world.state;
    assert_eq!(state.znode_count(), model.nodes.len() + 1);
    let mut bytes = 1;
    for (path, node) in &model.nodes {
        assert_eq!(state.stat_of(path), Some(model.stat(path)), "{path}");
        let found = state.tree.find(path).unwrap();
        assert_eq!(state.tree.get(found.id).data.as_deref(), node.data.as_deref(), "{path}");
        bytes += path.chars().count() + node.data.as_ref().map_or(0, Vec::len);
    }
    assert_eq!(state.approximate_data_size(), u64::try_from(bytes).unwrap());
    let owned = model.nodes.values().filter(|node| node.kind == 1).count();
    assert_eq!(state.ephemerals_count(), owned);
    let listed: usize = state.sessions().map(|(_, session)| session.ephemerals().count()).sum();
    assert_eq!(listed, owned);
    let of_kind = |kind| model.nodes.values().filter(|node| node.kind == kind).count();
    assert_eq!((state.containers.len(), state.ttls.len()), (of_kind(2), of_kind(3)));
    let acls: alloc::collections::BTreeSet<_> = model.nodes.values().map(|n| n.acl).collect();
    // One more: nobody but the system uses `world:anyone:r`, which the model does not have.
    assert_eq!(state.acls.count(), acls.len() + 1);
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
        let mut model = Model::new();
        for step in [Step::Open(1), Step::Open(2)].iter().chain(&steps) {
            take(&mut world, &mut model, step);
            compare(&world, &model);
        }
        // The sum that every change has kept up to date is the one that a load builds anew.
        let before = (world.state.digest(), world.snapshot());
        world.reload();
        compare(&world, &model);
        prop_assert_eq!((world.state.digest(), world.snapshot()), before);
    }
}
