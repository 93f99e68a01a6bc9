//! Replies and events.
