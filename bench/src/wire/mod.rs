//! A ZooKeeper client at the level of bytes: it can also send what no library would.

pub mod connection;
pub mod jute;
pub mod records;

pub use connection::{Connect, Connected, Connection, Event, Message, Reply};

/// What went wrong, as text for a person: this crate reports, it does not recover.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
