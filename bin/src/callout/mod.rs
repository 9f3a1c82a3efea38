//! The auth callout: nats-server asks it who may connect, and as whom.
//!
//! Who connects lands in an account of its own, with permissions for the subjects of one actor.

pub mod accounts;
mod connections;
mod identity;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use echolog_commands::auth::{Ask, Ended, Standing};
use echolog_events::{Scope, Time, partition_of};
use echolog_nats::{
    Bus, CALLOUT, CalloutError, CalloutKeys, ConnectRequest, ConnectionId, Grant, HeaderMap,
    Incoming, Names, Subscriber, USERS,
};
use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::Config;
use crate::handler::{Limiter, RateLimit, customer};
use crate::metrics::CalloutMetrics;
use crate::owners::{self, Patience, Question};
use crate::requests;
use identity::Identity;

pub use connections::{Connections, Kick};
pub use identity::anonymous;
pub(crate) use identity::session_of;

/// How often connections that must have ended are forgotten.
const TIDY: Duration = Duration::from_secs(60);

/// How long the owner of an account is waited for: nats-server waits for us.
const PATIENCE: Patience = Patience { each: Duration::from_secs(1), all: Duration::from_secs(3) };

/// How many owners are asked at once about those who are connected already, and how many ends are seen to.
const AT_ONCE: usize = 16;

/// How the callout reaches nats-server, and what it answers with.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Auth callout")]
pub struct Options {
    /// NATS servers with the callout's own credential: nats://callout:password@host:4222
    #[arg(long, env = "ECHOLOG_CALLOUT_URL", hide_env_values = true)]
    pub callout_url: Option<String>,
    /// NATS servers with the credential of the system account, to end connections.
    #[arg(long, env = "ECHOLOG_SYSTEM_URL", hide_env_values = true)]
    pub system_url: Option<String>,
    /// The seed of the key that nats-server trusts (SA…).
    #[arg(long, env = "ECHOLOG_CALLOUT_ISSUER", hide_env_values = true)]
    pub callout_issuer: Option<String>,
    /// The seed of the key that nats-server seals for (SX…).
    #[arg(long, env = "ECHOLOG_CALLOUT_XKEY", hide_env_values = true)]
    pub callout_xkey: Option<String>,
    /// Connections per second that one IP address may open on average; 0 for no limit.
    #[arg(long, env = "ECHOLOG_CONNECT_RATE", default_value_t = CONNECTS.per_second)]
    pub connect_rate: f64,
    /// Connections that one IP address may open at once.
    #[arg(long, env = "ECHOLOG_CONNECT_BURST", default_value_t = CONNECTS.burst)]
    pub connect_burst: f64,
    /// Connections that one IP address may have at a time, by each process of the callout; 0 for no limit.
    #[arg(long, env = "ECHOLOG_CONNECTIONS_PER_ADDRESS", default_value_t = MOST_PER_ADDRESS)]
    pub connections_per_address: usize,
    /// Seconds after which it is asked again whether those who are connected still may be, in case
    /// that word of an end got lost.
    #[arg(long, env = "ECHOLOG_CONNECT_RECHECK", default_value_t = RECHECK,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub connect_recheck: u64,
}

const RECHECK: u64 = 60;

/// An office behind one address may start its day; a guesser gets nowhere.
const CONNECTS: RateLimit = RateLimit { per_second: 20.0, burst: 200.0 };

/// Fewer by far than a nats-server takes (65,536), so that nobody fills it alone.
const MOST_PER_ADDRESS: usize = 2_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            callout_url: None,
            system_url: None,
            callout_issuer: None,
            callout_xkey: None,
            connect_rate: CONNECTS.per_second,
            connect_burst: CONNECTS.burst,
            connections_per_address: MOST_PER_ADDRESS,
            connect_recheck: RECHECK,
        }
    }
}

/// Without what must not be in a log line.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("connect_rate", &self.connect_rate)
            .field("connect_burst", &self.connect_burst)
            .field("connections_per_address", &self.connections_per_address)
            .field("connect_recheck", &self.connect_recheck)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Whether there is to be a callout at all.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.callout_url.is_some()
    }

    fn keys(&self) -> anyhow::Result<CalloutKeys> {
        let issuer = needed(self.callout_issuer.as_ref(), "ECHOLOG_CALLOUT_ISSUER")?;
        let xkey = needed(self.callout_xkey.as_ref(), "ECHOLOG_CALLOUT_XKEY")?;
        Ok(CalloutKeys::from_seeds(issuer, xkey)?)
    }
}

fn needed<'a>(setting: Option<&'a String>, name: &str) -> anyhow::Result<&'a str> {
    let setting = setting.map(String::as_str);
    setting.with_context(|| format!("{name} is not set: `echolog accounts` makes what it takes"))
}

