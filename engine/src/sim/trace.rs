//! What happened, one line for each thing, for a person; and a number that stands for all of it, so
//! that two runs of one seed can be compared.

use alloc::{string::String, sync::Arc};
use core::fmt;

use crate::{
    batch::Batch,
    consensus::message::Message,
    ids::{Ballot, Instant},
    replica::message::PeerMessage,
};

/// Where lines go.
pub type Sink = fn(&str);

/// The trace of one run.
#[derive(Clone, Debug)]
pub struct Trace {
    sink: Option<Sink>,
    fingerprint: u64,
    lines: u64,
}

impl Trace {
    /// A trace that is written to `sink`, or only counted.
    #[must_use]
    pub fn new(sink: Option<Sink>) -> Self {
        Self { sink, fingerprint: 0, lines: 0 }
    }

    /// Notes that `who` did `what` at `now`.
    pub fn note(&mut self, now: Instant, who: &dyn fmt::Display, what: fmt::Arguments<'_>) {
        self.lines += 1;
        // Time alone tells two runs apart as soon as anything differs.
        let mixed = (self.fingerprint ^ now.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.fingerprint = mixed ^ (mixed >> 29);
        let Some(sink) = self.sink else { return };
        let mut line = String::new();
        let micros = now.0 / 1000;
        fmt::write(
            &mut line,
            format_args!("{:>6}.{:06} {who:<10} {what}", micros / 1_000_000, micros % 1_000_000),
        )
        .expect("a String takes everything");
        sink(&line);
    }

    /// Stands for everything that was noted.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// A message in one line: what it is about, without what it carries.
#[derive(Clone, Copy, Debug)]
pub struct Says<'a>(pub &'a PeerMessage);

impl fmt::Display for Says<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PeerMessage::Consensus(message) => say(message, f),
            PeerMessage::Forward(forward) => {
                let (epoch, count) = (forward.epoch.0, forward.commands.len());
                write!(f, "forward {count} from {} for epoch {epoch}", forward.first)
            }
            PeerMessage::Chunk(chunk) => {
                write!(f, "chunk {} of the snapshot of {}", chunk.number, chunk.slot.0)
            }
            message @ (PeerMessage::Forwarded(_)
            | PeerMessage::Touched { .. }
            | PeerMessage::Pull { .. }) => write!(f, "{message:?}"),
        }
    }
}

fn say(message: &Message, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match message {
        Message::Promise { ballot, end, commit, tail } => {
            let (ballot, tail) = (Short(*ballot), Slots(tail));
            write!(f, "promise {ballot}, end {}, commit {}, {tail}", end.slot.0, commit.0)
        }
        Message::Accept { ballot, previous, batches, commit } => {
            let (ballot, slots) = (Short(*ballot), Slots(batches));
            write!(f, "accept {ballot} behind {}, {slots}, commit {}", previous.slot.0, commit.0)
        }
        Message::Fetched { batches, commit, .. } => {
            write!(f, "fetched {}, commit {}", Slots(batches), commit.0)
        }
        Message::Offer(offer) => write!(f, "offers the snapshot of {}", offer.base.slot.0),
        other => write!(f, "{other:?}"),
    }
}

struct Short(Ballot);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.round, self.0.replica.0)
    }
}

struct Slots<'a>(&'a [Arc<Batch>]);

impl fmt::Display for Slots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("nothing"),
            [first, .., last] => {
                write!(f, "slots {} to {}", first.header.slot.0, last.header.slot.0)
            }
            [one] => write!(f, "slot {}", one.header.slot.0),
        }
    }
}
