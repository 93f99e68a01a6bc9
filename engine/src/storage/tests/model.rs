//! A log on a disk of byte vectors, written as the server writes it: one group after the other.
//! It remembers what was appended and acknowledged, which is what recovery is measured by.

use alloc::{collections::BTreeMap, sync::Arc, vec, vec::Vec};

use crate::{
    batch::{self, Batch, BatchHeader, BatchKind},
    ids::{Ballot, Epoch, LogPos, ReplicaId, Slot, WallTime, Zxid},
    storage::{
        Append, AppendKind, Base, Lsn,
        block::BLOCK_BYTES,
        group::{Continuation, LogEnd, Plan},
        recovery::{Damage, Options, Outcome, Recovery, Seen},
        segment::SegmentHeader,
        standalone::Owner,
    },
};

pub(super) const OWNER: Owner = Owner { cluster: 7, incarnation: 8 };

/// The files of a log directory, by segment number.
pub(super) type Files = BTreeMap<u32, Vec<u8>>;

/// A log and what its users know.
#[derive(Clone)]
pub(super) struct Log {
    pub(super) files: Files,
    pub(super) end: LogEnd,
    pub(super) segment_blocks: u32,
    /// What a new segment holds from its former life.
    stale: Vec<u8>,
    /// The last segment that was prepared.
    prepared: u32,
    generation: u64,
    pending: Vec<Append>,
    pub(super) appended: LogPos,
    pub(super) ballot: Ballot,
    pub(super) last: Base,
    /// Everything that was ever appended, in order.
    pub(super) history: Vec<Append>,
    /// What appends say of the commit slot; `None`: the last batch but one is committed.
    pub(super) commit: Option<Slot>,
    /// Every batch that was ever written, in order.
    pub(super) batches: Vec<Arc<Batch>>,
    /// How many of them were acknowledged.
    pub(super) acknowledged: usize,
    /// What a superblock would say.
    pub(super) tail: Lsn,
    /// The group that was written last: where, and what stood there before.
    pub(super) in_flight: Option<(Lsn, Vec<u8>)>,
}

impl Log {
    /// A fresh directory whose segments have so many blocks, and `ready` of them.
    pub(super) fn new(segment_blocks: u32, ready: u32) -> Self {
        let mut log = Self {
            files: Files::new(),
            end: LogEnd::new(&Continuation::default()),
            segment_blocks,
            stale: vec![0; segment_bytes(segment_blocks)],
            prepared: 0,
            generation: 1000,
            pending: Vec::new(),
            appended: LogPos(0),
            ballot: Ballot { round: 0, replica: ReplicaId(1) },
            last: Base::default(),
            history: Vec::new(),
            commit: None,
            batches: Vec::new(),
            acknowledged: 0,
            tail: Lsn::ZERO,
            in_flight: None,
        };
        for _ in 0..ready {
            log.prepare();
        }
        log.start();
        log
    }

    /// From now on, new segments are recycled files that hold what segment `number` holds now.
    pub(super) fn recycle(&mut self, number: u32) {
        self.stale = self.files[&number].clone();
    }

    /// Rolls to a new segment and promises a new ballot, as every start does.
    pub(super) fn start(&mut self) {
        self.ballot.round += 1;
        self.roll();
        let kind = AppendKind::Promise { ballot: self.ballot };
        self.push(kind);
        self.flush();
        let header = BatchHeader {
            epoch: Epoch(self.last.epoch.0 + 1),
            kind: BatchKind::NewEpoch,
            zxid_count: 0,
            command_count: 0,
            first_zxid: Zxid::new(Epoch(self.last.epoch.0 + 1), 1),
            ..self.next_header()
        };
        self.batch(header, &[]);
        self.flush();
    }

    /// A server that starts on these files with what recovery told it.
    pub(super) fn restart(mut self, outcome: &Outcome) -> Self {
        self.end = LogEnd::new(&outcome.continuation);
        self.batches.truncate(outcome.recovered.batches.len());
        self.acknowledged = self.batches.len();
        self.last = outcome.recovered.last();
        self.appended = outcome.recovered.appended;
        self.history.truncate(usize::try_from(self.appended.0).unwrap());
        self.pending.clear();
        self.in_flight = None;
        // Segments that were never used may hold a first write that was cut short: they begin a
        // new life, or its records could come alive behind the next ones.
        let unused: Vec<u32> = self.files.keys().copied().collect();
        for number in
            unused.into_iter().filter(|number| outcome.continuation.end.segment() < *number)
        {
            self.begin_life(number);
        }
        self.start();
        self
    }

