//! Decoding of requests, and what a request that cannot be decoded costs its sender.

use alloc::{borrow::Cow, vec::Vec};

use super::{Create, CreateVariant, Read, Request, RequestHeader, SetWatches, Write};
use crate::{
    ids::{Xid, Zxid},
    protocol::{
        jute::{DecodeError, Reader},
        opcode::OpCode,
    },
};

/// A frame that is no request at all: its connection is closed without a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("request header: {0}")]
pub struct HeaderError(DecodeError);

/// What becomes of a request that has a header and is not one that we can run.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// An opcode that clients may not send. The reply is `Unimplemented` with
    /// [`NOT_OFFERED_ZXID`](crate::protocol::reply::NOT_OFFERED_ZXID), then the connection is
    /// closed; the session lives on.
    #[error("opcode {0} is not offered")]
    NotOffered(i32),
    /// The reply is `MarshallingError`; nothing goes through the log.
    #[error("request record: {0}")]
    Malformed(DecodeError),
    /// The reply is `MarshallingError` too, and takes a zxid: a multi has taken one before anybody
    /// looks into it.
    #[error("multi: {0}")]
    MalformedMulti(DecodeError),
    /// Credentials that cannot be decoded: the connection is closed without a reply.
    #[error("credentials: {0}")]
    MalformedAuth(DecodeError),
}

/// Whether what was decoded goes through the log. `sync` does not: it only waits for it.
#[must_use]
pub fn goes_through_the_log(request: &Result<Request<'_>, RequestError>) -> bool {
    matches!(
        request,
        Ok(Request::Write(_) | Request::CloseSession) | Err(RequestError::MalformedMulti(_))
    )
}

/// Decodes a frame's payload. Bytes beyond the record are ignored.
///
/// # Errors
///
/// The header is not all there.
pub fn decode(
    payload: &[u8],
) -> Result<(RequestHeader, Result<Request<'_>, RequestError>), HeaderError> {
    let mut reader = Reader::new(payload);
    let xid = Xid(reader.int().map_err(HeaderError)?);
    let opcode = reader.int().map_err(HeaderError)?;
    Ok((RequestHeader { xid, opcode }, decode_record(opcode, reader)))
}

