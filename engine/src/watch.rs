//! Watches: who wants to be told.
