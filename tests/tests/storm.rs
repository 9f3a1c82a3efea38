//! Callout, handler and projector die in turn while many register, log in, stay logged in and log
//! out: nothing that was accepted is lost, and nobody stays who has to go.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context as _;
use echolog::client::{Client, ClientError, Request};
use echolog::clock;
use echolog::supervise::Supervised;
use echolog_commands::{Outcome, Status};
use echolog_events::Uuid;
use echolog_tests::broker::{Broker, Raw};
use echolog_tests::{Tenant, eventually, run};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cli::echolog;
use crate::connects::token;

const PASSWORD: &str = "correct horse battery";

/// Who does all that.
const CLIENTS: usize = 8;

/// How many lives are begun from one death to the next.
const BETWEEN: usize = 6;

/// What one did, as far as it was accepted.
struct Life {
    user: Uuid,
    name: String,
    session: Uuid,
    /// The tokens that were told last; none if that answer got lost.
    tokens: Option<Value>,
    revoked: bool,
    /// The connections that were let in.
    raws: Vec<Raw>,
}

/// Asks under the same id until it is decided.
async fn decided(client: &Client, request: &Request) -> anyhow::Result<Outcome> {
    loop {
        match client.send(request).await {
            Ok(outcome) if outcome.status != Status::Failed => return Ok(outcome),
            Ok(_) | Err(ClientError::Silence(..)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn accepted(
    client: &Client,
    actor: impl ToString,
    name: &str,
    target: Uuid,
    body: Value,
) -> anyhow::Result<Option<Value>> {
    let outcome = decided(client, &Request::new(actor, name, target, body)).await?;
    anyhow::ensure!(outcome.status == Status::Accepted, "{name}: {outcome:?}");
    Ok(outcome.data)
}

/// Connects, if somebody is there to let it in.
async fn connect(broker: &Broker, tokens: Option<&Value>) -> anyhow::Result<Option<Raw>> {
    let Some(tokens) = tokens else { return Ok(None) };
    Ok(broker.connect(json!({ "auth_token": token(tokens) })).await?.ok())
}

/// Registers, logs in, comes, refreshes, comes again, and every second one goes for good.
async fn live(broker: &Broker, client: &Client, goes: bool) -> anyhow::Result<Life> {
    let (user, session) = (clock::new_id(), clock::new_id());
    let name = format!("u{}", user.simple());
    let body = json!({ "username": name, "password": PASSWORD });
    accepted(client, "anon-storm", "auth.register_user", user, body).await?;
    let body = json!({ "identifier": name, "password": PASSWORD });
    let mut tokens = accepted(client, "anon-storm", "auth.log_in", session, body).await?;
    let mut raws = Vec::from_iter(connect(broker, tokens.as_ref()).await?);
    if let Some(first) = tokens {
        let body = json!({ "refresh_token": first["refresh_token"] });
        tokens = accepted(client, "anon-storm", "auth.refresh_session", user, body).await?;
        raws.extend(connect(broker, tokens.as_ref()).await?);
    }
    if goes {
        let body = json!({ "session_id": session });
        accepted(client, user, "auth.revoke_session", user, body).await?;
    }
    Ok(Life { user, name, session, tokens, revoked: goes, raws })
}

#[test]
fn whoever_dies_while_many_come_and_go_takes_nothing_along() {
    run(async {
        let broker = Broker::start().await?;
        let t = Tenant::on(broker.nats.url()).await?;
        let directory = tempfile::tempdir()?;
        let start = async |role: &str, number: usize| -> anyhow::Result<Supervised> {
            let log = directory.path().join(format!("{role}-{number}.log"));
            // Word of an end gets lost with whoever would have told it.
            broker.worker(&t, role, &log, &[("ECHOLOG_CONNECT_RECHECK", "1")]).await
        };
        const ROLES: [&str; 3] = ["callout", "handler", "projector"];
        let mut workers = Vec::new();
        for role in ROLES {
            workers.push(start(role, 0).await?);
        }
        let (stop, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
        let clients = (0..CLIENTS).map(|_| async {
            let client = Client::connect(t.config.bus("storm").await?, t.config.names()?).await?;
            let mut lives = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                lives.push(live(&broker, &client, number % 2 == 0).await?);
            }
            anyhow::Ok(lives)
        });
        let deaths = async {
            for number in 1..=2 {
                for (index, role) in ROLES.into_iter().enumerate() {
                    let now = begun.load(Ordering::Relaxed);
                    eventually("more have come", || async {
                        Ok(begun.load(Ordering::Relaxed) >= now + BETWEEN)
                    })
                    .await?;
                    let worker = workers.remove(index);
                    worker.kill().await?;
                    workers.insert(index, start(role, number).await?);
                }
            }
            stop.store(true, Ordering::Relaxed);
            anyhow::Ok(())
        };
        let (lives, deaths) = tokio::join!(join_all(clients), deaths);
        deaths?;
        let lives: Vec<Vec<Life>> = lives.into_iter().collect::<anyhow::Result<_>>()?;
        let mut lives: Vec<Life> = lives.into_iter().flatten().collect();
        let connections: usize = lives.iter().map(|life| life.raws.len()).sum();
        println!("{} lives, {connections} connections", lives.len());
        assert!(connections > lives.len() / 2, "hardly anybody got in");

        // Whoever has to go is gone, and nobody else.
        for life in &mut lives {
            for raw in &mut life.raws {
                if life.revoked {
                    raw.until_ended().await.with_context(|| format!("{} stays", life.name))?;
                } else {
                    assert_eq!(raw.sync().await?, [], "{} had to go", life.name);
                }
            }
            let Some(tokens) = &life.tokens else { continue };
            if life.revoked {
                broker.refuses(token(tokens)).await?;
            } else {
                broker.user(token(tokens)).await?;
            }
        }

        // Each account and each session is there once, and is as was said.
        let mut expected: Vec<Vec<String>> = lives
            .iter()
            .map(|life| {
                let revoked = life.revoked.to_string();
                vec![life.user.to_string(), life.name.clone(), life.session.to_string(), revoked]
            })
            .collect();
        expected.sort();
        let rows = "SELECT u.id, u.username, s.id AS session, s.revoked_at IS NOT NULL
            FROM auth.users AS u FULL JOIN auth.sessions AS s ON s.user_id = u.id
            ORDER BY u.id::text";
        eventually("the tables show it all", || async { Ok(t.rows(rows).await? == expected) })
            .await?;
        let verified = echolog(&t, &["verify"], "").await?;
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        for worker in workers {
            worker.stop().await?;
        }
        Ok(())
    });
}
