//! A whole Echolog for measuring: private, durable servers and workers as processes of their own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use echolog_nats::{EventLog, ProvisionOptions};
use echolog_projectors::db::Database;
use echolog_projectors::store::Store;

use super::process::{self, Usage};
use super::tools::Tools;
use super::worker::{Role, Worker};
use crate::config::Config;
use crate::connect::Connected;
use crate::retry::Retry;
use crate::supervise::{
    Binaries, Credential, Nats, NatsAuth, NatsOptions, Postgres, PostgresOptions,
};

/// How long servers may take to become a cluster.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far back a handler must know ids by itself before a load, in seconds: what it is after it has
/// run for a while. Until then it asks PostgreSQL about each.
const KNOWN_IDS: f64 = 200.0;

/// How long it may take to read them.
const WARM: Duration = Duration::from_secs(300);

/// Servers and workers.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) config: Config,
    pub(super) log: EventLog,
    pub(super) database: Database,
    nats: Vec<Nats>,
    postgres: Postgres,
    handler: Option<Worker>,
    projector: Option<Worker>,
    data: PathBuf,
}

impl Site {
    /// Starts the servers and makes what a tenant needs. No worker runs yet.
    pub(super) async fn start(
        binaries: &Binaries,
        config: &Config,
        data: &Path,
        nodes: usize,
    ) -> anyhow::Result<Self> {
        let nats = nats(binaries, data, nodes).await?;
        Self::on(binaries, config, data, nats).await
    }

    /// The same on nats-servers that run.
    pub(super) async fn on(
        binaries: &Binaries,
        config: &Config,
        data: &Path,
        nats: Vec<Nats>,
    ) -> anyhow::Result<Self> {
        let owner = Credential::new("echolog_owner", "bench");
        let postgres = data.join("postgres");
        let postgres = Postgres::start(binaries, &postgres, PostgresOptions::new(owner)).await?;
        let urls: Vec<String> = nats.iter().map(Nats::url).collect();
        let config = Config {
            nats_url: urls.join(","),
            nats_creds: None,
            nats_ca: None,
            database_url: Some(postgres.url("echolog")),
            master_key: Some("a key that protects nothing but a benchmark".to_owned()),
            ..config.clone()
        };
        let database = config.database_or_create().await?;
        let options =
            ProvisionOptions { replicas: Some(nats.len()), ..ProvisionOptions::default() };
        // Servers that have just started need a moment to become a cluster.
        let mut retry = Retry::default();
        let deadline = Instant::now() + PATIENCE;
        let (Connected { log, database, .. }, _) = loop {
            match Connected::set_up(&config, database.clone(), &options).await {
                Err(_) if Instant::now() < deadline => retry.pause().await,
                done => break done?,
            }
        };
        let data = data.to_owned();
        Ok(Self { config, log, database, nats, postgres, handler: None, projector: None, data })
    }

    pub(super) async fn start_worker(&mut self, role: Role) -> anyhow::Result<()> {
        let worker = Worker::start(&self.config, role, &self.data).await?;
        *self.worker_mut(role) = Some(worker);
        Ok(())
    }

    pub(super) async fn stop_worker(&mut self, role: Role) -> anyhow::Result<()> {
        match self.worker_mut(role).take() {
            Some(worker) => worker.stop().await,
            None => Ok(()),
        }
    }

    /// Lets everything come to rest as it was before the load that is measured: the same that plain
    /// PostgreSQL gets.
    pub(super) async fn settle(&self, tools: &Tools<'_>) -> anyhow::Result<()> {
        tools.sql("echolog", "VACUUM ANALYZE; CHECKPOINT;", &[]).await?;
        let handler = self.handler.as_ref().context("the handler does not run")?;
        let deadline = Instant::now() + WARM;
        while handler.gauge("echolog_known_ids_seconds").await?.is_none_or(|it| it < KNOWN_IDS) {
            ensure!(Instant::now() < deadline, "the handler does not come to know the last ids");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// The most memory that a worker ever had, in MiB.
    pub(super) fn peak_memory(&self, role: Role) -> anyhow::Result<f64> {
        let worker = match role {
            Role::Handler => &self.handler,
            Role::Projector => &self.projector,
        };
        worker.as_ref().context("the worker does not run")?.peak_memory()
    }

    fn worker_mut(&mut self, role: Role) -> &mut Option<Worker> {
        match role {
            Role::Handler => &mut self.handler,
            Role::Projector => &mut self.projector,
        }
    }

    /// Reads how far the tables are.
    pub(super) fn store(&self) -> Store {
        Store::new(&self.database)
    }

    /// PostgreSQL's own programs.
    pub(super) fn tools<'p>(&'p self, binaries: &'p Binaries) -> Tools<'p> {
        Tools::new(binaries, &self.postgres)
    }

    /// The processor time that the servers have used so far.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        let worker =
            |worker: &Option<Worker>| worker.as_ref().map_or(Ok(Duration::ZERO), Worker::cpu);
        let nats = self.nats.iter().map(|nats| process::cpu(nats.pid()));
        Ok(Usage {
            nats: nats.sum::<anyhow::Result<Duration>>()?,
            postgres: process::cpu_of_family(self.postgres.pid())?,
            handler: worker(&self.handler)?,
            projector: worker(&self.projector)?,
        })
    }

    /// Stops everything, workers first.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop_worker(Role::Handler).await?;
        self.stop_worker(Role::Projector).await?;
        for nats in self.nats {
            nats.stop().await?;
        }
        Ok(self.postgres.stop().await?)
    }
}

/// One nats-server that syncs, or several that are a cluster and do not.
async fn nats(binaries: &Binaries, data: &Path, nodes: usize) -> anyhow::Result<Vec<Nats>> {
    let auth = NatsAuth::User(Credential::new("echolog", "bench"));
    if nodes == 1 {
        let options = NatsOptions { auth, ..NatsOptions::default() };
        return Ok(vec![Nats::start(binaries, &data.join("nats"), options).await?]);
    }
    // Held until all are known, so that they differ.
    let held: Vec<TcpListener> =
        (0..nodes).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<u16> =
        held.iter().map(|it| Ok(it.local_addr()?.port())).collect::<std::io::Result<_>>()?;
    drop(held);
    let routes: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
    let mut servers = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let config = format!(
            "cluster {{ name: bench, listen: \"127.0.0.1:{port}\", routes: [{}] }}\n",
            routes.join(", ")
        );
        let options =
            NatsOptions { auth: auth.clone(), sync: false, config, ..NatsOptions::default() };
        let place = data.join(format!("nats-{index}"));
        servers.push(Nats::start(binaries, &place, options).await?);
    }
    Ok(servers)
}
