//! A server that goes away, comes back as one that will not do, and then as it was.

use echolog::clock;
use echolog::config::Config;
use echolog_commands::ErrorCode;
use echolog_tests::cluster::{Cluster, Role};
use echolog_tests::{eventually, nats_version, older, run};

use super::load::{accept, ask_once, register};
use super::proof;

#[test]
fn an_older_nats_gets_no_events() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let mut done = vec![accept(&client, register(clock::new_id(), "ada")).await?];

        let version = nats_version(&cluster.config).await?;
        cluster.workers[0].nats.disguise(Some((&version, &older(&version))));
        cluster.workers[0].nats.sever().await;
        eventually("the handler is connected again", || async {
            Ok(cluster.workers[0].log()?.matches("connected successfully").count() == 2)
        })
        .await?;
        let outcome = ask_once(&cluster, "bob").await?;
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Unavailable));
        assert!(cluster.workers[0].log()?.contains("is too old"));

        cluster.workers[0].nats.disguise(None);
        cluster.workers[0].nats.sever().await;
        done.push(accept(&client, register(clock::new_id(), "bob")).await?);
        proof::holds(&mut cluster, &client, &done).await
    });
}

#[test]
fn servers_with_other_passwords_are_waited_out() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let mut done = vec![accept(&client, register(clock::new_id(), "ada")).await?];

        cluster.kill_nats().await?;
        cluster.start_nats_with("another").await?;
        eventually("the workers are refused", || async {
            let refused = |worker: usize| {
                let log = cluster.workers[worker].log()?;
                anyhow::Ok(log.contains("authorization violation"))
            };
            Ok(refused(0)? && refused(1)?)
        })
        .await?;
        cluster.check_alive()?;
        cluster.kill_nats().await?;
        cluster.start_nats().await?;
        done.push(accept(&client, register(clock::new_id(), "bob")).await?);

        // One connection, which stays: nobody gets another one meanwhile.
        let config = Config { database_max_connections: 1, ..cluster.config.clone() };
        let operator = config.database().await?;
        operator.execute("ALTER ROLE echolog_owner PASSWORD 'another'").await?;
        operator
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
            )
            .await?;
        eventually("the handler is refused", || async {
            Ok(cluster.workers[0].log()?.contains("password authentication failed"))
        })
        .await?;
        let outcome = ask_once(&cluster, "cid").await?;
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Unavailable));
        operator.execute("ALTER ROLE echolog_owner PASSWORD 'test'").await?;
        done.push(accept(&client, register(clock::new_id(), "dan")).await?);
        proof::holds(&mut cluster, &client, &done).await
    });
}
