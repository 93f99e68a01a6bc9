//! Watch events (rule 6): what a connection watches follows from its answers, and what it must be
//! told from the log. Each connection gets exactly these events, in their order, and before any
//! answer that is as new.

use alloc::{
    collections::{BTreeMap, VecDeque},
    format,
    string::String,
    vec::Vec,
};

use super::{
    Report, Rule,
    connections::{Connection, Operation, Received},
    replay::{Changed, Replay},
};
use crate::{
    ids::Zxid,
    protocol::{error_code::ErrorCode, event::EventKind, request::SetWatches},
    sim::ask::Ask,
    state::ChangeKind,
};

/// What a connection watches of one path.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    /// Once: the znode.
    data: bool,
    /// Once: its children.
    child: bool,
    persistent: bool,
    recursive: bool,
}

/// An event: what did it, what happened, and to which znode.
type Event = (Zxid, EventKind, String);

/// One connection's watches while the log goes by.
struct Watcher<'a> {
    changes: &'a [Changed],
    watched: BTreeMap<String, Watched>,
    /// Changes up to here have happened.
    upto: Zxid,
    /// What must come next.
    expected: VecDeque<Event>,
    /// What came for a `setWatches` that was not answered yet.
    caught_up: Vec<(EventKind, String)>,
}