/// Answers nats-server.
#[derive(Debug)]
pub struct Callout {
    bus: Bus,
    names: Names,
    keys: CalloutKeys,
    limiter: Mutex<Limiter>,
    metrics: CalloutMetrics,
    connections: Connections,
    most_per_address: usize,
    recheck: Duration,
}

/// Why a client is not let in: the label of a metric, and never told to the client.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// It is not right, or not any more.
    Credential,
    Rate,
    /// Nobody could tell.
    Unavailable,
}

impl Refusal {
    fn label(self) -> &'static str {
        match self {
            Self::Credential => "bad_credential",
            Self::Rate => "rate_limited",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Callout {
    /// Connects.
    ///
    /// # Errors
    /// A setting that is missing or wrong, or a server that refuses us.
    pub async fn connect(
        config: &Config,
        options: &Options,
        metrics: CalloutMetrics,
    ) -> anyhow::Result<Self> {
        let url = needed(options.callout_url.as_ref(), "ECHOLOG_CALLOUT_URL")?;
        let system_url = needed(options.system_url.as_ref(), "ECHOLOG_SYSTEM_URL")?;
        let limit = RateLimit { per_second: options.connect_rate, burst: options.connect_burst };
        let system = bus(config, system_url).await?;
        Ok(Self {
            keys: options.keys()?,
            bus: bus(config, url).await?,
            names: config.names()?,
            limiter: Mutex::new(Limiter::new(limit)),
            metrics,
            connections: Connections::new(system),
            most_per_address: options.connections_per_address,
            recheck: Duration::from_secs(options.connect_recheck),
        })
    }

    /// Its connections to NATS.
    #[must_use]
    pub fn buses(&self) -> [Bus; 2] {
        [self.bus.clone(), self.connections.system()]
    }

    /// Whom it has let in.
    #[must_use]
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Begins to listen. The future that it returns answers until `stop` turns true, and then those
    /// who have come.
    ///
    /// # Errors
    /// What it cannot start without; the future's: what it cannot go on without.
    pub async fn start(
        self,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send> {
        // Before anybody is let in, so that every end is heard of.
        let mut gone = self.connections.system().ended_connections(USERS).await?;
        let ended = self.bus.subscribe(self.names.ended(), None).await?;
        self.bus.flush().await?;
        let requests = self.bus.subscribe(CALLOUT.to_owned(), Some("callout")).await?;
        self.bus.flush().await?;
        let callout = Arc::new(self);
        Ok(async move {
            let (connections, gauge) = (callout.connections(), callout.metrics.connections.clone());
            let watching = async {
                let mut tidy = interval(TIDY);
                tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    tokio::select! {
                        Some(connection) = gone.next() => connections.remove(&connection),
                        _ = tidy.tick() => connections.forget_expired(),
                    }
                    gauge.set(connections.count() as f64);
                }
            };
            let taking = requests::take_all(requests, stop, |incoming, _place| {
                let callout = Arc::clone(&callout);
                async move { callout.take(incoming).await }
            });
            tokio::select! {
                () = taking => Ok(()),
                never = watching => never,
                never = callout.recheck() => never,
                () = callout.hear(ended) => anyhow::bail!("the connection to NATS is closed"),
            }
        })
    }

    /// Ends the connections whose right to be there has ended. A server that hangs must not keep the
    /// others, so not one after the other.
    async fn hear(&self, ended: Subscriber) {
        ended
            .for_each_concurrent(AT_ONCE, |message| async move {
                match serde_json::from_slice::<Ended>(&message.payload) {
                    Ok(ended) => self.kick(&ended.into()).await,
                    // A newer handler knows of more.
                    Err(error) => tracing::warn!(%error, "what has ended cannot be read"),
                }
            })
            .await;
    }

    /// Asks now and then, and after each lost connection, whether those who are connected still may
    /// be: word of an end is sent once and may get lost.
    async fn recheck<T>(&self) -> T {
        let mut learnt = self.learn_who_is_here().await;
        let mut disconnects = self.bus.disconnects();
        let mut now_and_then = interval(self.recheck);
        now_and_then.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = now_and_then.tick() => {}
                Ok(()) = disconnects.changed() => {}
            }
            if !learnt {
                learnt = self.learn_who_is_here().await;
            }
            stream::iter(self.connections.asks())
                .for_each_concurrent(AT_ONCE, |ask| async move {
                    if let Ok(None) = self.ask(&ask).await {
                        self.kick(&Ended::Right(ask.user_id, ask.right).into()).await;
                    }
                })
                .await;
        }
    }

    /// Takes in those whom another process has let in, which may have died since: nobody else would end
    /// their connections. `false`: nobody says who they are.
    async fn learn_who_is_here(&self) -> bool {
        let connected = self.connections.system().connections(USERS).await;
        let learnt = connected.is_ok();
        match connected {
            Ok(connected) => {
                for (connection, requester) in connected {
                    let address = limited(&requester.host);
                    self.connections.take_in(connection, identity::known(requester), address);
                }
            }
            Err(error) => tracing::warn!(%error, "who is connected already cannot be told"),
        }
        self.metrics.connections.set(self.connections.count() as f64);
        learnt
    }

