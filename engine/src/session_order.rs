//! A session's reads wait for its own writes, nothing else.
