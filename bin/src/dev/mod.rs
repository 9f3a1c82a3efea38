//! Everything on one machine: private servers, all workers, and a guided tour.

mod tour;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use echolog_nats::ProvisionOptions;
use tokio::sync::watch;

use crate::callout;
use crate::callout::accounts::{CORE, CORE_USER, Secrets, random};
use crate::config::Config;
use crate::connect::Connected;
use crate::handler::Limits;
use crate::outbox;
use crate::projector::rebuild::{self, Rebuild};
use crate::roles::{Roles, Running};
use crate::supervise::{
    Binaries, Credential, Nats, NatsAuth, NatsOptions, Postgres, PostgresOptions,
};

/// A whole Echolog on this machine.
#[derive(Debug)]
pub struct Dev {
    /// How to reach it.
    pub config: Config,
    running: Running,
    binaries: Binaries,
    nats: Nats,
    postgres: Postgres,
    data: PathBuf,
}

impl Dev {
    /// Starts the servers, makes what a tenant needs and starts all workers.
    ///
    /// # Errors
    /// What is missing, with the remedy.
    pub async fn start(config: Config, data: &Path, limits: Limits) -> anyhow::Result<Self> {
        let binaries = Binaries::find()?;
        fs::create_dir_all(data).with_context(|| format!("{} cannot be made", data.display()))?;
        let data = data.canonicalize()?;
        let keys = Keys::load(&data.join("keys"))?;
        let secrets = keys.secrets();

        let (nats_dir, pg_dir) = (data.join("nats"), data.join("postgres"));
        let nats = Nats::start(
            &binaries,
            &nats_dir,
            NatsOptions {
                auth: NatsAuth::Configured(Credential::new(CORE_USER, secrets.core.as_str())),
                websocket: true,
                heir: Some(CORE.to_owned()),
                config: secrets.configuration()?,
                ..NatsOptions::default()
            },
        );
        let owner = Credential::new("echolog_owner", keys.get("postgres"));
        let postgres = Postgres::start(&binaries, &pg_dir, PostgresOptions::new(owner));
        let (nats, postgres) = tokio::try_join!(nats, postgres)?;

        let config = Config {
            nats_url: nats.url(),
            nats_creds: None,
            nats_ca: None,
            database_url: Some(
                postgres.url("echolog_{tenant}").replace("%7B", "{").replace("%7D", "}"),
            ),
            master_key: Some(keys.get("master")),
            outbox: outbox::Options {
                outbox_dir: Some(data.join("outbox")),
                ..config.outbox.clone()
            },
            ..config
        };
        let database = config.database_or_create().await?;
        let options = ProvisionOptions::default();
        let (Connected { log, database, .. }, _) =
            Connected::set_up(&config, database, &options).await?;
        for projection in rebuild::outdated(&database).await? {
            let options = Rebuild::default();
            rebuild::run(&log, &database, projection.name(), options, |_| {}).await?;
        }
        let callout = secrets.callout(&format!("127.0.0.1:{}", nats.port()));
        let running = start_workers(&config, limits, &callout).await?;
        let dev = Self { config, running, binaries, nats, postgres, data };
        dev.write_env()?;
        Ok(dev)
    }

    /// Where everything is.
    #[must_use]
    pub fn welcome(&self) -> String {
        let env = self.data.join("env");
        format!(
            "Echolog is up.\n  NATS        127.0.0.1:{}\n  PostgreSQL  127.0.0.1:{}\n  WebSocket   {}\n  \
             metrics     {}\n  \
             mails       {}\n  \
             In another shell:  set -a; . {}; set +a",
            self.nats.port(),
            self.postgres.port(),
            self.websocket_url(),
            self.metrics_url(),
            self.data.join("outbox").display(),
            env.display(),
        )
    }

    /// Where browsers connect.
    #[must_use]
    pub fn websocket_url(&self) -> String {
        self.nats.websocket_url().unwrap_or_default()
    }

