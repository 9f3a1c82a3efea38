//! The command line, as a shell uses it.

use std::process::{Output, Stdio};

use anyhow::Context as _;
use echolog::clock;
use echolog::config::Config;
use echolog_tests::{Tenant, echolog_binary, run};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Runs `echolog` against a tenant.
pub(crate) async fn echolog(t: &Tenant, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
    echolog_with(&t.config, arguments, input).await
}

/// Runs `echolog` with other settings.
pub(crate) async fn echolog_with(
    config: &Config,
    arguments: &[&str],
    input: &str,
) -> anyhow::Result<Output> {
    let mut child = Command::new(echolog_binary()?)
        .args(["--tenant", &config.tenant])
        .args(arguments)
        .env("NATS_URL", &config.nats_url)
        .env("DATABASE_URL", config.database_url.as_deref().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    // A program that does not read may have ended by now.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    Ok(child.wait_with_output().await?)
}

async fn send(
    t: &Tenant,
    encoding: &str,
    actor: &str,
    command: &str,
    target: &str,
    body: &Value,
) -> anyhow::Result<(Option<i32>, Value)> {
    let (domain, name) = command.split_once('.').context("domain.command")?;
    let arguments = [
        "send",
        domain,
        name,
        "--actor",
        actor,
        "--target",
        target,
        "--encoding",
        encoding,
        "--json",
        "-",
        "--projected",
    ];
    let output = echolog(t, &arguments, &body.to_string()).await?;
    let shown = serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    Ok((output.status.code(), shown))
}

#[test]
fn every_command_can_be_sent() {
    run(async {
        let t = Tenant::start().await?;
        for encoding in ["msgpack", "json"] {
            let ids: Vec<String> = (0..8).map(|_| clock::new_id().to_string()).collect();
            let [ada, bob, eve, direct, group, first, second, _] = &ids[..] else {
                unreachable!("eight ids")
            };
            let accepted = [
                (
                    "anon-1",
                    "auth.register_user",
                    ada,
                    json!({ "username": format!("ada_{encoding}"), "password": "correct horse" }),
                ),
                (
                    "anon-1",
                    "auth.register_user",
                    bob,
                    json!({ "username": format!("bob_{encoding}") }),
                ),
                (
                    "anon-1",
                    "auth.register_user",
                    eve,
                    json!({ "username": format!("eve_{encoding}") }),
                ),
                (ada, "users.update_profile", ada, json!({ "bio": "x" })),
                (ada, "users.block_user", ada, json!({ "user_id": eve })),
                (ada, "users.unblock_user", ada, json!({ "user_id": eve })),
                (
                    ada,
                    "messages.create_conversation",
                    direct,
                    json!({ "conversation_type": "direct", "member_user_ids": [bob] }),
                ),
                (
                    ada,
                    "messages.create_conversation",
                    group,
                    json!({ "conversation_type": "group", "title": "t", "member_user_ids": [bob] }),
                ),
                (ada, "messages.update_conversation", group, json!({ "title": "u" })),
                (ada, "messages.add_members", group, json!({ "user_ids": [eve] })),
                (ada, "messages.change_role", group, json!({ "user_id": bob, "role": "admin" })),
                (bob, "messages.remove_member", group, json!({ "user_id": eve })),
                (
                    ada,
                    "messages.send_message",
                    group,
                    json!({ "message_id": first, "content": "one" }),
                ),
                (
                    ada,
                    "messages.edit_message",
                    group,
                    json!({ "message_id": first, "content": "uno" }),
                ),
                (
                    bob,
                    "messages.add_reaction",
                    group,
                    json!({ "message_id": first, "emoji": "👍" }),
                ),
                (
                    bob,
                    "messages.remove_reaction",
                    group,
                    json!({ "message_id": first, "emoji": "👍" }),
                ),
                (ada, "messages.pin_message", group, json!({ "message_id": first })),
                (ada, "messages.unpin_message", group, json!({ "message_id": first })),
                (bob, "messages.mark_delivered", group, json!({ "message_id": first })),
                (bob, "messages.mark_read", group, json!({ "message_id": first })),
                (ada, "messages.delete_message", group, json!({ "message_id": first })),
                (bob, "messages.leave_conversation", group, json!({})),
            ];
            for (actor, command, target, body) in accepted {
                let (code, outcome) = send(&t, encoding, actor, command, target, &body).await?;
                assert_eq!(
                    (code, &outcome["status"]),
                    (Some(0), &json!("accepted")),
                    "{command}: {outcome}"
                );
            }
            let refused = [
                ("invalid", ada.as_str(), "messages.mark_read", group, json!({ "message_id": 1 })),
                (
                    "unauthenticated",
                    "anon-1",
                    "messages.mark_read",
                    group,
                    json!({ "message_id": first }),
                ),
                ("forbidden", eve, "messages.mark_read", group, json!({ "message_id": first })),
                ("not_found", ada, "messages.mark_read", group, json!({ "message_id": second })),
                ("conflict", ada, "messages.leave_conversation", direct, json!({})),
                (
                    "already_exists",
                    "anon-1",
                    "auth.register_user",
                    second,
                    json!({ "username": format!("ADA_{encoding}") }),
                ),
                (
                    "gone",
                    ada,
                    "messages.edit_message",
                    group,
                    json!({ "message_id": first, "content": "x" }),
                ),
                (
                    "too_large",
                    ada,
                    "messages.send_message",
                    group,
                    json!({ "message_id": second, "content": "x".repeat(20_000) }),
                ),
            ];
            for (expected, actor, command, target, body) in refused {
                let (code, outcome) = send(&t, encoding, actor, command, target, &body).await?;
                assert_eq!(
                    (code, &outcome["error"]["code"]),
                    (Some(1), &json!(expected)),
                    "{command}: {outcome}"
                );
            }
        }
        Ok(())
    });
}

#[test]
fn tail_prints_events_without_hashes() {
    run(async {
        let t = Tenant::start().await?;
        let id = clock::new_id();
        t.accept(
            "anon-1",
            "auth.register_user",
            id,
            json!({ "username": "ada", "password": "correct horse" }),
        )
        .await?;
        let output =
            echolog(&t, &["tail", "--from", "1", "--once", "--type", "auth.user_registered"], "")
                .await?;
        let lines: Vec<Value> = String::from_utf8(output.stdout)?
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["id"], json!(id));
        assert_eq!(lines[0]["data"]["password_hash"], "[redacted]");
        Ok(())
    });
}

