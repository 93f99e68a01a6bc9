//! What a server has for others and takes from them: messages, decided batches, snapshots.

use alloc::{sync::Arc, vec::Vec};
use core::mem;

use super::{Effects, Process};
use crate::{
    consensus::{
        Fetch,
        message::{Message, Offer},
    },
    ids::{ReplicaId, Slot},
    replica::{
        Config, Voter,
        message::{Chunk, Envelope, PeerMessage, Pull, Received},
    },
    sim::{
        coverage::Situation,
        directory::{snapshot_file, snapshots},
        disk::Disk,
        observer::Observer,
        trace::Says,
    },
    state::State,
    storage::snapshot_file::SnapshotMeta,
};

/// Most batches in one answer to a fetch.
const FETCHED_MAX: usize = 8;

/// A snapshot that comes from another replica.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Its chunks so far, in order.
    chunks: Vec<Arc<[u8]>>,
    /// It is whole, and waits to be written or is being written.
    whole: Option<Whole>,
}

#[derive(Debug)]
struct Whole {
    meta: SnapshotMeta,
    state: State,
    /// Until it is being written.
    file: Option<Vec<u8>>,
}

impl Process {
    /// Another replica says something.
    pub fn take_message(&mut self, envelope: Envelope) {
        self.input.messages.push(envelope);
    }

    /// Another replica has closed the link.
    pub fn link_closed(&mut self, peer: ReplicaId) {
        self.input.links_closed.push(peer);
    }

    /// The server is about to be stopped.
    pub fn hand_over(&mut self) {
        self.input.hand_over = true;
    }

    /// Somebody wants other members.
    pub fn reconfigure(&mut self, config: Config) {
        self.input.reconfigure = Some(config);
    }

    /// The State of a snapshot that was installed takes the place of this one, before anything that
    /// is committed is applied.
    pub(super) fn install(&mut self, observer: &mut Observer) {
        let Some(base) = self.output.installed.take() else { return };
        let Some(Whole { meta, state, .. }) = self.incoming.whole.take() else {
            panic!("{:?} installs what was not received", self.own)
        };
        assert!(meta.base == base, "{:?} installs {base:?}, received {meta:?}", self.own);
        observer.coverage.count(Situation::SnapshotInstalled);
        observer.note(&self.own.id.0, format_args!("installs {:?}", base.slot));
        observer.invariants.installed(self.own, &base);
        observer.invariants.applied(self.own, &state);
        self.config = meta.config;
        self.decided.clear();
        self.shard.replace_state(state);
    }

    /// Everything that others are to be told.
    pub(super) fn speak(&mut self, disk: &Disk, observer: &mut Observer, effects: &mut Effects) {
        let mut messages = mem::take(&mut self.output.messages);
        for fetch in mem::take(&mut self.output.fetches) {
            messages.extend(self.answer_fetch(&fetch, disk, observer));
        }
        for pull in mem::take(&mut self.output.pulls) {
            messages.extend(self.answer_pull(&pull, disk, observer));
        }
        for (to, message) in messages {
            observer.invariants.said(self.own, &message);
            observer.coverage.said(&message);
            observer.note(&self.own.id.0, format_args!("-> {}: {}", to.id.0, Says(&message)));
            effects.packets.push(Envelope { from: self.own, to, message });
        }
        for chunk in mem::take(&mut self.output.chunks) {
            self.take_chunk(&chunk, observer);
        }
    }

    /// Decided batches from the log, or the offer of a snapshot if they are gone.
    fn answer_fetch(
        &mut self,
        fetch: &Fetch,
        disk: &Disk,
        observer: &mut Observer,
    ) -> Option<(Voter, PeerMessage)> {
        self.decided = self.decided.split_off(&self.directory.first_slot());
        let &Fetch { to, first, last, ballot } = fetch;
        if self.decided.contains_key(&first) {
            observer.coverage.count(Situation::FetchAnswered);
            let range = self.decided.range(first..=last).take(FETCHED_MAX);
            let batches = range.map(|(_, batch)| batch.clone()).collect();
            let message = Message::Fetched { ballot, batches, commit: last };
            return Some((to, PeerMessage::Consensus(message)));
        }
        let slot = *self.directory.snapshots().last()?;
        let (trailer, _) = read_snapshot(disk, slot)?;
        if last < slot {
            return None;
        }
        observer.coverage.count(Situation::SnapshotOffered);
        let config = Arc::new(Config::decode(&trailer.config).unwrap_or_default());
        let offer = Offer { ballot, base: trailer.base, config };
        Some((to, PeerMessage::Consensus(Message::Offer(offer))))
    }

    fn answer_pull(
        &self,
        pull: &Pull,
        disk: &Disk,
        observer: &mut Observer,
    ) -> Option<(Voter, PeerMessage)> {
        let &Pull { to, slot, number } = pull;
        let (_, chunks) = read_snapshot(disk, slot)?;
        let index = usize::try_from(number).expect("32 bits");
        let bytes: Arc<[u8]> = chunks.get(index)?.as_slice().into();
        let is_last = index + 1 == chunks.len();
        observer.coverage.count(Situation::ChunkSent);
        Some((to, PeerMessage::Chunk(Chunk { slot, number, is_last, bytes })))
    }

    /// The next chunk of a snapshot that comes from another replica.
    fn take_chunk(&mut self, chunk: &Chunk, observer: &mut Observer) {
        if chunk.number == 0 {
            self.incoming.chunks.clear();
        }
        self.incoming.chunks.push(chunk.bytes.clone());
        if !chunk.is_last {
            return;
        }
        let Some(offer) = self.replica.offer() else { return };
        let (base, config) = (offer.base, offer.config.encode());
        let chunks = mem::take(&mut self.incoming.chunks);
        let state = snapshots::state_of(chunks.iter().map(|chunk| &**chunk));
        let Some(state) = state.ok().filter(|state| snapshots::base_of(state) == base) else {
            observer.coverage.count(Situation::UnsoundSnapshot);
            self.input.received = Some(Received { base, is_sound: false });
            return;
        };
        let meta = snapshots::meta_of(&state, config, true);
        let (owner, chunk_bytes) = (self.directory.owner(), self.settings.chunk_bytes);
        let file = snapshots::encode(owner, &meta, &chunks.concat(), chunk_bytes);
        self.incoming.whole = Some(Whole { meta, state, file: Some(file) });
    }

    /// Starts to write a snapshot that has come, once the one before is written.
    pub(super) fn write_incoming(&mut self) {
        if let Some(whole) = &mut self.incoming.whole
            && !self.directory.is_receiving()
            && let Some(file) = whole.file.take()
        {
            self.directory.archive(&whole.meta, &file, self.settings.chunk_bytes);
        }
    }

    /// A snapshot that has come is on the disk.
    pub(super) fn note_received(&mut self, slot: Slot) {
        let whole = self.incoming.whole.as_ref();
        // Another one may have come since.
        if let Some(Whole { meta, file: None, .. }) = whole
            && meta.base.slot == slot
        {
            self.input.received = Some(Received { base: meta.base, is_sound: true });
        }
    }
}

fn read_snapshot(disk: &Disk, slot: Slot) -> Option<(SnapshotMeta, Vec<Vec<u8>>)> {
    let (trailer, chunks) = snapshots::decode(snapshot_file(disk, slot)?).ok()?;
    Some((trailer.meta, chunks))
}
