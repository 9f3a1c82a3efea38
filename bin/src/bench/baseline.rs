//! The comparison: plain PostgreSQL that does the same with triggers, driven by pgbench.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::figures::{Baseline, Load, each, percentile};
use super::process;
use super::scale::Scale;
use super::tools::{Tools, run, times};
use crate::supervise::{Binaries, Credential, Postgres, PostgresOptions};

const SCHEMA: &str = include_str!("../../bench/schema.sql");
const POPULATION: &str = include_str!("../../bench/population.sql");
const HISTORY: &str = include_str!("../../bench/history.sql");
const TRIGGERS: &str = include_str!("../../bench/triggers.sql");
const RECEIPTS: &str = include_str!("../../bench/receipts.sql");
const SEND: &str = include_str!("../../bench/send.pgbench");

/// Messages that are there when the measuring begins.
const PRELOADED: u64 = 100_000;

/// Connections that send; more make it slower on two cores.
const CLIENTS: &str = "8";

/// Measures both variants on a server of their own.
pub(super) async fn measure(
    binaries: &Binaries,
    data: &Path,
    scale: &Scale,
) -> anyhow::Result<Baseline> {
    let owner = Credential::new("owner", "bench");
    let directory = data.join("baseline");
    let postgres = Postgres::start(binaries, &directory, PostgresOptions::new(owner)).await?;
    let tools = Tools::new(binaries, &postgres);
    tools.sql("postgres", "CREATE DATABASE prepared;", &[]).await?;
    let users = ("users", scale.users as u64);
    let conversations = ("conversations", scale.conversations as u64);
    tools.sql("prepared", SCHEMA, &[]).await?;
    tools.sql("prepared", POPULATION, &[users, conversations]).await?;
    tools.sql("prepared", HISTORY, &[("messages", PRELOADED)]).await?;
    tools.sql("prepared", TRIGGERS, &[]).await?;
    let seed = tools.variant("seed", RECEIPTS, &directory, scale).await?;
    let lean = tools.variant("lean", "", &directory, scale).await?;
    postgres.stop().await?;
    Ok(Baseline { seed, lean })
}

impl Tools<'_> {
    /// Measures one variant in a copy of the database that was prepared.
    async fn variant(
        &self,
        name: &str,
        more: &str,
        directory: &Path,
        scale: &Scale,
    ) -> anyhow::Result<Load> {
        tracing::info!(variant = name, "measuring plain PostgreSQL");
        let create = format!("CREATE DATABASE {name} TEMPLATE prepared STRATEGY file_copy;");
        self.sql("postgres", &create, &[]).await?;
        self.sql(name, more, &[]).await?;
        self.sql(name, "VACUUM ANALYZE; CHECKPOINT;", &[]).await?;
        self.send(name, directory, scale, WARM_UP).await?;
        let before = process::cpu_of_family(self.postgres.pid())?;
        let mut latencies = self.send(name, directory, scale, scale.seconds).await?;
        let cpu = process::cpu_of_family(self.postgres.pid())?.saturating_sub(before);
        latencies.sort_unstable();
        Ok(Load {
            per_second: latencies.len() as f64 / scale.duration().as_secs_f64(),
            p50_ms: percentile(&latencies, 0.5),
            p99_ms: percentile(&latencies, 0.99),
            cpu_us_per_message: each(cpu, latencies.len()),
        })
    }

    /// Runs pgbench and returns how long each transaction took.
    async fn send(
        &self,
        database: &str,
        directory: &Path,
        scale: &Scale,
        seconds: u64,
    ) -> anyhow::Result<Vec<Duration>> {
        let logs = directory.join(format!("log-{database}"));
        let _ = fs::remove_dir_all(&logs);
        fs::create_dir_all(&logs)?;
        let script = directory.join("send.pgbench");
        fs::write(&script, SEND)?;
        let mut command = Command::new(self.program("pgbench"));
        command
            .args(["--no-vacuum", "--protocol", "prepared", "--client", CLIENTS, "--jobs", "2"])
            .args(["--time", &seconds.to_string(), "--log"])
            .arg(format!("--log-prefix={}", logs.join("times").display()))
            .args(["--define", &format!("conversations={}", scale.conversations)])
            .arg("--file")
            .arg(&script)
            .arg(self.postgres.url(database));
        run(command, "").await?;
        times(&logs)
    }
}

/// Seconds that a variant runs before it is measured.
const WARM_UP: u64 = 3;
