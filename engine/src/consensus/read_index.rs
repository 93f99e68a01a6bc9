//! Read indexes: up to where a State must be applied so that a read sees everything that was
//! committed anywhere before the question was asked (R9).

use crate::ids::Slot;

/// One of the driver's questions. Later questions have greater ids.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReadId(pub u64);

/// The answer to a question and to all that were asked before it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ReadIndex {
    /// The newest question that it answers.
    pub id: ReadId,
    /// What must be applied before the answer may be used.
    pub slot: Slot,
}

/// Questions that are not answered yet. Any number of them costs the same: one heartbeat answers
/// all that were asked before it left.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct ReadQueue {
    /// The newest question that no heartbeat confirms yet.
    asked: Option<ReadId>,
    /// The heartbeat under way, and the newest question that it confirms.
    round: Option<(u64, ReadId)>,
}

impl ReadQueue {
    /// Adds a question, and implies all before it.
    pub(super) fn ask(&mut self, id: ReadId) {
        assert!(self.asked <= Some(id), "questions are numbered upwards: {:?}", self.asked);
        self.asked = Some(id);
    }

    /// Whether a heartbeat is wanted.
    pub(super) fn wants_round(&self) -> bool {
        self.round.is_none() && self.asked.is_some()
    }

    /// Heartbeat `round`, which leaves now, confirms what was asked until now.
    pub(super) fn start_round(&mut self, round: u64) {
        self.round = self.asked.take().map(|id| (round, id));
    }

    /// The newest question that is confirmed.
    pub(super) fn finish_round(&mut self, is_confirmed: impl Fn(u64) -> bool) -> Option<ReadId> {
        let (_, id) = self.round.take_if(|(round, _)| is_confirmed(*round))?;
        Some(id)
    }

    /// This replica does not lead any more: the questions wait for the next time.
    pub(super) fn lose_round(&mut self) {
        let unanswered = self.round.take().map(|(_, id)| id);
        self.asked = self.asked.max(unanswered);
    }
}
