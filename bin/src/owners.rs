//! Asking the owner of a partition, whoever that is.

use std::time::Duration;

use bytes::Bytes;
use echolog_events::Partition;
use echolog_nats::{Bus, HeaderMap, Names};
use tokio::time::Instant;

use crate::retry::Retry;

/// What a process answers that is no longer the owner. (No answer is empty.)
pub(crate) const DECLINED: Bytes = Bytes::new();

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    /// Whose owner is asked.
    pub(crate) partition: Partition,
    /// Where it listens.
    pub(crate) subject: String,
    pub(crate) body: Bytes,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long the owner may take, before it is looked for again.
    pub(crate) each: Duration,
    /// How long it is looked for.
    pub(crate) all: Duration,
}

/// Asks the partition's owner; wakes one up where there is none. `None` if nobody answers.
pub(crate) async fn ask(
    bus: &Bus,
    names: &Names,
    question: Question,
    headers: &HeaderMap,
    patience: Patience,
) -> Option<Bytes> {
    let Question { partition, subject, body } = question;
    let mut retry = Retry::default();
    let deadline = Instant::now() + patience.all;
    while Instant::now() < deadline {
        let asked = bus.request(subject.clone(), headers.clone(), body.clone(), patience.each);
        match asked.await {
            Ok(answer) if answer != DECLINED => return Some(answer),
            Ok(_) => tracing::debug!(%partition, "the owner has just changed"),
            Err(error) => {
                tracing::debug!(%partition, %error, "the owner does not answer");
                if let Err(error) = bus.publish(names.wake(partition), Bytes::new()).await {
                    tracing::warn!(%error, "no owner could be woken");
                }
            }
        }
        retry.pause().await;
    }
    None
}
