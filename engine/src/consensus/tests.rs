//! Stories of one voter.
