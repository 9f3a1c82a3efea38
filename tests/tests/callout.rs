//! End users on the broker: let in as whom they are, and kept to that.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use data_encoding::BASE64;
use echolog::callout::{Callout, Kick, anonymous};
use echolog::client::{Client, Request};
use echolog::clock;
use echolog::config::{Config, Durability};
use echolog::connect::Connected;
use echolog::dev::Dev;
use echolog::handler::{Limits, RateLimit};
use echolog::metrics::Metrics;
use echolog::roles::{Roles, Running};
use echolog::supervise::{
    Binaries, Credential, Nats, NatsAuth, NatsOptions, Postgres, PostgresOptions, Supervised,
};
use echolog_commands::{ErrorCode, Status};
use echolog_events::Uuid;
use echolog_nats::{IncomingHeaders, ProvisionOptions, Requester};
use echolog_tests::broker::{Broker, ENDED, Raw, Said};
use echolog_tests::{Tenant, echolog_binary, eventually, http_get, run};
use futures::StreamExt as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::connects::is_violation;

const SECRET: &str = "a secret that this client keeps: 1";
const OTHER: &str = "a secret that another one keeps: 2";

/// A tenant on a broker with accounts, with a callout that runs as long as the tenant does.
async fn site(roles: &[Roles]) -> anyhow::Result<(Broker, Tenant)> {
    let broker = Broker::start().await?;
    let mut t = Tenant::on(broker.nats.url()).await?;
    t.add_with(Roles::CALLOUT, &broker.callout()).await?;
    for roles in roles {
        t.add(*roles).await?;
    }
    Ok((broker, t))
}

fn actor(t: &Tenant, secret: &str) -> anyhow::Result<String> {
    anonymous(&t.config.tenant, secret).context("a good secret")
}

/// A client as others write it, with a library.
async fn client(broker: &Broker, actor: &str, secret: &str) -> anyhow::Result<async_nats::Client> {
    let options = async_nats::ConnectOptions::with_user_and_password("anon".into(), secret.into());
    let address = format!("nats://127.0.0.1:{}", broker.nats.port());
    Ok(options.custom_inbox_prefix(format!("_INBOX_{actor}")).connect(address).await?)
}

fn command(id: Uuid) -> async_nats::HeaderMap {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", id.to_string());
    headers.insert("Content-Type", "application/json");
    headers
}

#[test]
fn an_anonymous_client_registers_a_user_and_is_the_same_after_a_reconnect() {
    run(async {
        let (broker, t) = site(&[Roles::ALL]).await?;
        let actor = actor(&t, SECRET)?;
        let tenant = &t.config.tenant;
        let (ada, first) = (clock::new_id(), clock::new_id());
        let body = json!({ "username": "ada", "password": "correct horse battery" }).to_string();
        let request = format!("req.{tenant}.{actor}.auth.register_user.{ada}");

        let connected = client(&broker, &actor, SECRET).await?;
        let headers = command(first);
        let answer =
            connected.request_with_headers(request.clone(), headers, body.clone().into()).await?;
        let outcome: Value = serde_json::from_slice(&answer.payload)?;
        assert_eq!(outcome["status"], "accepted", "{outcome}");

        // Without a secret, by the queue; the broker says that it has it, the outcome comes later.
        let mut outcomes = connected.subscribe(format!("out.{tenant}.{actor}.>")).await?;
        let (bob, second) = (clock::new_id(), clock::new_id());
        let queue = format!("cmd.{tenant}.{actor}.auth.register_user.{bob}");
        let body_of_bob = json!({ "username": "bob" }).to_string();
        let headers = command(second);
        let ack = connected.request_with_headers(queue, headers, body_of_bob.into()).await?;
        let ack: Value = serde_json::from_slice(&ack.payload)?;
        assert_eq!(ack["stream"], format!("CMD_{tenant}"), "{ack}");
        let outcome = timeout(Duration::from_secs(20), outcomes.next()).await?;
        let outcome: Value = serde_json::from_slice(&outcome.context("an outcome")?.payload)?;
        assert_eq!(outcome["status"], "accepted", "{outcome}");
        assert_eq!(outcome["command_id"], second.to_string());
        drop((connected, outcomes));

        // It logs in; from where is known from the broker, whatever it says itself.
        let lie = r#"{"acc":"USERS","host":"192.0.2.1","user":"anon"}"#;
        let mut headers = command(clock::new_id());
        headers.insert("Nats-Request-Info", lie);
        let connected = client(&broker, &actor, SECRET).await?;
        let log_in = format!("req.{tenant}.{actor}.auth.log_in.{}", clock::new_id());
        let login = json!({ "identifier": "ada", "password": "correct horse battery" });
        let answer =
            connected.request_with_headers(log_in, headers, login.to_string().into()).await?;
        let outcome: Value = serde_json::from_slice(&answer.payload)?;
        assert!(outcome["data"]["session_token"].is_string(), "{outcome}");
        eventually("the log-in is in the tables", || async {
            let hosts = t.rows("SELECT host(ip_address) FROM auth.login_history").await?;
            Ok(hosts == [["127.0.0.1"]])
        })
        .await?;

        // The same actor under the same secret: its command is known, and answered as before.
        let again = client(&broker, &actor, SECRET).await?;
        let answer = again.request_with_headers(request, command(first), body.into()).await?;
        let known: Value = serde_json::from_slice(&answer.payload)?;
        assert_eq!(known["status"], "accepted", "{known}");
        eventually("both are in the tables", || async {
            Ok(t.value("SELECT count(*) FROM auth.users").await? == "2")
        })
        .await
    });
}

