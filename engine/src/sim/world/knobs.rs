//! How a world is made: drawn from the seed, so that what is rare elsewhere is common in some.

use crate::{
    ids::ReplicaId,
    replica::{Bounds, Timing},
    sim::{chance::Chance, client, disk::DiskSettings, server::ServerSettings, workload::Workload},
};

/// Most voters of a world.
pub const VOTERS_MAX: usize = 7;

/// What is drawn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Knobs {
    /// Servers with a vote.
    pub voters: usize,
    /// Servers without.
    pub observers: usize,
    /// From when on servers start with a version that knows one more feature level.
    pub upgrade_ms: u64,
    /// Clients.
    pub clients: usize,
    /// How long things go wrong.
    pub trouble_ms: u64,
    /// How long things must go right afterwards.
    pub calm_ms: u64,
    /// About how long it is between two faults.
    pub fault_ms: u64,
    /// Undecided slots that a log may have (I8).
    pub window: u64,
    /// Of every server.
    pub server: ServerSettings,
    /// Of every disk but its smallest unit, which is drawn for each.
    pub disk: DiskSettings,
    /// About how long clients think.
    pub think_ms: usize,
    /// What clients ask for as session timeouts, about.
    pub timeout_ms: u64,
}

impl Knobs {
    /// Those of a seed.
    #[must_use]
    pub fn draw(chance: &mut Chance) -> Self {
        let voters = chance.pick(&[1, 1, 2, 3, 3, 3, 3, 4, 5, 5, VOTERS_MAX]);
        let observers = if voters == 1 { 0 } else { chance.pick(&[0, 0, 0, 1, 2]) };
        let tick_ms = chance.pick(&[50, 100, 250]);
        let bounds = Self::draw_bounds(chance);
        let server = ServerSettings {
            segment_blocks: u32::try_from(chance.pick(&[24, 32, 64, 256])).expect("small"),
            snapshot_batches: chance.pick(&[3, 10, 40, 200]),
            chunk_bytes: chance.pick(&[100, 1000, 20_000]),
            appends_in_flight_max: chance.pick(&[1, 1, 2, 5]),
            tick_ms,
            turn_ms: chance.between(5, 20),
            reap_ms: chance.between(100, 2000),
            founders: (1..=voters).map(id).collect(),
            bounds,
            timing: Timing::default(),
            all_to_all: voters <= 5 && chance.one_in(4),
            feature_level_max: 0,
        };
        let disk = DiskSettings {
            atomic_bytes: 4096,
            write_ns: chance.pick(&[20_000, 200_000, 2_000_000]),
            flush_ns: chance.pick(&[50_000, 1_000_000, 10_000_000]),
        };
        let trouble_ms = chance.between(2_000, 20_000);
        Self {
            voters,
            observers,
            upgrade_ms: chance.up_to(2 * trouble_ms),
            clients: 1 + chance.below(6),
            trouble_ms,
            calm_ms: chance.between(500, 3_000),
            fault_ms: chance.pick(&[200, 1_000, 4_000]),
            window: window(&server.bounds),
            server,
            disk,
            think_ms: chance.pick(&[5, 30, 200]),
            timeout_ms: tick_ms * chance.between(3, 30),
        }
    }

    fn draw_bounds(chance: &mut Chance) -> Bounds {
        Bounds {
            window_slots_max: chance.pick(&[1, 3, 64]),
            kept_slots_max: chance.pick(&[0, 3, 64]),
            message_bytes_max: chance.pick(&[1, 500, 1 << 20]),
            ..Bounds::default()
        }
    }

    /// How a client behaves.
    #[must_use]
    pub fn client(&self, id: usize, chance: &mut Chance) -> client::Options {
        let workload = match id {
            0 | 1 if chance.one_in(2) => Workload::Registers,
            _ => chance.pick(&Workload::ALL),
        };
        let timeout_ms = self.timeout_ms / 2 + chance.up_to(self.timeout_ms);
        client::Options {
            servers: self.voters + self.observers,
            timeout_ms: i32::try_from(timeout_ms).expect("some seconds"),
            workload,
            pipeline_max: 1 + chance.below(8),
            think_ms: self.think_ms,
            moves_one_in: chance.pick(&[0, 40, 10]),
            ends_one_in: chance.pick(&[0, 80, 20]),
        }
    }
}

fn id(number: usize) -> ReplicaId {
    ReplicaId(u16::try_from(number).expect("a few"))
}

/// Beside what the window has room for, every leader that did not come far may have left a batch of
/// its own.
fn window(bounds: &Bounds) -> u64 {
    u64::try_from(bounds.window_slots_max).expect("64 bits") + 64
}
