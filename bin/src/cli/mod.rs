//! The command line.

mod accounts;
mod backup;
mod bar;
mod bench;
mod describe;
mod dev;
mod migrate;
mod parked;
mod replay;
mod secret;
mod send;
mod serve;
mod tail;
mod user;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;
use crate::roles::Roles;

/// An event-sourced messaging backend on NATS JetStream and PostgreSQL.
#[derive(Debug, Parser)]
#[command(
    name = "echolog",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 failed or differs, 2 usage.\n\
                  Begin with `echolog dev`: it starts a private NATS and PostgreSQL and all workers."
)]
struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything here: a private nats-server and PostgreSQL, all workers, one Ctrl-C.
    Dev(dev::Args),
    /// Run all workers in one process against given servers.
    Serve(serve::Args),
    /// Run the command handler alone.
    Handler(serve::Args),
    /// Run the projector alone.
    Projector(serve::Args),
    /// Run the auth callout alone: it says who may connect to NATS.
    Callout(serve::Args),
    /// Run the timers alone: they end what is over.
    Timers(serve::Args),
    /// Create the tenant's streams and bring its database up to date.
    Migrate(migrate::Args),
    /// Build a projection anew from the log and swap it in while readers go on.
    Replay(replay::Args),
    /// Recount every counter and compare the tables with a fold of the log.
    Verify(verify::Args),
    /// See to events that a projection could not apply, and to what waits behind them.
    Parked(parked::Args),
    /// Copy the log and the tables into a directory, while everything goes on.
    Backup(backup::BackupArgs),
    /// Make a tenant from a backup, on servers that have none of this name.
    Restore(backup::RestoreArgs),
    /// Make the accounts of a nats-server, for end users to connect to it.
    Accounts(accounts::Args),
    /// Look after accounts, as an operator.
    User(user::Args),
    /// Send a command and wait for its outcome.
    Send(send::Args),
    /// Print events as JSON lines.
    Tail(tail::Args),
    /// Measure everything on private servers, beside plain PostgreSQL with triggers.
    Bench(bench::Args),
    /// Describe commands, events, errors and metrics.
    Describe(describe::Args),
    /// Print new ids (UUIDv7), for the things that a client creates.
    Id {
        /// How many.
        #[arg(default_value_t = 1)]
        count: u32,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Workers tell what they do; whatever has a terminal of its own speaks up only if need be.
    fn default_log(&self) -> &'static str {
        match self {
            Self::Serve(_)
            | Self::Handler(_)
            | Self::Projector(_)
            | Self::Callout(_)
            | Self::Timers(_) => "info,async_nats=warn",
            Self::Bench(_) => "warn,echolog::bench=info,async_nats=error",
            Self::Dev(_)
            | Self::Migrate(_)
            | Self::Accounts(_)
            | Self::Replay(_)
            | Self::Verify(_)
            | Self::Parked(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::User(_)
            | Self::Send(_)
            | Self::Tail(_)
            | Self::Describe(_)
            | Self::Id { .. }
            | Self::Completions { .. } => "warn,async_nats=error",
        }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Completions { shell } = &cli.command {
        clap_complete::generate(*shell, &mut Cli::command(), "echolog", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    if let Command::Id { count } = cli.command {
        for _ in 0..count {
            println!("{}", crate::clock::new_id());
        }
        return ExitCode::SUCCESS;
    }
    init_log(cli.config.log.as_deref().unwrap_or(cli.command.default_log()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, those left out that it tells already.
fn explain(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        cause if told.is_empty() => cause,
        cause if told.contains(&cause) => told,
        cause => format!("{told}: {cause}"),
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = cli.config;
    match cli.command {
        Command::Dev(args) => dev::run(config, args).await,
        Command::Serve(args) => serve::run(config, args, Roles::ALL).await,
        Command::Handler(args) => serve::run(config, args, Roles::HANDLER).await,
        Command::Projector(args) => serve::run(config, args, Roles::PROJECTOR).await,
        Command::Callout(args) => serve::run(config, args, Roles::CALLOUT).await,
        Command::Timers(args) => serve::run(config, args, Roles::TIMERS).await,
        Command::Accounts(args) => accounts::run(&args),
        Command::Migrate(args) => migrate::run(config, args).await,
        Command::Replay(args) => replay::run(config, args).await,
        Command::Verify(args) => verify::run(config, args).await,
        Command::Parked(args) => parked::run(config, args).await,
        Command::Backup(args) => backup::backup(config, args).await,
        Command::Restore(args) => backup::restore(config, args).await,
        Command::User(args) => user::run(config, args).await,
        Command::Send(args) => send::run(config, args).await,
        Command::Tail(args) => tail::run(config, args).await,
        Command::Bench(args) => bench::run(config, args).await,
        Command::Describe(args) => describe::run(&args),
        Command::Id { .. } | Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}

fn init_log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(discreet(filter))).init();
}

/// At `trace` libraries write down all that passes, passwords too.
fn discreet<S>(filter: EnvFilter) -> impl Filter<S> {
    let ours = filter_fn(|it| *it.level() != Level::TRACE || it.target().starts_with("echolog"));
    // Without it, whatever is not to be logged would be looked at each time before it is dropped.
    filter.and(ours.with_max_level_hint(LevelFilter::TRACE))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_logged_costs_nothing() {
        for (given, hint) in [("info", LevelFilter::INFO), ("echolog=trace", LevelFilter::TRACE)] {
            let filter = discreet::<Registry>(EnvFilter::new(given));
            assert_eq!(Filter::max_level_hint(&filter), Some(hint));
        }
    }
}
