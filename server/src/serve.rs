//! `ringkeeper serve`: what is started, in which order, and how it ends.
//!
//! Recovery first, then the cores, and sockets last: a client that gets a connection gets answers.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use ringkeeper_engine::state::{
    State,
    acl::Schemes,
    auth::AuthPolicy,
    command::{EdgeSettings, TtlSupport},
};
use signal_hook::{consts::TERM_SIGNALS, iterator::Signals};

use crate::{
    client::accept::{self, Admission, ListenSettings},
    clock::Clock,
    config::Config,
    cores::{self, Allowance, CorePlan, PlanError, Role},
    exit_code::ExitCode,
    mailbox::{Receiver, Sender, mailbox},
    messages::{ShardId, ToArchivist, ToReplica, ToShard},
    shard_core::{Shard, ShardCore, ShardLinks, ShardSettings, WordSettings},
    watchdog::{self, Pulse},
};

/// Messages that a shard's mailbox holds: batches, at most a window of them, and questions.
const SHARD_MAILBOX: usize = 256;

/// Messages that the replica core's mailbox holds: a few turns of every shard.
const REPLICA_MAILBOX: usize = 256;

/// Messages that the archivist's mailbox holds. It falls behind while it writes a snapshot.
const ARCHIVIST_MAILBOX: usize = 4096;

/// How long an orderly stop may take. What was acknowledged is on the disk anyway.
const STOP_PATIENCE: Duration = Duration::from_millis(900);

/// Why the server could not start. Each message says what to do, where anything can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// `--cores` or `--cpus` cannot be met.
    #[error(transparent)]
    Plan(#[from] PlanError),
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

    /// The process's exit code; `docs/operations.md` lists them.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Plan(_) => ExitCode::Config,
            Self::Listen { .. } => ExitCode::Listen,
            Self::Start { .. } => ExitCode::Environment,
        }
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(config: Config) -> Result<(), ServeError> {
    abort_on_panic();
    // From here on a signal waits until it is asked for.
    let mut signals = Signals::new(TERM_SIGNALS)
        .map_err(|error| ServeError::start("the signal handler", &error))?;
    let plan = CorePlan::choose(&config.cores, &Allowance::of_this_process())?;
    let clock = Clock::start();
    let state = State::new();
    let (listeners, client_port) = listen(&config, plan.shards().len())?;
    let running = Running::start(config, &plan, clock, &state, listeners, client_port)?;
    watchdog::start(running.pulses.clone())
        .map_err(|error| ServeError::start("the watchdog", &error))?;
    if let Some(signal) = signals.forever().next() {
        tracing::info!(signal, "stopping");
    }
    running.stop();
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

/// Sockets for every shard, on every address.
fn listen(config: &Config, shard_count: usize) -> Result<(Vec<Vec<OwnedFd>>, u16), ServeError> {
    let mut by_shard: Vec<Vec<OwnedFd>> = (0..shard_count).map(|_| Vec::new()).collect();
    let mut client_port = config.client_port;
    for address in &config.listen {
        let settings = ListenSettings {
            address: *address,
            backlog: config
                .listen_backlog
                .map(|backlog| i32::try_from(backlog).unwrap_or(i32::MAX)),
            keep_alive: config.tcp_keep_alive,
        };
        let (bound, sockets) = accept::listen(&settings, shard_count)
            .map_err(|error| ServeError::Listen { address: *address, error })?;
        tracing::info!(address = %bound, "listening");
        client_port = bound.port();
        for (listeners, socket) in by_shard.iter_mut().zip(sockets) {
            listeners.push(socket);
        }
    }
    Ok((by_shard, client_port))
}

/// The threads of a server that runs.
struct Running {
    links: ShardLinks,
    pulses: Vec<Pulse>,
    /// Says whenever a shard has closed its connections.
    stopped: Receiver<Stopped>,
}

/// Who has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stopped {
    Shard,
    Replica,
}

