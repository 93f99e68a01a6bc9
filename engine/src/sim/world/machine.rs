//! A machine: a disk, clocks, and the process that runs on it, if one does.

use alloc::{format, string::String};

use super::{Knobs, World};
use crate::{
    ids::{Incarnation, Instant, ReplicaId, Slot, WallTime},
    sim::{
        chance::Chance,
        coverage::Situation,
        directory::OpenError,
        disk::{Disk, DiskError, DiskSettings},
        faults::Death,
        server::{Moment, Process},
    },
};

/// When all worlds begin, by their wall clocks.
const EPOCH_MS: i64 = 1_700_000_000_000;

const NS_PER_MS: u64 = 1_000_000;

/// The clocks of a machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// How much the monotonic clock is faster than virtual time, in millionths.
    drift_ppm: i64,
    /// How far the wall clock is off.
    pub(super) wall_offset_ms: i64,
}

impl Clock {
    fn drift_ns(&self, ns: u64) -> i64 {
        let ns = i128::from(ns) * i128::from(self.drift_ppm) / 1_000_000;
        i64::try_from(ns).expect("a run is short")
    }

    /// What the monotonic clock says at a virtual time.
    fn local(&self, now: Instant) -> Instant {
        Instant(now.0.saturating_add_signed(self.drift_ns(now.0)))
    }

    /// The first virtual time at which the monotonic clock says at least `local`.
    fn virtual_time(&self, local: Instant) -> Instant {
        let per_million = u128::try_from(1_000_000 + self.drift_ppm).expect("no clock stands");
        let ns = (u128::from(local.0) * 1_000_000).div_ceil(per_million) + 1;
        Instant(u64::try_from(ns).expect("a run is short"))
    }

    pub(super) fn moment(&self, now: Instant) -> Moment {
        let ms = i64::try_from(now.0 / NS_PER_MS).expect("a run is short");
        let wall = WallTime(EPOCH_MS + ms + self.wall_offset_ms);
        Moment { now, local: self.local(now), wall }
    }
}

/// A machine.
pub(super) struct Machine {
    pub(super) id: ReplicaId,
    pub(super) disk: Disk,
    pub(super) clock: Clock,
    pub(super) process: Option<Process>,
    /// Counts the processes.
    pub(super) process_count: u64,
    /// The turn that is planned.
    turn_at: Option<Instant>,
    /// How the process ends at the operation of the disk that was planned for it.
    pub(super) death: Death,
    /// Its directory is damaged, and no start is of use.
    refuses: bool,
    /// Something on the disk was changed, and no start has coped with it yet.
    pub(super) is_rotten: bool,
    /// A write went to another place: what should be there may be missed by nobody.
    pub(super) is_misdirected: bool,
    /// Whether it has had something of the cluster since its directory was made.
    pub(super) has_log: bool,
    /// The data directory, once there is one.
    pub(super) incarnation: Option<Incarnation>,
    chance: Chance,
}

impl Machine {
    pub(super) fn new(index: usize, knobs: &Knobs, chance: &Chance) -> Self {
        let number = u64::try_from(index).expect("64 bits");
        let mut chance = chance.purpose("machine", number);
        let atomic_bytes = chance.pick(&[512, 4096]);
        let settings = DiskSettings { atomic_bytes, ..knobs.disk };
        Self {
            id: ReplicaId(u16::try_from(index + 1).expect("a few")),
            disk: Disk::new(settings, chance.purpose("disk", 0)),
            clock: Clock {
                drift_ppm: i64::try_from(chance.up_to(2001)).expect("small") - 1000,
                wall_offset_ms: i64::try_from(chance.up_to(2001)).expect("small") - 1000,
            },
            process: None,
            process_count: 0,
            turn_at: None,
            death: Death::Kill,
            refuses: false,
            is_rotten: false,
            is_misdirected: false,
            has_log: false,
            incarnation: None,
            chance,
        }
    }

    /// Whether its server stopped with a report, for good.
    pub(super) fn is_refusing(&self) -> bool {
        self.refuses
    }

    pub(super) fn describe(&self) -> String {
        match &self.process {
            None => format!("{} is down", self.id.0),
            Some(process) => format!("{}: {:?}", self.id.0, process.replica().status()),
        }
    }
}

impl World {
    /// A machine starts its server.
    pub(super) fn start(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.process.is_some() || machine.refuses {
            return;
        }
        machine.process_count += 1;
        let moment = machine.clock.moment(self.now);
        let mut settings = self.knobs.server.clone();
        let upgrade = Instant(0).plus_millis(self.knobs.upgrade_ms);
        settings.feature_level_max = u16::from(upgrade <= self.now);
        let (id, chance) = (machine.id, &machine.chance);
        let started =
            Process::start(id, &settings, chance, moment, &mut machine.disk, &mut self.observer);
        match started {
            Ok(process) => {
                machine.incarnation = Some(process.own().incarnation);
                machine.process = Some(process);
                machine.is_rotten = false;
                machine.is_misdirected = false;
                self.plan_turn(index, self.now);
            }
            Err(OpenError::Disk(error)) => {
                self.observer.coverage.count(Situation::DeathWhileOpening);
                self.observer.note(&id.0, format_args!("cannot start: {error:?}"));
                self.die_of(index, error);
            }
            Err(error) => self.cannot_be_used(index, &error),
        }
    }