/// Everything that is in a stream: sequence, subject, headers and body of each message.
pub(crate) async fn contents(t: &Tenant, stream: &str) -> anyhow::Result<Vec<String>> {
    let jetstream = t.jetstream().await?;
    let stream = jetstream.get_stream(stream).await?;
    let state = &stream.cached_info().state;
    let mut all = vec![format!("{} to {}", state.first_sequence, state.last_sequence)];
    let subject = format!("STREAM.MSG.GET.{}", stream.cached_info().config.name);
    for sequence in state.first_sequence..=state.last_sequence {
        // Byte for byte: the library would read the headers.
        let answer: Value = jetstream.request(subject.clone(), &json!({ "seq": sequence })).await?;
        let message = &answer["message"];
        let mut content = Vec::new();
        for part in ["hdrs", "data"] {
            content.extend(BASE64.decode(message[part].as_str().unwrap_or_default().as_bytes())?);
        }
        let (subject, content) = (message["subject"].as_str(), String::from_utf8_lossy(&content));
        all.push(format!("{sequence} {} {content:?}", subject.context("a message")?));
    }
    Ok(all)
}

/// What a log holds but for what owners note for themselves.
pub(crate) fn facts(log: Vec<String>) -> Vec<String> {
    let noted = |message: &String| {
        let subject = message.split(' ').nth(1).unwrap_or_default();
        subject.split('.').nth(2) == Some("owner")
    };
    log.into_iter().skip(1).filter(|message| !noted(message)).collect()
}

/// The streams that there are: none is to come, to go or to change.
async fn streams(t: &Tenant) -> anyhow::Result<BTreeSet<String>> {
    let mut names = t.jetstream().await?.stream_names();
    let mut all = BTreeSet::new();
    while let Some(name) = names.next().await {
        all.insert(name?);
    }
    Ok(all)
}

/// Where an anonymous client must not publish: whatever is not its own.
fn closed(tenant: &str, actor: &str, other: &str, id: Uuid) -> Vec<String> {
    let mut closed = vec![
        format!("evt.{tenant}.user.00.{id}"),
        format!("evt.{tenant}.owner.00.epoch"),
        format!("own.{tenant}.00"),
        format!("own.{tenant}.handlers"),
        format!("ask.{tenant}.00"),
        format!("ended.{tenant}"),
        format!("cmdp.0.{tenant}.{actor}.auth.register_user.{id}"),
        format!("cmd.{tenant}.{actor}"),
        "_INBOX.somebody".to_owned(),
        "anything".to_owned(),
    ];
    for kind in ["cmd", "req", "qry"] {
        for who in [other, "svc-echolog", "*", ">", &actor.to_uppercase()] {
            closed.push(format!("{kind}.{tenant}.{who}.auth.register_user.{id}"));
        }
        closed.push(format!("{kind}.another.{actor}.auth.register_user.{id}"));
        closed.push(format!("{kind}.*.{actor}.auth.register_user.{id}"));
        closed.push(format!("{}.{tenant}.{actor}.a.b.c", kind.to_uppercase()));
    }
    // What is for hearing is not for saying, not even to oneself.
    for who in [actor, other] {
        closed.push(format!("out.{tenant}.{who}.{id}"));
        closed.push(format!("live.{tenant}.{who}.messages"));
        closed.push(format!("_INBOX_{who}.1"));
    }
    for subject in [
        "$JS.API.INFO",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.DELETE.EVT_{t}",
        "$JS.API.STREAM.PURGE.EVT_{t}",
        "$JS.API.STREAM.UPDATE.EVT_{t}",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.MSG.GET.EVT_{t}",
        "$JS.API.STREAM.MSG.DELETE.CMD_{t}",
        "$JS.API.DIRECT.GET.EVT_{t}",
        "$JS.API.CONSUMER.CREATE.EVT_{t}",
        "$JS.API.CONSUMER.DELETE.CMD_{t}.owner-00",
        "$JS.API.CONSUMER.MSG.NEXT.CMD_{t}.owner-00",
        "$JS.ACK.CMD_{t}.owner-00.1.1.1.1.0",
        "$KV.keys_{t}.somebody",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$SYS.REQ.USER.AUTH",
        "$SYS.REQ.USER.INFO",
        "_R_.somebody",
    ] {
        closed.push(subject.replace("{t}", tenant));
    }
    closed
}

