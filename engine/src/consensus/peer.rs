//! What a leader knows of one voter, and what it sends it next (R6).

use alloc::{sync::Arc, vec::Vec};

use super::{Bounds, Ready, config::Voter, leader::previous, log::Log, message::Message};
use crate::{
    batch::Batch,
    ids::{Ballot, Instant, Slot},
    mutant::{Mutant, is_broken},
};

/// How a voter gets the log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Progress {
    /// One message, then its answer: where the voter's log agrees is not known, or nothing was
    /// heard of the last messages.
    Probe { is_sent: bool },
    /// Everything as soon as it is there.
    Replicate,
    /// What it lacks is not in memory: it fetches what is decided.
    CatchUp,
}

/// One voter, as its leader sees it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Peer {
    pub(super) voter: Voter,
    /// Up to here it has the leader's log, durably.
    stored: Slot,
    /// Up to here it has said that it agrees. May be gone after a restart.
    agreed: Slot,
    /// Everything up to here was sent, and what stands here precedes the next batch.
    sent: Slot,
    /// The commit slot that it was told.
    told: Slot,
    /// What was stored at the last heartbeat.
    stored_before: Slot,
    /// Its commit slot when it confirmed a heartbeat last: lower than before after a restart.
    decided: Slot,
    /// The same at the last heartbeat.
    decided_before: Slot,
    progress: Progress,
    /// When it was last heard.
    pub(super) heard: Instant,
    /// The last heartbeat that it confirmed.
    pub(super) round: u64,
    /// The highest feature level that it knows, once it has said so.
    pub(super) feature_level: Option<u16>,
}

impl Peer {
    /// Nothing is known but that most are at the `end` of the adopted log.
    pub(super) fn new(voter: Voter, end: Slot, now: Instant) -> Self {
        Self {
            voter,
            stored: Slot(0),
            agreed: Slot(0),
            sent: end,
            told: Slot(0),
            stored_before: Slot(0),
            decided: Slot(0),
            decided_before: Slot(0),
            progress: Progress::Probe { is_sent: false },
            heard: now,
            round: 0,
            feature_level: None,
        }
    }

    /// It has the leader's log up to `stored`. A late answer says less than is known.
    pub(super) fn record_stored(&mut self, stored: Slot) {
        self.stored = self.stored.max(stored);
        self.sent = self.sent.max(self.stored);
        if matches!(self.progress, Progress::Probe { .. }) {
            self.progress = Progress::Replicate;
        }
    }

    /// Its log agrees up to `commit`, and not where it was asked.
    pub(super) fn record_mismatch(&mut self, commit: Slot) {
        self.agreed = commit;
        self.sent = self.stored.max(commit);
        self.progress = Progress::Probe { is_sent: false };
    }

    /// It has confirmed heartbeat `round`, and has decided up to `commit`.
    pub(super) fn record_heartbeat(&mut self, round: u64, commit: Slot, log: &Log) {
        if self.round <= round {
            self.round = round;
            self.decided = commit;
        }
        self.agreed = self.agreed.max(commit);
        if self.progress == Progress::CatchUp && log.start() <= commit {
            self.sent = self.stored.max(commit);
            self.progress = Progress::Probe { is_sent: false };
        }
    }

    /// Starts again from what it is known to have if nothing has come of what was sent since the
    /// last heartbeat.
    pub(super) fn notice_loss(&mut self, log: &Log) {
        let is_behind = self.stored < log.end().slot && self.stored == self.stored_before;
        // A restart forgets that the log is the leader's: then what is decided is not decided there
        // until it is asked again.
        let is_unsure = self.decided < log.commit() && self.decided == self.decided_before;
        if (is_behind || is_unsure)
            && self.progress != Progress::CatchUp
            && !is_broken(Mutant::LossUnnoticed)
        {
            self.sent = self.stored.max(self.agreed).min(log.end().slot);
            self.progress = Progress::Probe { is_sent: false };
        }
        self.stored_before = self.stored;
        self.decided_before = self.decided;
        self.told = Slot(0);
        if self.sent < log.start() {
            self.progress = Progress::CatchUp;
        }
    }

    /// Sends what it has not been sent.
    pub(super) fn replicate(
        &mut self,
        ballot: Ballot,
        log: &Log,
        bounds: &Bounds,
        ready: &mut Ready,
    ) {
        let commit = log.commit();
        loop {
            match self.progress {
                Progress::Probe { is_sent: true } | Progress::CatchUp => return,
                Progress::Replicate if log.end().slot <= self.sent => break,
                Progress::Probe { is_sent: false } | Progress::Replicate => {}
            }
            let Some(previous) = previous(log, self.sent) else {
                self.progress = Progress::CatchUp;
                return;
            };
            let batches = message_full(log, self.sent, bounds.message_bytes_max);
            self.sent = Slot(self.sent.0 + batches.len() as u64);
            self.told = commit;
            if self.progress != Progress::Replicate {
                self.progress = Progress::Probe { is_sent: true };
            }
            ready.send(self.voter, Message::Accept { ballot, previous, batches, commit });
        }
        if self.told < commit {
            self.told = commit;
            ready.send(self.voter, Message::Commit { ballot, commit });
        }
    }

    /// Whether it must fetch what is decided before it can follow.
    pub(super) fn must_fetch(&self) -> bool {
        self.progress == Progress::CatchUp && !is_broken(Mutant::FetchNever)
    }

    pub(super) fn stored(&self) -> Slot {
        self.stored
    }
}

/// As many batches after `slot` as fit in a message, and at least one if there is one.
fn message_full(log: &Log, slot: Slot, bytes_max: usize) -> Vec<Arc<Batch>> {
    let (mut count, mut bytes) = (0, 0);
    let fits = |batch: &&Arc<Batch>| {
        (count, bytes) = (count + 1, bytes + batch.payload.len());
        count == 1 || bytes <= bytes_max
    };
    log.after(slot).take_while(fits).cloned().collect()
}
