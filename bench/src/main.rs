//! `ringkeeper-bench`: loads ZooKeeper-compatible servers.
fn main() {}
