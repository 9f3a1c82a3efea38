//! `echolog accounts`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::callout::accounts::{CORE_USER, Secrets};

/// Make the accounts of a nats-server, with new keys and passwords, for end users to connect to it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write `accounts.conf`, for nats-server, and `echolog.env`, for the processes.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The servers, as the processes reach them.
    #[arg(long, default_value = "127.0.0.1:4222")]
    server: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Args { directory, server } = args;
    let secrets = Secrets::new()?;
    let options = secrets.callout(server);
    let lines = [
        ("NATS_URL", Some(format!("nats://{CORE_USER}:{}@{server}", secrets.core))),
        ("ECHOLOG_CALLOUT_URL", options.callout_url),
        ("ECHOLOG_SYSTEM_URL", options.system_url),
        ("ECHOLOG_CALLOUT_ISSUER", options.callout_issuer),
        ("ECHOLOG_CALLOUT_XKEY", options.callout_xkey),
    ];
    let lines = lines.into_iter().filter_map(|(name, value)| Some(format!("{name}={}\n", value?)));
    let (accounts, env) = (directory.join("accounts.conf"), directory.join("echolog.env"));
    // Both or none: each is worth nothing without the other.
    for path in [&accounts, &env] {
        anyhow::ensure!(!path.exists(), "{} is there already: remove it first", path.display());
    }
    write_new(&accounts, &secrets.configuration()?)?;
    write_new(&env, &lines.collect::<String>())?;
    println!("wrote {} and {}", accounts.display(), env.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that only its owner may read.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(failed)?.write_all(text.as_bytes()).with_context(failed)
}
