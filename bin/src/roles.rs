//! Starting and stopping the workers of a process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use echolog_commands::Settings;
use echolog_nats::{Bus, EventLog};
use echolog_projectors::db::Database;
use echolog_projectors::due::DueStore;
use echolog_projectors::store::Store;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::callout::{self, Callout};
use crate::clock;
use crate::config::{Config, Durability};
use crate::connect::Connected;
use crate::handler::{Handler, Limits};
use crate::http;
use crate::metrics::Metrics;
use crate::oauth::Oauth;
use crate::outbox::{Channel, Outbox};
use crate::projector::Projector;
use crate::timers::Timers;

/// How long workers may take to finish what they are at. They cannot while a server is gone; then
/// they are left as a crash would leave them, which does no harm.
const GRACE: Duration = Duration::from_secs(5);

/// So many copies of the log survive the loss of a server without being synced to disk.
const REPLICAS: usize = 3;

/// Which workers a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    handler: bool,
    projector: bool,
    callout: bool,
    timers: bool,
}

impl Roles {
    const NONE: Self = Self { handler: false, projector: false, callout: false, timers: false };
    /// All of them; the auth callout where it is configured.
    pub const ALL: Self = Self { handler: true, projector: true, callout: true, timers: true };
    /// The command handler.
    pub const HANDLER: Self = Self { handler: true, ..Self::NONE };
    /// The projector.
    pub const PROJECTOR: Self = Self { projector: true, ..Self::NONE };
    /// The auth callout.
    pub const CALLOUT: Self = Self { callout: true, ..Self::NONE };
    /// The timers.
    pub const TIMERS: Self = Self { timers: true, ..Self::NONE };

    fn name(self) -> &'static str {
        match self {
            Self { handler: true, projector: true, .. } => "serve",
            Self { handler: true, projector: false, .. } => "handler",
            Self { projector: true, .. } => "projector",
            Self { timers: true, .. } => "timers",
            Self { .. } => "callout",
        }
    }
}

/// The workers of this process.
#[derive(Debug)]
pub struct Running {
    /// Where the metrics are.
    pub metrics_addr: SocketAddr,
    /// What the metrics count.
    pub metrics: Metrics,
    workers: JoinSet<anyhow::Result<()>>,
    stop: watch::Sender<bool>,
    /// Ends when this is dropped, and with it what it holds: connections to the database.
    _serving: JoinSet<()>,
}

impl Running {
    /// Connects, checks that the servers are fit, and starts the workers.
    ///
    /// # Errors
    /// What they cannot start without.
    pub async fn start(config: &Config, roles: Roles, limits: Limits) -> anyhow::Result<Self> {
        Self::start_with(config, roles, limits, &callout::Options::default()).await
    }

