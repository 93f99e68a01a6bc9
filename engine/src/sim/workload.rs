//! What clients ask next. Few paths, so that they meet.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec, vec::Vec};

use super::{
    ask::{Answer, Ask},
    chance::Chance,
};
use crate::{
    ids::SessionId,
    protocol::{error_code::ErrorCode, event::EventKind},
    state::command::CreateKind,
};

/// What a client does all day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Workload {
    /// Everything, at random.
    Mixed,
    /// Compare-and-set on registers that nobody else touches, and reads after a sync.
    Registers,
    /// Puts sequential znodes below `/q`, and takes the first one out.
    Queue,
    /// Wants to own the ephemeral `/leader`, and watches it while somebody else does.
    Election,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mixed, Self::Registers, Self::Queue, Self::Election];
}

/// The registers. Only [`Workload::Registers`] touches them, one operation at a time and never in a
/// multi: that is what lets `check` look at them without a zxid.
pub const REGISTERS: [&str; 2] = ["/r0", "/r1"];

/// Where the queue is.
pub const QUEUE: &str = "/q";

/// Who leads.
pub const LEADER: &str = "/leader";

const PATHS: [&str; 9] =
    ["/a", "/b", "/a/x", "/a/y", "/b/z", "/a/x/1", "/q", "/leader", "/a0000000001"];

/// Makes requests, and remembers of the answers what the next ones need.
#[derive(Clone, Debug)]
pub(super) struct Workshop {
    client: usize,
    chance: Chance,
    workload: Workload,
    /// Counts what it has written: every piece of data is another one.
    written: u64,
    /// The newest version of a znode that it has seen.
    versions: BTreeMap<String, i32>,
    /// What it saw last in the queue.
    queued: Vec<String>,
}

impl Workshop {
    pub(super) fn new(client: usize, chance: Chance, workload: Workload) -> Self {
        let (versions, queued) = (BTreeMap::new(), Vec::new());
        Self { client, chance, workload, written: 0, versions, queued }
    }

    /// The next requests: about `count`.
    pub(super) fn next(&mut self, session: SessionId, count: usize) -> Vec<Ask> {
        let mut asks = Vec::new();
        while asks.len() < count {
            match self.workload {
                Workload::Mixed => asks.extend(self.mixed()),
                Workload::Registers => asks.extend(self.registers()),
                Workload::Queue => asks.extend(self.queue()),
                Workload::Election => asks.extend(self.election(session)),
            }
        }
        asks
    }

    pub(super) fn note_answer(&mut self, ask: &Ask, answer: &Result<Answer, ErrorCode>) {
        match (ask, answer) {
            (Ask::SetData { path, .. } | Ask::Exists { path, .. }, Ok(Answer::Stat(stat)))
            | (Ask::GetData { path, .. }, Ok(Answer::Data { stat, .. })) => {
                self.versions.insert(path.clone(), stat.version);
            }
            (Ask::Create { path, .. }, Ok(_)) => {
                self.versions.insert(path.clone(), 0);
            }
            (Ask::GetChildren { path, .. }, Ok(Answer::Children { names, .. }))
                if path == QUEUE =>
            {
                self.queued = names.iter().map(|name| format!("{QUEUE}/{name}")).collect();
            }
            _ => {}
        }
    }

    pub(super) fn note_event(&mut self, _kind: EventKind, path: &str) {
        self.versions.remove(path);
    }

    /// Data that nobody else has written.
    fn data(&mut self) -> Vec<u8> {
        self.written += 1;
        format!("{}.{}", self.client, self.written).into_bytes()
    }

    fn path(&mut self) -> String {
        PATHS[self.chance.below(PATHS.len())].to_owned()
    }

    /// Any version, the one it knows, or a guess.
    fn version(&mut self, path: &str) -> i32 {
        match (self.chance.below(3), self.versions.get(path)) {
            (0, _) => -1,
            (1, Some(version)) => *version,
            _ => [0, 1, 2][self.chance.below(3)],
        }
    }

    fn watch(&mut self) -> bool {
        self.chance.one_in(2)
    }

