//! Opening a directory: superblocks, the newest State, the log behind it, and a new segment.

use alloc::{borrow::ToOwned, collections::VecDeque, string::String, vec::Vec};

use super::{
    Directory, ReadySegment, Writing,
    files::names,
    snapshots,
    thread::{Step, Thread, prepare, run},
};
use crate::{
    ids::{Ballot, Incarnation, Instant, ReplicaId, Slot},
    sim::{
        chance::Chance,
        disk::{Disk, DiskError, Operation},
    },
    state::State,
    storage::{
        Base, Lsn,
        block::BLOCK_BYTES,
        group::LogEnd,
        kept::{KeptSnapshots, UsedSegment, used_segments},
        recovery::{Damage, EndKind, Options, Outcome, Recovered, Recovery, SegmentSummary},
        segment::SegmentHeader,
        snapshot_file::Trailer,
        standalone::{BlockError, Owner},
        superblock::{Chosen, Superblock, choose},
    },
};

/// How a directory is to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenSettings {
    /// Whose it must be.
    pub replica: ReplicaId,
    /// Length of a segment.
    pub segment_blocks: u32,
}

/// An open directory, and what it held.
#[derive(Debug)]
pub struct Opened {
    /// For what comes.
    pub directory: Directory,
    /// Which life of the directory this is.
    pub incarnation: Incarnation,
    /// For the replica.
    pub recovered: Recovered,
    /// The State that `recovered.base` speaks of.
    pub state: State,
    /// How the log ended.
    pub end: EndKind,
    /// Snapshots that could not be used.
    pub rotten_snapshots: usize,
    /// Whether one superblock could not be read.
    pub is_superblock_lost: bool,
}

/// Why a directory cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OpenError {
    /// An operation failed.
    Disk(DiskError),
    /// The log is damaged.
    Damage(Damage),
    /// Both superblocks are, and there is something else.
    LostSuperblocks,
    /// It can be used, and lacks what was durable: nobody but the simulator can know.
    Short,
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Recovers a directory, or founds one on an empty disk, and rolls to a new segment.
///
/// # Errors
///
/// When it must not be used, or the disk fails meanwhile.
pub fn open(
    disk: &mut Disk,
    settings: OpenSettings,
    mut chance: Chance,
    now: Instant,
) -> Result<Opened, OpenError> {
    let unfinished: Vec<String> =
        disk.names().filter(|name| name.ends_with(names::UNFINISHED)).map(str::to_owned).collect();
    for name in unfinished {
        disk.remove(&name);
    }
    let (mut superblock, is_superblock_lost) = find(disk, settings.replica, &mut chance)?;
    let loaded = recover(disk, &superblock)?;
    let (end, segment, spares) =
        roll(disk, settings, superblock.owner, &loaded.outcome, &mut chance)?;
    let Loaded { outcome, state, snapshots, rotten_snapshots } = loaded;
    superblock.replica = settings.replica;
    superblock.tail = end.durable();
    superblock.promised = end.promised();
    write_superblock(disk, &mut superblock)?;

    let mut segments = Thread::default();
    let left = outcome.continuation.end;
    if 0 < left.segment() {
        let len = usize::try_from(left.block()).expect("32 bits") * BLOCK_BYTES;
        segments.push(Step::Truncate(names::segment(left.segment()), len));
        segments.push(Step::FlushNames);
    }
    let directory = Directory {
        owner: superblock.owner,
        segment_blocks: settings.segment_blocks,
        used: used_segments(
            &outcome,
            UsedSegment { number: segment.number, start: end.last().slot },
        ),
        end,
        segment,
        ready: VecDeque::new(),
        queue: VecDeque::new(),
        writing: Writing::Nothing,
        group: Vec::new(),
        pad: None,
        needs_pad: false,
        idle_since: now,
        witnessed: (Lsn::ZERO, Ballot::default()),
        witnessed_at: now,
        segments,
        superblock,
        witness: None,
        superblock_at: now,
        prepared: segment.number,
        spares,
        snapshots: KeptSnapshots::new(snapshots),
        archive: Thread::default(),
        archive_waits_for: None,
        arrivals: Thread::default(),
        chance,
    };
    Ok(Opened {
        directory,
        incarnation: Incarnation(superblock.owner.incarnation),
        recovered: outcome.recovered,
        state,
        end: outcome.end,
        rotten_snapshots,
        is_superblock_lost,
    })
}

/// Finds the superblocks; founds a cluster where there is nothing.
fn find(
    disk: &mut Disk,
    replica: ReplicaId,
    chance: &mut Chance,
) -> Result<(Superblock, bool), OpenError> {
    let read = |index| -> Result<Superblock, BlockError> {
        let bytes = disk.read(&names::superblock(index)).ok_or(BlockError::Unreadable)?;
        Superblock::decode(bytes.first_chunk().ok_or(BlockError::Unreadable)?)
    };
    let is_empty = names::segments(disk).is_empty() && names::snapshots(disk).is_empty();
    match choose(read(0), read(1)) {
        Ok(Chosen { mut superblock, is_other_unreadable }) => {
            assert!(superblock.replica == replica, "disks stay in their machines");
            for index in 0..2 {
                if !disk.exists(&names::superblock(index)) {
                    disk.create(&names::superblock(index), 0);
                }
            }
            // What a killed process has written and not flushed: before the other one is written
            // over, one of them must be durable.
            let name = names::superblock(superblock.file_index());
            disk.run(Operation::Flush { name })?;
            if is_other_unreadable {
                write_superblock(disk, &mut superblock)?;
                disk.flush_names();
            }
            Ok((superblock, is_other_unreadable))
        }
        Err(_) if is_empty => {
            let owner = Owner { cluster: chance.draw_u128(), incarnation: chance.draw_u128() };
            let mut superblock = Superblock { owner, replica, ..Superblock::default() };
            for index in 0..2 {
                let name = names::superblock(index);
                disk.create(&name, 0);
                let bytes = [0; BLOCK_BYTES].to_vec();
                disk.run(Operation::Write { name, offset: 0, bytes })?;
            }
            write_superblock(disk, &mut superblock)?;
            write_superblock(disk, &mut superblock)?;
            disk.flush_names();
            Ok((superblock, false))
        }
        Err(_) => Err(OpenError::LostSuperblocks),
    }
}

