//! The client protocol of ZooKeeper: bytes to typed values and back, total over all inputs.
//!
//! It knows what a request says, not what it does. Every length that a stranger sends is compared
//! with what is there before anything is allocated for it.
#![deny(clippy::indexing_slicing, clippy::expect_used)]

pub mod connect;
pub mod error_code;
pub mod event;
pub mod four_letter;
pub mod frame;
pub mod jute;
pub mod opcode;
pub mod path;
pub mod records;
pub mod reply;
pub mod request;