    /// Where the metrics are.
    #[must_use]
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", self.running.metrics_addr)
    }

    /// Plays the guided tour.
    ///
    /// # Errors
    /// Whatever does not go as it should.
    pub async fn tour(&self) -> anyhow::Result<()> {
        tour::play(self).await
    }

    /// Runs until `stop` turns true, or until a server or worker ends by itself.
    ///
    /// # Errors
    /// Why it ended by itself.
    pub async fn until(self, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
        let Self { running, binaries, mut nats, mut postgres, .. } = self;
        let (end, ended) = watch::channel(false);
        let mut workers = tokio::spawn(running.until(ended));
        let first = loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break Ok(()),
                unfit = nats.watch() => if let Err(error) = unfit {
                    break Err(error.into());
                },
                error = postgres.ended_by_itself() => break Err(error.into()),
                ended = &mut workers => break ended.context("a worker panicked")?,
            }
            // Who works with it waits and connects anew.
            nats = nats.restart(&binaries).await?;
        };
        let _ = end.send(true);
        let rest = if workers.is_finished() { Ok(()) } else { workers.await? };
        nats.stop().await?;
        postgres.stop().await?;
        first.and(rest)
    }

    /// Stops everything, workers first.
    ///
    /// # Errors
    /// What did not stop as it should.
    pub async fn stop(self) -> anyhow::Result<()> {
        let (_sender, stop) = watch::channel(true);
        self.until(stop).await
    }

    /// For other programs to source.
    fn write_env(&self) -> anyhow::Result<()> {
        let url = |text: &Option<String>| text.clone().unwrap_or_default();
        let database = url(&self.config.database_url).replace("{tenant}", &self.config.tenant);
        let env = format!(
            "NATS_URL={}\nDATABASE_URL={database}\nECHOLOG_METRICS_URL={}\nECHOLOG_MASTER_KEY={}\n\
             NATS_WS_URL={}\n",
            self.config.nats_url,
            self.metrics_url(),
            url(&self.config.master_key),
            self.websocket_url(),
        );
        write_private(&self.data.join("env"), &env)
    }
}

/// The default address of the metrics may be taken; here any other will do.
async fn start_workers(
    config: &Config,
    limits: Limits,
    callout: &callout::Options,
) -> anyhow::Result<Running> {
    let free = std::net::TcpListener::bind(config.metrics_addr).is_ok();
    let mut config = config.clone();
    if !free {
        config.metrics_addr.set_port(0);
    }
    Running::start_with(&config, Roles::ALL, limits, callout).await
}

/// The secrets of a development server, made at its first start.
struct Keys(BTreeMap<String, String>);

impl Keys {
    /// Those of the file; what an earlier version did not know is added.
    fn load(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let mut keys: BTreeMap<String, String> =
            pairs.map(|(name, key)| (name.to_owned(), key.to_owned())).collect();
        let known = keys.len();
        let new = Secrets::new()?;
        for (name, key) in [
            ("master", random()),
            ("postgres", random()),
            ("nats", new.core),
            ("callout", new.callout),
            ("system", new.system),
            ("issuer", new.issuer),
            ("xkey", new.xkey),
        ] {
            keys.entry(name.to_owned()).or_insert(key);
        }
        if keys.len() > known {
            let lines = keys.iter().map(|(name, key)| format!("{name}={key}\n"));
            write_private(path, &lines.collect::<String>())?;
        }
        Ok(Self(keys))
    }

    /// Those that NATS and the processes share.
    fn secrets(&self) -> Secrets {
        Secrets {
            core: self.get("nats"),
            callout: self.get("callout"),
            system: self.get("system"),
            issuer: self.get("issuer"),
            xkey: self.get("xkey"),
        }
    }

    fn get(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// Writes a file that only its owner may read. What was there before goes only once it is written:
/// there may be keys in it that nobody can make again.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .with_context(failed)?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.sync_all().with_context(failed)?;
    fs::rename(new, path).with_context(failed)
}
