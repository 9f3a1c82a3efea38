//! `echolog migrate`.

use std::process::ExitCode;

use echolog_nats::ProvisionOptions;

use crate::config::Config;
use crate::connect::Connected;

/// Create the tenant's streams and bring its database up to date.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Copies of the log in the NATS cluster: 1, or 3. Default: as many as there are, 1 at first.
    #[arg(long)]
    replicas: Option<usize>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let options = ProvisionOptions { replicas: args.replicas, ..ProvisionOptions::default() };
    let (_, applied) = Connected::set_up(&config, config.database().await?, &options).await?;
    println!("tenant {}: {applied} migrations applied, streams in place", config.tenant);
    Ok(ExitCode::SUCCESS)
}
