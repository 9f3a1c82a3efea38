//! The request path: commands that carry a secret, and any other that a client would rather ask.
//!
//! Any handler takes such a request, turns the secret into what may rest, and hands the command to
//! the owner of its partition, who alone decides.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use echolog_commands::{Command, CommandType, ContentType, Outcome, Rejection};
use echolog_nats::{CommandSubject, HeaderMap, Incoming, Subscriber, header};
use futures::StreamExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{Handler, HandlerError, stopped};
use crate::retry::Retry;

/// How many requests are under way at once.
const CONCURRENCY: usize = 256;

/// How long the owner may take, before it is looked for again.
const OWNER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the owner is looked for.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a process answers that is no longer the owner. (No outcome is empty.)
pub(super) const DECLINED: Bytes = Bytes::new();

struct Front {
    handler: Handler,
    /// Hashing a password takes a core and 19 MiB: it must not take them from the decisions.
    hashing: Semaphore,
}

/// Listens for requests; the future that it returns takes them until `stop` turns true, and then
/// finishes those that have come.
pub(super) async fn listen(
    handler: Handler,
    stop: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + Send, HandlerError> {
    let requests = handler.bus.subscribe(handler.names.requests(), Some("handlers")).await?;
    let front = Arc::new(Front { handler, hashing: Semaphore::new(1) });
    Ok(front.take_all(requests, stop))
}

impl Front {
    async fn take_all(self: Arc<Self>, mut requests: Subscriber, mut stop: watch::Receiver<bool>) {
        let mut under_way = JoinSet::new();
        let mut draining = false;
        loop {
            tokio::select! {
                request = requests.next(), if under_way.len() < CONCURRENCY => match request {
                    Some(request) => {
                        let front = Arc::clone(&self);
                        under_way.spawn(async move { front.take(request.into()).await });
                    }
                    None => break,
                },
                Some(_) = under_way.join_next() => {}
                () = stopped(&mut stop), if !draining => {
                    draining = true;
                    if requests.drain().await.is_err() {
                        break;
                    }
                }
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    async fn take(&self, incoming: Incoming) {
        let Some(reply) = incoming.reply.clone() else { return };
        let answer = match self.hand_over(&incoming).await {
            Ok(answer) => answer,
            Err(rejection) => {
                let content_type = ContentType::parse(incoming.headers.get(header::CONTENT_TYPE))
                    .unwrap_or_default();
                let id = incoming.headers.get(header::COMMAND_ID);
                let id = id.and_then(|id| echolog_commands::fields::parse_id(id).ok());
                content_type.encode(&Outcome::refused(id, rejection)).into()
            }
        };
        if let Err(error) = self.handler.bus.publish(reply, answer).await {
            tracing::warn!(%error, "an answer could not be sent");
        }
    }

    async fn hand_over(&self, incoming: &Incoming) -> Result<Bytes, Rejection> {
        let subject = CommandSubject::parse(&incoming.subject).ok_or_else(|| {
            Rejection::invalid("", "The subject has tokens that are too long or empty.")
        })?;
        let (domain, name) = (&subject.domain, &subject.command);
        let command_type = CommandType::find(domain, name).ok_or_else(|| {
            Rejection::invalid("command", format!("There is no command `{domain}.{name}`."))
        })?;
        let content_type = ContentType::parse(incoming.headers.get(header::CONTENT_TYPE))?;
        let mut command = Command::decode(command_type, content_type, &incoming.body)?;
        let mut headers = HeaderMap::new();
        for name in [
            header::COMMAND_ID,
            header::CONTENT_TYPE,
            header::CORRELATION,
            header::TRACEPARENT,
            header::EXPECTED_VERSION,
            header::AWAIT,
        ] {
            if let Some(value) = incoming.headers.get(name) {
                headers.insert(name, value);
            }
        }
        headers.insert(header::SUBJECT, incoming.subject.as_str());
        if let Some(password) = command.take_password() {
            headers.insert(header::PASSWORD_HASH, self.hash(password.expose().to_owned()).await?);
        }
        self.ask_owner(&subject, headers, command.encode().into()).await
    }

    async fn hash(&self, password: String) -> Result<String, Rejection> {
        let failed = || Rejection::internal("The password could not be hashed.");
        let _turn = self.hashing.acquire().await.map_err(|_| failed())?;
        tokio::task::spawn_blocking(move || {
            let params = Params::new(19 * 1024, 2, 1, None).ok()?;
            let salt = SaltString::generate(&mut OsRng);
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            Some(argon2.hash_password(password.as_bytes(), &salt).ok()?.to_string())
        })
        .await
        .ok()
        .flatten()
        .ok_or_else(failed)
    }

    /// Asks the partition's owner; wakes one up where there is none.
    async fn ask_owner(
        &self,
        subject: &CommandSubject,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, Rejection> {
        let Handler { bus, names, .. } = &self.handler;
        let partition = subject.partition();
        let own = names.own(partition);
        let mut retry = Retry::default();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < deadline {
            match bus
                .request(own.clone(), headers.clone(), body.clone(), self.timeout(&headers))
                .await
            {
                Ok(answer) if answer != DECLINED => return Ok(answer),
                Ok(_) => tracing::debug!(%partition, "the owner has just changed"),
                Err(error) => {
                    tracing::debug!(%partition, %error, "the owner does not answer");
                    let wake = bus.publish(names.wake(partition), Bytes::new()).await;
                    if let Err(error) = wake {
                        tracing::warn!(%error, "no owner could be woken");
                    }
                }
            }
            retry.pause().await;
        }
        Err(Rejection::unavailable("Nobody decides about this now; retry with the same id."))
    }

    /// An outcome that waits for the tables takes as long as that may take.
    fn timeout(&self, headers: &HeaderMap) -> Duration {
        if headers.get(header::AWAIT).is_some() { 6 * OWNER_TIMEOUT } else { OWNER_TIMEOUT }
    }
}
