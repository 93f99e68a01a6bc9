//! `ringkeeper`: the server. Reading order: `main`, `cores`, `messages`, `mailbox`, `shard_core`,
//! `client`, `replica_core`, `disk`, `archivist`.
#![expect(dead_code, reason = "the parts land one after the other")]

mod clock;
mod fatal;
mod mailbox;
mod sync;

fn main() {}
