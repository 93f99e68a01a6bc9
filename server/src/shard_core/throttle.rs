//! The request throttle: while enough requests are under way, the next ones wait here, in the order
//! in which they came, over all connections of the shard.
//!
//! How many may wait is not limited here: a connection with requests that wait is not read beyond
//! `globalOutstandingLimit`. Handshakes, authentication and four-letter words do not wait.

use std::{collections::VecDeque, mem};

use ringkeeper_engine::{
    ids::Instant,
    protocol::{
        error_code::ErrorCode,
        request::{self, Request, RequestError, RequestHeader},
    },
};

use super::{
    ShardCore,
    client::{Arrival, Client, ClientId, Phase},
    poll::Progress,
    requests::Kind,
};
use crate::client::connection::Ending;

/// A request that waits.
#[derive(Debug)]
pub(super) struct Held {
    client: ClientId,
    arrival: Arrival,
    is_close: bool,
    /// As it came.
    frame: Box<[u8]>,
}

impl Held {
    fn waited_ms(&self, now: Instant) -> u64 {
        now.0.saturating_sub(self.arrival.received.0) / 1_000_000
    }
}

impl ShardCore {
    /// Whether the next request must wait.
    pub(super) fn is_throttled(&self) -> bool {
        !(self.held.is_empty() && self.has_room())
    }

    /// Whether one more request may be under way.
    fn has_room(&self) -> bool {
        self.outstanding < self.settings.requests_max
    }

    /// Lets a request wait.
    pub(super) fn hold(
        &mut self,
        id: ClientId,
        request: &Result<Request<'_>, RequestError>,
        arrival: Arrival,
        payload: &[u8],
    ) -> Progress {
        let Some(client) = self.clients.get_mut(id) else { return Progress::Over };
        let is_close = matches!(request, Ok(Request::CloseSession));
        self.held.push_back(Held { client: id, arrival, is_close, frame: payload.into() });
        client.held += 1;
        if is_close || matches!(request, Err(RequestError::NotOffered(_))) {
            client.phase = Phase::Done;
            return Progress::Over;
        }
        Progress::Taken
    }

    /// Runs what has waited, as far as there is room.
    pub(super) fn release_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        self.now = self.clock.now();
        while let Some(held) = self.held.front() {
            let Some(client) = self.clients.get(held.client) else {
                unreachable!("who goes takes along what waits")
            };
            if self.is_dropped(held, client) {
                self.drop_first();
                continue;
            }
            // A write behind a sync waits for it; so does what is behind the write.
            if !self.has_room() || self.is_full() || client.syncs > 0 {
                return;
            }
            let held = self.held.pop_front().expect("just seen");
            self.run_held(held);
        }
    }

    /// Whether a request that waits is done no more. Asked as long as it is the first one.
    fn is_dropped(&self, held: &Held, client: &Client) -> bool {
        if client.connection.is_ending() {
            return self.settings.throttle.drops_of_closed && !held.is_close;
        }
        let timeout_ms = u64::try_from(client.timeout_ms).unwrap_or(0);
        let is_late = held.waited_ms(self.now) > timeout_ms;
        self.settings.throttle.drops_late && is_late && !held.is_close
    }

    /// Drops the first request that waits. Those behind it must not run without it: its connection
    /// ends, and they are dropped with it.
    fn drop_first(&mut self) {
        let Some(held) = self.held.front() else { return };
        let id = held.client;
        self.end(id, Ending::AfterOutput);
        self.drop_all_of(id);
    }

    /// Counted once for a connection, as Apache counts.
    fn drop_all_of(&mut self, id: ClientId) {
        self.stats.stale_requests_dropped += 1;
        self.take_held_of(id);
    }

    fn take_held_of(&mut self, id: ClientId) -> VecDeque<Held> {
        let is_its = |held: &Held| held.client == id;
        let (its, others) = mem::take(&mut self.held).into_iter().partition(is_its);
        self.held = others;
        if let Some(client) = self.clients.get_mut(id) {
            client.held = 0;
        }
        its
    }

    /// A connection goes: what it left behind goes too, or is done at once, without an answer. A
    /// session whose client has asked to close it is closed in any case.
    pub(super) fn settle_held(&mut self, id: ClientId) {
        if self.clients.get(id).is_none_or(|client| client.held == 0) {
            return;
        }
        let first = self.held.iter().find(|held| held.client == id);
        let is_close = first.is_some_and(|held| held.is_close);
        if self.settings.throttle.drops_of_closed && !is_close {
            self.drop_all_of(id);
            return;
        }
        for held in self.take_held_of(id) {
            self.dispatch_held(held);
        }
    }

    fn run_held(&mut self, held: Held) {
        if let Some(client) = self.clients.get_mut(held.client) {
            client.held -= 1;
        }
        self.stats.throttled_ms.record(held.waited_ms(self.now));
        let wait_max_ms = self.settings.throttle.wait_max_ms;
        if wait_max_ms == 0 || held.waited_ms(self.now) <= wait_max_ms {
            self.dispatch_held(held);
            return;
        }
        let (header, request) = decode(&held.frame);
        if matches!(
            request,
            Ok(Request::Ping | Request::CloseSession) | Err(RequestError::NotOffered(_))
        ) {
            self.dispatch_held(held);
        } else {
            self.stats.throttled_ops += 1;
            self.fail(held.client, header.xid, ErrorCode::ThrottledOp, held.arrival);
        }
    }

    fn dispatch_held(&mut self, held: Held) {
        let (id, received) = (held.client, held.arrival.received);
        let (header, request) = decode(&held.frame);
        self.dispatch(id, header, request, &held.frame, held.arrival);
        if mem::take(&mut self.immediate) > 0 {
            self.note_latency(id, received, 1, Kind::Read);
        }
    }
}

fn decode(frame: &[u8]) -> (RequestHeader, Result<Request<'_>, RequestError>) {
    request::decode(frame).expect("it was decoded when it came")
}
