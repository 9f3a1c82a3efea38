//! A handler or a projector as a process of its own, so that `/proc` tells what it costs.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::process;
use crate::config::Config;
use crate::supervise::Supervised;

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Handler,
    Projector,
}

impl Role {
    /// The subcommand.
    fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Projector => "projector",
        }
    }
}

/// A worker that runs.
#[derive(Debug)]
pub(super) struct Worker {
    process: Supervised,
    metrics: SocketAddr,
}

impl Worker {
    /// Starts this program again in one role, with its log in `data`.
    pub(super) async fn start(config: &Config, role: Role, data: &Path) -> anyhow::Result<Self> {
        Self::start_with(config, role.name(), &[], data).await
    }

    /// The same as a subcommand of this name, with these settings beside the usual ones.
    pub(super) async fn start_with(
        config: &Config,
        name: &'static str,
        settings: &[(&str, String)],
        data: &Path,
    ) -> anyhow::Result<Self> {
        let metrics = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([name, "--rate-limit", "0", "--metrics-addr", &metrics.to_string()])
            .args(["--tenant", &config.tenant])
            .env("NATS_URL", &config.nats_url)
            .env_remove("NATS_CREDS")
            .env("DATABASE_URL", config.database_url.as_deref().unwrap_or_default())
            .env("ECHOLOG_MASTER_KEY", config.master_key.as_deref().unwrap_or_default())
            .envs(settings.iter().map(|(name, value)| (name, value)));
        let log = data.join(format!("{name}.log"));
        let process = Supervised::spawn(name, command, Signal::SIGTERM, log).await?;
        Ok(Self { process, metrics })
    }

    /// A gauge without labels; `None` while it is not served.
    pub(super) async fn gauge(&self, name: &str) -> anyhow::Result<Option<f64>> {
        let Ok(mut stream) = TcpStream::connect(self.metrics).await else { return Ok(None) };
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        let mut lines = page.lines().filter_map(|line| line.split_once(' '));
        let value = lines.find(|(found, _)| *found == name).map(|(_, value)| value.parse());
        value.transpose().with_context(|| format!("{name} is no number"))
    }

    /// The processor time that it has used.
    pub(super) fn cpu(&self) -> anyhow::Result<std::time::Duration> {
        process::cpu(self.process.pid())
    }

    /// The most memory that it ever had, in MiB.
    pub(super) fn peak_memory(&self) -> anyhow::Result<f64> {
        process::peak_memory(self.process.pid())
    }

    /// Lets it finish what it is at.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.process.stop().await?)
    }
}
