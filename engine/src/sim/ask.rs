//! What clients ask and what they are answered, as values; and both on the wire, as a client has
//! it.
//!
//! Nothing here knows what an answer should be: `check` does.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use crate::{
    ids::{Xid, Zxid},
    protocol::{
        jute::{
            DecodeError, Reader, put_acls, put_boolean, put_buffer, put_int, put_length, put_long,
            put_text,
        },
        records::{Acl, Id, Stat},
        request::SetWatches,
    },
    shared_bytes::{SharedBytes, SharedStr},
    state::command::{CreateKind, CreateOp, Op},
};

/// What a client asks.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields are ZooKeeper's")]
pub enum Ask {
    /// `create`, `create2` (`has_stat`), `createContainer` or `createTTL` (both with a Stat).
    Create { path: String, data: Vec<u8>, kind: CreateKind, is_sequential: bool, has_stat: bool },
    /// `delete`.
    Delete { path: String, version: i32 },
    /// `setData`.
    SetData { path: String, data: Vec<u8>, version: i32 },
    /// `setACL`, to a list that gives everybody `perms`.
    SetAcl { path: String, perms: i32, version: i32 },
    /// `check`, in a multi only.
    Check { path: String, version: i32 },
    /// `multi`.
    Multi(Vec<Self>),
    /// `exists`.
    Exists { path: String, watch: bool },
    /// `getData`.
    GetData { path: String, watch: bool },
    /// `getACL`.
    GetAcl { path: String },
    /// `getChildren`, or `getChildren2` (`has_stat`).
    GetChildren { path: String, watch: bool, has_stat: bool },
    /// `sync`.
    Sync { path: String },
    /// `addWatch`.
    AddWatch { path: String, is_recursive: bool },
    /// `setWatches2`.
    SetWatches(SetWatches),
    /// `ping`.
    Ping,
    /// `closeSession`.
    Close,
}

/// What a client is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the fields are ZooKeeper's")]
pub enum Answer {
    /// A header and nothing more.
    Empty,
    /// Of a create.
    Created { path: String, stat: Option<Stat> },
    /// Of `exists`, `setData`, `setACL`.
    Stat(Stat),
    /// Of `getData`.
    Data { data: Option<Vec<u8>>, stat: Stat },
    /// Of `getACL`.
    Acl { acl: Vec<Acl>, stat: Stat },
    /// Of `getChildren` and `getChildren2`. Sorted: no order is promised.
    Children { names: Vec<String>, stat: Option<Stat> },
    /// Of `sync`.
    Synced { path: String },
    /// Of `addWatch`.
    Watching,
    /// Of a multi.
    Multi(Vec<Self>),
    /// In a multi only: an operation that failed, or was undone or not tried because another one
    /// failed.
    Error(i32),
}

/// An access control list that gives everybody `perms`.
#[must_use]
pub fn world_acl(perms: i32) -> Vec<Acl> {
    [Acl { perms, id: Id { scheme: "world".into(), id: "anyone".into() } }].into()
}

/// The ACL that all creates of clients have.
pub const CREATE_PERMS: i32 = 31;

impl Ask {
    /// Its number on the wire.
    #[must_use]
    pub fn opcode(&self) -> i32 {
        match self {
            Self::Create { kind: CreateKind::Container, .. } => 19,
            Self::Create { kind: CreateKind::Ttl(_), .. } => 21,
            Self::Create { has_stat: true, .. } => 15,
            Self::Create { .. } => 1,
            Self::Delete { .. } => 2,
            Self::Exists { .. } => 3,
            Self::GetData { .. } => 4,
            Self::SetData { .. } => 5,
            Self::GetAcl { .. } => 6,
            Self::SetAcl { .. } => 7,
            Self::GetChildren { has_stat: false, .. } => 8,
            Self::Sync { .. } => 9,
            Self::Ping => 11,
            Self::GetChildren { has_stat: true, .. } => 12,
            Self::Check { .. } => 13,
            Self::Multi(_) => 14,
            Self::SetWatches(_) => 105,
            Self::AddWatch { .. } => 106,
            Self::Close => -11,
        }
    }

