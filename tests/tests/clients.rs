//! Clients in other languages, with their own libraries.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use echolog_tests::{Tenant, root, run};
use tokio::process::Command;

/// Runs a client's story against a tenant of its own and checks what the tables say afterwards.
async fn story(mut command: Command, encoding: &str) -> anyhow::Result<()> {
    let t = Tenant::start().await?;
    let output = command
        .env("NATS_URL", &t.config.nats_url)
        .env("ECHOLOG_TENANT", &t.config.tenant)
        .env("ECHOLOG_ENCODING", encoding)
        .stdin(Stdio::null())
        .output()
        .await
        .context("the client does not start: run the tests with `./dev test`")?;
    let shown = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    anyhow::ensure!(output.status.success(), "{shown}");
    let row = t.rows("SELECT message_count, member_count, title FROM messages.conversations WHERE conversation_type = 'group'").await?;
    assert_eq!(row, [["3", "2", "renamed"]], "{shown}");
    let unread = t.rows("SELECT p.username, c.unread_count FROM messages.conversation_participants c JOIN users.profiles p USING (user_id) JOIN messages.conversations v ON v.id = c.conversation_id WHERE v.conversation_type = 'group' AND is_active ORDER BY 1").await?;
    assert_eq!(unread, [["ada", "0"], ["bob", "1"]], "{shown}");
    assert_eq!(
        t.value("SELECT count(*) FROM auth.users WHERE password_hash LIKE '$argon2id$%'").await?,
        "1"
    );
    Ok(())
}

pub(crate) fn python(story: &str) -> Command {
    let python = std::env::var_os("ECHOLOG_TEST_PYTHON")
        .map_or_else(|| root().join(".dev/venv/bin/python"), PathBuf::from);
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients/python").join(story));
    command
}

fn node() -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("tests/clients/node/story.mjs"));
    command
}

#[test]
fn python_in_messagepack() {
    run(story(python("story.py"), "application/msgpack"));
}

#[test]
fn python_in_json() {
    run(story(python("story.py"), "application/json"));
}

#[test]
fn node_in_messagepack() {
    run(story(node(), "application/msgpack"));
}

#[test]
fn node_in_json() {
    run(story(node(), "application/json"));
}
