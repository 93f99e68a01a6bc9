//! `ringkeeper`: the server.
fn main() {}
