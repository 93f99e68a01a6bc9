//! What goes wrong, and when.

use super::{Event, World};
use crate::{
    ids::Instant,
    replica::{Config, Voter},
    sim::{
        coverage::Situation,
        directory::{self, OpenError},
        disk::Disk,
        faults::{Death, FaultKind},
        network::Partition,
    },
};

impl World {
    pub(super) fn plan_fault(&mut self) {
        let wait_ms = self.chance.about(self.knobs.fault_ms);
        let at = self.now.plus_millis(1 + wait_ms);
        if at < self.heals_at {
            self.plan(at, Event::Fault);
        }
    }

    /// One thing goes wrong.
    pub(super) fn fault(&mut self) {
        self.plan_fault();
        let kind = self.chance.pick(&self.faults.clone());
        let machine = self.chance.below(self.machines.len());
        match kind {
            FaultKind::Crash => self.crash(machine),
            FaultKind::Disk => self.fault_of_disk(machine),
            FaultKind::Network => self.fault_of_network(),
            FaultKind::Client => self.fault_of_client(),
            FaultKind::Clock => self.fault_of_clock(machine),
            FaultKind::Wipe => self.lose_directory(machine),
            FaultKind::Member => self.change_members(),
        }
    }

    fn crash(&mut self, machine: usize) {
        let death = Death::any(&mut self.chance);
        if self.chance.one_in(6) {
            // A stop that was announced.
            if let Some(process) = &mut self.machines[machine].process {
                process.hand_over();
                let at = self.now.plus_millis(self.chance.between(1, 500));
                self.plan(at, Event::Kill(machine));
                self.plan_turn_soon(machine);
            }
        } else if self.chance.one_in(2) {
            // In the middle of what the disk does next, also of a start.
            self.machines[machine].death = death;
            let count = self.chance.up_to(30);
            self.machines[machine].disk.die_in(count);
            self.note_trouble(self.now.plus_millis(10_000));
        } else if self.machines[machine].process.is_some() {
            self.die(machine, death);
        }
    }

    fn fault_of_disk(&mut self, index: usize) {
        let choice = self.chance.below(if self.may_lose(index) { 8 } else { 4 });
        let machine = &mut self.machines[index];
        match choice {
            0 => {
                let until = self.now.plus_millis(self.chance.between(1, 3_000));
                machine.disk.stall(until);
                self.observer.coverage.count(Situation::DiskStall);
                self.observer.note(&"world", format_args!("disk of {index} stalls"));
                self.note_trouble(until.plus_millis(1_000));
            }
            1 => {
                let count = self.chance.up_to(20);
                machine.disk.fail_in(count);
                self.note_trouble(self.now.plus_millis(10_000));
            }
            2 | 3 => self.rot_something_spare(index),
            4 | 5 => self.rot_something(index),
            _ => self.misdirect(index),
        }
    }

    /// Whether a founder other than this machine has something of the cluster. If none had, they
    /// would take each other for new, and found another one.
    fn is_founded_without(&self, index: usize) -> bool {
        let others = (0..self.knobs.voters).filter(|founder| *founder != index);
        others.map(|founder| &self.machines[founder]).any(|other| other.has_log)
    }

    /// Whether something that this machine has acknowledged may be lost: its directory is the only
    /// one that is not whole, and the others are enough to go on. (With two voters they are not.)
    fn may_lose(&self, index: usize) -> bool {
        let config = self.observer.invariants.config();
        let machine = &self.machines[index];
        let votes = config.voter(machine.id).is_some();
        let is_known = machine.incarnation.is_some() && !machine.is_rotten;
        let window_slots = self.knobs.server.bounds.window_slots_max;
        let is_settled = self.observer.invariants.is_settled(window_slots);
        // What was asked for may still come, until a later leader has decided something.
        let may_change = self.asked_members.as_ref().is_some_and(|(epoch, asked)| {
            self.observer.invariants.epoch() <= *epoch && asked != config
        });
        let is_sure = is_settled && !may_change && self.is_founded_without(index);
        is_sure && self.is_whole() && is_known && (!votes || 2 < config.voters().len())
    }

