//! Everything is lost, and comes back.

use std::fs;
use std::path::Path;

use echolog::client::Client;
use echolog_commands::Status;
use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::run;
use serde_json::Value;

use super::chance::seed;
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
async fn fails(cluster: &Cluster, arguments: &[&str], words: &str) -> anyhow::Result<()> {
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
        fs::write(backup.join(&both[1]), good)?;
        succeeds(&cluster, &["restore", to]).await?;
        assert_eq!(whole, succeeds(&cluster, &["restore", "--check", to]).await?);

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
