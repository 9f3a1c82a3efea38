//! How far the projections are, asked once a second. Nobody waits for the answer: what is known
//! may be old, and then more than is needed is kept in memory.

use std::time::Duration;

use echolog_projectors::Positions;
use echolog_projectors::store::Store;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// How often they are asked for, and how long PostgreSQL may take.
const PERIOD: Duration = Duration::from_secs(1);

/// Asks for as long as the set of tasks lives.
pub(super) fn watch(store: Store, tasks: &mut JoinSet<()>) -> watch::Receiver<Option<Positions>> {
    let (sender, positions) = watch::channel(None);
    tasks.spawn(async move {
        let mut period = interval(PERIOD);
        loop {
            period.tick().await;
            match timeout(PERIOD, store.positions()).await {
                Ok(Ok(positions)) => {
                    sender.send_replace(Some(positions));
                }
                Ok(Err(error)) => tracing::warn!(%error, "the checkpoints cannot be read"),
                Err(_) => {
                    tracing::warn!("PostgreSQL does not tell the checkpoints in time");
                }
            }
        }
    });
    positions
}