/// What an anonymous client must not hear.
fn silent(tenant: &str, actor: &str, other: &str) -> Vec<String> {
    let mut silent: Vec<String> =
        [">", "*", "*.>", "_INBOX.>", "_INBOX.*", "evt.>", "own.>", "cmd.>", "req.>", "qry.>"]
            .into_iter()
            .chain([
                "ask.>",
                "ended.>",
                "out.>",
                "live.>",
                "$JS.>",
                "$KV.>",
                "$SYS.>",
                "$SYS.REQ.USER.AUTH",
                "_R_.>",
            ])
            .map(str::to_owned)
            .collect();
    for kind in ["out", "live"] {
        for who in [other, "*", "svc-echolog"] {
            silent.push(format!("{kind}.{tenant}.{who}.>"));
        }
        silent.push(format!("{kind}.{tenant}.>"));
        silent.push(format!("{kind}.*.{actor}.>"));
        silent.push(format!("{kind}.another.{actor}.>"));
        silent.push(format!("{kind}.{tenant}.{other}.> workers"));
    }
    for kind in ["cmd", "req", "qry"] {
        silent.push(format!("{kind}.{tenant}.{actor}.>"));
    }
    silent.push(format!("_INBOX_{other}.>"));
    silent.push(format!("evt.{tenant}.>"));
    silent.push(format!("own.{tenant}.00"));
    silent
}

