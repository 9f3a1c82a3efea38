//! One `echolog handler` or `echolog projector`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

use anyhow::Context as _;
use echolog::config::{Config, Durability};
use echolog::supervise::Supervised;
use futures::FutureExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::{Frozen, Link, Proxy, through};

/// What a worker writes into its log once it is at work.
const READY: &str = " ready tenant=";

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Decides commands.
    Handler,
    /// Writes tables.
    Projector,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Projector => "projector",
        }
    }
}

/// A process of its own, connected through proxies of its own.
#[derive(Debug)]
pub struct Worker {
    role: Role,
    /// The way to NATS.
    pub nats: Proxy,
    /// The way to PostgreSQL.
    pub postgres: Proxy,
    process: Option<Supervised>,
    log: PathBuf,
    starts: usize,
}

impl Worker {
    pub(super) async fn new(
        role: Role,
        nats: Arc<AtomicU16>,
        postgres: Arc<AtomicU16>,
    ) -> anyhow::Result<Self> {
        let (nats, postgres) = (Proxy::open(nats).await?, Proxy::open(postgres).await?);
        Ok(Self { role, nats, postgres, process: None, log: PathBuf::new(), starts: 0 })
    }

    /// What it does.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its process id; 0 if it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Supervised::pid)
    }

    /// Starts the process and waits until it is at work. `config` says how to reach the servers directly.
    pub(super) async fn start(
        &mut self,
        build: &Path,
        config: &Config,
        directory: &Path,
    ) -> anyhow::Result<()> {
        self.starts += 1;
        let (role, index) = (self.role.name(), self.nats.port());
        let log = directory.join(format!("{role}-{index}-{}.log", self.starts));
        let database = config.database_url.as_deref().context("a database")?;
        let mut command = Command::new(build);
        command
            .arg(role)
            .env("NATS_URL", through(&config.nats_url, &self.nats)?)
            .env("DATABASE_URL", through(database, &self.postgres)?)
            .env("DATABASE_CONNECTION_TIMEOUT", config.database_connection_timeout.to_string())
            .env("ECHOLOG_MASTER_KEY", config.master_key.as_deref().context("a key")?)
            .env("ECHOLOG_METRICS_ADDR", "127.0.0.1:0")
            .env("ECHOLOG_RATE_LIMIT", "0")
            .env(
                "ECHOLOG_DURABILITY",
                match config.durability {
                    Durability::Synced => "synced",
                    Durability::Relaxed => "relaxed",
                },
            )
            .env("NO_COLOR", "1")
            .env("ECHOLOG_LOG", std::env::var("ECHOLOG_LOG").unwrap_or("info".to_owned()));
        // Nothing in these tests waits for an orderly end, not even the death of the test itself.
        let mut process =
            Supervised::spawn("echolog", command, Signal::SIGKILL, log.clone()).await?;
        let ready = async || std::fs::read_to_string(&log).ok()?.contains(READY).then_some(());
        process.until_ready(ready).await?;
        self.process = Some(process);
        self.log = log;
        Ok(())
    }

    /// How much of a processor it has used in all.
    ///
    /// # Errors
    /// It does not run.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // Behind the name in brackets, user and system time are the twelfth and thirteenth.
        let (_, numbers) = stat.rsplit_once(')').context("a name")?;
        let ticks = numbers.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<_, _>>()?;
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("a clock")?;
        Ok(Duration::from_millis(1000 * ticks / u64::try_from(per_second)?))
    }

    /// What it has written into its log since it was started.
    ///
    /// # Errors
    /// It was never started.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    /// The value of one of its metrics; of several with other labels, the greatest.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let log = self.log()?;
        let (_, address) = log.rsplit_once(" metrics=").context("where its metrics are")?;
        let address = address.split_whitespace().next().context("an address")?;
        let answer = crate::http_get(&format!("{address}/metrics")).await?;
        let values = answer.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
            rest.rsplit(' ').next()?.parse().ok()
        });
        values.reduce(f64::max).with_context(|| format!("no {name} in {answer}"))
    }

    /// Ends the process as a power cut would.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(process) = self.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Tells the process to stop; returns how long it took.
    ///
    /// # Errors
    /// It does not run, or goes on for more than half a minute.
    pub async fn terminate(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut process = self.process.take().context("it does not run")?;
        kill(Pid::from_raw(process.pid().try_into()?), Signal::SIGTERM)?;
        timeout(Duration::from_secs(30), process.ended_by_itself()).await?;
        Ok(begun.elapsed())
    }

    /// Stops the process in its tracks.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&self) -> anyhow::Result<Frozen> {
        Frozen::new(self.pid())
    }

    /// Lets everything through again.
    pub fn restore(&self) {
        self.nats.set(Link::Open);
        self.postgres.set(Link::Open);
    }

    /// Makes sure that it has not ended by itself.
    ///
    /// # Errors
    /// It has; with the end of its log.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        let ended = self.process.as_mut().and_then(|it| it.ended_by_itself().now_or_never());
        ended.map_or(Ok(()), |ended| Err(ended.into()))
    }
}
