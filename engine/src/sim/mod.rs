//! The simulator: a whole cluster, its clients and its faults in one thread, under virtual time.
//! One seed decides everything.
//!
//! It runs what is shipped: replica, storage formats and recovery, State, sessions, watches. What
//! is its own is the world around them: time, chance, disks and networks that fail.
//!
//! Reading order: [`chance`], [`disk`], [`directory`], [`server`], [`network`], [`faults`],
//! [`world`]; of the clients' side: [`ask`], [`client`], [`history`], [`check`]; and what looks on:
//! [`observer`], [`coverage`], [`trace`].

pub mod ask;
pub mod chance;
pub mod check;
pub mod client;
pub mod coverage;
pub mod directory;
pub mod disk;
pub mod faults;
pub mod history;
pub mod network;
pub mod observer;
pub mod server;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod workload;
pub mod world;
