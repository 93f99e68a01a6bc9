//! Quotas: limits that clients set under `/zookeeper/quota`, and the usage that the server notes
//! beside them, both as text that ZooKeeper's tools read and write.
//!
//! It does not decide when usage is counted: `apply` does.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
};
use core::fmt;

use crate::shared_bytes::SharedStr;

/// Where quotas are: the quota of `/a` is in `/zookeeper/quota/a`.
pub const QUOTA_ROOT: &str = "/zookeeper/quota";

/// Name of the znode that holds a quota's limits.
pub const LIMITS_NAME: &str = "zookeeper_limits";

/// Name of the znode that holds the usage.
pub const STATS_NAME: &str = "zookeeper_stats";

/// Which part of a quota a znode is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QuotaNode<'a> {
    /// The limits of the subtree at this path.
    Limits(&'a str),
    /// The usage of the subtree at this path.
    Stats(&'a str),
}

/// What `path` is in some quota, if anything. The whole tree has no quota, nor has what is not
/// below [`QUOTA_ROOT`].
#[must_use]
pub fn quota_node(path: &str) -> Option<QuotaNode<'_>> {
    let (of, name) = path.strip_prefix(QUOTA_ROOT)?.rsplit_once('/')?;
    match name {
        _ if !of.starts_with('/') => None,
        LIMITS_NAME => Some(QuotaNode::Limits(of)),
        STATS_NAME => Some(QuotaNode::Stats(of)),
        _ => None,
    }
}

/// The path of the limits of the subtree at `prefix`.
#[must_use]
pub fn limits_path(prefix: &str) -> String {
    format!("{QUOTA_ROOT}{prefix}/{LIMITS_NAME}")
}

/// The path of the usage of the subtree at `prefix`.
#[must_use]
pub fn stats_path(prefix: &str) -> String {
    format!("{QUOTA_ROOT}{prefix}/{STATS_NAME}")
}

/// The subtrees that have limits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QuotaPrefixes {
    prefixes: BTreeSet<SharedStr>,
}

impl QuotaPrefixes {
    /// The subtree at `prefix` has limits from now on.
    pub fn insert(&mut self, prefix: &str) {
        self.prefixes.insert(SharedStr::new(prefix));
    }

    /// The subtree at `prefix` has none any more.
    pub fn remove(&mut self, prefix: &str) {
        self.prefixes.remove(prefix);
    }

    /// All of them, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.prefixes.iter().map(SharedStr::as_str)
    }

    /// The innermost subtree with limits that `path` is in. Only that one counts.
    #[must_use]
    pub fn innermost(&self, path: &str) -> Option<&str> {
        // Almost every server has no quota at all.
        if self.prefixes.is_empty() {
            return None;
        }
        let mut prefix = path;
        while !prefix.is_empty() {
            if let Some(found) = self.prefixes.get(prefix) {
                return Some(found);
            }
            prefix = prefix.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        None
    }
}

/// A quota's limits. -1 is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuotaLimits {
    /// Znodes, the subtree's root included: a warning above.
    pub count: i64,
    /// Bytes of data: a warning above.
    pub bytes: i64,
    /// Znodes: refused above, where quotas are enforced.
    pub count_hard: i64,
    /// Bytes of data: refused above, where quotas are enforced.
    pub bytes_hard: i64,
}

impl QuotaLimits {
    /// Reads a limits znode's data. What cannot be read limits nothing.
    #[must_use]
    pub fn parse(data: &[u8]) -> Self {
        let numbers = Numbers::parse(data);
        Self {
            count: numbers.value("count"),
            bytes: numbers.value("bytes"),
            count_hard: numbers.value("countHardLimit"),
            bytes_hard: numbers.value("byteHardLimit"),
        }
    }

    /// Whether a subtree with `stats` is within the hard limits after this much more (or less) of
    /// each. What does not change is not looked at; what shrinks and is still above is refused, as
    /// in ZooKeeper.
    #[must_use]
    pub fn allow(&self, stats: &QuotaStats, count_diff: i64, bytes_diff: i64) -> bool {
        let fits = |limit: i64, used: i64, diff: i64| {
            limit < 0 || diff == 0 || used.saturating_add(diff) <= limit
        };
        fits(self.count_hard, stats.count(), count_diff)
            && fits(self.bytes_hard, stats.bytes(), bytes_diff)
    }
}

/// What a subtree with a quota uses, as its stats znode says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuotaStats(Numbers);

impl QuotaStats {
    /// The usage of a subtree that was just counted.
    #[must_use]
    pub fn new(count: i64, bytes: i64) -> Self {
        let mut stats = Self(Numbers::default());
        stats.set(count, bytes);
        stats
    }

    /// Reads a stats znode's data. What cannot be read counts as -1, as what is not there.
    #[must_use]
    pub fn parse(data: &[u8]) -> Self {
        Self(Numbers::parse(data))
    }

    /// The znode's data.
    #[must_use]
    pub fn format(&self) -> String {
        format!("{}", self.0)
    }

    /// Znodes, the subtree's root included.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.value("count")
    }

    /// Bytes of data.
    #[must_use]
    pub fn bytes(&self) -> i64 {
        self.0.value("bytes")
    }

    /// Counts a change.
    pub fn add(&mut self, count_diff: i64, bytes_diff: i64) {
        let count = self.count().wrapping_add(count_diff);
        let bytes = self.bytes().wrapping_add(bytes_diff);
        self.set(count, bytes);
    }

    fn set(&mut self, count: i64, bytes: i64) {
        self.0.values.insert(String::from("count"), count);
        self.0.values.insert(String::from("bytes"), bytes);
    }
}

