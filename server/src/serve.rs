//! `ringkeeper serve`: what is started, in which order, and how it ends.
//!
//! The port is taken first, so that a second server fails at once. Then the data directory is
//! opened and the cores start; they replay the log's tail, and only a shard that has come to the
//! end of it listens: a client that gets a connection gets answers.

#[cfg(test)]
mod tests;

use std::{
    fmt, io, mem,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ringkeeper_engine::{
    ids::{SessionId, Slot},
    replica::Voter,
    state::{
        State,
        command::{EdgeSettings, TtlSupport},
    },
    storage::recovery::Recovered,
};
use signal_hook::{consts::TERM_SIGNALS, iterator::Signals};

use crate::{
    archivist::{self, ArchivistSettings, ArchivistStart},
    client::{
        accept::{self, Admission, Bound, ListenSettings},
        connection_throttle::ConnectionThrottle,
        large_requests::LargeRequests,
    },
    clock::Clock,
    config::Config,
    cores::{self, Allowance, CorePlan, PlanError, Role},
    disk::{
        DiskConfig,
        log_writer::LogWriter,
        open::{OpenError, Opened},
        segments::Segments,
    },
    exit_code::ExitCode,
    mailbox::{Received, Receiver, Sender, mailbox},
    messages::{ShardId, ToArchivist, ToReplica, ToShard},
    recovered_state::StateLoader,
    replica_core::{ReplicaCore, ReplicaLinks, ReplicaSettings},
    shard_core::{
        ServerLimits, Shard, ShardCore, ShardLinks, ShardPlace, ShardSettings, WordSettings,
    },
    watchdog::{self, Pulse},
};

/// Messages that a shard's mailbox holds: batches, at most a window of them, and questions.
const SHARD_MAILBOX: usize = 256;

/// Messages that the replica core's mailbox holds: a few turns of every shard.
const REPLICA_MAILBOX: usize = 256;

/// Messages that the archivist's mailbox holds. It falls behind while it writes a snapshot.
const ARCHIVIST_MAILBOX: usize = 4096;

/// How long a port may be taken that a killed server has left.
const PORT_PATIENCE: Duration = Duration::from_secs(5);

/// How long an executor may take to begin before another one is started in its place.
const BEGIN_PATIENCE: Duration = Duration::from_millis(500);

/// How long an orderly stop may take. What was acknowledged is on the disk anyway.
const STOP_PATIENCE: Duration = Duration::from_millis(900);

/// Why the server could not start. Each message says what to do, where anything can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// `--cores` or `--cpus` cannot be met.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The client port is not to be had.
    #[error("cannot listen on {address}: {error} (see clientPort and clientPortAddress)")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A thread or an executor could not be started.
    #[error("cannot start {what}: {cause}")]
    Start {
        /// Which.
        what: String,
        /// Why not.
        cause: String,
    },
}

impl ServeError {
    fn start(what: impl Into<String>, cause: &dyn fmt::Display) -> Self {
        Self::Start { what: what.into(), cause: cause.to_string() }
    }

    /// How the process ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Plan(_) => ExitCode::Config,
            Self::Open(error) => error.exit_code(),
            Self::Listen { .. } => ExitCode::Listen,
            Self::Start { .. } => ExitCode::Environment,
        }
    }
}

