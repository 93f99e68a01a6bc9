//! What the leader takes in from those who submit, itself among them, until it is in a batch.
//!
//! Everything here is of one epoch and ends with it: whoever submitted it has it still, and sends
//! it to the next leader if it does not come back committed.

use alloc::{collections::BTreeMap, sync::Arc};

use super::{
    forwards::{Forward, Forwarded},
    queue::CommandQueue,
};
use crate::{
    batch::Commands,
    consensus::Proposal,
    ids::{Epoch, Life},
    limits::INTAKE_BYTES_MAX,
    mutant::{Mutant, is_broken},
};

/// The leader's side of forwarding.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Intake {
    /// The epoch that this replica leads: that of its log's end.
    epoch: Option<Epoch>,
    /// The number that is next of each submitter. One that has sent nothing begins with 1.
    next: BTreeMap<Life, u64>,
    queue: CommandQueue,
}

impl Intake {
    /// Says which epoch this replica leads, if it is an established leader. To be told before the
    /// first batch of another epoch is proposed, and when leadership is lost: whatever waits then
    /// is forgotten here.
    pub fn lead(&mut self, epoch: Option<Epoch>) {
        if is_broken(Mutant::IntakeKept) && self.epoch != epoch {
            self.epoch = epoch;
            self.next.clear();
        } else if self.epoch != epoch {
            *self = Self { epoch, ..Self::default() };
        }
    }

    /// The epoch that this replica leads.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Takes the commands that are next of their submitter. Those that came before are dropped, and
    /// those behind a gap; they, and what finds no room, will be sent again. Returns the answer;
    /// none if this replica does not lead their epoch.
    pub fn take(&mut self, forward: Forward) -> Option<Forwarded> {
        let Forward { epoch, life, first, commands } = forward;
        if self.epoch.is_none()
            || self.epoch != Some(epoch) && !is_broken(Mutant::ForwardsOfAnyEpoch)
        {
            return None;
        }
        let next = self.next.entry(life).or_insert(1);
        for (number, commands) in (first..).zip(commands) {
            let is_next = number == *next
                || number < *next && is_broken(Mutant::ForwardsRepeated)
                || *next < number && is_broken(Mutant::ForwardsWithGap);
            if is_next && self.queue.bytes() < INTAKE_BYTES_MAX {
                *next = number + 1;
                self.queue.push(life, commands);
            }
        }
        Some(Forwarded { epoch, life, next: *next })
    }

    /// Takes commands that nobody submits: what the leader of `epoch` has found to do. Dropped if
    /// that is not this replica any more.
    pub fn take_housekeeping(&mut self, epoch: Epoch, commands: Commands) {
        if self.epoch == Some(epoch) || self.epoch.is_some() && is_broken(Mutant::HousekeepingLate)
        {
            self.queue.push(Life(0), Arc::new(commands));
        }
    }

    /// The next batch: as many whole commands as fit, and at least one.
    pub fn take_batch(&mut self, bytes_max: usize) -> Option<Proposal> {
        self.queue.take_batch(bytes_max)
    }

    /// Whether nothing waits for a batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes that wait for a batch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.queue.bytes()
    }
}
