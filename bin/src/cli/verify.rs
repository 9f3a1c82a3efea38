//! `echolog verify`.

use std::cell::RefCell;
use std::process::ExitCode;

use crate::cli::bar::Bar;
use crate::config::Config;
use crate::connect::Connected;
use crate::projector::rebuild;

/// Recount every counter and compare the tables with a fold of the log.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The projection; all of them if it is left out.
    projection: Option<String>,
}

/// Exit code 1, and the rows that differ, if anything is off.
pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let Connected { log, database, .. } = Connected::open(&config, "verify").await?;
    database.check_owner().await?;
    let bar: RefCell<Option<(String, Bar)>> = RefCell::new(None);
    let progress = |name: &str, ratio: f64| {
        let mut bar = bar.borrow_mut();
        if bar.as_ref().is_none_or(|(current, _)| current != name) {
            *bar = Some((name.to_owned(), Bar::new(name)));
        }
        if let Some((_, bar)) = &*bar {
            bar.at(ratio);
        }
    };
    let report = rebuild::verify(&log, &database, args.projection.as_deref(), progress).await?;
    drop(bar);
    println!("{report}");
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
