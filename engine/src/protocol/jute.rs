//! Jute: ZooKeeper's binary encoding.
