//! Four-letter words: what is asked of whom to answer them.
//!
//! A word is answered by the shard whose connection it came on. What only others know is asked of
//! them, all at the same time; who does not answer in time is left out of the text.

use std::{
    future::Future,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use futures_lite::future;
use glommio::timer;
use ringkeeper_engine::protocol::four_letter::Word;

use super::tasks::Shard;
use crate::{
    client::four_letter::{self, Directories, Dump, Monitor, Overview},
    config::Config,
    mailbox::{Receiver, Sender, mailbox},
    messages::{
        ArchivistAnswer, ArchivistQuestion, ReplicaAnswer, ReplicaQuestion, ShardAnswer,
        ShardQuestion, ToArchivist, ToReplica, ToShard,
    },
    metrics::{ConnectionReport, NamespaceReport, ReplicaStats, ShardStats, Summary, WatchReport},
};

/// How long others may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the words show of the configuration.
#[derive(Debug)]
pub(crate) struct WordSettings {
    /// All of it: `conf` prints much of it, and the whitelist is in it.
    pub(crate) config: Config,
    /// The port that clients connect to, also where the system chose it.
    client_port: u16,
    /// How long it took to read the data directory.
    opened_in_ms: u64,
    /// What `stmk` set and `gtmk` shows. It has no effect: traces are chosen otherwise here.
    trace_mask: AtomicI64,
}

impl WordSettings {
    /// With the trace mask that Apache starts with.
    pub(crate) fn new(config: Config, client_port: u16, opened_in: Duration) -> Self {
        Self {
            config,
            client_port,
            opened_in_ms: u64::try_from(opened_in.as_millis()).unwrap_or(u64::MAX),
            trace_mask: AtomicI64::new(four_letter::TRACE_MASK),
        }
    }
}

impl Shard {
    /// The answer to a word.
    pub(super) async fn word(&self, word: Word, mask: Option<i64>) -> String {
        let mut out = String::new();
        if !self.words.config.allows_word(word.as_str()) {
            four_letter::refuse(&mut out, word);
            return out;
        }
        match word {
            Word::Ruok => out.push_str("imok"),
            Word::Isro => out.push_str("rw"),
            Word::Gtmk => out.push_str(&self.words.trace_mask.load(Ordering::Relaxed).to_string()),
            Word::Stmk => {
                if let Some(mask) = mask {
                    self.words.trace_mask.store(mask, Ordering::Relaxed);
                    out.push_str(&mask.to_string());
                }
            }
            Word::Envi => four_letter::environment(&mut out),
            Word::Srvr => {
                four_letter::status(&mut out, &self.overview(), &self.stats().await, None);
            }
            Word::Stat => {
                let connections = self.connections().await;
                let stats = self.stats().await;
                four_letter::status(&mut out, &self.overview(), &stats, Some(&connections));
            }
            Word::Cons => four_letter::connections(&mut out, &self.connections().await),
            Word::Crst => {
                self.ask_shards(ShardQuestion::ResetConnectionStats).await;
                out.push_str("Connection stats reset.\n");
            }
            Word::Srst => {
                self.ask_shards(ShardQuestion::ResetStats).await;
                self.ask_replica(ReplicaQuestion::ResetStats).await;
                self.ask_archivist(ArchivistQuestion::ResetStats).await;
                out.push_str("Server stats reset.\n");
            }
            Word::Conf => {
                let sizes = self.directories().await;
                let port = self.words.client_port;
                four_letter::configuration(&mut out, &self.words.config, port, &sizes);
            }
            Word::Dirs => four_letter::directories(&mut out, &self.directories().await),
            Word::Dump => four_letter::dump(&mut out, &self.dump().await),
            Word::Hash => four_letter::digests(&mut out, self.core.borrow().state().digests()),
            Word::Mntr => four_letter::monitor(&mut out, &self.monitor().await),
            Word::Wchs => four_letter::watch_summary(&mut out, &self.watches().await),
            Word::Wchc => four_letter::watches_by_session(&mut out, &self.watches().await),
            Word::Wchp => four_letter::watches_by_path(&mut out, &self.watches().await),
        }
        out
    }

    fn overview(&self) -> Overview {
        let core = self.core.borrow();
        Overview {
            mode: "standalone",
            last_zxid: core.state().last_zxid(),
            znode_count: core.state().znode_count(),
        }
    }

    async fn monitor(&self) -> Monitor {
        let shards = self.stats().await;
        let replica = self.replica_stats().await;
        let namespaces = match self.ask_archivist(ArchivistQuestion::Namespaces).await {
            Some(ArchivistAnswer::Namespaces(namespaces)) => *namespaces,
            _ => NamespaceReport::default(),
        };
        let mut opened_in_ms = Summary::new(86_400_000);
        opened_in_ms.record(self.words.opened_in_ms);
        let last_snapshot = match self.ask_archivist(ArchivistQuestion::LastSnapshot).await {
            Some(ArchivistAnswer::LastSnapshot(snapshot)) => snapshot,
            _ => None,
        };
        let overview = self.overview();
        let core = self.core.borrow();
        let state = core.state();
        Monitor {
            overview,
            shards,
            replica: replica.unwrap_or_default(),
            namespaces,
            opened_in_ms,
            now: crate::clock::wall(),
            last_snapshot,
            ephemerals: state.ephemerals_count(),
            sessions: state.session_count(),
            approximate_data_size: state.approximate_data_size(),
            uptime_ms: core.clock.uptime_ms(),
            open_files: four_letter::open_files(),
            open_files_max: four_letter::open_files_max(),
        }
    }

    async fn dump(&self) -> Dump {
        let mut expiries = match self.ask_replica(ReplicaQuestion::Expiries).await {
            Some(ReplicaAnswer::Expiries(expiries)) => expiries,
            _ => Vec::new(),
        };
        // The replica core hears of closed sessions a moment after whoever closed them does.
        for (_, sessions) in &mut expiries {
            sessions.retain(|session| self.core.borrow().state().session(*session).is_some());
        }
        expiries.retain(|(_, sessions)| !sessions.is_empty());
        let ephemerals = match self.ask_archivist(ArchivistQuestion::Ephemerals).await {
            Some(ArchivistAnswer::Ephemerals(ephemerals)) => ephemerals,
            _ => Vec::new(),
        };
        let connections = self.connections().await;
        let bucket_ms = i64::try_from(self.words.config.sessionless_timeout_ms).unwrap_or(i64::MAX);
        Dump { now_ms: crate::clock::wall().0, bucket_ms, expiries, ephemerals, connections }
    }

    async fn directories(&self) -> Directories {
        match self.ask_archivist(ArchivistQuestion::DirectorySizes).await {
            Some(ArchivistAnswer::DirectorySizes { data_bytes, log_bytes }) => {
                Directories { data_bytes, log_bytes }
            }
            _ => Directories::default(),
        }
    }

    async fn stats(&self) -> ShardStats {
        let mut sum = ShardStats::default();
        for answer in self.ask_shards(ShardQuestion::Stats).await {
            if let ShardAnswer::Stats(stats) = answer {
                sum.merge(&stats);
            }
        }
        sum
    }

    async fn replica_stats(&self) -> Option<Box<ReplicaStats>> {
        match self.ask_replica(ReplicaQuestion::Stats).await {
            Some(ReplicaAnswer::Stats(stats)) => Some(stats),
            _ => None,
        }
    }

    async fn connections(&self) -> Vec<ConnectionReport> {
        let mut all = Vec::new();
        for answer in self.ask_shards(ShardQuestion::Connections).await {
            if let ShardAnswer::Connections(mut connections) = answer {
                all.append(&mut connections);
            }
        }
        all
    }

    async fn watches(&self) -> WatchReport {
        let mut all = WatchReport::default();
        for answer in self.ask_shards(ShardQuestion::Watches).await {
            if let ShardAnswer::Watches(mut watches) = answer {
                all.by_session.append(&mut watches.by_session);
            }
        }
        all
    }

    /// Asks every shard, this one by its mailbox like all others.
    async fn ask_shards(&self, question: ShardQuestion) -> Vec<ShardAnswer> {
        let (reply, answers) = mailbox(self.links.shards.len(), "answers");
        for shard in &self.links.shards {
            let ask = ToShard::Ask { question, reply: reply.clone() };
            in_time(shard.send(ask)).await;
        }
        drop(reply);
        gather(answers).await
    }

    async fn ask_replica(&self, question: ReplicaQuestion) -> Option<ReplicaAnswer> {
        let (reply, answers) = mailbox(1, "answers");
        send_and_gather(&self.links.replica, ToReplica::Ask { question, reply }, answers).await
    }

    async fn ask_archivist(&self, question: ArchivistQuestion) -> Option<ArchivistAnswer> {
        let (reply, answers) = mailbox(1, "answers");
        send_and_gather(&self.links.archivist, ToArchivist::Ask { question, reply }, answers).await
    }
}

async fn send_and_gather<M, A>(to: &Sender<M>, ask: M, answers: Receiver<A>) -> Option<A> {
    in_time(to.send(ask)).await;
    gather(answers).await.pop()
}

/// All answers that come in time.
async fn gather<A>(answers: Receiver<A>) -> Vec<A> {
    let mut all = Vec::new();
    while let Some(Some(answer)) = in_time(answers.recv()).await {
        all.push(answer);
    }
    all
}

/// What `future` gives, unless it takes too long.
async fn in_time<R>(future: impl Future<Output = R>) -> Option<R> {
    let late = async {
        timer::sleep(PATIENCE).await;
        None
    };
    future::or(async { Some(future.await) }, late).await
}
