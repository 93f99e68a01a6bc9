//! Messages between replicas as bytes, and back.
//!
//! A message travels in a frame:
//!
//! | Offset | Bytes | Field |
//! | --- | --- | --- |
//! | 0 | 4 | magic: `RKm1` |
//! | 4 | 4 | length of the whole frame |
//! | 8 | 4 | checksum: crc32c of everything but these four bytes |
//! | 12 | 2 | version |
//! | 14 | 16 | cluster |
//! | 30 | 18 | sender: replica (2), incarnation (16) |
//! | 48 | 18 | receiver |
//! | 66 | | the message: a code (1 byte), and its fields in the order of the tables below |
//!
//! Numbers are little-endian. A batch is what it is on the disk: header and payload.
//!
//! Reading is total: whatever the bytes, the result is a message that somebody could have sent, or
//! an error. No number in it is so large that counting on from it could overflow, and nothing is
//! allocated for what is not there.
#![deny(clippy::indexing_slicing)]

use alloc::{sync::Arc, vec::Vec};

use super::{
    forwards::{Forward, Forwarded},
    message::{Chunk, Envelope, PeerMessage},
};
use crate::{
    batch::{self, BATCH_HEADER_BYTES, Base, Batch, BatchHeader, CommandEnd, Commands, take},
    consensus::{
        config::{Config, Voter},
        message::{LogEnd, Message, Offer},
        read_index::ReadId,
    },
    ids::{Ballot, Epoch, Incarnation, Life, ReplicaId, SessionId, Slot, WallTime, Zxid},
    limits::PEER_FRAME_BYTES_MAX,
};

/// What a frame must begin with before its length can be believed.
pub const FRAME_START_BYTES: usize = 8;

/// Length of what stands before the message.
pub const FRAME_HEADER_BYTES: usize = 66;

/// The version of the frame and of what is in it.
pub const PEER_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"RKm1";

/// Where the checksum stands.
const CHECKSUM_AT: usize = 8;
/// Where it ends.
const CHECKSUM_END: usize = 12;

/// No epoch is as high: one for each leader that there ever was.
const EPOCH_END: u32 = 1 << 30;

/// No ballot's round is as high.
const ROUND_END: u64 = 1 << 47;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// Not even the beginning of one.
    #[error("no frame of a replica begins like that")]
    Magic,
    /// Longer than any.
    #[error("a frame of {0} bytes")]
    Length(u32),
    /// Of another version.
    #[error("a frame of version {0}")]
    Version(u16),
    /// Damaged on its way.
    #[error("the checksum is wrong")]
    Checksum,
    /// A sound frame, and nobody would have sent it.
    #[error("a field has a value that is never sent")]
    Content,
    /// A batch that is not what was proposed.
    #[error("the batch at slot {} is not what its hash says", .0.0)]
    Batch(Slot),
}

type Result<T> = core::result::Result<T, CodecError>;

