//! The handshake: the first frame of a connection, and its answer. Neither has a header.

use alloc::vec::Vec;

use super::{
    frame,
    jute::{DecodeError, Reader, put_boolean, put_buffer, put_int, put_long},
};
use crate::{
    ids::{SessionId, Zxid},
    limits::PASSWORD_BYTES,
};

/// What a client asks for when it connects (jute: `ConnectRequest`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectRequest<'a> {
    /// 0 by convention; every number is accepted.
    pub protocol_version: i32,
    /// The newest zxid that the client has seen. A server that is behind it must not serve it.
    pub last_zxid_seen: Zxid,
    /// The session timeout it would like, milliseconds; not yet clamped.
    pub timeout_ms: i32,
    /// The session to resume; 0 asks for a new one.
    pub session: SessionId,
    /// Of the session to resume; of any length.
    pub password: Option<&'a [u8]>,
    /// Whether a read-only server will do. `None` if the client does not know of such servers:
    /// the answer must then leave its byte out too.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Decodes a frame's payload. Bytes beyond the record are ignored.
    ///
    /// # Errors
    ///
    /// It is not such a record: the connection is closed without an answer.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            protocol_version: reader.int()?,
            last_zxid_seen: Zxid(reader.long()?),
            timeout_ms: reader.int()?,
            session: SessionId(reader.long()?),
            password: reader.buffer()?,
            // Clients before 3.4, and some of today's, end here.
            read_only: reader.boolean().ok(),
        })
    }
}

/// The answer to a handshake (jute: `ConnectResponse`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectResponse {
    /// The negotiated session timeout, milliseconds; 0 says that the session is gone.
    pub timeout_ms: i32,
    /// The session; 0 says that it is gone.
    pub session: SessionId,
    /// What the client must show to resume the session.
    pub password: [u8; PASSWORD_BYTES],
    /// Whether this server is read-only now; `None` exactly if the request had no such byte.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// What a client is told whose session is unknown, expired, or has another password. The
    /// connection is closed after it.
    #[must_use]
    pub fn expired(request: &ConnectRequest<'_>) -> Self {
        Self {
            timeout_ms: 0,
            session: SessionId(0),
            password: [0; PASSWORD_BYTES],
            read_only: request.read_only.map(|_| false),
        }
    }

    /// Appends it as a frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = frame::start(out);
        put_int(out, 0);
        put_int(out, self.timeout_ms);
        put_long(out, self.session.0);
        put_buffer(out, Some(&self.password));
        if let Some(read_only) = self.read_only {
            put_boolean(out, read_only);
        }
        let fits = frame::finish(out, start);
        debug_assert!(fits, "37 bytes fit in a frame");
    }
}
