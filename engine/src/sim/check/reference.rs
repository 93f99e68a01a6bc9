//! The naive tree: a map from path to znode in which every rule is written out the slow way, from
//! ZooKeeper's description and not from `state`. It shares with the State what a command is and how
//! an outcome is written, and nothing that decides.
//!
//! Quotas are not its business, and of ACLs it knows `world`, and identities that are listed
//! literally.

use alloc::{
    borrow::{Cow, ToOwned},
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    batch::{BatchHeader, BatchKind},
    ids::{Owner, SessionId, WallTime, Zxid},
    limits::PASSWORD_BYTES,
    protocol::{
        error_code::ErrorCode,
        path,
        records::{Acl, Id, Stat, perms},
        reply::Reply,
        request::{Read, SetWatches},
    },
    shared_bytes::SharedStr,
    sim::ask::{Answer, Ask, world_acl},
    state::{
        ChangeKind, Outcome, Reader, State,
        command::{Command, CreateKind, CreateOp, Op},
    },
};

/// One znode.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// `None` is null.
    pub data: Option<Vec<u8>>,
    /// Who may do what.
    pub acl: Vec<Acl>,
    /// What makes it go away by itself.
    pub kind: CreateKind,
    /// The session of an ephemeral znode, else 0.
    pub owner: SessionId,
    /// How many children were ever created.
    pub creates: i32,
    /// All that does not follow from other fields.
    stat: Stat,
}

/// One open session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenSession {
    /// The connection that speaks for it.
    pub owner: Owner,
    /// What a client must show.
    pub password: [u8; PASSWORD_BYTES],
    /// Milliseconds.
    pub timeout_ms: i32,
}

/// The tree and the sessions after some commands.
#[derive(Clone, Debug)]
pub struct Reference {
    /// By path; the root's is empty.
    pub nodes: BTreeMap<String, Node>,
    /// The open ones.
    pub sessions: BTreeMap<SessionId, OpenSession>,
    /// What the last command did, in the order in which watches are told.
    pub changes: Vec<(ChangeKind, String)>,
    /// The last one given out.
    pub zxid: Zxid,
    time: WallTime,
}

/// Outcome of a command or of an operation.
pub type Expected = Result<Outcome, ErrorCode>;

