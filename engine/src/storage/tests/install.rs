//! Logs of replicas: batches that take the place of others, snapshots that were received, crashes
//! at any point, rotten snapshots. What comes back is what the appends up to some point add up to,
//! and that point is not before what was acknowledged.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use super::model::{Files, Log, Reference, SnapshotFile, recover_newest, segment_bytes};
use crate::{
    batch::BatchHeader,
    ids::{LogPos, Slot},
    storage::{
        AppendKind, Base,
        block::BLOCK_BYTES,
        recovery::{DamageKind, Recovery},
    },
};

/// What a replica, its leader, or its machine does.
#[derive(Clone, Debug)]
enum Step {
    Append {
        payload_bytes: usize,
    },
    /// Another leader's batch takes the place of some that were not committed.
    Replace {
        back: u64,
        payload_bytes: usize,
    },
    /// Some of what is durable is committed.
    Commit {
        part: prop::sample::Index,
    },
    Flush,
    Pad,
    /// A snapshot of what is committed.
    Snapshot,
    /// A snapshot is received: of the batch that the log has there, if `is_same`.
    Receive {
        slots: u64,
        is_same: bool,
    },
    /// The log goes on behind the one that was received last.
    Install,
    Crash {
        reached: Vec<bool>,
    },
    /// The newest snapshot turns out to be rotten at the next start.
    Rot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..9000_usize).prop_map(|payload_bytes| Step::Append { payload_bytes }),
        2 => (0..4_u64, 0..9000_usize)
            .prop_map(|(back, payload_bytes)| Step::Replace { back, payload_bytes }),
        3 => any::<prop::sample::Index>().prop_map(|part| Step::Commit { part }),
        3 => Just(Step::Flush),
        1 => Just(Step::Pad),
        2 => Just(Step::Snapshot),
        2 => (1..6_u64, any::<bool>())
            .prop_map(|(slots, is_same)| Step::Receive { slots, is_same }),
        2 => Just(Step::Install),
        2 => prop::collection::vec(any::<bool>(), 1..9)
            .prop_map(|reached| Step::Crash { reached }),
        1 => Just(Step::Rot),
    ]
}

/// A replica's disk, and what it and its leader know.
struct Replica {
    log: Log,
    commit: Slot,
    /// Oldest first.
    snapshots: Vec<SnapshotFile>,
    /// The last append whose consequences for older files were drawn.
    trimmed: LogPos,
    /// A snapshot is there that the log was not told of yet.
    received: Option<Base>,
    counts: Counts,
}

/// That the cases occur which this is about.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    installed: u32,
    kept: u32,
    not_installed: u32,
    fell_back: u32,
    refused: u32,
    trimmed: u32,
}

impl Replica {
    fn new() -> Self {
        let mut log = Log::new(16, 1);
        log.commit = Some(Slot(0));
        Self {
            log,
            commit: Slot(0),
            snapshots: Vec::new(),
            trimmed: LogPos(0),
            received: None,
            counts: Counts::default(),
        }
    }

    fn reference(&self) -> Reference {
        Reference::of(&self.log.history)
    }