/// What happens to a server as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Event {
    /// A shard lets clients in.
    Serving,
    /// The operator wants an end.
    Signal(i32),
    /// A shard has closed its connections.
    ShardStopped,
    /// The replica core has ended: everything is durable.
    ReplicaStopped,
    /// The threads that work on files have ended.
    FilesStopped,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(config: Config) -> Result<(), ServeError> {
    abort_on_panic();
    let allowance = Allowance::of_this_process();
    let plan = CorePlan::choose(&config.cores, &allowance)?;
    let clock = Clock::start();
    let (events_sender, events) = mailbox(64, "events");
    let is_open = Arc::new(AtomicBool::new(false));
    watch_signals(events_sender.clone(), is_open.clone())?;
    let (sockets, addresses) = bind(&config, plan.shards().len())?;
    let opening = Instant::now();
    let opened = crate::disk::open::open::<StateLoader>(&DiskConfig::new(&config))?;
    let opened_in = opening.elapsed();
    is_open.store(true, Ordering::Release);
    // After recovery, which takes all the CPUs there are.
    plan.settle_beside(&allowance);
    let client_port = addresses.first().map_or(config.client_port, SocketAddr::port);
    let words = WordSettings::new(config, client_port, opened_in);
    let running = Running::start(words, &plan, clock, opened, sockets, events_sender)?;
    let mut shards_serving = 0;
    while let Received::Message(event) = events.recv_blocking(None) {
        match event {
            Event::Serving => {
                shards_serving += 1;
                if shards_serving == plan.shards().len() {
                    for address in &addresses {
                        tracing::info!(%address, cores = plan.executor_count(), "serving");
                    }
                }
            }
            Event::Signal(signal) => {
                tracing::info!(signal, "stopping");
                break;
            }
            Event::ShardStopped | Event::ReplicaStopped | Event::FilesStopped => {}
        }
    }
    running.stop(&events);
    Ok(())
}

/// A panic on one core must not leave the others alone: they would wait for it forever.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}

