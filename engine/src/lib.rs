//! Ringkeeper's engine: protocol, State, watches, consensus and storage formats as plain values.
//!
//! Nothing here does I/O, reads a clock, draws a random number or starts a thread: bytes, time and
//! chance come in as arguments, and what should happen goes out as data. That is what lets one
//! seed replay a whole cluster, and what keeps the server a thin shell.
//!
//! Reading order: [`limits`], [`ids`], [`shared_bytes`], [`batch`], [`protocol`], [`state`],
//! [`watch`], [`session_order`], [`storage`], [`consensus`], [`replica`].
// `no_std`: what cannot be named cannot be used. `std::time::Instant::now`, files, threads and hash
// maps that the operating system seeds do not compile here.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod batch;
pub mod consensus;
pub mod ids;
pub mod limits;
mod mutant;
pub mod protocol;
pub mod replica;
pub mod session_order;
pub mod shared_bytes;
// Tests of other modules have its naive tree beside them.
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod state;
pub mod storage;
pub mod watch;
