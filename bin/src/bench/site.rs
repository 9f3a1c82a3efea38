//! A whole Echolog for measuring: private, durable servers and workers as processes of their own.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use echolog_nats::{EventLog, ProvisionOptions};
use echolog_projectors::db::Database;
use echolog_projectors::store::Store;

use super::process::{self, Usage};
use super::tools::Tools;
use super::worker::{Role, Worker};
use crate::config::Config;
use crate::connect::Connected;
use crate::supervise::{
    Binaries, Credential, Nats, NatsAuth, NatsOptions, Postgres, PostgresOptions,
};

/// Servers and workers.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) config: Config,
    pub(super) log: EventLog,
    pub(super) database: Database,
    nats: Nats,
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
    ) -> anyhow::Result<Self> {
        let auth = NatsAuth::User(Credential::new("echolog", "bench"));
        let nats_options = NatsOptions { auth, ..NatsOptions::default() };
        let owner = Credential::new("echolog_owner", "bench");
        let (nats_dir, postgres_dir) = (data.join("nats"), data.join("postgres"));
        let (nats, postgres) = tokio::try_join!(
            Nats::start(binaries, &nats_dir, nats_options),
            Postgres::start(binaries, &postgres_dir, PostgresOptions::new(owner)),
        )?;
        let config = Config {
            nats_url: nats.url(),
            nats_creds: None,
            database_url: Some(postgres.url("echolog")),
            master_key: Some("a key that protects nothing but a benchmark".to_owned()),
            ..config.clone()
        };
        let database = config.database_or_create().await?;
        let options = ProvisionOptions::default();
        let (Connected { log, database, .. }, _) =
            Connected::set_up(&config, database, &options).await?;
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
        let worker = |worker: &Option<Worker>| {
            worker.as_ref().map_or(Ok(std::time::Duration::ZERO), Worker::cpu)
        };
        Ok(Usage {
            nats: process::cpu(self.nats.pid())?,
            postgres: process::cpu_of_family(self.postgres.pid())?,
            handler: worker(&self.handler)?,
            projector: worker(&self.projector)?,
        })
    }

    /// Stops everything, workers first.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop_worker(Role::Handler).await?;
        self.stop_worker(Role::Projector).await?;
        self.nats.stop().await?;
        Ok(self.postgres.stop().await?)
    }
}
