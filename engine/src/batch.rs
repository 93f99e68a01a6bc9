//! The replicated unit as consensus and storage see it: a header, and commands as opaque bytes.

use alloc::{sync::Arc, vec, vec::Vec};

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I64, U16, U32, U64, U128},
    transmute, transmute_ref,
};

use crate::ids::{Ballot, Epoch, Life, ReplicaId, Slot, WallTime, Zxid};

/// What a batch is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BatchKind {
    /// Commands of clients, and of the leader's clock.
    Commands,
    /// The first batch of a ballot: starts `epoch`, carries no command, takes no zxid (R3).
    NewEpoch,
    /// A configuration of the cluster: who votes from here on. No command, no zxid.
    Config,
}

/// Everything about a batch that decides its place in the log. The same on every replica.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct BatchHeader {
    /// Position in the replicated log.
    pub slot: Slot,
    /// The ballot under which the batch was first proposed. (slot, origin) names its content.
    pub origin: Ballot,
    /// What it is for.
    pub kind: BatchKind,
    /// The epoch its zxids belong to.
    pub epoch: Epoch,
    /// The zxid of its first command that takes one; where none does, the zxid that the next will
    /// take.
    pub first_zxid: Zxid,
    /// How many of its commands take a zxid.
    pub zxid_count: u32,
    /// How many commands it has.
    pub command_count: u32,
    /// The leader's clock, non-decreasing along the log (I10).
    pub time: WallTime,
    /// `hash` of the batch at the slot before.
    pub previous_hash: u128,
    /// Content of the whole log up to here: xxh3-128 over this header (with `hash` as zero) and the
    /// payload. I5: equal (slot, origin) has equal `hash`.
    pub hash: u128,
}

impl BatchHeader {
    /// The last zxid given out once this batch is applied.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        // One before `first_zxid` is the last zxid of the batch before, or counter 0 of the epoch.
        Zxid(self.first_zxid.0 - 1 + i64::from(self.zxid_count))
    }
}

/// The end of a log as seen by whoever continues it: its last batch without the batch.
/// The default is the end of the empty log.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Base {
    /// The last slot.
    pub slot: Slot,
    /// The ballot under which that batch was first proposed.
    pub origin: Ballot,
    /// The hash of the whole log up to it.
    pub hash: u128,
    /// The epoch it belongs to.
    pub epoch: Epoch,
    /// The last zxid given out.
    pub last_zxid: Zxid,
    /// The leader's clock in it.
    pub time: WallTime,
}

impl Base {
    /// The log that ends with this batch.
    #[must_use]
    pub fn of(header: &BatchHeader) -> Self {
        Self {
            slot: header.slot,
            origin: header.origin,
            hash: header.hash,
            epoch: header.epoch,
            last_zxid: header.last_zxid(),
            time: header.time,
        }
    }
}

/// One slot's worth of the log.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Batch {
    /// Where it belongs.
    pub header: BatchHeader,
    /// Of a batch of commands: the table of its runs, then the commands, as `state::command`
    /// encodes them, back to back. Of a configuration: that. Otherwise nothing.
    pub payload: Arc<[u8]>,
}

/// Successive commands of a batch that one life of a replica submitted: how everybody recognises
/// its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Run {
    /// Who submitted them.
    pub life: Life,
    /// How many: at least one.
    pub command_count: u32,
}

/// Encoded commands that wait for a batch, and what a sequencer must know of them.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Commands {
    /// Encoded commands, back to back.
    pub bytes: Vec<u8>,
    /// Where each command ends in `bytes`.
    pub ends: Vec<CommandEnd>,
}

/// The end of one command in `Commands::bytes`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CommandEnd {
    /// Offset of the first byte after the command.
    pub end: u32,
    /// Whether it takes a zxid: all do but those that clients cannot see, such as attach.
    pub takes_zxid: bool,
}

