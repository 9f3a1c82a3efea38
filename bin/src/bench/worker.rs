//! A handler or a projector as a process of its own, so that `/proc` tells what it costs.

use std::path::Path;

use nix::sys::signal::Signal;
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
pub(super) struct Worker(Supervised);

impl Worker {
    /// Starts this program again in one role, with its log in `data`.
    pub(super) async fn start(config: &Config, role: Role, data: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args([role.name(), "--rate-limit", "0", "--metrics-addr", "127.0.0.1:0"])
            .args(["--tenant", &config.tenant])
            .env("NATS_URL", &config.nats_url)
            .env_remove("NATS_CREDS")
            .env("DATABASE_URL", config.database_url.as_deref().unwrap_or_default())
            .env("ECHOLOG_MASTER_KEY", config.master_key.as_deref().unwrap_or_default());
        let log = data.join(format!("{}.log", role.name()));
        Ok(Self(Supervised::spawn(role.name(), command, Signal::SIGTERM, log).await?))
    }

    /// The processor time that it has used.
    pub(super) fn cpu(&self) -> anyhow::Result<std::time::Duration> {
        process::cpu(self.0.pid())
    }

    /// The most memory that it ever had, in MiB.
    pub(super) fn peak_memory(&self) -> anyhow::Result<f64> {
        process::peak_memory(self.0.pid())
    }

    /// Lets it finish what it is at.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.0.stop().await?)
    }
}
