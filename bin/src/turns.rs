//! Work that few may be at at once: some more wait for their turn, and nobody beyond that.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Those who are at it, and those who wait.
#[derive(Debug)]
pub(crate) struct Turns {
    inside: Semaphore,
    at_it: Semaphore,
}

/// Somebody's turn, until this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    _at_it: SemaphorePermit<'t>,
    _inside: SemaphorePermit<'t>,
}

impl Turns {
    /// For so many at once, and so many who wait.
    pub(crate) fn new(at_once: usize, queue: usize) -> Self {
        Self { inside: Semaphore::new(at_once + queue), at_it: Semaphore::new(at_once) }
    }

    /// Waits for a turn; `None` at once if too many wait already.
    pub(crate) async fn take(&self) -> Option<Turn<'_>> {
        let _inside = self.inside.try_acquire().ok()?;
        let _at_it = self.at_it.acquire().await.ok()?;
        Some(Turn { _at_it, _inside })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn some_wait_and_the_others_hear_so_at_once() {
        let turns = Turns::new(1, 1);
        let first = turns.take().await.expect("nobody is there");
        let mut second = Box::pin(turns.take());
        assert!((&mut second).now_or_never().is_none(), "it waits");
        assert!(turns.take().now_or_never().expect("at once").is_none());
        drop(first);
        assert!(second.now_or_never().expect("its turn").is_some());
    }
}
