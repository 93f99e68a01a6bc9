//! A disk that does what disks may do.
//!
//! Files of bytes that are written in sectors, and names of files. A write is under way for a
//! while; writes complete in any order. A flush of a file makes durable what had completed when the
//! flush began, and nothing else. Names become durable in order, at the latest when they are
//! flushed.
//!
//! What the log must survive: a process that dies (what is under way completes or does not), and a
//! power cut, after which of every write that was not flushed any blocks of 4096 bytes are there
//! and the others are not; on a disk that writes 512 bytes at once, of any block only its first
//! or its last sectors (the log does not tell holes inside of a block from rot, and says so).
//! What it must notice: bits of durable sectors that change, and writes that go to another place.
//! What ends the process: an error of a write or a flush.

use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec, vec::Vec};

use super::chance::Chance;
use crate::ids::Instant;

/// The smallest unit that any disk writes whole.
pub const SECTOR_BYTES: usize = 512;

/// The unit in which everything is written.
const BLOCK_BYTES: usize = crate::limits::SECTOR_BYTES;

/// Names an operation of a disk that is under way.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct OpId(u64);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct FileId(u64);

/// Why an operation failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskError {
    /// The device says so. What reached it is unknown.
    Io,
    /// The machine has no power any more, or the process was killed, in the middle of it.
    Dead,
}

/// Something that takes time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Bytes for a place in a file, which grows if it must.
    Write {
        /// The file's name.
        name: String,
        /// Where.
        offset: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// Makes durable what had completed when this began.
    Flush {
        /// The file's name.
        name: String,
    },
}

/// How fast a disk is, and what it writes whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DiskSettings {
    /// 512 or 4096.
    pub atomic_bytes: usize,
    /// A write takes about so long.
    pub write_ns: u64,
    /// A flush takes about so long.
    pub flush_ns: u64,
}

#[derive(Clone, Debug)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct File {
    /// What a read gives.
    live: Vec<u8>,
    /// What a power cut leaves for sure.
    durable: Vec<u8>,
    /// Completed and not durable, in the order of completion, each with the number under which a
    /// flush covers it.
    unflushed: Vec<(u64, Write)>,
}

#[derive(Clone, Debug)]
enum UnderWay {
    Write(FileId, Write),
    /// Makes the completed writes below this number durable.
    Flush(FileId, u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Bind(String, FileId),
    Rename(String, String),
    Remove(String),
}

/// What a disk has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DiskCounts {
    /// Writes of which a power cut left some units and not others.
    pub torn_writes: u64,
    /// Completed writes that a power cut took away.
    pub lost_writes: u64,
    /// Errors that were returned.
    pub errors: u64,
    /// Writes that went to another place.
    pub misdirected: u64,
}

/// One disk. Outlives the processes that use it.
#[derive(Clone, Debug)]
pub struct Disk {
    settings: DiskSettings,
    chance: Chance,
    files: BTreeMap<FileId, File>,
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    name_changes: Vec<NameChange>,
    under_way: BTreeMap<(Instant, OpId), UnderWay>,
    op_count: u64,
    file_count: u64,
    completed_count: u64,
    /// Nothing completes before.
    stalled_until: Instant,
    /// The operation that ends in an error counts down to it.
    fails_in: Option<u64>,
    /// The operation in which the process or the power goes, likewise.
    dies_in: Option<u64>,
    misdirects_next: bool,
    counts: DiskCounts,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(settings: DiskSettings, chance: Chance) -> Self {
        Self {
            settings,
            chance,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            under_way: BTreeMap::new(),
            op_count: 0,
            file_count: 0,
            completed_count: 0,
            stalled_until: Instant(0),
            fails_in: None,
            dies_in: None,
            misdirects_next: false,
            counts: DiskCounts::default(),
        }
    }

    /// What the device writes whole.
    #[must_use]
    pub fn atomic_bytes(&self) -> usize {
        self.settings.atomic_bytes
    }

    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> DiskCounts {
        self.counts
    }

    // Names.

    /// Makes a file of `len` zeros, which hold nothing of a power cut before a flush.
    pub fn create(&mut self, name: &str, len: usize) {
        self.file_count += 1;
        let id = FileId(self.file_count);
        self.files.insert(id, File { live: vec![0; len], ..File::default() });
        self.names.insert(name.to_owned(), id);
        self.name_changes.push(NameChange::Bind(name.to_owned(), id));
    }

    /// Whether there is such a file.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Renames a file, over another one if there is one.
    pub fn rename(&mut self, from: &str, to: &str) {
        rename(&mut self.names, from, to);
        self.name_changes.push(NameChange::Rename(from.to_owned(), to.to_owned()));
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) {
        self.names.remove(name);
        self.name_changes.push(NameChange::Remove(name.to_owned()));
    }