    /// A sector of the log changes while the server is stopped for a moment.
    fn rot_something(&mut self, index: usize) {
        let segments = directory::segment_names(&self.machines[index].disk);
        if segments.is_empty() {
            return;
        }
        let name = segments[self.chance.below(segments.len())].clone();
        if self.machines[index].process.is_some() {
            self.die(index, Death::Kill);
        }
        self.rot(index, &name);
    }

    /// The next write of the log goes to another place. Soon after, the server is restarted, so
    /// that it may notice.
    fn misdirect(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.process.is_none() {
            return;
        }
        machine.disk.misdirect_next();
        machine.is_rotten = true;
        machine.is_misdirected = true;
        self.observer.coverage.count(Situation::Misdirected);
        self.observer.note(&"world", format_args!("a write of {index} goes elsewhere"));
        let at = self.now.plus_millis(self.chance.between(10, 3_000));
        self.plan(at, Event::Kill(index));
    }

    fn lose_directory(&mut self, index: usize) {
        if self.is_alone() || !self.may_lose(index) {
            return;
        }
        if self.machines[index].process.is_some() {
            self.die(index, Death::PowerCut);
        }
        self.observer.coverage.count(Situation::Wipe);
        self.observer.note(&"world", format_args!("{index} loses its directory"));
        self.wipe(index);
    }

    /// An operator asks whoever leads for other members.
    fn change_members(&mut self) {
        // Of somebody whose directory may be lost, nobody makes a voter.
        if !self.is_whole() {
            return;
        }
        let Some(leader) = self.leader() else { return };
        let Some(config) = self.other_members() else { return };
        self.observer.note(&"world", format_args!("asks {leader} for {config:?}"));
        if let Some(process) = &mut self.machines[leader].process {
            let epoch = process.replica().status().end.epoch;
            self.asked_members = Some((epoch, config.clone()));
            process.reconfigure(config);
            self.plan_turn_soon(leader);
        }
    }

    /// One more voter, or one less, of those that there are.
    fn other_members(&mut self) -> Option<Config> {
        let config = self.observer.invariants.config().clone();
        if self.is_alone() || !config.is_formed() {
            return None;
        }
        let index = self.chance.below(self.machines.len());
        let machine = &self.machines[index];
        if machine.is_rotten {
            return None;
        }
        let own = Voter { id: machine.id, incarnation: machine.incarnation? };
        let mut voters = config.voters().to_vec();
        let mut observers = config.observers().to_vec();
        let is_voter = config.voter(own.id).is_some();
        voters.retain(|voter| voter.id != own.id);
        observers.retain(|observer| observer.id != own.id);
        match (is_voter, self.chance.one_in(2)) {
            (true, _) if voters.is_empty() => return None,
            (true, true) => observers.push(own),
            (true, false) => {}
            (false, _) => voters.push(own),
        }
        Some(config.with_members(voters, observers))
    }

    /// Whoever says that it leads; of several, the one with the highest ballot.
    pub(super) fn leader(&self) -> Option<usize> {
        let ballot = |index: &usize| {
            let process = self.machines[*index].process.as_ref()?;
            process.replica().status().leading
        };
        let leaders = (0..self.machines.len()).filter(|index| ballot(index).is_some());
        leaders.max_by_key(|index| ballot(index))
    }

    fn rot(&mut self, index: usize, name: &str) {
        let machine = &mut self.machines[index];
        let len = machine.disk.read(name).map_or(0, <[u8]>::len);
        if 0 < len {
            machine.is_rotten = true;
            let offset = self.chance.below(len);
            machine.disk.rot(name, offset);
            self.observer.note(&"world", format_args!("{name} of {index} rots at {offset}"));
        }
    }

