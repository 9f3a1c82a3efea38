//! `echolog migrate`.

use std::process::ExitCode;

use echolog_nats::ProvisionOptions;

use crate::config::Config;
use crate::connect::Connected;
use crate::projector::rebuild;

/// Create the tenant's streams and bring its database up to date.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Copies of the log in the NATS cluster: 1, or 3. Default: as many as there are, 1 at first.
    #[arg(long)]
    replicas: Option<usize>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let options = ProvisionOptions { replicas: args.replicas, ..ProvisionOptions::default() };
    let (Connected { database, .. }, applied) =
        Connected::set_up(&config, config.database().await?, &options).await?;
    println!("tenant {}: {applied} migrations applied, streams in place", config.tenant);
    for projection in rebuild::outdated(&database).await? {
        let name = projection.name();
        println!(
            "{name}: an earlier build made these tables by other rules; `echolog replay {name}` builds them anew"
        );
    }
    Ok(ExitCode::SUCCESS)
}
