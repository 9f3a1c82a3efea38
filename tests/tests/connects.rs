//! Users who connect to the broker with the token of a session, and those who may no longer.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use echolog::client::Request;
use echolog::clock;
use echolog::handler::{Limits, LoginLimits};
use echolog::roles::Roles;
use echolog::supervise::Supervised;
use echolog_commands::{Outcome, Status};
use echolog_events::{Event, Meta, RevokedReason, SessionEvent, SessionRevoked, Uuid};
use echolog_events::{Stream, StreamKey, partition_of};
use echolog_nats::{Append, NewRecord};
use echolog_tests::broker::{Broker, Raw, Said};
use echolog_tests::{Tenant, eventually, http_get, run};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

const PASSWORD: &str = "correct horse battery";

/// A tenant on a broker with accounts, with all workers and a callout.
pub(crate) async fn site() -> anyhow::Result<(Broker, Tenant)> {
    let broker = Broker::start().await?;
    let mut t = Tenant::on(broker.nats.url()).await?;
    t.add_with(Roles::CALLOUT, &broker.callout()).await?;
    t.add(Roles::ALL).await?;
    Ok((broker, t))
}

pub(crate) async fn register(t: &Tenant, name: &str) -> anyhow::Result<Uuid> {
    let id = clock::new_id();
    let body = json!({ "username": name, "password": PASSWORD });
    t.accept("anon-test", "auth.register_user", id, body).await?;
    Ok(id)
}

/// What is told of a session, tokens included.
pub(crate) async fn log_in(t: &Tenant, name: &str) -> anyhow::Result<Value> {
    let body = json!({ "identifier": name, "password": PASSWORD });
    told(t, "auth.log_in", clock::new_id(), body).await
}

pub(crate) async fn refresh(t: &Tenant, user: Uuid, session: &Value) -> anyhow::Result<Value> {
    let body = json!({ "refresh_token": session["refresh_token"] });
    told(t, "auth.refresh_session", user, body).await
}

async fn told(t: &Tenant, name: &str, target: Uuid, body: Value) -> anyhow::Result<Value> {
    let outcome = t.client.send(&Request::new("anon-test", name, target, body)).await?;
    anyhow::ensure!(outcome.status == Status::Accepted, "{outcome:?}");
    outcome.data.context("nothing is told")
}

pub(crate) async fn log_out(t: &Tenant, user: Uuid, session: &Value) -> anyhow::Result<Outcome> {
    let body = json!({ "session_id": session["session_id"] });
    Ok(t.client.send(&Request::new(user, "auth.revoke_session", user, body)).await?)
}

pub(crate) fn token(session: &Value) -> &str {
    session["session_token"].as_str().unwrap_or_default()
}

/// The token as somebody would write it who does not have it.
fn altered(token: &str, place: usize) -> String {
    let mut altered = token.as_bytes().to_vec();
    altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
    String::from_utf8(altered).unwrap_or_default()
}

#[test]
fn a_user_logs_in_and_connects_with_the_token() {
    run(async {
        let (broker, t) = site().await?;
        let (tenant, ada, bob) =
            (&t.config.tenant, register(&t, "ada").await?, register(&t, "bob").await?);

        // As an anonymous client, since nobody else can be without a token.
        let secret = "a secret that this client keeps: 1";
        let anonymous = echolog::callout::anonymous(tenant, secret).context("a good secret")?;
        let address = format!("nats://127.0.0.1:{}", broker.nats.port());
        let options = || async_nats::ConnectOptions::new();
        let client = options().user_and_password("anon".into(), secret.into());
        let client = client.custom_inbox_prefix(format!("_INBOX_{anonymous}"));
        let client = client.connect(&address).await?;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", clock::new_id().to_string());
        headers.insert("Content-Type", "application/json");
        let subject = format!("req.{tenant}.{anonymous}.auth.log_in.{}", clock::new_id());
        let body = json!({ "identifier": "ada", "password": PASSWORD }).to_string();
        let answer = client.request_with_headers(subject, headers, body.into()).await?;
        let outcome: Value = serde_json::from_slice(&answer.payload)?;
        assert_eq!(outcome["data"]["user_id"], json!(ada), "{outcome}");
        let session = outcome["data"].clone();

        let client = options().token(token(&session).to_owned());
        let client = client.custom_inbox_prefix(format!("_INBOX_{ada}")).connect(&address).await?;
        let mut outcomes = client.subscribe(format!("out.{tenant}.{ada}.>")).await?;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", clock::new_id().to_string());
        headers.insert("Content-Type", "application/json");
        let subject = format!("cmd.{tenant}.{ada}.users.update_profile.{ada}");
        let body = json!({ "bio": "herself" }).to_string();
        client.publish_with_headers(subject, headers, body.into()).await?;
        let outcome = timeout(Duration::from_secs(20), outcomes.next()).await?;
        let outcome: Value = serde_json::from_slice(&outcome.context("an outcome")?.payload)?;
        assert_eq!(outcome["status"], "accepted", "{outcome}");

        // As nobody else, and from nobody else.
        let mut raw = broker.user(token(&session)).await?;
        for subject in [
            format!("cmd.{tenant}.{bob}.users.update_profile.{bob}"),
            format!("req.{tenant}.{anonymous}.auth.log_in.{bob}"),
            format!("ask.{tenant}.00"),
            format!("evt.{tenant}.user.00.{ada}"),
        ] {
            let said = raw.publish(&subject, "", &[], "{}").await?;
            assert!(is_violation(&said), "{subject}: {said:?}");
        }
        for subject in [format!("out.{tenant}.{bob}.>"), "ended.>".to_owned(), ">".to_owned()] {
            let said = raw.subscribe(&subject).await?;
            assert!(is_violation(&said), "{subject}: {said:?}");
        }
        assert_eq!(raw.subscribe(&format!("out.{tenant}.{ada}.>")).await?, []);
        Ok(())
    });
}

