//! Sessions (rule 7): opened and closed as the log says, their ephemerals with them, and none of
//! them expires that was heard.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    Evidence, Report, Rule,
    connections::Connection,
    name,
    replay::{Closed, Replay, shown_owners},
};
use crate::{
    ids::{Instant, SessionId, Zxid},
    sim::ask::Ask,
};

pub(super) fn check(
    evidence: &Evidence<'_>,
    connections: &[Connection<'_>],
    replay: &Replay,
    report: &mut Report,
) {
    for connection in connections {
        check_handshake(evidence, connection, replay, report);
        check_attach(evidence, connection, replay, report);
        check_end(evidence, connection, replay, report);
        check_owners(connection, replay, report);
    }
    let mut by_session: BTreeMap<SessionId, Vec<&Connection<'_>>> = BTreeMap::new();
    for connection in connections.iter().filter(|one| one.opened.is_some()) {
        by_session.entry(connection.session).or_default().push(connection);
    }
    for (session, closed) in replay.closed.iter().filter(|(_, closed)| closed.is_expiry) {
        report.counts.expiries += 1;
        let spoke = by_session.get(session).map(Vec::as_slice).unwrap_or_default();
        check_expiry(evidence, *closed, spoke, report);
    }
}

fn check_handshake(
    evidence: &Evidence<'_>,
    connection: &Connection<'_>,
    replay: &Replay,
    report: &mut Report,
) {
    let Connection { client, session, .. } = *connection;
    if let Some((_, timeout_ms)) = connection.opened {
        let opened = replay.opened.get(&session);
        let is_right =
            opened.is_some_and(|(_, begun_ms)| connection.is_resumed() || timeout_ms == *begun_ms);
        report.expect(is_right, Rule::Sessions, || {
            format!("client {client} has session {session} of {timeout_ms} ms, the log {opened:?}")
        });
    }
    let expired = connection.expired.filter(|(_, session)| *session != SessionId(0));
    if let Some((at, session)) = expired {
        let decided = |closed: &Closed| evidence.decided_at.get(closed.batch).copied();
        let closed = replay.closed.get(&session);
        let is_gone = closed.is_some_and(|closed| decided(closed).is_none_or(|when| when < at));
        report.expect(is_gone, Rule::Sessions, || {
            format!("client {client} was told that session {session} is gone, and it is open")
        });
    }
}

/// A session is resumed by the log: a command says so, and the server has applied it before it lets
/// the client in.
fn check_attach(
    evidence: &Evidence<'_>,
    connection: &Connection<'_>,
    replay: &Replay,
    report: &mut Report,
) {
    let (Some((greeted, _)), Some((opened, _))) = (connection.greeted, connection.opened) else {
        return;
    };
    if !connection.is_resumed() || evidence.decided_at.is_empty() {
        return;
    }
    let Connection { client, session, .. } = *connection;
    let attached = replay.attached.get(&session).map(Vec::as_slice).unwrap_or_default();
    let is_its = |(batch, _): &&(usize, Zxid)| {
        let decided = evidence.decided_at.get(*batch);
        decided.is_some_and(|at| greeted <= *at && *at <= opened)
    };
    // Should there be several, the connection's own is not older than the first.
    let Some((_, attached)) = attached.iter().find(is_its) else {
        let text =
            format!("client {client} resumed session {session}, and the log does not say so");
        return report.broken(Rule::Sessions, text);
    };
    for operation in &connection.operations {
        let is_new = operation.reply.is_none_or(|reply| reply.zxid >= *attached);
        report.expect(is_new, Rule::Sessions, || {
            let name = name(connection, operation);
            format!("answered as of before the attach behind {attached}: {name}")
        });
    }
}

/// Nobody is answered for a session that was closed, nor resumes it.
fn check_end(
    evidence: &Evidence<'_>,
    connection: &Connection<'_>,
    replay: &Replay,
    report: &mut Report,
) {
    let Some(closed) = replay.closed.get(&connection.session) else { return };
    if let (Some((greeted, _)), Some(end)) =
        (connection.greeted, evidence.decided_at.get(closed.batch))
    {
        report.expect(greeted <= *end, Rule::Sessions, || {
            let Connection { client, session, .. } = connection;
            format!("client {client} resumed session {session} after it was closed")
        });
    }
    for operation in connection.operations.iter().filter(|one| *one.ask != Ask::Close) {
        let zxid = operation.reply.map_or(Zxid::NONE, |reply| reply.zxid);
        report.expect(zxid < closed.zxid, Rule::Sessions, || {
            let name = name(connection, operation);
            format!("answered as of {zxid}, closed at {}: {name}", closed.zxid)
        });
    }
}

/// An ephemeral znode was shown: its session was opened before, and not closed yet. The sessions
/// are those of the log, whatever the naive tree says.
fn check_owners(connection: &Connection<'_>, replay: &Replay, report: &mut Report) {
    for operation in &connection.operations {
        let Some(reply) = operation.reply else { continue };
        let Ok(answer) = reply.answer else { continue };
        for owner in shown_owners(answer) {
            let opened = replay.opened.get(&owner).map_or(Zxid(i64::MAX), |(zxid, _)| *zxid);
            let closed = replay.closed.get(&owner).map_or(Zxid(i64::MAX), |closed| closed.zxid);
            report.expect(opened < reply.zxid && reply.zxid < closed, Rule::Sessions, || {
                let name = name(connection, operation);
                format!("an ephemeral of {owner} as of {}, which is not open: {name}", reply.zxid)
            });
        }
    }
}

/// The session was closed by the leader's clock. It is wrong if a server heard of it so late that
/// its timeout had not passed, and so early that the leader had time to hear of it, and nothing
/// stood in the way.
fn check_expiry(
    evidence: &Evidence<'_>,
    closed: Closed,
    spoke: &[&Connection<'_>],
    report: &mut Report,
) {
    let Some(end) = evidence.decided_at.get(closed.batch).copied() else { return };
    let is_calm =
        |start: Instant| evidence.calm.iter().any(|(from, to)| *from <= start && end <= *to);
    let timeout_ms = spoke.iter().filter_map(|one| one.opened).filter(|(at, _)| *at <= end);
    let Some((_, timeout_ms)) = timeout_ms.max_by_key(|(at, _)| *at) else { return };
    let timeout_ns = u64::try_from(timeout_ms).unwrap_or(0) * 1_000_000;
    let window_start = Instant(end.0.saturating_sub(timeout_ns));
    if !is_calm(window_start) {
        return;
    }
    report.counts.judged_expiries += 1;
    let late = Instant(end.0.saturating_sub(timeout_ns / 3));
    for connection in spoke {
        for operation in &connection.operations {
            let is_heard = operation.reply.is_some_and(|reply| reply.at <= late);
            if is_heard && operation.invoked > window_start {
                let name = name(connection, operation);
                let at = end.0 / 1000;
                let text =
                    format!("expired at {at} us, {timeout_ms} ms, after it was heard: {name}");
                return report.broken(Rule::Sessions, text);
            }
        }
    }
}
