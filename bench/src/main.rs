//! `ringkeeper-bench`: loads, tortures and compares ZooKeeper-compatible servers.

#![forbid(unsafe_code)]

fn main() {}
