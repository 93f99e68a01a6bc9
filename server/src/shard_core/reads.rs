//! What is answered from the State and from the watches, and what leaves a watch.

use std::mem;

use ringkeeper_engine::{
    ids::Xid,
    protocol::{
        error_code::ErrorCode,
        reply::{self, MultiResult, Reply, WatchEvent, encode_event},
        request::{Read, SetWatches},
    },
    state::{Reader, auth::client_info},
    watch::{NULL_PATH, WatchKind, WatcherType, Watches, event_of, watch_of},
};

use super::{ShardCore, client::ClientId, requests::frame_payload_bytes, watcher};
use crate::{
    client::connection::{Ending, OUTPUT_BYTES_MAX},
    metrics::Namespaces,
};

/// A Stat on the wire.
const STAT_BYTES: usize = 68;

impl ShardCore {
    /// Answers a read and leaves its watch, both of the same State.
    pub(super) fn read(&mut self, id: ClientId, xid: Xid, read: &Read<'_>) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let reader = Reader {
            session: client.command.session,
            auth: &client.command.auth,
            skip_acl: self.settings.skip_acl,
        };
        let result = self.state.read(&reader, read);
        if let Some((path, kind)) = watch_of(read, result.as_ref().err().copied()) {
            self.watches.add(watcher(id), path, kind);
        }
        if let Ok(reply) = &result {
            count_read(&mut self.stats.reads, read, reply);
        }
        let zxid = self.state.last_zxid();
        let out = client.connection.output(&mut self.pool);
        let before = out.len();
        reply::encode(out, xid, zxid, result.as_ref().map_err(|code| *code));
        let bytes = frame_payload_bytes(out.len() - before);
        client.counts.sent += 1;
        client.counts.reply(zxid, self.now);
        self.stats.response_bytes += bytes;
        self.stats.reply(bytes);
        self.mark_dirty(id);
    }

    /// Restores the watches of a client that reconnected. What it missed is told before the reply.
    pub(super) fn set_watches(&mut self, id: ClientId, xid: Xid, watches: &SetWatches) {
        let mut missed = Vec::new();
        self.watches.restore(watcher(id), watches, &self.state, &mut missed);
        let mut event = mem::take(&mut self.event);
        for (kind, path) in missed {
            event.clear();
            encode_event(&mut event, &event_of(kind, path, WatchEvent::CAUGHT_UP));
            self.tell(id, &event);
        }
        self.event = event;
        self.answer(id, xid, self.last_zxid(), Ok(&Reply::Empty));
    }

    pub(super) fn add_watch(&mut self, id: ClientId, xid: Xid, path: Option<&str>, mode: i32) {
        let Some(kind) = WatchKind::from_add_mode(mode) else {
            return self.answer(id, xid, self.last_zxid(), Err(ErrorCode::MarshallingError));
        };
        self.watches.add(watcher(id), path.unwrap_or(NULL_PATH), kind);
        self.answer(id, xid, self.last_zxid(), Ok(&Reply::AddWatch));
    }

    pub(super) fn check_watches(
        &mut self,
        id: ClientId,
        xid: Xid,
        path: Option<&str>,
        watcher_type: i32,
    ) {
        self.answer_watcher(id, xid, watcher_type, |watches, kind| {
            watches.contains(watcher(id), path.unwrap_or(NULL_PATH), kind)
        });
    }

    pub(super) fn remove_watches(
        &mut self,
        id: ClientId,
        xid: Xid,
        path: Option<&str>,
        watcher_type: i32,
    ) {
        self.answer_watcher(id, xid, watcher_type, |watches, kind| {
            watches.remove(watcher(id), path.unwrap_or(NULL_PATH), kind)
        });
    }

    /// Answers whether `found` has found a watch of the kind that a client named.
    fn answer_watcher(
        &mut self,
        id: ClientId,
        xid: Xid,
        watcher_type: i32,
        found: impl FnOnce(&mut Watches, WatcherType) -> bool,
    ) {
        let result = match WatcherType::from_number(watcher_type) {
            None => Err(ErrorCode::MarshallingError),
            Some(kind) if found(&mut self.watches, kind) => Ok(&Reply::Empty),
            Some(_) => Err(ErrorCode::NoWatcher),
        };
        self.answer(id, xid, self.last_zxid(), result);
    }

    pub(super) fn who_am_i(&mut self, id: ClientId, xid: Xid) {
        let Some(client) = self.clients.get(id) else { return };
        let auth = client.command.auth.clone();
        let reply = Reply::WhoAmI(auth.iter().map(client_info).collect());
        self.answer(id, xid, self.last_zxid(), Ok(&reply));
    }

    /// Appends an event to a client's output.
    pub(super) fn tell(&mut self, id: ClientId, event: &[u8]) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.connection.unsent_bytes() > OUTPUT_BYTES_MAX {
            self.stats.output_overflows += 1;
            tracing::warn!(peer = %client.connection.peer, "closing: the client does not read");
            client.end(Ending::Now);
            return;
        }
        client.connection.output(&mut self.pool).extend_from_slice(event);
        self.stats.watch_bytes += frame_payload_bytes(event.len());
        self.stats.packets_sent += 1;
        client.counts.sent += 1;
        self.mark_dirty(id);
    }
}

/// Counts what was read below each child of the root, as Apache does: path, content and Stat.
fn count_read(namespaces: &mut Namespaces, read: &Read<'_>, reply: &Reply<'_>) {
    let mut count = |path: &str, bytes: usize| namespaces.record(path, bytes + STAT_BYTES);
    match (read, reply) {
        (Read::Exists { path, .. }, _) => count(path, 0),
        (Read::GetData { path, .. }, Reply::Data { data, .. }) => count(path, data_bytes(*data)),
        (Read::GetChildren { path, .. }, Reply::Children { names })
        | (Read::GetChildren2 { path, .. }, Reply::Children2 { names, .. }) => {
            count(path, names_bytes(names));
        }
        (Read::MultiRead(reads), Reply::Multi(results)) => {
            for part in reads.iter().zip(results) {
                match part {
                    (Read::GetData { path, .. }, MultiResult::Data { data, .. }) => {
                        count(path, data_bytes(*data));
                    }
                    (Read::GetChildren { path, .. }, MultiResult::Children { names }) => {
                        count(path, names_bytes(names));
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn data_bytes(data: Option<&[u8]>) -> usize {
    data.map_or(0, <[u8]>::len)
}

fn names_bytes(names: &[&str]) -> usize {
    names.iter().map(|name| name.len()).sum()
}
