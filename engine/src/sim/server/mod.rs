//! One simulated server process: the shipped replica, log formats and State, put together as the
//! server's cores do it.
//!
//! A turn takes what has arrived, lets the replica decide, and carries out what comes back. A
//! process is gone without a trace when it is dropped; what it leaves is on its disk.

pub mod connection;
mod peers;
mod requests;
mod shard;

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{fmt, mem};

use self::{
    connection::{Connection, ConnectionId, Ending},
    peers::Incoming,
    shard::Shard,
};
use super::{
    chance::Chance,
    coverage::Situation,
    directory::{Directory, News, OpenError, OpenSettings, Opened, open, snapshots},
    disk::{Disk, DiskError},
    observer::Observer,
};
use crate::{
    batch::{Batch, BatchKind, Commands},
    ids::{Ballot, Instant, Life, ReplicaId, SessionId, Slot, WallTime},
    replica::{
        Bounds, Config, Input, Output, ReadId, Replica, ReplicaConfig, Settings, Timing, Voter,
        message::Envelope,
    },
    shared_bytes::SharedStr,
    state::{
        State,
        command::{Command, Committed, Op, encode},
    },
    storage::recovery::EndKind,
};

/// How a server is set up. Knobs that make rare things common are drawn from the seed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerSettings {
    /// Length of a log segment.
    pub segment_blocks: u32,
    /// Batches between two snapshots.
    pub snapshot_batches: u64,
    /// Bytes of a chunk of a snapshot.
    pub chunk_bytes: usize,
    /// Batches that may be on their way to the disk.
    pub appends_in_flight_max: usize,
    /// `tickTime`.
    pub tick_ms: u64,
    /// How often a server that has nothing else to do looks at its clock.
    pub turn_ms: u64,
    /// How often containers and TTL znodes are looked for.
    pub reap_ms: u64,
    /// Who forms the cluster; with one, it is formed.
    pub founders: Vec<ReplicaId>,
    /// How much of the log is in memory.
    pub bounds: Bounds,
    /// When elections are.
    pub timing: Timing,
    /// Whether followers tell each other what they have stored (R11).
    pub all_to_all: bool,
    /// The version of the program, by what it knows how to apply.
    pub feature_level_max: u16,
}

impl ServerSettings {
    /// What the replica is told.
    fn consensus(&self, own: Voter, life: Life) -> Settings {
        let is_alone = self.founders == [own.id];
        let config = if is_alone { Config::new([own].to_vec()) } else { Config::unformed() };
        Settings {
            founders: if is_alone { Vec::new() } else { self.founders.clone() },
            bounds: self.bounds.clone(),
            timing: self.timing,
            all_to_all: self.all_to_all,
            feature_level_max: self.feature_level_max,
            ..Settings::new(own, life, config)
        }
    }
}

/// A moment: virtual time, and what a server's clocks say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// Virtual time.
    pub now: Instant,
    /// The server's monotonic clock.
    pub local: Instant,
    /// The server's wall clock.
    pub wall: WallTime,
}

/// What a turn has for the world.
#[derive(Debug, Default)]
pub struct Effects {
    /// Bytes for clients.
    pub to_clients: Vec<(ConnectionId, Vec<u8>)>,
    /// Connections that the server closes.
    pub closed: Vec<ConnectionId>,
    /// Messages for other servers.
    pub packets: Vec<Envelope>,
}

/// A running server.
#[derive(Debug)]
pub struct Process {
    own: Voter,
    settings: ServerSettings,
    chance: Chance,
    replica: Replica,
    input: Input,
    output: Output,
    directory: Directory,
    shard: Shard,
    incoming: Incoming,
    /// The encoded configuration as of the State; empty: none was decided.
    config: Arc<[u8]>,
    /// Decided batches that the log has and others may ask for.
    decided: BTreeMap<Slot, Arc<Batch>>,
    /// Batches up to here were in the log at the start: clients are let in behind them.
    serves_from: Slot,
    batches_since_snapshot: u64,
    /// The ballot under which it led after the last turn.
    leads: Option<Ballot>,
    turn_at: Instant,
    touch_at: Instant,
    reap_at: Instant,
}

