//! One client's socket: bytes in, bytes out, and nothing about what they mean.
//!
//! An idle connection owns no buffer. Input is read into a scratch buffer of the shard, and only a
//! frame that is not complete yet, or that must wait, is kept. Output is gathered during a turn and
//! leaves in one write; its buffer comes from a pool and goes back when everything was sent.
//!
//! A connection has one task. It polls, and whoever wants it to look again (because output is
//! stuck, because it may read again, because it must end) calls [`Connection::wake`].

use std::{
    io, mem,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

/// Unsent bytes from which on a connection is not read any more: its client does not read either.
pub(crate) const OUTPUT_BYTES_PAUSE: usize = 256 << 10;

/// Unsent bytes from which on a connection is closed: events of watches come without being asked
/// for, and a client that never reads must not take the memory of all others.
pub(crate) const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// A larger buffer is given back to the allocator instead of to the pool.
const POOLED_BYTES_MAX: usize = 64 << 10;

/// Reads of what a closed connection has still sent: more than a socket's buffer holds.
const FAREWELL_READS: usize = 64;

/// Buffers that a pool keeps.
const POOLED_COUNT_MAX: usize = 128;

/// Output buffers that nobody needs at the moment. One per shard.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    buffers: Vec<Vec<u8>>,
}

impl BufferPool {
    fn take(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_else(|| Vec::with_capacity(1024))
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= POOLED_BYTES_MAX && self.buffers.len() < POOLED_COUNT_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

/// How a connection goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// It goes on.
    Open,
    /// It is closed once everything gathered was sent.
    AfterOutput,
    /// It is closed at once.
    Now,
}

/// A client's socket and what is on its way through it.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: TcpStream,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// Bytes that came and were not used: an unfinished frame, or frames that must wait.
    input: Vec<u8>,
    /// Bytes that go out; `output[..sent]` is gone already. Without capacity when idle.
    output: Vec<u8>,
    sent: usize,
    /// Whether the kernel takes no more: then the task, not the end of the turn, goes on sending.
    is_stuck: bool,
    ending: Ending,
    /// Wakes the task.
    waker: Option<Waker>,
}

impl Connection {
    /// A connection that was just accepted.
    pub(crate) fn new(socket: TcpStream, peer: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            is_stuck: false,
            ending: Ending::Open,
            waker: None,
        }
    }

    /// Remembers whom to wake. First thing in every poll of the task.
    pub(crate) fn set_waker(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Has the task look again.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Reads what is there into `scratch`; 0 bytes mean that the client has closed its side.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read(context, scratch)
    }

    /// Takes the bytes that wait, to be completed by new ones and put back in part.
    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        mem::take(&mut self.input)
    }

    /// Keeps bytes that could not be used yet.
    pub(crate) fn keep_input(&mut self, input: Vec<u8>) {
        debug_assert!(self.input.is_empty(), "taken before it is put back");
        self.input = input;
    }

    /// Whether bytes wait.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Where output of this turn is appended.
    pub(crate) fn output(&mut self, pool: &mut BufferPool) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = pool.take();
        }
        &mut self.output
    }

    /// How many bytes wait to be sent.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Whether the kernel takes no more for now.
    pub(crate) fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// Lets the connection end; a stronger wish wins.
    pub(crate) fn end(&mut self, ending: Ending) {
        if self.ending != Ending::Now {
            self.ending = ending;
        }
        self.wake();
    }

    /// Whether it is to be closed, now or soon.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending != Ending::Open
    }

    /// Whether nothing keeps the task from ending.
    pub(crate) fn is_finished(&self) -> bool {
        match self.ending {
            Ending::Open => false,
            Ending::AfterOutput => self.unsent_bytes() == 0,
            Ending::Now => true,
        }
    }

    /// Sends what was gathered. What the kernel does not take now, the task sends when it can: the
    /// socket wakes it.
    pub(crate) fn send(&mut self, pool: &mut BufferPool) {
        let Some(waker) = self.waker.clone() else { return };
        let mut context = Context::from_waker(&waker);
        while self.sent < self.output.len() {
            let unsent = self.output.get(self.sent..).expect("sent <= len");
            match Pin::new(&mut self.socket).poll_write(&mut context, unsent) {
                Poll::Ready(Ok(count)) => self.sent += count,
                Poll::Ready(Err(error)) => {
                    tracing::debug!(peer = %self.peer, %error, "cannot send");
                    self.ending = Ending::Now;
                    self.sent = self.output.len();
                }
                Poll::Pending => {
                    self.is_stuck = true;
                    self.forget_sent();
                    return;
                }
            }
        }
        self.is_stuck = false;
        self.sent = 0;
        self.output.clear();
        pool.give_back(mem::take(&mut self.output));
        if self.ending != Ending::Open {
            self.wake();
        }
    }

    /// Ends the stream before it is dropped. A socket that is closed over unread input is reset,
    /// and a reset may overtake the last reply: so what has come by now is read, and forgotten.
    pub(crate) fn farewell(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) {
        let closed = Pin::new(&mut self.socket).poll_close(context);
        if !matches!(closed, Poll::Ready(Ok(()))) {
            return;
        }
        for _ in 0..FAREWELL_READS {
            match self.poll_read(context, scratch) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                _ => return,
            }
        }
    }

    /// Moves the unsent rest to the front once that is cheaper than what it frees.
    fn forget_sent(&mut self) {
        if self.sent > self.output.len() / 2 {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
    }
}