    /// Appends a batch with such a payload.
    pub(super) fn append(&mut self, payload_bytes: usize) {
        let header = self.next_header();
        let fill = u8::try_from(header.slot.0 % 251).unwrap() + 1;
        self.batch(header, &vec![fill; payload_bytes]);
    }

    /// Appends the note that there is a snapshot up to here.
    pub(super) fn snapshot(&mut self) -> Base {
        let base = self.last;
        self.push(AppendKind::Snapshot { base });
        self.flush();
        base
    }

    /// Appends that the log goes on behind a snapshot that another replica sent.
    pub(super) fn install(&mut self, base: Base) {
        self.push(AppendKind::Install { base });
        self.last = Reference::of(&self.history).last;
    }

    /// Writes what was appended, without a flush: it is in flight.
    pub(super) fn write(&mut self) {
        while !self.pending.is_empty() {
            let Plan::Write { append_count, block_count } = self.end.plan(self.pending.iter())
            else {
                assert!(self.in_flight.is_none(), "rolls with nothing in flight");
                self.roll();
                continue;
            };
            let appends: Vec<_> = self.pending.drain(..append_count).collect();
            let mut buffer = vec![0xee; segment_bytes(block_count)];
            let at = self.end.encode(&appends, &mut buffer);
            self.in_flight = Some((at, self.put(at, &buffer)));
            if !self.pending.is_empty() {
                self.acknowledge();
            }
        }
    }

    /// Writes and flushes: what was appended is acknowledged.
    pub(super) fn flush(&mut self) {
        self.write();
        self.acknowledge();
    }

    /// Witnesses that everything before is durable, as an idle server does.
    pub(super) fn pad(&mut self) {
        self.flush();
        let mut buffer = vec![0xee; BLOCK_BYTES];
        if let Some(at) = self.end.encode_pad(&mut buffer) {
            self.put(at, &buffer);
            self.end.flushed();
        }
    }

    /// As `pad`, and notes it in the superblock, as a server does that is idle for longer.
    pub(super) fn witness(&mut self) {
        self.pad();
        self.tail = self.end.durable();
    }

    /// Removes the log before segment `number`.
    pub(super) fn trim(&mut self, number: u32) {
        self.files.retain(|kept, _| number <= *kept);
    }

    pub(super) fn options(&self, base: Base) -> Options {
        Options {
            owner: Some(OWNER),
            base,
            tail: self.tail,
            promised: Ballot::default(),
            atomic_bytes: BLOCK_BYTES,
        }
    }

    fn acknowledge(&mut self) {
        self.end.flushed();
        // Slots count from 1, and this log never replaces one.
        self.acknowledged = usize::try_from(self.end.last().slot.0).unwrap();
        self.in_flight = None;
    }

    pub(super) fn next_header(&self) -> BatchHeader {
        BatchHeader {
            slot: self.last.slot.next(),
            origin: self.ballot,
            kind: BatchKind::Commands,
            epoch: self.last.epoch,
            first_zxid: Zxid(self.last.last_zxid.0 + 1),
            zxid_count: 2,
            command_count: 2,
            time: WallTime(self.last.time.0 + 5),
            previous_hash: self.last.hash,
            hash: 0,
        }
    }

    /// Appends a batch with this header.
    pub(super) fn batch(&mut self, mut header: BatchHeader, payload: &[u8]) {
        header.hash = batch::hash(&header, payload);
        self.last = Base::of(&header);
        let batch = Arc::new(Batch { header, payload: Arc::from(payload) });
        self.batches.push(batch.clone());
        self.push(AppendKind::Batch { ballot: self.ballot, batch });
    }

    pub(super) fn push(&mut self, kind: AppendKind) {
        self.appended = self.appended.next();
        let commit = self.commit.unwrap_or(Slot(self.last.slot.0.saturating_sub(1)));
        let append = Append { pos: self.appended, commit, kind };
        self.history.push(append.clone());
        self.pending.push(append);
    }

    fn roll(&mut self) {
        let number = match self.end.durable() {
            Lsn::ZERO => 1,
            end => end.segment() + 1,
        };
        while self.prepared < number {
            self.prepare();
        }
        let generation = self.generation_of(number);
        self.end.roll(number, generation, self.segment_blocks);
    }

