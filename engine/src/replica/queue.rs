//! Commands that wait for a batch.

use alloc::{collections::VecDeque, sync::Arc};
use core::iter;

use crate::{batch::Commands, consensus::Proposal};

/// Commands in the order in which they came.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct CommandQueue {
    /// Invariant: none is empty.
    waiting: VecDeque<Commands>,
    /// How many commands of the first are in batches already.
    taken_count: usize,
    /// Where they end.
    taken_bytes: usize,
    /// Bytes that wait.
    bytes: usize,
}

/// A run of whole commands at the front of one message.
struct Run {
    count: usize,
    end: usize,
    zxid_count: u32,
}

impl CommandQueue {
    /// Adds commands at the end.
    pub(super) fn push(&mut self, commands: Commands) {
        if !commands.is_empty() {
            self.bytes += commands.bytes.len();
            self.waiting.push_back(commands);
        }
    }

    /// Takes as many whole commands as fit in `bytes_max`, and at least one.
    pub(super) fn take_batch(&mut self, bytes_max: usize) -> Option<Proposal> {
        let mut runs: VecDeque<Run> = VecDeque::new();
        let mut bytes = 0;
        for (index, commands) in self.waiting.iter().enumerate() {
            let start = if index == 0 { (self.taken_count, self.taken_bytes) } else { (0, 0) };
            let run = fitting_run(commands, start, bytes, bytes_max);
            bytes += run.end - start.1;
            let is_whole = start.0 + run.count == commands.ends.len();
            if run.count > 0 {
                runs.push_back(run);
            }
            if !is_whole {
                break;
            }
        }
        let command_count: usize = runs.iter().map(|run| run.count).sum();
        if command_count == 0 {
            return None;
        }
        let zxid_count = runs.iter().map(|run| run.zxid_count).sum();
        let payload = self.take_runs(runs, bytes);
        let command_count = u32::try_from(command_count).expect("a command has a byte");
        Some(Proposal { payload, command_count, zxid_count })
    }

    fn take_runs(&mut self, runs: VecDeque<Run>, bytes: usize) -> Arc<[u8]> {
        // One allocation of the final size: the batch is never copied again before the disk.
        let mut payload: Arc<[u8]> = iter::repeat_n(0, bytes).collect();
        let mut rest = Arc::get_mut(&mut payload).expect("nobody else has it yet");
        for run in runs {
            let commands = self.waiting.front().expect("a run is of a waiting message");
            let taken = &commands.bytes[self.taken_bytes..run.end];
            let (head, tail) = rest.split_at_mut(taken.len());
            head.copy_from_slice(taken);
            rest = tail;
            self.taken_count += run.count;
            self.taken_bytes = run.end;
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

/// The commands of `commands` after the first `start.0`, which end at `start.1`, that fit into a
/// batch of `bytes_max` that has `bytes` already. A batch that has none takes one of any size.
fn fitting_run(commands: &Commands, start: (usize, usize), bytes: usize, bytes_max: usize) -> Run {
    let mut run = Run { count: 0, end: start.1, zxid_count: 0 };
    for command in &commands.ends[start.0..] {
        let end = usize::try_from(command.end).expect("32 bits");
        assert!(run.end < end, "a command has a byte");
        if bytes + (end - start.1) > bytes_max && bytes + run.count > 0 {
            break;
        }
        run.count += 1;
        run.end = end;
        run.zxid_count += u32::from(command.takes_zxid);
    }
    run
}
