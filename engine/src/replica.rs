//! The replica: where consensus and storage meet.
