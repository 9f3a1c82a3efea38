//! A client of Echolog, as any other program would write one: publish a command, wait for its
//! outcome, send it again under the same id if none comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use echolog_commands::{CommandType, ContentType, Outcome};
use echolog_events::Uuid;
use echolog_nats::{Bus, BusError, HeaderMap, Names, Subscriber, header};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::clock;
use crate::retry::Retry;

/// How long to wait for an outcome before sending the command again.
const AGAIN_AFTER: Duration = Duration::from_secs(3);

/// A command to send.
#[derive(Clone)]
pub struct Request {
    /// Who sends it: a user's id, `anon-…` or `svc-…`.
    pub actor: String,
    /// The domain.
    pub domain: String,
    /// The command.
    pub command: String,
    /// What it acts on.
    pub target: String,
    /// Its id; the same for every attempt.
    pub id: Uuid,
    /// Its fields.
    pub body: Value,
    /// The encoding.
    pub content_type: ContentType,
    /// Whether the outcome waits until the tables show it.
    pub await_projected: bool,
    /// The version that the target must have.
    pub expected_version: Option<u64>,
}

/// Without the fields: there may be a secret among them.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { actor, domain, command, target, id, .. } = self;
        write!(f, "{domain}.{command} {id} on {target} by {actor}")
    }
}

impl Request {
    /// A command in MessagePack with a new id.
    #[must_use]
    pub fn new(actor: impl ToString, name: &str, target: impl ToString, body: Value) -> Self {
        let (domain, command) = name.split_once('.').unwrap_or((name, ""));
        Self {
            actor: actor.to_string(),
            domain: domain.to_owned(),
            command: command.to_owned(),
            target: target.to_string(),
            id: clock::new_id(),
            body,
            content_type: ContentType::MessagePack,
            await_projected: false,
            expected_version: None,
        }
    }

    /// The same, in JSON.
    #[must_use]
    pub fn json(mut self) -> Self {
        self.content_type = ContentType::Json;
        self
    }

    /// The same, with an outcome that waits for the tables.
    #[must_use]
    pub fn projected(mut self) -> Self {
        self.await_projected = true;
        self
    }

    fn carries_secret(&self) -> bool {
        CommandType::find(&self.domain, &self.command)
            .is_some_and(|command| command.is_secret_with(&self.body))
    }
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// NATS.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Nobody answered.
    #[error(
        "no outcome within {0:?}: is a handler running for this tenant (`echolog serve`)? The command may still be handled; send it again with `--id {1}`"
    )]
    Silence(Duration, Uuid),
    /// Something answered that is no outcome.
    #[error("the answer is no outcome: {0}")]
    Unreadable(String),
}

type Waiting = Arc<Mutex<HashMap<Uuid, oneshot::Sender<Bytes>>>>;

/// Sends commands for any actor of a tenant, many at once.
#[derive(Clone, Debug)]
pub struct Client {
    bus: Bus,
    names: Names,
    waiting: Waiting,
    /// How long to wait for an outcome in all.
    pub patience: Duration,
}

impl Client {
    /// A client that hears all outcomes of a tenant; takes a service credential.
    ///
    /// # Errors
    /// What NATS says.
    pub async fn connect(bus: Bus, names: Names) -> Result<Self, BusError> {
        let outcomes = bus.subscribe(format!("out.{}.>", names.tenant()), None).await?;
        bus.flush().await?;
        let waiting = Waiting::default();
        tokio::spawn(listen(outcomes, Arc::clone(&waiting)));
        Ok(Self { bus, names, waiting, patience: Duration::from_secs(15) })
    }

    /// Sends a command and waits for its outcome.
    ///
    /// # Errors
    /// No outcome in time, or one that cannot be read.
    pub async fn send(&self, request: &Request) -> Result<Outcome, ClientError> {
        let answer = if request.carries_secret() {
            self.ask(request).await?
        } else {
            self.publish(request).await?
        };
        request
            .content_type
            .decode_outcome(&answer)
            .map_err(|rejection| ClientError::Unreadable(rejection.message))
    }

    async fn publish(&self, request: &Request) -> Result<Bytes, ClientError> {
        let (sender, mut receiver) = oneshot::channel();
        self.lock().insert(request.id, sender);
        let deadline = tokio::time::Instant::now() + self.patience;
        let silence = loop {
            let subject = self.subject("cmd", request);
            self.bus.publish_with_headers(subject, headers(request), body(request)).await?;
            let again = tokio::time::Instant::now() + AGAIN_AFTER;
            match tokio::time::timeout_at(again.min(deadline), &mut receiver).await {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(_)) => break ClientError::Silence(self.patience, request.id),
                Err(_) if tokio::time::Instant::now() >= deadline => {
                    break ClientError::Silence(self.patience, request.id);
                }
                Err(_) => {}
            }
        };
        self.lock().remove(&request.id);
        Err(silence)
    }

    async fn ask(&self, request: &Request) -> Result<Bytes, ClientError> {
        let deadline = tokio::time::Instant::now() + self.patience;
        let mut retry = Retry::default();
        loop {
            let subject = self.subject("req", request);
            let wait = if request.await_projected { self.patience } else { AGAIN_AFTER };
            let answer = self.bus.request(subject, headers(request), body(request), wait);
            match tokio::time::timeout_at(deadline, answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                // Nobody was there, or whoever was has gone; perhaps somebody is about to be.
                Ok(Err(_)) if tokio::time::Instant::now() < deadline => retry.pause().await,
                _ => return Err(ClientError::Silence(self.patience, request.id)),
            }
        }
    }

    fn subject(&self, prefix: &str, request: &Request) -> String {
        let Request { actor, domain, command, target, .. } = request;
        format!("{prefix}.{}.{actor}.{domain}.{command}.{target}", self.names.tenant())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, oneshot::Sender<Bytes>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(mut outcomes: Subscriber, waiting: Waiting) {
    while let Some(message) = outcomes.next().await {
        let id = message.subject.rsplit('.').next().and_then(|id| Uuid::try_parse(id).ok());
        let waiter =
            id.and_then(|id| waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id));
        if let Some(waiter) = waiter {
            // Whoever waited may have given up.
            let _ = waiter.send(message.payload);
        }
    }
}

fn headers(request: &Request) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::COMMAND_ID, request.id.to_string());
    headers.insert(header::CONTENT_TYPE, request.content_type.name());
    if request.await_projected {
        headers.insert(header::AWAIT, "projected");
    }
    if let Some(version) = request.expected_version {
        headers.insert(header::EXPECTED_VERSION, version.to_string());
    }
    headers
}

fn body(request: &Request) -> Bytes {
    request.content_type.encode(&request.body).into()
}
