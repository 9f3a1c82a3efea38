//! Being told to stop.

use std::time::Duration;

use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::run;

use super::chance::seed;
use super::load::Load;
use super::proof;

#[test]
fn who_is_told_to_stop_stops_even_if_a_server_is_gone() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 3, seed()).await?;
        cluster.kill_nats().await?;
        for worker in &mut cluster.workers {
            let took = worker.terminate().await?;
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
        cluster.restore().await?;
        let done = load.stop().await?;
        proof::holds(&mut cluster, &client, &done).await
    });
}

#[test]
fn nobody_waits_long_for_a_handler_that_is_told_to_stop() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let load = Load::start(&client, 6, seed()).await?;
        for index in [0, 1] {
            cluster.workers[index].terminate().await?;
            cluster.start_worker(index).await?;
        }
        let done = load.stop().await?;
        // A crash would have cost the time after which a silent owner is given up.
        let longest = done.iter().map(|done| done.waited).max().unwrap_or_default();
        assert!(longest < Duration::from_secs(3), "{longest:?}");
        proof::holds(&mut cluster, &client, &done).await
    });
}