impl Commands {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The payload of a batch that has these commands of `life`, and no others.
    #[must_use]
    pub fn payload(&self, life: Life) -> Arc<[u8]> {
        let command_count = u32::try_from(self.ends.len()).expect("a command has a byte");
        let run = (command_count > 0).then_some(Run { life, command_count });
        let runs = run.as_slice();
        let mut payload = vec![0; runs_bytes(runs.len())];
        encode_runs(runs, &mut payload);
        payload.extend_from_slice(&self.bytes);
        payload.into()
    }
}

/// Length of an encoded run.
pub const RUN_BYTES: usize = 12;

/// Length of the table of so many runs: their number, and they.
#[must_use]
pub fn runs_bytes(run_count: usize) -> usize {
    4 + run_count * RUN_BYTES
}

/// Writes the table of `runs` over the start of `payload`, and returns what is behind it.
pub fn encode_runs<'a>(runs: &[Run], payload: &'a mut [u8]) -> &'a mut [u8] {
    let mut rest = payload;
    let count = u32::try_from(runs.len()).expect("a run has a command, which has a byte");
    put(&mut rest, &count.to_le_bytes());
    for run in runs {
        put(&mut rest, &run.life.0.to_le_bytes());
        put(&mut rest, &run.command_count.to_le_bytes());
    }
    rest
}

/// Reads the table at the start of the payload of a batch of commands. Returns the runs, and the
/// commands behind them. `None` when it is not what [`encode_runs`] wrote: no run is empty, and two
/// successive ones are never of one life.
#[must_use]
pub fn decode_runs(payload: &[u8]) -> Option<(Vec<Run>, &[u8])> {
    let mut rest = payload;
    let count = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
    // What is not there is refused before it costs memory.
    let (table, commands) = rest.split_at_checked(count.checked_mul(RUN_BYTES)?)?;
    let mut runs: Vec<Run> = Vec::with_capacity(count);
    for mut run in table.as_chunks::<RUN_BYTES>().0.iter().map(<[u8; RUN_BYTES]>::as_slice) {
        let life = Life(u64::from_le_bytes(take(&mut run)?));
        let command_count = u32::from_le_bytes(take(&mut run)?);
        if command_count == 0 || runs.last().is_some_and(|last| last.life == life) {
            return None;
        }
        runs.push(Run { life, command_count });
    }
    Some((runs, commands))
}

/// Length of an encoded batch header: what stands before the payload, on disk and on the wire.
pub const BATCH_HEADER_BYTES: usize = 96;

/// A `BatchHeader` as it lies on the disk, and what it says of the payload behind it.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct WireHeader {
    slot: U64,
    origin_round: U64,
    origin_replica: U16,
    kind: U16,
    epoch: U32,
    first_zxid: I64,
    zxid_count: U32,
    command_count: U32,
    time: I64,
    previous_hash: U128,
    hash: U128,
    payload_bytes: U32,
    /// Zero.
    reserved: [u8; 12],
}

impl BatchHeader {
    /// The header as bytes, for a payload of `payload_bytes`. `docs/disk-format.md` has the table.
    #[must_use]
    pub fn encode(&self, payload_bytes: u32) -> [u8; BATCH_HEADER_BYTES] {
        transmute!(WireHeader {
            slot: self.slot.0.into(),
            origin_round: self.origin.round.into(),
            origin_replica: self.origin.replica.0.into(),
            kind: self.kind.code().into(),
            epoch: self.epoch.0.into(),
            first_zxid: self.first_zxid.0.into(),
            zxid_count: self.zxid_count.into(),
            command_count: self.command_count.into(),
            time: self.time.0.into(),
            previous_hash: self.previous_hash.into(),
            hash: self.hash.into(),
            payload_bytes: payload_bytes.into(),
            reserved: [0; 12],
        })
    }

