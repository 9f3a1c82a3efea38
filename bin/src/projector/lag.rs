//! How far the tables are behind the log, and what stands still, measured from outside the workers.

use std::time::Duration;

use echolog_events::Partition;
use echolog_nats::EventLog;
use echolog_projectors::store::Store;
use echolog_projectors::{Positions, Projection, ProjectionError};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::hub::{Hub, Times};
use crate::clock;
use crate::metrics::ProjectorMetrics;

/// How long PostgreSQL may take to tell the checkpoints.
const PATIENCE: Duration = Duration::from_secs(1);

/// Measures once a second, for ever.
pub(super) async fn watch(
    log: EventLog,
    store: Store,
    hub: Hub,
    metrics: ProjectorMetrics,
) -> Result<(), ProjectionError> {
    let mut pages = hub.subscribe();
    let mut times = Times::default();
    let mut positions = None;
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            page = pages.recv() => match page {
                Ok(page) => times.note(&page),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            },
            _ = every_second.tick() => {
                // Without PostgreSQL nothing moves: the tables fall behind from where they were.
                if let Ok(Ok(found)) = timeout(PATIENCE, store.positions()).await {
                    positions = Some(found);
                    measure_parked(&store, &metrics).await;
                }
                if let Some(positions) = &positions {
                    measure(&log, positions, &times, &metrics).await;
                }
            }
        }
    }
}

async fn measure(log: &EventLog, positions: &Positions, times: &Times, metrics: &ProjectorMetrics) {
    // If it cannot be reached that is said elsewhere; the last measure stands.
    let Ok(head) = log.head().await else { return };
    for projection in Projection::ALL {
        let name = projection.name();
        for partition in Partition::all() {
            let position = positions.of(projection)[partition.index()];
            let labels = [name, &partition.to_string()];
            let lag = head.saturating_sub(position);
            metrics.lag_events.with_label_values(&labels).set(lag as f64);
        }
        let lowest = positions.lowest(projection);
        let seconds = times
            .behind(lowest)
            .filter(|_| lowest < head)
            .map_or(0.0, |stored| (clock::now() - stored).as_seconds_f64().max(0.0));
        metrics.lag_seconds.with_label_values(&[name]).set(seconds);
    }
}

async fn measure_parked(store: &Store, metrics: &ProjectorMetrics) {
    for (projection, keys, events) in store.parked_counts().await.unwrap_or_default() {
        let labels = [projection.name()];
        metrics.parked_keys.with_label_values(&labels).set(keys as f64);
        metrics.parked_events.with_label_values(&labels).set(events as f64);
    }
}
