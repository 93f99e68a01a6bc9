//! What a lane's part of the tree must look like: a second, naive description of ZooKeeper's
//! writes, in which zxids are unknown numbers named by the step that took them.

use std::collections::BTreeMap;

use crate::wire::{
    Failure, Reply,
    records::{self, Acl, Part, Stat, code, flags, op},
};

/// Numbers a lane's steps, in the order of sending.
pub(super) type StepNo = u64;

/// Parent of all lanes' ephemerals. Shared, so no lane knows its counters.
pub(super) const EPHEMERALS: &str = "/e";

/// One request of a lane.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Create {
        path: String,
        data: Vec<u8>,
        flags: i32,
    },
    Set {
        path: String,
        data: Vec<u8>,
        version: i32,
    },
    Delete {
        path: String,
        version: i32,
    },
    SetAcl {
        path: String,
    },
    /// Only inside a multi.
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Self>),
    Close,
}

/// What the answer to a step must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Error(i32),
    Created(String),
    Deleted,
    Set { version: i32 },
    AclSet { aversion: i32 },
    Checked,
    Multi(Vec<Self>),
    Closed,
}

/// A znode; the three zxids are the steps that took them.
#[derive(Clone, Debug)]
pub(super) struct Node {
    data: Vec<u8>,
    created: StepNo,
    modified: StepNo,
    children_changed: StepNo,
    version: i32,
    creates: i32,
    deletes: i32,
    aversion: i32,
    pub(super) owner: i64,
}

/// A lane's znodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) nodes: BTreeMap<String, Node>,
}

impl Step {
    /// Opcode and body.
    pub(super) fn request(&self) -> (i32, Vec<u8>) {
        match self {
            Self::Create { path, data, flags } => {
                (op::CREATE, records::create(path, Some(data), &Acl::open(), *flags))
            }
            Self::Set { path, data, version } => {
                (op::SET_DATA, records::set_data(path, Some(data), *version))
            }
            Self::Delete { path, version } => (op::DELETE, records::path_version(path, *version)),
            Self::SetAcl { path } => (op::SET_ACL, records::set_acl(path, &Acl::open(), -1)),
            Self::Check { path, version } => (op::CHECK, records::path_version(path, *version)),
            Self::Multi(steps) => {
                let parts: Vec<_> = steps.iter().map(Self::request).collect();
                (op::MULTI, records::multi(&parts))
            }
            Self::Close => (op::CLOSE_SESSION, Vec::new()),
        }
    }