impl Running {
    fn start(
        config: Config,
        plan: &CorePlan,
        clock: Clock,
        state: &State,
        listeners: Vec<Vec<OwnedFd>>,
        client_port: u16,
    ) -> Result<Self, ServeError> {
        let (senders, inboxes): (Vec<_>, Vec<_>) =
            plan.shards().iter().map(|_| mailbox(SHARD_MAILBOX, "shard")).unzip();
        let (replica, replica_inbox) = mailbox(REPLICA_MAILBOX, "replica");
        let (archivist, _archivist_inbox) = mailbox(ARCHIVIST_MAILBOX, "archivist");
        let links = ShardLinks { shards: senders, replica, archivist };
        let (stopped_sender, stopped) = mailbox(plan.executor_count() + 1, "stopped");
        let settings = Arc::new(shard_settings(&config, plan.shards().len()));
        let admission = Admission::new(config.max_client_cnxns, config.max_cnxns);
        let words = Arc::new(WordSettings { config, client_port });
        let shard_count = u16::try_from(plan.shards().len()).expect("fewer than 65536 cores");
        let mut pulses = Vec::new();
        let mut replica_inbox = Some(replica_inbox);
        let shards = plan.shards().iter().zip(inboxes).zip(listeners);
        for (index, ((cpu, inbox), listeners)) in (0..).zip(shards) {
            let core = (ShardId(index), shard_count, settings.clone(), clock, state.clone());
            let (links, words, admission) = (links.clone(), words.clone(), admission.clone());
            let fused = if plan.is_fused() { replica_inbox.take() } else { None };
            let role = if plan.is_fused() { Role::Replica } else { Role::Shard };
            let name = format!("shard-{index}");
            let pulse = Pulse::new(name.clone());
            pulses.push(pulse.clone());
            let stopped = stopped_sender.clone();
            start_executor(&name, *cpu, role, move || async move {
                glommio::spawn_local(pulse.beat()).detach();
                if let Some(inbox) = fused {
                    let replica = crate::fake_replica::run(inbox, links.shards.clone());
                    glommio::spawn_local(end(replica, stopped.clone(), Stopped::Replica)).detach();
                }
                let (id, count, settings, clock, state) = core;
                let core = ShardCore::new(id, count, settings, clock, state);
                let shard = Shard::new(core, links, words, admission);
                end(shard.run(inbox, listeners), stopped, Stopped::Shard).await;
            })?;
        }
        if let Some(inbox) = replica_inbox {
            let pulse = Pulse::new("replica".to_owned());
            pulses.push(pulse.clone());
            let shards = links.shards.clone();
            start_executor("replica", plan.replica(), Role::Replica, move || async move {
                glommio::spawn_local(pulse.beat()).detach();
                let replica = crate::fake_replica::run(inbox, shards);
                end(replica, stopped_sender, Stopped::Replica).await;
            })?;
        }
        Ok(Self { links, pulses, stopped })
    }

    /// Shards first, so that nothing new comes; then the replica core, which finishes what it took.
    fn stop(self) {
        let deadline = Instant::now() + STOP_PATIENCE;
        for shard in &self.links.shards {
            drop(shard.try_send(ToShard::Stop));
        }
        let mut is_orderly = true;
        for _ in &self.links.shards {
            is_orderly &= self.wait_for(Stopped::Shard, deadline);
        }
        drop(self.links.replica.try_send(ToReplica::Stop));
        is_orderly &= self.wait_for(Stopped::Replica, deadline);
        drop(self.links.archivist.try_send(ToArchivist::Stop));
        if !is_orderly {
            tracing::warn!("some cores did not stop in time; nothing acknowledged is lost by that");
        }
    }

    fn wait_for(&self, expected: Stopped, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.stopped.recv_blocking(Some(left)) == crate::mailbox::Received::Message(expected)
    }
}

/// Runs a core's work to its end, says so, and then keeps the executor: what is still under way in
/// its ring, such as the next accept, must not outlive it. The process ends it.
async fn end(work: impl Future<Output = ()>, stopped: Sender<Stopped>, who: Stopped) {
    work.await;
    drop(stopped.try_send(who));
    std::future::pending::<()>().await;
}

fn start_executor<G, F>(
    name: &str,
    cpu: Option<usize>,
    role: Role,
    work: G,
) -> Result<(), ServeError>
where
    G: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let (ready, is_ready) = mailbox::<()>(1, "ready");
    let handle = cores::executor(name, cpu, role)
        .spawn(move || {
            drop(ready.try_send(()));
            work()
        })
        .map_err(|error| ServeError::start(name, &error))?;
    // The executor is made on its own thread: that it could be is only known now.
    if is_ready.recv_blocking(None) == crate::mailbox::Received::Message(()) {
        return Ok(());
    }
    match handle.join() {
        Ok(()) => Err(ServeError::start(name, &"its executor ended")),
        Err(error) => Err(ServeError::start(name, &error)),
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
        touch_interval_ms: (shortest / 8).clamp(10, 500),
        sessionless_timeout_ms: config.sessionless_timeout_ms,
        outstanding_max: outstanding.div_ceil(shard_count.max(1)),
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
