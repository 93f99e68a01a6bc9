//! What mailboxes are built of. `tests/mailbox_model.rs` puts loom's versions in its place.

use std::{
    sync::atomic::fence,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

pub(crate) use std::sync::{Arc, Mutex, atomic};

pub(crate) use atomic_waker::AtomicWaker;
pub(crate) use crossbeam_queue::ArrayQueue as Queue;

/// Orders every store before it ahead of every load after it, as seen by all threads.
pub(crate) fn full_fence() {
    fence(atomic::Ordering::SeqCst);
}

/// Polls until there is a result, parking the thread in between. `None`: `timeout` passed first.
pub(crate) fn block_until<R>(
    timeout: Option<Duration>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Option<R> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = poll(&mut context) {
            return Some(result);
        }
        match deadline {
            None => thread::park(),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                thread::park_timeout(left);
            }
        }
    }
}

/// Ends a `park`.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The mailbox over what is here; `tests/mailbox_model.rs` has it over loom's.
#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use crate::mailbox::{Received, mailbox};

    #[test]
    fn gives_back_what_does_not_fit() {
        let (sender, receiver) = mailbox(1, "test");
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(2));
        assert_eq!(receiver.try_recv(), Some(1));
        assert_eq!(receiver.try_recv(), None);
    }

    #[test]
    fn a_receiver_learns_that_nothing_will_come() {
        let (sender, receiver) = mailbox(4, "test");
        sender.try_send(1).expect("room");
        drop(sender);
        assert_eq!(receiver.recv_blocking(None), Received::Message(1));
        assert_eq!(receiver.recv_blocking(None), Received::Closed);
    }

    #[test]
    fn a_sender_learns_that_nobody_listens() {
        let (sender, receiver) = mailbox(1, "test");
        sender.try_send(1).expect("room");
        let waiting = thread::spawn(move || sender.send_blocking(2));
        drop(receiver);
        assert_eq!(waiting.join().expect("no panic"), Err(2));
    }

    #[test]
    fn a_wait_ends_in_time() {
        let (_sender, receiver) = mailbox::<u8>(1, "test");
        assert_eq!(receiver.recv_blocking(Some(Duration::from_millis(1))), Received::Timeout);
    }

    #[test]
    fn threads_pass_everything_in_order_through_one_place() {
        let (sender, receiver) = mailbox(1, "test");
        let sending = thread::spawn(move || {
            for message in 0..10_000 {
                sender.send_blocking(message).expect("somebody listens");
            }
        });
        for expected in 0..10_000 {
            assert_eq!(receiver.recv_blocking(None), Received::Message(expected));
        }
        assert_eq!(receiver.recv_blocking(None), Received::Closed);
        sending.join().expect("no panic");
    }
}
