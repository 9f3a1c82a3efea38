//! Where events that were set aside are read again.

use echolog_events::Recorded;
use echolog_nats::{BusError, EventLog};
use echolog_projectors::parked::Lookup;
use futures::{StreamExt as _, TryStreamExt as _};

/// Requests to the broker under way at once.
const AT_ONCE: usize = 32;

/// The log, event by event.
#[derive(Debug)]
pub struct Events(pub EventLog);

impl Lookup for Events {
    type Error = BusError;

    async fn events(&self, seqs: &[u64]) -> Result<Vec<Recorded>, BusError> {
        let reads: Vec<_> = seqs.iter().map(|seq| self.0.event(*seq)).collect();
        let events: Vec<Option<Recorded>> =
            futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        Ok(events.into_iter().flatten().collect())
    }
}
