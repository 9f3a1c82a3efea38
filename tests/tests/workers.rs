//! Processes come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use echolog::client::Request;
use echolog::clock;
use echolog::roles::Roles;
use echolog_commands::Status;
use echolog_events::partition_of;
use echolog_nats::Names;
use echolog_tests::{Tenant, eventually, run};
use futures::StreamExt as _;
use futures::future::join_all;
use serde_json::json;
use tokio::time::{interval, timeout, timeout_at};

#[test]
fn a_handler_hands_over_under_load() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        t.add(Roles::PROJECTOR).await?;
        t.add(Roles::HANDLER).await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let (client, stopped) = (t.client.clone(), Arc::clone(&stop));
        let load = tokio::spawn(async move {
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                let body = json!({ "message_id": clock::new_id(), "content": format!("{sent}") });
                let outcome =
                    client.send(&Request::new(ada, "messages.send_message", group, body)).await?;
                anyhow::ensure!(outcome.status == Status::Accepted, "{outcome:?}");
                sent += 1;
            }
            anyhow::Ok(sent)
        });
        for _ in 0..2 {
            t.add(Roles::HANDLER).await?;
            // The first process is the projector; the second the handler that has been there longest.
            t.stop_at(1).await?;
            t.accept(
                bob,
                "users.update_profile",
                bob,
                json!({ "bio": clock::new_id().to_string() }),
            )
            .await?;
        }
        stop.store(true, Ordering::Relaxed);
        let sent: u64 = load.await??;
        eventually("every accepted message is in the tables once", || async {
            Ok(t.value("SELECT count(*) FROM messages.messages").await? == sent.to_string())
        })
        .await?;
        let dense = t.value("SELECT max(seq) = count(*) FROM messages.messages").await?;
        assert_eq!(dense, "true");
        Ok(())
    });
}

#[test]
fn after_a_load_the_queue_is_asked_no_more_often_than_before() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let names = t.config.names()?;
        let consumer = Names::consumer(partition_of(&group.to_string()));
        let asked = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{consumer}", names.command_stream());
        let mut asked = t.bus.subscribe(asked, None).await?;
        // So slow that a pull for 500 is over before it is filled, and so fast that the next one is
        // under way by then.
        let mut pace = interval(Duration::from_millis(100));
        for _ in 0..80 {
            pace.tick().await;
            let burst = (0..30).map(|number| {
                let body = json!({ "message_id": clock::new_id(), "content": number.to_string() });
                let request = Request::new(ada, "messages.send_message", group, body);
                let client = t.client.clone();
                async move { client.send(&request).await }
            });
            for outcome in join_all(burst).await {
                assert_eq!(outcome?.status, Status::Accepted);
            }
        }
        while timeout(Duration::from_millis(1), asked.next()).await.is_ok() {}
        let end = Instant::now() + Duration::from_secs(6);
        let mut pulls = 0;
        while timeout_at(end.into(), asked.next()).await.is_ok() {
            pulls += 1;
        }
        // One is under way at a time, each for a second and a half; at first there may be two.
        assert!((3..=8).contains(&pulls), "{pulls} in six seconds");
        Ok(())
    });
}

#[test]
fn commands_wait_for_a_handler() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        let id = clock::new_id();
        let request =
            Request::new("anon-1", "auth.register_user", id, json!({ "username": "early" }));
        let client = t.client.clone();
        let waiting = tokio::spawn(async move { client.send(&request).await });
        t.add(Roles::ALL).await?;
        assert_eq!(waiting.await??.status, Status::Accepted);
        Ok(())
    });
}

#[test]
fn a_projector_catches_up() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        t.add(Roles::HANDLER).await?;
        let request = Request::new(
            "anon-1",
            "auth.register_user",
            clock::new_id(),
            json!({ "username": "ada" }),
        );
        assert_eq!(t.client.send(&request).await?.status, Status::Accepted);
        assert_eq!(t.value("SELECT count(*) FROM auth.users").await?, "0");
        t.add(Roles::PROJECTOR).await?;
        eventually("the tables catch up", || async {
            Ok(t.value("SELECT count(*) FROM auth.users").await? == "1")
        })
        .await
    });
}

#[test]
fn handlers_share_the_partitions() {
    run(async {
        let mut t = Tenant::start().await?;
        t.user("ada").await?;
        t.add(Roles::HANDLER).await?;
        eventually("each of two handlers has eight partitions", || async {
            let owned: Vec<f64> = t.owned_partitions();
            Ok(owned == [8.0, 8.0])
        })
        .await?;
        for name in ["bob", "cid", "dan", "eve"] {
            t.user(name).await?;
        }
        Ok(())
    });
}
