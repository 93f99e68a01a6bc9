//! Every bound that is not an operator's to set, with its unit in its name and what happens there.

/// The default of `jute.maxbuffer`: a longer request frame closes its connection.
pub const FRAME_BYTES_MAX_DEFAULT: usize = 0xf_ffff;

/// Most payload bytes of one batch. A leader closes a batch before it would grow beyond.
/// A single command that is larger travels alone (see `COMMAND_BYTES_MAX`).
pub const BATCH_BYTES_TARGET: usize = 1 << 20;

/// Most bytes of one encoded command: what an operator's largest `jute.maxbuffer` may admit.
/// A longer one is refused at the edge with `MarshallingError`.
pub const COMMAND_BYTES_MAX: usize = 32 << 20;

/// Most payload bytes of a record: a full batch and one command that came last.
pub const BATCH_BYTES_MAX: usize = BATCH_BYTES_TARGET + COMMAND_BYTES_MAX;

/// Slots that a leader may have accepted and not committed (R5). Beyond: commands wait.
pub const WINDOW_SLOTS_MAX: usize = 64;

/// Bytes that a leader may have accepted and not committed (R5). Beyond: commands wait.
pub const WINDOW_BYTES_MAX: usize = 64 << 20;

/// Committed batches that stay in memory for followers that are a little behind. Beyond: fetched.
pub const KEPT_SLOTS_MAX: usize = 64;

/// Bytes of committed batches that stay in memory for followers. Beyond: they fetch.
pub const KEPT_BYTES_MAX: usize = 16 << 20;

/// Bytes of submitted commands that are on their way to the leader. Beyond: they wait here.
pub const FORWARDED_BYTES_MAX: usize = 4 << 20;

/// Bytes of commands that wait for a batch at the leader. Beyond: it takes none, and they are sent
/// again.
pub const INTAKE_BYTES_MAX: usize = 64 << 20;

/// Most bytes of what one replica says to another at a time: the tail of a promise is the longest.
pub const PEER_FRAME_BYTES_MAX: usize = 256 << 20;

/// Unit of direct I/O and of log blocks, whatever the device reports.
pub const SECTOR_BYTES: usize = 4096;

/// Default size of a log segment.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// Length of a session password on the wire (jute: `buffer passwd`).
pub const PASSWORD_BYTES: usize = 16;

/// Length of an encoded Stat (jute: `Stat`).
pub const STAT_BYTES: usize = 68;

const _: () = {
    assert!(COMMAND_BYTES_MAX >= FRAME_BYTES_MAX_DEFAULT, "a default frame fits in a command");
    assert!(WINDOW_BYTES_MAX >= BATCH_BYTES_MAX, "one batch always fits in the window");
    assert!(PEER_FRAME_BYTES_MAX > WINDOW_BYTES_MAX + KEPT_BYTES_MAX + 2 * BATCH_BYTES_MAX);
    assert!(SEGMENT_BYTES_DEFAULT.is_multiple_of(SECTOR_BYTES as u64));
    assert!(SEGMENT_BYTES_DEFAULT > BATCH_BYTES_MAX as u64 + (1 << 20), "one record always fits");
};