impl Process {
    /// Opens the directory and starts.
    ///
    /// # Errors
    ///
    /// When the directory must not be used, or its disk fails meanwhile.
    pub fn start(
        id: ReplicaId,
        settings: &ServerSettings,
        chance: &Chance,
        moment: Moment,
        disk: &mut Disk,
        observer: &mut Observer,
    ) -> Result<Self, OpenError> {
        let place = OpenSettings { replica: id, segment_blocks: settings.segment_blocks };
        let opened = open(disk, place, chance.purpose("directory", moment.now.0), moment.now)?;
        let own = Voter { id, incarnation: opened.incarnation };
        if observer.invariants.is_short(own, &opened.recovered) {
            return Err(OpenError::Short);
        }
        note_opened(own, &opened, observer);
        let Opened { directory, recovered, state, .. } = opened;
        let serves_from = recovered.last().slot;
        let snapshot_config = recovered.config.clone();
        let mut chance = chance.purpose("process", moment.now.0);
        let consensus = settings.consensus(own, Life(chance.draw() | 1));
        let (appends_in_flight_max, tick_ms) = (settings.appends_in_flight_max, settings.tick_ms);
        let config = ReplicaConfig { consensus, appends_in_flight_max, tick_ms };
        let sessions = state.sessions().map(|(id, session)| (id, session.timeout_ms)).collect();
        let input = Input { opened: sessions, heard_until: moment.local, ..Input::default() };
        observer.invariants.applied(own, &state);
        Ok(Self {
            own,
            settings: settings.clone(),
            replica: Replica::recover(config, recovered, moment.local),
            input,
            output: Output::default(),
            directory,
            shard: Shard::new(state, id, chance.purpose("shard", 0)),
            config: snapshot_config,
            decided: BTreeMap::new(),
            serves_from,
            batches_since_snapshot: 0,
            leads: None,
            incoming: Incoming::default(),
            turn_at: moment.local,
            touch_at: moment.local.plus_millis(settings.tick_ms / 2),
            reap_at: moment.local.plus_millis(settings.reap_ms),
            chance,
        })
    }

    /// Which replica, and which data directory.
    #[must_use]
    pub fn own(&self) -> Voter {
        self.own
    }

