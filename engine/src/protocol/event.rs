//! Watch events: what a server sends without being asked.

use alloc::vec::Vec;

use super::{
    frame,
    jute::{put_int, put_long, put_text},
};
use crate::{ids::Zxid, shared_bytes::SharedStr};

/// The xid of every event.
const EVENT_XID: i32 = -1;

/// The client's state as every event of a server gives it (`KeeperState.SyncConnected`).
const SYNC_CONNECTED: i32 = 3;

/// What an event tells (`EventType`). Clients make up further kinds for themselves.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(i32)]
pub enum EventKind {
    /// The znode was created.
    Created = 1,
    /// The znode was deleted.
    Deleted = 2,
    /// The znode's data was replaced.
    DataChanged = 3,
    /// A child of the znode was created or deleted.
    ChildrenChanged = 4,
}

/// A watch event on its way to one connection (jute: `WatcherEvent`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which znode.
    pub path: SharedStr,
    /// The command that did it; [`WatchEvent::CAUGHT_UP`] if `setWatches` found it had happened.
    pub zxid: Zxid,
}

impl WatchEvent {
    /// The zxid of an event that `setWatches` causes: the command that did it is not known any
    /// more.
    pub const CAUGHT_UP: Zxid = Zxid(-1);
}

/// Appends `event` as a frame.
pub fn encode_event(out: &mut Vec<u8>, event: &WatchEvent) {
    let start = frame::start(out);
    put_int(out, EVENT_XID);
    put_long(out, event.zxid.0);
    put_int(out, 0);
    put_int(out, event.kind as i32);
    put_int(out, SYNC_CONNECTED);
    put_text(out, Some(&event.path));
    let fits = frame::finish(out, start);
    debug_assert!(fits, "a path came in a frame, and fits in one");
}
