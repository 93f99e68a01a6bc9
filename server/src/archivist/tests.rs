//! A snapshot has the configuration as of its slot.

use std::{path::Path, sync::Arc};

use ringkeeper_engine::{
    batch::{BatchHeader, BatchKind},
    consensus::config::{Config as Members, Voter},
    ids::{Ballot, Epoch, Incarnation, ReplicaId, Slot, Zxid},
    state::{State, command::Committed},
};
use tempfile::TempDir;

use super::{ArchivistSettings, ArchivistStart, start};
use crate::{
    clock::{self, Clock},
    config::Config,
    disk::{DiskConfig, open::open, survey::survey},
    mailbox::{Receiver, Sender, mailbox},
    messages::{ToArchivist, ToReplica},
    recovered_state::StateLoader,
};

fn members(count: u16) -> Arc<[u8]> {
    let voter = |id| Voter { id: ReplicaId(id), incarnation: Incarnation(1) };
    Members::new((1..=count).map(voter).collect()).encode()
}

fn committed(slot: u64, kind: BatchKind) -> ToArchivist {
    let header = BatchHeader {
        slot: Slot(slot),
        origin: Ballot::default(),
        kind,
        epoch: Epoch(0),
        first_zxid: Zxid(1),
        zxid_count: 0,
        command_count: 0,
        time: clock::wall(),
        previous_hash: 0,
        hash: 0,
    };
    ToArchivist::Committed(Arc::new(Committed { header, commands: Box::default() }))
}

/// Has a snapshot written. Returns how many voters the newest names.
fn snapshot(to: &Sender<ToArchivist>, replica: &Receiver<ToReplica>, directory: &Path) -> usize {
    to.send_blocking(ToArchivist::Snapshot).ok().unwrap();
    loop {
        match replica.recv_blocking(None) {
            crate::mailbox::Received::Message(ToReplica::SnapshotDone(_)) => break,
            crate::mailbox::Received::Message(_) => {}
            _ => panic!("the archivist is there"),
        }
    }
    let survey = survey(directory, directory, false).unwrap();
    let trailer = survey.snapshots.last().unwrap().trailer.as_ref().unwrap();
    trailer.config.as_ref().map_or(0, |config| config.voters.len())
}

#[test]
fn a_snapshot_has_the_newest_configuration() {
    let directory = TempDir::new().unwrap();
    let mut config = Config::new(directory.path().to_owned(), ([127, 0, 0, 1], 0).into());
    (config.segment_bytes, config.allow_tmpfs) = (8 << 20, true);
    let opened = open::<StateLoader>(&DiskConfig::new(&config)).expect("a fresh directory");
    let (replica, from_archivist) = mailbox(16, "replica");
    let (to, inbox) = mailbox(16, "archivist");
    let archivist = ArchivistStart {
        settings: ArchivistSettings::new(&config),
        clock: Clock::start(),
        state: State::new(),
        wants_snapshot_from: None,
        config: members(1),
        directory: opened.snapshots,
        replica,
    };
    let thread = start(archivist, inbox).unwrap();
    let tell = |message| to.send_blocking(message).ok().unwrap();
    let newest = || snapshot(&to, &from_archivist, directory.path());

    tell(committed(1, BatchKind::Commands));
    assert_eq!(newest(), 1, "that of the snapshot that was loaded");
    tell(ToArchivist::Config(members(2)));
    tell(committed(2, BatchKind::Config));
    // Decided later than what the next snapshot is of.
    tell(ToArchivist::Config(members(3)));
    tell(committed(3, BatchKind::Config));
    tell(committed(4, BatchKind::Commands));
    assert_eq!(newest(), 3);
    tell(ToArchivist::Stop);
    thread.join().unwrap();
    opened.segments.stop();
}