/// Waits for signals, on a thread of its own. Before the data directory is open nothing can be
/// lost: then the process just ends.
fn watch_signals(events: Sender<Event>, is_open: Arc<AtomicBool>) -> Result<(), ServeError> {
    let cannot = |error: io::Error| ServeError::start("the signal handler", &error);
    let mut signals = Signals::new(TERM_SIGNALS).map_err(cannot)?;
    let watch = move || {
        for signal in signals.forever() {
            if !is_open.load(Ordering::Acquire) {
                tracing::info!(signal, "stopping before anything was served");
                ExitCode::Done.exit();
            }
            events.try_send(Event::Signal(signal)).ok();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watch).map(drop).map_err(cannot)
}

/// Sockets for every shard, on every address; and the addresses, with the ports that were chosen.
fn bind(
    config: &Config,
    shard_count: usize,
) -> Result<(Vec<Vec<Bound>>, Vec<SocketAddr>), ServeError> {
    let mut by_shard: Vec<Vec<Bound>> = (0..shard_count).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for address in &config.listen {
        let backlog = |backlog| i32::try_from(backlog).unwrap_or(i32::MAX);
        let settings = ListenSettings {
            address: *address,
            backlog: config.listen_backlog.map(backlog),
            keep_alive: config.tcp_keep_alive,
        };
        let (bound, sockets) = bind_patiently(&settings, shard_count)
            .map_err(|error| ServeError::Listen { address: *address, error })?;
        addresses.push(bound);
        for (listeners, socket) in by_shard.iter_mut().zip(sockets) {
            listeners.push(socket);
        }
    }
    Ok((by_shard, addresses))
}

/// Binds, and waits for a port that is taken: the kernel keeps the sockets of a process that was
/// killed for a moment, until the requests in its rings are cancelled.
fn bind_patiently(settings: &ListenSettings, count: usize) -> io::Result<(SocketAddr, Vec<Bound>)> {
    let start = Instant::now();
    let mut is_first = true;
    loop {
        match accept::bind(settings, count) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && start.elapsed() < PORT_PATIENCE =>
            {
                if mem::take(&mut is_first) {
                    tracing::info!(address = %settings.address, "port in use, trying again");
                }
                thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// What a replica core is made of; it is put together on its own core.
struct ReplicaParts {
    settings: ReplicaSettings,
    links: ReplicaLinks,
    clock: Clock,
    recovered: Recovered,
    sessions: Vec<(SessionId, i32)>,
    log: LogWriter,
    inbox: Receiver<ToReplica>,
}

impl ReplicaParts {
    async fn run(self, events: Sender<Event>) {
        let core =
            ReplicaCore::new(self.settings, self.links, self.clock, self.recovered, self.sessions);
        core.run(self.inbox, self.log).await;
        end(&events, Event::ReplicaStopped).await;
    }
}

/// What a shard is made of; it is put together on its own core.
struct ShardParts {
    place: ShardPlace,
    settings: Arc<ShardSettings>,
    limits: ServerLimits,
    clock: Clock,
    state: State,
    serves_from: Slot,
    links: ShardLinks,
    words: Arc<WordSettings>,
    admission: Admission,
    sockets: Vec<Bound>,
    inbox: Receiver<ToShard>,
}

impl ShardParts {
    async fn run(self, events: Sender<Event>) {
        let core = ShardCore::new(
            self.place,
            self.settings,
            self.limits,
            self.clock,
            self.state,
            self.serves_from,
        );
        let shard = Shard::new(core, self.links, self.words, self.admission);
        let serving = || {
            events.try_send(Event::Serving).ok();
        };
        shard.run(self.inbox, self.sockets, serving).await;
        end(&events, Event::ShardStopped).await;
    }
}

/// Says that a core's work has ended, and then keeps its executor: what is still under way in its
/// ring, such as the next accept, must not outlive it. The process ends it.
async fn end(events: &Sender<Event>, event: Event) {
    events.try_send(event).ok();
    std::future::pending::<()>().await;
}

/// The threads of a server that runs.
struct Running {
    links: ShardLinks,
    archivist: thread::JoinHandle<()>,
    segments: Segments,
    events: Sender<Event>,
    /// Keeps other processes out of the data directory.
    _lock: crate::disk::open::DirectoryLock,
}

impl Running {
    fn start(
        words: WordSettings,
        plan: &CorePlan,
        clock: Clock,
        opened: Opened<State>,
        sockets: Vec<Vec<Bound>>,
        events: Sender<Event>,
    ) -> Result<Self, ServeError> {
        let config = &words.config;
        let (shard_senders, inboxes): (Vec<_>, Vec<_>) =
            plan.shards().iter().map(|_| mailbox(SHARD_MAILBOX, "shard")).unzip();
        let (replica, replica_inbox) = mailbox(REPLICA_MAILBOX, "replica");
        let (archivist_sender, archivist_inbox) = mailbox(ARCHIVIST_MAILBOX, "archivist");
        let links = ShardLinks {
            shards: shard_senders.clone(),
            replica: replica.clone(),
            archivist: archivist_sender.clone(),
        };
        let settings = Arc::new(shard_settings(config, plan.shards().len()));
        let state = opened.snapshot.map(|(_, state)| state).unwrap_or_default();
        let sessions = state.sessions().map(|(id, session)| (id, session.timeout_ms)).collect();
        // One for the archivist and one per shard; the last of them is the one that was loaded.
        let mut states = std::iter::repeat_n(state, plan.shards().len() + 1);
        // The first batch of this start comes after everything that was recovered.
        let serves_from = opened.recovered.last().slot.next();
        let snapshot_config = opened.recovered.config.clone();
        let own = Voter { id: config.replica_id, incarnation: opened.incarnation };
        let replica_parts = ReplicaParts {
            settings: ReplicaSettings::standalone(config, own),
            links: ReplicaLinks { shards: shard_senders, archivist: archivist_sender },
            clock,
            recovered: opened.recovered,
            sessions,
            log: opened.log,
            inbox: replica_inbox,
        };
        let archivist_start = ArchivistStart {
            settings: ArchivistSettings::new(config),
            clock,
            state: states.next().expect("one more than shards"),
            wants_snapshot_from: (opened.segment_count > SEGMENTS_WITHOUT_SNAPSHOT)
                .then_some(serves_from),
            config: snapshot_config,
            directory: opened.snapshots,
            replica,
        };
        let archivist = archivist::start(archivist_start, archivist_inbox)
            .map_err(|error| ServeError::start("the archivist", &error))?;
        let admission = Admission::new(config.max_client_cnxns, config.max_cnxns);
        let limits = ServerLimits {
            connections: ConnectionThrottle::new(config.connection_throttle, clock.uptime_ms()),
            large_requests: LargeRequests::new(config.large_requests),
        };
        let words = Arc::new(words);
        let shard_count = u16::try_from(plan.shards().len()).expect("fewer than 65536 cores");
        let newest_shown = Arc::new(AtomicU64::new(0));
        let parts = inboxes.into_iter().zip(sockets).zip(states);
        let shards = (0..).zip(parts).map(|(index, ((inbox, sockets), state))| ShardParts {
            place: ShardPlace {
                id: ShardId(index),
                shard_count,
                newest_shown: newest_shown.clone(),
            },
            settings: settings.clone(),
            limits: limits.clone(),
            clock,
            state,
            serves_from,
            links: links.clone(),
            words: words.clone(),
            admission: admission.clone(),
            sockets,
            inbox,
        });
        let pulses = start_cores(plan, shards.collect(), replica_parts, &events)?;
        watchdog::start(pulses).map_err(|error| ServeError::start("the watchdog", &error))?;
        Ok(Self { links, archivist, segments: opened.segments, events, _lock: opened.lock })
    }

    /// Shards first, so that nothing new comes; then the replica core, which finishes what it took;
    /// then the threads that work on files.
    fn stop(self, events: &Receiver<Event>) {
        let deadline = Instant::now() + STOP_PATIENCE;
        for shard in &self.links.shards {
            shard.try_send(ToShard::Stop).ok();
        }
        let mut is_orderly = true;
        for _ in &self.links.shards {
            is_orderly &= wait_for(events, Event::ShardStopped, deadline);
        }
        self.links.replica.try_send(ToReplica::Stop).ok();
        is_orderly &= wait_for(events, Event::ReplicaStopped, deadline);
        self.links.archivist.try_send(ToArchivist::Stop).ok();
        let (archivist, segments, sender) = (self.archivist, self.segments, self.events);
        thread::spawn(move || {
            segments.stop();
            archivist.join().ok();
            sender.try_send(Event::FilesStopped).ok();
        });
        is_orderly &= wait_for(events, Event::FilesStopped, deadline);
        if is_orderly {
            tracing::info!("stopped");
        } else {
            tracing::warn!(
                "some threads did not stop in time; nothing acknowledged is lost by that"
            );
        }
    }
}

/// Segments in use from which on a snapshot at once shortens the next start.
const SEGMENTS_WITHOUT_SNAPSHOT: usize = 4;

fn wait_for(events: &Receiver<Event>, expected: Event, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match events.recv_blocking(Some(left)) {
            Received::Message(event) if event == expected => return true,
            Received::Message(_) => {}
            Received::Timeout | Received::Closed => return false,
        }
    }
}

/// Starts every executor, each with its pulse.
fn start_cores(
    plan: &CorePlan,
    shards: Vec<ShardParts>,
    replica: ReplicaParts,
    events: &Sender<Event>,
) -> Result<Vec<Pulse>, ServeError> {
    let mut pulses = Vec::new();
    let mut replica = Some(replica);
    for (index, (cpu, shard)) in plan.shards().iter().zip(shards).enumerate() {
        let fused = if plan.is_fused() { replica.take() } else { None };
        let role = if fused.is_some() { Role::Replica } else { Role::Shard };
        let events = events.clone();
        let pulse = start_executor(&format!("shard-{index}"), *cpu, role, move || async move {
            if let Some(replica) = fused {
                glommio::spawn_local(replica.run(events.clone())).detach();
            }
            shard.run(events).await;
        })?;
        pulses.push(pulse);
    }
    if let Some(replica) = replica {
        let events = events.clone();
        let work = move || replica.run(events);
        pulses.push(start_executor("replica", plan.replica(), Role::Replica, work)?);
    }
    Ok(pulses)
}

/// Starts an executor that does `work`, and waits until it has begun.
///
/// An executor of glommio 0.9 can fall asleep before it has run its first task (see `watchdog`),
/// and then nothing can wake it: there is no waker yet. Hence another one is started when one does
/// not begin in time, and whichever is first takes the work; one that comes late finds none.
fn start_executor<G, F>(
    name: &str,
    cpu: Option<usize>,
    role: Role,
    work: G,
) -> Result<Pulse, ServeError>
where
    G: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let pulse = Pulse::new(name.to_owned());
    let work = Arc::new(Mutex::new(Some(work)));
    let take = |work: &Mutex<Option<G>>| work.lock().expect("nobody panics with it").take();
    loop {
        let (begun, has_begun) = mailbox::<()>(1, "begun");
        let (beat, offered) = (pulse.clone(), work.clone());
        let handle = cores::executor(name, cpu, role)
            .spawn(move || async move {
                let Some(work) = take(&offered) else { return };
                // Nobody listens any more where another executor was started meanwhile.
                begun.try_send(()).ok();
                // The sender ends here, or the wait below would have nothing to tell a failure by.
                drop(begun);
                glommio::spawn_local(beat.beat()).detach();
                work().await;
            })
            .map_err(|error| ServeError::start(name, &error))?;
        // The executor is made on its own thread: that it could be is only known now.
        let heard = has_begun.recv_blocking(Some(BEGIN_PATIENCE));
        let is_taken = work.lock().expect("nobody panics with it").is_none();
        match heard {
            _ if is_taken => return Ok(pulse),
            Received::Closed => {
                let error = handle.join().err().map(|error| error.to_string());
                let cause = error.unwrap_or_else(|| "its executor ended".to_owned());
                return Err(ServeError::start(name, &cause));
            }
            Received::Message(()) | Received::Timeout => {
                tracing::debug!(name, "an executor has not begun, starting another one");
            }
        }
    }
}

fn shard_settings(config: &Config, shard_count: usize) -> ShardSettings {
    let mut required_schemes = Vec::new();
    if config.enforce_auth {
        required_schemes.clone_from(&config.enforce_auth_schemes);
    }
    if config.require_sasl {
        required_schemes.push("sasl".to_owned());
    }
    let ttl = match (config.extended_types, config.emulate_353_ttl) {
        (false, _) => TtlSupport::Off,
        (true, false) => TtlSupport::On,
        (true, true) => TtlSupport::Emulate353,
    };
    let outstanding = usize::try_from(config.global_outstanding_limit).unwrap_or(usize::MAX);
    let shortest = u64::try_from(config.min_session_timeout_ms).unwrap_or(0);
    ShardSettings {
        replica_id: config.replica_id,
        min_session_timeout_ms: config.min_session_timeout_ms,
        max_session_timeout_ms: config.max_session_timeout_ms,
        // Often enough that the report's delay is small beside the shortest timeout.
        touch_interval_ms: (shortest / 16).clamp(10, 250),
        sessionless_timeout_ms: config.sessionless_timeout_ms,
        outstanding_max: outstanding.div_ceil(shard_count.max(1)),
        // A client cannot tell the parts from the whole: what waits keeps its order.
        requests_max: match config.request_throttle.requests_max {
            0 => usize::MAX,
            max => usize::try_from(max).unwrap_or(usize::MAX).div_ceil(shard_count.max(1)),
        },
        throttle: config.request_throttle,
        frame_bytes_max: config.jute_maxbuffer_bytes,
        edge: EdgeSettings {
            ttl,
            reconfig_enabled: config.reconfig_enabled,
            schemes: config.auth.schemes,
        },
        auth: config.auth.clone(),
        skip_acl: config.skip_acl,
        enforce_quota: config.enforce_quota,
        eager_acl_check: config.eager_acl_check,
        required_schemes,
    }
}
