//! The command handler: the write side.
//!
//! One loop decides everything for the partitions that this process owns. A *tick* takes what has
//! come in, loads what the decisions need, decides one command after the other, appends all events
//! as one group under the partitions' fences and only then answers.

mod admit;
mod asks;
mod engine;
mod front;
mod limits;
mod ownership;
mod positions;
mod presence;
mod projected;
mod recent;
mod rejected;
mod states;
mod tail;
mod tick;
mod uses;
mod window;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use echolog_commands::Settings;
use echolog_nats::{Bus, BusError, EventLog, Names};
use echolog_projectors::store::{Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::metrics::HandlerMetrics;
use crate::oauth::Oauth;
use crate::outbox::Outbox;
#[doc(hidden)]
pub use admit::admit;
pub use front::HashingLimits;
pub use limits::RateLimit;
pub(crate) use limits::{Limiter, customer};

/// How long requests that are under way may take once the handler is told to stop.
const DRAIN: Duration = Duration::from_secs(1);

/// What workers take on at most, and how long things last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// How many commands an actor may send.
    pub rate: RateLimit,
    /// How passwords are hashed.
    pub hashing: HashingLimits,
    /// How long sessions and locks last.
    pub logins: LoginLimits,
    /// Who may open an account.
    pub registration: RegistrationRules,
    /// How soon they end once that is over.
    pub timers: TimerLimits,
}

/// How often the timers look, and how long the tables keep what has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerLimits {
    /// From one look to the next.
    pub every: Duration,
    /// Sessions, after their time is over, in days.
    pub keep_sessions: u16,
    /// One-time codes and reset tokens, after they are made, in days.
    pub keep_codes: u16,
}

impl Default for TimerLimits {
    fn default() -> Self {
        Self { every: Duration::from_secs(15), keep_sessions: 30, keep_codes: 1 }
    }
}

/// What is demanded of whoever opens an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrationRules {
    /// Whether a new account waits for a verified contact before it may act.
    pub require_verified_contact: bool,
    /// Whether an address or number is only taken with a proof.
    pub require_contact_proof: bool,
}

impl RegistrationRules {
    /// The rules of a tenant with these.
    pub(crate) fn apply(self, settings: Settings) -> Settings {
        let Self { require_verified_contact, require_contact_proof } = self;
        Settings { require_verified_contact, require_contact_proof, ..settings }
    }
}

/// How long things about logging in last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// A session that is not refreshed.
    pub session: Duration,
    /// A lock after too many attempts.
    pub lock: Duration,
}

impl Default for LoginLimits {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self { session: 30 * 24 * 60 * MINUTE, lock: 15 * MINUTE }
    }
}

impl LoginLimits {
    /// The rules of a tenant with these limits.
    pub(crate) fn apply(self, settings: Settings) -> anyhow::Result<Settings> {
        let Self { session, lock } = self;
        let (session_lifetime, login_lock) =
            (TimeDelta::from_std(session)?, TimeDelta::from_std(lock)?);
        Ok(Settings { session_lifetime, login_lock, ..settings })
    }
}

/// Keys of the tenant. Nothing prints them.
#[derive(Clone)]
pub struct Keys {
    /// Under which refresh tokens are known to be ours.
    pub tokens: Vec<u8>,
    /// Under which one-time codes are hashed.
    pub codes: Vec<u8>,
    /// From which follow those that the tokens of providers are sealed under.
    pub oauth: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// What a handler works with.
#[derive(Clone, Debug)]
pub struct Handler {
    /// The connection.
    pub bus: Bus,
    /// The tenant's names.
    pub names: Names,
    /// The read side: stored states, message facts and the ledger.
    pub store: Store,
    /// The rules that an operator sets.
    pub settings: Arc<Settings>,
    /// Keys for what the request path hands out.
    pub keys: Arc<Keys>,
    /// What it takes on at most.
    pub limits: Limits,
    /// What goes out to people.
    pub outbox: Outbox,
    /// Who else vouches for people.
    pub oauth: Oauth,
    /// What Prometheus sees.
    pub metrics: HandlerMetrics,
    /// The name of this process, for people who read the log.
    pub owner: String,
}

/// Why a handler stops.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// NATS.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// PostgreSQL.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Limits that make no sense.
    #[error(
        "passwords cannot be hashed so: {0}; correct ECHOLOG_ARGON2_MEMORY_KIB and ECHOLOG_ARGON2_ITERATIONS"
    )]
    Hashing(argon2::Error),
    /// A part of it has stopped.
    #[error("the command handler's {0} has stopped")]
    Stopped(&'static str),
}

impl Handler {
    /// Begins to listen. The future that it returns handles commands until `stop` turns true; then
    /// it finishes the tick and hands over.
    ///
    /// # Errors
    /// What it cannot start without; the future's: what it cannot go on without.
    pub async fn start(
        self,
        mut stop: watch::Receiver<bool>,
    ) -> Result<impl Future<Output = Result<(), HandlerError>> + Send, HandlerError> {
        let mut front = JoinSet::new();
        front.spawn(front::listen(self.clone(), stop.clone()).await?);
        let engine = engine::Engine::start(self).await?;
        let (end, ended) = watch::channel(false);
        let drain = async move {
            stopped(&mut stop).await;
            // Requests under way need the owners of their partitions, and that may be us.
            if tokio::time::timeout(DRAIN, front.join_next()).await.is_err() {
                tracing::debug!("requests are left without an answer");
            }
            end.send_replace(true);
            std::future::pending().await
        };
        Ok(async move {
            tokio::select! {
                ended = engine.run(ended) => ended,
                never = drain => never,
            }
        })
    }

    pub(crate) fn log(&self) -> EventLog {
        EventLog::new(self.bus.clone(), self.names.clone())
    }
}

/// Waits until `stop` turns true, or nobody is left to say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        if stop.changed().await.is_err() {
            return;
        }
    }
}
