//! Read indexes: up to where a State must be applied so that a read sees everything that was
//! committed anywhere before the question was asked (R9).

use alloc::vec::Vec;

use super::config::Voter;
use crate::ids::{Ballot, Life, Slot};

/// One of the driver's questions. Later questions of a life have greater ids.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReadId(pub u64);

/// The answer to a question and to all that were asked before it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ReadIndex {
    /// The newest question that it answers.
    pub id: ReadId,
    /// What must be applied before the answer may be used.
    pub slot: Slot,
}

/// A question of another replica, asked at a leader.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Question {
    pub(super) asker: Voter,
    pub(super) life: Life,
    pub(super) id: ReadId,
}

/// Questions that are not answered yet. Any number of them costs the same: one heartbeat answers
/// all that were asked before it left.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct ReadQueue {
    /// The newest of this replica's own questions that is not answered.
    own: Option<ReadId>,
    /// At a follower: which question the leader of which ballot was sent.
    told: Option<(Ballot, ReadId)>,
    /// At a leader: the newest question of each other replica that no heartbeat confirms yet.
    asked: Vec<Question>,
    /// At a leader: the heartbeat under way, and what it confirms.
    round: Option<Round>,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Round {
    number: u64,
    own: Option<ReadId>,
    others: Vec<Question>,
}

impl ReadQueue {
    /// Adds a question of this replica, and implies all before it.
    pub(super) fn ask(&mut self, id: ReadId) {
        assert!(self.own <= Some(id), "questions are numbered upwards: {:?}", self.own);
        self.own = Some(id);
    }

    /// Adds a question of another replica.
    pub(super) fn ask_for(&mut self, question: Question) {
        self.asked.retain(|other| other.asker != question.asker);
        self.asked.push(question);
    }

    /// What the leader of `ballot` must be asked, once until [`Self::tell_again`].
    pub(super) fn tell_once(&mut self, ballot: Ballot) -> Option<ReadId> {
        let told = Some((ballot, self.own?));
        let is_new = self.told != told;
        self.told = told;
        self.own.filter(|_| is_new)
    }

    /// The question may have been lost.
    pub(super) fn tell_again(&mut self) {
        self.told = None;
    }

    /// The leader has answered `id`. Whether that is news.
    pub(super) fn answered(&mut self, id: ReadId) -> bool {
        let is_news = self.own.is_some();
        self.own = self.own.filter(|own| id < *own);
        is_news
    }

    /// Whether a heartbeat is wanted.
    pub(super) fn wants_round(&self) -> bool {
        self.round.is_none() && (self.own.is_some() || !self.asked.is_empty())
    }

    /// Heartbeat `number`, which leaves now, confirms what was asked until now.
    pub(super) fn start_round(&mut self, number: u64) {
        let others = core::mem::take(&mut self.asked);
        self.round = Some(Round { number, own: self.own, others });
    }

    /// What is confirmed: the newest of its own questions, and those of others.
    pub(super) fn finish_round(
        &mut self,
        is_confirmed: impl Fn(u64) -> bool,
    ) -> Option<(Option<ReadId>, Vec<Question>)> {
        let round = self.round.take_if(|round| is_confirmed(round.number))?;
        self.own = self.own.filter(|own| round.own < Some(*own));
        Some((round.own, round.others))
    }

    /// This replica does not lead any more: its own questions wait for the next leader, and others
    /// ask again.
    pub(super) fn lose_round(&mut self) {
        self.round = None;
        self.asked.clear();
        self.told = None;
    }
}
