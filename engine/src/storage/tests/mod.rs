//! Tests of the formats together: stories, a crash model, damage, and the bytes of version 1.

mod crash;
mod damage;
mod golden;
mod install;
mod model;
mod snapshots;
mod stories;