/// Headers that mean something to the broker, or among our own processes.
const FORGED: [&[(&str, &str)]; 18] = [
    &[("Nats-Expected-Last-Sequence", "0")],
    &[("Nats-Expected-Last-Msg-Id", "nobody")],
    &[("Nats-Expected-Stream", "EVT")],
    &[("Nats-Expected-Last-Subject-Sequence", "0")],
    &[("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", "1"), ("Nats-Batch-Commit", "1")],
    &[("Nats-Rollup", "all")],
    &[("Nats-Rollup", "sub")],
    &[("Nats-TTL", "1s")],
    &[("Nats-Incr", "1")],
    &[("Nats-Schedule", "@every 1s"), ("Nats-Schedule-Target", "evt.main.user.00.x")],
    &[("Nats-Stream", "EVT"), ("Nats-Subject", "evt.main.user.00.x"), ("Nats-Sequence", "1")],
    &[("Nats-Required-Api-Level", "99")],
    &[("Nats-Trace-Dest", "evt.main.user.00.x")],
    &[("Nats-Request-Info", r#"{"user":"svc-echolog","acc":"CORE"}"#)],
    &[("nats-request-info", r#"{"user":"svc-echolog","acc":"CORE"}"#)],
    &[("Echolog-Password-Hash", "$argon2id$v=19$m=1,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA")],
    &[("Echolog-Subject", "req.main.svc-echolog.auth.register_user.x")],
    &[("ce-type", "auth.user_registered"), ("Status", "503")],
];

#[test]
fn a_raw_client_gets_nowhere_else() {
    run(async {
        // Nobody decides yet, so that the log stands still by itself.
        let (broker, mut t) = site(&[]).await?;
        let tenant = t.config.tenant.clone();
        let (own, other) = (actor(&t, SECRET)?, actor(&t, OTHER)?);
        let log = t.config.names()?.event_stream();
        t.add(Roles::ALL).await?;
        let ada = t.user("ada").await?;
        t.stop_at(1).await?;
        let (before, kept) = (contents(&t, &log).await?, streams(&t).await?);
        assert!(before.len() > 1);

        let mut raw = broker.anonymous(SECRET).await?;
        let mut victim = broker.anonymous(OTHER).await?;
        for prefix in [format!("out.{tenant}"), format!("live.{tenant}")] {
            for (client, actor) in [(&mut raw, &own), (&mut victim, &other)] {
                assert_eq!(client.subscribe(&format!("{prefix}.{actor}.>")).await?, []);
            }
        }
        assert_eq!(raw.subscribe(&format!("_INBOX_{own}.>")).await?, []);
        assert_eq!(victim.subscribe(&format!("_INBOX_{other}.>")).await?, []);

        for subject in silent(&tenant, &own, &other) {
            let said = raw.subscribe(&subject).await?;
            assert!(is_violation(&said), "{subject} may be heard: {said:?}");
        }
        let closed = closed(&tenant, &own, &other, ada);
        for subject in &closed {
            let said = raw.publish(subject, "", &[], "{}").await?;
            assert!(is_violation(&said), "{subject} may be published: {said:?}");
        }
        assert_eq!(victim.sync().await?, []);

        // In an allowed publish, as the subject for the answer: to where nobody else hears it.
        let allowed = format!("cmd.{tenant}.{own}.auth.register_user.{ada}");
        for reply in closed.iter().filter(|subject| !subject.contains(['*', '>'])) {
            raw.publish(&allowed, reply, &[], "{}").await?;
            for forged in FORGED {
                raw.publish(&allowed, reply, forged, "{}").await?;
            }
        }
        for kind in ["req", "qry", "cmd"] {
            let allowed = format!("{kind}.{tenant}.{own}.auth.register_user.{ada}");
            for forged in FORGED {
                raw.publish(&allowed, &format!("_INBOX_{own}.1"), forged, "{}").await?;
            }
        }
        assert!(contents(&t, &log).await? == before, "the log is not what it was");
        assert_eq!(streams(&t).await?, kept);

        // With somebody to decide what has come in: no event but those of the handler itself.
        t.add(Roles::ALL).await?;
        t.user("bob").await?;
        let before = facts(before);
        let after = facts(contents(&t, &log).await?);
        let known = before.len();
        assert!(after[..known] == before, "what was there is not what it was");
        let new = &after[known..];
        assert!(new.iter().all(|it| !it.contains(&own) && !it.contains(&other)), "{new:?}");

        // What our own processes tell each other in headers, nobody else can tell them.
        let (eve, id) = (clock::new_id(), clock::new_id().to_string());
        let subject = format!("req.{tenant}.{other}.auth.register_user.{ada}");
        let (name, hash) = FORGED[15][0];
        let headers = [
            ("Nats-Msg-Id", id.as_str()),
            ("Content-Type", "application/json"),
            (name, hash),
            ("Echolog-Subject", subject.as_str()),
        ];
        let subject = format!("req.{tenant}.{own}.auth.register_user.{eve}");
        assert!(!raw.sync().await?.contains(&Said::Error(ENDED.to_owned())));
        raw.publish(&subject, &format!("_INBOX_{own}.eve"), &headers, r#"{"username":"eve"}"#)
            .await?;
        eventually("eve is in the tables", || async {
            let sql = format!("SELECT username, password_hash FROM auth.users WHERE id = '{eve}'");
            let rows = t.rows(&sql).await?;
            anyhow::ensure!(rows.is_empty() || rows == [["eve", ""]], "{rows:?}");
            Ok(!rows.is_empty())
        })
        .await
    });
}

#[test]
fn an_answer_can_be_sent_to_somebody_else_but_says_nothing_of_his() {
    run(async {
        let (broker, t) = site(&[Roles::ALL]).await?;
        let tenant = &t.config.tenant;
        let (own, other) = (actor(&t, SECRET)?, actor(&t, OTHER)?);
        let mut raw = broker.anonymous(SECRET).await?;
        let mut victim = broker.anonymous(OTHER).await?;
        victim.subscribe(&format!("out.{tenant}.{other}.>")).await?;
        // What docs/security.md says of replies: the broker delivers them to any subject of end users.
        let id = clock::new_id();
        let reply = format!("out.{tenant}.{other}.{id}");
        let subject = format!("req.{tenant}.{own}.auth.register_user.{id}");
        raw.publish(&subject, &reply, &[("Nats-Msg-Id", &id.to_string())], "nonsense").await?;
        let Said::Message { subject, content, .. } = victim.next().await? else {
            anyhow::bail!("a refusal");
        };
        assert_eq!(subject, reply);
        assert!(content.contains("rejected"), "an outcome of the sender's: {content}");
        Ok(())
    });
}

#[test]
fn handlers_can_tell_who_asks() {
    run(async {
        let (broker, t) = site(&[]).await?;
        let tenant = &t.config.tenant;
        let own = actor(&t, SECRET)?;
        // In the place of a handler.
        let mut requests = t.bus.subscribe(format!("req.{tenant}.>"), None).await?;
        t.bus.flush().await?;
        t.jetstream().await?.query_account().await?;
        let mut raw = broker.anonymous(SECRET).await?;
        let lie = r#"{"acc":"USERS","host":"192.0.2.1","user":"svc-echolog","tags":[]}"#;
        let forged = [("Nats-Request-Info", lie), ("nats-request-info", lie)];
        let subject = format!("req.{tenant}.{own}.a.b.c");
        raw.publish(&subject, &format!("_INBOX_{own}.1"), &forged, "{}").await?;
        let request = timeout(Duration::from_secs(20), requests.next()).await?;
        let headers = request.context("a request")?.headers.context("headers")?;
        assert_eq!(headers.get_all("Nats-Request-Info").count(), 1, "{headers:?}");
        let requester = Requester::of(&IncomingHeaders::new(Some(headers)));
        let expected = Requester {
            account: "USERS".to_owned(),
            host: "127.0.0.1".to_owned(),
            actor: own.clone(),
            tags: vec!["anonymous".to_owned()],
        };
        assert_eq!(requester, Ok(Some(expected.clone())));

        // Nor by headers that the broker and its clients take apart in different ways.
        for garbled in GARBLED {
            let headers = garbled.replace("LIE", &format!("Nats-Request-Info: {lie}"));
            let (reply, own, all) =
                (format!("_INBOX_{own}.1"), headers.len(), headers.len() + "{}".len());
            let hpub = format!("HPUB {subject} {reply} {own} {all}\r\n{headers}{{}}\r\n");
            raw.write(hpub.as_bytes()).await?;
            let request = timeout(Duration::from_secs(20), requests.next()).await?;
            let headers = request.context("a request")?.headers;
            let told = Requester::of(&IncomingHeaders::new(headers));
            let is_true = told.as_ref().is_ok_and(|it| *it == Some(expected.clone()));
            assert!(is_true || told.is_err(), "{garbled:?}: {told:?}");
        }
        Ok(())
    });
}

/// Headers with a lie that the broker does not take away.
const GARBLED: [&str; 8] = [
    "NATS/1.0\nLIE\r\n\r\n",
    "NATS/1.0\r\nA: b\nLIE\r\n\r\n",
    "NATS/1.0\r\nNats-Request-InfoNats-Request-Info : c\r\nLIE\r\n\r\n",
    "NATS/1.0\r\nA: b\nLIE\r\nC: d\r\n",
    "NATS/1.0\r\nA: b\nLIE\r\n ",
    "NATS/1.0\r\nA: b\nLIE\r\n \r\n",
    "NATS/1.0\r\nA: b\nLIE\r\nNats-Request-Info:\r\n",
    "NATS/1.0\r\nA: b\nLIE\n",
];

#[test]
fn headers_that_do_not_tell_who_asks_are_refused() {
    run(async {
        let (broker, t) = site(&[Roles::ALL]).await?;
        let (tenant, own) = (&t.config.tenant, actor(&t, SECRET)?);
        let mut raw = broker.anonymous(SECRET).await?;
        raw.subscribe(&format!("_INBOX_{own}.>")).await?;
        let lie = r#"{"acc":"USERS","host":"192.0.2.1","user":"anon"}"#;
        let (bob, id) = (clock::new_id(), clock::new_id());
        let subject = format!("req.{tenant}.{own}.auth.register_user.{bob}");
        let body = json!({ "username": "bob", "password": "correct horse battery" }).to_string();
        // The broker adds its own where the last two bytes end; then where they should.
        for (ends, said) in
            [("X: y\r\n", "The headers cannot be read."), ("X: y\r\n\r\n", "accepted")]
        {
            let headers = format!(
                "NATS/1.0\r\nNats-Msg-Id: {id}\r\nContent-Type: application/json\r\n\
                A: b\nNats-Request-Info: {lie}\r\n{ends}"
            );
            let (before, all) = (headers.len(), headers.len() + body.len());
            let hpub = format!("HPUB {subject} _INBOX_{own}.1 {before} {all}\r\n");
            raw.write(format!("{hpub}{headers}{body}\r\n").as_bytes()).await?;
            let Said::Message { content, .. } = raw.next().await? else {
                anyhow::bail!("an answer");
            };
            assert!(content.contains(said), "{content}");
        }
        Ok(())
    });
}

#[test]
fn whoever_is_not_let_in_hears_the_same() {
    run(async {
        let broker = Broker::start().await?;
        let mut t = Tenant::on(broker.nats.url()).await?;
        t.add_with(Roles::CALLOUT, &broker.callout()).await?;
        let token = "x".repeat(64);
        let shown = [
            json!({}),
            json!({ "user": "anon", "pass": "short" }),
            json!({ "user": "anon" }),
            json!({ "user": "nobody", "pass": SECRET }),
            json!({ "user": "echolog", "pass": "wrong" }),
            json!({ "user": "callout", "pass": "wrong" }),
            json!({ "user": "system", "pass": "" }),
            json!({ "auth_token": token }),
            json!({ "auth_token": format!("es_{token}") }),
            json!({ "auth_token": format!("ek_{token}") }),
            json!({ "auth_token": format!("es_{token}"), "user": "anon", "pass": SECRET }),
            json!({ "jwt": "a.b.c", "sig": "x" }),
            json!({ "user": "anon", "pass": "\u{0}".repeat(40), "name": "\u{202e}" }),
        ];
        for shown in shown {
            let refused = broker.connect(shown.clone()).await?;
            if shown["pass"].as_str().is_some_and(|pass| pass.len() >= 32)
                && shown["user"] == "anon"
                && shown.get("auth_token").is_none()
            {
                assert!(refused.is_ok(), "any secret that is long enough: {shown}");
                continue;
            }
            let answer = refused.err().with_context(|| format!("let in: {shown}"))?;
            assert_eq!(answer, "-ERR 'Authorization Violation'", "{shown}");
        }
        // Who comes too often hears no more.
        t.stop_first().await?;
        let limited = echolog::callout::Options {
            connect_rate: 0.001,
            connect_burst: 1.0,
            ..broker.callout()
        };
        t.add_with(Roles::CALLOUT, &limited).await?;
        broker.anonymous(SECRET).await?;
        let refused = broker.connect(json!({ "user": "anon", "pass": SECRET })).await?;
        let answer = refused.err().context("let in")?;
        assert_eq!(answer, "-ERR 'Authorization Violation'");
        let ready = http_get(&t.metrics_url().replace("/metrics", "/ready")).await?;
        assert!(ready.starts_with("HTTP/1.0 200") || ready.starts_with("HTTP/1.1 200"), "{ready}");
        let metrics = http_get(&t.metrics_url()).await?;
        for line in [
            r#"echolog_connects_total{result="admitted"} 1"#,
            r#"echolog_connects_total{result="rate_limited"} 1"#,
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
        Ok(())
    });
}

#[test]
fn one_address_does_not_take_all_connections() {
    run(async {
        let broker = Broker::start().await?;
        let mut t = Tenant::on(broker.nats.url()).await?;
        let limited = echolog::callout::Options { connections_per_address: 2, ..broker.callout() };
        t.add_with(Roles::CALLOUT, &limited).await?;
        let first = broker.anonymous(SECRET).await?;
        let _second = broker.anonymous(SECRET).await?;
        let shown = json!({ "user": "anon", "pass": SECRET });
        let refused = broker.connect(shown.clone()).await?;
        assert_eq!(refused.err().as_deref(), Some("-ERR 'Authorization Violation'"));
        // Whoever goes makes room.
        drop(first);
        eventually("there is room again", || async {
            Ok(broker.connect(shown.clone()).await?.is_ok())
        })
        .await
    });
}

#[test]
fn a_kick_ends_every_connection_of_its_actor_and_no_other() {
    run(async {
        let broker = Broker::start().await?;
        let t = Tenant::on(broker.nats.url()).await?;
        let metrics = Metrics::new()?.callout;
        let callout = Callout::connect(&t.config, &broker.callout(), metrics).await?;
        let connections = callout.connections();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(callout.start(stopped).await?);
        let (first, second) = (broker.anonymous(SECRET).await?, broker.anonymous(SECRET).await?);
        let mut other = broker.anonymous(OTHER).await?;
        assert_eq!(connections.count(), 3);

        let kick = Kick::Actor(actor(&t, SECRET)?);
        assert_eq!(connections.kick(&kick).await?, 2);
        first.ended().await?;
        second.ended().await?;
        assert_eq!(other.sync().await?, [], "another one goes on");
        assert_eq!(connections.kick(&kick).await?, 0);

        // Whoever goes is forgotten.
        drop(other);
        eventually("nobody is there", || async { Ok(connections.count() == 0) }).await?;

        let back = broker.anonymous(SECRET).await?;
        assert_eq!(connections.kick(&Kick::Tag("session:of-nobody".to_owned())).await?, 0);
        assert_eq!(connections.kick(&Kick::Tag("anonymous".to_owned())).await?, 1);
        back.ended().await?;
        stop.send(true)?;
        running.await??;
        Ok(())
    });
}

/// An `echolog callout` of this broker.
async fn callout_process(
    broker: &Broker,
    t: &Tenant,
    directory: &Path,
    start: u32,
) -> anyhow::Result<Supervised> {
    let options = broker.callout();
    let settings = [
        ("ECHOLOG_CALLOUT_URL", options.callout_url),
        ("ECHOLOG_SYSTEM_URL", options.system_url),
        ("ECHOLOG_CALLOUT_ISSUER", options.callout_issuer),
        ("ECHOLOG_CALLOUT_XKEY", options.callout_xkey),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.unwrap_or_default()));
    callout_with(&settings, &t.config.tenant, directory, start).await
}

/// An `echolog callout` with these settings.
async fn callout_with(
    settings: &[(String, String)],
    tenant: &str,
    directory: &Path,
    start: u32,
) -> anyhow::Result<Supervised> {
    let mut command = Command::new(echolog_binary()?);
    command.args(["callout", "--tenant", tenant, "--metrics-addr", "127.0.0.1:0"]);
    command.envs(settings.iter().cloned());
    command.env("ECHOLOG_CONNECT_RATE", "0").env("NO_COLOR", "1").env("ECHOLOG_LOG", "trace");
    let log = directory.join(format!("callout-{start}.log"));
    let mut process = Supervised::spawn("echolog", command, Signal::SIGTERM, log.clone()).await?;
    let ready = async || std::fs::read_to_string(&log).ok()?.contains(" ready ").then_some(());
    process.until_ready(ready).await?;
    Ok(process)
}

#[test]
fn a_callout_that_is_killed_is_missed_until_another_runs() {
    run(async {
        let broker = Broker::start().await?;
        let t = Tenant::on(broker.nats.url()).await?;
        let directory = tempfile::tempdir()?;
        let callout = callout_process(&broker, &t, directory.path(), 1).await?;
        let mut raw = broker.anonymous(SECRET).await?;
        callout.kill().await?;

        // Those who are there stay, services come and go, nobody else is let in.
        assert_eq!(raw.sync().await?, []);
        t.config.bus("test").await?;
        let refused = broker.connect(json!({ "user": "anon", "pass": SECRET })).await?;
        assert!(refused.is_err(), "let in by nobody");

        let again = callout_process(&broker, &t, directory.path(), 2).await?;
        // Two share the work.
        let third = callout_process(&broker, &t, directory.path(), 3).await?;
        broker.anonymous(SECRET).await?;
        again.kill().await?;
        broker.anonymous(SECRET).await?;
        third.stop().await?;

        // Whatever it logs at its most talkative, it is nothing that a client shows.
        for start in 1..=3 {
            let log =
                std::fs::read_to_string(directory.path().join(format!("callout-{start}.log")))?;
            for secret in [SECRET, &broker.secrets.issuer, &broker.secrets.xkey] {
                assert!(!log.contains(secret), "{log}");
            }
        }
        Ok(())
    });
}

#[test]
fn five_hundred_come_at_once() {
    run(async {
        let (broker, t) = site(&[]).await?;
        let begun = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        let port = broker.nats.port();
        for number in 0..500 {
            clients.spawn(async move {
                let begun = Instant::now();
                let shown = json!({ "user": "anon", "pass": format!("{SECRET} {number}") });
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
        let (mut took, mut again) = (Vec::new(), 0);
        let mut held = Vec::new();
        while let Some(connected) = clients.join_next().await {
            let (raw, time, attempts) = connected??;
            held.push(raw);
            took.push(time);
            again += attempts - 1;
        }
        took.sort_unstable();
        let (all, p99) = (begun.elapsed(), took[took.len() * 99 / 100]);
        let rate = 500.0 / all.as_secs_f64();
        println!("500 connects in {all:?}: {rate:.0}/s, p99 {p99:?}, {again} of them tried again");

        // A callout that is started now knows them all, though no server names so many at a time.
        let metrics = Metrics::new()?.callout;
        let another = Callout::connect(&t.config, &broker.callout(), metrics).await?;
        let connections = another.connections();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(another.start(stopped).await?);
        eventually("it knows all", || async { Ok(connections.count() == 500) }).await?;
        let kick = Kick::Tag("anonymous".to_owned());
        assert_eq!(connections.kick(&kick).await?, 500);
        for raw in held {
            raw.ended().await?;
        }
        stop.send(true)?;
        running.await??;
        Ok(())
    });
}

#[test]
fn what_accounts_writes_is_all_that_it_takes() {
    run(async {
        let directory = tempfile::tempdir()?;
        let make = || async {
            let mut command = Command::new(echolog_binary()?);
            command.args(["accounts", "--directory"]).arg(directory.path());
            anyhow::Ok(command.output().await?)
        };
        let made = make().await?;
        anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for file in ["accounts.conf", "echolog.env"] {
            let mode = std::fs::metadata(directory.path().join(file))?.permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let before = std::fs::read_to_string(directory.path().join("echolog.env"))?;
        let again = make().await?;
        assert_eq!(again.status.code(), Some(1), "what is there is kept");
        let env = std::fs::read_to_string(directory.path().join("echolog.env"))?;
        assert_eq!(env, before);

        let options = NatsOptions {
            sync: false,
            auth: NatsAuth::Configured(Credential::new("nobody", "")),
            config: std::fs::read_to_string(directory.path().join("accounts.conf"))?,
            ..NatsOptions::default()
        };
        let at = directory.path().join("nats");
        let nats = Nats::start(&Binaries::find()?, &at, options).await?;
        let env = env.replace("127.0.0.1:4222", &format!("127.0.0.1:{}", nats.port()));
        let settings = env.lines().filter_map(|line| line.split_once('='));
        let settings: Vec<_> =
            settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let callout = callout_with(&settings, "main", directory.path(), 1).await?;
        let (_, url) =
            settings.iter().find(|(name, _)| name == "NATS_URL").context("an address")?;
        // The account of the processes has JetStream, the one of end users has nobody of its own.
        let service = async_nats::ConnectOptions::new();
        let (_, password) = url.split_once("echolog:").context("a user")?;
        let (password, _) = password.split_once('@').context("a password")?;
        let service = service.user_and_password("echolog".to_owned(), password.to_owned());
        let service = service.connect(format!("127.0.0.1:{}", nats.port())).await?;
        async_nats::jetstream::new(service).query_account().await?;
        let shown = json!({ "user": "anon", "pass": SECRET });
        let mut raw = Raw::connect(nats.port(), shown).await?.map_err(anyhow::Error::msg)?;
        let actor = anonymous("main", SECRET).context("a good secret")?;
        assert_eq!(raw.subscribe(&format!("out.main.{actor}.>")).await?, []);
        callout.stop().await?;
        nats.stop().await?;
        Ok(())
    });
}

/// What a server says to a browser that connects as an anonymous client, up to the answer to its
/// PING.
async fn browser(url: &str, secret: &str) -> anyhow::Result<String> {
    let host = url.trim_start_matches("ws://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await?;
    let upgrade = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://localhost:5173\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(upgrade.as_bytes()).await?;
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        let read = timeout(Duration::from_secs(20), stream.read_buf(&mut said)).await??;
        anyhow::ensure!(read > 0, "no upgrade: {}", String::from_utf8_lossy(&said));
        // The greeting may come with it.
        if said.windows(5).any(|it| it == b"INFO ") {
            break;
        }
    }
    let shown = json!({ "user": "anon", "pass": secret, "verbose": false });
    let connect = format!("CONNECT {shown}\r\nPING\r\n");
    // One binary frame, masked with zeros.
    let mut frame = vec![0x82, 0x80 | 126];
    frame.extend(u16::try_from(connect.len())?.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(connect.bytes());
    stream.write_all(&frame).await?;
    loop {
        let read = timeout(Duration::from_secs(20), stream.read_buf(&mut said)).await??;
        let text = String::from_utf8_lossy(&said);
        if read == 0 || text.contains("PONG") || text.contains("-ERR") {
            return Ok(text.into_owned());
        }
    }
}

#[test]
fn a_development_server_of_an_earlier_version_goes_on_and_lets_browsers_in() {
    run(async {
        let data = tempfile::tempdir()?;
        // PostgreSQL runs under another user where we are root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(data.path(), open)?;
        let unlimited =
            Limits { rate: RateLimit { per_second: 0.0, burst: 0.0 }, ..Limits::default() };

        // As it was: three keys, and what is stored belongs to no account.
        let master = "a master key for tests, long enough";
        let keys = format!("master={master}\nnats=earlier\npostgres=earlier\n");
        std::fs::write(data.path().join("keys"), keys)?;
        let binaries = Binaries::find()?;
        let options = NatsOptions {
            auth: NatsAuth::User(Credential::new("echolog", "earlier")),
            ..NatsOptions::default()
        };
        let nats = Nats::start(&binaries, &data.path().join("nats"), options).await?;
        let owner = PostgresOptions::new(Credential::new("echolog_owner", "earlier"));
        let postgres = Postgres::start(&binaries, &data.path().join("postgres"), owner).await?;
        let config = Config {
            tenant: "main".to_owned(),
            nats_url: nats.url(),
            nats_creds: None,
            nats_ca: None,
            database_url: Some(postgres.url("echolog_main")),
            database_max_connections: 12,
            database_connection_timeout: 20,
            metrics_addr: "127.0.0.1:0".parse()?,
            log: None,
            master_key: Some(master.to_owned()),
            outbox: echolog::outbox::Options::default(),
            oauth: echolog::oauth::Options::default(),
            durability: Durability::Synced,
        };
        let database = config.database_or_create().await?;
        Connected::set_up(&config, database, &ProvisionOptions::default()).await?;
        let workers = Running::start(&config, Roles::ALL, unlimited).await?;
        let client = Client::connect(config.bus("test").await?, config.names()?).await?;
        let register = |name: &str| {
            let body = json!({ "username": name });
            Request::new("anon-test", "auth.register_user", clock::new_id(), body).projected()
        };
        assert_eq!(client.send(&register("ada")).await?.status, Status::Accepted);
        workers.stop().await?;
        nats.stop().await?;
        postgres.stop().await?;

        let dev = Dev::start(config, data.path(), unlimited).await?;
        let client = Client::connect(dev.config.bus("test").await?, dev.config.names()?).await?;
        let taken = client.send(&register("ada")).await?;
        let taken = taken.error.map(|error| error.code);
        assert_eq!(taken, Some(ErrorCode::AlreadyExists), "its events are there");
        let keys = std::fs::read_to_string(data.path().join("keys"))?;
        for line in [format!("master={master}"), "nats=earlier".to_owned()] {
            assert!(keys.lines().any(|it| it == line), "{line} has changed");
        }
        let said = browser(&dev.websocket_url(), SECRET).await?;
        assert!(said.contains("PONG"), "{said}");
        let said = browser(&dev.websocket_url(), "too short").await?;
        assert!(said.contains("Authorization Violation"), "{said}");
        dev.stop().await
    });
}
