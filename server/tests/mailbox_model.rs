//! The mailbox under every interleaving of its threads: `loom` runs each case again and again, with
//! another schedule each time, until there is no new one.
//!
//! What is proved is the mailbox's own protocol: a waker is left before the queue is looked at once
//! more, and a message is pushed before the waker is taken. The queue and the waker themselves are
//! other people's, with proofs of their own; here they are loom's, or behind a lock of loom's.

#[path = "../src/mailbox.rs"]
#[expect(dead_code, reason = "the model uses a part of it")]
mod mailbox;

/// In place of `src/sync.rs`.
mod sync {
    use std::{
        collections::VecDeque,
        task::{Context, Poll, Waker},
        time::Duration,
    };

    pub(crate) use loom::sync::{Arc, Mutex, atomic};

    /// loom's, with the signature of the real one.
    pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self(loom::future::AtomicWaker::new())
        }

        pub(crate) fn register(&self, waker: &Waker) {
            self.0.register_by_ref(waker);
        }

        pub(crate) fn wake(&self) {
            self.0.wake();
        }
    }

    /// A bounded queue, each operation of it one step.
    pub(crate) struct Queue<T> {
        capacity: usize,
        items: Mutex<VecDeque<T>>,
    }

    impl<T> Queue<T> {
        pub(crate) fn new(capacity: usize) -> Self {
            Self { capacity, items: Mutex::new(VecDeque::new()) }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock().expect("no panic under this lock");
            if items.len() == self.capacity {
                return Err(item);
            }
            items.push_back(item);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            self.items.lock().expect("no panic under this lock").pop_front()
        }

        pub(crate) fn len(&self) -> usize {
            self.items.lock().expect("no panic under this lock").len()
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    pub(crate) fn full_fence() {
        atomic::fence(atomic::Ordering::SeqCst);
    }

    /// Without time: a model has none.
    pub(crate) fn block_until<R>(
        timeout: Option<Duration>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Option<R> {
        assert!(timeout.is_none(), "the model has no time");
        Some(loom::future::block_on(std::future::poll_fn(|context| poll(context))))
    }
}

use loom::thread;
use mailbox::{Received, mailbox};

/// All schedules with at most this many switches of a thread that could have gone on. Bugs of this
/// kind show with two.
fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(check);
}

#[test]
fn a_waiting_receiver_gets_every_message() {
    model(|| {
        let (sender, receiver) = mailbox(2, "model");
        let sending = thread::spawn(move || {
            assert_eq!(sender.try_send(1), Ok(()));
            assert_eq!(sender.try_send(2), Ok(()));
            // Its end must come after its messages.
        });
        assert_eq!(receiver.recv_blocking(None), Received::Message(1));
        assert_eq!(receiver.recv_blocking(None), Received::Message(2));
        assert_eq!(receiver.recv_blocking(None), Received::Closed);
        sending.join().expect("no panic");
    });
}

#[test]
fn a_sender_that_waits_for_room_gets_it() {
    model(|| {
        let (sender, receiver) = mailbox(1, "model");
        let sending = thread::spawn(move || {
            sender.send_blocking(1).expect("somebody listens");
            sender.send_blocking(2).expect("somebody listens");
        });
        assert_eq!(receiver.recv_blocking(None), Received::Message(1));
        assert_eq!(receiver.recv_blocking(None), Received::Message(2));
        sending.join().expect("no panic");
    });
}

#[test]
fn two_senders_wait_for_the_same_room() {
    model(|| {
        let (first, receiver) = mailbox(1, "model");
        let second = first.clone();
        let first = thread::spawn(move || first.send_blocking(1).expect("somebody listens"));
        let second = thread::spawn(move || second.send_blocking(2).expect("somebody listens"));
        let mut sum = 0;
        while let Received::Message(message) = receiver.recv_blocking(None) {
            sum += message;
        }
        assert_eq!(sum, 3);
        first.join().expect("no panic");
        second.join().expect("no panic");
    });
}

#[test]
fn a_sender_learns_that_nobody_listens() {
    model(|| {
        let (sender, receiver) = mailbox(1, "model");
        sender.try_send(1).expect("room");
        let sending = thread::spawn(move || sender.send_blocking(2));
        drop(receiver);
        // It may have found room before the receiver went; then nobody reads the message.
        sending.join().expect("no panic").ok();
    });
}
