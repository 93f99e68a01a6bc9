//! Sending without waiting: what does not fit into a receiver's mailbox waits here, and a task
//! forwards it when there is room. The order of messages is kept.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::Waker,
};

use crate::mailbox::Sender;

/// A wish of one task to be woken by others of its core.
#[derive(Default)]
pub(super) struct Signal {
    waker: RefCell<Option<Waker>>,
    is_raised: Cell<bool>,
}

impl Signal {
    /// There is something to do.
    pub(super) fn raise(&self) {
        self.is_raised.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether it was raised since this was asked last.
    pub(super) fn take(&self) -> bool {
        self.is_raised.replace(false)
    }

    pub(super) fn register(&self, waker: &Waker) {
        *self.waker.borrow_mut() = Some(waker.clone());
    }
}

/// The way to one receiver.
pub(super) struct Outbox<T> {
    sender: Sender<T>,
    waiting: RefCell<VecDeque<T>>,
    /// Whether a task forwards what waits: until it ends, everything goes through it.
    is_forwarding: Cell<bool>,
    /// Raised when the receiver has caught up.
    signal: Rc<Signal>,
}

impl<T: 'static> Outbox<T> {
    pub(super) fn new(sender: Sender<T>, signal: Rc<Signal>) -> Rc<Self> {
        let (waiting, is_forwarding) = (RefCell::default(), Cell::new(false));
        Rc::new(Self { sender, waiting, is_forwarding, signal })
    }

    /// Sends `message` after all that were posted before it. Never waits.
    pub(super) fn post(self: &Rc<Self>, message: T) {
        if self.is_forwarding.get() {
            self.waiting.borrow_mut().push_back(message);
            return;
        }
        let Err(message) = self.sender.try_send(message) else { return };
        if self.sender.is_closed() {
            // Only at the end of the process is a receiver gone.
            return;
        }
        self.waiting.borrow_mut().push_back(message);
        self.is_forwarding.set(true);
        glommio::spawn_local(self.clone().forward()).detach();
    }

    /// How many messages wait for room.
    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    async fn forward(self: Rc<Self>) {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let Some(message) = next else { break };
            if self.sender.send(message).await.is_err() {
                self.waiting.borrow_mut().clear();
            }
            if self.len() == super::OUTBOX_MAX / 2 {
                self.signal.raise();
            }
        }
        self.is_forwarding.set(false);
        self.signal.raise();
    }
}

#[cfg(test)]
mod tests {
    use glommio::LocalExecutorBuilder;

    use super::*;
    use crate::mailbox::mailbox;

    #[test]
    fn a_slow_receiver_gets_everything_in_order_and_nobody_waits() {
        let executor = LocalExecutorBuilder::default().spawn(|| async {
            let signal = Rc::new(Signal::default());
            let (sender, receiver) = mailbox(2, "test");
            let outbox = Outbox::new(sender, signal.clone());
            for number in 0..10 {
                outbox.post(number);
            }
            assert!(outbox.len() >= 7, "two fit into the mailbox, one may be on its way");
            let mut received = Vec::new();
            for _ in 0..10 {
                received.push(receiver.recv().await);
            }
            glommio::executor().yield_now().await;
            assert!(signal.take(), "it has caught up");
            outbox.post(10);
            assert_eq!(receiver.try_recv(), Some(10), "without a detour again");
            assert_eq!(received, (0..10).map(Some).collect::<Vec<_>>());
        });
        executor.expect("an executor").join().expect("no panic");
    }

    #[test]
    fn a_receiver_that_is_gone_needs_nothing() {
        let executor = LocalExecutorBuilder::default().spawn(|| async {
            let (sender, receiver) = mailbox(1, "test");
            let outbox = Outbox::new(sender, Rc::default());
            outbox.post(1);
            outbox.post(2);
            outbox.post(3);
            drop(receiver);
            glommio::executor().yield_now().await;
            outbox.post(4);
            assert_eq!(outbox.len(), 0);
        });
        executor.expect("an executor").join().expect("no panic");
    }
}
