//! Phase 2: a replica that a quorum has promised a ballot to decides what comes next.

use alloc::vec::Vec;

use super::{
    Bounds, Consensus, Ready, Role,
    config::{Config, Voter},
    log::Log,
    message::{LogEnd, Message},
    peer::Peer,
    quorum::{is_quorum, stored_by_quorum},
    read_index::{Question, ReadId, ReadIndex},
};
use crate::{
    ids::{Ballot, Instant, Life, Slot},
    mutant::{Mutant, is_broken},
};

/// So many heartbeats in a row a leader's own disk may be behind what the others have decided,
/// before it hands over to one with a faster disk.
const SLOW_ROUNDS_MAX: u32 = 25;

/// A replica that leads.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Leader {
    ballot: Ballot,
    own: Voter,
    /// The slot of the first batch that was proposed under `ballot`: a new epoch (R3). Everything
    /// from here on has `ballot` as its origin.
    first: Slot,
    /// What is known of each voter of the configurations in force, itself among them.
    peers: Vec<Peer>,
    /// The last heartbeat.
    round: u64,
    /// When the next one is due.
    pub(super) next_heartbeat: Instant,
    /// At how many of the last heartbeats its own disk was behind the commit slot.
    slow_rounds: u32,
    /// It proposes nothing until then, so that somebody else can take over.
    handing_over: Option<HandOver>,
}

/// A leader makes room for another one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct HandOver {
    /// After this it goes on to lead.
    until: Instant,
    is_sent: bool,
}

impl Leader {
    /// Leads under `ballot`, whose first batch takes the slot after the log's end. All that have
    /// promised were heard just now.
    pub(super) fn new(own: Voter, ballot: Ballot, log: &Log, now: Instant) -> Self {
        let mut leader = Self {
            ballot,
            own,
            first: log.end().slot.next(),
            peers: Vec::new(),
            round: 0,
            next_heartbeat: now,
            slow_rounds: 0,
            handing_over: None,
        };
        leader.sync_peers(log, now);
        leader
    }

    /// Knows exactly the voters of the configurations in force.
    pub(super) fn sync_peers(&mut self, log: &Log, now: Instant) {
        let voters = || log.configs().flat_map(|(_, config)| config.voters());
        self.peers.retain(|peer| voters().any(|voter| *voter == peer.voter));
        for voter in voters() {
            if !self.peers.iter().any(|peer| peer.voter == *voter) {
                self.peers.push(Peer::new(*voter, log.end().slot, now));
            }
        }
    }

    /// Notes that `voter` has stored this leader's log up to `slot`, durably. Its own disk speaks
    /// through here like anybody's (R4).
    pub(super) fn record_stored(&mut self, voter: Voter, slot: Slot) {
        if let Some(peer) = self.peer(voter) {
            peer.record_stored(slot);
        }
    }

    /// The highest slot that may be decided; `None` while that is none of this ballot's. A batch of
    /// an earlier ballot is never decided by counting: a later leader may have replaced it
    /// elsewhere. It is decided with the first batch of this ballot behind it (R4).
    pub(super) fn committable(&self, log: &Log) -> Option<Slot> {
        let mut slots = log.configs().enumerate().map(|(index, (start, config))| {
            let slot = self.stored_by_quorum(config);
            // What stands before a configuration does not need its quorum; the first of those in
            // force is the one for all that is not decided.
            let is_first = index == 0 || is_broken(Mutant::OldConfigOnly);
            if is_first { slot } else { slot.max(Slot(start.0 - 1)) }
        });
        let slot = if is_broken(Mutant::OldConfigOnly) { slots.next() } else { slots.min() }?;
        (self.first <= slot || is_broken(Mutant::CommitEarlierBallot)).then_some(slot)
    }

    fn stored_by_quorum(&self, config: &Config) -> Slot {
        let stored = |voter: &Voter| {
            let peer = self.peers.iter().find(|peer| peer.voter == *voter);
            peer.map_or(Slot(0), Peer::stored)
        };
        if is_broken(Mutant::CommitByMinority) {
            return config.voters().iter().map(stored).max().unwrap_or_default();
        }
        stored_by_quorum(config, stored)
    }

    /// Whether a quorum, itself included, was heard of since `since` (R7).
    pub(super) fn hears_quorum(&self, log: &Log, since: Instant) -> bool {
        self.has_quorum(log, |peer| since <= peer.heard)
    }

    /// Whether a quorum, itself included, has confirmed heartbeat `round`.
    fn is_confirmed(&self, log: &Log, round: u64) -> bool {
        self.has_quorum(log, |peer| round <= peer.round)
    }

    fn has_quorum(&self, log: &Log, has_agreed: impl Fn(&Peer) -> bool) -> bool {
        let agrees = |voter: &Voter| {
            let peer = self.peers.iter().find(|peer| peer.voter == *voter);
            *voter == self.own || peer.is_some_and(&has_agreed)
        };
        log.configs().all(|(_, config)| is_quorum(config, 0, agrees))
    }

    pub(super) fn peer(&mut self, voter: Voter) -> Option<&mut Peer> {
        let is_same = |peer: &&mut Peer| {
            peer.voter == voter || peer.voter.id == voter.id && is_broken(Mutant::StrangerVotes)
        };
        self.peers.iter_mut().find(is_same)
    }

