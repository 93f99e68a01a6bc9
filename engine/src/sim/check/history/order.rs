//! Order in real time and within sessions (rules 2, 4 and 5).

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    Report, Rule,
    connections::{Connection, Received},
    name,
    replay::Replay,
};
use crate::{
    ids::{Instant, SessionId, Zxid},
    sim::ask::Ask,
};

/// What anybody had been told by when.
struct Told {
    /// Sorted by time; the newest zxid up to there.
    newest: Vec<(Instant, Zxid)>,
}

impl Told {
    fn new(connections: &[Connection<'_>], replay: &Replay) -> Self {
        let mut newest = Vec::new();
        for connection in connections {
            if let Some((at, _)) = connection.opened
                && let Some((zxid, _)) = replay.opened.get(&connection.session)
            {
                newest.push((at, *zxid));
            }
            for received in &connection.received {
                match *received {
                    Received::Told { at, zxid, .. } => newest.push((at, zxid)),
                    Received::Reply(index) => {
                        let reply = connection.operations[index].reply;
                        newest.extend(reply.map(|reply| (reply.at, reply.zxid)));
                    }
                }
            }
        }
        newest.sort_unstable();
        let mut highest = Zxid::NONE;
        for (_, zxid) in &mut newest {
            highest = highest.max(*zxid);
            *zxid = highest;
        }
        Self { newest }
    }

    /// The newest zxid that anybody had been told before `at`.
    fn before(&self, at: Instant) -> Zxid {
        let count = self.newest.partition_point(|(time, _)| *time < at);
        count.checked_sub(1).map_or(Zxid::NONE, |last| self.newest[last].1)
    }
}

pub(super) fn check(connections: &[Connection<'_>], replay: &Replay, report: &mut Report) {
    let told = Told::new(connections, replay);
    for (at, connection) in connections.iter().enumerate() {
        check_real_time(at, connection, replay, &told, report);
    }
    let mut sessions: BTreeMap<SessionId, Seen> = BTreeMap::new();
    for connection in connections.iter().filter(|one| one.opened.is_some()) {
        let first = replay.opened.get(&connection.session).map_or(Zxid::NONE, |(zxid, _)| *zxid);
        let seen = sessions
            .entry(connection.session)
            .or_insert(Seen { newest: first, synced: Zxid::NONE });
        check_session(connection, seen, &told, report);
    }
}

/// Whatever was asked later is later in the log.
fn check_real_time(
    at: usize,
    connection: &Connection<'_>,
    replay: &Replay,
    told: &Told,
    report: &mut Report,
) {
    if let (Some((greeted, SessionId(0))), Some(_)) = (connection.greeted, connection.opened)
        && let Some((zxid, _)) = replay.opened.get(&connection.session)
    {
        let before = told.before(greeted);
        report.expect(*zxid > before, Rule::RealTime, || {
            let session = connection.session;
            format!("session {session} opened at {zxid}, and {before} was told before it was asked")
        });
    }
    for (index, operation) in connection.operations.iter().enumerate() {
        let Some(zxid) = replay.logged.get(&(at, index)) else { continue };
        let before = told.before(operation.invoked);
        report.expect(*zxid > before, Rule::RealTime, || {
            let name = name(connection, operation);
            format!("in the log at {zxid}, and {before} was told before: {name}")
        });
    }
}

/// What a session has seen.
struct Seen {
    newest: Zxid,
    /// What had been told to anybody before its last sync that was answered.
    synced: Zxid,
}

/// A session never goes back, wherever it is connected, and syncs bring it forward.
fn check_session(connection: &Connection<'_>, seen: &mut Seen, told: &Told, report: &mut Report) {
    for received in &connection.received {
        let Received::Reply(index) = received else { continue };
        let operation = &connection.operations[*index];
        let Some(reply) = operation.reply else { continue };
        let name = || name(connection, operation);
        report.expect(reply.zxid >= seen.newest, Rule::Reads, || {
            format!("answered as of {}, after {} was seen: {}", reply.zxid, seen.newest, name())
        });
        if let Ask::Sync { .. } = operation.ask
            && reply.answer.is_ok()
        {
            report.counts.syncs += 1;
            seen.synced = seen.synced.max(told.before(operation.invoked));
        }
        report.expect(reply.zxid >= seen.synced, Rule::Sync, || {
            format!("answered as of {}, after a sync to {}: {}", reply.zxid, seen.synced, name())
        });
        seen.newest = seen.newest.max(reply.zxid);
    }
}
