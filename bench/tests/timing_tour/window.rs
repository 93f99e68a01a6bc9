//! Spans of time that a server must keep to.

use std::{
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

use ringkeeper_bench::wire::Failure;

/// What a busy machine may add to any span. It is more than delay: a server that has stood still
/// itself does not hold that against its sessions, and gives them up to half a timeout more.
pub(crate) const SLACK: Duration = Duration::from_millis(2000);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// From the moment before the last sign of life was sent to the moment after it was answered: the
/// server heard it in between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    before: Instant,
    after: Instant,
}

impl Heard {
    /// The moment of `request`.
    pub(crate) fn of<R>(
        request: impl FnOnce() -> Result<R, Failure>,
    ) -> Result<(Self, R), Failure> {
        let before = Instant::now();
        let result = request()?;
        Ok((Self { before, after: Instant::now() }, result))
    }

    /// Fails unless it is now `window` later than when the server heard it, give or take
    /// [`SLACK`] at its end. Before its start there is no slack: nothing may come too early.
    #[track_caller]
    pub(crate) fn check(self, what: &str, window: RangeInclusive<Duration>) {
        let (longest, shortest) = (self.before.elapsed(), self.after.elapsed());
        assert!(*window.start() <= longest, "{what}: too early, after {longest:?}: {window:?}");
        let end = *window.end() + SLACK;
        assert!(shortest <= end, "{what}: too late, after {shortest:?}: {window:?}");
    }
}

/// Runs stories that mostly wait, all at the same time.
pub(crate) fn all_at_once<I: Send>(
    items: impl IntoIterator<Item = I>,
    story: impl Fn(I) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    thread::scope(|scope| {
        let story = &story;
        let threads: Vec<_> =
            items.into_iter().map(|item| scope.spawn(move || story(item))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "panicked, see above")?)
    })
}