    /// The command that the log must hold for it: a server may not change what was asked. `None`
    /// for what does not go through the log.
    #[must_use]
    pub fn op(&self) -> Option<Op> {
        Some(match self {
            Self::Create { path, data, kind, is_sequential, .. } => Op::Create(CreateOp {
                path: SharedStr::new(path),
                data: Some(SharedBytes::new(data)),
                acl: world_acl(CREATE_PERMS),
                kind: *kind,
                sequential: *is_sequential,
            }),
            Self::Delete { path, version } => {
                Op::Delete { path: SharedStr::new(path), version: *version }
            }
            Self::SetData { path, data, version } => Op::SetData {
                path: SharedStr::new(path),
                data: Some(SharedBytes::new(data)),
                version: *version,
            },
            Self::SetAcl { path, perms, version } => {
                let acl = world_acl(*perms);
                Op::SetAcl { path: SharedStr::new(path), acl, version: *version }
            }
            Self::Check { path, version } => {
                Op::Check { path: SharedStr::new(path), version: *version }
            }
            Self::Multi(asks) => Op::Multi(asks.iter().filter_map(Self::op).collect()),
            Self::Close => Op::CloseSession,
            Self::Exists { .. }
            | Self::GetData { .. }
            | Self::GetAcl { .. }
            | Self::GetChildren { .. }
            | Self::Sync { .. }
            | Self::AddWatch { .. }
            | Self::SetWatches(_)
            | Self::Ping => return None,
        })
    }

    /// Whether it goes through the log.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.op().is_some()
    }

    /// Appends it as a frame.
    pub fn encode(&self, xid: Xid, out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        put_int(&mut payload, xid.0);
        put_int(&mut payload, self.opcode());
        self.put_record(&mut payload);
        put_buffer(out, Some(&payload));
    }

    fn put_record(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create { path, data, kind, is_sequential, .. } => {
                put_text(out, Some(path));
                put_buffer(out, Some(data));
                put_acls(out, &world_acl(CREATE_PERMS));
                put_int(out, flags(*kind, *is_sequential));
                if let CreateKind::Ttl(ttl) = kind {
                    put_long(out, *ttl);
                }
            }
            Self::Delete { path, version } | Self::Check { path, version } => {
                put_text(out, Some(path));
                put_int(out, *version);
            }
            Self::SetData { path, data, version } => {
                put_text(out, Some(path));
                put_buffer(out, Some(data));
                put_int(out, *version);
            }
            Self::SetAcl { path, perms, version } => {
                put_text(out, Some(path));
                put_acls(out, &world_acl(*perms));
                put_int(out, *version);
            }
            Self::Multi(asks) => {
                for ask in asks {
                    put_multi_header(out, ask.opcode(), false);
                    ask.put_record(out);
                }
                put_multi_header(out, -1, true);
            }
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch, .. } => {
                put_text(out, Some(path));
                put_boolean(out, *watch);
            }
            Self::GetAcl { path } | Self::Sync { path } => put_text(out, Some(path)),
            Self::AddWatch { path, is_recursive } => {
                put_text(out, Some(path));
                put_int(out, i32::from(*is_recursive));
            }
            Self::SetWatches(watches) => put_set_watches(out, watches),
            Self::Ping | Self::Close => {}
        }
    }

    /// Decodes the body of the reply to it, to the last byte.
    ///
    /// # Errors
    ///
    /// It is no such body: a fault of the server.
    pub fn decode_answer(&self, body: &[u8]) -> Result<Answer, DecodeError> {
        let mut reader = Reader::new(body);
        let answer = match self {
            Self::Create { .. } => {
                let path = text(&mut reader)?;
                let has_stat = self.opcode() != 1;
                Answer::Created { path, stat: has_stat.then(|| stat(&mut reader)).transpose()? }
            }
            Self::SetData { .. } | Self::SetAcl { .. } | Self::Exists { .. } => {
                Answer::Stat(stat(&mut reader)?)
            }
            Self::GetData { .. } => {
                let data = reader.buffer()?.map(<[u8]>::to_owned);
                Answer::Data { data, stat: stat(&mut reader)? }
            }
            Self::GetAcl { .. } => {
                let acl = reader.acls()?.ok_or(DecodeError::Null("ACL"))?;
                Answer::Acl { acl, stat: stat(&mut reader)? }
            }
            Self::GetChildren { has_stat, .. } => {
                let mut names = reader.texts()?.ok_or(DecodeError::Null("names"))?;
                names.sort_unstable();
                Answer::Children { names, stat: has_stat.then(|| stat(&mut reader)).transpose()? }
            }
            Self::Sync { .. } => Answer::Synced { path: text(&mut reader)? },
            Self::AddWatch { .. } => match reader.int()? {
                0 => Answer::Watching,
                error => return Err(DecodeError::Length(error)),
            },
            Self::Multi(asks) => multi(asks, &mut reader)?,
            Self::Delete { .. }
            | Self::Check { .. }
            | Self::SetWatches(_)
            | Self::Ping
            | Self::Close => Answer::Empty,
        };
        if !reader.rest().is_empty() {
            return Err(DecodeError::Null("what follows the body"));
        }
        Ok(answer)
    }
}

