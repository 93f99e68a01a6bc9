//! The replica: the only place where consensus, storage, forwarding and the sessions' timers meet.
//!
//! A value that steps: the driver hands in what has happened since the last step and carries out
//! what comes back. Nothing in [`Output`] needs to be held back by the driver: whatever depends on
//! the disk is released by a later step, whose input says that the disk has it.
//!
//! Reading order: [`message`], [`forwards`], [`intake`], [`transfer`], [`expiry`].

pub mod codec;
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

use alloc::vec::Vec;

pub use self::{input::Input, output::Output};
pub use crate::consensus::{
    Bounds, Fetch, Settings, Timing,
    config::{Config, Voter},
    read_index::{ReadId, ReadIndex},
};

use self::{
    expiry::Expiry,
    forwards::Forwards,
    intake::Intake,
    message::{Envelope, PeerMessage, Pull},
    transfer::Transfer,
};
use crate::{
    batch::Base,
    consensus::{Consensus, Ready, Record, Remembered, message::Offer},
    ids::{Ballot, Instant, Life, LogPos, ReplicaId, SessionId, Slot, WallTime},
    limits::BATCH_BYTES_TARGET,
    mutant::{Mutant, is_broken},
    storage::{Append, AppendKind, recovery::Recovered},
};

/// What a replica must know before it can start.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ReplicaConfig {
    /// Who it is, who votes, and how it agrees with the others.
    pub consensus: Settings,
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
    /// Who leads, as far as is known here.
    pub leader: Option<ReplicaId>,
    /// Every slot up to it is decided.
    pub commit: Slot,
    /// The end of its log.
    pub end: Base,
    /// Every append up to it is durable.
    pub durable: LogPos,
    /// Bytes of commands that are not committed.
    pub waiting_bytes: usize,
    /// Sessions with a timer.
    pub session_count: usize,
    /// The snapshot that it is receiving, and how many chunks of it it has.
    pub transfer: Option<(Slot, u32)>,
}

/// One member of the cluster.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Replica {
    consensus: Consensus,
    appends_in_flight_max: usize,
    /// What its own clients have submitted.
    forwards: Forwards,
    /// What anybody's have, while it leads.
    intake: Intake,
    transfer: Transfer,
    expiry: Expiry,
}

impl Replica {
    /// The replica as it was before its restart. Batches that recovery found come out of the next
    /// steps as committed, at the latest once somebody leads: they are applied on the same way as
    /// new ones.
    ///
    /// Sessions have no timer until `Input::opened` names them: then each has its full timeout, as
    /// under any new leader.
    #[must_use]
    pub fn recover(config: ReplicaConfig, recovered: Recovered, now: Instant) -> Self {
        assert!(config.appends_in_flight_max > 0, "without an append nothing is decided");
        let ReplicaConfig { consensus: settings, appends_in_flight_max, tick_ms } = config;
        assert!(settings.life != Life(0), "that is nobody's");
        let resend_ms = settings.timing.heartbeat_ms;
        let forwards = Forwards::new(settings.life, &recovered.base, resend_ms);
        Self {
            consensus: Consensus::recover(settings, remembered(recovered)),
            appends_in_flight_max,
            forwards,
            intake: Intake::default(),
            transfer: Transfer::default(),
            expiry: Expiry::new(tick_ms, now),
        }
    }

