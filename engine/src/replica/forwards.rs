//! What this replica has submitted and not seen committed, on its way to the leader.
//!
//! Commands stay here, in order, until they come back committed: that, and no answer, is the end of
//! their way. The leader takes them in that order without a gap, so what comes back is always the
//! front. When a new epoch is committed here, the log has all of the former leader's batches that
//! it will ever have; whatever has not come back by then never will, and goes to the new leader.
//! So every command is committed once, whoever leads.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

use crate::{
    batch::{Base, Batch, BatchKind, CommandEnd, Commands, decode_runs},
    ids::{Epoch, Instant, Life, ReplicaId, Slot},
    limits::FORWARDED_BYTES_MAX,
    mutant::{Mutant, is_broken},
};

/// Submitted commands for the leader of an epoch, in messages that are numbered from 1 within the
/// epoch.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Forward {
    /// Whom they are for: whoever leads this epoch. Nobody else may take them.
    pub epoch: Epoch,
    /// Who submits them.
    pub life: Life,
    /// The number of the first message.
    pub first: u64,
    /// Successive messages.
    pub commands: Vec<Arc<Commands>>,
}

/// The leader's answer: it has what is before `next`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Forwarded {
    /// The epoch that it leads.
    pub epoch: Epoch,
    /// Whose commands.
    pub life: Life,
    /// The number that it takes next.
    pub next: u64,
}

/// The submitter's side.
///
/// Invariant: `first <= acknowledged <= sent <= first + pending.len()`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Forwards {
    life: Life,
    /// After so long without an answer, what was not acknowledged is sent again.
    resend_ms: u64,
    /// The newest epoch that is committed here, and who leads it, or led it.
    leader: Option<(Epoch, ReplicaId)>,
    /// Messages that are not wholly committed, in order. None is empty.
    pending: VecDeque<Arc<Commands>>,
    /// Their bytes.
    bytes: usize,
    /// How many commands of the first of them are committed.
    committed_count: usize,
    /// The number of the first of them.
    first: u64,
    /// The leader has what is before this number.
    acknowledged: u64,
    /// The number that is to be sent next.
    sent: u64,
    /// Bytes of what is sent and not acknowledged.
    sent_bytes: usize,
    /// Since when the leader owes an answer to the first message that it has not acknowledged.
    waits_since: Instant,
}

impl Forwards {
    /// Nothing submitted yet, at a replica whose State is that of `base`.
    #[must_use]
    pub fn new(life: Life, base: &Base, resend_ms: u64) -> Self {
        Self {
            life,
            resend_ms,
            // All batches of an epoch are first proposed by who started it.
            leader: (base.slot > Slot(0)).then_some((base.epoch, base.origin.replica)),
            pending: VecDeque::new(),
            bytes: 0,
            committed_count: 0,
            first: 1,
            acknowledged: 1,
            sent: 1,
            sent_bytes: 0,
            waits_since: Instant::default(),
        }
    }

    /// Starts anew behind a snapshot of another replica: it may contain any of what was pending,
    /// so none of that is sent again. What is submitted from now on is of a new `life`.
    pub fn clear(&mut self, life: Life, base: &Base) {
        *self = Self::new(life, base, self.resend_ms);
    }

    /// Whose commands these are.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }

    /// The newest epoch that is committed here, and who leads it, or led it.
    #[must_use]
    pub fn leader(&self) -> Option<(Epoch, ReplicaId)> {
        self.leader
    }

    /// Bytes of what is not committed. The driver takes no further commands while this is large.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds commands at the end. More than may be on their way at a time become several messages.
    pub fn submit(&mut self, commands: Commands) {
        let mut rest = commands;
        let end_max = u32::try_from(FORWARDED_BYTES_MAX).expect("4 MiB");
        while !rest.is_empty() {
            let count = rest.ends.partition_point(|command| command.end <= end_max).max(1);
            let tail = behind(&rest, count);
            rest.ends.truncate(count);
            rest.bytes.truncate(rest.bytes.len() - tail.bytes.len());
            self.bytes += rest.bytes.len();
            self.pending.push_back(Arc::new(rest));
            rest = tail;
        }
    }

