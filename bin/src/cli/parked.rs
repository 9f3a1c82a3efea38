//! `echolog parked`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use echolog_projectors::Projection;
use echolog_projectors::db::Database;
use echolog_projectors::parked::{self, ParkedError, ParkedKey, Retried, Skip, Skipped};
use serde_json::{Value, json};

use crate::clock;
use crate::config::Config;
use crate::connect::Connected;
use crate::projector::parked::Events;
use crate::projector::rebuild::find;

/// See to events that a projection could not apply, and to what waits behind them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A projection that cannot apply an event sets the event's key aside: the id of the \
    thing that it is about. Everything later under that key waits, in order; everything else goes \
    on. First see why:\n\n  \
    echolog parked list\n\n\
    Then remove the cause (run a build that knows the event, give PostgreSQL what it lacked) and \
    try again:\n\n  \
    echolog parked retry --key 0192f3c4-…\n\n\
    Only if the event is beyond help, give it up. The log keeps it; the tables will never show it:\n\n  \
    echolog parked skip --projection messages --key 0192f3c4-… --seq 4711 --reason \"written by hand\"\n\n\
    All of it is safe while projectors run."
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what is parked: per projection and key the event that cannot be applied, and why.
    List {
        /// Only of this projection.
        #[arg(long)]
        projection: Option<String>,
        /// As a JSON array.
        #[arg(long)]
        json: bool,
        /// Show the events that were given up instead.
        #[arg(long)]
        skipped: bool,
    },
    /// Apply what is parked, in order, as far as it can be applied. Exit code 1 if something stays.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Retry {
        /// Only of this projection.
        #[arg(long)]
        projection: Option<String>,
        /// What waits under this key.
        #[arg(long, group = "which")]
        key: Option<String>,
        /// Everything that waits.
        #[arg(long, group = "which")]
        all: bool,
    },
    /// Give up, for good, the event that a key is parked for, and apply what waits behind it.
    #[command(
        after_help = "The event stays in the log. That it was given up, by whom and why, is \
        kept in the table projection.skipped; rebuilds pass it over, `echolog verify` names it."
    )]
    Skip {
        /// The projection.
        #[arg(long)]
        projection: String,
        /// The key.
        #[arg(long)]
        key: String,
        /// The event's sequence, as `echolog parked list` shows it.
        #[arg(long)]
        seq: u64,
        /// Why, for whoever asks later.
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: String,
        /// Who gives it up.
        #[arg(long, env = "USER", default_value = "unknown")]
        by: String,
    },
}

/// Exit code 1 if something could not be applied.
pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { projection, json, skipped } => {
            // It needs PostgreSQL alone.
            let database = config.database().await?;
            database.check_migrated().await?;
            let projection = projection.as_deref().map(find).transpose()?;
            let wanted = |it: Projection| projection.is_none_or(|wanted| wanted == it);
            if skipped {
                let mut events = parked::skipped(&database).await?;
                events.retain(|event| wanted(event.projection));
                print_skipped(&events, json);
            } else {
                let mut keys = parked::list(&database).await?;
                keys.retain(|key| wanted(key.projection));
                print_keys(&keys, json);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Retry { projection, key, all: _ } => {
            let projection = projection.as_deref().map(find).transpose()?;
            let Connected { log, database, .. } = Connected::open(&config, "parked").await?;
            let events = Events(log);
            retry(&database, &events, projection, key.as_deref()).await
        }
        Command::Skip { projection, key, seq, reason, by } => {
            let projection = find(&projection)?;
            let skip = Skip { seq, reason, by, at: clock::now() };
            let Connected { log, database, .. } = Connected::open(&config, "parked").await?;
            database.check_owner().await?;
            let events = Events(log);
            let retried = parked::skip(&database, projection, &key, &skip, &events).await?;
            println!("{} {key}: event {seq} is given up", projection.name());
            Ok(exit_code(report(projection, &key, &retried)))
        }
    }
}

/// Tries the keys again that are asked for: one by one, each in its own transaction.
async fn retry(
    database: &Database,
    events: &Events,
    projection: Option<Projection>,
    key: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let mut parked = parked::list(database).await?;
    parked.retain(|it| {
        projection.is_none_or(|wanted| wanted == it.projection)
            && key.is_none_or(|wanted| wanted == it.key)
    });
    if parked.is_empty() {
        if let Some(key) = key {
            bail!("nothing is parked under {key}; `echolog parked list` shows what is");
        }
        println!("nothing is parked");
    }
    let mut all_applied = true;
    for ParkedKey { projection, key, .. } in parked {
        match parked::retry(database, projection, &key, events).await {
            Ok(retried) => all_applied &= report(projection, &key, &retried),
            // Somebody else was faster.
            Err(ParkedError::NotParked { .. }) => {}
            Err(error) => {
                let place = format!("{} {key}", projection.name());
                return Err(error).context(place);
            }
        }
    }
    Ok(exit_code(all_applied))
}

/// Says what became of a key; returns whether nothing waits any more.
fn report(projection: Projection, key: &str, retried: &Retried) -> bool {
    println!("{} {key}: {} events applied", projection.name(), retried.applied);
    let Some(stuck) = &retried.stuck else { return true };
    eprintln!(
        "{} {key}: event {} still cannot be applied, and {} wait behind it: {}",
        projection.name(),
        stuck.seq,
        stuck.waiting,
        stuck.error
    );
    false
}

fn exit_code(all_applied: bool) -> ExitCode {
    if all_applied { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_keys(keys: &[ParkedKey], json: bool) {
    if json {
        return print_json(keys.iter().map(key_json).collect());
    }
    if keys.is_empty() {
        println!("nothing is parked");
    }
    for ParkedKey { projection, key, seq, event_type, error, since, events } in keys {
        println!("{} {key}: {events} events wait since {since}", projection.name());
        println!("  event {seq}, {event_type}: {error}");
    }
}

fn key_json(it: &ParkedKey) -> Value {
    json!({
        "projection": it.projection.name(), "key": it.key, "first_seq": it.seq,
        "event_type": it.event_type, "events": it.events, "error": it.error, "since": it.since,
    })
}

fn print_skipped(events: &[Skipped], json: bool) {
    if json {
        return print_json(events.iter().map(skipped_json).collect());
    }
    if events.is_empty() {
        println!("no event was given up");
    }
    for Skipped { projection, key, seq, event_type, error, reason, by, at } in events {
        println!("{} {key}: event {seq}, {event_type}: {error}", projection.name());
        println!("  given up by {by} at {at}: {reason}");
    }
}

fn skipped_json(it: &Skipped) -> Value {
    json!({
        "projection": it.projection.name(), "key": it.key, "seq": it.seq,
        "event_type": it.event_type, "error": it.error, "reason": it.reason,
        "skipped_by": it.by, "skipped_at": it.at,
    })
}

fn print_json(values: Vec<Value>) {
    println!("{:#}", Value::Array(values));
}
