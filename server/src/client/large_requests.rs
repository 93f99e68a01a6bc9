//! How many bytes of large requests are under way, over all shards.
//!
//! One number for the server: were it divided, a client could tell, since one request may need all
//! of it. Only large requests touch it, and nothing is read by its order: it is relaxed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::config::LargeRequestLimit;

/// The limit, and what is used of it.
#[derive(Clone, Debug)]
pub(crate) struct LargeRequests {
    threshold_bytes: usize,
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
}

impl LargeRequests {
    /// With nothing under way.
    pub(crate) fn new(limit: LargeRequestLimit) -> Self {
        let to_usize = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            threshold_bytes: limit.threshold_bytes.map_or(usize::MAX, to_usize),
            bytes_max: to_usize(limit.bytes_max),
            bytes: Arc::default(),
        }
    }

    /// Whether a request of this length may come in at all.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.threshold_bytes
            || self.bytes.load(Relaxed).saturating_add(bytes) <= self.bytes_max
    }

    /// Counts a request in that is all there; `None`: it is not large.
    pub(crate) fn enter(&self, bytes: usize) -> Result<Option<LargeRequest>, NoRoom> {
        if bytes <= self.threshold_bytes {
            return Ok(None);
        }
        let before = self.bytes.fetch_add(bytes, Relaxed);
        let request = LargeRequest { all: self.bytes.clone(), bytes };
        if before.saturating_add(bytes) > self.bytes_max {
            // Dropped, and so counted out again.
            return Err(NoRoom);
        }
        Ok(Some(request))
    }
}

/// Too much is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NoRoom;

/// A large request that is under way: counted out when this is dropped.
#[derive(Debug)]
pub(crate) struct LargeRequest {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for LargeRequest {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_requests_share_a_limit_and_others_do_not_count() {
        let limit = LargeRequestLimit { threshold_bytes: Some(10), bytes_max: 30 };
        let requests = LargeRequests::new(limit);
        assert!(requests.enter(10).expect("not large").is_none());
        let first = requests.enter(20).expect("room");
        assert!(requests.has_room(10) && !requests.has_room(11));
        assert_eq!(requests.enter(11).err(), Some(NoRoom));
        drop(first);
        assert!(requests.enter(30).is_ok(), "what was refused is not counted");
        assert_eq!(requests.enter(31).err(), Some(NoRoom));
    }

    #[test]
    fn without_a_threshold_nothing_is_large() {
        let requests = LargeRequests::new(LargeRequestLimit::default());
        assert!(requests.has_room(usize::MAX));
        assert!(requests.enter(200 << 20).expect("not large").is_none());
    }
}
