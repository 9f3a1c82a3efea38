//! Tables are built anew while everybody talks, and a build is killed on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use echolog_projectors::db::Database;
use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::{eventually, run};
use tokio::time::Instant;

use super::chance::seed;
use super::load::Load;
use super::proof;

/// How long a reader may ever wait, on a machine that is busy with all this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads what is rebuilt until it is told to stop; returns how long it had to wait at most.
async fn read(database: Database, stop: Arc<AtomicBool>) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let sql = "SELECT sum(unread_count), (SELECT count(*) FROM messages.messages)
            FROM messages.conversation_participants";
        database.text_table(sql).await?;
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(longest)
}

async fn replay(cluster: &Cluster, arguments: &[&str]) -> anyhow::Result<()> {
    let output = cluster.echolog(&[&["replay", "messages"], arguments].concat()).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{arguments:?}: {said}");
    Ok(())
}

#[test]
fn a_build_that_is_killed_is_taken_up_and_no_reader_waits() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(read(cluster.database.clone(), Arc::clone(&stop)));

        // Somebody looks at the tables for long: they are not exchanged under his eyes.
        let database = cluster.database.clone();
        let looks = "FROM pg_sleep(9.75)";
        let look = format!("SELECT 1 {looks}");
        let onlooker = tokio::spawn(async move { database.text_table(&look).await });
        let seen = format!(
            "FROM pg_stat_activity WHERE query LIKE '%{looks}%' AND pid <> pg_backend_pid()"
        );
        eventually("he looks", || async {
            Ok(cluster.value(&format!("SELECT count(*) {seen}")).await? == "1")
        })
        .await?;
        let head = cluster.log()?.head().await?;
        let mut killed = cluster.command(&["replay", "messages"])?.spawn()?;
        let built = "SELECT coalesce(min(position), 0) FROM projection.checkpoints
            WHERE projection = 'shadow:messages'";
        eventually("a copy is there", || async {
            Ok(cluster.value(built).await?.parse::<u64>()? >= head)
        })
        .await?;
        killed.kill().await?;
        cluster.rows(&format!("SELECT pg_cancel_backend(pid) {seen}")).await?;
        let looked = onlooker.await?;
        anyhow::ensure!(looked.is_err(), "the copy was not exchanged before it was killed");

        replay(&cluster, &[]).await?;
        replay(&cluster, &["--rollback"]).await?;
        replay(&cluster, &[]).await?;
        stop.store(true, Ordering::Relaxed);
        let longest = reader.await.context("the reader")??;
        anyhow::ensure!(longest < PATIENCE, "a reader waited {longest:?}");
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}
