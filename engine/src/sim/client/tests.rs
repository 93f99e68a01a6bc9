//! A client alone.
