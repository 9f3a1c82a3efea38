//! One reader of the log for all projections of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use echolog_events::Time;
use echolog_nats::{BusError, EventLog, Page};
use echolog_projectors::store::Store;
use tokio::sync::broadcast;

use crate::retry::Retry;

/// Events of one page at most: one transaction of each projection.
const PAGE: usize = 5_000;

/// Pages that a projection may lag behind before it reads alone.
const PAGES: usize = 32;

/// Pages that wait for the slowest projection before nothing more is read, and how long that is
/// borne: one that is stuck must not hold the others up, and reads alone later.
const WAITING: usize = 3;
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(1);

/// How long nothing is read at first: projections that start together read together.
const START: Duration = Duration::from_millis(250);

/// The least time between two pages: a page is a transaction of each projection, whatever is in it.
const PACE: Duration = Duration::from_millis(50);

/// The more comes, the more is to be gained by waiting: so much longer for each event of a page, up
/// to a limit.
const PACE_PER_EVENT: Duration = Duration::from_micros(200);
const LONGEST_PACE: Duration = Duration::from_millis(75);

/// Hands the pages of the log to whoever listens.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    pages: broadcast::Sender<Arc<Page>>,
    position: Arc<AtomicU64>,
}

impl Hub {
    /// Stands where the projection that lags most stands, once PostgreSQL says where that is.
    pub(super) async fn new(store: Store) -> Self {
        let mut retry = Retry::default();
        let from = loop {
            match store.positions().await {
                Ok(positions) => break positions.all(),
                Err(error) => tracing::warn!(%error, "the checkpoints cannot be read"),
            }
            retry.pause().await;
        };
        let (pages, _) = broadcast::channel(PAGES);
        Self { pages, position: Arc::new(AtomicU64::new(from)) }
    }

    /// Every page from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Page>> {
        self.pages.subscribe()
    }

    /// Everything up to here was handed out.
    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// Reads for as long as it is the same log.
    pub(super) async fn read(self, log: EventLog) -> Result<(), BusError> {
        let mut retry = Retry::default();
        let mut patience = PATIENCE;
        tokio::time::sleep(START).await;
        let mut reader = loop {
            match log.read_from(self.position() + 1).await {
                Ok(reader) => break reader,
                Err(error) => tracing::warn!(%error, "the log cannot be read"),
            }
            retry.pause().await;
        };
        loop {
            self.wait(&mut patience).await;
            let begun = tokio::time::Instant::now();
            match reader.next(PAGE).await {
                Ok(page) => {
                    retry.reset();
                    let (count, last) = (page.events.len(), page.events.last());
                    let last = last.map_or(self.position(), |event| event.seq);
                    // First the position: who subscribes in between reads the page alone, and once
                    // more is no harm; the other way round it would miss it.
                    self.position.store(last, Ordering::Release);
                    // Nobody listens: the projections are all still starting.
                    let _ = self.pages.send(Arc::new(page));
                    if count < PAGE {
                        tokio::time::sleep_until(begun + pace(count)).await;
                    }
                }
                Err(error) if error.is_final() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the log cannot be read");
                    retry.pause().await;
                }
            }
        }
    }

    /// Waits for the slowest projection, while there is patience left.
    async fn wait(&self, patience: &mut Duration) {
        while self.pages.len() >= WAITING {
            if patience.is_zero() {
                return;
            }
            tokio::time::sleep(POLL).await;
            *patience = patience.saturating_sub(POLL);
        }
        *patience = PATIENCE;
    }
}

/// How long to wait after a page of so many events.
fn pace(count: usize) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    LONGEST_PACE.min(PACE + PACE_PER_EVENT.saturating_mul(count))
}

/// When the pages of the last minutes were stored, to tell a lag in seconds.
#[derive(Debug, Default)]
pub(super) struct Times(std::collections::VecDeque<(u64, Time)>);

impl Times {
    /// Notes a page.
    pub(super) fn note(&mut self, page: &Page) {
        if let Some(last) = page.events.last() {
            self.0.push_back((last.seq, page.stored));
            if self.0.len() > 10_000 {
                self.0.pop_front();
            }
        }
    }

    /// When the first event behind a position was stored, as far as is known.
    pub(super) fn behind(&self, position: u64) -> Option<Time> {
        let index = self.0.partition_point(|(seq, _)| *seq <= position);
        self.0.get(index).map(|(_, stored)| *stored)
    }
}
