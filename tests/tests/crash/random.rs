//! Anything may happen to anything at any moment.

use std::time::Duration;

use echolog_tests::cluster::{Cluster, Frozen, Link, Proxy, Role};
use echolog_tests::run;
use tokio::time::{Instant, sleep};

use super::chance::{Chance, rounds, seed};
use super::load::Load;
use super::proof;

/// How long it goes on until everything is proven.
const STRETCH: Duration = Duration::from_secs(60);

#[test]
fn whatever_happens_nothing_is_lost_or_doubled() {
    run(async {
        let mut chance = Chance::new(seed());
        let mut cluster = Cluster::with(&[Role::Handler, Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let mut done = Vec::new();
        let end = Instant::now() + rounds();
        while Instant::now() < end {
            let load = Load::start(&client, 6, chance.next()).await?;
            ordeal(&mut cluster, &mut chance, end.min(Instant::now() + STRETCH)).await?;
            done.extend(load.stop().await?);
            proof::holds(&mut cluster, &client, &done).await?;
        }
        Ok(())
    });
}

async fn ordeal(cluster: &mut Cluster, chance: &mut Chance, end: Instant) -> anyhow::Result<()> {
    while Instant::now() < end {
        // Not to wait for something: this is when chance strikes.
        sleep(chance.up_to(2000)).await;
        cluster.check_alive()?;
        let mut frozen = Vec::new();
        for _ in 0..=chance.below(2) {
            frozen.extend(strike(cluster, chance).await?);
        }
        // Sometimes long enough for another to take over.
        let lasts = if chance.below(4) == 0 { 6000 } else { 1000 };
        sleep(chance.up_to(lasts)).await;
        drop(frozen);
        cluster.restore().await?;
    }
    Ok(())
}

/// Does something bad to something. What is stopped goes on when it is dropped.
async fn strike(cluster: &mut Cluster, chance: &mut Chance) -> anyhow::Result<Option<Frozen>> {
    let victim = chance.below(cluster.workers.len() as u64) as usize;
    let worker = &mut cluster.workers[victim];
    let runs = worker.pid() != 0;
    match chance.below(12) {
        0 | 1 => cluster.kill_nats().await?,
        2 | 3 => cluster.kill_postgres().await?,
        4..6 => worker.kill().await?,
        6 | 7 if runs => return Ok(Some(worker.freeze()?)),
        8 => disturb(&worker.postgres, chance),
        9 => disturb(&cluster.clients, chance),
        _ => disturb(&worker.nats, chance),
    }
    Ok(None)
}

/// Severs or holds what goes through.
fn disturb(link: &Proxy, chance: &mut Chance) {
    link.set(*chance.pick(&[Link::Cut, Link::Held, Link::Muted, Link::Deaf]).expect("some"));
}
