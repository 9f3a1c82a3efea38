//! Everything is lost, and comes back.

use std::fs;
use std::path::Path;
use std::time::Duration;

use echolog::client::Client;
use echolog_commands::Status;
use echolog_events::Time;
use echolog_nats::Stored;
use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::run;
use serde_json::Value;
use tokio::time::timeout;

use super::chance::seed;
use super::disk::batch;
use super::load::{Done, Load, ask};
use super::proof;

/// Runs `echolog`, which has to succeed.
async fn succeeds(cluster: &Cluster, arguments: &[&str]) -> anyhow::Result<String> {
    let output = cluster.echolog(arguments).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs `echolog`, which has to fail with these words.
pub(super) async fn fails(
    cluster: &Cluster,
    arguments: &[&str],
    words: &str,
) -> anyhow::Result<()> {
    let output = cluster.echolog(arguments).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.code() == Some(1) && said.contains(words),
        "{arguments:?}: {said}"
    );
    Ok(())
}

/// Talks, and makes a backup in the middle of it.
async fn talk(cluster: &Cluster, client: &Client, to: &str) -> anyhow::Result<Vec<Done>> {
    let load = Load::start(client, 6, seed()).await?;
    succeeds(cluster, &["backup", to]).await?;
    load.stop().await
}

fn files(backup: &Path) -> anyhow::Result<Vec<String>> {
    let manifest: Value = serde_json::from_slice(&fs::read(backup.join("manifest.json"))?)?;
    let log = manifest["log"].as_array().into_iter().flatten();
    Ok(log.filter_map(|segment| segment["file"].as_str().map(str::to_owned)).collect())
}

#[test]
fn everything_is_lost_and_comes_back() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let directory = tempfile::tempdir()?;
        let backup = directory.path().join("backup");
        let to = backup.to_str().expect("a path in UTF-8");

        // New servers know nobody who may read here.
        cluster.database.execute("CREATE ROLE reader").await?;
        cluster.database.execute("GRANT USAGE ON SCHEMA messages TO reader").await?;
        let mut done = talk(&cluster, &client, to).await?;
        let first = files(&backup)?;
        done.extend(talk(&cluster, &client, to).await?);
        let both = files(&backup)?;
        assert!(
            both.starts_with(&first) && both.len() == 2,
            "only what was new is added: {both:?}"
        );
        fails(&cluster, &["restore", to], "NATS has a tenant main already").await?;
        let whole = succeeds(&cluster, &["restore", "--check", to]).await?;
        let before = cluster.events().await?;

        cluster.lose_everything().await?;
        fails(&cluster, &["restore", "--tenant", "other", to], "say --tenant main").await?;
        let master_key = "another master key, as long as it takes";
        let wrong_key = ["restore", "--master-key", master_key, to];
        fails(&cluster, &wrong_key, "another ECHOLOG_MASTER_KEY").await?;

        // The first attempt gets as far as the second file, which is damaged.
        let good = fs::read(backup.join(&both[1]))?;
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(backup.join(&both[1]), bad)?;
        fails(&cluster, &["restore", "--check", to], &both[1]).await?;
        fails(&cluster, &["restore", to], &both[1]).await?;
        fails(&cluster, &["handler"], "but NATS has log").await?;
        fails(&cluster, &["migrate"], "run `echolog restore` again").await?;
        fs::write(backup.join(&both[1]), good)?;
        succeeds(&cluster, &["restore", to]).await?;
        assert_eq!(whole, succeeds(&cluster, &["restore", "--check", to]).await?);

        let readable = "SELECT has_table_privilege('echolog_reader', 'messages.messages', 'SELECT')
            AND EXISTS (SELECT FROM pg_policies WHERE tablename = 'messages')";
        assert_eq!(cluster.database.text_table(readable).await?.rows, [["true"]]);

        let after = cluster.events().await?;
        assert!(after.len() > 100 && before.starts_with(&after), "the log is the same");
        cluster.restore().await?;
        let end = after.len() as u64;
        let (mut kept, lost): (Vec<_>, Vec<_>) =
            done.into_iter().partition(|done| done.outcome.seq.is_none_or(|seq| seq <= end));
        for Done { request, waited, .. } in lost {
            let outcome = ask(&client, &request).await?;
            kept.push(Done { request, outcome, waited });
        }
        kept.extend(Load::start(&client, 3, seed()).await?.stop().await?);
        assert!(kept.iter().any(|done| done.outcome.status == Status::Accepted));
        // A log that came back is another log.
        fails(&cluster, &["backup", to], "choose another directory").await?;
        proof::holds(&mut cluster, &client, &kept).await
    });
}

/// The messages of the log, but for what told the broker how to take them.
async fn messages(cluster: &Cluster) -> anyhow::Result<Vec<Stored>> {
    let log = cluster.log()?;
    let (head, mut reader) = (log.head().await?, log.read_stored(1).await?);
    let mut messages: Vec<Stored> = Vec::new();
    while messages.last().map_or(0, |message| message.seq) < head {
        messages.extend(timeout(Duration::from_secs(10), reader.next(1000)).await??.events);
    }
    for message in &mut messages {
        message.stored = Time::default();
        message.headers.retain(|(name, _)| !name.starts_with("Nats-"));
        message.headers.sort();
    }
    Ok(messages)
}

/// What met a limit half-way and is run again puts everything back, not what fits behind it.
#[test]
fn a_restore_that_is_torn_begins_the_log_anew() {
    run(async {
        let mut cluster = Cluster::with(&[]).await?;
        let directory = tempfile::tempdir()?;
        let to = directory.path().join("backup");
        let to = to.to_str().expect("a path in UTF-8");
        let log = cluster.log()?;
        for count in [600, 600] {
            log.append(&batch(count)).await?;
        }
        succeeds(&cluster, &["backup", to]).await?;
        let before = messages(&cluster).await?;
        let stored = fs::metadata(cluster.stream_directory("EVT_main").join("msgs/1.blk"))?.len();

        cluster.kill_nats().await?;
        cluster.limit_nats(Some(stored * 3 / 5)).await?;
        cluster.lose_everything().await?;
        fails(&cluster, &["restore", to], "run it again").await?;
        let head = log.head().await?;
        assert!(log.is_torn(head).await?, "{head}: not in half");
        cluster.limit_nats(None).await?;
        succeeds(&cluster, &["restore", to]).await?;
        assert!(messages(&cluster).await? == before, "the log is another");
        Ok(())
    });
}
