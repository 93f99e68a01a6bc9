//! Clients as sockets: who is let in, bytes in and out, and the operators' four-letter words.

pub(crate) mod accept;
pub(crate) mod connection;
pub(crate) mod connection_throttle;
pub(crate) mod four_letter;
pub(crate) mod large_requests;
