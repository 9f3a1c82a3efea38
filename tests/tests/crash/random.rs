//! Anything is killed at any moment.

use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::run;
use tokio::time::{Instant, sleep};

use super::chance::{Chance, rounds, seed};
use super::load::Load;
use super::proof;

#[test]
fn whatever_is_killed_nothing_is_lost_or_doubled() {
    run(async {
        let seed = seed();
        let mut chance = Chance::new(seed);
        let mut cluster = Cluster::start().await?;
        for role in [Role::Handler, Role::Handler, Role::Projector] {
            cluster.add(role).await?;
        }
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed).await?;
        let end = Instant::now() + rounds();
        while Instant::now() < end {
            // Not to wait for something: this is when chance strikes.
            sleep(chance.up_to(2000)).await;
            cluster.check_alive()?;
            for _ in 0..=chance.below(2) {
                kill_one(&mut cluster, &mut chance).await?;
            }
            sleep(chance.up_to(1000)).await;
            cluster.restore().await?;
        }
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}

async fn kill_one(cluster: &mut Cluster, chance: &mut Chance) -> anyhow::Result<()> {
    match chance.below(6) {
        0 => cluster.kill_nats().await,
        1 => cluster.kill_postgres().await,
        other => {
            let workers = cluster.workers.len();
            cluster.workers[other as usize % workers].kill().await
        }
    }
}
