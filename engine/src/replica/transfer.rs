//! A snapshot on its way from another replica: the receiver's side.
//!
//! Chunks are asked for by number, a few at a time, and handed out in order, each once. They are
//! parts of the State alone, so a transfer whose source falls silent goes on from any replica that
//! offers a snapshot of the same slot. A source that is heard is kept whatever else is offered:
//! snapshots may be made faster than they are sent.

use alloc::{collections::BTreeMap, vec::Vec};

use super::message::{Chunk, PeerMessage, Received};
use crate::{
    consensus::{config::Voter, message::Offer},
    ids::{Instant, ReplicaId, Slot},
};

/// Chunks that are asked for and have not come.
pub const PULLS_MAX: u32 = 4;

/// After so long without a new chunk, those that have not come are asked for again.
pub const PULL_AGAIN_MS: u64 = 1000;

/// After so long without a new chunk, the source is given up.
pub const SOURCE_SILENT_MS: u64 = 4000;

/// The snapshot that is being received, if there is one.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Transfer {
    under_way: Option<UnderWay>,
}

/// Invariant: `next <= asked`, and `arrived` has numbers between the two, `next` excluded.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct UnderWay {
    /// What it is of.
    offer: Offer,
    /// Who is asked; `None`: whoever offers the same.
    source: Option<Voter>,
    /// When a new chunk last came, or the source was new.
    heard: Instant,
    /// The next chunk to be handed out.
    next: u32,
    /// The next chunk to be asked for.
    asked: u32,
    /// When something was last asked for.
    asked_at: Instant,
    /// Chunks behind a gap.
    arrived: BTreeMap<u32, Chunk>,
    /// How many chunks there are, once the last has come.
    count: Option<u32>,
}

impl Transfer {
    /// A snapshot is offered. Taken if none is under way, or if the source of that has fallen
    /// silent: then the transfer goes on if it is of the same slot, and begins anew otherwise.
    pub fn offered(&mut self, from: Voter, offer: Offer, now: Instant) {
        match &mut self.under_way {
            Some(current) if current.source.is_some() || current.is_whole() => {}
            Some(current) if current.offer.base == offer.base => {
                current.offer = offer;
                current.source = Some(from);
                current.heard = now;
                current.asked = current.next;
            }
            Some(_) | None => {
                self.under_way = Some(UnderWay {
                    offer,
                    source: Some(from),
                    heard: now,
                    next: 0,
                    asked: 0,
                    asked_at: now,
                    arrived: BTreeMap::new(),
                    count: None,
                });
            }
        }
    }

    /// A chunk has come. Appends to `chunks` what is now to be written: a snapshot's chunks come
    /// out in order, each once. Number 0 begins a file anew: whatever was written before, of
    /// another snapshot that was given up, is of no use.
    pub fn take(&mut self, chunk: Chunk, now: Instant, chunks: &mut Vec<Chunk>) {
        let Some(current) = &mut self.under_way else { return };
        let is_wanted = chunk.slot == current.offer.base.slot
            && (current.next..current.asked).contains(&chunk.number)
            && !current.arrived.contains_key(&chunk.number);
        if !is_wanted {
            return;
        }
        current.heard = now;
        if chunk.is_last {
            current.count = Some(chunk.number + 1);
        }
        current.arrived.insert(chunk.number, chunk);
        while !current.is_whole()
            && let Some(chunk) = current.arrived.remove(&current.next)
        {
            current.next += 1;
            chunks.push(chunk);
        }
    }

    /// Time has passed: appends what is to be asked of the source.
    pub fn pull(&mut self, now: Instant, messages: &mut Vec<(Voter, PeerMessage)>) {
        let Some(current) = &mut self.under_way else { return };
        if current.heard.plus_millis(SOURCE_SILENT_MS) <= now {
            current.source = None;
        }
        let Some(source) = current.source.filter(|_| !current.is_whole()) else { return };
        if current.heard.max(current.asked_at).plus_millis(PULL_AGAIN_MS) <= now {
            current.asked = current.next;
        }
        let end = current.next.saturating_add(PULLS_MAX).min(current.count.unwrap_or(u32::MAX));
        for number in current.asked..end {
            if !current.arrived.contains_key(&number) {
                let slot = current.offer.base.slot;
                messages.push((source, PeerMessage::Pull { slot, number }));
                current.asked_at = now;
            }
        }
        current.asked = end;
    }

    /// The link to a replica is closed: what was asked of it will not come.
    pub fn closed(&mut self, replica: ReplicaId) {
        if let Some(current) = &mut self.under_way {
            current.source = current.source.filter(|source| source.id != replica);
        }
    }

    /// Everything up to `commit` is decided here: an older snapshot is of no use any more.
    pub fn drop_behind(&mut self, commit: Slot) {
        self.under_way.take_if(|current| current.offer.base.slot <= commit);
    }

    /// The driver has written the last chunk. Returns what can be installed.
    pub fn finish(&mut self, received: &Received) -> Option<Offer> {
        let is_it = |current: &UnderWay| current.is_whole() && current.offer.base == received.base;
        let done = self.under_way.take_if(|current| is_it(current))?;
        received.is_sound.then_some(done.offer)
    }

    /// What is being received: a driver writes its configuration behind the chunks.
    #[must_use]
    pub fn offer(&self) -> Option<&Offer> {
        self.under_way.as_ref().map(|current| &current.offer)
    }

    /// What is being received, and how many of its chunks were handed out. For reports.
    #[must_use]
    pub fn progress(&self) -> Option<(Slot, u32)> {
        self.under_way.as_ref().map(|current| (current.offer.base.slot, current.next))
    }
}

impl UnderWay {
    /// Whether every chunk was handed out.
    fn is_whole(&self) -> bool {
        self.count == Some(self.next)
    }
}
