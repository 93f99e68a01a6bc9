//! A batch's payload from a disk or a peer, as whatever bytes.

use ringkeeper_engine::{
    batch::{Batch, BatchHeader, BatchKind, Commands, decode_runs},
    ids::{Ballot, Epoch, Slot, WallTime, Zxid},
    state::{
        Changes, State,
        command::{Committed, encode},
    },
};

/// The first two bytes are the header's counts, the rest is the payload.
pub fn run(data: &[u8]) {
    let Some(([command_count, zxid_count], payload)) = data.split_first_chunk() else {
        return;
    };
    let epoch_start = BatchHeader {
        slot: Slot(1),
        origin: Ballot::default(),
        kind: BatchKind::NewEpoch,
        epoch: Epoch(1),
        first_zxid: Zxid::new(Epoch(1), 1),
        zxid_count: 0,
        command_count: 0,
        time: WallTime(1),
        previous_hash: 0,
        hash: 0,
    };
    let header = BatchHeader {
        slot: Slot(2),
        kind: BatchKind::Commands,
        zxid_count: u32::from(*zxid_count),
        command_count: u32::from(*command_count),
        ..epoch_start.clone()
    };
    let batch = Batch { header, payload: payload.into() };
    let Ok(committed) = Committed::decode(&batch) else {
        return;
    };
    let (_, commands) = decode_runs(payload).expect("decoded before");
    let mut again = Commands::default();
    for command in committed.commands.iter() {
        encode(command, &mut again);
    }
    assert!(again.bytes == commands, "commands have one encoding");
    // A replica applies what was committed, whoever encoded it.
    let mut state = State::new();
    state.begin_batch(&epoch_start);
    state.begin_batch(&committed.header);
    let mut changes = Changes::default();
    for (zxid, command) in committed.with_zxids() {
        // Every outcome is fine, as long as there is one.
        drop(state.apply(zxid, command, &mut changes));
    }
}
