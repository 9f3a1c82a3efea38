//! `echolog send`.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use echolog_commands::{ContentType, Status};
use echolog_events::Uuid;

use crate::client::{Client, Request};
use crate::clock;
use crate::config::Config;

/// Send a command and wait for its outcome.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    echolog send auth register_user --actor anon-me --json '{\"username\":\"ada\"}'\n  \
    echolog send messages send_message --actor $ADA --target $CONVERSATION --json \
    '{\"message_id\":\"…\",\"content\":\"Hello\"}'\n\n\
    A retry with the same --id has no second effect and gets the same outcome.")]
pub(super) struct Args {
    /// The domain, such as `messages`.
    domain: String,
    /// The command, such as `send_message`.
    command: String,
    /// Who sends it: a user's id, `anon-…` or `svc-…`.
    #[arg(long)]
    actor: String,
    /// What it acts on. Default: a new id, for commands that create a thing.
    #[arg(long)]
    target: Option<String>,
    /// The fields as JSON; `-` reads them from standard input, so that a secret need not stand in
    /// the shell's history.
    #[arg(long, default_value = "{}")]
    json: String,
    /// The command's id, to send it again. Default: a new one.
    #[arg(long)]
    id: Option<Uuid>,
    /// The encoding on the wire.
    #[arg(long, value_enum, default_value_t)]
    encoding: Encoding,
    /// Wait until the tables show it.
    #[arg(long)]
    projected: bool,
    /// The version that the target must have.
    #[arg(long)]
    expected_version: Option<u64>,
    /// Seconds to wait for the outcome.
    #[arg(long, default_value_t = 15)]
    timeout: u64,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Encoding {
    #[default]
    Msgpack,
    Json,
}

/// Exit code 0 for accepted, 1 for anything else; the outcome is printed as JSON either way.
pub(super) async fn run(config: Config, args: Args) -> anyhow::Result<ExitCode> {
    let text = if args.json == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        text
    } else {
        args.json
    };
    let body = serde_json::from_str(&text).context("--json is no JSON")?;
    let request = Request {
        actor: args.actor,
        domain: args.domain,
        command: args.command,
        target: args.target.unwrap_or_else(|| clock::new_id().to_string()),
        id: args.id.unwrap_or_else(clock::new_id),
        body,
        content_type: match args.encoding {
            Encoding::Msgpack => ContentType::MessagePack,
            Encoding::Json => ContentType::Json,
        },
        await_projected: args.projected,
        expected_version: args.expected_version,
    };
    let mut client = Client::connect(config.bus("send").await?, config.names()?).await?;
    client.patience = Duration::from_secs(args.timeout);
    let outcome = client.send(&request).await?;
    let mut shown = serde_json::to_value(&outcome)?;
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("target".to_owned(), request.target.into());
    }
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(if outcome.status == Status::Accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
