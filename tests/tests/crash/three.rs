//! Three nats-servers keep the log together.

use std::cell::Cell;

use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::{eventually, run};

use super::chance::seed;
use super::load::Load;
use super::proof;

/// How many events have to come into the log while a server is dead.
const MEANWHILE: u64 = 100;

/// Waits until so many events have come into the log.
async fn goes_on(cluster: &Cluster) -> anyhow::Result<()> {
    let (log, goal) = (cluster.log()?, Cell::new(None));
    eventually("the log grows", || async {
        // While the servers choose a new leader nobody answers.
        let Ok(head) = log.head().await else { return Ok(false) };
        let until = goal.get().unwrap_or(head + MEANWHILE);
        goal.set(Some(until));
        Ok(head >= until)
    })
    .await
}

#[test]
fn each_of_three_servers_dies_and_comes_back() {
    run(async {
        let roles = [Role::Handler, Role::Handler, Role::Projector];
        let mut cluster = Cluster::of_three(&roles).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        for index in 0..3 {
            eventually("every server has everything", || cluster.is_whole()).await?;
            cluster.without_nats(index, goes_on).await?;
        }
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}