    /// Reads a header and the payload's length. `None` when a field has a value that is never
    /// written. The hash is not checked here: that needs the payload.
    #[must_use]
    pub fn decode(bytes: &[u8; BATCH_HEADER_BYTES]) -> Option<(Self, u32)> {
        let wire: &WireHeader = transmute_ref!(bytes);
        let header = Self {
            slot: Slot(wire.slot.get()),
            origin: Ballot {
                round: wire.origin_round.get(),
                replica: ReplicaId(wire.origin_replica.get()),
            },
            kind: BatchKind::from_code(wire.kind.get())?,
            epoch: Epoch(wire.epoch.get()),
            first_zxid: Zxid(wire.first_zxid.get()),
            zxid_count: wire.zxid_count.get(),
            command_count: wire.command_count.get(),
            time: WallTime(wire.time.get()),
            previous_hash: wire.previous_hash.get(),
            hash: wire.hash.get(),
        };
        // Whoever goes on counts from here: no number that ever occurs is near the end.
        let is_possible = header.slot.0 < u64::MAX / 2
            && (0..i64::MAX / 2).contains(&header.first_zxid.0)
            && wire.reserved == [0; 12];
        is_possible.then_some((header, wire.payload_bytes.get()))
    }
}

impl BatchKind {
    fn code(self) -> u16 {
        match self {
            Self::Commands => 1,
            Self::NewEpoch => 2,
            Self::Config => 3,
        }
    }

    fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Commands),
            2 => Some(Self::NewEpoch),
            3 => Some(Self::Config),
            _ => None,
        }
    }
}

/// Writes a field of a fixed header and moves on behind it.
pub(crate) fn put(rest: &mut &mut [u8], field: &[u8]) {
    let (head, tail) = core::mem::take(rest).split_at_mut(field.len());
    head.copy_from_slice(field);
    *rest = tail;
}

/// Takes the first `N` bytes off `rest`.
pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

/// The content of the log up to and including this batch: xxh3-128 over the encoded header, whose
/// `hash` counts as zero, and the payload. `header.hash` itself is not looked at.
#[must_use]
pub fn hash(header: &BatchHeader, payload: &[u8]) -> u128 {
    let payload_bytes = u32::try_from(payload.len()).expect("a payload is below BATCH_BYTES_MAX");
    let header = BatchHeader { hash: 0, ..header.clone() };
    let mut state = xxhash_rust::xxh3::Xxh3Default::new();
    state.update(&header.encode(payload_bytes));
    state.update(payload);
    state.digest128()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn runs_come_back(
            counts in prop::collection::vec(1..u32::MAX, 0..5),
            commands in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let run = |(life, command_count)| Run { life: Life(life), command_count };
            let runs: Vec<Run> = (7..).zip(counts).map(run).collect();
            let mut payload = vec![0xff; runs_bytes(runs.len()) + commands.len()];
            encode_runs(&runs, &mut payload).copy_from_slice(&commands);
            prop_assert_eq!(decode_runs(&payload), Some((runs, &*commands)));
        }

        #[test]
        fn any_payload_is_read_or_refused(
            count in 0..4_u32,
            rest in prop::collection::vec(0..2_u8, 0..50),
        ) {
            let payload = [&count.to_le_bytes()[..], &rest].concat();
            if let Some((runs, commands)) = decode_runs(&payload) {
                let mut again = vec![0; runs_bytes(runs.len())];
                encode_runs(&runs, &mut again);
                again.extend_from_slice(commands);
                prop_assert_eq!(again, payload);
            }
        }
    }

    #[test]
    fn a_table_has_one_form() {
        let table = |runs: &[Run]| {
            let mut payload = vec![0; runs_bytes(runs.len())];
            encode_runs(runs, &mut payload);
            payload
        };
        let [one, two] = [1, 2].map(|life| Run { life: Life(life), command_count: 1 });
        assert!(decode_runs(&table(&[one, two, one])).is_some());
        assert_eq!(decode_runs(&table(&[one, one, two])), None, "they are one run");
        assert_eq!(decode_runs(&table(&[one, Run { command_count: 0, ..two }])), None, "empty");
        assert_eq!(decode_runs(&table(&[one, two])[..27]), None, "the table ends early");
        assert_eq!(decode_runs(&u32::MAX.to_le_bytes()), None, "and is never believed");
    }
}
