//! Is an acknowledged message on the disk? The broker does not tell its clients, so we measure.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{self, PersistenceMode, StorageType};
use futures::StreamExt as _;

use crate::bus::REQUEST_TIMEOUT;
use crate::{Bus, BusError};

/// Messages on their way at once: enough that what one costs is not what the way costs.
const BURST: usize = 64;

/// How often each of the two is measured. The quickest counts: the others were held up.
const ROUNDS: usize = 8;

/// How often it is measured anew before it is believed that nothing is synced: on a busy machine
/// even the quickest may have been held up.
const DOUBTS: usize = 3;

/// What they say.
const BODY: &[u8] = &[0; 100];

/// A message that waits for the disk costs this many that do not. Measured: 25 to 55 on solid-state
/// disks, 1 to 2.4 where nothing is synced.
const FACTOR: u32 = 4;

impl Bus {
    /// Whether a message that a stream on one server has acknowledged is on the disk.
    ///
    /// It compares bursts of messages to a stream that promises as much as the server is
    /// configured to with bursts to one that promises nothing.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn syncs_to_disk(&self) -> Result<bool, BusError> {
        let synced = self.probe("synced", None).await?;
        let unsynced = self.probe("unsynced", Some(PersistenceMode::Async)).await?;
        for _ in 0..DOUBTS {
            let (mut one, mut other) = (Duration::MAX, Duration::MAX);
            for _ in 0..ROUNDS {
                one = one.min(self.burst(&synced).await?);
                other = other.min(self.burst(&unsynced).await?);
            }
            tracing::debug!(?one, ?other, "{BURST} messages, and as many that nobody syncs");
            if one > other * FACTOR {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a stream of almost nothing, for all tenants and for good. Returns its subject.
    async fn probe(&self, what: &str, mode: Option<PersistenceMode>) -> Result<String, BusError> {
        let subject = format!("probe.echolog.{what}");
        let config = stream::Config {
            name: format!("ECHOLOG_PROBE_{what}"),
            description: Some("What a message costs that is or is not synced to disk.".to_owned()),
            subjects: vec![subject.clone()],
            storage: StorageType::File,
            max_bytes: 1 << 16,
            persist_mode: mode,
            ..stream::Config::default()
        };
        self.jetstream.create_or_update_stream(config).await.map_err(BusError::request)?;
        Ok(subject)
    }

    async fn burst(&self, subject: &str) -> Result<Duration, BusError> {
        let inbox = self.client.new_inbox();
        let acks = self.subscribe(inbox.clone(), None).await?;
        let begun = Instant::now();
        for _ in 0..BURST {
            let sent =
                self.client.publish_with_reply(subject.to_owned(), inbox.clone(), BODY.into());
            sent.await.map_err(BusError::request)?;
        }
        let all = acks.take(BURST).count();
        match tokio::time::timeout(REQUEST_TIMEOUT, all).await {
            Ok(BURST) => Ok(begun.elapsed()),
            _ => Err(BusError::request("messages to a probe are not acknowledged")),
        }
    }
}
