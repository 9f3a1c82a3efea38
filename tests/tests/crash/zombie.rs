//! A process that others believe dead, and that is not.

use echolog_events::Partition;
use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::{eventually, run};

use super::chance::seed;
use super::load::{Load, accept, id_in, register};
use super::proof;

/// The guards: the fence, and the question to the broker before a refusal.
#[test]
fn an_owner_that_wakes_up_after_another_took_over_does_no_harm() {
    run(async {
        let seed = seed();
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed).await?;

        // Stopped in the middle of its work: commands, appends and answers are on their way.
        let frozen = cluster.workers[0].freeze()?;
        let successor = cluster.add(Role::Handler).await?;
        for partition in Partition::all() {
            let somebody = id_in(|it| it == partition);
            accept(&client, register(somebody, &format!("u{}", somebody.simple()))).await?;
        }
        let owners = cluster.owners().await?;
        assert!(Partition::all().all(|it| owners.get(&it) == Some(&Some(successor))), "{owners:?}");
        let head = cluster.log()?.head().await?;
        frozen.thaw();
        eventually("the former owner is at work again", || async {
            Ok(cluster.takeovers(0).await?.into_iter().any(|seq| seq > head))
        })
        .await?;
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}
