//! How many handlers there are, so that they share the partitions evenly.
//!
//! Nothing depends on it being right: who owns a partition is settled in the log. A wrong count
//! only makes for an uneven share.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use echolog_nats::{Bus, BusError, Names};
use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often a handler says that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// After how long a silent handler does not count.
const SILENCE: Duration = Duration::from_millis(3_500);

/// Counts the handlers of a tenant, this one included, for as long as the set of tasks lives.
pub(super) async fn watch(
    bus: Bus,
    names: &Names,
    owner: String,
    tasks: &mut JoinSet<()>,
) -> Result<watch::Receiver<usize>, BusError> {
    let subject = names.handlers();
    let mut beats = bus.subscribe(subject.clone(), None).await?;
    let (sender, count) = watch::channel(1);
    tasks.spawn(async move {
        let mut seen = HashMap::from([(owner.clone().into_bytes(), Instant::now())]);
        let mut beat = tokio::time::interval(BEAT);
        loop {
            tokio::select! {
                message = beats.next() => match message {
                    Some(message) => {
                        seen.insert(message.payload.to_vec(), Instant::now());
                    }
                    None => return,
                },
                _ = beat.tick() => {
                    if let Err(error) = bus.publish(subject.clone(), owner.clone().into()).await {
                        tracing::debug!(%error, "no beat");
                    }
                }
            }
            seen.retain(|_, at| at.elapsed() < SILENCE);
            sender.send_replace(seen.len().max(1));
        }
    });
    Ok(count)
}
