//! A server that neither answers nor goes away.

use std::time::Duration;

use echolog::clock;
use echolog_commands::Status;
use echolog_tests::cluster::{Cluster, Link, Role};
use echolog_tests::run;
use tokio::time::Instant;

use super::load::{accept, group, register, say, to_user};
use super::proof;

/// The guard: PostgreSQL is waited for shortly, and then left alone for a while.
#[test]
fn a_postgres_that_hangs_lets_nobody_hang() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let [ada, bob, chat] = [clock::new_id(), clock::new_id(), clock::new_id()];
        let mut done = Vec::new();
        for request in [register(ada, "ada"), register(bob, "bob"), group(chat, ada, &[bob])] {
            done.push(accept(&client, request).await?);
        }
        cluster.workers[0].postgres.set(Link::Held);
        for number in 0..10 {
            let begun = Instant::now();
            // Somebody of whom only PostgreSQL could tell anything.
            let outcome = client.send(&to_user(clock::new_id(), "users.block_user", ada)).await?;
            assert_eq!(outcome.status, Status::Failed);
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
            done.push(accept(&client, say(chat, bob, &number.to_string())).await?);
            assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        }
        cluster.workers[0].postgres.set(Link::Open);
        done.push(accept(&client, say(chat, bob, "again")).await?);
        proof::holds(&mut cluster, &client, &done).await
    });
}
