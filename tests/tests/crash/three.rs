//! Three nats-servers keep the log together.

use std::cell::Cell;
use std::time::Duration;

use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::{run, within};

use super::chance::seed;
use super::load::Load;
use super::proof;

/// How many events have to come into the log while a server is dead.
const MEANWHILE: u64 = 100;

/// How long that may take: an election, requests that nobody answers meanwhile, and partitions that
/// are taken over one by one.
const PATIENCE: Duration = Duration::from_secs(55);

/// Waits until so many events have come into the log.
async fn goes_on(cluster: &Cluster) -> anyhow::Result<()> {
    let (log, goal) = (cluster.log()?, Cell::new(None));
    within(PATIENCE, "the log grows", || async {
        // While the servers choose a new leader nobody answers.
        let Ok(head) = log.head().await else { return Ok(false) };
        let until = goal.get().unwrap_or(head + MEANWHILE);
        goal.set(Some(until));
        Ok(head >= until)
    })
    .await
}

/// Waits until each server has on its disk what any of them has now: before that another one must
/// not be taken away. (What the leader says of the others is of no use here: for a moment it takes
/// one that has just come back for current.)
async fn becomes_whole(cluster: &Cluster) -> anyhow::Result<()> {
    let names = cluster.config.names()?;
    for stream in [names.event_stream(), names.command_stream()] {
        let all = cluster.last_sequences(&stream).await?;
        let goal = all.into_iter().max().unwrap_or_default();
        within(PATIENCE, "every server has everything", || async {
            Ok(cluster.last_sequences(&stream).await?.iter().all(|last| *last >= goal))
        })
        .await?;
    }
    Ok(())
}

#[test]
fn each_of_three_servers_dies_and_comes_back() {
    run(async {
        let roles = [Role::Handler, Role::Handler, Role::Projector];
        let mut cluster = Cluster::of_three(&roles).await?;
        // An upgrade says no number of copies, and leaves them.
        cluster.migrate().await?;
        let names = cluster.config.names()?;
        for stream in [names.event_stream(), names.command_stream()] {
            let stream = cluster.jetstream().await?.get_stream(stream).await?;
            assert_eq!(stream.cached_info().config.num_replicas, 3);
        }
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        for index in 0..3 {
            becomes_whole(&cluster).await?;
            cluster.without_nats(index, goes_on).await?;
        }
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}
