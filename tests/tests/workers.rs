//! Processes come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use echolog::client::Request;
use echolog::clock;
use echolog::roles::Roles;
use echolog_commands::Status;
use echolog_tests::{Tenant, eventually, run};
use serde_json::json;

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
