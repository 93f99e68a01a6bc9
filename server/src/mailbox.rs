//! Mailboxes: bounded queues of messages between threads, whether they run an executor or not.
//!
//! Many senders, one receiver. A message is a whole batch or a question, never a single command,
//! so the cost of crossing cores is paid once per turn. Nothing here is glommio's: a sender or a
//! receiver may be a plain thread or a task of an executor, both of the same one too.
//!
//! How nothing is lost: a receiver leaves its waker and *then* looks into the queue once more; a
//! sender pushes and *then* takes the waker. Whoever comes second sees what the other did. The same
//! argument, turned around, holds for senders that wait for room. `tests/mailbox_model.rs` walks
//! through all interleavings.

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::sync::{
    Arc, AtomicWaker, Mutex, Queue,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    block_until, full_fence,
};

/// Makes a mailbox that holds up to `capacity` messages. `name` is what traces call it.
pub(crate) fn mailbox<T>(capacity: usize, name: &'static str) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        name,
        queue: Queue::new(capacity),
        receiver: AtomicWaker::new(),
        is_receiver_gone: AtomicBool::new(false),
        senders: AtomicUsize::new(1),
        waiting_for_room: AtomicBool::new(false),
        senders_waiting: Mutex::new(Vec::new()),
    });
    (Sender { shared: shared.clone() }, Receiver { shared })
}

/// What both ends see.
struct Shared<T> {
    name: &'static str,
    queue: Queue<T>,
    /// Woken after every push.
    receiver: AtomicWaker,
    is_receiver_gone: AtomicBool,
    /// How many `Sender`s exist.
    senders: AtomicUsize,
    /// Whether `senders_waiting` may hold somebody: spares the lock on the way that is always gone.
    waiting_for_room: AtomicBool,
    /// Who found the queue full. All are woken when room appears; who loses the race waits again.
    senders_waiting: Mutex<Vec<Waker>>,
}

impl<T> Shared<T> {
    fn wake_senders(&self) {
        // Orders the pop that made room before the load; its pair is in `poll_send`.
        full_fence();
        if self.waiting_for_room.load(Ordering::Relaxed) {
            let waiting = {
                let mut waiting = self.senders_waiting.lock().expect("no panic under this lock");
                self.waiting_for_room.store(false, Ordering::Relaxed);
                std::mem::take(&mut *waiting)
            };
            for waker in waiting {
                waker.wake();
            }
        }
    }
}

/// The sending end. Clones send to the same mailbox.
pub(crate) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends, or gives the message back when the mailbox is full or nobody receives any more.
    pub(crate) fn try_send(&self, message: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(message);
        }
        self.shared.queue.push(message)?;
        self.shared.receiver.wake();
        Ok(())
    }

    /// Sends when there is room. Returns the message when nobody receives any more.
    pub(crate) async fn send(&self, message: T) -> Result<(), T> {
        let mut message = Some(message);
        poll_fn(|context| self.poll_send(context, &mut message)).await
    }

    /// Sends when there is room, blocking the thread: for threads without an executor.
    pub(crate) fn send_blocking(&self, message: T) -> Result<(), T> {
        let mut message = Some(message);
        block_until(None, |context| self.poll_send(context, &mut message))
            .expect("without a deadline the wait ends with a result")
    }

    fn poll_send(&self, context: &mut Context<'_>, message: &mut Option<T>) -> Poll<Result<(), T>> {
        let attempt = message.take().expect("polled after it was done");
        let Err(attempt) = self.try_send(attempt) else { return Poll::Ready(Ok(())) };
        if self.is_closed() {
            return Poll::Ready(Err(attempt));
        }
        {
            let mut waiting = self.shared.senders_waiting.lock().expect("no panic under this lock");
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            self.shared.waiting_for_room.store(true, Ordering::Relaxed);
        }
        // Orders the store before the second attempt; its pair is in `wake_senders`.
        full_fence();
        match self.try_send(attempt) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(attempt) if self.is_closed() => Poll::Ready(Err(attempt)),
            Err(attempt) => {
                *message = Some(attempt);
                Poll::Pending
            }
        }
    }

    /// Whether the receiver is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_receiver_gone.load(Ordering::Acquire)
    }

    /// How many messages wait. A hint: it may be old when it is read.
    pub(crate) fn depth(&self) -> usize {
        self.shared.queue.len()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            // The receiver learns that nothing will come any more.
            self.shared.receiver.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sender to {} ({} waiting)", self.shared.name, self.depth())
    }
}

/// The receiving end: one per mailbox.
pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// The oldest message, if there is one.
    pub(crate) fn try_recv(&self) -> Option<T> {
        let message = self.shared.queue.pop()?;
        self.shared.wake_senders();
        Some(message)
    }

    /// The oldest message, as soon as there is one. `None`: every sender is gone.
    pub(crate) async fn recv(&self) -> Option<T> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// Ready when there is a message or every sender is gone; takes nothing. For those who wait for
    /// several things in one task.
    pub(crate) fn poll_wait(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_news() {
            return Poll::Ready(());
        }
        self.shared.receiver.register(context.waker());
        if self.has_news() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// As [`recv`](Self::recv), for those who wait for several things in one task.
    pub(crate) fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        match self.poll_wait(context) {
            Poll::Ready(()) => Poll::Ready(self.try_recv()),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The oldest message, blocking the thread until there is one or `timeout` has passed: for
    /// threads without an executor.
    pub(crate) fn recv_blocking(&self, timeout: Option<Duration>) -> Received<T> {
        match block_until(timeout, |context| self.poll_recv(context)) {
            Some(Some(message)) => Received::Message(message),
            Some(None) => Received::Closed,
            None => Received::Timeout,
        }
    }

    /// Whether every sender is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.senders.load(Ordering::Acquire) == 0
    }

    /// How many messages wait.
    pub(crate) fn depth(&self) -> usize {
        self.shared.queue.len()
    }

    fn has_news(&self) -> bool {
        // In this order: a sender's last message precedes its end.
        self.is_closed() || !self.shared.queue.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.is_receiver_gone.store(true, Ordering::Release);
        // Dropped here, not with the last sender, which may live as long as the process.
        while self.shared.queue.pop().is_some() {}
        self.shared.wake_senders();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "receiver of {} ({} waiting)", self.shared.name, self.depth())
    }
}

/// What a blocking receive came back with.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Received<T> {
    /// A message.
    Message(T),
    /// Nothing came in time.
    Timeout,
    /// Every sender is gone, and every message was taken.
    Closed,
}