    async fn kick(&self, whose: &Kick) {
        match self.connections.kick(whose).await {
            Ok(0) => {}
            Ok(kicked) => {
                self.metrics.kicked.inc_by(kicked as u64);
                tracing::debug!(kicked, "connections were ended");
            }
            // The next look at all of them makes up for it.
            Err(error) => tracing::warn!(%error, "a connection could not be ended"),
        }
    }

    async fn take(&self, incoming: Incoming) {
        let Some(reply) = incoming.reply.clone() else { return };
        let begun = Instant::now();
        let answer = match self.answer(&incoming).await {
            Ok(answer) => answer,
            Err(error) => {
                self.count("unreadable");
                tracing::warn!(%error, "nats-server asks for what we cannot answer");
                return;
            }
        };
        if let Err(error) = self.bus.publish(reply, answer).await {
            tracing::warn!(%error, "an answer could not be sent");
        }
        self.metrics.connect_seconds.observe(begun.elapsed().as_secs_f64());
    }

    async fn answer(&self, incoming: &Incoming) -> Result<Bytes, CalloutError> {
        let request = self.keys.open(incoming)?;
        let decided = self.decide(&request).await;
        self.metrics.connections.set(self.connections.count() as f64);
        match decided {
            Ok((identity, expires, scopes)) => {
                self.count("admitted");
                let domains: Option<Vec<&str>> =
                    scopes.map(|scopes| scopes.into_iter().map(Scope::name).collect());
                let grant = Grant {
                    names: &self.names,
                    actor: &identity.actor,
                    domains: domains.as_deref(),
                    tags: &identity.tags,
                    expires: expires.timestamp(),
                };
                self.keys.admit(&request, &grant)
            }
            Err(refusal) => {
                self.count(refusal.label());
                self.keys.refuse(&request)
            }
        }
    }

    /// Who is let in, until when, and for the commands of which domains; `None`: of all.
    async fn decide(
        &self,
        request: &ConnectRequest,
    ) -> Result<(Identity, Time, Option<Vec<Scope>>), Refusal> {
        self.check_rate(&request.address)?;
        let tenant = self.names.tenant();
        let identity = identity::claimed(tenant, &request.offered).ok_or(Refusal::Credential)?;
        let ConnectRequest { server, connection, .. } = request;
        let connection = ConnectionId { server: server.clone(), number: *connection };
        let (address, most) = (limited(&request.address), self.most_per_address);
        if !self.connections.insert(connection.clone(), identity.clone(), address, most) {
            return Err(Refusal::Rate);
        }
        let mut expires = request.time + identity::LIFETIME;
        let mut scopes = None;
        if let Some(ask) = &identity.ask {
            let standing = self.ask(ask).await;
            let standing = standing.and_then(|standing| standing.ok_or(Refusal::Credential));
            let standing = standing.inspect_err(|_| self.connections.remove(&connection))?;
            expires = standing.expires_at.unwrap_or(expires).min(expires);
            scopes = standing.scopes;
        }
        // It may have ended since the owner said yes.
        let lasts = (expires - request.time).to_std().unwrap_or_default();
        match self.connections.confirm(&connection, lasts) {
            true => Ok((identity, expires, scopes)),
            false => Err(Refusal::Credential),
        }
    }

    fn check_rate(&self, address: &str) -> Result<(), Refusal> {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = limiter.allows(&limited(address), Instant::now().into_std());
        if allowed { Ok(()) } else { Err(Refusal::Rate) }
    }

    /// Asks the owner of an account; `None` is a no.
    async fn ask(&self, ask: &Ask) -> Result<Option<Standing>, Refusal> {
        let partition = partition_of(&ask.user_id.to_string());
        let body = serde_json::to_vec(ask).map_err(|_| Refusal::Unavailable)?.into();
        let question = Question { partition, subject: self.names.ask(partition), body };
        let (bus, names) = (&self.bus, &self.names);
        let answer = owners::ask(bus, names, question, &HeaderMap::new(), PATIENCE).await;
        let answer = answer.ok_or(Refusal::Unavailable)?;
        serde_json::from_slice(&answer).map_err(|error| {
            tracing::error!(%error, "an answer about an account cannot be read");
            Refusal::Unavailable
        })
    }

    fn count(&self, result: &str) {
        self.metrics.connects.with_label_values(&[result]).inc();
    }
}

async fn bus(config: &Config, url: &str) -> anyhow::Result<Bus> {
    Config { nats_url: url.to_owned(), nats_creds: None, ..config.clone() }.bus("callout").await
}

/// What is limited together; what is no address, by itself.
fn limited(address: &str) -> String {
    address.parse().map_or_else(|_| address.to_owned(), customer)
}