fn decode_record(number: i32, mut reader: Reader<'_>) -> Result<Request<'_>, RequestError> {
    let not_offered = RequestError::NotOffered(number);
    let opcode = OpCode::from_number(number).ok_or(not_offered)?;
    match opcode {
        OpCode::Create
        | OpCode::Create2
        | OpCode::CreateContainer
        | OpCode::CreateTtl
        | OpCode::Delete
        | OpCode::SetData
        | OpCode::SetAcl
        | OpCode::Reconfig => {
            write(opcode, &mut reader).map(Request::Write).map_err(RequestError::Malformed)
        }
        OpCode::Multi => multi(&mut reader)
            .map(|operations| Request::Write(Write::Multi(operations)))
            .map_err(multi_error),
        OpCode::Exists
        | OpCode::GetData
        | OpCode::GetAcl
        | OpCode::GetChildren
        | OpCode::GetChildren2
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber
        | OpCode::MultiRead => {
            read(opcode, &mut reader).map(Request::Read).map_err(RequestError::Malformed)
        }
        OpCode::SetWatches
        | OpCode::SetWatches2
        | OpCode::AddWatch
        | OpCode::CheckWatches
        | OpCode::RemoveWatches => {
            watch_request(opcode, &mut reader).map_err(RequestError::Malformed)
        }
        OpCode::Sync => {
            reader.text().map(|path| Request::Sync { path }).map_err(RequestError::Malformed)
        }
        OpCode::Auth => auth(&mut reader).map_err(RequestError::MalformedAuth),
        OpCode::Sasl => reader
            .buffer()
            .map(|token| Request::Sasl { token })
            .map_err(RequestError::MalformedAuth),
        OpCode::Ping => Ok(Request::Ping),
        OpCode::WhoAmI => Ok(Request::WhoAmI),
        OpCode::CloseSession => Ok(Request::CloseSession),
        // A check alone changes nothing and reads nothing; a session is opened by a handshake.
        OpCode::Check | OpCode::CreateSession => Err(not_offered),
    }
}

/// Of all that can be wrong with a multi, only a create without ACL is seen before it takes a zxid.
fn multi_error(error: DecodeError) -> RequestError {
    match error {
        DecodeError::Null(ACL) => RequestError::Malformed(error),
        _ => RequestError::MalformedMulti(error),
    }
}

const PATH: &str = "path";
const ACL: &str = "ACL";

fn write<'a>(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Write<'a>, DecodeError> {
    Ok(match opcode {
        OpCode::Create => Write::Create(create(CreateVariant::Create, reader)?),
        OpCode::Create2 => Write::Create(create(CreateVariant::Create2, reader)?),
        OpCode::CreateContainer => Write::Create(create(CreateVariant::Container, reader)?),
        OpCode::CreateTtl => Write::Create(create(CreateVariant::Ttl, reader)?),
        OpCode::Delete => Write::Delete { path: reader.text()?, version: reader.int()? },
        OpCode::SetData => {
            Write::SetData { path: reader.text()?, data: reader.buffer()?, version: reader.int()? }
        }
        OpCode::SetAcl => {
            Write::SetAcl { path: reader.text()?, acl: reader.acls()?, version: reader.int()? }
        }
        OpCode::Check => Write::Check { path: reader.text()?, version: reader.int()? },
        OpCode::Reconfig => Write::Reconfig {
            joining: reader.text()?,
            leaving: reader.text()?,
            new_members: reader.text()?,
            config_id: reader.long()?,
        },
        _ => return Err(DecodeError::MultiOperation(opcode.number())),
    })
}

fn create<'a>(variant: CreateVariant, reader: &mut Reader<'a>) -> Result<Create<'a>, DecodeError> {
    Ok(Create {
        variant,
        path: reader.text()?,
        data: reader.buffer()?,
        acl: reader.acls()?,
        flags: reader.int()?,
        ttl: if variant == CreateVariant::Ttl { reader.long()? } else { -1 },
    })
}

fn read<'a>(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Read<'a>, DecodeError> {
    Ok(match opcode {
        OpCode::Exists => Read::Exists { path: path(reader)?, watch: reader.boolean()? },
        OpCode::GetData => Read::GetData { path: path(reader)?, watch: reader.boolean()? },
        OpCode::GetAcl => Read::GetAcl { path: path(reader)? },
        OpCode::GetChildren => Read::GetChildren { path: path(reader)?, watch: reader.boolean()? },
        OpCode::GetChildren2 => {
            Read::GetChildren2 { path: path(reader)?, watch: reader.boolean()? }
        }
        // Null asks for all, as the empty prefix does.
        OpCode::GetEphemerals => Read::GetEphemerals { prefix: reader.text()?.unwrap_or_default() },
        OpCode::GetAllChildrenNumber => Read::GetAllChildrenNumber { path: path(reader)? },
        OpCode::MultiRead => Read::MultiRead(multi_read(reader)?),
        _ => return Err(DecodeError::MultiOperation(opcode.number())),
    })
}

fn path<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, DecodeError> {
    reader.text()?.ok_or(DecodeError::Null(PATH))
}

/// The header of the next operation of a multi (jute: `MultiHeader`): its opcode, or `None` at the
/// end of the list, whatever else the header says there.
fn multi_header(reader: &mut Reader<'_>) -> Result<Option<i32>, DecodeError> {
    let opcode = reader.int()?;
    let done = reader.boolean()?;
    let _error = reader.int()?;
    Ok((!done).then_some(opcode))
}

fn multi<'a>(reader: &mut Reader<'a>) -> Result<Vec<Write<'a>>, DecodeError> {
    let mut operations = Vec::new();
    while let Some(number) = multi_header(reader)? {
        let not_allowed = DecodeError::MultiOperation(number);
        let opcode = OpCode::from_number(number).ok_or(not_allowed)?;
        let operation = match opcode {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                multi_create(write(opcode, reader)?)?
            }
            OpCode::Delete | OpCode::SetData | OpCode::Check => write(opcode, reader)?,
            _ => return Err(not_allowed),
        };
        if has_null_path(&operation) {
            return Err(DecodeError::Null(PATH));
        }
        operations.push(operation);
    }
    Ok(operations)
}

