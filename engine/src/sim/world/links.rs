//! Messages between servers.

use alloc::vec::Vec;

use super::{Event, World};
use crate::{
    ids::ReplicaId,
    replica::{codec, message::Envelope},
    sim::{coverage::Situation, faults::Death},
};

/// All servers of a world are of one cluster.
const CLUSTER: u128 = 1;

impl World {
    /// What a server has for others.
    pub(super) fn send_packets(&mut self, from: usize, packets: Vec<Envelope>) {
        for envelope in packets {
            let Some(to) = self.machine_of(envelope.to.id) else { continue };
            let mut frame = Vec::new();
            codec::encode(CLUSTER, &envelope, &mut frame);
            for at in self.network.send(self.now, from, to) {
                self.plan(at, Event::Packet(frame.clone()));
            }
        }
    }

    pub(super) fn packet_arrives(&mut self, frame: &[u8]) {
        let (cluster, envelope) = codec::decode(frame).expect("what was encoded can be decoded");
        assert!(cluster == CLUSTER, "there is one cluster");
        let (from, to) = (self.machine_of(envelope.from.id), self.machine_of(envelope.to.id));
        let (Some(from), Some(to)) = (from, to) else { return };
        // What was on its way when a link went down is lost.
        if !self.network.is_up(from, to) {
            return;
        }
        if let Some(process) = &mut self.machines[to].process {
            process.take_message(envelope);
            self.plan_turn_soon(to);
        }
    }

    /// The others learn at once of a process that was killed, if they are connected; of a machine
    /// without power they do not.
    pub(super) fn close_links(&mut self, gone: usize, death: Death) {
        if death == Death::PowerCut {
            return;
        }
        let id = self.machines[gone].id;
        for other in 0..self.machines.len() {
            if other != gone && self.network.is_up(gone, other) {
                let late_ns = self.chance.between(20_000, 3_000_000);
                let at = crate::ids::Instant(self.now.0 + late_ns);
                self.plan(at, Event::LinkClosed(other, id));
            }
        }
    }

    pub(super) fn link_closed(&mut self, index: usize, peer: ReplicaId) {
        if let Some(process) = &mut self.machines[index].process {
            process.link_closed(peer);
            self.observer.coverage.count(Situation::LinkClosed);
            self.plan_turn_soon(index);
        }
    }

    fn machine_of(&self, id: ReplicaId) -> Option<usize> {
        let index = usize::from(id.0).checked_sub(1)?;
        (index < self.machines.len()).then_some(index)
    }
}
