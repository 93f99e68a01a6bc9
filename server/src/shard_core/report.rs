//! A shard's answers to questions about itself.

use ringkeeper_engine::{ids::SessionId, shared_bytes::SharedStr};

use super::{
    ShardCore,
    client::{ClientCounts, ClientId},
};
use crate::{
    messages::{ShardAnswer, ShardQuestion},
    metrics::{ConnectionReport, ShardStats, WatchReport},
};

impl ShardCore {
    /// Answers another thread's question.
    pub(super) fn answer_question(
        &mut self,
        question: ShardQuestion,
        mailbox_depth: usize,
    ) -> ShardAnswer {
        match question {
            ShardQuestion::Connections => ShardAnswer::Connections(self.report_connections()),
            ShardQuestion::Watches => ShardAnswer::Watches(self.report_watches()),
            ShardQuestion::Stats => {
                let mut stats = self.report_stats();
                stats.mailbox_depth = mailbox_depth as u64;
                ShardAnswer::Stats(Box::new(stats))
            }
            ShardQuestion::ResetStats => {
                self.stats.reset();
                ShardAnswer::Done
            }
            ShardQuestion::ResetConnectionStats => {
                for client in self.clients.iter_mut() {
                    client.counts = ClientCounts::reset();
                }
                ShardAnswer::Done
            }
        }
    }

    fn report_connections(&self) -> Vec<ConnectionReport> {
        self.clients.iter().map(super::client::Client::report).collect()
    }

    fn report_stats(&self) -> ShardStats {
        let mut stats = self.stats.clone();
        stats.connections = self.clients.len() as u64;
        stats.outstanding = self.outstanding as u64;
        stats.watches = self.watches.count() as u64;
        stats.held = self.held.len() as u64;
        stats.drop_probability = self.limits.connections.drop_probability();
        stats
    }

    /// Data watches only, as Apache lists them.
    fn report_watches(&self) -> WatchReport {
        let mut by_session: Vec<(SessionId, Vec<SharedStr>)> = Vec::new();
        let mut last = None;
        for (watcher, path) in self.watches.listed() {
            let Some(client) = self.clients.get(ClientId(watcher.0)) else { continue };
            if last != Some(watcher) {
                by_session.push((client.command.session, Vec::new()));
                last = Some(watcher);
            }
            let (_, paths) = by_session.last_mut().expect("pushed for this watcher");
            paths.push(path.clone());
        }
        by_session.sort();
        WatchReport { by_session }
    }
}