    /// The State that clients see.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.shard.state
    }

    /// How the replica stands.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Whether clients are let in.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.shard.next_session.is_some()
    }

    /// When it wants its next turn if nothing happens before, by its own clock.
    #[must_use]
    pub fn next_turn(&self) -> Instant {
        self.turn_at.min(self.touch_at)
    }

    /// When its directory wants a turn, in virtual time.
    #[must_use]
    pub fn next_disk_turn(&self) -> Option<Instant> {
        self.directory.next_wake()
    }

    /// A client has connected.
    pub fn connect(&mut self, id: ConnectionId) {
        self.shard.connections.insert(id, Connection::new());
    }

    /// Bytes of a client came.
    pub fn receive(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.shard.receive(id, bytes);
    }

    /// A client's connection is gone.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.shard.forget(id);
    }

    /// Takes in what has arrived, decides, and carries it out.
    ///
    /// # Errors
    ///
    /// When the disk has failed: the process must end.
    pub fn turn(
        &mut self,
        moment: Moment,
        disk: &mut Disk,
        observer: &mut Observer,
    ) -> Result<Effects, DiskError> {
        self.look_at_disk(moment, disk, observer)?;
        self.take(moment);
        self.replica.step(&mut self.input, &mut self.output);
        if self.output.too_old_for.is_some() {
            // The process ends; whoever starts it again starts a later version.
            observer.coverage.count(Situation::TooOld);
            return Err(DiskError::Dead);
        }
        self.carry_out(moment, observer);
        let mut effects = self.effects();
        self.speak(disk, observer, &mut effects);
        self.write_incoming();
        self.look_at_disk(moment, disk, observer)?;
        self.look_at_role(observer);
        self.archive_if_due(moment, disk, observer);
        if moment.local >= self.turn_at {
            self.turn_at = moment.local.plus_millis(self.settings.turn_ms);
        }
        let has_input = !self.input.housekeeping.is_empty() || self.input.received.is_some();
        if self.shard.has_handover() || has_input {
            self.turn_at = moment.local;
        }
        Ok(effects)
    }

    fn look_at_role(&mut self, observer: &mut Observer) {
        let status = self.replica.status();
        observer.invariants.stands(self.own, &status);
        if self.leads != status.leading {
            self.leads = status.leading;
            let (who, end) = (&self.own.id.0, status.end.slot);
            match status.leading {
                None => observer.note(who, format_args!("leads no more")),
                Some(ballot) => {
                    observer.coverage.count(Situation::Election);
                    observer.note(who, format_args!("leads under {ballot:?} from {end:?}"));
                }
            }
        }
    }

    /// Takes what the disk has done, and gives it more to do.
    fn look_at_disk(
        &mut self,
        moment: Moment,
        disk: &mut Disk,
        observer: &mut Observer,
    ) -> Result<(), DiskError> {
        let mut news = Vec::new();
        while let Some((op, result)) = disk.complete(moment.now) {
            self.directory.completed(moment.now, op, result, &mut news)?;
        }
        self.directory.advance(moment.now, disk, &mut news);
        for news in news {
            match news {
                News::Durable(durable) => {
                    observer.invariants.durable(self.own, durable);
                    self.input.durable = durable;
                    self.turn_at = moment.local;
                }
                News::Snapshot(base) => {
                    observer.coverage.count(Situation::Snapshot);
                    observer.note(&self.own.id.0, format_args!("snapshot of {:?}", base.slot));
                    self.input.snapshot = Some(base);
                    self.turn_at = moment.local;
                }
                News::Received(base) => {
                    observer.note(&self.own.id.0, format_args!("received {:?}", base.slot));
                    self.note_received(base.slot);
                    self.turn_at = moment.local;
                }
                News::Rolled => observer.coverage.count(Situation::Roll),
                News::Padded => observer.coverage.count(Situation::Pad),
            }
        }
        Ok(())
    }

    /// Fills the next step's input.
    fn take(&mut self, moment: Moment) {
        let Self { input, shard, .. } = self;
        input.now = moment.local;
        input.random = self.chance.draw();
        input.wall = moment.wall;
        input.opened.append(&mut shard.opened);
        input.closed.append(&mut shard.closed);
        let commands = mem::take(&mut shard.commands);
        if !commands.is_empty() {
            input.commands.push(commands);
        }
        if shard.sync_sent < shard.sync_asked {
            shard.sync_sent = shard.sync_asked;
            input.read = Some(ReadId(shard.sync_asked));
        }
        if self.touch_at <= moment.local {
            self.touch_at = moment.local.plus_millis(self.settings.tick_ms / 2);
            let heard = moment.local;
            let sessions = shard.take_touched().into_iter();
            input.touched.extend(sessions.map(|session| (session, heard)));
            input.heard_until = heard;
        }
    }

    fn carry_out(&mut self, moment: Moment, observer: &mut Observer) {
        for append in &self.output.appends {
            let is_truncation = observer.invariants.appended(self.own, append);
            observer.coverage.count_many(Situation::Truncation, u64::from(is_truncation));
        }
        self.directory.push(&mut self.output.appends);
        self.install(observer);
        for batch in mem::take(&mut self.output.committed) {
            self.apply(&batch, observer);
        }
        if let Some(index) = self.output.read.take() {
            observer.coverage.count(Situation::ReadIndex);
            self.shard.note_read_index(index.id.0, index.slot);
        }
        self.keep_house(moment, observer);
        if self.shard.next_session.is_none() && self.serves_from <= self.shard.applied() {
            self.shard.begin_serving();
        }
        let waiting = self.shard.connections.iter().filter(|(_, c)| !c.input.is_empty());
        let waiting: Vec<ConnectionId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.shard.go_on(id);
        }
    }

    fn apply(&mut self, batch: &Arc<Batch>, observer: &mut Observer) {
        observer.invariants.committed(observer.now, self.own, batch);
        let committed = Committed::decode(batch).expect("what was encoded can be decoded");
        observer.note(&self.own.id.0, format_args!("applies {}", Applies(&committed)));
        if committed.commands.len() > 1 {
            observer.coverage.count(Situation::LargeBatch);
        }
        if committed.header.kind == BatchKind::NewEpoch && self.replica.waiting_bytes() > 0 {
            observer.coverage.count(Situation::Reforward);
        }
        if committed.header.kind == BatchKind::Config {
            self.note_config(&batch.payload, observer);
        }
        self.decided.insert(batch.header.slot, batch.clone());
        self.shard.apply_batch(&committed, observer);
        observer.invariants.applied(self.own, &self.shard.state);
        self.batches_since_snapshot += 1;
    }

    fn note_config(&mut self, payload: &Arc<[u8]>, observer: &mut Observer) {
        let decode = |bytes: &[u8]| Config::decode(bytes).unwrap_or_default();
        let (before, config) = (decode(&self.config), decode(payload));
        let ids = |config: &Config| -> Vec<ReplicaId> {
            config.voters().iter().map(|voter| voter.id).collect()
        };
        let is_raised = before.is_formed() && before.feature_level < config.feature_level;
        observer.coverage.count_many(Situation::LevelRaised, u64::from(is_raised));
        observer.coverage.count(if !before.is_formed() {
            Situation::Formation
        } else if ids(&before) == ids(&config) {
            Situation::Admission
        } else {
            Situation::MembersChanged
        });
        observer.note(&self.own.id.0, format_args!("{config:?}"));
        self.config = payload.clone();
    }

    /// What a leader finds to do: sessions of which nothing was heard, containers and TTL znodes
    /// that are due.
    fn keep_house(&mut self, moment: Moment, observer: &mut Observer) {
        let mut commands = Commands::default();
        for session in self.output.expired.drain(..) {
            observer.note(&self.own.id.0, format_args!("session {session} expires"));
            encode(&Command::housekeeping(session, Op::CloseSession), &mut commands);
        }
        let Some(epoch) = self.output.leading else { return };
        if self.reap_at <= moment.local {
            self.reap_at = moment.local.plus_millis(self.settings.reap_ms);
            let state = &self.shard.state;
            let mut due: Vec<SharedStr> = state.containers_due(moment.wall, 0);
            due.extend(state.ttl_due(moment.wall));
            for path in due {
                observer.coverage.count(Situation::Reaped);
                encode(
                    &Command::housekeeping(SessionId(0), Op::DeleteContainer { path }),
                    &mut commands,
                );
            }
        }
        if !commands.is_empty() {
            self.input.housekeeping.push((epoch, commands));
        }
    }

    /// Starts a snapshot of the State as it is now.
    fn archive_if_due(&mut self, moment: Moment, disk: &mut Disk, observer: &mut Observer) {
        let is_due = self.settings.snapshot_batches <= self.batches_since_snapshot;
        if !is_due || self.directory.is_archiving() || self.input.snapshot.is_some() {
            return;
        }
        self.batches_since_snapshot = 0;
        let state = &self.shard.state;
        let meta = snapshots::meta_of(state, self.config.clone(), false);
        let content = snapshots::state_bytes(state);
        observer.invariants.image(self.own, meta.base.slot, &content);
        let owner = self.directory.owner();
        let file = snapshots::encode(owner, &meta, &content, self.settings.chunk_bytes);
        self.directory.archive(&meta, &file, 1 + self.chance.below(4 * self.settings.chunk_bytes));
        let mut news = Vec::new();
        self.directory.advance(moment.now, disk, &mut news);
        assert!(news.is_empty(), "nothing is done at once");
    }

    /// What clients are sent, and whose connections are closed.
    fn effects(&mut self) -> Effects {
        let mut effects = Effects::default();
        for (id, connection) in &mut self.shard.connections {
            let is_cut = connection.ending == Some(Ending::Now);
            if !connection.output.is_empty() && !is_cut {
                effects.to_clients.push((*id, mem::take(&mut connection.output)));
            }
            if connection.ending.is_some() {
                effects.closed.push(*id);
            }
        }
        for id in &effects.closed {
            self.shard.forget(*id);
        }
        effects
    }
}

