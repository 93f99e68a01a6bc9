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