    /// The outcome that a reply tells of, in the model's terms.
    pub(super) fn outcome(&self, reply: &Reply) -> Result<Outcome, Failure> {
        if reply.err != 0 {
            return Ok(Outcome::Error(reply.err));
        }
        Ok(match self {
            Self::Create { .. } => Outcome::Created(reply.path()?),
            Self::Set { .. } => Outcome::Set { version: own_stat(reply)?.version },
            Self::SetAcl { .. } => Outcome::AclSet { aversion: reply.stat()?.aversion },
            Self::Delete { .. } => Outcome::Deleted,
            Self::Check { .. } => Outcome::Checked,
            Self::Close => Outcome::Closed,
            Self::Multi(_) => {
                let parts = records::multi_reply(&reply.body)?;
                Outcome::Multi(parts.iter().map(part_outcome).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// The Stat of a setData's reply shows the zxid of the reply.
fn own_stat(reply: &Reply) -> Result<Stat, Failure> {
    let stat = reply.stat()?;
    if stat.mzxid == reply.zxid {
        return Ok(stat);
    }
    Err(format!("reply with zxid {:#x} shows mzxid {:#x}", reply.zxid, stat.mzxid).into())
}

fn part_outcome(part: &Part) -> Result<Outcome, Failure> {
    Ok(match part {
        Part::Created(path) => Outcome::Created(path.clone()),
        Part::Deleted => Outcome::Deleted,
        Part::Set(stat) => Outcome::Set { version: stat.version },
        Part::Checked => Outcome::Checked,
        Part::Error(code) => Outcome::Error(*code),
        other => return Err(format!("{other:?} in the answer to a multi").into()),
    })
}

impl Model {
    /// Runs a step, as a server must.
    pub(super) fn apply(&mut self, no: StepNo, step: &Step, session: i64) -> Outcome {
        let outcome = match step {
            Step::Create { path, data, flags } => self.create(no, path, data, *flags, session),
            Step::Set { path, data, version } => self.set(no, path, data, *version),
            Step::Delete { path, version } => self.delete(no, path, *version),
            Step::SetAcl { path } => self.set_acl(path),
            Step::Check { path, version } => {
                self.versioned(path, *version).map(|_| Outcome::Checked)
            }
            Step::Multi(steps) => return self.multi(no, steps, session),
            Step::Close => {
                self.nodes.retain(|_, node| node.owner != session);
                return Outcome::Closed;
            }
        };
        outcome.unwrap_or_else(Outcome::Error)
    }

    fn multi(&mut self, no: StepNo, steps: &[Step], session: i64) -> Outcome {
        let before = self.clone();
        let outcomes: Vec<Outcome> =
            steps.iter().map(|step| self.apply(no, step, session)).collect();
        let is_error = |outcome: &Outcome| matches!(outcome, Outcome::Error(_));
        let Some(failed) = outcomes.iter().position(is_error) else {
            return Outcome::Multi(outcomes);
        };
        *self = before;
        let codes = outcomes.into_iter().enumerate().map(|(index, outcome)| {
            if index < failed {
                Outcome::Error(code::OK)
            } else if index == failed {
                outcome
            } else {
                Outcome::Error(code::RUNTIME_INCONSISTENCY)
            }
        });
        Outcome::Multi(codes.collect())
    }

    fn create(
        &mut self,
        no: StepNo,
        path: &str,
        data: &[u8],
        flags: i32,
        session: i64,
    ) -> Result<Outcome, i32> {
        let parent = parent(path);
        let mut path = path.to_owned();
        if parent != EPHEMERALS {
            let parent = self.nodes.get(parent).ok_or(code::NO_NODE)?;
            if flags & flags::SEQUENTIAL != 0 {
                path.push_str(&format!("{:010}", parent.creates));
            }
        }
        if self.nodes.contains_key(&path) {
            return Err(code::NODE_EXISTS);
        }
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.creates += 1;
            parent.children_changed = no;
        }
        let owner = if flags & flags::EPHEMERAL != 0 { session } else { 0 };
        let data = data.to_vec();
        let node = Node {
            data,
            created: no,
            modified: no,
            children_changed: no,
            version: 0,
            creates: 0,
            deletes: 0,
            aversion: 0,
            owner,
        };
        self.nodes.insert(path.clone(), node);
        Ok(Outcome::Created(path))
    }

    fn versioned(&mut self, path: &str, version: i32) -> Result<&mut Node, i32> {
        let node = self.nodes.get_mut(path).ok_or(code::NO_NODE)?;
        if version != -1 && version != node.version {
            return Err(code::BAD_VERSION);
        }
        Ok(node)
    }

    fn set(&mut self, no: StepNo, path: &str, data: &[u8], version: i32) -> Result<Outcome, i32> {
        let node = self.versioned(path, version)?;
        node.data = data.to_vec();
        node.version += 1;
        node.modified = no;
        Ok(Outcome::Set { version: node.version })
    }

    fn set_acl(&mut self, path: &str) -> Result<Outcome, i32> {
        let node = self.nodes.get_mut(path).ok_or(code::NO_NODE)?;
        node.aversion += 1;
        Ok(Outcome::AclSet { aversion: node.aversion })
    }

    fn delete(&mut self, no: StepNo, path: &str, version: i32) -> Result<Outcome, i32> {
        self.versioned(path, version)?;
        if 0 < self.children(path) {
            return Err(code::NOT_EMPTY);
        }
        self.nodes.remove(path);
        if let Some(parent) = self.nodes.get_mut(parent(path)) {
            parent.deletes += 1;
            parent.children_changed = no;
        }
        Ok(Outcome::Deleted)
    }

    fn children(&self, path: &str) -> usize {
        self.nodes.keys().filter(|other| parent(other) == path).count()
    }

    /// The root of a lane as its creation left it.
    pub(super) fn with_root(path: &str) -> Self {
        let mut model = Self::default();
        model.nodes.insert("/t".into(), Node::unknown());
        let root = Step::Create { path: path.into(), data: Vec::new(), flags: 0 };
        model.apply(0, &root, 0);
        model.nodes.remove("/t");
        model
    }
}

impl Node {
    pub(super) fn version(&self) -> i32 {
        self.version
    }

    fn unknown() -> Self {
        Self {
            data: Vec::new(),
            created: 0,
            modified: 0,
            children_changed: 0,
            version: 0,
            creates: 0,
            deletes: 0,
            aversion: 0,
            owner: 0,
        }
    }
}

/// The path without its last name.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A lane's part of the tree, as a reader saw it.
pub(super) type Seen = BTreeMap<String, (Option<Vec<u8>>, Stat)>;

/// The zxid and the time of a step, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) zxids: BTreeMap<StepNo, i64>,
    times: BTreeMap<StepNo, i64>,
}

impl Ledger {
    /// A step's zxid: must be the known one, must lie between those of its neighbours.
    pub(super) fn bind(&mut self, no: StepNo, zxid: i64) -> Result<(), String> {
        if let Some(known) = self.zxids.get(&no) {
            return equal(known, &zxid, &format!("zxid of step {no}"));
        }
        let below = self.zxids.range(..no).next_back().is_none_or(|(_, other)| *other < zxid);
        let above = self.zxids.range(no..).next().is_none_or(|(_, other)| zxid < *other);
        if !below || !above {
            return Err(format!("zxid {zxid:#x} of step {no} is out of order"));
        }
        self.zxids.insert(no, zxid);
        Ok(())
    }

    fn bind_time(&mut self, no: StepNo, time: i64) -> Result<(), String> {
        equal(self.times.entry(no).or_insert(time), &time, &format!("time of step {no}"))
    }

    /// Forgets steps that no znode shows any more, but for the last.
    pub(super) fn forget<'a>(&mut self, nodes: &(impl Iterator<Item = &'a Node> + Clone)) {
        let last = self.zxids.keys().next_back().copied();
        let shown = |no: &StepNo| {
            Some(*no) == last
                || nodes
                    .clone()
                    .any(|node| [node.created, node.modified, node.children_changed].contains(no))
        };
        self.zxids.retain(|no, _| shown(no));
        self.times.retain(|no, _| shown(no));
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(due: &T, seen: &T, what: &str) -> Result<(), String> {
    if due == seen { Ok(()) } else { Err(format!("{what}: {seen:?} where {due:?} is due")) }
}

impl Model {
    /// Whether `seen` is exactly this model, with one zxid and one time for each step. Returns the
    /// ledger with what was learned of steps that were not acknowledged.
    pub(super) fn matches(&self, seen: &Seen, ledger: &Ledger) -> Result<Ledger, String> {
        let mut ledger = ledger.clone();
        if let Some(path) = self.nodes.keys().find(|path| !seen.contains_key(*path)) {
            return Err(format!("{path} is gone"));
        }
        for (path, (data, stat)) in seen {
            let node = self.nodes.get(path).ok_or_else(|| format!("{path} should not be"))?;
            node.matches(data.as_deref(), stat, self.children(path), &mut ledger)
                .map_err(|cause| format!("{path}: {cause}"))?;
        }
        Ok(ledger)
    }
}

impl Node {
    pub(super) fn matches(
        &self,
        data: Option<&[u8]>,
        stat: &Stat,
        children: usize,
        ledger: &mut Ledger,
    ) -> Result<(), String> {
        equal(&Some(self.data.as_slice()), &data, "data")?;
        equal(&self.version, &stat.version, "version")?;
        equal(&(self.creates + self.deletes), &stat.cversion, "cversion")?;
        equal(&self.aversion, &stat.aversion, "aversion")?;
        equal(&self.owner, &stat.ephemeral_owner, "ephemeralOwner")?;
        equal(&i32::try_from(self.data.len()).ok(), &Some(stat.data_length), "dataLength")?;
        equal(&i32::try_from(children).ok(), &Some(stat.num_children), "numChildren")?;
        ledger.bind(self.created, stat.czxid).map_err(|cause| format!("czxid: {cause}"))?;
        ledger.bind(self.modified, stat.mzxid).map_err(|cause| format!("mzxid: {cause}"))?;
        ledger
            .bind(self.children_changed, stat.pzxid)
            .map_err(|cause| format!("pzxid: {cause}"))?;
        ledger.bind_time(self.created, stat.ctime).map_err(|cause| format!("ctime: {cause}"))?;
        ledger.bind_time(self.modified, stat.mtime).map_err(|cause| format!("mtime: {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(zxids: [i64; 3], version: i32) -> Stat {
        let [czxid, mzxid, pzxid] = zxids;
        Stat { czxid, mzxid, pzxid, version, data_length: 1, ctime: 1, mtime: 2, ..Stat::default() }
    }

    /// A lane that created its root and one znode, and set it twice; the second set is in doubt.
    fn story() -> (Model, Ledger, Seen) {
        let mut model = Model::with_root("/t/l00");
        let create =
            Step::Create { path: "/t/l00/a".into(), data: b"0".to_vec(), flags: flags::PERSISTENT };
        let set =
            |data: &[u8]| Step::Set { path: "/t/l00/a".into(), data: data.into(), version: -1 };
        let mut ledger = Ledger::default();
        model.apply(1, &create, 7);
        ledger.bind(1, 10).expect("the first");
        model.apply(2, &set(b"1"), 7);
        ledger.bind(2, 11).expect("the next");
        model.apply(3, &set(b"2"), 7);
        let root =
            Stat { cversion: 1, num_children: 1, data_length: 0, mtime: 1, ..stat([5, 5, 10], 0) };
        let mut seen = Seen::new();
        seen.insert("/t/l00".into(), (Some(Vec::new()), root));
        seen.insert("/t/l00/a".into(), (Some(b"2".to_vec()), stat([10, 12, 10], 2)));
        (model, ledger, seen)
    }

    #[test]
    fn learns_the_zxid_of_a_write_that_was_not_acknowledged() {
        let (model, ledger, seen) = story();
        let learned = model.matches(&seen, &ledger).expect("what is due");
        assert_eq!(learned.zxids.get(&3), Some(&12));
    }

    #[test]
    fn sees_every_kind_of_loss() {
        let (model, ledger, seen) = story();
        let check = |what: &str, change: fn(&mut Stat), due: &str| {
            let mut seen = seen.clone();
            change(&mut seen.get_mut("/t/l00/a").expect("it is there").1);
            let cause = model.matches(&seen, &ledger).err().unwrap_or_default();
            assert!(cause.contains(due), "{what}: {cause:?}");
        };
        check("applied twice", |stat| stat.version = 3, "version");
        check("zxid from the past", |stat| stat.mzxid = 9, "out of order");
        check("created again", |stat| stat.czxid = 12, "czxid");
        check("another owner", |stat| stat.ephemeral_owner = 7, "ephemeralOwner");
        let mut shorter = seen.clone();
        shorter.remove("/t/l00/a");
        assert!(model.matches(&shorter, &ledger).is_err_and(|cause| cause.contains("is gone")));
        let mut longer = seen.clone();
        longer.insert("/t/l00/b".into(), (None, Stat::default()));
        assert!(
            model.matches(&longer, &ledger).is_err_and(|cause| cause.contains("should not be"))
        );
    }

    #[test]
    fn a_failed_multi_leaves_no_trace() {
        let (mut model, _, _) = story();
        let before = format!("{model:?}");
        let outcome = model.apply(
            4,
            &Step::Multi(vec![
                Step::Create {
                    path: "/t/l00/q-".into(),
                    data: Vec::new(),
                    flags: flags::SEQUENTIAL,
                },
                Step::Check { path: "/t/l00/a".into(), version: 9 },
                Step::Delete { path: "/t/l00/a".into(), version: -1 },
            ]),
            7,
        );
        let codes = [code::OK, code::BAD_VERSION, code::RUNTIME_INCONSISTENCY];
        assert_eq!(outcome, Outcome::Multi(codes.map(Outcome::Error).to_vec()));
        assert_eq!(format!("{model:?}"), before);
    }
}