pub(super) fn check(connections: &[Connection<'_>], replay: &Replay, report: &mut Report) {
    for (at, connection) in connections.iter().enumerate() {
        let mut watcher = Watcher {
            changes: &replay.changes,
            watched: BTreeMap::new(),
            upto: Zxid::NONE,
            expected: VecDeque::new(),
            caught_up: Vec::new(),
        };
        if let Err(text) = watcher.follow(at, connection, replay, report) {
            let Connection { client, server, session, .. } = connection;
            let text = format!("client {client} at server {server}, session {session}: {text}");
            report.broken(Rule::Watches, text);
        }
    }
}

impl Watcher<'_> {
    fn follow(
        &mut self,
        at: usize,
        connection: &Connection<'_>,
        replay: &Replay,
        report: &mut Report,
    ) -> Result<(), String> {
        for received in &connection.received {
            match *received {
                Received::Told { zxid: Zxid(-1), kind, path, .. } => {
                    report.counts.missed_events += 1;
                    self.caught_up.push((kind, path.into()));
                }
                Received::Told { zxid, kind, path, .. } => {
                    report.counts.events += 1;
                    self.told(&(zxid, kind, path.into()))?;
                }
                Received::Reply(index) => {
                    let missed = replay.missed.get(&(at, index)).map(Vec::as_slice);
                    self.answered(&connection.operations[index], missed.unwrap_or_default())?;
                }
            }
        }
        // What came for a `setWatches` whose answer was lost cannot be judged, but was asked for.
        let is_open =
            |one: &Operation<'_>| matches!(one.ask, Ask::SetWatches(_)) && one.reply.is_none();
        if !self.caught_up.is_empty() && !connection.operations.iter().any(is_open) {
            return Err(format!("told and not asked for: {:?}", self.caught_up));
        }
        Ok(())
    }

    fn told(&mut self, event: &Event) -> Result<(), String> {
        if !self.caught_up.is_empty() {
            return Err(format!("{event:?} amid the answer to a setWatches"));
        }
        self.pass(event.0, true);
        match self.expected.pop_front() {
            Some(expected) if expected == *event => Ok(()),
            Some(expected) => Err(format!("told {event:?}, and {expected:?} comes first")),
            None => Err(format!("told {event:?}, which nothing caused or nobody watches")),
        }
    }

    fn answered(
        &mut self,
        operation: &Operation<'_>,
        missed: &[(ChangeKind, String)],
    ) -> Result<(), String> {
        let Some(reply) = operation.reply else { return Ok(()) };
        self.pass(reply.zxid, false);
        if let Some(expected) = self.expected.front() {
            let (xid, zxid) = (operation.xid.0, reply.zxid);
            return Err(format!(
                "{expected:?} was not told before the answer to {xid} as of {zxid}"
            ));
        }
        let caught_up = core::mem::take(&mut self.caught_up);
        let missed: Vec<_> =
            missed.iter().map(|(kind, path)| (told_as(*kind), path.clone())).collect();
        if caught_up != missed {
            return Err(format!("setWatches was told {caught_up:?} and not {missed:?}"));
        }
        match (operation.ask, reply.answer) {
            (Ask::Exists { path, watch: true }, Ok(_) | Err(ErrorCode::NoNode))
            | (Ask::GetData { path, watch: true }, Ok(_)) => self.watch(path).data = true,
            (Ask::GetChildren { path, watch: true, .. }, Ok(_)) => self.watch(path).child = true,
            (Ask::AddWatch { path, is_recursive }, Ok(_)) => {
                let watched = self.watch(path);
                watched.persistent |= !is_recursive;
                watched.recursive |= is_recursive;
            }
            (Ask::SetWatches(watches), Ok(_)) => self.restored(watches, &missed),
            _ => {}
        }
        Ok(())
    }

    /// Watches of what was missed were used up at once.
    fn restored(&mut self, watches: &SetWatches, missed: &[(EventKind, String)]) {
        use EventKind::{ChildrenChanged, Created, DataChanged, Deleted};
        let is_missed = |kinds: &[EventKind], path: &String| {
            missed.iter().any(|(kind, missed)| missed == path && kinds.contains(kind))
        };
        for path in watches.data.iter().filter(|path| !is_missed(&[DataChanged, Deleted], path)) {
            self.watch(path).data = true;
        }
        for path in watches.exist.iter().filter(|path| !is_missed(&[Created], path)) {
            self.watch(path).data = true;
        }
        let is_child_missed = |path: &&String| is_missed(&[ChildrenChanged, Deleted], path);
        for path in watches.child.iter().filter(|path| !is_child_missed(path)) {
            self.watch(path).child = true;
        }
        for path in &watches.persistent {
            self.watch(path).persistent = true;
        }
        for path in &watches.persistent_recursive {
            self.watch(path).recursive = true;
        }
    }

    fn watch(&mut self, path: &str) -> &mut Watched {
        self.watched.entry(path.into()).or_default()
    }

    /// Lets the log go by up to `zxid`; if `until_told`, only until something must be told.
    fn pass(&mut self, zxid: Zxid, until_told: bool) {
        let changes = self.changes;
        let start = changes.partition_point(|(at, _)| *at <= self.upto);
        for (at, changed) in &changes[start..] {
            if *at > zxid || (until_told && !self.expected.is_empty()) {
                break;
            }
            self.upto = *at;
            for (kind, path) in changed {
                if self.fire(*kind, path) {
                    self.expected.push_back((*at, told_as(*kind), path.clone()));
                }
            }
        }
    }

    /// Whether the connection must be told, once, of a change. Ends watches for one time.
    fn fire(&mut self, kind: ChangeKind, path: &str) -> bool {
        let mut is_told = false;
        if let Some(watched) = self.watched.get_mut(path) {
            let Watched { data, child, persistent, recursive } = *watched;
            is_told = match kind {
                ChangeKind::Created | ChangeKind::DataChanged => {
                    watched.data = false;
                    data || persistent || recursive
                }
                ChangeKind::Deleted => {
                    watched.data = false;
                    watched.child = false;
                    data || child || persistent || recursive
                }
                ChangeKind::ChildrenChanged => {
                    watched.child = false;
                    child || persistent
                }
            };
        }
        let is_above = |(above, watched): (&String, &Watched)| {
            watched.recursive
                && (above == "/" || path.strip_prefix(above).is_some_and(|r| r.starts_with('/')))
        };
        // Recursive watches are told of each child itself.
        is_told || (kind != ChangeKind::ChildrenChanged && self.watched.iter().any(is_above))
    }
}

fn told_as(kind: ChangeKind) -> EventKind {
    match kind {
        ChangeKind::Created => EventKind::Created,
        ChangeKind::Deleted => EventKind::Deleted,
        ChangeKind::DataChanged => EventKind::DataChanged,
        ChangeKind::ChildrenChanged => EventKind::ChildrenChanged,
    }
}