    /// Changes something of which there is a second copy on the same disk: the newer of two
    /// snapshots, or one of two superblocks. The server is stopped first, so that it looks.
    fn rot_something_spare(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.is_rotten || machine.process.is_none() {
            return;
        }
        let snapshots = directory::snapshot_names(&machine.disk);
        let name = match &snapshots[..] {
            [_, newest] if self.chance.one_in(2) && is_spare(&machine.disk, newest) => {
                newest.clone()
            }
            _ => directory::superblock_name(self.chance.below(2)),
        };
        self.die(index, Death::Kill);
        // What the process was writing may be torn: then the other one is the only one.
        let disk = &self.machines[index].disk;
        if !name.starts_with("superblock") || directory::has_both_superblocks(disk) {
            self.rot(index, &name);
        }
    }

    fn fault_of_network(&mut self) {
        let count = self.machines.len();
        if count < 2 {
            return;
        }
        let leader = self.leader();
        let partition = Partition::any(count, leader, &mut self.chance);
        self.observer.coverage.count(Situation::Partition);
        self.observer.note(&"world", format_args!("network: {partition:?}"));
        self.network.partition(&partition);
        if self.chance.one_in(2) {
            self.network.disturb(&mut self.chance);
        }
        let until = self.now.plus_millis(self.chance.between(10, 5_000));
        self.note_trouble(until.plus_millis(1_000));
        self.plan(until, Event::NetworkHeals);
    }

    pub(super) fn heal_network(&mut self) {
        self.network.calm(&mut self.chance);
    }

    fn fault_of_client(&mut self) {
        let Some(id) = self.connections.any() else { return };
        self.note_trouble(self.now.plus_millis(30_000));
        if self.chance.one_in(2) {
            self.observer.note(&"world", format_args!("{id:?} is reset"));
            self.reset(id);
        } else {
            self.observer.note(&"world", format_args!("{id:?} is silent"));
            self.connections.silence(id);
        }
    }

    fn fault_of_clock(&mut self, index: usize) {
        let step_ms = self.chance.pick(&[10, 1_000, 3_600_000]);
        let by = i64::try_from(self.chance.up_to(2 * step_ms + 1)).expect("hours");
        let by = by - i64::try_from(step_ms).expect("hours");
        self.machines[index].clock.wall_offset_ms += by;
        self.observer.coverage.count(Situation::ClockJump);
        self.observer.note(&"world", format_args!("wall clock of {index} jumps by {by} ms"));
    }

    /// What can only be done to a world that is over: a log that is changed anywhere is either
    /// whole, as far as anything was acknowledged, or found to be damaged.
    pub(super) fn final_checks(&mut self) {
        if !self.faults.contains(&FaultKind::Disk) || 1 < self.machines.len() {
            return;
        }
        let machine = &mut self.machines[0];
        if machine.is_refusing() {
            return;
        }
        machine.process = None;
        machine.disk.kill();
        let segments = directory::segment_names(&machine.disk);
        let name = segments[self.chance.below(segments.len())].clone();
        let len = machine.disk.read(&name).map_or(0, <[u8]>::len);
        let offset = self.chance.below(len.max(1));
        machine.disk.rot(&name, offset);
        self.observer.note(&"world", format_args!("{name} rots at {offset}"));
        let settings = directory::OpenSettings {
            replica: machine.id,
            segment_blocks: self.knobs.server.segment_blocks,
        };
        let now = Instant(self.now.0 + 1);
        match directory::open(&mut machine.disk, settings, self.chance.fork(), now) {
            Ok(opened) => {
                let own = Voter { id: machine.id, incarnation: opened.incarnation };
                self.observer.invariants.recovered(own, &opened.recovered);
            }
            Err(OpenError::Damage(damage)) => {
                self.observer.coverage.count(Situation::DamagedLog);
                self.observer.note(&"world", format_args!("found: {damage}"));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Whether an older snapshot and the log do as well as this one. Behind one that another replica
/// sent, the log may have begun anew.
fn is_spare(disk: &Disk, name: &str) -> bool {
    let found = disk.read(name).map(directory::snapshots::decode);
    matches!(found, Some(Ok((trailer, _))) if !trailer.meta.is_received)
}
