//! A replica's log that was whole and acknowledged, then damaged: recovery must report it or give
//! back every batch behind the snapshot that was received, also when checksums were made right.

use std::{collections::BTreeMap, sync::LazyLock};

use ringkeeper_engine::{
    batch::{self, Base, Batch, BatchHeader, BatchKind},
    ids::{Ballot, Epoch, LogPos, ReplicaId, Slot, WallTime, Zxid},
    storage::{
        Append, AppendKind,
        block::{BLOCK_BYTES, LOCAL_HEADER_BYTES},
        group::{Continuation, LogEnd, Plan},
        recovery::{Damage, Options, Outcome, Recovery},
        segment::SegmentHeader,
        standalone::Owner,
    },
};

const SEGMENT_BLOCKS: u32 = 12;
const OWNER: Owner = Owner { cluster: 7, incarnation: 8 };
const BALLOT: Ballot = Ballot { round: 1, replica: ReplicaId(1) };

/// A whole log.
struct Log {
    files: BTreeMap<u32, Vec<u8>>,
    batches: Vec<Batch>,
    options: Options,
}

static LOG: LazyLock<Log> = LazyLock::new(build);

/// Each six bytes are a change of the log.
pub fn run(data: &[u8]) {
    let mut files = LOG.files.clone();
    let (changes, _) = data.as_chunks();
    for change in changes {
        apply(*change, &mut files);
    }
    match recover(&files) {
        Ok(outcome) => {
            let recovered = outcome.recovered.batches.iter();
            let is_whole = recovered.map(|batch| &**batch).eq(&LOG.batches)
                && outcome.recovered.base == LOG.options.base;
            assert!(is_whole, "a batch was lost unseen");
        }
        Err(damage) => assert!(files != LOG.files, "{damage}, where nothing was changed"),
    }
}

/// As a server does: without the snapshot, if the log was not told to go on behind it.
fn recover(files: &BTreeMap<u32, Vec<u8>>) -> Result<Outcome, Damage> {
    match recover_with(files, LOG.options) {
        Err(damage) if damage.is_without_snapshot() => {
            recover_with(files, Options { base: Base::default(), ..LOG.options })
        }
        result => result,
    }
}

fn recover_with(files: &BTreeMap<u32, Vec<u8>>, options: Options) -> Result<Outcome, Damage> {
    let mut recovery = Recovery::new(options);
    for (number, bytes) in files {
        recovery.segment(*number, bytes, &mut |_| {})?;
    }
    recovery.finish()
}

