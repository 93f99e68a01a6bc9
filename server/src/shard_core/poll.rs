//! A connection's turn: read, cut into frames, run.

use std::{
    io, mem,
    task::{Context, Poll},
};

use ringkeeper_engine::protocol::{
    four_letter::{TELNET_CLOSE, Word},
    frame,
};

use super::{
    ShardCore,
    client::{ClientId, Phase},
    requests::Kind,
};
use crate::client::connection::{Ending, OUTPUT_BYTES_PAUSE};

/// What came out of a connection's turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// The connection is over: its task ends.
    Over,
    /// It was sent a four-letter word, and what may be the mask of `stmk`.
    Word(Word, Option<i64>),
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// It is dealt with, or on its way.
    Taken,
    /// It must wait in the connection's input.
    Waits,
    /// Nothing more of this connection is looked at.
    Over,
}

impl ShardCore {
    /// A connection's turn. The task that calls this is the only one that ends the connection.
    pub(super) fn poll_client(&mut self, id: ClientId, context: &mut Context<'_>) -> Poll<Turn> {
        self.now = self.clock.now();
        let Some(client) = self.clients.get_mut(id) else { return Poll::Ready(Turn::Over) };
        client.connection.set_waker(context.waker());
        if client.connection.is_stuck() {
            client.connection.send(&mut self.pool);
        }
        if client.connection.is_finished() {
            client.connection.farewell(context, &mut self.scratch);
            return Poll::Ready(Turn::Over);
        }
        let turn = self.poll_frames(id, context);
        if self.immediate > 0 {
            let count = mem::take(&mut self.immediate);
            self.note_latency(id, self.now, count, Kind::Read);
        }
        turn
    }

    fn poll_frames(&mut self, id: ClientId, context: &mut Context<'_>) -> Poll<Turn> {
        let waits = self.clients.get(id).is_some_and(|client| client.connection.has_input());
        if waits
            && self.may_go_on(id)
            && let Some(turn) = self.take_bytes(id, &[])
        {
            return Poll::Ready(turn);
        }
        let mut scratch = mem::take(&mut self.scratch);
        let turn = self.poll_input(id, context, &mut scratch);
        self.scratch = scratch;
        turn
    }

