//! What super sees of a whole server: sweeps between acts, and everything at the end of a run.

use std::collections::BTreeMap;

use crate::{
    servers::four_letter,
    wire::{
        Failure,
        records::{self, op},
    },
};

use super::View;

/// Gauges of `mntr` that count what clients did and nothing of the server's own.
const GAUGES: [&str; 4] =
    ["zk_znode_count", "zk_watch_count", "zk_ephemerals_count", "zk_global_sessions"];
/// Drifts on Apache once the server has written what a quota is used for into its znode.
const DATA_SIZE: &str = "zk_approximate_data_size";

impl View {
    /// Deletes everything below a path that can be deleted.
    pub(super) fn sweep(&mut self, path: &str) -> Result<(), Failure> {
        for child in self.children(path)? {
            self.sweep(&child)?;
            let reply = self.auditor.call(op::DELETE, &records::path_version(&child, -1))?;
            let text = self.renderer.reply(reply.xid, op::DELETE, &reply);
            self.lines.push(format!("sweep {child:?} {text}"));
        }
        Ok(())
    }

    fn children(&mut self, path: &str) -> Result<Vec<String>, Failure> {
        let reply = self.auditor.call(op::GET_CHILDREN, &records::path_watch(path, false))?;
        let parent = if path == "/" { "" } else { path };
        Ok(reply.names()?.into_iter().map(|name| format!("{parent}/{name}")).collect())
    }

    /// The whole tree, line by line.
    pub(in super::super) fn tree(&mut self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        let mut paths = vec!["/".to_owned()];
        while let Some(path) = paths.pop() {
            for opcode in [op::GET_DATA, op::GET_ACL] {
                let body = match opcode {
                    op::GET_DATA => records::path_watch(&path, false),
                    _ => records::path_only(&path),
                };
                let reply = self.auditor.call(opcode, &body)?;
                lines.push(format!("{path:?} {}", self.renderer.reply(reply.xid, opcode, &reply)));
            }
            paths.extend(self.children(&path)?);
        }
        Ok(lines)
    }

    /// What the server's own words say of its state, sorted where Apache has no order.
    pub(in super::super) fn words(&self) -> Result<Vec<String>, Failure> {
        let text = four_letter(self.address, "mntr")?;
        let is_compared = |line: &&str| {
            let gauge = line.split('\t').next().unwrap_or_default();
            GAUGES.contains(&gauge) || (gauge == DATA_SIZE && self.compares_data_size)
        };
        let mut lines: Vec<String> = text.lines().filter(is_compared).map(str::to_owned).collect();
        lines.sort();
        // Not `wchs`: Apache also counts connections whose watches have all come true.
        lines.extend(self.by_session(&four_letter(self.address, "wchp")?));
        Ok(lines)
    }

    /// Groups of indented session ids below paths, each group with its sessions sorted.
    fn by_session(&self, text: &str) -> Vec<String> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut head = String::new();
        // An empty line may be the empty path, which can be watched, too.
        for line in text.lines() {
            if let Some(session) = line.strip_prefix("\t0x") {
                let session = i64::from_str_radix(session, 16).unwrap_or_default();
                groups.entry(head.clone()).or_default().push(self.renderer.session(session));
            } else {
                line.clone_into(&mut head);
            }
        }
        let groups = groups.into_iter().map(|(head, mut sessions)| {
            sessions.sort();
            format!("{head:?} {sessions:?}")
        });
        groups.collect()
    }
}
