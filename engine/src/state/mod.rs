//! The replicated state: tree, sessions, ACLs, quotas; a function of the committed commands.

pub mod command;
