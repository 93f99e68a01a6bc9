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

/// Questions that are not answered yet. Any number of them costs the same: one confirmation
/// answers all.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct ReadQueue {
    /// The newest question.
    asked: Option<ReadId>,
}

impl ReadQueue {
    /// Adds a question, and implies all before it.
    pub(super) fn ask(&mut self, id: ReadId) {
        assert!(self.asked <= Some(id), "questions are numbered upwards: {:?}", self.asked);
        self.asked = Some(id);
    }

    /// Answers all questions. The caller has made sure, after they were asked, that it still leads
    /// and that `commit` covers every slot that was decided before it led.
    pub(super) fn answer(&mut self, commit: Slot) -> Option<ReadIndex> {
        self.asked.take().map(|id| ReadIndex { id, slot: commit })
    }
}
