//! What the runs have met: a comparison says nothing of what never happened.

use std::collections::BTreeMap;

use crate::wire::records::{code, op};

use super::act::{Act, Body, Request};

/// Codes that a server alone can be brought to send.
const CODES: [(i32, &str); 15] = [
    (code::OK, "Ok"),
    (code::RUNTIME_INCONSISTENCY, "RuntimeInconsistency"),
    (code::MARSHALLING_ERROR, "MarshallingError"),
    (code::UNIMPLEMENTED, "Unimplemented"),
    (code::BAD_ARGUMENTS, "BadArguments"),
    (code::NO_NODE, "NoNode"),
    (code::NO_AUTH, "NoAuth"),
    (code::BAD_VERSION, "BadVersion"),
    (code::NO_CHILDREN_FOR_EPHEMERALS, "NoChildrenForEphemerals"),
    (code::NODE_EXISTS, "NodeExists"),
    (code::NOT_EMPTY, "NotEmpty"),
    (code::INVALID_ACL, "InvalidAcl"),
    (code::AUTH_FAILED, "AuthFailed"),
    (code::NO_WATCHER, "NoWatcher"),
    (code::RECONFIG_DISABLED, "ReconfigDisabled"),
];
/// Codes that only some profiles can bring out.
const CODES_OF_PROFILES: [(i32, &str); 1] = [(code::QUOTA_EXCEEDED, "QuotaExceeded")];
/// Kinds of watch events on the wire.
const EVENTS: [(i32, &str); 4] =
    [(1, "NodeCreated"), (2, "NodeDeleted"), (3, "NodeDataChanged"), (4, "NodeChildrenChanged")];
/// Operations that are never sent: what they do on Apache is decided otherwise here (decision 5).
const NOT_SENT: [i32; 3] = [op::NOTIFICATION, op::DELETE_CONTAINER, op::CREATE_SESSION];

/// Counts by what was met.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    counts: BTreeMap<String, u64>,
    requests: u64,
}

/// One thing that a whole comparison must have met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Met {
    /// What.
    pub name: String,
    /// How often, with details.
    pub seen: String,
    /// Whether it was met at all.
    pub is_met: bool,
}

impl Coverage {
    /// Requests, handshakes and bad frames so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.requests
    }

    fn count(&mut self, what: String) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A act and the lines that both servers answered.
    pub(super) fn add(&mut self, act: &Act, lines: &[String]) {
        self.requests += operations(act);
        self.count(format!("act {}", act_name(act)));
        if let Act::Burst { requests, .. } = act {
            requests.iter().for_each(|request| self.add_request(request));
        }
        lines.iter().for_each(|line| self.add_line(line));
    }

    fn add_request(&mut self, request: &Request) {
        let Body::Bytes(bytes) = &request.body else { return };
        let flags = match request.opcode {
            op::CREATE | op::CREATE2 | op::CREATE_CONTAINER => bytes.last_chunk::<4>().copied(),
            op::CREATE_TTL => bytes.last_chunk::<12>().and_then(|tail| tail.first_chunk().copied()),
            _ => None,
        };
        if let Some(flags) = flags.map(i32::from_be_bytes).filter(|flags| (0..7).contains(flags)) {
            self.count(format!("flags {flags}"));
        }
    }

    fn add_line(&mut self, line: &str) {
        let mut words = line.split(' ').skip(1);
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match (first, second) {
            ("event", kind) => self.count(format!("event {kind}")),
            (name, "ok") => {
                self.count(format!("op {name} ok"));
                self.count("code 0".to_owned());
                if name == "multi" {
                    self.add_multi(line);
                }
            }
            (name, "err") => {
                let code = words.next().unwrap_or_default();
                self.count(format!("op {name} {code}"));
                self.count(format!("code {code}"));
            }
            _ => {}
        }
    }

    /// Where a failed multi failed, and with which code.
    fn add_multi(&mut self, line: &str) {
        let errors: Vec<i32> = line
            .split("Error(")
            .skip(1)
            .filter_map(|rest| rest.split(')').next()?.parse().ok())
            .collect();
        if let Some(position) = errors.iter().position(|code| *code != 0) {
            self.count(format!("multi failed at {position}"));
            errors[position..].iter().for_each(|code| self.count(format!("code {code}")));
        }
    }

    /// Everything that must be met, and whether it was.
    #[must_use]
    pub fn report(&self) -> Vec<Met> {
        let mut report = Vec::new();
        for (number, name) in op::NAMES {
            if !NOT_SENT.contains(&number) {
                report.push(self.met(format!("operation {number} {name}"), &format!("op {name} ")));
            }
        }
        for (number, name) in CODES.iter().chain(&CODES_OF_PROFILES) {
            report.push(self.met(format!("code {number} {name}"), &format!("code {number}")));
        }
        for (number, name) in EVENTS {
            report.push(self.met(format!("event {number} {name}"), &format!("event {number}")));
        }
        for flags in 0..7 {
            report.push(self.met(format!("create flags {flags}"), &format!("flags {flags}")));
        }
        for position in 0..6 {
            let what = format!("multi failed at {position}");
            report.push(self.met(what.clone(), &what));
        }
        for act in ACTS {
            report.push(self.met(format!("act {act}"), &format!("act {act}")));
        }
        report
    }

    /// `prefix` is a whole key, or the beginning of keys that then are told one by one.
    fn met(&self, name: String, prefix: &str) -> Met {
        let matching = |key: &str| {
            if prefix.ends_with(' ') { key.starts_with(prefix) } else { key == prefix }
        };
        let seen: Vec<String> = self
            .counts
            .iter()
            .filter(|(key, _)| matching(key))
            .map(|(key, count)| format!("{} {count}", key[prefix.len()..].trim()))
            .collect();
        Met { name, is_met: !seen.is_empty(), seen: seen.join(", ").trim().to_owned() }
    }
}

