//! Commands that wait for a batch.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::iter;

use crate::{
    batch::{Commands, Run, encode_runs, runs_bytes},
    consensus::Proposal,
    ids::Life,
};

/// Commands in the order in which they came, with those who submitted them.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct CommandQueue {
    /// Invariant: none is empty.
    waiting: VecDeque<(Life, Arc<Commands>)>,
    /// How many commands of the first are in batches already.
    taken_count: usize,
    /// Where they end.
    taken_bytes: usize,
    /// Bytes that wait.
    bytes: usize,
}

/// Whole commands at the front of one message.
struct Piece {
    count: usize,
    end: usize,
    zxid_count: u32,
}

impl CommandQueue {
    /// Adds commands of `life` at the end.
    pub(super) fn push(&mut self, life: Life, commands: Arc<Commands>) {
        if !commands.is_empty() {
            self.bytes += commands.bytes.len();
            self.waiting.push_back((life, commands));
        }
    }

    /// Takes as many whole commands as fit, with the table of their runs, in `bytes_max`, and at
    /// least one.
    pub(super) fn take_batch(&mut self, bytes_max: usize) -> Option<Proposal> {
        let mut pieces: VecDeque<Piece> = VecDeque::new();
        let mut runs: Vec<Run> = Vec::new();
        let mut bytes = 0;
        for (index, (life, commands)) in self.waiting.iter().enumerate() {
            let start = if index == 0 { (self.taken_count, self.taken_bytes) } else { (0, 0) };
            let is_new_run = runs.last().is_none_or(|run| run.life != *life);
            let table_bytes = runs_bytes(runs.len() + usize::from(is_new_run));
            let room = bytes_max.saturating_sub(table_bytes + bytes);
            let piece = fitting_piece(commands, start, room, bytes == 0);
            let is_whole = start.0 + piece.count == commands.ends.len();
            if piece.count > 0 {
                if is_new_run {
                    runs.push(Run { life: *life, command_count: 0 });
                }
                let run = runs.last_mut().expect("pushed if there was none");
                run.command_count += u32::try_from(piece.count).expect("a command has a byte");
                bytes += piece.end - start.1;
                pieces.push_back(piece);
            }
            if !is_whole {
                break;
            }
        }
        if runs.is_empty() {
            return None;
        }
        let command_count = runs.iter().map(|run| run.command_count).sum();
        let zxid_count = pieces.iter().map(|piece| piece.zxid_count).sum();
        let payload = self.take_pieces(&runs, pieces, bytes);
        Some(Proposal { payload, command_count, zxid_count })
    }

    fn take_pieces(&mut self, runs: &[Run], pieces: VecDeque<Piece>, bytes: usize) -> Arc<[u8]> {
        // One allocation of the final size: the batch is never copied again before the disk.
        let payload_bytes = runs_bytes(runs.len()) + bytes;
        let mut payload: Arc<[u8]> = iter::repeat_n(0, payload_bytes).collect();
        let mut rest = encode_runs(runs, Arc::get_mut(&mut payload).expect("nobody has it yet"));
        for piece in pieces {
            let (_, commands) = self.waiting.front().expect("a piece is of a waiting message");
            let taken = &commands.bytes[self.taken_bytes..piece.end];
            let (head, tail) = rest.split_at_mut(taken.len());
            head.copy_from_slice(taken);
            rest = tail;
            self.taken_count += piece.count;
            self.taken_bytes = piece.end;
            if self.taken_count == commands.ends.len() {
                self.waiting.pop_front();
                self.taken_count = 0;
                self.taken_bytes = 0;
            }
        }
        self.bytes -= bytes;
        payload
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The commands of `commands` after the first `start.0`, which end at `start.1`, that fit in
/// `room`. Where a batch has none yet, the first fits, however large it is.
fn fitting_piece(commands: &Commands, start: (usize, usize), room: usize, is_first: bool) -> Piece {
    let mut piece = Piece { count: 0, end: start.1, zxid_count: 0 };
    for command in &commands.ends[start.0..] {
        let end = usize::try_from(command.end).expect("32 bits");
        assert!(piece.end < end, "a command has a byte");
        let must_fit = !is_first || piece.count > 0;
        if must_fit && end - start.1 > room {
            break;
        }
        piece.count += 1;
        piece.end = end;
        piece.zxid_count += u32::from(command.takes_zxid);
    }
    piece
}
