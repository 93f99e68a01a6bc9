//! What a client's library knows of its watches: enough to set them again at another server.

use alloc::{borrow::ToOwned, collections::BTreeSet, string::String};

use crate::{
    ids::Zxid,
    protocol::{error_code::ErrorCode, event::EventKind, request::SetWatches},
    sim::ask::{Answer, Ask},
};

/// The watches that a client has, by what it must say of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Watching {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    child: BTreeSet<String>,
    persistent: BTreeSet<String>,
    recursive: BTreeSet<String>,
}

impl Watching {
    /// A request was answered: it may have left a watch.
    pub(super) fn note_answer(&mut self, ask: &Ask, answer: &Result<Answer, ErrorCode>) {
        match (ask, answer) {
            (Ask::Exists { path, watch: true } | Ask::GetData { path, watch: true }, Ok(_)) => {
                self.data.insert(path.clone());
            }
            (Ask::Exists { path, watch: true }, Err(ErrorCode::NoNode)) => {
                self.exist.insert(path.clone());
            }
            (Ask::GetChildren { path, watch: true, .. }, Ok(_)) => {
                self.child.insert(path.clone());
            }
            (Ask::AddWatch { path, is_recursive: false }, Ok(_)) => {
                self.persistent.insert(path.clone());
            }
            (Ask::AddWatch { path, is_recursive: true }, Ok(_)) => {
                self.recursive.insert(path.clone());
            }
            _ => {}
        }
    }

    /// An event came: watches for one time are used up.
    pub(super) fn note_event(&mut self, kind: EventKind, path: &str) {
        match kind {
            EventKind::Created | EventKind::DataChanged => {
                self.data.remove(path);
                self.exist.remove(path);
            }
            EventKind::Deleted => {
                self.data.remove(path);
                self.exist.remove(path);
                self.child.remove(path);
            }
            EventKind::ChildrenChanged => {
                self.child.remove(path);
            }
        }
    }

    /// What to ask a new server for, if there is anything.
    pub(super) fn to_restore(&self, seen: Zxid) -> Option<SetWatches> {
        let list = |paths: &BTreeSet<String>| paths.iter().map(|path| path.to_owned()).collect();
        let watches = SetWatches {
            relative_zxid: seen,
            data: list(&self.data),
            exist: list(&self.exist),
            child: list(&self.child),
            persistent: list(&self.persistent),
            persistent_recursive: list(&self.recursive),
        };
        let nothing = SetWatches { relative_zxid: seen, ..SetWatches::default() };
        (watches != nothing).then_some(watches)
    }
}
