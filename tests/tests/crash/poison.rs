//! A command that brings down whoever handles it.

use echolog::clock;
use echolog_commands::{ContentType, ErrorCode, Status};
use echolog_tests::cluster::{Cluster, Link, Role};
use echolog_tests::{eventually, run};
use futures::{FutureExt as _, StreamExt as _};

use super::guards::sent_by;
use super::load::{accept, group, register, say, send_once};
use super::proof;

/// How many handlers it may cost.
const HANDLERS: usize = 7;

/// The guard: commands that come after owners who got nowhere are tried one by one, and not for ever.
#[test]
fn a_command_that_brings_handlers_down_is_passed_over() {
    run(async {
        let mut cluster = Cluster::with(&[Role::Handler, Role::Projector]).await?;
        let client = cluster.client().await?;
        let [ada, bob, chat] = [clock::new_id(), clock::new_id(), clock::new_id()];
        let mut done = Vec::new();
        for request in [register(ada, "ada"), register(bob, "bob"), group(chat, ada, &[bob])] {
            done.push(accept(&client, request).await?);
        }
        let poison = say(chat, ada, "poison");
        let outcome = format!("out.main.{ada}.{}", poison.id);
        let mut outcomes = cluster.bus.subscribe(outcome, None).await?;
        cluster.bus.flush().await?;

        // Whoever decides it is killed before the log hears of it.
        let message = "PUB evt.main.message.";
        cluster.workers[0].nats.trap(Some(message));
        send_once(&cluster, &poison).await?;
        let mut killed = 0;
        let outcome = loop {
            let mut outcome = None;
            eventually("it is decided or passed over", || {
                outcome = outcome.take().or(outcomes.next().now_or_never().flatten());
                let met = outcome.is_some() || cluster.workers[0].nats.holds(message);
                async move { Ok(met) }
            })
            .await?;
            if let Some(outcome) = outcome {
                break outcome;
            }
            killed += 1;
            anyhow::ensure!(killed <= HANDLERS, "{killed} handlers were killed");
            cluster.workers[0].kill().await?;
            cluster.workers[0].nats.sever().await;
            cluster.start_worker(0).await?;
        };
        let outcome = ContentType::Json.decode_outcome(&outcome.payload);
        let outcome = outcome.map_err(|rejection| anyhow::anyhow!(rejection.message))?;
        assert_eq!(outcome.status, Status::Failed);
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Internal));

        // The partition goes on.
        cluster.workers[0].nats.trap(None);
        cluster.workers[0].nats.set(Link::Open);
        done.push(accept(&client, say(chat, bob, "Is anybody there?")).await?);
        let events = cluster.events().await?;
        assert_eq!([sent_by(&events, ada), sent_by(&events, bob)], [0, 1]);
        proof::holds(&mut cluster, &client, &done).await
    });
}
