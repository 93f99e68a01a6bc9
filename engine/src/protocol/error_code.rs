//! Result codes: outcomes of requests as numbers (KeeperException.Code).

/// The outcome of a request that did not succeed. Data, not a failure of this program.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(i32)]
pub enum ErrorCode {
    /// Never reached by a correct server.
    SystemError = -1,
    /// In a failed multi: an operation that was not tried, after the one that failed.
    RuntimeInconsistency = -2,
    /// The stored data contradicts itself.
    DataInconsistency = -3,
    /// The connection was lost.
    ConnectionLoss = -4,
    /// The record could not be parsed.
    MarshallingError = -5,
    /// The operation is not offered.
    Unimplemented = -6,
    /// The operation took too long.
    OperationTimeout = -7,
    /// An argument is not allowed.
    BadArguments = -8,
    /// No new configuration could get a quorum.
    NewConfigNoQuorum = -13,
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14,
    /// The znode does not exist.
    NoNode = -101,
    /// The ACL does not permit it.
    NoAuth = -102,
    /// The version is not the expected one.
    BadVersion = -103,
    /// Ephemeral znodes have no children.
    NoChildrenForEphemerals = -108,
    /// The znode exists.
    NodeExists = -110,
    /// The znode has children.
    NotEmpty = -111,
    /// The session is closed or expired.
    SessionExpired = -112,
    /// The ACL is malformed.
    InvalidAcl = -114,
    /// Authentication failed.
    AuthFailed = -115,
    /// The session has moved to another connection.
    SessionMoved = -118,
    /// A write reached a read-only server.
    NotReadOnly = -119,
    /// A local session asked for an ephemeral znode.
    EphemeralOnLocalSession = -120,
    /// No such watch.
    NoWatcher = -121,
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123,
    /// The server demands authentication first.
    SessionClosedRequireAuth = -124,
    /// A hard quota is exceeded.
    QuotaExceeded = -125,
    /// The request waited too long and was not run.
    ThrottledOp = -127,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The code with this number on the wire, if it is one of ours.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::SystemError,
        Self::RuntimeInconsistency,
        Self::DataInconsistency,
        Self::ConnectionLoss,
        Self::MarshallingError,
        Self::Unimplemented,
        Self::OperationTimeout,
        Self::BadArguments,
        Self::NewConfigNoQuorum,
        Self::ReconfigInProgress,
        Self::NoNode,
        Self::NoAuth,
        Self::BadVersion,
        Self::NoChildrenForEphemerals,
        Self::NodeExists,
        Self::NotEmpty,
        Self::SessionExpired,
        Self::InvalidAcl,
        Self::AuthFailed,
        Self::SessionMoved,
        Self::NotReadOnly,
        Self::EphemeralOnLocalSession,
        Self::NoWatcher,
        Self::ReconfigDisabled,
        Self::SessionClosedRequireAuth,
        Self::QuotaExceeded,
        Self::ThrottledOp,
    ];
}
