//! Reads back everything that the lanes wrote.

use super::{
    lane::{Lane, MISSING},
    model::{EPHEMERALS, Seen},
};
use crate::wire::{
    Connection, Failure,
    records::{self, op},
};

/// Everything below `/t` and `/e`.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) nodes: Seen,
}

impl Reading {
    /// Reads the whole tree of the torture.
    pub(super) fn of_everything(connection: &mut Connection) -> Result<Self, Failure> {
        let mut reading = Self::default();
        for root in ["/t", EPHEMERALS] {
            reading.below(connection, root)?;
        }
        Ok(reading)
    }

    /// What belongs to one lane, read by itself.
    pub(super) fn of_lane(connection: &mut Connection, lane: &Lane) -> Result<Seen, Failure> {
        let mut reading = Self::default();
        reading.node(connection, &lane.root)?;
        reading.below(connection, &lane.root)?;
        let prefix = lane.ephemeral_prefix();
        for name in connection.children(EPHEMERALS)? {
            let path = format!("{EPHEMERALS}/{name}");
            if path.starts_with(&prefix) {
                reading.node(connection, &path)?;
            }
        }
        Ok(reading.nodes)
    }

    /// Takes out what belongs to one lane.
    pub(super) fn take_lane(&mut self, lane: &Lane) -> Seen {
        let (root, prefix) = (format!("{}/", lane.root), lane.ephemeral_prefix());
        let nodes = std::mem::take(&mut self.nodes);
        let (mine, rest) = nodes.into_iter().partition(|(path, _)| {
            *path == lane.root || path.starts_with(&root) || path.starts_with(&prefix)
        });
        self.nodes = rest;
        mine
    }

    fn below(&mut self, connection: &mut Connection, path: &str) -> Result<(), Failure> {
        for name in connection.children(path)? {
            let child = format!("{path}/{name}");
            if self.node(connection, &child)? && child.len() < 40 {
                self.below(connection, &child)?;
            }
        }
        Ok(())
    }

    /// Reads one znode; false when it went meanwhile (only ephemerals of silent sessions may).
    fn node(&mut self, connection: &mut Connection, path: &str) -> Result<bool, Failure> {
        let reply = connection.call(op::GET_DATA, &records::path_watch(path, false))?;
        if reply.err == MISSING && path.starts_with(EPHEMERALS) {
            return Ok(false);
        }
        let (data, stat) = reply.data()?;
        let has_children = 0 < stat.num_children;
        self.nodes.insert(path.to_owned(), (data, stat));
        Ok(has_children)
    }
}