/// Appends the frame of `envelope` to `out`.
pub fn encode(cluster: u128, envelope: &Envelope, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    // Length and checksum, once they are known.
    out.extend_from_slice(&[0; 8]);
    PEER_VERSION.put(out);
    cluster.put(out);
    envelope.from.put(out);
    envelope.to.put(out);
    envelope.message.put(out);
    let (_, frame) = out.split_at_mut(start);
    assert!(frame.len() <= PEER_FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
    let length = u32::try_from(frame.len()).expect("PEER_FRAME_BYTES_MAX");
    let (head, _) = frame.split_at_mut(CHECKSUM_END);
    batch::put(&mut head.split_at_mut(MAGIC.len()).1, &length.to_le_bytes());
    let sum = checksum(frame);
    let (head, _) = frame.split_at_mut(CHECKSUM_END);
    batch::put(&mut head.split_at_mut(CHECKSUM_AT).1, &sum.to_le_bytes());
}

/// How long the frame is that begins like this.
///
/// # Errors
///
/// When no frame begins like this.
pub fn frame_bytes(start: [u8; FRAME_START_BYTES]) -> Result<usize> {
    let mut rest = start.as_slice();
    if take(&mut rest) != Some(MAGIC) {
        return Err(CodecError::Magic);
    }
    let length: u32 = Field::take(&mut rest)?;
    let bytes = usize::try_from(length).map_err(|_| CodecError::Length(length))?;
    let is_possible = (FRAME_HEADER_BYTES + 1..=PEER_FRAME_BYTES_MAX).contains(&bytes);
    if is_possible { Ok(bytes) } else { Err(CodecError::Length(length)) }
}

/// Reads a whole frame: the cluster that it is of, and what is in it.
///
/// # Errors
///
/// When it is not what [`encode`] wrote.
pub fn decode(frame: &[u8]) -> Result<(u128, Envelope)> {
    let start = frame.first_chunk().ok_or(CodecError::Content)?;
    if frame_bytes(*start)? != frame.len() {
        return Err(CodecError::Content);
    }
    let (head, mut rest) = frame.split_at_checked(CHECKSUM_END).ok_or(CodecError::Content)?;
    let (_, found) = head.split_last_chunk().ok_or(CodecError::Content)?;
    let is_sound = u32::from_le_bytes(*found) == checksum(frame);
    let version = u16::take(&mut rest)?;
    if version != PEER_VERSION {
        return Err(CodecError::Version(version));
    }
    if !is_sound {
        return Err(CodecError::Checksum);
    }
    let cluster = u128::take(&mut rest)?;
    let envelope = Envelope {
        from: Field::take(&mut rest)?,
        to: Field::take(&mut rest)?,
        message: Field::take(&mut rest)?,
    };
    if rest.is_empty() { Ok((cluster, envelope)) } else { Err(CodecError::Content) }
}

/// Of everything but itself.
fn checksum(frame: &[u8]) -> u32 {
    let (before, rest) = frame.split_at(CHECKSUM_AT);
    let (_, behind) = rest.split_at(CHECKSUM_END - CHECKSUM_AT);
    crc32c::crc32c_append(crc32c::crc32c(before), behind)
}

/// A value with one form in bytes.
trait Field: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(rest: &mut &[u8]) -> Result<Self>;
}

/// Numbers as they are.
macro_rules! numbers {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(rest: &mut &[u8]) -> Result<Self> {
                take(rest).map(Self::from_le_bytes).ok_or(CodecError::Content)
            }
        }
    )*};
}

/// Structs: their fields, in this order.
macro_rules! structs {
    ($($type:ident { $($field:tt),* })*) => {$(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(rest: &mut &[u8]) -> Result<Self> {
                Ok(Self { $($field: Field::take(rest)?),* })
            }
        }
    )*};
}

/// Enums: a code, which is never used for anything else, then the variant's fields in this order.
macro_rules! enums {
    ($($type:ident {
        $($code:literal $variant:ident $({ $($field:ident),* })? $(( $inner:ident ))?,)*
    })*) => {$(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {$(
                    Self::$variant $({ $($field),* })? $(( $inner ))? => {
                        out.push($code);
                        $($($field.put(out);)*)?
                        $($inner.put(out);)?
                    }
                )*}
            }

            fn take(rest: &mut &[u8]) -> Result<Self> {
                match u8::take(rest)? {
                    $($code => {
                        $($(let $field = Field::take(rest)?;)*)?
                        $(let $inner = Field::take(rest)?;)?
                        Ok(Self::$variant $({ $($field),* })? $(( $inner ))?)
                    })*
                    _ => Err(CodecError::Content),
                }
            }
        }
    )*};
}

numbers! { u8 u16 u32 u128 i64 }

structs! {
    ReplicaId { 0 }
    Incarnation { 0 }
    Slot { 0 }
    ReadId { 0 }
    SessionId { 0 }
    WallTime { 0 }
    Base { slot, origin, epoch, last_zxid, time, hash }
    Voter { id, incarnation }
    LogEnd { origin, slot }
    Offer { ballot, base, config }
    Forward { epoch, life, first, commands }
    Forwarded { epoch, life, next }
    Chunk { slot, number, is_last, bytes }
    CommandEnd { end, takes_zxid }
}

enums! {
    PeerMessage {
        1 Consensus(message),
        2 Forward(forward),
        3 Forwarded(forwarded),
        4 Touched { sessions },
        5 Pull { slot, number },
        6 Chunk(chunk),
    }
    Message {
        1 PreVote { ballot, commit },
        2 PreVoteAnswer { ballot, is_granted, promised, commit },
        3 Prepare { ballot, end, commit },
        4 Promise { ballot, end, commit, tail },
        5 Reject { promised, commit },
        6 Accept { ballot, previous, batches, commit },
        7 Accepted { ballot, stored },
        8 Mismatch { ballot, commit },
        9 Commit { ballot, commit },
        10 Heartbeat { ballot, commit, round, has_quorum, must_fetch },
        11 HeartbeatAck { ballot, round, commit, feature_level },
        12 TakeOver { ballot },
        13 Fetch { first },
        14 Fetched { ballot, batches, commit },
        15 Offer(offer),
        16 Newcomer { commit },
        17 AskRead { life, id },
        18 ReadAnswer { life, id, slot },
    }
}

