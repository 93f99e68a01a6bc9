//! How a world is made: drawn from the seed, so that what is rare elsewhere is common in some.

use crate::sim::{
    chance::Chance, client, disk::DiskSettings, server::ServerSettings, workload::Workload,
};

/// Most voters of a world. One, until replicas speak to each other.
pub const VOTERS_MAX: usize = 1;

/// What is drawn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Knobs {
    /// Servers with a vote.
    pub voters: usize,
    /// Servers without.
    pub observers: usize,
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
        let tick_ms = chance.pick(&[50, 100, 250]);
        let server = ServerSettings {
            segment_blocks: u32::try_from(chance.pick(&[24, 32, 64, 256])).expect("small"),
            snapshot_batches: chance.pick(&[3, 10, 40, 200]),
            chunk_bytes: chance.pick(&[100, 1000, 20_000]),
            appends_in_flight_max: chance.pick(&[1, 1, 2, 5]),
            tick_ms,
            turn_ms: chance.between(5, 20),
            reap_ms: chance.between(100, 2000),
        };
        let disk = DiskSettings {
            atomic_bytes: 4096,
            write_ns: chance.pick(&[20_000, 200_000, 2_000_000]),
            flush_ns: chance.pick(&[50_000, 1_000_000, 10_000_000]),
        };
        Self {
            voters: 1 + chance.below(VOTERS_MAX),
            observers: 0,
            clients: 1 + chance.below(6),
            trouble_ms: chance.between(2_000, 20_000),
            calm_ms: chance.between(500, 3_000),
            fault_ms: chance.pick(&[200, 1_000, 4_000]),
            window: 64,
            server,
            disk,
            think_ms: chance.pick(&[5, 30, 200]),
            timeout_ms: tick_ms * chance.between(3, 30),
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
