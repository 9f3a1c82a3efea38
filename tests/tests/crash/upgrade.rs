//! A running system is replaced by the next build of it, process by process.

use echolog_projectors::Projection;
use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::{echolog_binary, eventually, previous_binary, run};

use super::chance::seed;
use super::load::Load;
use super::proof;

/// How many events both builds together append before the next process is replaced.
const MIXED: u64 = 300;

/// Waits until so many more events are in the log.
async fn work(cluster: &Cluster) -> anyhow::Result<()> {
    let log = cluster.log()?;
    let until = log.head().await? + MIXED;
    eventually("the log grows", || async { Ok(log.head().await? >= until) }).await
}

#[test]
fn an_upgrade_interrupts_nobody() {
    run(async {
        let Some(previous) = previous_binary()? else { return Ok(()) };
        let mut cluster = Cluster::start(previous).await?;
        for role in [Role::Handler, Role::Handler, Role::Projector] {
            cluster.add(role).await?;
        }
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        work(&cluster).await?;
        cluster.build = echolog_binary()?;
        cluster.migrate().await?;
        // Who writes tables has to know all that the others may say; so the projector goes first. It
        // stands by, and waits for what the earlier one made by other rules.
        let projector = cluster.add(Role::Projector).await?;
        let replayed = cluster.echolog(&["replay", "outdated"]).await?;
        let said = String::from_utf8_lossy(&replayed.stderr);
        anyhow::ensure!(replayed.status.success(), "{said}");
        for projection in Projection::ALL {
            let sql = "SELECT version FROM projection.folds WHERE projection";
            let fold = cluster.value(&format!("{sql} = '{}'", projection.name())).await?;
            assert_eq!(fold, projection.version().to_string(), "{}", projection.name());
        }
        cluster.workers[2].terminate().await?;
        work(&cluster).await?;
        for index in [0, 1] {
            cluster.workers[index].terminate().await?;
            cluster.start_worker(index).await?;
            work(&cluster).await?;
        }
        cluster.workers[projector].check_alive()?;
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}
