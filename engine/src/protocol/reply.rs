//! Replies: what a request's outcome looks like on the wire.

use alloc::{borrow::Cow, vec::Vec};

pub use super::event::{EventKind, WatchEvent, encode_event};
use super::{
    error_code::ErrorCode,
    frame,
    jute::{
        put_acls, put_boolean, put_buffer, put_int, put_length, put_long, put_stat, put_text,
        put_texts,
    },
    opcode::{self, OpCode},
    records::{Acl, Stat},
};
use crate::ids::{Xid, Zxid};

/// The xid of every reply to a ping, whatever the ping's was.
pub const PING_XID: Xid = Xid(-2);

/// The zxid in the reply to an operation that is not offered.
pub const NOT_OFFERED_ZXID: Zxid = Zxid(-1);

/// The answer to a request that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<'a> {
    /// A header and nothing more: `delete`, `ping`, `auth`, `setWatches`, `setWatches2`,
    /// `checkWatches`, `removeWatches`, `closeSession`.
    Empty,
    /// `create`.
    Created {
        /// With the suffix of a sequential name.
        path: Cow<'a, str>,
    },
    /// `create2`, `createContainer`, `createTTL`.
    Created2 {
        /// With the suffix of a sequential name.
        path: Cow<'a, str>,
        /// The new znode's.
        stat: Stat,
    },
    /// `exists`, `setData`, `setACL`.
    Stat(Stat),
    /// `getData`, `reconfig`.
    Data {
        /// `None` is null, which is not empty.
        data: Option<&'a [u8]>,
        /// The znode's.
        stat: Stat,
    },
    /// `getACL`.
    Acl {
        /// Owned when hashes had to be masked.
        acl: Cow<'a, [Acl]>,
        /// The znode's.
        stat: Stat,
    },
    /// `getChildren`.
    Children {
        /// Names, not paths.
        names: Vec<&'a str>,
    },
    /// `getChildren2`.
    Children2 {
        /// Names, not paths.
        names: Vec<&'a str>,
        /// The parent's.
        stat: Stat,
    },
    /// `sync`.
    Sync {
        /// The request's.
        path: Option<Cow<'a, str>>,
    },
    /// `getEphemerals`.
    Paths(Vec<&'a str>),
    /// `getAllChildrenNumber`.
    Count(i32),
    /// `addWatch`: an `ErrorResponse` of 0, without which Java clients disconnect.
    AddWatch,
    /// `whoAmI`.
    WhoAmI(Vec<ClientInfo<'a>>),
    /// `multi`, `multiRead`.
    Multi(Vec<MultiResult<'a>>),
    /// `sasl`.
    Sasl {
        /// The mechanism's next message.
        token: Option<&'a [u8]>,
    },
}

/// One identity of a connection (jute: `ClientInfo`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientInfo<'a> {
    /// The scheme's name.
    pub scheme: &'a str,
    /// Who, without any secret.
    pub user: &'a str,
}

/// The answer to one operation of a multi.
#[derive(Clone, Debug, PartialEq)]
pub enum MultiResult<'a> {
    /// `create`.
    Created {
        /// With the suffix of a sequential name.
        path: Cow<'a, str>,
    },
    /// `create2`, `createContainer`, `createTTL`.
    Created2 {
        /// With the suffix of a sequential name.
        path: Cow<'a, str>,
        /// The new znode's.
        stat: Stat,
    },
    /// `delete`.
    Deleted,
    /// `setData`.
    DataSet {
        /// The znode's.
        stat: Stat,
    },
    /// `check`.
    Checked,
    /// `getData` of a multiRead.
    Data {
        /// `None` is null, which is not empty.
        data: Option<&'a [u8]>,
        /// The znode's.
        stat: Stat,
    },
    /// `getChildren` of a multiRead.
    Children {
        /// Names, not paths.
        names: Vec<&'a str>,
    },
    /// It failed, or was not done because another one failed: then `None` before that one, and
    /// `RuntimeInconsistency` after it.
    Error(Option<ErrorCode>),
}

impl MultiResult<'static> {
    /// The results of a multi of `op_count` operations that failed at number `failed`, from 0.
    pub fn of_failed(
        failed: usize,
        code: ErrorCode,
        op_count: usize,
    ) -> impl Iterator<Item = Self> {
        (0..op_count).map(move |index| {
            Self::Error(match index.cmp(&failed) {
                core::cmp::Ordering::Less => None,
                core::cmp::Ordering::Equal => Some(code),
                core::cmp::Ordering::Greater => Some(ErrorCode::RuntimeInconsistency),
            })
        })
    }
}

