//! Which kinds of faults a run may have, and how often.

use alloc::vec::Vec;

use super::chance::Chance;

/// A kind of fault.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FaultKind {
    /// Processes are killed and machines lose their power, at any moment and at any operation of a
    /// disk, also while they start.
    Crash,
    /// Disks stand still, report errors, and change what they hold.
    Disk,
    /// Links between servers lose, repeat, delay and reorder; partitions of all shapes.
    Network,
    /// Clients' connections are cut, or carry nothing any more without anybody being told.
    Client,
    /// Wall clocks jump.
    Clock,
    /// A server loses its data directory.
    Wipe,
    /// Members come and go.
    Member,
}

impl FaultKind {
    /// All of them, by the names that the command line knows.
    pub const ALL: &[(&str, Self)] = &[
        ("crash", Self::Crash),
        ("disk", Self::Disk),
        ("network", Self::Network),
        ("client", Self::Client),
        ("clock", Self::Clock),
        ("wipe", Self::Wipe),
        ("member", Self::Member),
    ];

    /// Reads a list such as `crash,disk`. `all` and `none` are what they say.
    ///
    /// # Errors
    ///
    /// The name that is none of a fault.
    pub fn parse(list: &str) -> Result<Vec<Self>, &str> {
        match list {
            "all" => Ok(Self::ALL.iter().map(|(_, kind)| *kind).collect()),
            "none" => Ok(Vec::new()),
            list => list.split(',').map(Self::parse_one).collect(),
        }
    }

    fn parse_one(wanted: &str) -> Result<Self, &str> {
        let found = Self::ALL.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, kind)| *kind).ok_or(wanted)
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Death {
    /// Killed: what its disk has completed stays.
    Kill,
    /// With the power of its machine.
    PowerCut,
}

impl Death {
    /// One or the other.
    pub fn any(chance: &mut Chance) -> Self {
        if chance.one_in(2) { Self::Kill } else { Self::PowerCut }
    }
}