    /// What the appends add up to that are durable.
    fn durable(&self) -> Reference {
        let count = usize::try_from(self.log.end.durable_pos().0).unwrap();
        Reference::of(&self.log.history[..count])
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Append { payload_bytes } => self.log.append(*payload_bytes),
            Step::Replace { back, payload_bytes } => self.replace(*back, *payload_bytes),
            Step::Commit { part } => {
                let (durable, all) = (self.durable(), self.reference());
                // What is in a snapshot was decided: nothing else is.
                let other = self.received.filter(|base| all.end_at(base.slot) != Some(*base));
                let may_be = |slot: &u64| {
                    let end = durable.end_at(Slot(*slot));
                    let is_durable = end.is_some() && end == all.end_at(Slot(*slot));
                    is_durable && other.is_none_or(|base| *slot < base.slot.0)
                };
                let ahead = (self.commit.0 + 1..).take_while(may_be).count();
                self.commit.0 += u64::try_from(part.index(ahead + 1)).unwrap();
                self.log.commit = Some(self.commit);
            }
            Step::Flush => self.log.flush(),
            Step::Pad => self.log.pad(),
            Step::Snapshot => self.snapshot(),
            Step::Receive { slots, is_same } => self.receive(*slots, *is_same),
            Step::Install => self.install(),
            Step::Crash { reached } => self.crash(reached),
            Step::Rot => self.rot(),
        }
        self.trim();
    }

    fn replace(&mut self, back: u64, payload_bytes: usize) {
        let reference = self.reference();
        let last = Slot(reference.last.slot.0.saturating_sub(back)).max(self.commit);
        let Some(last) = reference.end_at(last) else { return };
        self.log.ballot.round += 1;
        self.log.last = last;
        let header = BatchHeader { origin: self.log.ballot, ..self.log.next_header() };
        self.log.batch(header, &vec![9; payload_bytes]);
    }

    fn snapshot(&mut self) {
        let Some(base) = self.durable().end_at(self.commit) else { return };
        let newest = self.snapshots.last().map_or(Slot(0), |snapshot| snapshot.base.slot);
        if newest < base.slot {
            self.snapshots.push(SnapshotFile { base, is_received: false, is_rotten: false });
            let kind = AppendKind::Snapshot { base };
            self.log.push(kind);
        }
    }

    fn receive(&mut self, slots: u64, is_same: bool) {
        let slot = Slot(self.commit.0 + slots);
        let own = self.reference().end_at(slot).filter(|_| is_same);
        let hash = u128::from(self.log.appended.0) << 64 | 1;
        let base = own.unwrap_or(Base { slot, hash, ..self.log.last });
        // A second one of the same slot would be of the same batch.
        let newest = self.snapshots.last().map_or(Slot(0), |snapshot| snapshot.base.slot);
        if newest < slot && self.received.is_none() {
            self.received = Some(base);
            self.snapshots.push(SnapshotFile { base, is_received: true, is_rotten: false });
        }
    }

    fn install(&mut self) {
        let Some(base) = self.received.take_if(|base| self.commit < base.slot) else { return };
        let before = self.reference();
        self.log.install(base);
        self.commit = base.slot;
        self.log.commit = Some(self.commit);
        let is_kept = base.slot < self.log.last.slot;
        assert!(!is_kept || self.log.last == before.last);
        self.counts.kept += u32::from(is_kept);
        self.counts.installed += u32::from(!is_kept);
    }

    /// Some blocks of the group in flight reached the disk. Then a start.
    fn crash(&mut self, reached: &[bool]) {
        self.log.write();
        if let Some((at, before)) = self.log.in_flight.take() {
            let file = self.log.files.get_mut(&at.segment()).unwrap();
            let place = &mut file[segment_bytes(at.block())..][..before.len()];
            let blocks = place.chunks_mut(BLOCK_BYTES).zip(before.chunks(BLOCK_BYTES));
            for ((block, before), _) in blocks.zip(reached.iter().cycle()).filter(|(_, r)| !**r) {
                block.copy_from_slice(before);
            }
        }
        let outcome =
            recover_newest(&self.log.files, self.log.options(Base::default()), &self.snapshots);
        let outcome = outcome.unwrap_or_else(|damage| panic!("{damage}"));
        let appended = outcome.recovered.appended;
        assert!(self.log.end.durable_pos() <= appended, "fewer than acknowledged");
        let count = usize::try_from(appended.0).unwrap();
        let expected = Reference::of(&self.log.history[..count]);
        let recovered = &outcome.recovered;
        assert_eq!(recovered.batches, expected.behind(recovered.base), "from {:?}", recovered.base);
        assert_eq!((recovered.last(), recovered.promised), (expected.last, expected.promised));
        let installed = self.log.history[..count].iter().filter_map(|append| match append.kind {
            AppendKind::Install { base } => Some(base.slot),
            _ => None,
        });
        let known = installed.max().unwrap_or(Slot(0));
        assert!((known..=self.commit).contains(&recovered.commit_hint));
        let loaded = recovered.base.slot;
        assert!(expected.begun_anew.slot <= loaded);
        // What was not told to the log is removed, or could be used all the same.
        let unused = self.snapshots.len();
        self.snapshots.retain(|snapshot| snapshot.base.slot <= loaded);
        self.counts.not_installed += u32::try_from(unused - self.snapshots.len()).unwrap();
        self.received = None;
        self.trimmed = appended;
        self.commit = recovered.commit_hint.max(loaded).min(recovered.last().slot);
        let mut log = core::mem::replace(&mut self.log, Log::new(16, 0));
        log.commit = Some(self.commit);
        self.log = log.restart(&outcome);
    }

    /// A start with the newest snapshot gone: from an older one, or with the right refusal. Then
    /// the file is as it was.
    fn rot(&mut self) {
        self.log.flush();
        let Some(newest) = self.snapshots.last_mut() else { return };
        newest.is_rotten = true;
        let rotten = newest.base;
        let options = self.log.options(Base::default());
        let result = recover_newest(&self.log.files, options, &self.snapshots);
        self.snapshots.last_mut().unwrap().is_rotten = false;
        let expected = self.durable();
        match result {
            Ok(outcome) => {
                assert_eq!(outcome.recovered.appended, self.log.appended);
                let base = outcome.recovered.base;
                assert!(base.slot < rotten.slot && expected.begun_anew.slot <= base.slot);
                assert_eq!(outcome.recovered.batches, expected.behind(base));
                self.counts.fell_back += 1;
            }
            // It was the one that everything behind depends on.
            Err(damage) => match damage.kind {
                DamageKind::NotInstalled { slot } => {
                    // With several, the first is named.
                    assert!(slot <= rotten.slot.0);
                    assert_eq!(rotten, expected.begun_anew);
                    self.counts.refused += 1;
                }
                _ => {
                    assert!(1 < first(&self.log.files), "{damage}");
                    assert_eq!(rotten, expected.begun_anew, "{damage}");
                }
            },
        }
    }

    /// As the server does: two snapshots stay, and the log from the older one on; after an install
    /// that kept nothing, that one alone.
    fn trim(&mut self) {
        let durable = self.log.end.durable_pos();
        let range = |pos: LogPos| usize::try_from(pos.0).unwrap();
        let news = self.log.history[range(self.trimmed)..range(durable)].to_vec();
        self.trimmed = durable;
        for append in news {
            match append.kind {
                AppendKind::Install { base } if self.log.end.begun_anew() == Some(base) => {
                    self.snapshots.retain(|snapshot| base.slot <= snapshot.base.slot);
                    self.trim_to(base.slot);
                }
                AppendKind::Snapshot { base } | AppendKind::Install { base } => {
                    let up_to: Vec<_> =
                        self.snapshots.iter().filter(|s| s.base.slot <= base.slot).collect();
                    if let [.., older, _] = up_to[..] {
                        let older = older.base.slot;
                        self.snapshots.retain(|snapshot| older <= snapshot.base.slot);
                        self.trim_to(older);
                    }
                }
                _ => {}
            }
        }
    }

    fn trim_to(&mut self, slot: Slot) {
        let newest = self.snapshots.first().map_or(Base::default(), |snapshot| snapshot.base);
        let mut recovery = Recovery::new(self.log.options(newest));
        for (number, bytes) in &self.log.files {
            if recovery.segment(*number, bytes, &mut |_| {}).is_err() {
                return;
            }
        }
        let starts: Vec<_> = recovery
            .segments()
            .iter()
            .filter_map(|segment| Some((segment.number, segment.seal?.base.slot)))
            .collect();
        let mut used = &starts[..];
        while let [_, rest @ ..] = used
            && rest.first().is_some_and(|(_, start)| *start <= slot)
        {
            used = rest;
        }
        if let Some((first_needed, _)) = used.first()
            && first(&self.log.files) < *first_needed
        {
            self.counts.trimmed += 1;
            let gone = first(&self.log.files);
            self.log.recycle(gone);
            self.log.trim(*first_needed);
        }
    }
}

fn first(files: &Files) -> u32 {
    *files.first_key_value().unwrap().0
}

#[test]
fn a_crash_at_any_point_gives_back_what_the_log_added_up_to() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let total = core::cell::RefCell::new(Counts::default());
    let steps = prop::collection::vec(step(), 1..60);
    let result = runner.run(&steps, |steps| {
        let mut replica = Replica::new();
        steps.iter().for_each(|step| replica.step(step));
        replica.step(&Step::Crash { reached: vec![true, false] });
        let (mut total, counts) = (total.borrow_mut(), replica.counts);
        total.installed += counts.installed;
        total.kept += counts.kept;
        total.not_installed += counts.not_installed;
        total.fell_back += counts.fell_back;
        total.refused += counts.refused;
        total.trimmed += counts.trimmed;
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let Counts { installed, kept, not_installed, fell_back, refused, trimmed } = total.into_inner();
    let all = [installed, kept, not_installed, fell_back, refused, trimmed];
    assert!(all.iter().all(|count| 100 < *count), "every case occurs: {all:?}");
}