/// Who asks, for the operations of a command.
#[derive(Clone, Copy)]
struct Asker<'a> {
    session: SessionId,
    auth: &'a [Id],
    skip_acl: bool,
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl Reference {
    /// A fresh server's.
    #[must_use]
    pub fn new() -> Self {
        let node = |cversion, aversion, perms| Node {
            data: Some(Vec::new()),
            acl: world_acl(perms),
            kind: CreateKind::Persistent,
            owner: SessionId(0),
            creates: 0,
            stat: Stat { cversion, aversion, ..Stat::default() },
        };
        let nodes = [
            ("", node(-1, 0, perms::ALL)),
            ("/zookeeper", node(-2, 0, perms::ALL)),
            ("/zookeeper/quota", node(0, 0, perms::ALL)),
            ("/zookeeper/config", node(0, -1, perms::READ)),
        ];
        Self {
            nodes: nodes.into_iter().map(|(path, node)| (path.to_owned(), node)).collect(),
            sessions: BTreeMap::new(),
            changes: Vec::new(),
            zxid: Zxid::NONE,
            time: WallTime(0),
        }
    }

    /// A batch begins.
    pub fn begin_batch(&mut self, header: &BatchHeader) {
        self.time = header.time;
        if header.kind == BatchKind::NewEpoch {
            self.zxid = Zxid::new(header.epoch, 0);
        }
    }

    /// Applies a command and says what must come of it. `zxid` is its own, or the last one given
    /// if it takes none.
    ///
    /// # Errors
    ///
    /// The code for the client.
    pub fn apply(&mut self, zxid: Zxid, command: &Command) -> Expected {
        self.zxid = zxid;
        self.changes.clear();
        let Command { session, owner, ref auth, skip_acl, .. } = *command;
        let asker = Asker { session, auth, skip_acl };
        match &command.op {
            Op::CreateSession { timeout_ms, password } => {
                if self.sessions.contains_key(&session) {
                    return Err(ErrorCode::SystemError);
                }
                let (timeout_ms, password) = (*timeout_ms, *password);
                self.sessions.insert(session, OpenSession { owner, password, timeout_ms });
                Ok(Outcome::SessionCreated { timeout_ms })
            }
            Op::AttachSession { timeout_ms, password } => match self.sessions.get_mut(&session) {
                Some(found) if found.password == *password => {
                    *found = OpenSession { owner, timeout_ms: *timeout_ms, ..*found };
                    Ok(Outcome::SessionAttached { timeout_ms: *timeout_ms })
                }
                _ => Err(ErrorCode::SessionExpired),
            },
            Op::CloseSession => {
                if owner != Owner(0) {
                    self.check_session(session, owner)?;
                }
                self.close(session)
            }
            Op::DeleteContainer { path } => self.reap(path),
            Op::Multi(ops) => {
                self.check_session(session, owner)?;
                Ok(self.multi(asker, ops))
            }
            op => {
                self.check_session(session, owner)?;
                self.operation(asker, op)
            }
        }
    }

    /// What a read must be answered now. `None`: it is no read.
    #[must_use]
    pub fn read(&self, ask: &Ask) -> Option<Result<Answer, ErrorCode>> {
        let found = |path: &str, needed| {
            let key = key(path);
            let node = self.nodes.get(key).ok_or(ErrorCode::NoNode)?;
            let reader = Asker { session: SessionId(0), auth: &[], skip_acl: false };
            permit(node, reader, needed)?;
            Ok((key.to_owned(), node))
        };
        Some(match ask {
            Ask::Exists { path, .. } => {
                found(path, perms::READ).map(|(key, _)| Answer::Stat(self.stat(&key)))
            }
            Ask::GetData { path, .. } => found(path, perms::READ)
                .map(|(key, node)| Answer::Data { data: node.data.clone(), stat: self.stat(&key) }),
            Ask::GetAcl { path } => found(path, perms::READ | perms::ADMIN)
                .map(|(key, node)| Answer::Acl { acl: node.acl.clone(), stat: self.stat(&key) }),
            Ask::GetChildren { path, has_stat, .. } => found(path, perms::READ).map(|(key, _)| {
                let mut names: Vec<String> = self.children(&key).collect();
                names.sort_unstable();
                Answer::Children { names, stat: has_stat.then(|| self.stat(&key)) }
            }),
            _ => return None,
        })
    }

    /// What a client must be told at once that sets these watches again: by kind of list, in the
    /// order in which it names them.
    #[must_use]
    pub fn missed(&self, watches: &SetWatches) -> Vec<(ChangeKind, String)> {
        let seen = watches.relative_zxid.0;
        let mut missed = Vec::new();
        for path in &watches.data {
            match self.nodes.get(key(path)) {
                None => missed.push((ChangeKind::Deleted, path.clone())),
                Some(node) if node.stat.mzxid > seen => {
                    missed.push((ChangeKind::DataChanged, path.clone()));
                }
                Some(_) => {}
            }
        }
        for path in &watches.exist {
            if self.nodes.contains_key(key(path)) {
                missed.push((ChangeKind::Created, path.clone()));
            }
        }
        for path in &watches.child {
            match self.nodes.get(key(path)) {
                None => missed.push((ChangeKind::Deleted, path.clone())),
                Some(node) if node.stat.pzxid > seen => {
                    missed.push((ChangeKind::ChildrenChanged, path.clone()));
                }
                Some(_) => {}
            }
        }
        missed
    }

    /// What a client sees of the znode at `path`, which exists.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    pub fn stat(&self, path: &str) -> Stat {
        let node = self.nodes.get(path).expect("a znode that exists");
        Stat {
            data_length: count(node.data.as_ref().map_or(0, Vec::len)),
            num_children: count(self.children(path).count()),
            ephemeral_owner: node.owner.0,
            ..node.stat
        }
    }

    /// The names of the children of `path`.
    pub fn children(&self, path: &str) -> impl Iterator<Item = String> {
        let prefix = format!("{path}/");
        let below = self.nodes.range(prefix.clone()..);
        let below = below.map_while(move |(path, _)| path.strip_prefix(&prefix));
        below.filter(|name| !name.contains('/')).map(ToOwned::to_owned)
    }

    /// An ephemeral znode that has outlived its session. There is none, ever.
    #[must_use]
    pub fn orphan(&self) -> Option<&str> {
        let is_orphan = |node: &Node| {
            node.kind == CreateKind::Ephemeral && !self.sessions.contains_key(&node.owner)
        };
        self.nodes.iter().find(|(_, node)| is_orphan(node)).map(|(path, _)| path.as_str())
    }

    /// The first thing in which a State differs.
    #[must_use]
    pub fn differs_from(&self, state: &State) -> Option<String> {
        if (state.last_zxid(), state.znode_count()) != (self.zxid, self.nodes.len() + 1) {
            let found = (state.last_zxid(), state.znode_count());
            return Some(format!("{found:?}, and not {:?}", (self.zxid, self.nodes.len() + 1)));
        }
        for (path, node) in &self.nodes {
            let found = seen_of(state, path);
            let expected = (Some(self.stat(path)), node.data.clone(), Some(node.acl.clone()));
            if found != expected {
                return Some(format!("{path:?} is {found:?}, and not {expected:?}"));
            }
        }
        let expected = self.sessions.iter().map(|(id, session)| {
            let OpenSession { owner, password, timeout_ms } = *session;
            let owned = |node: &Node| node.kind == CreateKind::Ephemeral && node.owner == *id;
            let its = self.nodes.iter().filter(|(_, node)| owned(node));
            let its: Vec<&str> = its.map(|(path, _)| path.as_str()).collect();
            (*id, owner, password, timeout_ms, its)
        });
        let found = state.sessions().map(|(id, session)| {
            let its = session.ephemerals().map(|path| path.as_str()).collect();
            (id, session.owner, session.password, session.timeout_ms, its)
        });
        let [expected, found]: [Vec<_>; 2] = [expected.collect(), found.collect()];
        (expected != found).then(|| format!("sessions are {found:?}, and not {expected:?}"))
    }

    fn tell(&mut self, kind: ChangeKind, path: &str) {
        let path = if path.is_empty() { "/" } else { path };
        self.changes.push((kind, path.to_owned()));
    }

    fn check_session(&self, session: SessionId, owner: Owner) -> Result<(), ErrorCode> {
        match self.sessions.get(&session) {
            None => Err(ErrorCode::SessionExpired),
            Some(found) if found.owner == owner => Ok(()),
            Some(_) => Err(ErrorCode::SessionMoved),
        }
    }

    fn close(&mut self, session: SessionId) -> Expected {
        self.sessions.remove(&session).ok_or(ErrorCode::SessionExpired)?;
        let is_its = |node: &Node| node.kind == CreateKind::Ephemeral && node.owner == session;
        let its = self.nodes.iter().filter(|(_, node)| is_its(node));
        let paths: Vec<String> = its.map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.remove(path));
        Ok(Outcome::SessionClosed)
    }

    fn multi(&mut self, asker: Asker<'_>, ops: &[Op]) -> Outcome {
        let before = self.clone();
        let mut outcomes = Vec::new();
        for (failed, op) in ops.iter().enumerate() {
            match self.operation(asker, op) {
                Ok(outcome) => outcomes.push(outcome),
                Err(code) => {
                    *self = before;
                    return Outcome::MultiFailed { failed, code, op_count: ops.len() };
                }
            }
        }
        Outcome::Multi(outcomes)
    }

    fn operation(&mut self, asker: Asker<'_>, op: &Op) -> Expected {
        match op {
            Op::Create(create) => self.create(asker, create),
            Op::Delete { path, version } => self.delete(asker, path, *version),
            Op::SetData { path, data, version } => {
                let key = self.found(asker, path, perms::WRITE)?;
                let (zxid, time) = (self.zxid, self.time);
                let node = self.nodes.get_mut(&key).expect("just found");
                expect_version(node.stat.version, *version)?;
                node.data = data.as_deref().map(<[u8]>::to_owned);
                node.stat.version += 1;
                node.stat.mzxid = zxid.0;
                node.stat.mtime = time.0;
                self.tell(ChangeKind::DataChanged, &key);
                Ok(Outcome::DataSet { stat: self.stat(&key) })
            }
            Op::SetAcl { path, acl, version } => {
                let key = self.found(asker, path, perms::ADMIN)?;
                let node = self.nodes.get_mut(&key).expect("just found");
                expect_version(node.stat.aversion, *version)?;
                node.acl.clone_from(acl);
                node.stat.aversion += 1;
                Ok(Outcome::AclSet { stat: self.stat(&key) })
            }
            Op::Check { path, version } => {
                let key = self.found(asker, path, perms::READ)?;
                expect_version(self.nodes[&key].stat.version, *version)?;
                Ok(Outcome::Checked)
            }
            Op::Fail(code) => Err(*code),
            Op::CreateSession { .. }
            | Op::AttachSession { .. }
            | Op::CloseSession
            | Op::Multi(_)
            | Op::DeleteContainer { .. } => Err(ErrorCode::Unimplemented),
        }
    }

    fn found(&self, asker: Asker<'_>, path: &str, needed: i32) -> Result<String, ErrorCode> {
        let key = key(path);
        permit(self.nodes.get(key).ok_or(ErrorCode::NoNode)?, asker, needed)?;
        Ok(key.to_owned())
    }

    fn create(&mut self, asker: Asker<'_>, create: &CreateOp) -> Expected {
        let path = create.path.as_str();
        let parent = parent(path).ok_or(ErrorCode::BadArguments)?.to_owned();
        let above = self.nodes.get(&parent).ok_or(ErrorCode::NoNode)?;
        permit(above, asker, perms::CREATE)?;
        let number = above.creates;
        let full = if create.sequential { format!("{path}{number:010}") } else { path.to_string() };
        path::validate(&full).map_err(|_| ErrorCode::BadArguments)?;
        if self.nodes.contains_key(key(&full)) {
            return Err(ErrorCode::NodeExists);
        }
        if above.kind == CreateKind::Ephemeral {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let (zxid, time) = (self.zxid.0, self.time.0);
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ..Stat::default()
        };
        let is_ephemeral = create.kind == CreateKind::Ephemeral;
        let node = Node {
            data: create.data.as_deref().map(<[u8]>::to_owned),
            acl: create.acl.clone(),
            kind: create.kind,
            owner: if is_ephemeral { asker.session } else { SessionId(0) },
            creates: 0,
            stat,
        };
        self.nodes.insert(full.clone(), node);
        let above = self.nodes.get_mut(&parent).expect("just found");
        above.creates += 1;
        above.stat.cversion += 1;
        above.stat.pzxid = zxid;
        self.tell(ChangeKind::Created, &full);
        self.tell(ChangeKind::ChildrenChanged, &parent);
        Ok(Outcome::Created { path: SharedStr::new(&full), stat: self.stat(&full) })
    }

    fn delete(&mut self, asker: Asker<'_>, path: &str, version: i32) -> Expected {
        let parent = parent(path).ok_or(ErrorCode::BadArguments)?;
        if ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"].contains(&path) {
            return Err(ErrorCode::BadArguments);
        }
        permit(self.nodes.get(parent).ok_or(ErrorCode::NoNode)?, asker, perms::DELETE)?;
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        expect_version(node.stat.version, version)?;
        if self.children(path).next().is_some() {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(path);
        Ok(Outcome::Deleted)
    }

    /// A container or TTL znode goes if it is still due.
    fn reap(&mut self, path: &str) -> Expected {
        let node = self.nodes.get(key(path)).ok_or(ErrorCode::NoNode)?;
        if self.children(key(path)).next().is_some() {
            return Err(ErrorCode::NotEmpty);
        }
        let is_due = match node.kind {
            CreateKind::Container => true,
            CreateKind::Ttl(ttl_ms) => self.time.0 - node.stat.mtime > ttl_ms,
            CreateKind::Persistent | CreateKind::Ephemeral => false,
        };
        if !is_due {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(path);
        Ok(Outcome::Deleted)
    }

    fn remove(&mut self, path: &str) {
        self.nodes.remove(path).expect("a znode that exists");
        let parent = parent(path).expect("the root stays").to_owned();
        let above = self.nodes.get_mut(&parent).expect("a parent exists");
        above.stat.cversion += 1;
        above.stat.pzxid = self.zxid.0;
        self.tell(ChangeKind::Deleted, path);
        self.tell(ChangeKind::ChildrenChanged, &parent);
    }
}

