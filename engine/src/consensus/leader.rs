//! Phase 2: a replica that a quorum has promised a ballot to decides what comes next.

use alloc::vec::Vec;

use super::{
    Bounds, Consensus, Ready, Role,
    config::Config,
    log::Log,
    message::{LogEnd, Message},
    mutant::{Mutant, is_broken},
    peer::Peer,
    quorum::{quorum_count, quorum_slot},
    read_index::ReadIndex,
};
use crate::ids::{Ballot, Instant, ReplicaId, Slot};

/// A replica that leads.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Leader {
    ballot: Ballot,
    /// The slot of the first batch that was proposed under `ballot`: a new epoch (R3). Everything
    /// from here on has `ballot` as its origin.
    first: Slot,
    /// What is known of each voter, itself among them. Sorted as the voters are.
    peers: Vec<Peer>,
    /// The last heartbeat.
    round: u64,
    /// When the next one is due.
    pub(super) next_heartbeat: Instant,
}

impl Leader {
    /// Leads under `ballot`, whose first batch takes the slot `first`. All that have promised were
    /// heard just now.
    pub(super) fn new(ballot: Ballot, first: Slot, config: &Config, now: Instant) -> Self {
        let peer = |id| Peer::new(id, Slot(first.0 - 1), now);
        let peers = config.voters().iter().map(|voter| peer(voter.id)).collect();
        Self { ballot, first, peers, round: 0, next_heartbeat: now }
    }

    /// Notes that `voter` has stored this leader's log up to `slot`, durably. Its own disk speaks
    /// through here like anybody's (R4).
    pub(super) fn record_stored(&mut self, voter: ReplicaId, slot: Slot) {
        if let Some(peer) = self.peer(voter) {
            peer.record_stored(slot);
        }
    }

    /// The highest slot that may be decided; `None` while that is none of this ballot's. A batch of
    /// an earlier ballot is never decided by counting: a later leader may have replaced it
    /// elsewhere. It is decided with the first batch of this ballot behind it (R4).
    pub(super) fn committable(&self) -> Option<Slot> {
        let slot = if is_broken(Mutant::CommitByMinority) {
            self.peers.iter().map(Peer::stored).max()?
        } else {
            quorum_slot(&self.peers.iter().map(Peer::stored))
        };
        (self.first <= slot || is_broken(Mutant::CommitEarlierBallot)).then_some(slot)
    }

    /// Whether a quorum, itself included, was heard of since `since` (R7).
    pub(super) fn hears_quorum(&self, since: Instant) -> bool {
        let heard = |peer: &&Peer| peer.id == self.ballot.replica || since <= peer.heard;
        self.peers.iter().filter(heard).count() >= quorum_count(self.peers.len())
    }

    /// Whether a quorum, itself included, has confirmed heartbeat `round`.
    fn is_confirmed(&self, round: u64) -> bool {
        let confirmed = |peer: &&Peer| peer.id == self.ballot.replica || round <= peer.round;
        self.peers.iter().filter(confirmed).count() >= quorum_count(self.peers.len())
    }

    fn peer(&mut self, id: ReplicaId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.id == id)
    }

    /// Sends everybody what is new.
    fn replicate(&mut self, log: &Log, bounds: &Bounds, ready: &mut Ready) {
        let ballot = self.ballot;
        for peer in self.peers.iter_mut().filter(|peer| peer.id != ballot.replica) {
            peer.replicate(ballot, log, bounds, ready);
        }
    }

    /// Sends everybody a heartbeat, and again what was lost.
    fn heartbeat(&mut self, has_quorum: bool, log: &Log, ready: &mut Ready) {
        self.round += 1;
        let (ballot, round, commit) = (self.ballot, self.round, log.commit());
        for peer in self.peers.iter_mut().filter(|peer| peer.id != ballot.replica) {
            peer.notice_loss(log);
            let must_fetch = peer.must_fetch();
            let heartbeat = Message::Heartbeat { ballot, commit, round, has_quorum, must_fetch };
            ready.send(peer.id, heartbeat);
        }
    }

    pub(super) fn ballot(&self) -> Ballot {
        self.ballot
    }

    pub(super) fn first(&self) -> Slot {
        self.first
    }
}

impl Consensus {
    /// A voter's answer to this leader: it is there, and `note` says what is known of it.
    pub(super) fn on_answer(
        &mut self,
        now: Instant,
        (from, ballot): (ReplicaId, Ballot),
        note: impl FnOnce(&mut Peer, &Log),
    ) {
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.ballot != ballot {
            // Of an earlier ballot: says nothing about this one.
            return;
        }
        if let Some(peer) = leader.peer(from) {
            peer.heard = now;
            note(peer, &self.log);
        }
    }

    /// Tells everybody that this replica leads. Safe at any time; the timer decides when.
    pub fn heartbeat(&mut self, now: Instant, ready: &mut Ready) {
        let has_quorum = self.leads_with_quorum(now);
        if let Role::Leader(leader) = &mut self.role {
            leader.heartbeat(has_quorum, &self.log, ready);
        }
    }

    /// Decides what a quorum has durably.
    pub(super) fn decide(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let own = if is_broken(Mutant::LeaderCountsAppended) {
            self.log.end().slot
        } else {
            self.log.durable_slot()
        };
        leader.record_stored(self.own.id, own);
        if let Some(slot) = leader.committable() {
            self.log.commit_up_to(slot.max(self.log.commit()));
        }
    }

    /// Sends what is new to the others.
    pub(super) fn replicate(&mut self, ready: &mut Ready) {
        if let Role::Leader(leader) = &mut self.role {
            leader.replicate(&self.log, &self.bounds, ready);
        }
    }

    /// Answers questions for a read index. Only a leader that has decided a batch of its ballot
    /// knows every slot that was decided before; and a quorum must confirm, after the question was
    /// asked, that it has promised nobody else: one heartbeat for all questions that wait (R9).
    pub(super) fn answer_reads(&mut self, now: Instant, ready: &mut Ready) {
        let is_established = self.is_established() || is_broken(Mutant::ReadBeforeEstablished);
        let Role::Leader(leader) = &self.role else { return };
        if !is_established {
            return;
        }
        if self.reads.wants_round() {
            self.reads.start_round(leader.round + 1);
            self.heartbeat(now, ready);
        }
        let Role::Leader(leader) = &self.role else { return };
        let is_confirmed = |round| leader.is_confirmed(round) || is_broken(Mutant::ReadUnconfirmed);
        if let Some(id) = self.reads.finish_round(is_confirmed) {
            ready.read = Some(ReadIndex { id, slot: self.log.commit() });
        }
    }
}

/// The place of a log's end that a batch follows, for the wire.
pub(super) fn previous(log: &Log, slot: Slot) -> Option<LogEnd> {
    log.base_at(slot).map(|base| LogEnd::of(&base))
}