fn write_superblock(disk: &mut Disk, superblock: &mut Superblock) -> Result<(), DiskError> {
    superblock.sequence += 1;
    let name = names::superblock(superblock.file_index());
    let bytes = superblock.encode().to_vec();
    disk.run(Operation::Write { name: name.clone(), offset: 0, bytes })?;
    disk.run(Operation::Flush { name })
}

/// What a directory holds.
struct Loaded {
    outcome: Outcome,
    state: State,
    /// Snapshots that are kept, oldest first.
    snapshots: Vec<Slot>,
    rotten_snapshots: usize,
}

/// Tries the snapshots from the newest on.
fn recover(disk: &mut Disk, superblock: &Superblock) -> Result<Loaded, OpenError> {
    let found = names::snapshots(disk);
    let (mut unused, mut rotten_snapshots) = (Vec::new(), 0);
    for slot in found.iter().rev() {
        let name = names::snapshot(*slot);
        let loaded = snapshots::load(disk.read(&name).expect("it was just listed")).ok();
        let is_ours = |base: &Base, owner: &Owner| base.slot == *slot && *owner == superblock.owner;
        let loaded = loaded.filter(|(file, _)| is_ours(&file.meta.base, &file.owner));
        let Some((Trailer { meta, .. }, state)) = loaded else {
            rotten_snapshots += 1;
            unused.push(name);
            continue;
        };
        match scan(disk, superblock, meta.base) {
            Err(damage) if meta.is_received && damage.is_without_snapshot() => unused.push(name),
            Err(damage) => return Err(OpenError::Damage(damage)),
            Ok(mut outcome) => {
                outcome.recovered.config = meta.config;
                let snapshots = found.iter().copied().filter(|kept| kept <= slot).collect();
                clear_away(disk, &unused);
                return Ok(Loaded { outcome, state, snapshots, rotten_snapshots });
            }
        }
    }
    let outcome = scan(disk, superblock, Base::default()).map_err(OpenError::Damage)?;
    clear_away(disk, &unused);
    Ok(Loaded { outcome, state: State::new(), snapshots: Vec::new(), rotten_snapshots })
}

fn scan(disk: &Disk, superblock: &Superblock, base: Base) -> Result<Outcome, Damage> {
    let mut recovery = Recovery::new(Options {
        owner: Some(superblock.owner),
        base,
        tail: superblock.tail,
        promised: superblock.promised,
        atomic_bytes: disk.atomic_bytes(),
    });
    for number in names::segments(disk) {
        let bytes = disk.read(&names::segment(number)).expect("it was just listed");
        recovery.segment(number, bytes, &mut |_| {})?;
    }
    recovery.finish()
}

/// Snapshots that are newer than the one that is used.
fn clear_away(disk: &mut Disk, unused: &[String]) {
    for name in unused {
        disk.remove(name);
    }
}

/// Enters a new segment, and seals the end of the log before it.
fn roll(
    disk: &mut Disk,
    settings: OpenSettings,
    owner: Owner,
    outcome: &Outcome,
    chance: &mut Chance,
) -> Result<(LogEnd, ReadySegment, Vec<String>), OpenError> {
    let block_count = settings.segment_blocks;
    let bytes = usize::try_from(block_count).expect("32 bits") * BLOCK_BYTES;
    let mut spares = take_unused(disk, outcome, bytes);
    let used = |segment: &&SegmentSummary| segment.seal.is_some();
    let last_used = outcome.segments.iter().filter(used).map(|segment| segment.number).max();
    let number = last_used.unwrap_or(0) + 1;
    let generation = chance.draw();
    let header = SegmentHeader { owner, generation, number, block_count };
    let steps = prepare(disk, spares.pop(), &header);
    run(disk, steps)?;
    // What a killed process has written and not flushed counts as durable from here on.
    let left = outcome.continuation.end.segment();
    if 0 < left {
        run(disk, [Step::Flush(names::segment(left))].to_vec())?;
    }
    let mut end = LogEnd::new(&outcome.continuation);
    end.roll(number, generation, block_count);
    let mut seal = [0; BLOCK_BYTES];
    let at = end.encode(&[], &mut seal);
    let name = names::segment(number);
    let offset = usize::try_from(at.block()).expect("32 bits") * BLOCK_BYTES;
    run(disk, [Step::write(&name, offset, seal.to_vec()), Step::Flush(name)].to_vec())?;
    end.flushed();
    Ok((end, ReadySegment { number, generation, block_count }, spares))
}

/// Makes spares of the segments that were never used, the last first.
fn take_unused(disk: &mut Disk, outcome: &Outcome, bytes: usize) -> Vec<String> {
    let mut spares = Vec::new();
    let unused = outcome.segments.iter().rev().take_while(|segment| segment.seal.is_none());
    for segment in unused {
        let name = names::segment(segment.number);
        let is_whole = disk.read(&name).is_some_and(|content| content.len() == bytes);
        if segment.is_sound && is_whole {
            let spare = names::spare(segment.number);
            disk.rename(&name, &spare);
            spares.push(spare);
        } else {
            disk.remove(&name);
        }
    }
    disk.flush_names();
    spares
}