/// What a State has at `path`: Stat, data, ACL.
fn seen_of(state: &State, path: &str) -> (Option<Stat>, Option<Vec<u8>>, Option<Vec<Acl>>) {
    let reader = Reader { session: SessionId(0), auth: &[], skip_acl: true };
    let path = Cow::Borrowed(path);
    let data = match state.read(&reader, &Read::GetData { path: path.clone(), watch: false }) {
        Ok(Reply::Data { data, .. }) => data.map(<[u8]>::to_owned),
        _ => None,
    };
    let acl = match state.read(&reader, &Read::GetAcl { path: path.clone() }) {
        Ok(Reply::Acl { acl, .. }) => Some(acl.into_owned()),
        _ => None,
    };
    (state.stat_of(&path), data, acl)
}

/// Under which name a path is in the map.
fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

/// The root has two names in ZooKeeper's map, so that `//a` has a parent.
fn parent(path: &str) -> Option<&str> {
    path.rfind('/').map(|slash| key(&path[..slash]))
}

fn count(number: usize) -> i32 {
    i32::try_from(number).expect("small numbers")
}

fn expect_version(version: i32, expected: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == version { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

/// Whether one of the asker's identities has one of the permissions `needed`.
fn permit(node: &Node, asker: Asker<'_>, needed: i32) -> Result<(), ErrorCode> {
    let is_held = |entry: &Acl| {
        entry.perms & needed != 0
            && ((entry.id.scheme == "world" && entry.id.id == "anyone")
                || asker.auth.contains(&entry.id))
    };
    if asker.skip_acl || node.acl.iter().any(is_held) { Ok(()) } else { Err(ErrorCode::NoAuth) }
}