    pub(super) fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// The others that can be reached.
    fn others(&mut self) -> impl Iterator<Item = &mut Peer> {
        let own = self.own;
        self.peers
            .iter_mut()
            .filter(move |peer| peer.voter.id != own.id && peer.voter.incarnation.0 != 0)
    }

    /// Sends everybody what is new.
    fn replicate(&mut self, log: &Log, bounds: &Bounds, ready: &mut Ready) {
        let ballot = self.ballot;
        for peer in self.others() {
            peer.replicate(ballot, log, bounds, ready);
        }
    }

    /// Sends everybody a heartbeat, and again what was lost.
    fn heartbeat(&mut self, has_quorum: bool, log: &Log, ready: &mut Ready) {
        self.round += 1;
        let (ballot, round, commit) = (self.ballot, self.round, log.commit());
        for peer in self.others() {
            peer.notice_loss(log);
            let must_fetch = peer.must_fetch();
            let heartbeat = Message::Heartbeat { ballot, commit, round, has_quorum, must_fetch };
            ready.send(peer.voter, heartbeat);
        }
        let is_slow = log.durable_slot() < commit;
        self.slow_rounds = if is_slow { self.slow_rounds + 1 } else { 0 };
    }

    /// Tells whoever has everything to campaign, once.
    fn send_hand_over(&mut self, log: &Log, since: Instant, ready: &mut Ready) {
        let ballot = self.ballot;
        if self.handing_over.is_none_or(|hand_over| hand_over.is_sent) {
            return;
        }
        let votes = |peer: &&mut Peer| log.last_config().has_vote(peer.voter);
        let has_all = |peer: &&mut Peer| log.end().slot <= peer.stored() && since <= peer.heard;
        let heir = self.others().filter(votes).find(has_all).map(|peer| peer.voter);
        if let (Some(heir), Some(hand_over)) = (heir, &mut self.handing_over) {
            hand_over.is_sent = true;
            ready.send(heir, Message::TakeOver { ballot });
        }
    }

    pub(super) fn is_handing_over(&self) -> bool {
        self.handing_over.is_some()
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
        (from, ballot): (Voter, Ballot),
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

    /// Proposes nothing until somebody else has taken over, or an election's time has passed.
    /// Does nothing unless it leads others (R7).
    pub fn hand_over(&mut self, now: Instant) {
        let until = now.plus_millis(self.settings.timing.election_min_ms);
        if let Role::Leader(leader) = &mut self.role
            && leader.handing_over.is_none()
            && leader.peers.len() > 1
        {
            leader.handing_over = Some(HandOver { until, is_sent: false });
        }
    }

    /// Hands over if its own disk is too slow, or if it has no vote any more; and takes back what
    /// nobody took.
    pub(super) fn tick_hand_over(&mut self, now: Instant) {
        let has_vote = self.has_vote();
        let Role::Leader(leader) = &mut self.role else { return };
        if leader.handing_over.is_some_and(|hand_over| hand_over.until <= now) {
            leader.handing_over = None;
            leader.slow_rounds = 0;
            if !has_vote {
                self.step_down();
            }
        } else if SLOW_ROUNDS_MAX <= leader.slow_rounds || !has_vote {
            self.hand_over(now);
        }
    }

    /// Decides what a quorum has durably.
    pub(super) fn decide(&mut self, now: Instant) {
        self.decide_as_follower();
        self.decide_genesis();
        let own = if is_broken(Mutant::LeaderCountsAppended) {
            self.log.end().slot
        } else {
            self.log.durable_slot()
        };
        let is_begin_durable = self.log.is_begin_durable();
        let Role::Leader(leader) = &mut self.role else { return };
        if is_begin_durable {
            leader.record_stored(self.settings.own, own);
        }
        // A decided configuration may be all that the next slots have waited for.
        while let Some(slot) = leader.committable(&self.log)
            && self.log.commit() < slot
        {
            let was_decided = self.log.is_config_decided();
            self.log.commit_up_to(slot);
            if was_decided {
                break;
            }
            leader.sync_peers(&self.log, now);
        }
    }

    /// Sends what is new to the others.
    pub(super) fn replicate(&mut self, now: Instant, ready: &mut Ready) {
        let since = self.election_min_before(now);
        if let Role::Leader(leader) = &mut self.role {
            leader.replicate(&self.log, &self.settings.bounds, ready);
            leader.send_hand_over(&self.log, since, ready);
        }
    }

    /// A question of another replica.
    pub(super) fn on_ask_read(&mut self, asker: Voter, life: Life, id: ReadId) {
        if matches!(self.role, Role::Leader(_)) {
            self.reads.ask_for(Question { asker, life, id });
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
        let is_confirmed =
            |round| leader.is_confirmed(&self.log, round) || is_broken(Mutant::ReadUnconfirmed);
        // Followers that decide for themselves may have decided, and shown, anything that this
        // leader has proposed (R11).
        let decides_alone = !self.settings.all_to_all || is_broken(Mutant::ReadBehindOthers);
        let slot = if decides_alone { self.log.commit() } else { self.log.end().slot };
        if let Some((own, others)) = self.reads.finish_round(is_confirmed) {
            ready.read = own.map(|id| ReadIndex { id, slot }).or(ready.read);
            for Question { asker, life, id } in others {
                ready.send(asker, Message::ReadAnswer { life, id, slot });
            }
        }
    }
}

/// The place of a log's end that a batch follows, for the wire.
pub(super) fn previous(log: &Log, slot: Slot) -> Option<LogEnd> {
    log.base_at(slot).map(|base| LogEnd::of(&base))
}