    /// A directory is damaged. A server that is alone stops with its report. Others begin anew with
    /// an empty directory, as somebody else, and come back by what the others have.
    fn cannot_be_used(&mut self, index: usize, error: &OpenError) {
        let is_alone = self.is_alone();
        let machine = &mut self.machines[index];
        let id = machine.id;
        self.observer.note(&id.0, format_args!("cannot be used: {error:?}"));
        if *error == OpenError::Short {
            // The last writes went elsewhere, and nothing that followed witnesses them.
            assert!(machine.is_misdirected, "{id:?} is well, and lacks what was durable");
        } else {
            assert!(machine.is_rotten, "{id:?} is well, and says {error:?}");
            self.observer.coverage.count(Situation::DamagedLog);
        }
        if is_alone {
            machine.refuses = true;
            return;
        }
        self.observer.coverage.count(Situation::DamageWiped);
        self.wipe(index);
        let restart = self.now.plus_millis(self.chance.between(1, 1_000));
        self.plan(restart, super::Event::Start(index));
    }

    /// Everything on a machine's disk is lost. Its process must be gone.
    pub(super) fn wipe(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        assert!(machine.process.is_none(), "a process has its directory");
        machine.disk.wipe();
        machine.incarnation = None;
        machine.has_log = false;
        machine.is_rotten = false;
        machine.is_misdirected = false;
    }

    /// Whether there is only one server.
    pub(super) fn is_alone(&self) -> bool {
        self.machines.len() == 1
    }

    /// Whether every voter has the data directory that the configuration names, and none of them is
    /// damaged: only then may something that was acknowledged be lost on one of them.
    pub(super) fn is_whole(&self) -> bool {
        let voters = self.observer.invariants.config().voters();
        !voters.is_empty()
            && voters.iter().all(|voter| {
                let index = usize::from(voter.id.0) - 1;
                let machine = &self.machines[index];
                machine.incarnation == Some(voter.incarnation) && !machine.is_rotten
            })
    }

    /// Has a server take a turn.
    pub(super) fn plan_turn(&mut self, index: usize, at: Instant) {
        let machine = &mut self.machines[index];
        let at = at.max(self.now);
        if machine.process.is_none() || machine.turn_at.is_some_and(|planned| planned <= at) {
            return;
        }
        machine.turn_at = Some(at);
        let count = machine.process_count;
        self.plan(at, super::Event::Turn(index, count));
    }

    /// Has a server take a turn soon, because something has come.
    pub(super) fn plan_turn_soon(&mut self, index: usize) {
        let late_ns = self.machines[index].chance.between(1_000, 60_000);
        self.plan_turn(index, Instant(self.now.0 + late_ns));
    }

    /// A server's turn.
    pub(super) fn turn(&mut self, index: usize, process_count: u64) {
        let machine = &mut self.machines[index];
        if machine.process_count != process_count || machine.turn_at != Some(self.now) {
            return;
        }
        machine.turn_at = None;
        let Some(process) = &mut machine.process else { return };
        let moment = machine.clock.moment(self.now);
        self.steps += 1;
        match process.turn(moment, &mut machine.disk, &mut self.observer) {
            Ok(effects) => {
                machine.has_log = Slot(0) < process.state().applied().slot;
                let next = machine.clock.virtual_time(process.next_turn());
                let next_disk = process.next_disk_turn();
                let done = machine.disk.next_done();
                let next = [Some(next), next_disk, done].into_iter().flatten().min();
                self.carry_out(index, effects);
                if let Some(next) = next {
                    self.plan_turn(index, next.max(Instant(self.now.0 + 1_000)));
                }
            }
            Err(error) => self.die_of(index, error),
        }
    }

    fn die_of(&mut self, index: usize, error: DiskError) {
        let death = match error {
            DiskError::Io => {
                self.observer.coverage.count(Situation::IoError);
                Death::Kill
            }
            DiskError::Dead => {
                self.observer.coverage.count(Situation::DeathAtOperation);
                self.machines[index].death
            }
        };
        self.die(index, death);
    }

    /// A server's process ends without a word. It starts again after a while.
    pub(super) fn die(&mut self, index: usize, death: Death) {
        let machine = &mut self.machines[index];
        machine.process = None;
        machine.turn_at = None;
        let before = machine.disk.counts();
        match death {
            Death::Kill => machine.disk.kill(),
            Death::PowerCut => machine.disk.cut_power(),
        }
        let after = machine.disk.counts();
        let id = machine.id;
        let coverage = &mut self.observer.coverage;
        coverage.count(match death {
            Death::Kill => Situation::Kill,
            Death::PowerCut => Situation::PowerCut,
        });
        coverage.count_many(Situation::TornWrite, after.torn_writes - before.torn_writes);
        coverage.count_many(Situation::LostWrite, after.lost_writes - before.lost_writes);
        self.observer.note(&id.0, format_args!("dies: {death:?}"));
        let pause_ms = self.chance.pick(&[1, 50, 1_000]);
        let restart = self.now.plus_millis(self.chance.between(1, 1 + 2 * pause_ms));
        self.note_trouble(restart.plus_millis(1_000));
        self.plan(restart, super::Event::Start(index));
        self.server_is_gone(index, death);
        self.close_links(index, death);
    }
}