    /// A batch is committed: to be told of every one, in order.
    pub fn committed(&mut self, batch: &Batch) {
        match batch.header.kind {
            BatchKind::Commands => {
                let table = decode_runs(&batch.payload);
                let (runs, _) = table.expect("what is decided was made by a CommandQueue");
                let own = runs.iter().filter(|run| run.life == self.life);
                let count = own.map(|run| usize::try_from(run.command_count).expect("32 bits"));
                self.come_back(count.sum());
            }
            BatchKind::NewEpoch => self.start(batch.header.epoch, batch.header.origin.replica),
            BatchKind::Config => {}
        }
    }

    /// What the leader should be sent now, and who that is.
    pub fn to_send(&mut self, now: Instant) -> Option<(ReplicaId, Forward)> {
        let (epoch, leader) = self.leader?;
        if self.waits_since.plus_millis(self.resend_ms) <= now {
            // Lost, or the leader had no room. All of it again: it takes nothing behind a gap.
            self.sent = self.acknowledged;
            self.sent_bytes = 0;
        }
        if self.sent == self.acknowledged {
            self.waits_since = now;
        }
        let first = self.sent;
        let mut commands = Vec::new();
        for message in self.pending.iter().skip(self.index(first)) {
            let bytes = message.bytes.len();
            if self.acknowledged < self.sent && self.sent_bytes + bytes > FORWARDED_BYTES_MAX {
                break;
            }
            self.sent += 1;
            self.sent_bytes += bytes;
            commands.push(message.clone());
        }
        if commands.is_empty() {
            return None;
        }
        Some((leader, Forward { epoch, life: self.life, first, commands }))
    }

    /// The leader has answered.
    pub fn acknowledged(&mut self, forwarded: Forwarded, now: Instant) {
        let is_current = self.leader.is_some_and(|(epoch, _)| epoch == forwarded.epoch)
            && self.life == forwarded.life;
        // An older answer may come late, and one to what is being sent again.
        if is_current && self.acknowledged < forwarded.next {
            self.advance(forwarded.next);
            self.waits_since = now;
        }
    }

    /// So many of the commands are committed: the front of what is pending, since the leader took
    /// it in order. A batch may end inside of a message.
    fn come_back(&mut self, mut count: usize) {
        while count > 0 {
            let front = self.pending.front().expect("nothing is committed that was not submitted");
            let (front_count, front_bytes) = (front.ends.len(), front.bytes.len());
            // The leader has it, whether its answer has come or not.
            self.advance(self.first + 1);
            let taken = count.min(front_count - self.committed_count);
            count -= taken;
            self.committed_count += taken;
            if self.committed_count == front_count {
                self.bytes -= front_bytes;
                self.committed_count = 0;
                self.first += 1;
                self.pending.pop_front();
            }
        }
    }

    /// A new epoch: everything that is pending is for its leader, from number 1 on.
    fn start(&mut self, epoch: Epoch, leader: ReplicaId) {
        assert!(self.leader.is_none_or(|(before, _)| before < epoch), "epochs grow: {epoch:?}");
        if self.committed_count > 0 {
            let front = self.pending.front_mut().expect("it is partly committed");
            let rest = behind(front, self.committed_count);
            self.bytes -= front.bytes.len() - rest.bytes.len();
            *front = Arc::new(rest);
        }
        if is_broken(Mutant::ForwardsDropped) {
            self.pending.clear();
            self.bytes = 0;
        }
        self.leader = Some((epoch, leader));
        self.committed_count = 0;
        (self.first, self.acknowledged, self.sent, self.sent_bytes) = (1, 1, 1, 0);
    }

    /// The leader has what is before `next`.
    fn advance(&mut self, next: u64) {
        let end = self.first + u64::try_from(self.pending.len()).expect("64 bits");
        while self.acknowledged < next.min(end) {
            if self.acknowledged < self.sent {
                self.sent_bytes -= self.pending[self.index(self.acknowledged)].bytes.len();
            }
            self.acknowledged += 1;
        }
        self.sent = self.sent.max(self.acknowledged);
    }

    /// Where the message with this number is in `pending`.
    fn index(&self, number: u64) -> usize {
        usize::try_from(number - self.first).expect("no more than are in memory")
    }
}

/// The commands of `commands` behind the first `count`.
fn behind(commands: &Commands, count: usize) -> Commands {
    let start = count.checked_sub(1).map_or(0, |last| commands.ends[last].end);
    let rest = usize::try_from(start).expect("32 bits");
    let ends = commands.ends[count..].iter();
    Commands {
        bytes: commands.bytes[rest..].to_vec(),
        ends: ends.map(|end| CommandEnd { end: end.end - start, ..*end }).collect(),
    }
}