fn note_opened(own: Voter, opened: &Opened, observer: &mut Observer) {
    let recovered = &opened.recovered;
    observer.invariants.recovered(own, recovered);
    let coverage = &mut observer.coverage;
    coverage.count_many(Situation::TornTail, u64::from(opened.end == EndKind::Torn));
    coverage.count_many(Situation::Replay, u64::from(!recovered.batches.is_empty()));
    coverage.count_many(Situation::SnapshotLoaded, u64::from(Slot(0) < recovered.base.slot));
    let rotten = u64::try_from(opened.rotten_snapshots).expect("a few");
    coverage.count_many(Situation::RottenSnapshot, rotten);
    coverage.count_many(Situation::LostSuperblock, u64::from(opened.is_superblock_lost));
    observer.note(
        &own.id.0,
        format_args!(
            "starts with {:?} behind {:?}, {:?}",
            recovered.last().slot,
            recovered.base.slot,
            opened.end
        ),
    );
}

/// A batch as the trace has it: its slot, and who asked for what.
struct Applies<'a>(&'a Committed);

impl fmt::Display for Applies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.0.header;
        write!(f, "slot {} of {:?}: {:?}", header.slot.0, header.origin, header.kind)?;
        for (zxid, command) in self.0.with_zxids() {
            let op = match &command.op {
                Op::CreateSession { .. } => "create session",
                Op::AttachSession { .. } => "attach",
                Op::CloseSession => "close session",
                Op::Create(_) => "create",
                Op::Delete { .. } => "delete",
                Op::SetData { .. } => "set",
                Op::SetAcl { .. } => "set acl",
                Op::Check { .. } => "check",
                Op::Multi(_) => "multi",
                Op::DeleteContainer { .. } => "reap",
                Op::Fail(_) => "fail",
            };
            write!(f, "; {zxid} {} {} {op}", command.session, command.cxid.0)?;
        }
        Ok(())
    }
}