/// A count: of slots, messages, questions, heartbeats. None that ever occurs is near the end.
impl Field for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let number = take(rest).map(Self::from_le_bytes);
        number.filter(|number| *number < Self::MAX / 2).ok_or(CodecError::Content)
    }
}

/// Drawn at random: any number.
impl Field for Life {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        take(rest).map(u64::from_le_bytes).map(Self).ok_or(CodecError::Content)
    }
}

impl Field for Epoch {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let epoch = u32::take(rest)?;
        if epoch < EPOCH_END { Ok(Self(epoch)) } else { Err(CodecError::Content) }
    }
}

impl Field for Zxid {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let zxid = i64::take(rest)?;
        let is_possible = (0..i64::from(EPOCH_END) << 32).contains(&zxid);
        if is_possible { Ok(Self(zxid)) } else { Err(CodecError::Content) }
    }
}

impl Field for Ballot {
    fn put(&self, out: &mut Vec<u8>) {
        self.round.put(out);
        self.replica.put(out);
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let (round, replica) = (u64::take(rest)?, ReplicaId::take(rest)?);
        if round < ROUND_END { Ok(Self { round, replica }) } else { Err(CodecError::Content) }
    }
}

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        match u8::take(rest)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Content),
        }
    }
}

/// A count, and the items.
impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_count(self.len(), out);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let count = take_count(rest)?;
        // Room is made as items come: a count alone costs nothing.
        (0..count).map(|_| T::take(rest)).collect::<Result<_>>()
    }
}

/// A length, and the bytes.
impl Field for Arc<[u8]> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self, out);
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        take_bytes(rest).map(Self::from)
    }
}

/// As on the disk. What a replica stores is what was proposed, whoever passed it on: the hash says
/// so.
impl Field for Arc<Batch> {
    fn put(&self, out: &mut Vec<u8>) {
        let payload_bytes = u32::try_from(self.payload.len()).expect("BATCH_BYTES_MAX");
        out.extend_from_slice(&self.header.encode(payload_bytes));
        out.extend_from_slice(&self.payload);
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let header: [u8; BATCH_HEADER_BYTES] = take(rest).ok_or(CodecError::Content)?;
        let (header, payload_bytes) = BatchHeader::decode(&header).ok_or(CodecError::Content)?;
        let is_possible = header.epoch.0 < EPOCH_END && header.origin.round < ROUND_END;
        let payload_bytes = usize::try_from(payload_bytes).map_err(|_| CodecError::Content)?;
        let payload = take_slice(payload_bytes, rest)?;
        if !is_possible {
            return Err(CodecError::Content);
        }
        if batch::hash(&header, payload) != header.hash {
            return Err(CodecError::Batch(header.slot));
        }
        Ok(Self::new(Batch { header, payload: payload.into() }))
    }
}

impl Field for Arc<Config> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(&self.encode(), out);
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let config = Config::decode(take_bytes(rest)?);
        config.map(Self::new).ok_or(CodecError::Content)
    }
}

/// The bytes, and where each command ends in them.
impl Field for Arc<Commands> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(&self.bytes, out);
        self.ends.put(out);
    }

    fn take(rest: &mut &[u8]) -> Result<Self> {
        let bytes = take_bytes(rest)?.to_vec();
        let ends: Vec<CommandEnd> = Field::take(rest)?;
        let last = ends.last().map_or(0, |last| last.end);
        let is_possible = u32::try_from(bytes.len()) == Ok(last)
            && ends.first().is_some_and(|first| 0 < first.end)
            && ends.is_sorted_by(|one, next| one.end < next.end);
        if !is_possible {
            return Err(CodecError::Content);
        }
        Ok(Self::new(Commands { bytes, ends }))
    }
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    u32::try_from(count).expect("a frame is shorter").put(out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn take_count(rest: &mut &[u8]) -> Result<usize> {
    usize::try_from(u32::take(rest)?).map_err(|_| CodecError::Content)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = take_count(rest)?;
    take_slice(length, rest)
}

fn take_slice<'a>(length: usize, rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length).ok_or(CodecError::Content)?;
    *rest = tail;
    Ok(head)
}
