//! From a client's write to an op: everything that depends on settings or on the connection.

use super::command::Op;
use crate::protocol::{records::Id, request::Write};

/// Whether znodes may have a time to live (`extendedTypesEnabled`, `emulate353TTLNodes`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TtlSupport {
    /// Refused with `Unimplemented`.
    #[default]
    Off,
    /// Up to 2^40 - 1 milliseconds.
    On,
    /// Up to 2^60 - 1 milliseconds, as release 3.5.3 had it.
    Emulate353,
}

/// An operator's settings that decide about writes before they are replicated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct EdgeSettings {
    /// Whether znodes may have a time to live.
    pub ttl: TtlSupport,
    /// `reconfigEnabled`.
    pub reconfig_enabled: bool,
}

/// Decides what `write` of a connection with the identities `auth` becomes. A write that must fail
/// becomes `Op::Fail`: it takes its zxid in the log as Apache's error transactions do.
#[must_use]
pub fn admit(write: &Write<'_>, auth: &[Id], settings: EdgeSettings) -> Op {
    let _ = (write, auth, settings);
    unimplemented!()
}