/// Which block, where in it, what, and how.
fn apply(
    [block, at_high, at_low, byte, how, argument]: [u8; 6],
    files: &mut BTreeMap<u32, Vec<u8>>,
) {
    let count = usize::from(u8::try_from(SEGMENT_BLOCKS).expect("12"));
    let (file, block) = (usize::from(block) / count, usize::from(block) % count);
    let number = u32::try_from(1 + file % files.len()).expect("few files");
    let other = usize::from(argument) % count;
    let Some(file) = files.get_mut(&number) else {
        return;
    };
    let copied: Vec<u8> = block_of(file, other).to_vec();
    let block = block_of(file, block);
    let at = usize::from(u16::from_be_bytes([at_high, at_low])) % BLOCK_BYTES;
    match how % 8 {
        0..=4 => block[at] ^= byte,
        5 => block.fill(byte),
        6 => block[at..].fill(byte),
        _ => block.copy_from_slice(&copied),
    }
    if how & 0x40 != 0 {
        let checksum = crc32c::crc32c(&block[8..LOCAL_HEADER_BYTES]);
        block[4..8].copy_from_slice(&checksum.to_le_bytes());
    }
    if how & 0x80 != 0 {
        // A record's first block leaves its local header out of the checksum.
        let is_first = block[..4] == *b"RKr1";
        let checked = if is_first { LOCAL_HEADER_BYTES } else { 0 }..BLOCK_BYTES - 4;
        let checksum = crc32c::crc32c(&block[checked]);
        block[BLOCK_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn block_of(file: &mut [u8], block: usize) -> &mut [u8] {
    &mut file[block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES]
}

/// Two segments and a third that waits, all flushed, and a superblock that has seen it. In the
/// second the log goes on behind a snapshot.
fn build() -> Log {
    let mut files: BTreeMap<_, _> = (1..=3).map(|number| (number, empty_segment(number))).collect();
    let mut end = LogEnd::new(&Continuation::default());
    let mut batches = Vec::new();
    let mut last = Base::default();
    let mut base = Base::default();
    let mut position = LogPos(0);
    for segment in [1, 2] {
        end.roll(segment, generation_of(segment), SEGMENT_BLOCKS);
        for index in 0..4 {
            position = position.next();
            let append = if (segment, index) == (1, 0) {
                AppendKind::Promise { ballot: BALLOT }
            } else if (segment, index) == (2, 1) {
                base = Base { slot: Slot(last.slot.0 + 5), hash: 7, ..last };
                last = base;
                batches.clear();
                AppendKind::Install { base }
            } else {
                let batch = next_batch(&last);
                last = Base::of(&batch.header);
                batches.push(batch.clone());
                AppendKind::Batch { ballot: BALLOT, batch: batch.into() }
            };
            let append = Append { pos: position, commit: Slot(last.slot.0), kind: append };
            write(&mut end, &append, &mut files);
        }
    }
    let tail = end.durable();
    let options =
        Options { owner: Some(OWNER), base, tail, atomic_bytes: BLOCK_BYTES, ..Options::default() };
    Log { files, batches, options }
}

fn empty_segment(number: u32) -> Vec<u8> {
    let header = SegmentHeader {
        owner: OWNER,
        generation: generation_of(number),
        number,
        block_count: SEGMENT_BLOCKS,
    };
    let mut bytes = header.encode().to_vec();
    bytes.resize(usize::try_from(SEGMENT_BLOCKS).expect("12") * BLOCK_BYTES, 0);
    bytes
}

fn generation_of(segment: u32) -> u64 {
    1000 + u64::from(segment)
}

/// Batches of one to three blocks.
fn next_batch(last: &Base) -> Batch {
    let kind = if last.slot == Slot(0) { BatchKind::NewEpoch } else { BatchKind::Commands };
    let command_count = u32::from(kind == BatchKind::Commands);
    let first = Zxid::new(Epoch(1), 1);
    let mut header = BatchHeader {
        slot: last.slot.next(),
        origin: BALLOT,
        kind,
        epoch: Epoch(1),
        first_zxid: if command_count == 0 { first } else { Zxid(last.last_zxid.0 + 1) },
        zxid_count: command_count,
        command_count,
        time: WallTime(last.time.0 + 1),
        previous_hash: last.hash,
        hash: 0,
    };
    let fill = u8::try_from(header.slot.0).expect("few slots");
    let payload_bytes = usize::from(fill % 3) * BLOCK_BYTES * usize::from(command_count == 1);
    let payload = vec![fill; payload_bytes];
    header.hash = batch::hash(&header, &payload);
    Batch { header, payload: payload.into() }
}

fn write(end: &mut LogEnd, append: &Append, files: &mut BTreeMap<u32, Vec<u8>>) {
    let Plan::Write { block_count, .. } = end.plan(std::iter::once(append)) else {
        panic!("a segment has room for its four appends");
    };
    let mut buffer = vec![0; usize::try_from(block_count).expect("few") * BLOCK_BYTES];
    let at = end.encode(std::slice::from_ref(append), &mut buffer);
    end.flushed();
    let start = usize::try_from(at.block()).expect("few") * BLOCK_BYTES;
    let file = files.get_mut(&at.segment()).expect("three files");
    file[start..start + buffer.len()].copy_from_slice(&buffer);
}