    fn poll_input(
        &mut self,
        id: ClientId,
        context: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Turn> {
        loop {
            if !self.may_go_on(id) {
                return Poll::Pending;
            }
            let Some(client) = self.clients.get_mut(id) else { return Poll::Ready(Turn::Over) };
            let count = match client.connection.poll_read(context, scratch) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    self.stats.connection_drops += 1;
                    return Poll::Ready(Turn::Over);
                }
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Poll::Ready(Err(error)) => {
                    tracing::debug!(peer = %client.connection.peer, %error, "cannot receive");
                    return Poll::Ready(Turn::Over);
                }
            };
            self.stats.bytes_received += count as u64;
            let bytes = scratch.get(..count).expect("a read returns no more than it was given");
            if let Some(turn) = self.take_bytes(id, bytes) {
                return Poll::Ready(turn);
            }
            if count == scratch.len() {
                // There may be more. Others first.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Whether the next request of a client may run now. If not, the client is woken when it may.
    fn may_go_on(&mut self, id: ClientId) -> bool {
        let is_behind = self.is_behind();
        let is_full = self.is_full();
        let is_over_limit = self.is_over_limit();
        let Some(client) = self.clients.get_mut(id) else { return false };
        let may = match client.phase {
            // A client that is ahead of this shard would be sent away.
            Phase::New => !is_behind,
            Phase::Connecting(_) | Phase::Done => false,
            Phase::Open => {
                let is_limited = is_over_limit && !(client.order.is_empty() && client.held == 0);
                let waits_for_sync = client.syncs > 0 && client.connection.has_input();
                let is_unread = client.connection.unsent_bytes() >= OUTPUT_BYTES_PAUSE;
                !(is_behind || is_full || is_limited || waits_for_sync || is_unread)
            }
        };
        if !may && !client.is_paused {
            client.is_paused = true;
            if is_behind || is_full || is_over_limit {
                self.paused.push(id);
            }
        }
        may
    }

    /// Takes bytes that came after those that wait already.
    fn take_bytes(&mut self, id: ClientId, new: &[u8]) -> Option<Turn> {
        let client = self.clients.get_mut(id)?;
        if client.connection.has_input() {
            let mut held = client.connection.take_input();
            held.extend_from_slice(new);
            match self.take_frames(id, &held) {
                Ok(used) if used == held.len() => None,
                Ok(used) => {
                    held.drain(..used);
                    self.keep(id, held);
                    None
                }
                Err(turn) => Some(turn),
            }
        } else {
            match self.take_frames(id, new) {
                Ok(used) => {
                    let rest = new.get(used..).unwrap_or_default();
                    if !rest.is_empty() {
                        self.keep(id, rest.to_vec());
                    }
                    None
                }
                Err(turn) => Some(turn),
            }
        }
    }

    fn keep(&mut self, id: ClientId, input: Vec<u8>) {
        if let Some(client) = self.clients.get_mut(id) {
            client.connection.keep_input(input);
        }
    }

    /// Runs the whole frames at the front of `bytes`. Says how many bytes are done with.
    fn take_frames(&mut self, id: ClientId, bytes: &[u8]) -> Result<usize, Turn> {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..)
            && !rest.is_empty()
        {
            let Some(client) = self.clients.get_mut(id) else { return Err(Turn::Over) };
            if client.phase == Phase::New {
                match first_bytes(rest) {
                    First::Frame => {}
                    First::Incomplete => break,
                    First::Close => return Err(Turn::Over),
                    First::Word(word, mask) => {
                        client.phase = Phase::Done;
                        client.counts.received += 1;
                        self.stats.packets_received += 1;
                        return Err(Turn::Word(word, mask));
                    }
                }
            }
            let frame = match frame::next(rest, self.settings.frame_bytes_max) {
                Ok(frame) => frame,
                Err(error) => {
                    self.stats.bad_frames += 1;
                    tracing::info!(peer = %client.connection.peer, %error, "closing");
                    return Err(Turn::Over);
                }
            };
            if used > 0 && frame.is_some() && !self.may_go_on(id) {
                break;
            }
            if !self.admits_length(id, rest) {
                return Err(Turn::Over);
            }
            let Some(frame) = frame else { break };
            match self.take_frame(id, frame.payload) {
                Progress::Taken => {
                    used += frame.consumed_bytes;
                    self.begin_frame(id);
                }
                Progress::Waits => break,
                // Whatever follows is not for us; what was answered is still sent.
                Progress::Over => return Ok(bytes.len()),
            }
        }
        Ok(used)
    }

    /// Looks once at the length at the front of `bytes`, before its frame is waited for: whether
    /// there is room for a request of that length.
    fn admits_length(&mut self, id: ClientId, bytes: &[u8]) -> bool {
        let Some(length) = bytes.first_chunk::<{ frame::LENGTH_BYTES }>() else { return true };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        let Some(client) = self.clients.get_mut(id) else { return false };
        if !client.has_admitted_length {
            client.has_admitted_length = self.limits.large_requests.has_room(length);
        }
        let admits = client.has_admitted_length;
        if !admits {
            self.reject_large(id);
        }
        admits
    }

    fn begin_frame(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(id) {
            client.has_admitted_length = false;
        }
    }

    /// Closes a connection whose request is too large beside those that are under way.
    pub(super) fn reject_large(&mut self, id: ClientId) -> Progress {
        self.stats.large_requests_rejected += 1;
        if let Some(client) = self.clients.get_mut(id) {
            let (peer, session) = (client.connection.peer, client.session());
            tracing::info!(%peer, %session, "closing: too many bytes of large requests");
        }
        self.end(id, Ending::AfterOutput)
    }

    fn take_frame(&mut self, id: ClientId, payload: &[u8]) -> Progress {
        let Some(client) = self.clients.get(id) else { return Progress::Over };
        match client.phase {
            Phase::New => self.connect(id, payload),
            Phase::Connecting(_) => Progress::Waits,
            Phase::Open => self.request(id, payload),
            Phase::Done => Progress::Over,
        }
    }

    /// Closes a connection whose bytes mean nothing.
    pub(super) fn refuse(&mut self, id: ClientId, why: &dyn std::fmt::Display) -> Progress {
        self.stats.bad_frames += 1;
        if let Some(client) = self.clients.get_mut(id) {
            tracing::info!(
                peer = %client.connection.peer, session = %client.session(), %why, "closing"
            );
            client.end(Ending::AfterOutput);
        }
        Progress::Over
    }
}

/// What a connection starts with.
enum First {
    /// A handshake, or what will be refused as one.
    Frame,
    /// A four-letter word.
    Word(Word, Option<i64>),
    /// Something that ends it.
    Close,
    /// Too little to say.
    Incomplete,
}

fn first_bytes(bytes: &[u8]) -> First {
    let Some((first, rest)) = bytes.split_first_chunk::<4>() else { return First::Incomplete };
    if *first == TELNET_CLOSE {
        return First::Close;
    }
    let Some(word) = Word::from_bytes(*first) else { return First::Frame };
    // A mask is not waited for, as in Apache: it comes with its word.
    First::Word(word, rest.first_chunk().map(|mask| i64::from_be_bytes(*mask)))
}