#[test]
fn what_is_missing_is_said_in_one_sentence() {
    run(async {
        let t = Tenant::without_workers().await?;
        let base = t.config.database_url.clone().unwrap_or_default();
        let nobody = "nats://127.0.0.1:1";
        let wrong_password = t.config.nats_url.replace("test@", "wrong@");
        let no_database = format!("{base}_missing");
        let wrong_user = base.replace("test@", "wrong@");
        let attempts: [(&str, &str, &str, &str); 4] = [
            (nobody, &base, "serve", "NATS_URL"),
            (&wrong_password, &base, "serve", "NATS_URL"),
            (&t.config.nats_url, &no_database, "serve", "createdb"),
            (&t.config.nats_url, &wrong_user, "serve", "password"),
        ];
        for (nats, database, command, hint) in attempts {
            let output = Command::new(echolog_binary()?)
                .args([
                    command,
                    "--metrics-addr",
                    "127.0.0.1:0",
                    "--nats-url",
                    nats,
                    "--database-url",
                    database,
                    "--tenant",
                    &t.config.tenant,
                ])
                .env("ECHOLOG_MASTER_KEY", "a master key for tests, long enough")
                .output()
                .await?;
            let shown = String::from_utf8(output.stderr)?;
            assert_eq!(output.status.code(), Some(1), "{shown}");
            assert!(shown.contains("error: ") && shown.contains(hint), "{hint}: {shown}");
            assert!(!shown.contains("wrong@") && !shown.contains("test@"), "a secret: {shown}");
        }
        let usage = Command::new(echolog_binary()?).arg("no-such-command").output().await?;
        assert_eq!(usage.status.code(), Some(2));
        Ok(())
    });
}