#[test]
fn what_a_session_asks_for_says_so() {
    run(async {
        let (broker, t) = site().await?;
        let (tenant, ada) = (&t.config.tenant, register(&t, "ada").await?);
        let (other, session) = (log_in(&t, "ada").await?, log_in(&t, "ada").await?);
        let client = async_nats::ConnectOptions::new().token(token(&session).to_owned());
        let client = client.custom_inbox_prefix(format!("_INBOX_{ada}"));
        let client = client.connect(format!("nats://127.0.0.1:{}", broker.nats.port())).await?;
        let ask = async |kind: &str, name: &str, body: Value| {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", clock::new_id().to_string());
            headers.insert("Content-Type", "application/json");
            headers.insert("Echolog-Await", "projected");
            // Whatever the client says of itself.
            let lie = other["session_id"].as_str().unwrap_or_default();
            let info =
                json!({ "acc": "USERS", "host": "", "user": format!("{ada}/session:{lie}") });
            for name in ["Echolog-Session", "echolog-session", "ce-session"] {
                headers.insert(name, lie);
            }
            for name in ["Nats-Request-Info", "nats-request-info"] {
                headers.insert(name, info.to_string());
            }
            let subject = format!("{kind}.{tenant}.{ada}.{name}.{ada}");
            if kind == "cmd" {
                let mut outcomes = client.subscribe(format!("out.{tenant}.{ada}.>")).await?;
                client.publish_with_headers(subject, headers, body.to_string().into()).await?;
                return Ok(outcomes.next().await.context("an outcome")?.payload);
            }
            let answer = client.request_with_headers(subject, headers, body.to_string().into());
            anyhow::Ok(answer.await?.payload)
        };
        for (kind, bio) in [("req", "asked"), ("cmd", "sent")] {
            let outcome = ask(kind, "users.update_profile", json!({ "bio": bio })).await?;
            let outcome: Value = serde_json::from_slice(&outcome)?;
            assert_eq!(outcome["projected"], true, "{outcome}");
        }
        let body = json!({ "old_password": PASSWORD, "new_password": "another battery",
            "except_session_id": session["session_id"] });
        let outcome: Value =
            serde_json::from_slice(&ask("req", "auth.change_password", body).await?)?;
        assert_eq!(outcome["status"], "accepted", "{outcome}");
        let own = session["session_id"].as_str().unwrap_or_default();
        let changes = "SELECT new_data->>'bio', coalesce(session_id::text, '')
            FROM audit.record_changes WHERE table_name = 'profiles' AND operation = 'UPDATE'
            ORDER BY event_seq";
        assert_eq!(t.rows(changes).await?, [["asked", own], ["sent", ""]]);
        let events = "SELECT session_id::text FROM audit.auth_events
            WHERE event_type = 'password_changed'";
        assert_eq!(t.value(events).await?, own);
        Ok(())
    });
}

