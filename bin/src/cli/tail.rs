//! `echolog tail`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::ensure;
use echolog_events::{Body, EVENT_TYPES, Recorded};
use echolog_nats::EventLog;
use serde_json::{Value, json};

use crate::config::Config;

/// Print events as JSON lines.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Begin at this sequence. Default: behind the last event.
    #[arg(long)]
    from: Option<u64>,
    /// Stop at the end of the log instead of waiting for more.
    #[arg(long)]
    once: bool,
    /// Only events of this type or domain, such as `messages` or `messages.message_sent`.
    #[arg(long = "type")]
    event_type: Option<String>,
    /// Only events of the thing with this id.
    #[arg(long)]
    id: Option<String>,
}

pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    if let Some(wanted) = &args.event_type {
        let known = EVENT_TYPES.iter().any(|it| is(it.name, wanted));
        ensure!(known, "there are no events of type `{wanted}`; `echolog describe` lists them");
    }
    let log = EventLog::new(config.bus("tail").await?, config.names()?);
    let head = log.head().await?;
    let from = args.from.unwrap_or(head + 1);
    if args.once && from > head {
        return Ok(ExitCode::SUCCESS);
    }
    let mut reader = log.read_from(from).await?;
    let mut out = std::io::stdout().lock();
    loop {
        let page = reader.next(1000).await?;
        let mut at = from;
        for event in &page.events {
            at = event.seq;
            if args.wants(event) && writeln!(out, "{}", line(event)).is_err() {
                // Whoever read the lines has gone.
                return Ok(ExitCode::SUCCESS);
            }
        }
        if out.flush().is_err() || (args.once && at >= head) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

impl Args {
    fn wants(&self, event: &Recorded) -> bool {
        let name = name(event);
        self.id.as_ref().is_none_or(|id| event.key.id == *id)
            && self.event_type.as_ref().is_none_or(|wanted| is(name, wanted))
    }
}

/// Whether an event's name is of a type or domain.
fn is(name: &str, wanted: &str) -> bool {
    name == wanted || name.split('.').next() == Some(wanted)
}

fn name(event: &Recorded) -> &str {
    match &event.body {
        Body::Known(known) => known.event_type().name,
        Body::Unreadable(unreadable) => &unreadable.name,
    }
}

fn line(event: &Recorded) -> Value {
    let data = match &event.body {
        Body::Known(known) => redact(known.to_json()),
        Body::Unreadable(unreadable) => json!({ "unreadable": unreadable.reason }),
    };
    json!({
        "seq": event.seq,
        "type": name(event),
        "stream": event.key.stream.name(),
        "id": event.key.id,
        "partition": event.partition.number(),
        "time": event.meta.time,
        "event_id": event.meta.event_id,
        "actor": event.meta.actor,
        "command_id": event.meta.command_id,
        "correlation_id": event.meta.correlation_id,
        "data": data,
    })
}

/// A hash is no secret, but no business of a terminal either; nor is where push messages go.
fn redact(mut data: Value) -> Value {
    let hidden =
        |name: &str| name.ends_with("_hash") || ["fcm_token", "salt", "codes"].contains(&name);
    let fields = data.as_object_mut().into_iter().flatten();
    for (_, value) in fields.filter(|(name, value)| hidden(name) && !value.is_null()) {
        *value = "[redacted]".into();
    }
    data
}
