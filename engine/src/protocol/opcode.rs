//! Operation numbers.
