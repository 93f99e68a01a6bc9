//! An operator's settings, as far as a shard decides by them.

use ringkeeper_engine::{
    ids::ReplicaId,
    state::{auth::AuthPolicy, command::EdgeSettings},
};

use crate::{
    client::{connection_throttle::ConnectionThrottle, large_requests::LargeRequests},
    config::RequestThrottle,
};

/// What a shard must know of the configuration. The same on every shard.
#[derive(Clone, Debug)]
pub(crate) struct ShardSettings {
    /// Upper byte of the session ids that are drawn here.
    pub(crate) replica_id: ReplicaId,
    /// Shorter wishes for a session timeout are raised to this.
    pub(crate) min_session_timeout_ms: i32,
    /// Longer ones are lowered to this.
    pub(crate) max_session_timeout_ms: i32,
    /// How often sessions that were heard of are reported.
    pub(crate) touch_interval_ms: u64,
    /// A connection without a session lives this long.
    pub(crate) sessionless_timeout_ms: u64,
    /// With more requests unanswered on this shard, those who have some are not read.
    pub(crate) outstanding_max: usize,
    /// With so many requests unanswered on this shard, the next ones wait.
    pub(crate) requests_max: usize,
    /// What becomes of those that wait.
    pub(crate) throttle: RequestThrottle,
    /// A longer request closes its connection.
    pub(crate) frame_bytes_max: usize,
    /// What decides about writes.
    pub(crate) edge: EdgeSettings,
    /// What decides about identities.
    pub(crate) auth: AuthPolicy,
    /// No ACL is checked.
    pub(crate) skip_acl: bool,
    /// Hard quotas refuse writes.
    pub(crate) enforce_quota: bool,
    /// ACLs are asked before a write is replicated, too.
    pub(crate) eager_acl_check: bool,
    /// Requests need an identity of one of these schemes; empty: they need none.
    pub(crate) required_schemes: Vec<String>,
}

/// Limits that hold for all shards together, since a client could tell if each had its part. None
/// of them is touched on the way of an ordinary request.
#[derive(Clone, Debug)]
pub(crate) struct ServerLimits {
    /// Who may ask for a session.
    pub(crate) connections: ConnectionThrottle,
    /// Bytes of large requests.
    pub(crate) large_requests: LargeRequests,
}
