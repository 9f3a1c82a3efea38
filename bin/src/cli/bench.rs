//! `echolog bench`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::bench::{Bench, Part, Scale};
use crate::config::Config;

/// Measure everything on private servers, beside plain PostgreSQL with triggers.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// A smaller size, in under 5 minutes.
    #[arg(long)]
    quick: bool,
    /// Fail if a ratio is less than half of what it was when it was last looked at.
    #[arg(long)]
    check: bool,
    /// Only these parts; all that targets are set for if left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where the servers keep their data meanwhile; removed before and after. Has to be on a disk,
    /// not in memory.
    #[arg(long, default_value = ".data/bench")]
    data: PathBuf,
    /// Seconds that each load lasts, if not the usual.
    #[arg(long)]
    seconds: Option<u64>,
    /// Commands under way at once, if not the usual.
    #[arg(long)]
    in_flight: Option<usize>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let usual = if args.quick { Scale::QUICK } else { Scale::FULL };
    let scale = Scale {
        seconds: args.seconds.unwrap_or(usual.seconds),
        in_flight: args.in_flight.unwrap_or(usual.in_flight),
        ..usual
    };
    let parts = if args.only.is_empty() { Part::TARGETS.to_vec() } else { args.only };
    let figures = Bench { scale, parts, data: args.data }.run(&config).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        print!("{figures}");
    }
    let fallen = if args.check { figures.fallen() } else { Vec::new() };
    for (name, ratio, least) in &fallen {
        eprintln!("{name} has fallen: {ratio:.2}, and it has to be {least:.2} at least");
    }
    Ok(if fallen.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