/// Appends a reply as a frame: `reply` as a body after the header, or an error, which has none.
pub fn encode(out: &mut Vec<u8>, xid: Xid, zxid: Zxid, reply: Result<&Reply<'_>, ErrorCode>) {
    let start = frame::start(out);
    match reply {
        Ok(reply) => {
            put_header(out, xid, zxid, 0);
            put_body(out, reply);
        }
        Err(code) => put_header(out, xid, zxid, code.number()),
    }
    if !frame::finish(out, start) {
        // 2 GiB of children: no frame can hold them, and the request must not stay unanswered.
        encode(out, xid, zxid, Err(ErrorCode::MarshallingError));
    }
}

/// Appends the reply to a `sasl` that failed: the one error that has a body, a null token. The
/// connection is closed after it.
pub fn encode_sasl_failure(out: &mut Vec<u8>, xid: Xid, code: ErrorCode) {
    let start = frame::start(out);
    put_header(out, xid, Zxid::NONE, code.number());
    put_buffer(out, None);
    let fits = frame::finish(out, start);
    debug_assert!(fits, "20 bytes fit in a frame");
}

/// jute: `ReplyHeader`.
fn put_header(out: &mut Vec<u8>, xid: Xid, zxid: Zxid, error: i32) {
    put_int(out, xid.0);
    put_long(out, zxid.0);
    put_int(out, error);
}

fn put_body(out: &mut Vec<u8>, reply: &Reply<'_>) {
    match reply {
        Reply::Empty => {}
        Reply::Created { path } => put_text(out, Some(path)),
        Reply::Created2 { path, stat } => {
            put_text(out, Some(path));
            put_stat(out, stat);
        }
        Reply::Stat(stat) => put_stat(out, stat),
        Reply::Data { data, stat } => {
            put_buffer(out, *data);
            put_stat(out, stat);
        }
        Reply::Acl { acl, stat } => {
            put_acls(out, acl);
            put_stat(out, stat);
        }
        Reply::Children { names } => put_texts(out, names),
        Reply::Children2 { names, stat } => {
            put_texts(out, names);
            put_stat(out, stat);
        }
        Reply::Sync { path } => put_text(out, path.as_deref()),
        Reply::Paths(paths) => put_texts(out, paths),
        Reply::Count(count) => put_int(out, *count),
        Reply::AddWatch => put_int(out, 0),
        Reply::WhoAmI(infos) => {
            put_length(out, infos.len());
            for info in infos {
                put_text(out, Some(info.scheme));
                put_text(out, Some(info.user));
            }
        }
        Reply::Multi(results) => {
            for result in results {
                put_multi_result(out, result);
            }
            put_multi_header(out, opcode::ERROR, true, -1);
        }
        Reply::Sasl { token } => put_buffer(out, *token),
    }
}

fn put_multi_result(out: &mut Vec<u8>, result: &MultiResult<'_>) {
    let header = |out: &mut Vec<u8>, opcode: OpCode| {
        put_multi_header(out, opcode.number(), false, 0);
    };
    match result {
        MultiResult::Created { path } => {
            header(out, OpCode::Create);
            put_text(out, Some(path));
        }
        MultiResult::Created2 { path, stat } => {
            header(out, OpCode::Create2);
            put_text(out, Some(path));
            put_stat(out, stat);
        }
        MultiResult::Deleted => header(out, OpCode::Delete),
        MultiResult::DataSet { stat } => {
            header(out, OpCode::SetData);
            put_stat(out, stat);
        }
        MultiResult::Checked => header(out, OpCode::Check),
        MultiResult::Data { data, stat } => {
            header(out, OpCode::GetData);
            put_buffer(out, *data);
            put_stat(out, stat);
        }
        MultiResult::Children { names } => {
            header(out, OpCode::GetChildren);
            put_texts(out, names);
        }
        MultiResult::Error(code) => {
            let number = code.map_or(0, ErrorCode::number);
            put_multi_header(out, opcode::ERROR, false, number);
            put_int(out, number);
        }
    }
}

/// jute: `MultiHeader`.
fn put_multi_header(out: &mut Vec<u8>, kind: i32, done: bool, error: i32) {
    put_int(out, kind);
    put_boolean(out, done);
    put_int(out, error);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multi_that_failed_tells_which_operation_did() {
        let results: Vec<_> = MultiResult::of_failed(1, ErrorCode::BadVersion, 4).collect();
        let after = MultiResult::Error(Some(ErrorCode::RuntimeInconsistency));
        let failed = MultiResult::Error(Some(ErrorCode::BadVersion));
        assert_eq!(results, [MultiResult::Error(None), failed, after.clone(), after]);
    }

    #[test]
    fn a_sasl_that_failed_has_a_null_token_behind_its_error() {
        let mut out = Vec::new();
        encode_sasl_failure(&mut out, Xid(3), ErrorCode::AuthFailed);
        let mut expected = Vec::new();
        for word in [20, 3, 0, 0, -115, -1] {
            put_int(&mut expected, word);
        }
        assert_eq!(out, expected);
    }
}
