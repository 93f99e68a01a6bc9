//! What looks at ZooKeeper-compatible servers from outside: a client at the level of bytes, real
//! server processes, load, torture, damage, and side-by-side comparison. Knows nothing of the
//! engine: what it finds is what a client would find.

#![forbid(unsafe_code)]

pub mod compare;
pub mod damage;
pub mod differ;
pub mod load;
pub mod rng;
pub mod servers;
pub mod torture;
pub mod tour;
pub mod wire;
