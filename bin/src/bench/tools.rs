//! PostgreSQL's own programs, run against a server of ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::supervise::{Binaries, Postgres};

/// Programs for one server.
pub(super) struct Tools<'p> {
    binaries: &'p Binaries,
    pub(super) postgres: &'p Postgres,
}

impl<'p> Tools<'p> {
    pub(super) fn new(binaries: &'p Binaries, postgres: &'p Postgres) -> Self {
        Self { binaries, postgres }
    }

    /// A program beside the server, where the server's own link leads to, or else on the `PATH`.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let server = self.binaries.postgres_bin.join("postgres");
        let places = [server.canonicalize().unwrap_or_default(), server];
        let places = places.iter().map(|server| server.with_file_name(name));
        places.into_iter().find(|program| program.exists()).unwrap_or_else(|| name.into())
    }

    /// Runs a script.
    pub(super) async fn sql(
        &self,
        database: &str,
        script: &str,
        variables: &[(&str, u64)],
    ) -> anyhow::Result<()> {
        let mut command = Command::new(self.program("psql"));
        command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]);
        for (name, value) in variables {
            command.args(["--set", &format!("{name}={value}")]);
        }
        command.arg(self.postgres.url(database));
        run(command, script).await
    }
}

/// Runs a program to its end.
pub(super) async fn run(mut command: Command, input: &str) -> anyhow::Result<()> {
    let program = command.as_std().get_program().display().to_string();
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("{program} cannot be run"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = child.wait_with_output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", errors.trim());
    Ok(())
}

/// How long each transaction took, by the files that pgbench left in a directory.
pub(super) fn times(logs: &Path) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for entry in fs::read_dir(logs)? {
        for line in fs::read_to_string(entry?.path())?.lines() {
            // The third number of a line is the time that a transaction took.
            let micros = line.split(' ').nth(2).and_then(|field| field.parse().ok());
            times.push(Duration::from_micros(micros.context("pgbench's log changed")?));
        }
    }
    Ok(times)
}
