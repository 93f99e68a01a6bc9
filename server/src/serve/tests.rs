//! Stories of a replica core, an archivist and a real data directory, without sockets: the test is
//! the only shard.

use std::{path::Path, sync::Arc, thread, time::Duration};

use glommio::LocalExecutorBuilder;
use ringkeeper_engine::{
    batch::Commands,
    ids::{Owner, SessionId, Slot, Xid},
    state::{
        Changes, State,
        command::{Command, Committed, CreateKind, CreateOp, Op, encode},
    },
};

use super::*;
use crate::{
    disk::open::open,
    messages::{
        ArchivistAnswer, ArchivistQuestion, ReplicaAnswer, ReplicaQuestion, SyncId, ToShard,
    },
};

/// Longer than any step of a story takes on a busy machine.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// A server without sockets.
struct Life {
    replica: Sender<ToReplica>,
    archivist: Sender<ToArchivist>,
    inbox: Receiver<ToShard>,
    core: thread::JoinHandle<()>,
    archivist_thread: thread::JoinHandle<()>,
    segments: Segments,
    lock: crate::disk::open::DirectoryLock,
    /// What the shard that the test plays has applied.
    state: State,
    clock: Clock,
}

fn settings(directory: &Path) -> Config {
    let mut config = Config::new(directory.to_owned(), ([127, 0, 0, 1], 0).into());
    config.segment_bytes = 8 << 20;
    config.snap_count = 50;
    config.tick_time_ms = 20;
    config.allow_tmpfs = true;
    config
}

impl Life {
    fn start(directory: &Path) -> Self {
        let config = settings(directory);
        let clock = Clock::start();
        let opened = open::<StateLoader>(&DiskConfig::new(&config)).expect("a sound directory");
        let (replica, replica_inbox) = mailbox(16, "replica");
        let (archivist, archivist_inbox) = mailbox(4, "archivist");
        // So small that batches must wait for room.
        let (shard, inbox) = mailbox(2, "shard");
        let state = opened.snapshot.map(|(_, state)| state).unwrap_or_default();
        let archivist_thread = archivist::start(
            ArchivistStart {
                settings: ArchivistSettings::new(&config),
                clock,
                state: state.clone(),
                wants_snapshot_from: None,
                config: opened.recovered.config.clone(),
                directory: opened.snapshots,
                replica: replica.clone(),
            },
            archivist_inbox,
        );
        let own = Voter { id: config.replica_id, incarnation: opened.incarnation };
        let parts = (
            ReplicaSettings::standalone(&config, own),
            ReplicaLinks { shards: vec![shard], archivist: archivist.clone() },
            opened.recovered,
            state.sessions().map(|(id, session)| (id, session.timeout_ms)).collect(),
            opened.log,
        );
        let core = LocalExecutorBuilder::default().io_memory(512 << 10).spawn(move || async move {
            let (settings, links, recovered, sessions, log) = parts;
            let core = ReplicaCore::new(settings, links, clock, recovered, sessions);
            core.run(replica_inbox, log).await;
        });
        let core = core.expect("an executor");
        Self {
            replica,
            archivist,
            inbox,
            core: thread::spawn(move || core.join().expect("no panic")),
            archivist_thread: archivist_thread.expect("a thread"),
            segments: opened.segments,
            lock: opened.lock,
            state,
            clock,
        }
    }

    fn send(&self, message: ToReplica) {
        assert!(self.replica.send_blocking(message).is_ok(), "the replica core receives");
    }

    fn submit(&self, op: Op) {
        let mut commands = Commands::default();
        encode(&command(op), &mut commands);
        self.send(ToReplica::Commands(commands));
    }

    /// The next message for the shard.
    fn receive(&self) -> ToShard {
        match self.inbox.recv_blocking(PATIENCE) {
            Received::Message(message) => message,
            Received::Timeout | Received::Closed => panic!("nothing came"),
        }
    }

    fn apply(&mut self, committed: &Committed) {
        self.state.begin_batch(&committed.header);
        for (zxid, command) in committed.with_zxids() {
            let done = self.state.apply(zxid, command, &mut Changes::default());
            done.expect("every command of these stories succeeds");
        }
    }

    /// Applies what comes until `is_done`.
    fn apply_until(&mut self, is_done: impl Fn(&State) -> bool) {
        while !is_done(&self.state) {
            if let ToShard::Committed(committed) = self.receive() {
                self.apply(&committed);
            }
        }
    }

    /// Reports that nobody was heard of.
    fn report(&self) {
        let heard_until = self.clock.now();
        self.send(ToReplica::Touched { shard: ShardId(0), heard_until, sessions: Vec::new() });
    }

    fn last_snapshot(&self) -> Option<Slot> {
        let (reply, answers) = mailbox(1, "answers");
        let ask = ToArchivist::Ask { question: ArchivistQuestion::LastSnapshot, reply };
        assert!(self.archivist.send_blocking(ask).is_ok(), "the archivist receives");
        match answers.recv_blocking(PATIENCE) {
            Received::Message(ArchivistAnswer::LastSnapshot(done)) => {
                done.map(|done| done.base.slot)
            }
            other => panic!("another answer: {other:?}"),
        }
    }

    fn stats(&self) -> Box<crate::metrics::ReplicaStats> {
        let (reply, answers) = mailbox(1, "answers");
        self.send(ToReplica::Ask { question: ReplicaQuestion::Stats, reply });
        match answers.recv_blocking(PATIENCE) {
            Received::Message(ReplicaAnswer::Stats(stats)) => stats,
            other => panic!("another answer: {other:?}"),
        }
    }