/// Named numbers, as ZooKeeper writes them: `count=5,bytes=-1=;byteHardLimit=10`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Numbers {
    values: BTreeMap<String, i64>,
}

impl Numbers {
    /// Reads `name=number` pairs between commas and semicolons. A name without a number is -1;
    /// pairs that cannot be read are left out.
    fn parse(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        let mut values = BTreeMap::new();
        for pair in text.split([',', ';']) {
            let mut parts = pair.split('=');
            let (Some(name), Some(number)) = (parts.next(), parts.next()) else { continue };
            if number.is_empty() {
                values.insert(String::from(name), -1);
            } else if let Ok(number) = number.parse() {
                values.insert(String::from(name), number);
            }
        }
        Self { values }
    }

    fn value(&self, name: &str) -> i64 {
        self.values.get(name).copied().unwrap_or(-1)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.value("count"), self.value("bytes"))?;
        let mut others =
            self.values.iter().filter(|(name, _)| *name != "count" && *name != "bytes").peekable();
        // ZooKeeper 3.4 reads up to this second `=` and no further: it knows no other numbers.
        if others.peek().is_some() {
            f.write_str("=")?;
        }
        others.try_for_each(|(name, value)| write!(f, ";{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_those_of_zookeepers_tools() {
        let format = |text: &str| QuotaStats::parse(text.as_bytes()).format();
        assert_eq!(QuotaStats::new(5, 100).format(), "count=5,bytes=100");
        assert_eq!(format("count=5,bytes=100"), "count=5,bytes=100");
        assert_eq!(format(""), "count=-1,bytes=-1");
        let with_hard = "count=5,bytes=-1=;byteHardLimit=10;countHardLimit=3";
        assert_eq!(format(with_hard), with_hard);
        assert_eq!(
            format("countHardLimit=3;;bytes=7,byteHardLimit=,count=x"),
            "count=-1,bytes=7=;byteHardLimit=-1;countHardLimit=3"
        );
        assert_eq!(format("=5"), "count=-1,bytes=-1=;=5");
    }

    #[test]
    fn limits_are_read_and_hard_ones_refuse() {
        let limits = QuotaLimits::parse(b"count=5,bytes=-1=;byteHardLimit=10;countHardLimit=3");
        let expected = QuotaLimits { count: 5, bytes: -1, count_hard: 3, bytes_hard: 10 };
        assert_eq!(limits, expected);
        assert!(limits.allow(&QuotaStats::new(2, 9), 1, 1));
        assert!(!limits.allow(&QuotaStats::new(3, 9), 1, 1));
        assert!(!limits.allow(&QuotaStats::new(2, 9), 1, 2));
        assert!(limits.allow(&QuotaStats::new(9, 9), 0, 1), "the count does not change");
        assert!(!limits.allow(&QuotaStats::new(1, 90), 0, -1), "still too much");
        let soft = QuotaLimits::parse(b"count=1,bytes=1");
        assert!(soft.allow(&QuotaStats::new(9, 9), 1, 1), "soft limits refuse nothing");
    }

    #[test]
    fn stats_count() {
        let mut stats = QuotaStats::parse(b"count=1,bytes=2=;note=7");
        stats.add(2, -1);
        assert_eq!(stats.format(), "count=3,bytes=1=;note=7");
    }

    #[test]
    fn quota_znodes_are_known_by_their_paths() {
        use QuotaNode::{Limits, Stats};
        assert_eq!(quota_node("/zookeeper/quota/a/b/zookeeper_limits"), Some(Limits("/a/b")));
        assert_eq!(quota_node("/zookeeper/quota/a/zookeeper_stats"), Some(Stats("/a")));
        assert_eq!(quota_node("/zookeeper/quota/zookeeper_limits"), None);
        assert_eq!(quota_node("/zookeeper/quotas/a/zookeeper_limits"), None);
        assert_eq!(quota_node("/zookeeper/quota/a/other"), None);
        assert_eq!(quota_node("/a/zookeeper_limits"), None);
        assert_eq!(quota_node(&limits_path("/a")), Some(Limits("/a")));
        assert_eq!(quota_node(&stats_path("/a")), Some(Stats("/a")));
    }

    #[test]
    fn the_innermost_quota_counts() {
        let mut prefixes = QuotaPrefixes::default();
        assert_eq!(prefixes.innermost("/a"), None);
        prefixes.insert("/a");
        prefixes.insert("/a/b");
        assert_eq!(prefixes.innermost("/a/b/c/d"), Some("/a/b"));
        assert_eq!(prefixes.innermost("/a/b"), Some("/a/b"));
        assert_eq!(prefixes.innermost("/a/bc"), Some("/a"));
        assert_eq!(prefixes.innermost("/ab"), None);
        assert_eq!(prefixes.innermost("/"), None);
        prefixes.remove("/a/b");
        assert_eq!(prefixes.innermost("/a/b/c/d"), Some("/a"));
    }

    proptest! {
        /// What is written is read again, and no text stops the server.
        #[test]
        fn texts_survive_a_second_reading(text in "(count|bytes|x|[a-z=,;0-9-]){0,20}") {
            let stats = QuotaStats::parse(text.as_bytes());
            let format = stats.format();
            let again = QuotaStats::parse(format.as_bytes());
            prop_assert_eq!(again.format(), format);
        }
    }
}
