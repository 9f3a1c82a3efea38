//! `echolog backup` and `echolog restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use echolog_nats::ProvisionOptions;

use crate::backup::{self, End};
use crate::cli::bar::Bar;
use crate::config::Config;

/// Copy the log and the tables into a directory, while everything goes on.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Run it again with the same directory to add what is new. It needs pg_dump. \
    Its files hold every message and the hashes of passwords, and only their owner can read them. \
    The master key is not in it: keep that apart."
)]
pub(super) struct BackupArgs {
    /// Where the backup is, or will be.
    directory: PathBuf,
}

/// Make a tenant from a backup, on servers that have none of this name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stop all workers of the tenant first, wherever they run, and start them when it is \
    done. An interrupted restore goes on where it was when it is run again. It needs pg_restore."
)]
pub(super) struct RestoreArgs {
    /// Where the backup is.
    directory: PathBuf,
    /// Only read the backup to its end, to see that it is whole.
    #[arg(long)]
    check: bool,
    /// Keep the tables that the database has, which survived the log, instead of those of the backup.
    #[arg(long)]
    keep_tables: bool,
    /// Copies of the log in the NATS cluster: 1, or 3. Default: as many as there are, 1 at first.
    #[arg(long)]
    replicas: Option<usize>,
}

pub(super) async fn backup(config: Config, args: BackupArgs) -> anyhow::Result<ExitCode> {
    let bar = Bar::new("backup");
    let end = backup::backup(&config, &args.directory, |ratio| bar.at(ratio)).await?;
    bar.done();
    println!("tenant {}: {}", config.tenant, told(end));
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(config: Config, args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let RestoreArgs { directory, check, keep_tables, replicas } = args;
    let bar = Bar::new("restore");
    if check {
        let end = backup::check(&directory, |ratio| bar.at(ratio)).await?;
        bar.done();
        println!("whole: {}", told(end));
        return Ok(ExitCode::SUCCESS);
    }
    let options = ProvisionOptions { replicas, ..ProvisionOptions::default() };
    let progress = |ratio| bar.at(ratio);
    let end = backup::restore(&config, &directory, &options, keep_tables, progress).await?;
    bar.done();
    println!("tenant {}: {}; start its workers", config.tenant, told(end));
    Ok(ExitCode::SUCCESS)
}

fn told((seq, until): End) -> String {
    match until {
        Some(until) => format!("the log up to {seq}, of {until:.0?}, and its tables"),
        None => "a log without an event, and its tables".to_owned(),
    }
}
