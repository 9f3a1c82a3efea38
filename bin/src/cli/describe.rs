//! `echolog describe`: the reference, generated from the types.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use echolog_commands::messages::MESSAGE_TYPES;
use echolog_commands::{COMMANDS, CommandType, ErrorCode, Secrecy};
use echolog_events::EVENT_TYPES;
use prometheus::proto::MetricType;
use serde_json::{Value, json};

use crate::metrics::Metrics;

/// Describe commands, events, errors and metrics.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The form.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write the reference into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "check")]
    write: Option<PathBuf>,
    /// Fail if the reference in this folder is not what would be written.
    #[arg(long, value_name = "FOLDER")]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Markdown,
    /// For programs: every command with its fields.
    Json,
}

const FILE: &str = "reference.md";

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let markdown = markdown()?;
    if let Some(folder) = &args.write {
        let path = folder.join(FILE);
        fs::write(&path, markdown)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    } else if let Some(folder) = &args.check {
        return check(&folder.join(FILE), &markdown);
    } else {
        match args.format {
            Format::Markdown => print!("{markdown}"),
            Format::Json => println!("{}", serde_json::to_string_pretty(&as_json())?),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(path: &Path, expected: &str) -> anyhow::Result<ExitCode> {
    let found = fs::read_to_string(path).unwrap_or_default();
    if found == expected {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} is out of date: write it with `echolog describe --write docs`", path.display());
    Ok(ExitCode::FAILURE)
}

fn markdown() -> anyhow::Result<String> {
    let mut out = String::from(
        "# Reference\n\n\
         Generated from the types by `echolog describe --write docs`; do not edit.\n\n\
         Commands go to `cmd.{tenant}.{actor}.{domain}.{command}.{target}`, those that carry a secret as\n\
         requests to `req.…`. `Nats-Msg-Id` is the command's id (UUIDv7), `Content-Type` is\n\
         `application/msgpack` (default) or `application/json`. Unknown fields are refused. UUIDs are\n\
         lower-case, hyphenated text, times RFC 3339.\n\n## Commands\n",
    );
    for command in COMMANDS {
        describe_command(&mut out, *command)?;
    }
    describe_message_types(&mut out)?;
    out.push_str("\n## Events\n\n`evt.{tenant}.{stream}.{partition}.{id}`, CloudEvents 1.0 headers, MessagePack.\n\n| type | schema |\n|---|---|\n");
    for event in EVENT_TYPES {
        writeln!(out, "| `{}` | {} |", event.name, event.schema)?;
    }
    out.push_str("\n## Errors\n\n| status | code | meaning |\n|---|---|---|\n");
    for (code, meaning) in ErrorCode::ALL {
        writeln!(out, "| {} | `{}` | {meaning} |", code.status().name(), code.name())?;
    }
    describe_metrics(&mut out)?;
    Ok(out)
}

fn describe_command(out: &mut String, command: CommandType) -> anyhow::Result<()> {
    let doc = command.doc;
    writeln!(out, "\n### `{}.{}`\n\n{}\n", command.domain, command.name, doc.summary)?;
    writeln!(out, "Target: {}.", doc.target)?;
    if let Secrecy::With(fields) = command.secrecy {
        writeln!(out, "Goes by `req.` when it has `{}`.", fields.join("`, `"))?;
    }
    if !doc.fields.is_empty() {
        out.push_str("\n| field | | |\n|---|---|---|\n");
        for field in doc.fields {
            let needed = if field.required { "required" } else { "" };
            writeln!(out, "| `{}` | {needed} | {} |", field.name, field.kind)?;
        }
    }
    let events: Vec<String> = doc.events.iter().map(|event| format!("`{event}`")).collect();
    writeln!(out, "\nEvents: {}.\n", events.join(", "))?;
    out.push_str("| refused with | when |\n|---|---|\n");
    for (code, circumstance) in doc.refused {
        writeln!(out, "| `{code}` | {circumstance} |")?;
    }
    writeln!(out, "\n```json\n{}\n```", doc.example)?;
    Ok(())
}

fn describe_message_types(out: &mut String) -> anyhow::Result<()> {
    out.push_str("\n## Message types\n\n| type | `content` | `metadata` |\n|---|---|---|\n");
    for rule in MESSAGE_TYPES {
        let fields: Vec<String> = rule
            .fields
            .iter()
            .map(|(name, kind, must)| {
                format!("`{name}`{} {kind}", if *must { " (required)" } else { "" })
            })
            .collect();
        let content = if rule.needs_content { "required" } else { "optional" };
        writeln!(out, "| `{}` | {content} | {} |", rule.message_type.name(), fields.join("; "))?;
    }
    Ok(())
}

fn describe_metrics(out: &mut String) -> anyhow::Result<()> {
    out.push_str("\n## Metrics\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
    let metrics = Metrics::new()?;
    metrics.touch();
    for family in metrics.registry.gather() {
        let labels: Vec<&str> = family
            .get_metric()
            .first()
            .map(|metric| {
                metric.get_label().iter().map(prometheus::proto::LabelPair::name).collect()
            })
            .unwrap_or_default();
        let kind = match family.get_field_type() {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY => "summary",
            MetricType::UNTYPED => "untyped",
        };
        writeln!(
            out,
            "| `{}` | {kind} | {} | {} |",
            family.name(),
            labels.join(", "),
            family.help()
        )?;
    }
    Ok(())
}

fn as_json() -> Value {
    let commands: Vec<Value> = COMMANDS
        .iter()
        .map(|command| {
            let fields: Vec<Value> = command
                .doc
                .fields
                .iter()
                .map(|field| json!({ "name": field.name, "type": field.kind, "required": field.required }))
                .collect();
            json!({
                "domain": command.domain,
                "command": command.name,
                "summary": command.doc.summary,
                "target": command.doc.target,
                "secret": command.may_carry_secret(),
                "fields": fields,
                "events": command.doc.events,
            })
        })
        .collect();
    let events: Vec<Value> = EVENT_TYPES
        .iter()
        .map(|event| json!({ "type": event.name, "schema": event.schema }))
        .collect();
    json!({ "commands": commands, "events": events })
}