    /// Stops in order and returns what the shard has applied.
    fn stop(self) -> State {
        self.send(ToReplica::Stop);
        self.core.join().expect("it ends");
        assert!(self.archivist.send_blocking(ToArchivist::Stop).is_ok(), "the archivist receives");
        self.archivist_thread.join().expect("it ends");
        self.segments.stop();
        drop(self.lock);
        self.state
    }
}

fn command(op: Op) -> Command {
    Command {
        session: SessionId(7),
        owner: Owner(7),
        cxid: Xid(1),
        auth: Vec::new(),
        skip_acl: false,
        enforce_quota: false,
        op,
    }
}

fn create_session(timeout_ms: i32) -> Op {
    Op::CreateSession { timeout_ms, password: [1; 16] }
}

fn create(number: usize) -> Op {
    Op::Create(CreateOp {
        path: (*format!("/z{number:04}")).into(),
        data: None,
        acl: ringkeeper_engine::state::acl::open(),
        kind: CreateKind::Persistent,
        sequential: false,
    })
}

#[test]
fn a_restart_goes_on_from_snapshot_and_tail() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut life = Life::start(directory.path());
    let znodes_at_first = life.state.znode_count();
    life.submit(create_session(60_000));
    for number in 0..300 {
        life.submit(create(number));
        if number % 7 == 0 {
            let count = znodes_at_first + number + 1;
            life.apply_until(|state| state.znode_count() == count);
        }
    }
    life.apply_until(|state| state.znode_count() == znodes_at_first + 300);
    while life.last_snapshot().is_none() {
        thread::yield_now();
    }
    assert!(life.stats().commit_count > 40, "a batch was not waited for by all");
    let before = life.stop();

    let mut life = Life::start(directory.path());
    assert!(life.state.applied().slot > Slot(0), "it begins with a snapshot");
    let epoch = before.applied().epoch.0 + 1;
    life.apply_until(|state| state.applied().epoch.0 == epoch);
    assert_eq!(life.state.digest(), before.digest());
    assert_eq!(life.state.znode_count(), before.znode_count());
    assert!(life.state.last_zxid() > before.last_zxid());
    life.submit(create(300));
    life.apply_until(|state| state.znode_count() == znodes_at_first + 301);
    life.stop();
}

#[test]
fn a_read_index_covers_what_was_shown_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut life = Life::start(directory.path());
    life.submit(create_session(60_000));
    life.apply_until(|state| state.session_count() == 1);
    life.send(ToReplica::Sync { shard: ShardId(0), id: SyncId(1) });
    life.send(ToReplica::Sync { shard: ShardId(0), id: SyncId(2) });
    let mut answered = SyncId(0);
    while answered != SyncId(2) {
        let ToShard::ReadIndex { id, slot } = life.receive() else { continue };
        assert!(slot >= life.state.applied().slot, "what this shard has shown already");
        answered = id;
    }
    life.stop();
}

#[test]
fn a_silent_session_is_closed_by_a_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut life = Life::start(directory.path());
    life.submit(create_session(60));
    life.apply_until(|state| state.session_count() == 1);
    life.send(ToReplica::Sessions { opened: vec![(SessionId(7), 60)], closed: Vec::new() });
    while life.state.session_count() == 1 {
        thread::sleep(Duration::from_millis(1));
        life.report();
        while let Some(message) = life.inbox.try_recv() {
            if let ToShard::Committed(committed) = message {
                life.apply(&committed);
            }
        }
    }
    assert_eq!(life.stats().sessions_expired, 1);
    life.stop();
}

#[test]
fn sessions_that_recovery_found_live_for_their_full_timeout() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut life = Life::start(directory.path());
    life.submit(create_session(30_000));
    for number in 0..60 {
        life.submit(create(number));
    }
    life.apply_until(|state| state.session_count() == 1 && state.znode_count() > 60);
    while life.last_snapshot().is_none() {
        thread::yield_now();
    }
    let expiries = |life: &Life| {
        let (reply, answers) = mailbox(1, "answers");
        life.send(ToReplica::Ask { question: ReplicaQuestion::Expiries, reply });
        match answers.recv_blocking(PATIENCE) {
            Received::Message(ReplicaAnswer::Expiries(expiries)) => expiries,
            other => panic!("another answer: {other:?}"),
        }
    };
    assert_eq!(expiries(&life), [], "the shard has not reported it");
    life.stop();
    let life = Life::start(directory.path());
    // The first step has been made.
    life.receive();
    let listed = expiries(&life);
    let [(left_ms, sessions)] = &listed[..] else { panic!("one bucket: {listed:?}") };
    assert!(*left_ms >= 30_000 && *sessions == [SessionId(7)], "{listed:?}");
    life.stop();
}

#[test]
fn every_receiver_gets_the_same_batch() {
    let directory = tempfile::tempdir().expect("a directory");
    let life = Life::start(directory.path());
    life.submit(create_session(60_000));
    let ToShard::Committed(committed) = life.receive() else { panic!("the new epoch comes first") };
    assert_eq!(committed.header.slot, Slot(1));
    let ToShard::Committed(committed) = life.receive() else { panic!("then the session") };
    assert_eq!(committed.commands.len(), 1);
    assert!(
        Arc::strong_count(&committed) <= 2,
        "this one's, and the archivist's if it still has it"
    );
    life.stop();
}