    pub(super) fn prepare(&mut self) {
        self.prepared += 1;
        self.files.insert(self.prepared, self.stale.clone());
        self.begin_life(self.prepared);
    }

    fn begin_life(&mut self, number: u32) {
        self.generation += 1;
        let header = SegmentHeader {
            owner: OWNER,
            generation: self.generation,
            number,
            block_count: self.segment_blocks,
        };
        let bytes = self.files.get_mut(&number).expect("its file is there");
        bytes[..BLOCK_BYTES].copy_from_slice(&header.encode());
    }

    fn generation_of(&self, number: u32) -> u64 {
        let header: &[u8; BLOCK_BYTES] = self.files[&number].first_chunk().unwrap();
        SegmentHeader::decode(header).unwrap().generation
    }

    fn put(&mut self, at: Lsn, buffer: &[u8]) -> Vec<u8> {
        let file = self.files.get_mut(&at.segment()).expect("prepared");
        let start = segment_bytes(at.block());
        let place = &mut file[start..start + buffer.len()];
        let before = place.to_vec();
        place.copy_from_slice(buffer);
        before
    }
}

/// What appends add up to, in the simplest words.
#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    /// The batches of the log, by slot, as far as it has them.
    pub(super) batches: BTreeMap<Slot, Arc<Batch>>,
    /// The end of the log.
    pub(super) last: Base,
    /// The last snapshot behind which the log went on with nothing of its own: no older one can be
    /// used.
    pub(super) begun_anew: Base,
    pub(super) promised: Ballot,
}

impl Reference {
    pub(super) fn of(appends: &[Append]) -> Self {
        let mut reference = Self::default();
        appends.iter().for_each(|append| reference.append(&append.kind));
        reference
    }

    /// The end of the log at a slot, if the log knows it.
    pub(super) fn end_at(&self, slot: Slot) -> Option<Base> {
        let batch = self.batches.get(&slot).map(|batch| Base::of(&batch.header));
        batch.or((slot == self.begun_anew.slot).then_some(self.begun_anew))
    }

    /// The batches behind a snapshot.
    pub(super) fn behind(&self, base: Base) -> Vec<Arc<Batch>> {
        self.batches.range(base.slot.next()..).map(|(_, batch)| batch.clone()).collect()
    }

    fn append(&mut self, kind: &AppendKind) {
        match kind {
            AppendKind::Batch { ballot, batch } => {
                self.promised = self.promised.max(*ballot);
                self.batches.split_off(&batch.header.slot);
                self.batches.insert(batch.header.slot, batch.clone());
                self.last = Base::of(&batch.header);
            }
            AppendKind::Promise { ballot } => self.promised = self.promised.max(*ballot),
            AppendKind::Snapshot { .. } => {}
            AppendKind::Install { base } if self.end_at(base.slot) == Some(*base) => {}
            AppendKind::Install { base } => {
                self.batches.clear();
                (self.last, self.begun_anew) = (*base, *base);
            }
        }
    }
}

/// A snapshot's file, as far as recovery looks at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SnapshotFile {
    pub(super) base: Base,
    pub(super) is_received: bool,
    pub(super) is_rotten: bool,
}

/// Recovers from `files` with the newest snapshot that can be used, as a server does. The oldest
/// stands first.
pub(super) fn recover_newest(
    files: &Files,
    options: Options,
    snapshots: &[SnapshotFile],
) -> Result<Outcome, Damage> {
    for snapshot in snapshots.iter().rev().filter(|snapshot| !snapshot.is_rotten) {
        match recover(files, Options { base: snapshot.base, ..options }) {
            Err(damage) if snapshot.is_received && damage.is_without_snapshot() => {}
            result => return result,
        }
    }
    recover(files, Options { base: Base::default(), ..options })
}

/// So many blocks in bytes.
pub(super) fn segment_bytes(blocks: u32) -> usize {
    usize::try_from(blocks).unwrap() * BLOCK_BYTES
}

/// Recovers from `files`.
pub(super) fn recover(files: &Files, options: Options) -> Result<Outcome, Damage> {
    recover_observed(files, options, &mut |_| {})
}

/// Recovers from `files`, showing each record.
pub(super) fn recover_observed(
    files: &Files,
    options: Options,
    observe: &mut dyn FnMut(Seen<'_>),
) -> Result<Outcome, Damage> {
    let mut recovery = Recovery::new(options);
    for (number, bytes) in files {
        recovery.segment(*number, bytes, observe)?;
    }
    recovery.finish()
}
