//! The log: formats, groups, recovery. Bytes to records and back; no files.
