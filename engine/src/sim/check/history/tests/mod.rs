//! The checks, checked: histories of a small ensemble without consensus, right ones and ones of
//! servers that are broken on purpose; and histories by hand.

mod by_hand;
mod ensemble;
mod random;
mod server;

use alloc::sync::Arc;

use crate::{
    batch::{Base, Batch, BatchHeader, BatchKind, Commands},
    ids::{Ballot, Epoch, Life, ReplicaId, WallTime, Zxid},
};

/// The next batch of a log that ends with `end`.
fn batch_behind(end: &Base, kind: BatchKind, time: WallTime, commands: &Commands) -> Arc<Batch> {
    let is_new = kind == BatchKind::NewEpoch;
    let epoch = Epoch(end.epoch.0 + u32::from(is_new));
    let zxid_count = commands.ends.iter().filter(|end| end.takes_zxid).count();
    let header = BatchHeader {
        slot: end.slot.next(),
        origin: Ballot { round: 1, replica: ReplicaId(1) },
        kind,
        epoch,
        first_zxid: if is_new { Zxid::new(epoch, 1) } else { Zxid(end.last_zxid.0 + 1) },
        zxid_count: u32::try_from(zxid_count).unwrap(),
        command_count: u32::try_from(commands.ends.len()).unwrap(),
        time,
        previous_hash: end.hash,
        hash: end.hash + 1,
    };
    let payload = if is_new { Arc::from([]) } else { commands.payload(Life(1)) };
    Arc::new(Batch { header, payload })
}