#[test]
fn a_client_in_python_logs_in_and_connects_with_the_token() {
    run(async {
        let (broker, t) = site().await?;
        let output = crate::clients::python("login.py")
            .env("NATS_URL", format!("nats://127.0.0.1:{}", broker.nats.port()))
            .env("ECHOLOG_TENANT", &t.config.tenant)
            .output()
            .await?;
        let shown = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{shown}");
        Ok(())
    });
}

pub(crate) fn is_violation(said: &[Said]) -> bool {
    said.iter()
        .any(|it| matches!(it, Said::Error(error) if error.contains("Permissions Violation")))
}

#[test]
fn only_the_present_token_of_a_live_session_lets_in() {
    run(async {
        let (broker, t) = site().await?;
        let ada = register(&t, "ada").await?;
        let session = log_in(&t, "ada").await?;
        broker.user(token(&session)).await?;
        // Of the user, of the session, of what is random.
        for place in [4, 30, 60] {
            broker.refuses(&altered(token(&session), place)).await?;
        }
        broker.refuses(session["refresh_token"].as_str().unwrap_or_default()).await?;
        broker.refuses(&token(&session)[..88]).await?;
        broker.refuses(&format!("{}A", token(&session))).await?;

        let next = refresh(&t, ada, &session).await?;
        broker.refuses(token(&session)).await?;
        broker.user(token(&next)).await?;
        log_out(&t, ada, &next).await?;
        broker.refuses(token(&next)).await?;

        let metrics = http_get(&t.metrics_url()).await?;
        for line in [
            r#"echolog_connects_total{result="admitted"} 2"#,
            r#"echolog_connects_total{result="bad_credential"} 8"#,
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
        Ok(())
    });
}

#[test]
fn a_session_that_ends_ends_its_connections_and_no_other() {
    run(async {
        let (broker, t) = site().await?;
        let (ada, bob) = (register(&t, "ada").await?, register(&t, "bob").await?);
        let mut sessions = Vec::new();
        for name in ["ada", "ada", "ada", "bob"] {
            sessions.push(log_in(&t, name).await?);
        }
        let mut raws = Vec::new();
        for session in &sessions {
            raws.push(broker.user(token(session)).await?);
        }
        let [first, mut second, third, mut bobs]: [Raw; 4] =
            raws.try_into().map_err(|_| anyhow::anyhow!("four"))?;
        let again = broker.user(token(&sessions[0])).await?;

        // Who refreshes stays, though the token is another.
        sessions[1] = refresh(&t, ada, &sessions[1]).await?;
        let begun = Instant::now();
        log_out(&t, ada, &sessions[0]).await?;
        first.ended().await?;
        again.ended().await?;
        println!("gone {:?} after logging out", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(second.sync().await?, []);

        // Whoever shows a refresh token a second time ends the session for both.
        let stolen = refresh(&t, ada, &sessions[2]).await?;
        refresh(&t, ada, &stolen).await?;
        let body = json!({ "refresh_token": sessions[2]["refresh_token"] });
        let reused = Request::new("anon-test", "auth.refresh_session", ada, body);
        assert_eq!(t.client.send(&reused).await?.status, Status::Rejected);
        third.ended().await?;
        assert_eq!(second.sync().await?, []);

        t.accept("svc-operator", "auth.revoke_all_sessions", ada, json!({})).await?;
        second.ended().await?;
        assert_eq!(bobs.sync().await?, []);
        eventually("it is counted", || async {
            Ok(http_get(&t.metrics_url()).await?.contains("echolog_kicked_connections_total 4"))
        })
        .await?;
        log_out(&t, bob, &sessions[3]).await?;
        bobs.ended().await
    });
}

#[test]
fn a_connection_ends_with_the_time_of_its_session() {
    run(async {
        let broker = Broker::start().await?;
        let mut t = Tenant::on(broker.nats.url()).await?;
        t.add_with(Roles::CALLOUT, &broker.callout()).await?;
        let logins = LoginLimits { session: Duration::from_secs(3), ..LoginLimits::default() };
        let limits = Limits { rate: Tenant::UNLIMITED, logins, ..Limits::default() };
        t.add_limited(Roles::ALL, limits, &echolog::callout::Options::default()).await?;
        register(&t, "ada").await?;
        let session = log_in(&t, "ada").await?;
        broker.user(token(&session)).await?.ended().await?;
        eventually("its token is nothing any more", || async {
            let shown = json!({ "auth_token": token(&session) });
            Ok(broker.connect(shown).await?.is_err())
        })
        .await
    });
}

#[test]
fn word_of_an_end_that_got_lost_is_made_up_for() {
    run(async {
        let broker = Broker::start().await?;
        let mut t = Tenant::on(broker.nats.url()).await?;
        let often = echolog::callout::Options { connect_recheck: 1, ..broker.callout() };
        t.add_with(Roles::CALLOUT, &often).await?;
        t.add(Roles::ALL).await?;
        let ada = register(&t, "ada").await?;
        let (session, other) = (log_in(&t, "ada").await?, log_in(&t, "ada").await?);
        let raw = broker.user(token(&session)).await?;
        let mut stays = broker.user(token(&other)).await?;
        t.stop_at(1).await?;

        // While nobody reads the log who could tell.
        let session_id = session["session_id"].as_str().context("an id")?.parse()?;
        let event = SessionEvent::SessionRevoked(SessionRevoked {
            user_id: ada,
            session_id,
            reason: RevokedReason::Admin,
            by_user_id: None,
        });
        let record = NewRecord {
            partition: partition_of(&ada.to_string()),
            key: StreamKey::of(Stream::Session, ada),
            meta: Meta {
                event_id: clock::new_id(),
                time: clock::now(),
                actor: None,
                command_id: None,
                session_id: None,
                correlation_id: None,
                traceparent: None,
                digest: None,
                position: None,
            },
            event: Event::Sessions(event),
            expected: None,
        };
        t.log()?.append(&Append { records: vec![record], ..Append::default() }).await?;
        // Nobody is sent away because nobody answers.
        assert_eq!(stays.sync().await?, []);
        t.add(Roles::ALL).await?;
        raw.ended().await?;
        assert_eq!(stays.sync().await?, []);
        Ok(())
    });
}

/// What is told of a new key, the key included.
pub(crate) async fn make_key(
    t: &Tenant,
    user: Uuid,
    scopes: Value,
    expires_at: Value,
) -> anyhow::Result<Value> {
    let body = json!({
        "api_key_id": clock::new_id(), "name": "a server", "scopes": scopes,
        "expires_at": expires_at, "password": PASSWORD,
    });
    let request = Request::new(user, "auth.create_api_key", user, body);
    let outcome = t.client.send(&request).await?;
    anyhow::ensure!(outcome.status == Status::Accepted, "{outcome:?}");
    let again = t.client.send(&request).await?;
    anyhow::ensure!(again.status == Status::Accepted && again.data.is_none(), "{again:?}");
    outcome.data.context("nothing is told")
}

pub(crate) fn key(told: &Value) -> &str {
    told["api_key"].as_str().unwrap_or_default()
}

#[test]
fn a_program_connects_with_a_key_and_does_what_that_is_for() {
    run(async {
        let (broker, mut t) = site().await?;
        let tenant = t.config.tenant.clone();
        let ada = register(&t, "ada").await?;
        let users = make_key(&t, ada, json!(["users"]), Value::Null).await?;
        assert!(key(&users).starts_with("ek_") && key(&users).len() == 89, "{users}");
        assert_eq!(json!(key(&users)[..11]), users["key_prefix"]);
        let messages = make_key(&t, ada, json!(["messages", "messages"]), Value::Null).await?;
        assert_eq!(messages["scopes"], json!(["messages"]));

        let mut raw = broker.user(key(&users)).await?;
        assert_eq!(raw.subscribe(&format!("out.{tenant}.{ada}.>")).await?, []);
        let id = clock::new_id().to_string();
        let headers = [("Nats-Msg-Id", id.as_str()), ("Content-Type", "application/json")];
        let subject = format!("cmd.{tenant}.{ada}.users.update_profile.{ada}");
        assert_eq!(raw.publish(&subject, "", &headers, r#"{"bio":"herself"}"#).await?, []);
        let Said::Message { content, .. } = raw.next().await? else { anyhow::bail!("no outcome") };
        assert!(content.contains(r#""status":"accepted""#), "{content}");
        let other = clock::new_id();
        let closed = |domain: &str| {
            ["cmd", "req", "qry"].map(|kind| format!("{kind}.{tenant}.{ada}.{domain}.x.{other}"))
        };
        for subject in closed("auth").into_iter().chain(closed("messages")) {
            let said = raw.publish(&subject, "", &headers, "{}").await?;
            assert!(is_violation(&said), "{subject}: {said:?}");
        }
        let said =
            raw.publish(&format!("cmd.{tenant}.{other}.users.x.{ada}"), "", &[], "{}").await?;
        assert!(is_violation(&said), "{said:?}");
        let said = raw.subscribe(&format!("live.{tenant}.{ada}.>")).await?;
        assert!(is_violation(&said), "{said:?}");
        assert_eq!(raw.subscribe(&format!("live.{tenant}.{ada}.users.>")).await?, []);

        // Neither another key, nor one that is over.
        for place in [4, 30, 60] {
            broker.refuses(&altered(key(&users), place)).await?;
        }
        let soon = clock::now() + Duration::from_secs(3);
        let short = make_key(&t, ada, json!(["users"]), json!(soon)).await?;
        broker.user(key(&short)).await?.ended().await?;
        eventually("the key is nothing any more", || async {
            let shown = json!({ "auth_token": key(&short) });
            Ok(broker.connect(shown).await?.is_err())
        })
        .await?;

        // A session ends without the keys, and a key without the others.
        let session = log_in(&t, "ada").await?;
        log_out(&t, ada, &session).await?;
        let mut stays = broker.user(key(&messages)).await?;
        // It hears the outcomes of its user, and no end.
        let said = raw.sync().await?;
        assert!(!said.iter().any(|it| matches!(it, Said::Error(_))), "{said:?}");
        let revoke = json!({ "api_key_id": users["api_key_id"] });
        t.accept(ada, "auth.revoke_api_key", ada, revoke).await?;
        raw.ended().await?;
        assert_eq!(stays.sync().await?, []);
        broker.refuses(key(&users)).await?;

        // A handler that goes says first how often keys were used, and the next one notes it.
        t.stop_at(1).await?;
        t.add(Roles::ALL).await?;
        eventually("uses are counted", || async {
            let uses = "SELECT scopes::text, usage_count, revoked_at IS NULL FROM auth.api_keys
                WHERE expires_at IS NULL ORDER BY scopes";
            let rows = t.rows(uses).await?;
            Ok(rows == [["{messages}", "1", "true"], ["{users}", "0", "false"]])
        })
        .await?;
        let tell = "SELECT event_type FROM auth.security_events ORDER BY created_at";
        let told = ["api_key_created"; 3].into_iter().chain(["api_key_revoked"]);
        let told: Vec<_> = told.map(|name| vec![name.to_owned()]).collect();
        assert_eq!(t.rows(tell).await?, told);
        Ok(())
    });
}

#[test]
fn five_hundred_users_come_at_once_and_go_at_once() {
    run(async {
        let (broker, t) = site().await?;
        let ada = register(&t, "ada").await?;
        let mut tokens = Vec::new();
        for _ in 0..50 {
            tokens.push(token(&log_in(&t, "ada").await?).to_owned());
        }
        let begun = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        let port = broker.nats.port();
        for number in 0..500 {
            let shown = json!({ "auth_token": tokens[number % tokens.len()] });
            clients.spawn(async move {
                let begun = Instant::now();
                // Whoever has to wait too long is sent away, and comes again.
                let mut attempts = 1;
                loop {
                    match Raw::connect(port, shown.clone()).await? {
                        Ok(raw) => return anyhow::Ok((raw, begun.elapsed(), attempts)),
                        Err(refused) => anyhow::ensure!(attempts < 5, "{refused}"),
                    }
                    attempts += 1;
                }
            });
        }
        let (mut held, mut took, mut again) = (Vec::new(), Vec::new(), 0);
        while let Some(connected) = clients.join_next().await {
            let (raw, time, attempts) = connected??;
            held.push(raw);
            took.push(time);
            again += attempts - 1;
        }
        took.sort_unstable();
        let (all, p50, p99) = (begun.elapsed(), took[250], took[495]);
        let rate = 500.0 / all.as_secs_f64();
        println!("500 connects in {all:?}: {rate:.0}/s, p50 {p50:?}, p99 {p99:?}, {again} again");
        let begun = Instant::now();
        t.accept("svc-operator", "auth.revoke_all_sessions", ada, json!({})).await?;
        for raw in held {
            raw.ended().await?;
        }
        println!("all gone {:?} after their sessions were ended", begun.elapsed());
        Ok(())
    });
}

/// A worker of this tenant, to be killed.
async fn process(
    t: &Tenant,
    broker: &Broker,
    role: &str,
    directory: &Path,
    start: u32,
) -> anyhow::Result<Supervised> {
    broker.worker(t, role, &directory.join(format!("{role}-{start}.log")), &[]).await
}

#[test]
fn whoever_dies_in_the_middle_is_made_up_for() {
    run(async {
        let broker = Broker::start().await?;
        let mut t = Tenant::on(broker.nats.url()).await?;
        t.add(Roles::PROJECTOR).await?;
        let directory = tempfile::tempdir()?;
        let at = directory.path();
        let handler = process(&t, &broker, "handler", at, 1).await?;
        let callout = process(&t, &broker, "callout", at, 1).await?;
        let ada = register(&t, "ada").await?;
        let (first, second) = (log_in(&t, "ada").await?, log_in(&t, "ada").await?);
        let mut before = broker.user(token(&first)).await?;

        // Without a callout nobody new comes in, and those who are there stay.
        callout.kill().await?;
        broker.refuses(token(&second)).await?;
        assert_eq!(before.sync().await?, []);
        let callout = process(&t, &broker, "callout", at, 2).await?;
        let mut after = broker.user(token(&second)).await?;

        // Without a handler nobody can tell whose token it is, and a no of ours is no no of theirs.
        handler.kill().await?;
        broker.refuses(token(&first)).await?;
        assert_eq!(after.sync().await?, []);
        let handler = process(&t, &broker, "handler", at, 2).await?;
        eventually("users come in again", || async {
            let shown = json!({ "auth_token": token(&first) });
            Ok(broker.connect(shown).await?.is_ok())
        })
        .await?;

        // What this callout has let in ends, and what the one before has.
        log_out(&t, ada, &second).await?;
        after.ended().await?;
        log_out(&t, ada, &first).await?;
        broker.refuses(token(&first)).await?;
        before.ended().await?;

        for name in ["handler-1", "handler-2", "callout-1", "callout-2"] {
            let log = std::fs::read_to_string(at.join(format!("{name}.log")))?;
            for session in [&first, &second] {
                assert!(!log.contains(token(session)), "{log}");
            }
        }
        callout.stop().await?;
        handler.stop().await?;
        Ok(())
    });
}

#[test]
fn the_callout_itself_can_only_ask_and_wake() {
    run(async {
        let (broker, t) = site().await?;
        let tenant = &t.config.tenant;
        let ada = register(&t, "ada").await?;
        let mut heard = t.bus.subscribe(">".to_owned(), None).await?;
        t.bus.flush().await?;
        let shown = json!({ "user": "callout", "pass": broker.secrets.callout });
        let mut raw = broker.connect(shown).await?.map_err(anyhow::Error::msg)?;
        let closed = [
            format!("cmd.{tenant}.svc-callout.auth.revoke_all_sessions.{ada}"),
            format!("cmd.{tenant}.svc-echolog.auth.revoke_all_sessions.{ada}"),
            format!("cmd.{tenant}.svc-echolog.system.record.{ada}"),
            format!("req.{tenant}.svc-callout.auth.log_in.{ada}"),
            format!("own.{tenant}.00"),
            format!("own.{tenant}.handlers"),
            format!("evt.{tenant}.user.00.{ada}"),
            format!("out.{tenant}.{ada}.{ada}"),
            format!("live.{tenant}.{ada}.messages"),
            format!("ended.{tenant}"),
            format!("_INBOX_{ada}.1"),
            format!("$JS.API.STREAM.INFO.EVT_{tenant}"),
            format!("$JS.API.STREAM.DELETE.EVT_{tenant}"),
            format!("$JS.API.CONSUMER.CREATE.EVT_{tenant}"),
        ];
        for subject in &closed {
            raw.publish(subject, "reply", &[("Nats-Msg-Id", "marked")], "marked").await?;
        }
        let open = [format!("ask.{tenant}.00"), format!("cmd.{tenant}.svc-echolog.system.wake.x")];
        for subject in &open {
            raw.publish(subject, "", &[], "marked").await?;
        }
        // They reach the other account in order; handlers and projectors say things of their own there.
        let mut reached = Vec::new();
        while reached.len() < open.len() {
            let message = timeout(Duration::from_secs(20), heard.next()).await?;
            let message = message.context("a message")?;
            if &*message.payload == b"marked" {
                reached.push(message.subject.to_string());
            }
        }
        assert_eq!(reached, open);
        assert_eq!(raw.subscribe("evt.>").await?, []);
        assert_eq!(raw.subscribe("out.>").await?, []);
        t.user("bob").await?;
        assert_eq!(raw.sync().await?, [], "nothing of that reaches it");
        Ok(())
    });
}
