//! The checks, checked: histories of a small ensemble without consensus, right ones and ones of
//! servers that are broken on purpose; and histories by hand.

mod by_hand;
mod ensemble;
mod random;
mod server;