/// What precedes every answer (jute: `ReplyHeader`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplyHeader {
    /// The request's, -1 for an event, -2 for a ping's.
    pub xid: Xid,
    /// How far the server was.
    pub zxid: Zxid,
    /// 0, or a result code.
    pub error: i32,
}

impl ReplyHeader {
    /// Takes it off the front of a reply.
    ///
    /// # Errors
    ///
    /// It is not all there.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: Xid(reader.int()?), zxid: Zxid(reader.long()?), error: reader.int()? })
    }
}

/// The `CreateMode` number.
fn flags(kind: CreateKind, is_sequential: bool) -> i32 {
    match (kind, is_sequential) {
        (CreateKind::Persistent, false) => 0,
        (CreateKind::Ephemeral, false) => 1,
        (CreateKind::Persistent, true) => 2,
        (CreateKind::Ephemeral, true) => 3,
        (CreateKind::Container, _) => 4,
        (CreateKind::Ttl(_), false) => 5,
        (CreateKind::Ttl(_), true) => 6,
    }
}

fn put_multi_header(out: &mut Vec<u8>, opcode: i32, is_done: bool) {
    put_int(out, opcode);
    put_boolean(out, is_done);
    put_int(out, -1);
}

fn put_set_watches(out: &mut Vec<u8>, watches: &SetWatches) {
    put_long(out, watches.relative_zxid.0);
    let SetWatches { data, exist, child, persistent, persistent_recursive, .. } = watches;
    for paths in [data, exist, child, persistent, persistent_recursive] {
        put_length(out, paths.len());
        for path in paths {
            put_text(out, Some(path));
        }
    }
}

fn text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    Ok(reader.text()?.ok_or(DecodeError::Null("text"))?.into_owned())
}

fn stat(reader: &mut Reader<'_>) -> Result<Stat, DecodeError> {
    Ok(Stat {
        czxid: reader.long()?,
        mzxid: reader.long()?,
        ctime: reader.long()?,
        mtime: reader.long()?,
        version: reader.int()?,
        cversion: reader.int()?,
        aversion: reader.int()?,
        ephemeral_owner: reader.long()?,
        data_length: reader.int()?,
        num_children: reader.int()?,
        pzxid: reader.long()?,
    })
}

fn multi(asks: &[Ask], reader: &mut Reader<'_>) -> Result<Answer, DecodeError> {
    let mut answers = Vec::new();
    for ask in asks {
        let kind = reader.int()?;
        let is_done = reader.boolean()?;
        let error = reader.int()?;
        let expected_kind = if ask.opcode() == 1 { 1 } else { result_kind(ask) };
        answers.push(match (kind, is_done) {
            (-1, false) if reader.int()? == error => Answer::Error(error),
            (kind, false) if kind == expected_kind && error == 0 => match ask {
                Ask::Create { .. } => {
                    let path = text(reader)?;
                    let stat = (kind != 1).then(|| stat(reader)).transpose()?;
                    Answer::Created { path, stat }
                }
                Ask::SetData { .. } => Answer::Stat(stat(reader)?),
                _ => Answer::Empty,
            },
            _ => return Err(DecodeError::MultiOperation(kind)),
        });
    }
    let end = (reader.int()?, reader.boolean()?, reader.int()?);
    if end != (-1, true, -1) {
        return Err(DecodeError::MultiOperation(end.0));
    }
    Ok(Answer::Multi(answers))
}

/// The type of a result in a multi: all creates but the oldest have one.
fn result_kind(ask: &Ask) -> i32 {
    match ask {
        Ask::Create { .. } => 15,
        ask => ask.opcode(),
    }
}