    /// Makes all names durable.
    pub fn flush_names(&mut self) {
        self.name_changes.clear();
        self.durable_names = self.names.clone();
        self.drop_unnamed();
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    // Content.

    /// A file's bytes as they are read now.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<&[u8]> {
        Some(&self.files[self.names.get(name)?].live)
    }

    /// Cuts a file. A power cut may undo it.
    pub fn truncate(&mut self, name: &str, len: usize) {
        let id = self.names[name];
        self.file_mut(id).live.truncate(len);
    }

    /// Starts an operation, which [`Self::complete`] reports when it is done.
    pub fn submit(&mut self, now: Instant, operation: Operation) -> OpId {
        let mean_ns = match operation {
            Operation::Write { .. } => self.settings.write_ns,
            Operation::Flush { .. } => self.settings.flush_ns,
        };
        let under_way = self.begin(operation);
        let took_ns = 1 + self.chance.about(mean_ns);
        let done = Instant(now.0.max(self.stalled_until.0) + took_ns);
        self.op_count += 1;
        let id = OpId(self.op_count);
        self.under_way.insert((done, id), under_way);
        id
    }

    /// When the next operation is done.
    #[must_use]
    pub fn next_done(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(done, _)| *done)
    }

    /// Completes an operation that is done by `now`, one at a time.
    pub fn complete(&mut self, now: Instant) -> Option<(OpId, Result<(), DiskError>)> {
        let (done, id) = *self.under_way.keys().next()?;
        if now < done {
            return None;
        }
        let result = self.may_go_on();
        if result == Err(DiskError::Dead) {
            return Some((id, result));
        }
        let operation = self.under_way.remove(&(done, id)).expect("it was just seen");
        if result.is_ok() || self.chance.one_in(2) {
            self.finish(operation);
        }
        Some((id, result))
    }

    /// Does an operation while everybody waits.
    ///
    /// # Errors
    ///
    /// When it fails, or the process dies in it.
    pub fn run(&mut self, operation: Operation) -> Result<(), DiskError> {
        let operation = self.begin(operation);
        let result = self.may_go_on();
        if result == Err(DiskError::Dead) {
            self.op_count += 1;
            self.under_way.insert((Instant(0), OpId(self.op_count)), operation);
            return result;
        }
        if result.is_ok() || self.chance.one_in(2) {
            self.finish(operation);
        }
        result
    }

    // What goes wrong.

    /// Nothing completes before `until`.
    pub fn stall(&mut self, until: Instant) {
        self.stalled_until = self.stalled_until.max(until);
        let waiting = core::mem::take(&mut self.under_way);
        for ((done, id), operation) in waiting {
            let done = if done < until { Instant(until.0 + id.0 % 1000) } else { done };
            self.under_way.insert((done, id), operation);
        }
    }

    /// The `count`th operation from now on fails.
    pub fn fail_in(&mut self, count: u64) {
        self.fails_in = Some(count);
    }

    /// In the `count`th operation from now on, whoever uses the disk dies.
    pub fn die_in(&mut self, count: u64) {
        self.dies_in = Some(count);
    }

    /// The next write of more than a superblock goes to another place of its file.
    pub fn misdirect_next(&mut self) {
        self.misdirects_next = true;
    }

    /// Nothing that was planned to go wrong does.
    pub fn calm(&mut self) {
        self.forget_plans();
        self.stalled_until = Instant(0);
    }

    /// The process is gone: what was under way completes, or does not. Nothing that had completed
    /// is lost yet.
    pub fn kill(&mut self) {
        self.forget_plans();
        for (_, operation) in core::mem::take(&mut self.under_way) {
            let UnderWay::Write(id, write) = operation else { continue };
            for block in blocks(&write) {
                if let Some(part) = part(block, self.settings.atomic_bytes, &mut self.chance) {
                    self.finish(UnderWay::Write(id, part));
                }
            }
        }
    }

    /// The power is gone: of what was not flushed, any units survive.
    pub fn cut_power(&mut self) {
        self.kill();
        let kept = match self.chance.below(4) {
            0 => Kept::Nothing,
            1 => Kept::Everything,
            2 => Kept::Writes,
            _ => Kept::Parts,
        };
        for file in self.files.values_mut() {
            file.cut_power(kept, self.settings.atomic_bytes, &mut self.chance, &mut self.counts);
        }
        let changes = core::mem::take(&mut self.name_changes);
        let count = self.chance.below(changes.len() + 1);
        for change in changes.into_iter().take(count) {
            apply(&mut self.durable_names, change);
        }
        self.names = self.durable_names.clone();
        self.drop_unnamed();
    }

    /// Changes what is durably in one sector of a file: a bit, or all of it.
    pub fn rot(&mut self, name: &str, offset: usize) {
        let id = self.names[name];
        let start = offset / SECTOR_BYTES * SECTOR_BYTES;
        let is_bit = self.chance.one_in(2);
        let (byte, bit) = (self.chance.below(SECTOR_BYTES), self.chance.up_to(8));
        let garbage: Vec<u64> = (0..SECTOR_BYTES / 8).map(|_| self.chance.draw()).collect();
        let file = self.file_mut(id);
        for image in [&mut file.live, &mut file.durable] {
            let Some(sector) = image.get_mut(start..start + SECTOR_BYTES) else { continue };
            if is_bit {
                sector[byte] ^= 1 << bit;
            } else {
                for (bytes, word) in sector.chunks_exact_mut(8).zip(&garbage) {
                    bytes.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }

    /// Everything is gone.
    pub fn wipe(&mut self) {
        self.kill();
        self.files.clear();
        self.names.clear();
        self.durable_names.clear();
        self.name_changes.clear();
    }

    fn forget_plans(&mut self) {
        self.fails_in = None;
        self.dies_in = None;
        self.misdirects_next = false;
    }

    fn may_go_on(&mut self) -> Result<(), DiskError> {
        if counts_down(&mut self.dies_in) {
            return Err(DiskError::Dead);
        }
        if counts_down(&mut self.fails_in) {
            self.counts.errors += 1;
            return Err(DiskError::Io);
        }
        Ok(())
    }

    fn begin(&mut self, operation: Operation) -> UnderWay {
        match operation {
            Operation::Write { name, mut offset, bytes } => {
                let id = self.names[&name];
                let blocks = self.files[&id].live.len() / BLOCK_BYTES;
                if self.misdirects_next && 4 < blocks {
                    self.misdirects_next = false;
                    self.counts.misdirected += 1;
                    offset = self.chance.below(blocks) * BLOCK_BYTES;
                    let room = self.files[&id].live.len() - offset;
                    let bytes = bytes.into_iter().take(room).collect();
                    return UnderWay::Write(id, Write { offset, bytes });
                }
                UnderWay::Write(id, Write { offset, bytes })
            }
            Operation::Flush { name } => UnderWay::Flush(self.names[&name], self.completed_count),
        }
    }

    fn finish(&mut self, operation: UnderWay) {
        match operation {
            UnderWay::Write(id, write) => {
                self.completed_count += 1;
                let number = self.completed_count;
                // The file may be gone by now.
                let Some(file) = self.files.get_mut(&id) else { return };
                put(&mut file.live, &write);
                file.unflushed.push((number, write));
            }
            UnderWay::Flush(id, covered) => {
                if let Some(file) = self.files.get_mut(&id) {
                    file.flush(covered);
                }
            }
        }
    }

    fn file_mut(&mut self, id: FileId) -> &mut File {
        self.files.get_mut(&id).expect("a name is of a file")
    }

    fn drop_unnamed(&mut self) {
        let Self { files, names, durable_names, .. } = self;
        files.retain(|id, _| names.values().chain(durable_names.values()).any(|n| n == id));
    }
}

/// What a power cut leaves of what was not flushed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kept {
    Nothing,
    Everything,
    /// Some writes, each whole.
    Writes,
    /// Some parts of each write.
    Parts,
}

impl File {
    fn flush(&mut self, covered: u64) {
        if self.durable.len() != self.live.len() {
            self.durable.resize(self.live.len(), 0);
        }
        let Self { durable, unflushed, .. } = self;
        unflushed.retain(|(number, write)| {
            if *number <= covered {
                put(durable, write);
            }
            covered < *number
        });
    }

    fn cut_power(
        &mut self,
        kept: Kept,
        atomic_bytes: usize,
        chance: &mut Chance,
        counts: &mut DiskCounts,
    ) {
        if self.durable.len() != self.live.len() && chance.one_in(2) {
            self.durable.resize(self.live.len(), 0);
        }
        for (_, write) in core::mem::take(&mut self.unflushed) {
            let (mut there, mut gone) = (0, 0);
            let is_whole = chance.one_in(2);
            for block in blocks(&write) {
                let len = block.bytes.len();
                let left = match kept {
                    Kept::Nothing => None,
                    Kept::Everything => Some(block),
                    Kept::Writes => is_whole.then_some(block),
                    Kept::Parts => part(block, atomic_bytes, chance),
                };
                // A file whose length is not durable has no place for what was written behind it.
                let left = left.filter(|left| left.offset < self.durable.len());
                let left_bytes = left.as_ref().map_or(0, |left| left.bytes.len());
                there += left_bytes;
                gone += len - left_bytes;
                if let Some(left) = left {
                    put(&mut self.durable, &left);
                }
            }
            counts.torn_writes += u64::from(there > 0 && gone > 0);
            counts.lost_writes += u64::from(there == 0);
        }
        self.live.clone_from(&self.durable);
    }
}

/// A write, cut into what lies in each block of the file.
fn blocks(write: &Write) -> Vec<Write> {
    let chunks = write.bytes.chunks(BLOCK_BYTES).enumerate();
    let block = |(index, bytes): (usize, &[u8])| Write {
        offset: write.offset + index * BLOCK_BYTES,
        bytes: bytes.to_vec(),
    };
    chunks.map(block).collect()
}

/// What is left of a block that was being written: all, nothing, or one end of it.
fn part(mut block: Write, atomic_bytes: usize, chance: &mut Chance) -> Option<Write> {
    let unit_count = block.bytes.len().div_ceil(atomic_bytes);
    let kept_bytes = atomic_bytes * chance.below(unit_count + 1);
    if kept_bytes == 0 {
        return None;
    }
    if kept_bytes < block.bytes.len() {
        if chance.one_in(2) {
            block.bytes.truncate(kept_bytes);
        } else {
            let cut = block.bytes.len() - kept_bytes;
            block.bytes.drain(..cut);
            block.offset += cut;
        }
    }
    Some(block)
}

fn put(image: &mut Vec<u8>, write: &Write) {
    let end = write.offset + write.bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[write.offset..end].copy_from_slice(&write.bytes);
}

fn counts_down(count: &mut Option<u64>) -> bool {
    match count {
        Some(0) => {
            *count = None;
            true
        }
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}

fn rename(names: &mut BTreeMap<String, FileId>, from: &str, to: &str) {
    if let Some(id) = names.remove(from) {
        names.insert(to.to_owned(), id);
    }
}

fn apply(names: &mut BTreeMap<String, FileId>, change: NameChange) {
    match change {
        NameChange::Bind(name, id) => {
            names.insert(name, id);
        }
        NameChange::Rename(from, to) => rename(names, &from, &to),
        NameChange::Remove(name) => {
            names.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> Disk {
        let settings = DiskSettings { atomic_bytes: 512, write_ns: 1000, flush_ns: 1000 };
        let mut disk = Disk::new(settings, Chance::new(seed));
        disk.create("file", 4096);
        disk.run(flush()).expect("nothing fails");
        disk.flush_names();
        disk
    }

    fn write(byte: u8) -> Operation {
        Operation::Write { name: "file".to_owned(), offset: 0, bytes: vec![byte; 1024] }
    }

    fn flush() -> Operation {
        Operation::Flush { name: "file".to_owned() }
    }

    #[test]
    fn a_write_that_completes_after_a_flush_began_is_not_covered_by_it() {
        let is_lost = |seed| {
            let mut disk = disk(seed);
            let begun = disk.begin(flush());
            disk.run(write(1)).expect("nothing fails");
            disk.finish(begun);
            disk.cut_power();
            disk.read("file").expect("it is there")[0] == 0
        };
        assert!((0..50).any(is_lost) && !(0..50).all(is_lost));
    }

    #[test]
    fn what_was_flushed_survives_and_what_was_not_may_be_torn() {
        let mut seen = [false; 4];
        for seed in 0..100 {
            let mut disk = disk(seed);
            disk.run(write(1)).expect("nothing fails");
            disk.run(flush()).expect("nothing fails");
            disk.run(write(2)).expect("nothing fails");
            disk.cut_power();
            let bytes = disk.read("file").expect("it is there");
            seen[usize::from(bytes[0] == 2) + 2 * usize::from(bytes[600] == 2)] = true;
            assert!(bytes[..1024].iter().all(|byte| [1, 2].contains(byte)));
        }
        assert_eq!(seen, [true; 4]);
    }

    #[test]
    fn names_survive_in_order() {
        let mut seen = [false; 3];
        for seed in 0..100 {
            let mut disk = disk(seed);
            disk.rename("file", "other");
            disk.create("third", 0);
            disk.cut_power();
            let names: Vec<&str> = disk.names().collect();
            match names[..] {
                ["file"] => seen[0] = true,
                ["other"] => seen[1] = true,
                ["other", "third"] => seen[2] = true,
                _ => panic!("{names:?}"),
            }
        }
        assert_eq!(seen, [true; 3]);
    }
}
