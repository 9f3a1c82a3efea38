//! `echolog accounts`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::callout::accounts::{CORE_USER, Secrets, random};

/// Make the accounts of a nats-server, with new keys and passwords, for end users to connect to it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write `accounts.conf`, for nats-server, and `echolog.env`, for the processes.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The servers, as the processes reach them.
    #[arg(long, default_value = "127.0.0.1:4222")]
    server: String,
    /// Only make a new password for these processes, in the files that are there already.
    #[arg(long, value_enum)]
    rotate: Option<Rotated>,
}

/// Whose password can be changed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Rotated {
    /// Services: all processes and backends but the callout.
    Svc,
    /// The callout, as it is asked.
    Callout,
    /// The callout, as it ends connections.
    System,
}

impl Rotated {
    /// The address in the environment that carries the password.
    fn variable(self) -> &'static str {
        match self {
            Self::Svc => "NATS_URL",
            Self::Callout => "ECHOLOG_CALLOUT_URL",
            Self::System => "ECHOLOG_SYSTEM_URL",
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Args { directory, server, rotate } = args;
    if let Some(whose) = rotate {
        return change(directory, *whose);
    }
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

/// Puts a new password in the place of the present one, in both files.
fn change(directory: &Path, whose: Rotated) -> anyhow::Result<ExitCode> {
    let (accounts, env) = (directory.join("accounts.conf"), directory.join("echolog.env"));
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let (accounts_text, env_text) = (read(&accounts)?, read(&env)?);
    let old = password(&env_text, whose.variable())
        .filter(|old| accounts_text.contains(&format!("\"{old}\"")))
        .with_context(|| {
            let (env, accounts) = (env.display(), accounts.display());
            format!("{} in {env} has no password that is in {accounts}", whose.variable())
        })?;
    let new = random();
    // The processes can still be told by hand what nats-server knows; not the other way round.
    for (path, text) in [(&env, &env_text), (&accounts, &accounts_text)] {
        let next = path.with_extension("new");
        write_new(&next, &text.replace(&old, &new))?;
        fs::rename(&next, path).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    println!("changed {} and {}", accounts.display(), env.display());
    Ok(ExitCode::SUCCESS)
}

/// The password in an address of the environment.
fn password(env: &str, variable: &str) -> Option<String> {
    let prefix = format!("{variable}=");
    let url = env.lines().find_map(|line| line.strip_prefix(&prefix))?;
    let credentials = url.split_once("://")?.1.split_once('@')?.0;
    let password = credentials.split_once(':')?.1;
    (password.len() >= 32).then(|| password.to_owned())
}

/// Writes a file that only its owner may read.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(failed)?.write_all(text.as_bytes()).with_context(failed)
}
