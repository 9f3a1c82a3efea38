//! The projector: one reader of the log, and a task per projection that writes its tables.

mod hub;
mod lag;
pub mod parked;
pub mod rebuild;

use echolog_events::Partition;
use echolog_nats::{Bus, EventLog, Names, Page};
use echolog_projectors::db::Database;
use echolog_projectors::store::Store;
use echolog_projectors::{Flush, Projection, ProjectionError, Recovery, Runner, Target};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use crate::metrics::ProjectorMetrics;
use crate::retry::Retry;
use hub::Hub;

/// What a projector works with.
#[derive(Clone, Debug)]
pub struct Projector {
    /// The connection.
    pub bus: Bus,
    /// The tenant's names.
    pub names: Names,
    /// Where the tables are.
    pub database: Database,
    /// What Prometheus sees.
    pub metrics: ProjectorMetrics,
}

impl Projector {
    /// Writes tables until `stop` turns true.
    ///
    /// # Errors
    /// What needs an operator.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let log = EventLog::new(self.bus.clone(), self.names.clone());
        let hub = tokio::select! {
            hub = Hub::new(Store::new(&self.database)) => hub,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let mut tasks = JoinSet::new();
        let reads = hub.clone().read(log.clone());
        tasks.spawn(async move { anyhow::Ok(reads.await?) });
        for projection in Projection::ALL {
            let worker =
                Worker { projector: self.clone(), log: log.clone(), hub: hub.clone(), projection };
            tasks.spawn(async move { Ok(worker.run().await?) });
        }
        let watches = lag::watch(log, Store::new(&self.database), hub, self.metrics);
        tasks.spawn(async move { Ok(watches.await?) });
        tokio::select! {
            // Rows and checkpoint are one transaction: there is nothing to finish.
            _ = stop.wait_for(|stop| *stop) => Ok(()),
            ended = tasks.join_next() => match ended {
                Some(Ok(result)) => result,
                Some(Err(panic)) => Err(panic.into()),
                None => Ok(()),
            },
        }
    }
}

/// Writes the tables of one projection.
struct Worker {
    projector: Projector,
    log: EventLog,
    hub: Hub,
    projection: Projection,
}

impl Worker {
    async fn run(self) -> Result<(), ProjectionError> {
        let mut retry = Retry::default();
        loop {
            let error = match self.start().await {
                Ok(Some(mut runner)) => self.write(&mut runner, &mut retry).await,
                // Another process writes this projection; stand by.
                Ok(None) => {
                    retry.pause().await;
                    continue;
                }
                Err(error) => error,
            };
            match error.recovery() {
                Recovery::Stop => return Err(error),
                Recovery::Again | Recovery::Restart => {
                    let projection = self.projection.name();
                    // Tables that were exchanged are nothing to worry about.
                    if matches!(error, ProjectionError::Fenced(_)) {
                        tracing::info!(projection, %error, "projection starts anew");
                    } else if matches!(error, ProjectionError::OtherFold { .. }) {
                        tracing::error!(projection, %error, "projection waits for a rebuild");
                    } else {
                        tracing::warn!(projection, %error, "projection starts anew");
                    }
                    retry.pause().await;
                }
            }
        }
    }

    async fn start(&self) -> Result<Option<Runner>, ProjectionError> {
        let partitions: Vec<Partition> = Partition::all().collect();
        Runner::start(&self.projector.database, Target::live(self.projection), &partitions).await
    }

    /// Follows the log; ends only with an error.
    async fn write(&self, runner: &mut Runner, retry: &mut Retry) -> ProjectionError {
        loop {
            let mut pages = self.hub.subscribe();
            if let Err(error) = self.catch_up(runner, self.hub.position(), retry).await {
                return error;
            }
            loop {
                match pages.recv().await {
                    Ok(page) => {
                        if let Err(error) = self.apply(runner, &page, retry).await {
                            return error;
                        }
                    }
                    // Too slow for the common reader: read alone until there.
                    Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        }
    }

    /// Reads the log alone, up to where the common reader is.
    async fn catch_up(
        &self,
        runner: &mut Runner,
        to: u64,
        retry: &mut Retry,
    ) -> Result<(), ProjectionError> {
        while runner.position() < to {
            let Ok(mut reader) = self.log.read_from(runner.position() + 1).await else {
                retry.pause().await;
                continue;
            };
            while runner.position() < to {
                match reader.next(CATCH_UP).await {
                    Ok(page) => self.apply(runner, &page, retry).await?,
                    Err(error) => {
                        tracing::warn!(%error, "the log cannot be read");
                        retry.pause().await;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    async fn apply(
        &self,
        runner: &mut Runner,
        page: &Page,
        retry: &mut Retry,
    ) -> Result<(), ProjectionError> {
        let to = page.events.last().map_or(0, |event| event.seq);
        loop {
            match runner.apply(&page.events, to).await {
                Ok(flush) => {
                    retry.reset();
                    self.note(flush);
                    return Ok(());
                }
                Err(error) if error.recovery() == Recovery::Again => {
                    tracing::warn!(projection = self.projection.name(), %error, "a batch is tried again");
                    retry.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn note(&self, flush: Flush) {
        let labels = &[self.projection.name()];
        let metrics = &self.projector.metrics;
        if flush.events > 0 {
            metrics.events.with_label_values(labels).inc_by(flush.events as u64);
            metrics.batch_events.with_label_values(labels).observe(flush.events as f64);
            metrics.flush_seconds.with_label_values(labels).observe(flush.duration.as_secs_f64());
        }
        if flush.parked > 0 {
            tracing::error!(projection = labels[0], events = flush.parked, "events were set aside");
        }
    }
}

/// Events of one transaction while catching up.
const CATCH_UP: usize = 10_000;
