//! `echolog replay`.
use crate::config::Config;
use std::process::ExitCode;
/// x
#[derive(Debug, clap::Args)]
pub(super) struct Args {}
pub(super) async fn run(_c: Config, _a: Args) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