fn has_null_path(write: &Write<'_>) -> bool {
    match write {
        Write::Create(create) => create.path.is_none(),
        Write::Delete { path, .. }
        | Write::SetData { path, .. }
        | Write::SetAcl { path, .. }
        | Write::Check { path, .. } => path.is_none(),
        Write::Multi(_) | Write::Reconfig { .. } => false,
    }
}

/// Apache rebuilds the creates of a multi before it runs them, which changes what they are:
/// - a container mode makes any of them a createContainer, which decides the result's shape;
/// - createTTL without a TTL mode is a plain create, and its TTL is not looked at;
/// - a mode that is none, a TTL mode without a TTL, or no ACL spoils the whole multi, unless it is
///   a createTTL: that one fails alone, when it is run.
fn multi_create(write: Write<'_>) -> Result<Write<'_>, DecodeError> {
    const CONTAINER_MODE: i32 = 4;
    let Write::Create(mut create) = write else {
        return Ok(write);
    };
    let has_ttl_mode = matches!(create.flags, 5 | 6);
    if create.variant == CreateVariant::Ttl {
        if !has_ttl_mode && (0..=6).contains(&create.flags) {
            create.variant = CreateVariant::Create;
            create.ttl = -1;
        }
    } else if create.acl.is_none() && (0..=6).contains(&create.flags) {
        return Err(DecodeError::Null(ACL));
    } else if has_ttl_mode || !(0..=6).contains(&create.flags) {
        return Err(DecodeError::CreateFlags(create.flags));
    }
    if create.flags == CONTAINER_MODE {
        create.variant = CreateVariant::Container;
    }
    Ok(Write::Create(create))
}

fn multi_read<'a>(reader: &mut Reader<'a>) -> Result<Vec<Read<'a>>, DecodeError> {
    let mut operations = Vec::new();
    while let Some(number) = multi_header(reader)? {
        // The watch flag of an operation of a multiRead is there and has no meaning.
        operations.push(match OpCode::from_number(number) {
            Some(OpCode::GetData) => {
                let path = path(reader)?;
                reader.boolean()?;
                Read::GetData { path, watch: false }
            }
            Some(OpCode::GetChildren) => {
                let path = path(reader)?;
                reader.boolean()?;
                Read::GetChildren { path, watch: false }
            }
            _ => return Err(DecodeError::MultiOperation(number)),
        });
    }
    Ok(operations)
}

fn watch_request<'a>(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Request<'a>, DecodeError> {
    Ok(match opcode {
        OpCode::AddWatch => Request::AddWatch { path: reader.text()?, mode: reader.int()? },
        OpCode::CheckWatches => {
            Request::CheckWatches { path: reader.text()?, watcher_type: reader.int()? }
        }
        OpCode::RemoveWatches => {
            Request::RemoveWatches { path: reader.text()?, watcher_type: reader.int()? }
        }
        _ => Request::SetWatches(set_watches(opcode, reader)?),
    })
}

fn set_watches(opcode: OpCode, reader: &mut Reader<'_>) -> Result<SetWatches, DecodeError> {
    let paths =
        |reader: &mut Reader<'_>| reader.texts()?.ok_or(DecodeError::Null("list of watches"));
    let mut watches = SetWatches {
        relative_zxid: Zxid(reader.long()?),
        data: paths(reader)?,
        exist: paths(reader)?,
        child: paths(reader)?,
        ..SetWatches::default()
    };
    if opcode == OpCode::SetWatches2 {
        watches.persistent = paths(reader)?;
        watches.persistent_recursive = paths(reader)?;
    }
    Ok(watches)
}

fn auth<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, DecodeError> {
    Ok(Request::Auth { auth_type: reader.int()?, scheme: reader.text()?, auth: reader.buffer()? })
}
