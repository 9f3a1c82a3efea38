//! `Echolog-Await: projected`: outcomes that wait until the tables show them.

use std::time::{Duration, Instant};

use echolog_commands::{ContentType, Outcome};
use echolog_nats::Bus;
use echolog_projectors::store::Store;
use tokio::sync::mpsc;

/// How long an outcome waits at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the positions are read while anyone waits.
const POLL: Duration = Duration::from_millis(10);

/// An outcome and where it goes.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) subject: String,
    pub(super) content_type: ContentType,
    pub(super) outcome: Outcome,
}

impl Answer {
    /// The same, with the word that the tables do not show it yet.
    pub(super) fn late(mut self) -> Self {
        self.outcome.projected = Some(false);
        self
    }

    /// Sends it. An outcome that gets lost is asked for again under the same command id.
    pub(super) async fn send(self, bus: &Bus) {
        let body = self.content_type.encode(&self.outcome);
        if let Err(error) = bus.publish(self.subject, body.into()).await {
            tracing::warn!(%error, "an outcome could not be sent");
        }
    }
}

/// An outcome that waits for a position.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) seq: u64,
    pub(super) since: Instant,
    pub(super) answer: Answer,
}

/// Sends outcomes once the projections have reached them.
pub(super) fn spawn(bus: Bus, store: Store) -> mpsc::Sender<Waiting> {
    let (sender, mut receiver) = mpsc::channel::<Waiting>(10_000);
    tokio::spawn(async move {
        let mut waiting = Vec::new();
        while let Some(first) = receiver.recv().await {
            waiting.push(first);
            while !waiting.is_empty() {
                while let Ok(more) = receiver.try_recv() {
                    waiting.push(more);
                }
                let reached = store.positions().await.map_or(0, |positions| positions.all());
                for mut done in waiting.extract_if(.., |it: &mut Waiting| {
                    it.seq <= reached || it.since.elapsed() > PATIENCE
                }) {
                    done.answer.outcome.projected = Some(done.seq <= reached);
                    done.answer.send(&bus).await;
                }
                if !waiting.is_empty() {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    });
    sender
}
