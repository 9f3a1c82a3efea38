//! When what is in the log was in the tables too.

use std::time::Duration;

use anyhow::{Context as _, bail};
use echolog_projectors::store::Store;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long the tables may stand still while something is missing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again how far all projections are.
pub(super) struct Watch {
    goal: watch::Sender<Option<u64>>,
    looking: JoinHandle<anyhow::Result<Seen>>,
}

/// Times at which the tables were seen to be complete up to a sequence.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<(Instant, u64)>);

impl Seen {
    /// When an event was first seen to be in all tables.
    pub(super) fn at(&self, seq: u64) -> Option<Instant> {
        let index = self.0.partition_point(|(_, position)| *position < seq);
        self.0.get(index).map(|(time, _)| *time)
    }
}

impl Watch {
    /// Begins to look.
    pub(super) fn begin(store: Store, every: Duration) -> Self {
        let (goal, goals) = watch::channel(None);
        Self { goal, looking: tokio::spawn(look(store, every, goals)) }
    }

    /// Looks until everything up to a sequence is there.
    pub(super) async fn until(self, seq: u64) -> anyhow::Result<Seen> {
        self.goal.send_replace(Some(seq));
        self.looking.await?
    }
}

/// Waits until everything up to a sequence is in the tables.
pub(super) async fn until(store: Store, seq: u64) -> anyhow::Result<Instant> {
    let seen = Watch::begin(store, Duration::from_millis(20)).until(seq).await?;
    seen.at(seq).context("the watch ends with what it watches for")
}

async fn look(
    store: Store,
    every: Duration,
    goal: watch::Receiver<Option<u64>>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut moved = Instant::now();
    loop {
        let position = store.positions().await?.all();
        let now = Instant::now();
        if seen.0.last().is_none_or(|(_, last)| *last < position) {
            seen.0.push((now, position));
            moved = now;
        }
        match *goal.borrow() {
            Some(goal) if goal <= position => return Ok(seen),
            Some(goal) if moved.elapsed() > PATIENCE => {
                bail!("the tables stand still at {position}, {goal} is missing")
            }
            Some(_) | None => {}
        }
        sleep(every).await;
    }
}
