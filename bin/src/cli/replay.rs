//! `echolog replay`.

use std::process::ExitCode;

use echolog_projectors::Projection;

use crate::cli::bar::Bar;
use crate::config::Config;
use crate::connect::Connected;
use crate::projector::rebuild::{self, Rebuild};

/// Build a projection anew from the log and swap it in while readers go on.
#[derive(Debug, clap::Args)]
#[command(after_help = "The new tables are built beside the live ones, compared with them row by \
    row at one position of the log, and exchanged in one transaction. A difference stops it, \
    unless --force says that the new tables are right, or an earlier build made the live ones by other \
    rules. An interrupted replay goes on where it was.")]
pub(super) struct Args {
    /// The projection, `all`, or `outdated`: those whose tables an earlier build made by other rules.
    projection: String,
    /// Put the tables back that the last replay replaced.
    #[arg(long, conflicts_with = "force")]
    rollback: bool,
    /// Exchange the tables although they differ.
    #[arg(long)]
    force: bool,
    /// Stand back while the live projection lags by more than so many events.
    #[arg(long, default_value_t = 10_000)]
    max_lag: u64,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let Connected { log, database, .. } = Connected::open(&config, "replay").await?;
    database.check_owner().await?;
    let projections = match args.projection.as_str() {
        "all" => Projection::ALL.to_vec(),
        "outdated" => rebuild::outdated(&database).await?,
        name => vec![rebuild::find(name)?],
    };
    if projections.is_empty() {
        println!("no tables are outdated");
    }
    for name in projections.into_iter().map(Projection::name) {
        if args.rollback {
            if rebuild::rollback(&log, &database, name).await? {
                println!("{name}: the tables before the last replay are live again");
            } else {
                println!("{name}: nothing to take back: no replay, or it was taken back already");
            }
            continue;
        }
        let options = Rebuild { force: args.force, max_lag: Some(args.max_lag) };
        let bar = Bar::new(name);
        let report = rebuild::run(&log, &database, name, options, |ratio| bar.at(ratio)).await?;
        bar.done();
        println!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}