    /// Takes in what has happened and says what to do. `input` is emptied; `output` must be empty
    /// of what the driver has not carried out, and is appended to.
    pub fn step(&mut self, input: &mut Input, output: &mut Output) {
        // The driver may know less of the disk than recovery did: its first word is 0.
        self.consensus.record_durable(input.durable.max(self.consensus.durable()));
        self.take_sessions(input, output);
        let mut ready = Ready::default();
        let others = self.take_consensus_messages(input, &mut ready);
        self.take_events(input, &mut ready);
        self.consensus.campaign_alone(&mut ready);
        self.consensus.lead_and_decide(input.now, input.wall, &mut ready);
        self.take_committed(input.random, &ready);
        for commands in input.commands.drain(..) {
            self.forwards.submit(commands);
        }
        self.lead_intake();
        others.into_iter().for_each(|envelope| self.take_message(input.now, envelope, output));
        self.forward(input.now, output);
        for (epoch, commands) in input.housekeeping.drain(..) {
            self.intake.take_housekeeping(epoch, commands);
        }
        self.propose(input.wall, &mut ready);
        if let Some(id) = input.read.take() {
            self.consensus.ask_read_index(id);
        }
        self.consensus.send(input.now, &mut ready);
        self.hand_over(input.now, ready, output);
        self.note_snapshot(input, output);
        output.leading = self.intake.epoch();
        let level = self.consensus.config().feature_level;
        let level_max = self.consensus.settings().feature_level_max;
        output.too_old_for = (level_max < level).then_some(level);
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            leading: self.consensus.leader_ballot(),
            leader: self.consensus.leader(),
            commit: self.consensus.commit_slot(),
            end: *self.consensus.log_end(),
            durable: self.consensus.durable(),
            waiting_bytes: self.waiting_bytes(),
            session_count: self.expiry.len(),
            transfer: self.transfer.progress(),
        }
    }

    /// The configuration that is decided.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.consensus.config()
    }

    /// The snapshot that it is receiving. With the last of its chunks the driver needs the
    /// configuration that belongs to it.
    #[must_use]
    pub fn offer(&self) -> Option<&Offer> {
        self.transfer.offer()
    }

    /// Bytes of commands of its own clients that are not committed. The driver takes no further
    /// commands while this is large.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.forwards.bytes()
    }

    /// Which sessions expire in how many milliseconds if nothing is heard of them, soonest first.
    #[must_use]
    pub fn expiries(&self) -> Vec<(u64, Vec<SessionId>)> {
        self.expiry.buckets()
    }

    fn own(&self) -> Voter {
        self.consensus.settings().own
    }

    fn take_sessions(&mut self, input: &mut Input, output: &mut Output) {
        // Only a leader expires sessions. Under a new one, time begins anew.
        let leads = self.consensus.is_established();
        self.expiry.pass(input.heard_until, leads);
        for (session, timeout_ms) in input.opened.drain(..) {
            self.expiry.register(session, timeout_ms, input.now);
        }
        self.tell_touched(input, output);
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

    /// What a follower's clients say keeps their sessions alive at the leader.
    fn tell_touched(&self, input: &Input, output: &mut Output) {
        let leader = self.forwards.leader().and_then(|(_, id)| self.consensus.config().voter(id));
        if let Some(leader) = leader
            && leader.id != self.own().id
            && !input.touched.is_empty()
            && !is_broken(Mutant::TouchesUntold)
        {
            let sessions = input.touched.iter().map(|(session, _)| *session).collect();
            output.messages.push((leader, PeerMessage::Touched { sessions }));
        }
    }

    /// Gives consensus what is for it, and returns the rest, which comes after what is decided.
    fn take_consensus_messages(&mut self, input: &mut Input, ready: &mut Ready) -> Vec<Envelope> {
        let mut others = Vec::new();
        for Envelope { from, to, message } in input.messages.drain(..) {
            match message {
                PeerMessage::Consensus(message) => {
                    self.consensus.receive(input.now, (from, to), message, ready);
                }
                message if to == self.own() => others.push(Envelope { from, to, message }),
                _ => {}
            }
        }
        others
    }

    fn take_events(&mut self, input: &mut Input, ready: &mut Ready) {
        let (now, wall) = (input.now, input.wall);
        for peer in input.links_closed.drain(..) {
            self.consensus.link_closed(now, peer, input.random);
            self.transfer.closed(peer);
        }
        self.consensus.tick(now, wall, input.random, ready);
        if core::mem::take(&mut input.hand_over) {
            self.consensus.hand_over(now);
        }
        if let Some(config) = input.reconfigure.take() {
            self.consensus.reconfigure((now, wall), &config, ready);
        }
        let received = input.received.take();
        if let Some(offer) = received.and_then(|received| self.transfer.finish(&received)) {
            self.consensus.install(&offer, ready);
        }
    }

    /// What is decided is no longer on its way.
    fn take_committed(&mut self, random: u64, ready: &Ready) {
        if let Some(base) = ready.installed {
            let life = Life(random.max(1));
            let life = if is_broken(Mutant::LifeKept) { self.forwards.life() } else { life };
            self.forwards.clear(life, &base);
        }
        ready.committed.iter().for_each(|batch| self.forwards.committed(batch));
        self.transfer.drop_behind(self.consensus.commit_slot());
    }

    /// Only a leader that knows everything decided takes commands, and only of its own epoch.
    fn lead_intake(&mut self) {
        let epoch = self.consensus.log_end().epoch;
        self.intake.lead(self.consensus.is_established().then_some(epoch));
    }

    fn take_message(&mut self, now: Instant, envelope: Envelope, output: &mut Output) {
        let from = envelope.from;
        match envelope.message {
            PeerMessage::Consensus(_) => unreachable!("taken before"),
            PeerMessage::Forward(forward) => {
                if let Some(forwarded) = self.intake.take(forward) {
                    output.messages.push((from, PeerMessage::Forwarded(forwarded)));
                }
            }
            PeerMessage::Forwarded(forwarded) => self.forwards.acknowledged(forwarded, now),
            PeerMessage::Touched { sessions } => {
                for session in sessions {
                    self.expiry.touch(session, now);
                }
            }
            PeerMessage::Pull { slot, number } => {
                output.pulls.push(Pull { to: from, slot, number });
            }
            PeerMessage::Chunk(chunk) => self.transfer.take(chunk, now, &mut output.chunks),
        }
    }

    /// Sends what its clients have submitted to the leader, which may be itself.
    fn forward(&mut self, now: Instant, output: &mut Output) {
        while let Some((leader, forward)) = self.forwards.to_send(now) {
            if leader != self.own().id {
                if let Some(leader) = self.consensus.config().voter(leader) {
                    output.messages.push((leader, PeerMessage::Forward(forward)));
                }
                continue;
            }
            let Some(forwarded) = self.intake.take(forward) else { return };
            self.forwards.acknowledged(forwarded, now);
        }
    }

    /// Makes batches of what waits, as far as the window and the disk allow.
    fn propose(&mut self, wall: WallTime, ready: &mut Ready) {
        while !self.intake.is_empty() && self.consensus.may_propose(self.appends_in_flight_max) {
            if self.consensus.needs_new_epoch() {
                // Whatever waits will be submitted again, to the leader of the next epoch.
                self.consensus.renew_epoch(wall, ready);
                self.lead_intake();
                return;
            }
            let Some(proposal) = self.intake.take_batch(BATCH_BYTES_TARGET) else { return };
            self.consensus.propose(proposal, wall, ready);
        }
    }

    fn hand_over(&mut self, now: Instant, mut ready: Ready, output: &mut Output) {
        output.appends.extend(ready.appends.into_iter().map(|append| {
            let kind = match append.record {
                Record::Promise(ballot) => AppendKind::Promise { ballot },
                Record::Batch(ballot, batch) => AppendKind::Batch { ballot, batch },
                Record::Install(base) => AppendKind::Install { base },
            };
            Append { pos: append.pos, commit: append.commit, kind }
        }));
        let messages = ready.messages.into_iter();
        output.messages.extend(messages.map(|(to, what)| (to, PeerMessage::Consensus(what))));
        output.fetches.append(&mut ready.fetches);
        output.committed.append(&mut ready.committed);
        output.installed = ready.installed.or(output.installed);
        output.read = ready.read.or(output.read);
        if let Some((from, offer)) = ready.offer {
            self.transfer.offered(from, offer, now);
        }
        self.transfer.pull(now, &mut output.messages);
    }

    /// A snapshot of its own is on the disk: the log says so, for whoever trims it.
    fn note_snapshot(&mut self, input: &mut Input, output: &mut Output) {
        let Some(base) = input.snapshot.take() else { return };
        let commit = self.consensus.commit_slot();
        assert!(base.slot <= commit, "I7: a snapshot is of applied slots");
        let pos = self.consensus.append_other();
        output.appends.push(Append { pos, commit, kind: AppendKind::Snapshot { base } });
    }
}

/// What recovery found, as consensus takes it.
fn remembered(recovered: Recovered) -> Remembered {
    let Recovered { promised, appended, base, batches, commit_hint, config, .. } = recovered;
    let config = (!config.is_empty()).then(|| {
        Config::decode(&config).expect("the snapshot's checksums were right: a newer version's")
    });
    Remembered { promised, appended, base, config, batches, commit: commit_hint }
}
