//! `echolog dev`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::serve;
use crate::config::Config;
use crate::dev::Dev;

/// Run everything here: a private nats-server and PostgreSQL, all workers, one Ctrl-C.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the servers keep their data.
    #[arg(long, default_value = ".data")]
    data: PathBuf,
    /// Play a short guided tour on real text first.
    #[arg(long)]
    tour: bool,
    /// Stop after the tour instead of staying up.
    #[arg(long, requires = "tour")]
    once: bool,
    #[command(flatten)]
    serve: serve::Args,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let mut stop = serve::stop_signal()?;
    let dev = Dev::start(config, &args.data, args.serve.limits()).await?;
    println!("{}", dev.welcome());
    let toured = if args.tour {
        tokio::select! {
            toured = dev.tour() => toured,
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    } else {
        Ok(())
    };
    if toured.is_err() || args.once {
        dev.stop().await?;
        return toured.map(|()| ExitCode::SUCCESS);
    }
    println!("\nEverything stays up; stop it with Ctrl-C.");
    dev.until(stop).await?;
    Ok(ExitCode::SUCCESS)
}