/// Every kind of act.
const ACTS: [&str; 12] = [
    "Burst",
    "Authenticate",
    "Drop",
    "Resume",
    "Steal",
    "Renew",
    "Expire",
    "Raw",
    "Stranger",
    "Handshake",
    "Sweep",
    "Look",
];

fn act_name(act: &Act) -> &'static str {
    match act {
        Act::Burst { .. } => "Burst",
        Act::Authenticate { .. } => "Authenticate",
        Act::Drop { .. } => "Drop",
        Act::Resume { .. } => "Resume",
        Act::Steal { .. } => "Steal",
        Act::Renew { .. } => "Renew",
        Act::Expire { .. } => "Expire",
        Act::Raw { .. } => "Raw",
        Act::Stranger { .. } => "Stranger",
        Act::Handshake { .. } => "Handshake",
        Act::Sweep { .. } => "Sweep",
        Act::Look => "Look",
    }
}

/// What a act counts for: requests and whatever else a server must answer or refuse. Looks and
/// sweeps serve the comparison and do not count.
fn operations(act: &Act) -> u64 {
    let count = match act {
        Act::Burst { requests, .. } => requests.len(),
        Act::Renew { .. } => 2,
        Act::Resume { rearm, .. } => 1 + rearm.len(),
        Act::Expire { requests, .. } => 1 + requests.len(),
        Act::Look | Act::Drop { .. } | Act::Sweep { .. } => 0,
        _ => 1,
    };
    u64::try_from(count).expect("a short act")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_counted_by_kind() {
        let mut coverage = Coverage::default();
        let lines = [
            "c0 create2 ok zxid +1 \"/a\" Stat[..]",
            "c0 create2 err -110 zxid +2 ",
            "c1 event 1 3 \"/a\" +1",
            "c0 multi ok zxid +3 [Error(0); Error(-101); Error(-2)]",
        ]
        .map(str::to_owned);
        let request = Request::new(op::CREATE2, vec![0, 0, 0, 4]);
        coverage.add(&Act::Burst { client: 0, requests: vec![request] }, &lines);
        let seen = |name: &str| {
            coverage.report().into_iter().find(|met| met.name == name).expect("listed").seen
        };
        assert_eq!(seen("operation 15 create2"), "-110 1, ok 1");
        assert_eq!(seen("event 1 NodeCreated"), "1");
        assert_eq!(seen("multi failed at 1"), "1");
        assert_eq!(seen("code -2 RuntimeInconsistency"), "1");
        assert_eq!(seen("create flags 4"), "1");
        assert_eq!(seen("create flags 5"), "");
        assert_eq!(coverage.operations(), 1);
    }
}
