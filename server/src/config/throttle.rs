//! What protects the server from too much work: the keys of ZooKeeper's throttles, typed.

use super::{ConfigError, settings::Settings};

const INT_MAX: i64 = i32::MAX as i64;

/// `connection_throttle_*`: how many connections may ask for a session in a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ConnectionThrottle {
    /// Tokens there are at most; 0: no throttle.
    pub(crate) tokens_max: u64,
    /// `fill_count` tokens come back in this time.
    pub(crate) fill_time_ms: u64,
    /// See `fill_time_ms`.
    pub(crate) fill_count: u64,
    /// The probability of a drop changes once in this time; `None`: there is none.
    pub(crate) freeze_time_ms: Option<u64>,
    /// How much the probability grows when there are no tokens.
    pub(crate) drop_increase: f64,
    /// How much it falls when few are missing.
    pub(crate) drop_decrease: f64,
    /// Which part of all tokens is few.
    pub(crate) decrease_ratio: f64,
    /// Tokens of a new session.
    pub(crate) new_session: u64,
    /// Tokens of a session that comes back.
    pub(crate) renewed_session: u64,
}

impl Default for ConnectionThrottle {
    fn default() -> Self {
        Self {
            tokens_max: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            new_session: 1,
            renewed_session: 1,
        }
    }
}

/// `request_throttle_*` and what goes with it: how many requests are done at the same time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RequestThrottle {
    /// With so many under way the next one waits; 0: no throttle.
    pub(crate) requests_max: u32,
    /// Whether requests of clients that went are dropped while they wait.
    pub(crate) drops_of_closed: bool,
    /// Whether a request that waited for longer than its session's timeout is dropped, and its
    /// connection with it.
    pub(crate) drops_late: bool,
    /// A request that waited for longer is refused; 0: none is.
    pub(crate) wait_max_ms: u64,
}

impl Default for RequestThrottle {
    fn default() -> Self {
        Self { requests_max: 0, drops_of_closed: true, drops_late: false, wait_max_ms: 0 }
    }
}

/// `largeRequest*`: how many bytes of large requests may be under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LargeRequestLimit {
    /// A longer request is a large one; `None`: none is.
    pub(crate) threshold_bytes: Option<u32>,
    /// What all of them may have together.
    pub(crate) bytes_max: u32,
}

impl Default for LargeRequestLimit {
    fn default() -> Self {
        Self { threshold_bytes: None, bytes_max: 100 << 20 }
    }
}

pub(super) fn connections(settings: &Settings) -> Result<ConnectionThrottle, ConfigError> {
    let number = |name, least| settings.number(name, least..=INT_MAX);
    let tokens = number("connection_throttle_tokens", 0)?;
    let fill_count = number("connection_throttle_fill_count", 0)?;
    let weights = Weights::read(settings)?;
    // An operator counts in new sessions.
    let scale = weights.map_or(1, |weights| weights.new);
    Ok(ConnectionThrottle {
        tokens_max: to_u64(tokens * scale),
        fill_time_ms: to_u64(number("connection_throttle_fill_time", 1)?),
        fill_count: to_u64(fill_count * scale),
        freeze_time_ms: u64::try_from(number("connection_throttle_freeze_time", -1)?).ok(),
        drop_increase: settings.amount("connection_throttle_drop_increase")?,
        drop_decrease: settings.amount("connection_throttle_drop_decrease")?,
        decrease_ratio: settings.amount("connection_throttle_decrease_ratio")?,
        new_session: to_u64(scale),
        renewed_session: to_u64(weights.map_or(1, |weights| weights.renewed)),
    })
}

/// How many tokens there are for one.
#[derive(Clone, Copy)]
struct Weights {
    new: i64,
    renewed: i64,
}

impl Weights {
    /// What is set and not positive is as if it were not set, and nothing weighs less than a local
    /// session, of which there are none here: as in ZooKeeper.
    fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let weight = |name| settings.number(name, i64::from(i32::MIN)..=INT_MAX);
        let local = weight("connection_throttle_local_session_weight")?;
        let at_least_local = |weight: i64, default| match weight {
            ..=0 => default,
            _ => weight.max(local),
        };
        let new = at_least_local(weight("connection_throttle_global_session_weight")?, 3);
        let renewed = at_least_local(weight("connection_throttle_renew_session_weight")?, 2);
        let is_on = settings.boolean("connection_throttle_weight_enabled")?;
        Ok(is_on.then_some(Self { new, renewed }))
    }
}

pub(super) fn requests(settings: &Settings) -> Result<RequestThrottle, ConfigError> {
    let requests_max = settings.number("request_throttle_max_requests", 0..=INT_MAX)?;
    let drops_stale = settings.boolean("request_throttle_drop_stale")?;
    let drops_of_closed = settings.boolean("request_stale_connection_check")?;
    let drops_late = settings.boolean("request_stale_latency_check")?;
    Ok(RequestThrottle {
        requests_max: u32::try_from(requests_max).expect("checked"),
        drops_of_closed: drops_stale && drops_of_closed,
        drops_late: drops_stale && drops_late,
        wait_max_ms: to_u64(settings.number("throttled_op_wait_time", 0..=INT_MAX)?),
    })
}

pub(super) fn large_requests(settings: &Settings) -> Result<LargeRequestLimit, ConfigError> {
    let int = i64::from(i32::MIN)..=INT_MAX;
    // What is not positive is as if it were not set: as in ZooKeeper.
    let positive = |number: i64| u32::try_from(number).ok().filter(|number| *number > 0);
    let threshold = settings.number("largeRequestThreshold", int.clone())?;
    let bytes = settings.number("largeRequestMaxBytes", int)?;
    Ok(LargeRequestLimit {
        threshold_bytes: positive(threshold),
        bytes_max: positive(bytes).unwrap_or(LargeRequestLimit::default().bytes_max),
    })
}

fn to_u64(number: i64) -> u64 {
    u64::try_from(number).expect("the range was checked")
}