    /// The same, with the auth callout.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        config: &Config,
        roles: Roles,
        limits: Limits,
        options: &callout::Options,
    ) -> anyhow::Result<Self> {
        let metrics = Metrics::new()?;
        let tenant = match roles {
            Roles { handler: false, projector: false, timers: false, .. } => None,
            Roles { .. } => Some(Connected::open(config, roles.name()).await?),
        };
        if let (true, Some(Connected { bus, log, .. })) = (roles.handler, &tenant) {
            check_durability(config.durability, bus, log).await?;
        }
        let callout = match roles.callout && (options.is_configured() || tenant.is_none()) {
            true => Some(Callout::connect(config, options, metrics.callout.clone()).await?),
            false => None,
        };
        let buses = tenant.iter().map(|tenant| tenant.bus.clone());
        let buses = buses.chain(callout.iter().flat_map(Callout::buses)).collect();
        let database = tenant.as_ref().map(|tenant| tenant.database.clone());
        let (metrics_addr, serving) = serve_metrics(config, &metrics, buses, database).await?;

        let (stop, stopped) = watch::channel(false);
        let mut workers = JoinSet::new();
        if let Some(callout) = callout {
            workers.spawn(callout.start(stopped.clone()).await?);
        }
        if let (true, Some(Connected { bus, names, database, .. })) = (roles.projector, &tenant) {
            let projector = Projector {
                bus: bus.clone(),
                names: names.clone(),
                database: database.clone(),
                metrics: metrics.projector.clone(),
            };
            let stopped = stopped.clone();
            workers.spawn(async move { projector.run(stopped).await });
        }
        if let (true, Some(Connected { bus, names, database, .. })) = (roles.timers, &tenant) {
            let timers = Timers {
                bus: bus.clone(),
                names: names.clone(),
                due: DueStore::new(database),
                limits: limits.timers,
            };
            let stopped = stopped.clone();
            workers.spawn(async move {
                timers.run(stopped).await;
                Ok(())
            });
        }
        if let (true, Some(Connected { bus, names, database, .. })) = (roles.handler, tenant) {
            let outbox = Outbox::start(&config.outbox, metrics.handler.deliveries.clone())?;
            let settings = Settings {
                sends_emails: outbox.carries(Channel::Email),
                sends_texts: outbox.carries(Channel::Sms),
                ..limits.registration.apply(limits.logins.apply(config.settings()?)?)
            };
            let handler = Handler {
                bus,
                names,
                store: Store::new(&database),
                settings: Arc::new(settings),
                keys: Arc::new(config.keys()?),
                limits,
                outbox,
                oauth: Oauth::new(&config.oauth, metrics.handler.vouchings.clone())?,
                metrics: metrics.handler.clone(),
                owner: format!(
                    "{}:{}:{}",
                    hostname(),
                    std::process::id(),
                    clock::new_id().simple()
                ),
            };
            let handling = handler.start(stopped).await?;
            workers.spawn(async move { Ok(handling.await?) });
        }
        Ok(Self { metrics_addr, metrics, workers, stop, _serving: serving })
    }

    /// Runs until `stop` turns true, then lets the workers finish what they are at.
    ///
    /// # Errors
    /// That of the first worker that fails.
    pub async fn until(mut self, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            ended = self.workers.join_next() => {
                if let Some(ended) = ended {
                    ended.context("a worker panicked")??;
                }
            }
        }
        self.stop().await
    }

    /// Lets the workers finish what they are at.
    ///
    /// # Errors
    /// That of the first worker that fails.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let _ = self.stop.send(true);
        let ended = async {
            while let Some(ended) = self.workers.join_next().await {
                ended.context("a worker panicked")??;
            }
            Ok(())
        };
        tokio::time::timeout(GRACE, ended).await.unwrap_or_else(|_| {
            tracing::warn!("left in the middle of its work: somebody else takes it up");
            Ok(())
        })
    }
}

/// Makes sure that NATS keeps what is accepted, and says why it does.
async fn check_durability(wanted: Durability, bus: &Bus, log: &EventLog) -> anyhow::Result<()> {
    let replicas = log.state().await?.replicas;
    if wanted == Durability::Relaxed {
        tracing::warn!(
            "a crash of NATS's machine may lose the last minutes: durability is relaxed"
        );
    } else if replicas >= REPLICAS {
        tracing::info!(replicas, "what is accepted is on so many servers");
    } else if bus.syncs_to_disk().await? {
        tracing::info!("what is accepted is on the disk");
    } else {
        bail!(
            "NATS acknowledges messages that are not on the disk yet: a crash of its machine would \
             lose what was accepted. Set `sync_interval: always` in its `jetstream` block and \
             restart it, or run three servers and `echolog migrate --replicas 3`; or say that such \
             a loss will do: --durability relaxed"
        );
    }
    Ok(())
}

async fn serve_metrics(
    config: &Config,
    metrics: &Metrics,
    buses: Vec<Bus>,
    database: Option<Database>,
) -> anyhow::Result<(SocketAddr, JoinSet<()>)> {
    let process = metrics.process.clone();
    let before_scrape = move || {
        let reconnects: u64 = buses.iter().map(Bus::reconnects).sum();
        process.nats_reconnects.inc_by(reconnects - process.nats_reconnects.get());
        if let Some(database) = &database {
            let (size, idle) = database.pool_size();
            let gauge = &process.db_pool_connections;
            gauge.with_label_values(&["idle"]).set(idle as f64);
            gauge.with_label_values(&["used"]).set(f64::from(size) - idle as f64);
        }
        let connected = buses.iter().all(Bus::is_connected);
        if connected { Ok(()) } else { Err("no connection to NATS".to_owned()) }
    };
    http::serve(config.metrics_addr, metrics.registry.clone(), Arc::new(before_scrape))
        .await
        .with_context(|| {
            format!(
                "metrics cannot be served on {}: choose another address with --metrics-addr",
                config.metrics_addr
            )
        })
}

fn hostname() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}
