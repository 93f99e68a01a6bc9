//! The replica: the only place where consensus, storage and the sessions' timers meet.
//!
//! A value that steps: the driver hands in what has happened since the last step and carries out
//! what comes back. Nothing in [`Output`] needs to be held back by the driver: whatever depends on
//! the disk is released by a later step, whose input says that the disk has it.

pub mod expiry;
pub mod forwards;
mod input;
pub mod intake;
pub mod message;
mod output;
mod queue;
#[cfg(test)]
mod tests;
pub mod transfer;

use alloc::{sync::Arc, vec::Vec};

pub use self::{input::Input, output::Output};
pub use crate::consensus::{
    config::{Config, Voter},
    read_index::{ReadId, ReadIndex},
};

use self::{expiry::Expiry, queue::CommandQueue};
use crate::{
    batch::Base,
    consensus::{Consensus, Ready, Record, Remembered, Settings},
    ids::{Ballot, Instant, Life, LogPos, SessionId, Slot, WallTime},
    limits::BATCH_BYTES_TARGET,
    storage::{Append, AppendKind, recovery::Recovered},
};

/// What a replica must know before it can start.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ReplicaConfig {
    /// Which replica it is, and which data directory it has.
    pub own: Voter,
    /// This run of its process: what it submits bears it. Never 0.
    pub life: Life,
    /// Who votes.
    pub config: Config,
    /// How many of its batches may be on their way to the disk at a time. Commands that come
    /// meanwhile make the next batch: that, and no timer, is what makes batches grow under load.
    pub appends_in_flight_max: usize,
    /// Session timers are rounded up to multiples of this (`tickTime`).
    pub tick_ms: u64,
}

/// How it stands, for reports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplicaStatus {
    /// The ballot under which it leads.
    pub leading: Option<Ballot>,
    /// Every slot up to it is decided.
    pub commit: Slot,
    /// The end of its log.
    pub end: Base,
    /// Every append up to it is durable.
    pub durable: LogPos,
    /// Bytes of commands that wait for a batch.
    pub waiting_bytes: usize,
    /// Sessions with a timer.
    pub session_count: usize,
}

/// One member of the cluster.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Replica {
    consensus: Consensus,
    life: Life,
    appends_in_flight_max: usize,
    queue: CommandQueue,
    expiry: Expiry,
}

impl Replica {
    /// The replica as it was before its restart. Batches that recovery found come out of the next
    /// steps as committed, at the latest once this replica leads: they are applied on the same way
    /// as new ones.
    ///
    /// Sessions have no timer until `Input::opened` names them: then each has its full timeout, as
    /// under any new leader.
    #[must_use]
    pub fn recover(config: ReplicaConfig, recovered: Recovered, now: Instant) -> Self {
        assert!(config.appends_in_flight_max > 0, "without an append nothing is decided");
        assert!(config.life != Life(0), "that is nobody's");
        let Recovered { promised, appended, base, batches, commit_hint, .. } = recovered;
        let commit = commit_hint;
        let remembered = Remembered { promised, appended, base, config: None, batches, commit };
        let settings = Settings::new(config.own, config.life, config.config);
        Self {
            consensus: Consensus::recover(settings, remembered),
            life: config.life,
            appends_in_flight_max: config.appends_in_flight_max,
            queue: CommandQueue::default(),
            expiry: Expiry::new(config.tick_ms, now),
        }
    }

    /// Takes in what has happened and says what to do. `input` is emptied; `output` must be empty
    /// of what the driver has not carried out, and is appended to.
    pub fn step(&mut self, input: &mut Input, output: &mut Output) {
        // The driver may know less of the disk than recovery did: its first word is 0.
        self.consensus.record_durable(input.durable.max(self.consensus.durable()));
        self.take_sessions(input, output);
        for commands in input.commands.drain(..) {
            self.queue.push(self.life, Arc::new(commands));
        }
        let mut ready = Ready::default();
        self.consensus.campaign_alone(&mut ready);
        self.consensus.lead_and_decide(input.now, input.wall, &mut ready);
        self.propose(input.wall, &mut ready);
        if let Some(id) = input.read.take() {
            self.consensus.ask_read_index(id);
        }
        self.consensus.send(input.now, &mut ready);
        Self::hand_over(ready, output);
        if let Some(base) = input.snapshot.take() {
            assert!(
                base.slot <= self.consensus.commit_slot(),
                "I7: a snapshot is of applied slots"
            );
            let pos = self.consensus.append_other();
            let commit = self.consensus.commit_slot();
            output.appends.push(Append { pos, commit, kind: AppendKind::Snapshot { base } });
        }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            leading: self.consensus.leader_ballot(),
            commit: self.consensus.commit_slot(),
            end: *self.consensus.log_end(),
            durable: self.consensus.durable(),
            waiting_bytes: self.queue.bytes(),
            session_count: self.expiry.len(),
        }
    }

    /// Bytes of commands that wait for a batch. The driver takes no further commands while this is
    /// large.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Which sessions expire in how many milliseconds if nothing is heard of them, soonest first.
    #[must_use]
    pub fn expiries(&self) -> Vec<(u64, Vec<SessionId>)> {
        self.expiry.buckets()
    }

    fn take_sessions(&mut self, input: &mut Input, output: &mut Output) {
        // Only a leader expires sessions. Under a new one, time begins anew.
        let leads = self.consensus.is_established();
        self.expiry.pass(input.heard_until, leads);
        for (session, timeout_ms) in input.opened.drain(..) {
            self.expiry.register(session, timeout_ms, input.now);
        }
        for (session, heard) in input.touched.drain(..) {
            self.expiry.touch(session, heard);
        }
        for session in input.closed.drain(..) {
            self.expiry.remove(session);
        }
        if leads {
            self.expiry.take_expired(&mut output.expired);
        }
    }

    /// Makes batches of what waits, as far as the window and the disk allow.
    fn propose(&mut self, wall: WallTime, ready: &mut Ready) {
        while !self.queue.is_empty() && self.consensus.may_propose(self.appends_in_flight_max) {
            if self.consensus.needs_new_epoch() {
                self.consensus.renew_epoch(wall, ready);
                continue;
            }
            let Some(proposal) = self.queue.take_batch(BATCH_BYTES_TARGET) else { return };
            self.consensus.propose(proposal, wall, ready);
        }
    }

    fn hand_over(mut ready: Ready, output: &mut Output) {
        assert!(ready.messages.is_empty(), "its own quorum has nobody to talk to");
        output.appends.extend(ready.appends.into_iter().map(|append| {
            let kind = match append.record {
                Record::Promise(ballot) => AppendKind::Promise { ballot },
                Record::Batch(ballot, batch) => AppendKind::Batch { ballot, batch },
                Record::Install(_) => unreachable!("nobody to take a snapshot from"),
            };
            Append { pos: append.pos, commit: append.commit, kind }
        }));
        output.committed.append(&mut ready.committed);
        output.read = ready.read.or(output.read);
    }
}
