//! Stories of a replica.
