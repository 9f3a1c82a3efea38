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
    /// For programs: a JSON Schema of each command's body.
    JsonSchema,
    /// For programs: channels and messages, as AsyncAPI 3.
    Asyncapi,
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
            Format::JsonSchema => println!("{}", serde_json::to_string_pretty(&json_schema()?)?),
            Format::Asyncapi => println!("{}", serde_json::to_string_pretty(&asyncapi()?)?),
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
    match command.secrecy {
        Secrecy::Plain => {}
        Secrecy::With(fields) => {
            writeln!(out, "Goes by `req.` when it has `{}`.", fields.join("`, `"))?;
        }
        Secrecy::Always => writeln!(out, "Goes by `req.` always.")?,
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

/// The schema of a command's body. A field's type is that of its value in the example.
fn schema(command: CommandType) -> anyhow::Result<Value> {
    let example: Value = serde_json::from_str(command.doc.example)?;
    let mut properties = serde_json::Map::new();
    for field in command.doc.fields {
        let kind = match &example[field.name] {
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::String(_) | Value::Null => "string",
        };
        let property = json!({ "type": kind, "description": field.kind });
        properties.insert(field.name.to_owned(), property);
    }
    let required: Vec<&str> =
        command.doc.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    Ok(json!({
        "type": "object",
        "title": format!("{}.{}", command.domain, command.name),
        "description": command.doc.summary,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
        "examples": [example],
    }))
}

fn json_schema() -> anyhow::Result<Value> {
    let mut definitions = serde_json::Map::new();
    for command in COMMANDS {
        definitions.insert(format!("{}.{}", command.domain, command.name), schema(*command)?);
    }
    Ok(json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions }))
}

fn asyncapi() -> anyhow::Result<Value> {
    let mut channels = serde_json::Map::new();
    let mut operations = serde_json::Map::new();
    for command in COMMANDS {
        let name = format!("{}.{}", command.domain, command.name);
        let prefix = if command.may_carry_secret() { "req" } else { "cmd" };
        let message = json!({
            "name": name,
            "summary": command.doc.summary,
            "headers": { "type": "object", "required": ["Nats-Msg-Id"], "properties": {
                "Nats-Msg-Id": { "type": "string", "format": "uuid" },
                "Content-Type": { "enum": ["application/msgpack", "application/json"] },
            }},
            "payload": schema(*command)?,
        });
        channels.insert(
            name.clone(),
            json!({
                "address": format!("{prefix}.{{tenant}}.{{actor}}.{name}.{{target}}"),
                "description": format!("Target: {}.", command.doc.target),
                "parameters": { "tenant": {}, "actor": {}, "target": {} },
                "messages": { "command": message },
            }),
        );
        operations.insert(
            name.clone(),
            json!({
                "action": "receive",
                "channel": { "$ref": format!("#/channels/{name}") },
                "reply": { "channel": { "$ref": "#/channels/outcome" } },
            }),
        );
    }
    channels.insert(
        "outcome".to_owned(),
        json!({
            "address": "out.{tenant}.{actor}.{command_id}",
            "parameters": { "tenant": {}, "actor": {}, "command_id": {} },
            "messages": { "outcome": { "name": "outcome", "payload": outcome_schema() } },
        }),
    );
    let version = env!("CARGO_PKG_VERSION");
    Ok(json!({
        "asyncapi": "3.0.0",
        "info": { "title": "Echolog", "version": version },
        "channels": channels,
        "operations": operations,
    }))
}

fn outcome_schema() -> Value {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|(code, _)| code.name()).collect();
    json!({
        "type": "object",
        "properties": {
            "command_id": { "type": ["string", "null"] },
            "status": { "enum": ["accepted", "rejected", "failed"] },
            "seq": { "type": ["integer", "null"] },
            "version": { "type": ["integer", "null"] },
            "events": { "type": "array", "items": { "type": "string" } },
            "data": { "type": ["object", "null"] },
            "error": { "type": ["object", "null"], "properties": {
                "code": { "enum": codes },
                "message": { "type": "string" },
                "field": { "type": ["string", "null"] },
            }},
            "projected": { "type": "boolean" },
        },
    })
}