    fn create(&mut self) -> Ask {
        let kind = match self.chance.below(12) {
            0..5 => CreateKind::Persistent,
            5..10 => CreateKind::Ephemeral,
            10 => CreateKind::Container,
            _ => CreateKind::Ttl(2000),
        };
        let is_sequential = kind != CreateKind::Container && self.chance.one_in(3);
        let is_old_form =
            matches!(kind, CreateKind::Persistent | CreateKind::Ephemeral) && self.chance.one_in(2);
        let (path, data) = (self.path(), self.data());
        Ask::Create { path, data, kind, is_sequential, has_stat: !is_old_form }
    }

    fn edit(&mut self) -> Ask {
        let path = self.path();
        let version = self.version(&path);
        match self.chance.below(8) {
            0..4 => self.create(),
            4 | 5 => Ask::Delete { path, version },
            _ => Ask::SetData { path, data: self.data(), version },
        }
    }

    fn read(&mut self) -> Ask {
        let (path, watch) = (self.path(), self.watch());
        match self.chance.below(4) {
            0 => Ask::Exists { path, watch },
            1 => Ask::GetData { path, watch },
            2 => Ask::GetChildren { path, watch, has_stat: self.chance.one_in(2) },
            _ if self.chance.one_in(3) => Ask::GetAcl { path },
            _ => Ask::GetChildren { path: "/".to_owned(), watch, has_stat: true },
        }
    }

    fn mixed(&mut self) -> Vec<Ask> {
        match self.chance.below(20) {
            0..8 => vec![self.edit()],
            8..14 => vec![self.read()],
            14 => vec![Ask::Sync { path: "/".to_owned() }, self.read()],
            // Its own write must be seen.
            15 | 16 => vec![self.edit(), self.read(), self.read()],
            17 => {
                let path = self.path();
                let perms = [31, 29][self.chance.below(2)];
                vec![Ask::SetAcl { path, perms, version: -1 }]
            }
            18 => vec![Ask::AddWatch { path: self.path(), is_recursive: self.watch() }],
            _ => vec![self.multi()],
        }
    }

    fn multi(&mut self) -> Ask {
        let count = self.chance.below(4);
        let operation = |this: &mut Self| {
            if this.chance.one_in(4) {
                let path = this.path();
                let version = this.version(&path);
                return Ask::Check { path, version };
            }
            this.edit()
        };
        Ask::Multi((0..count).map(|_| operation(self)).collect())
    }

    fn registers(&mut self) -> Vec<Ask> {
        let path = REGISTERS[self.chance.below(REGISTERS.len())].to_owned();
        let read = Ask::GetData { path: path.clone(), watch: false };
        match (self.chance.below(5), self.versions.get(&path)) {
            (0, _) => vec![Ask::Sync { path }, read],
            (1, None) => {
                let (data, kind) = (self.data(), CreateKind::Persistent);
                vec![Ask::Create { path, data, kind, is_sequential: false, has_stat: true }]
            }
            (2..5, Some(version)) => {
                let version = *version;
                vec![Ask::SetData { path, data: self.data(), version }]
            }
            _ => vec![read],
        }
    }

    fn queue(&mut self) -> Vec<Ask> {
        let persistent = |path: &str, data, is_sequential| {
            let kind = CreateKind::Persistent;
            Ask::Create { path: path.to_owned(), data, kind, is_sequential, has_stat: false }
        };
        match self.chance.below(4) {
            0 => vec![persistent(QUEUE, self.data(), false)],
            1 => vec![persistent(&format!("{QUEUE}/n"), self.data(), true)],
            2 if !self.queued.is_empty() => {
                let path = self.queued.remove(0);
                vec![Ask::Delete { path, version: -1 }]
            }
            _ => {
                let (path, watch) = (QUEUE.to_owned(), self.watch());
                vec![Ask::GetChildren { path, watch, has_stat: false }]
            }
        }
    }

    fn election(&mut self, session: SessionId) -> Vec<Ask> {
        let path = LEADER.to_owned();
        match self.chance.below(5) {
            0 | 1 => {
                let data = format!("{session}").into_bytes();
                let kind = CreateKind::Ephemeral;
                vec![
                    Ask::Create {
                        path: path.clone(),
                        data,
                        kind,
                        is_sequential: false,
                        has_stat: true,
                    },
                    Ask::Exists { path, watch: true },
                ]
            }
            2 => vec![Ask::Delete { path, version: -1 }],
            _ => vec![Ask::GetData { path, watch: true }],
        }
    }
}
