//! The wire contract, as a client that knows nothing else would meet it.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use echolog::client::Request;
use echolog::clock;
use echolog::roles::Roles;
use echolog_commands::{ContentType, ErrorCode, Outcome, Status};
use echolog_nats::HeaderMap;
use echolog_tests::{Tenant, eventually, http_get, run};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Publishes a command with exactly these headers and returns what comes on the actor's outcomes.
async fn raw(
    t: &Tenant,
    actor: &str,
    command: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<(String, Bytes)> {
    let tenant = &t.config.tenant;
    let mut outcomes = t.bus.subscribe(format!("out.{tenant}.{actor}.>"), None).await?;
    t.bus.flush().await?;
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, *value);
    }
    let subject = format!("cmd.{tenant}.{actor}.{command}.{target}");
    t.bus.publish_with_headers(subject, map, body.to_vec().into()).await?;
    let message = tokio::time::timeout(Duration::from_secs(10), outcomes.next()).await?;
    let message = message.ok_or_else(|| anyhow::anyhow!("no outcome"))?;
    Ok((message.subject.to_string(), message.payload))
}

#[test]
fn an_outcome_comes_in_the_commands_own_encoding() {
    run(async {
        let t = Tenant::start().await?;
        for content_type in [ContentType::Json, ContentType::MessagePack] {
            let id = clock::new_id().to_string();
            let body = content_type
                .encode(&json!({ "username": format!("u{}", content_type.name().len()) }));
            let headers = [("Nats-Msg-Id", id.as_str()), ("Content-Type", content_type.name())];
            let target = clock::new_id().to_string();
            let (subject, payload) =
                raw(&t, "anon-1", "auth.register_user", &target, &headers, &body).await?;
            assert_eq!(subject, format!("out.{}.anon-1.{id}", t.config.tenant));
            let outcome: Value =
                content_type.decode(&payload).map_err(|e| anyhow::anyhow!("{e:?}"))?;
            assert_eq!(outcome["command_id"], json!(id));
            assert_eq!(outcome["status"], "accepted");
            assert_eq!(outcome["events"], json!(["user_registered", "identifier_claimed"]));
            assert_eq!(outcome["error"], Value::Null);
            assert_eq!(outcome["data"], Value::Null);
            assert!(outcome["seq"].is_u64() && outcome["version"].is_u64());
        }
        Ok(())
    });
}

#[test]
fn every_malformed_command_gets_its_error() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?.to_string();
        let id = || clock::new_id().to_string();
        let json = ("Content-Type", "application/json");
        type Headers<'h> = Vec<(&'h str, String)>;
        let attempts: Vec<(&str, Headers<'_>, &[u8], &str)> = vec![
            (
                "users.update_profile",
                vec![("Nats-Msg-Id", id()), (json.0, json.1.into())],
                b"{",
                "",
            ),
            (
                "users.update_profile",
                vec![("Nats-Msg-Id", id()), (json.0, json.1.into())],
                b"[]",
                "",
            ),
            (
                "users.update_profile",
                vec![("Nats-Msg-Id", id()), (json.0, json.1.into())],
                b"{\"bio\":1}",
                "bio",
            ),
            (
                "users.update_profile",
                vec![("Nats-Msg-Id", id()), (json.0, json.1.into())],
                b"\xff\xfe",
                "",
            ),
            (
                "users.update_profile",
                vec![("Nats-Msg-Id", id()), (json.0, "text/plain".into())],
                b"{}",
                "Content-Type",
            ),
            (
                "users.no_such_command",
                vec![("Nats-Msg-Id", id()), (json.0, json.1.into())],
                b"{}",
                "command",
            ),
            (
                "users.update_profile",
                vec![("Nats-Msg-Id", "abc".into()), (json.0, json.1.into())],
                b"{}",
                "Nats-Msg-Id",
            ),
            (
                "users.update_profile",
                vec![("Nats-Msg-Id", id().to_uppercase()), (json.0, json.1.into())],
                b"{}",
                "Nats-Msg-Id",
            ),
            ("users.update_profile", vec![(json.0, json.1.into())], b"{}", "Nats-Msg-Id"),
            (
                "users.update_profile",
                vec![
                    ("Nats-Msg-Id", "f47ac10b-58cc-4372-a567-0e02b2c3d479".into()),
                    (json.0, json.1.into()),
                ],
                b"{}",
                "Nats-Msg-Id",
            ),
            (
                "users.update_profile",
                vec![
                    ("Nats-Msg-Id", "ffffffff-ffff-7000-8000-000000000000".into()),
                    (json.0, json.1.into()),
                ],
                b"{}",
                "Nats-Msg-Id",
            ),
            (
                "users.update_profile",
                vec![
                    ("Nats-Msg-Id", id()),
                    (json.0, json.1.into()),
                    ("Echolog-Expected-Version", "x".into()),
                ],
                b"{\"bio\":\"x\"}",
                "Echolog-Expected-Version",
            ),
            (
                "users.update_profile",
                vec![
                    ("Nats-Msg-Id", id()),
                    (json.0, json.1.into()),
                    ("Echolog-Await", "forever".into()),
                ],
                b"{\"bio\":\"x\"}",
                "Echolog-Await",
            ),
        ];
        for (command, headers, body, field) in attempts {
            let shown: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let (subject, payload) = raw(&t, &ada, command, &ada, &shown, body).await?;
            let encoding = ContentType::parse(
                shown.iter().find(|(n, _)| *n == "Content-Type").map(|(_, v)| *v),
            )
            .unwrap_or_default();
            let outcome =
                encoding.decode_outcome(&payload).map_err(|e| anyhow::anyhow!("{e:?}"))?;
            let error = outcome
                .error
                .ok_or_else(|| anyhow::anyhow!("{command} {headers:?} was accepted"))?;
            assert_eq!(error.code, ErrorCode::Invalid, "{headers:?}");
            assert_eq!(error.field.as_deref().unwrap_or_default(), field, "{headers:?}");
            if outcome.command_id.is_none() {
                assert!(subject.ends_with(".invalid"), "{subject}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_command_counts_once_however_often_it_is_sent() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let body = json!({ "message_id": clock::new_id(), "content": "once" });
        let request = Request::new(ada, "messages.send_message", group, body);
        let first = t.client.send(&request).await?;
        assert_eq!(first.status, Status::Accepted);
        for again in [request.clone(), request.clone().json()] {
            let outcome = t.client.send(&again).await?;
            assert_eq!(outcome, first);
        }
        // All at once, too.
        let answers = futures::future::try_join_all((0..20).map(|_| t.client.send(&request))).await;
        // A waiter that was overtaken by another of the same id gets nothing; the log tells.
        drop(answers);
        t.accept(ada, "users.update_profile", ada, json!({ "bio": "done" })).await?;
        assert_eq!(t.value("SELECT count(*) FROM messages.messages").await?, "1");

        let mut other = request.clone();
        other.body["content"] = json!("something else");
        let outcome = t.client.send(&other).await?;
        assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Conflict));

        // Another actor or target is another command, even under the same id.
        let mut other = Request::new(
            bob,
            "messages.send_message",
            group,
            json!({ "message_id": clock::new_id(), "content": "twice" }),
        );
        other.id = request.id;
        assert_eq!(t.client.send(&other).await?.status, Status::Accepted);
        Ok(())
    });
}

#[test]
fn old_commands_are_known_from_the_ledger() {
    run(async {
        let mut t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let group = t.group(&[ada, bob]).await?;
        let body = json!({ "message_id": clock::new_id(), "content": "once" });
        let request = Request::new(ada, "messages.send_message", group, body).projected();
        let first = t.client.send(&request).await?;
        // A new process has nothing in memory.
        t.add(echolog::roles::Roles::ALL).await?;
        t.stop_first().await?;
        let again = t.client.send(&request).await?;
        assert_eq!(Outcome { projected: None, ..again }, Outcome { projected: None, ..first });
        t.accept(ada, "users.update_profile", ada, json!({ "bio": "done" })).await?;
        assert_eq!(t.value("SELECT count(*) FROM messages.messages").await?, "1");
        Ok(())
    });
}

#[test]
fn an_expected_version_is_checked() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let update =
            |bio: &str| Request::new(ada, "users.update_profile", ada, json!({ "bio": bio }));
        let version = t.client.send(&update("one")).await?.version;
        let mut stale = update("two");
        stale.expected_version = Some(1);
        assert_eq!(
            t.client.send(&stale).await?.error.map(|error| error.code),
            Some(ErrorCode::Conflict)
        );
        let mut fresh = update("two");
        fresh.expected_version = version;
        assert_eq!(t.client.send(&fresh).await?.status, Status::Accepted);
        Ok(())
    });
}

#[test]
fn a_secret_in_the_queue_is_refused_and_erased() {
    run(async {
        let t = Tenant::start().await?;
        let marked = "a marked secret of a client in error";
        for (name, body) in [
            ("auth.register_user", json!({ "username": "eve", "password": marked })),
            ("auth.log_in", json!({ "identifier": "eve", "password": marked })),
            ("auth.refresh_session", json!({ "refresh_token": marked })),
            ("auth.link_oauth_provider", json!({ "provider": "google", "code": marked })),
        ] {
            let (id, target) = (clock::new_id().to_string(), clock::new_id().to_string());
            let headers = [("Nats-Msg-Id", id.as_str()), ("Content-Type", "application/json")];
            let body = body.to_string();
            let (_, payload) = raw(&t, "anon-1", name, &target, &headers, body.as_bytes()).await?;
            let outcome =
                ContentType::Json.decode_outcome(&payload).map_err(|e| anyhow::anyhow!("{e:?}"))?;
            assert_eq!(outcome.error.map(|error| error.code), Some(ErrorCode::Invalid));
        }
        let js = t.jetstream().await?;
        let stream = js.get_stream(format!("CMD_{}", t.config.tenant)).await?;
        let state = &stream.cached_info().state;
        for sequence in state.first_sequence..=state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                assert!(!String::from_utf8_lossy(&message.payload).contains(marked));
            }
        }
        Ok(())
    });
}

#[test]
fn events_are_cloud_events_in_the_target_partition() {
    run(async {
        let t = Tenant::start().await?;
        let ada = t.user("ada").await?;
        let js = t.jetstream().await?;
        let stream = js.get_stream(format!("EVT_{}", t.config.tenant)).await?;
        let partition = echolog_events::partition_of(&ada.to_string());
        let subject = format!("evt.{}.user.{partition}.{ada}", t.config.tenant);
        let message = stream.get_last_raw_message_by_subject(&subject).await?;
        let header =
            |name: &str| message.headers.get(name).map(ToString::to_string).unwrap_or_default();
        assert_eq!(header("ce-specversion"), "1.0");
        assert_eq!(header("ce-source"), format!("echolog/{}", t.config.tenant));
        assert_eq!(header("ce-type"), "auth.user_registered");
        assert_eq!(header("ce-actor"), "anon-test");
        assert_eq!(header("ce-schema"), "1");
        assert_eq!(header("content-type"), "application/msgpack");
        assert!(
            header("ce-time").ends_with('Z')
                && header("ce-time").len() == "2026-01-01T00:00:00.000000Z".len()
        );
        assert_eq!(header("ce-id").len(), 36);
        assert_eq!(header("ce-command").len(), 36);
        Ok(())
    });
}

#[test]
fn metrics_health_and_readiness() {
    run(async {
        let t = Tenant::start().await?;
        t.user("ada").await?;
        t.refuse(
            ErrorCode::AlreadyExists,
            "anon-1",
            "auth.register_user",
            clock::new_id(),
            json!({ "username": "ada" }),
        )
        .await?;
        let base = t.metrics_url().trim_end_matches("/metrics").to_owned();
        for path in ["/health", "/ready"] {
            assert!(http_get(&format!("{base}{path}")).await?.contains(" 200 OK"));
        }
        // Lag is measured now and then.
        eventually("the projector has measured", || async {
            Ok(http_get(&t.metrics_url()).await?.contains("echolog_projection_lag_events{"))
        })
        .await?;
        let metrics = http_get(&t.metrics_url()).await?;
        for expected in [
            r#"echolog_commands_total{code="",command="register_user",domain="auth",status="accepted"} 1"#,
            r#"echolog_commands_total{code="already_exists",command="register_user",domain="auth",status="rejected"} 1"#,
            r#"echolog_events_appended_total{type="auth.user_registered"} 1"#,
            "echolog_owned_partitions 16",
            "echolog_command_seconds_bucket",
            "echolog_append_seconds_bucket",
            "echolog_projection_lag_events",
            "echolog_projection_events_total",
            "echolog_db_pool_connections",
        ] {
            assert!(metrics.contains(expected), "{expected} in:\n{metrics}");
        }
        if let Some(promtool) = std::env::var_os("ECHOLOG_PROMTOOL") {
            let body = metrics.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
            let checked = tokio::task::spawn_blocking(move || {
                use std::io::Write as _;
                let mut child = std::process::Command::new(promtool)
                    .args(["check", "metrics"])
                    .stdin(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::piped())
                    .spawn()?;
                child.stdin.take().map(|mut stdin| stdin.write_all(body.as_bytes())).transpose()?;
                child.wait_with_output()
            })
            .await??;
            assert!(
                checked.status.success(),
                "{}{}",
                String::from_utf8_lossy(&checked.stdout),
                String::from_utf8_lossy(&checked.stderr)
            );
        }
        Ok(())
    });
}

#[test]
fn names_are_unique_under_concurrency() {
    run(async {
        let mut t = Tenant::start().await?;
        t.add(echolog::roles::Roles::HANDLER).await?;
        let attempts = (0..40).map(|n| {
            let target = clock::new_id();
            let email = format!("user{}@example.org", n / 2);
            let body = json!({ "username": format!("name{}", n % 10), "email": email });
            Request::new(format!("anon-{n}"), "auth.register_user", target, body)
        });
        let requests: Vec<Request> = attempts.collect();
        let outcomes =
            futures::future::try_join_all(requests.iter().map(|r| t.client.send(r))).await?;
        let accepted = outcomes.iter().filter(|o| o.status == Status::Accepted).count();
        let refused = outcomes.iter().filter(|o| o.code() == "already_exists").count();
        assert_eq!(accepted + refused, 40, "{outcomes:?}");
        eventually("every account is in the tables", || async {
            Ok(t.value("SELECT count(*) FROM auth.users").await? == accepted.to_string())
        })
        .await?;
        let names = t.value("SELECT count(DISTINCT lower(username)) FROM auth.users").await?;
        assert_eq!(names, accepted.to_string(), "one owner per name");
        Ok(())
    });
}

/// Header blocks as a client that speaks to the socket itself may send them; `ID` is a command's id.
const HEADERS: [&[u8]; 12] = [
    b"NATS/1.0\r\nNats-Msg-Id: ID\r\nX: a\rb\r\n\r\n",
    b"NATS/1.0\r\nNats-Msg-Id: ID\r\nX: \xff\xfe\r\n\r\n",
    b"NATS/1.0\r\nNats-Msg-Id: ID\r\nnonsense\r\n\r\n",
    b"NATS/1.0\r\nNats-Msg-Id: ID\r\na b\x01: c\r\n\r\n",
    b"NATS/1.0\r\nNats-Msg-Id: ID\r\nNats-Pin-Id: forged\r\n\r\n",
    b"NATS/1.0\r\nNats-Pin-Id: forged",
    b"NATS/1.0 503 No Responders\r\nNats-Msg-Id: ID\r\n\r\n",
    b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
    b"NATS/1.0 x\r\nNats-Msg-Id: ID\r\n\r\n",
    b"NATS/1.0\r\n\r\n",
    b"\r\n\r\n",
    b"\0",
];

/// Publishes by hand, and waits until the server has taken it.
async fn publish_by_hand(t: &Tenant, subject: &str, headers: &[u8]) -> anyhow::Result<()> {
    let address = t.config.nats_url.rsplit('@').next().context("an address")?;
    let mut server = tokio::net::TcpStream::connect(address.trim_end_matches('/')).await?;
    let id = clock::new_id().to_string();
    let headers = match headers.windows(2).position(|at| at == b"ID") {
        Some(at) => [&headers[..at], id.as_bytes(), &headers[at + 2..]].concat(),
        None => headers.to_vec(),
    };
    let (length, total) = (headers.len(), headers.len() + 1);
    let connect = r#"CONNECT {"user":"echolog","pass":"test","verbose":false,"headers":true}"#;
    let publish = format!("{connect}\r\nHPUB {subject} {length} {total}\r\n");
    server.write_all(&[publish.as_bytes(), &headers, b"\x80\r\nPING\r\n"].concat()).await?;
    let mut lines = BufReader::new(server).lines();
    while let Some(line) = lines.next_line().await? {
        anyhow::ensure!(!line.starts_with("-ERR"), "{line}");
        if line == "PONG" {
            return Ok(());
        }
    }
    anyhow::bail!("the server ended the connection")
}

#[test]
fn headers_that_nobody_can_read_stop_nobody() {
    run(async {
        let mut t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        let answers = async |t: &Tenant| {
            for (command, body) in [
                ("users.block_user", json!({ "user_id": bob })),
                ("users.unblock_user", json!({ "user_id": bob })),
            ] {
                let request = Request::new(ada, command, ada, body);
                let answer = t.client.send(&request);
                let outcome = tokio::time::timeout(Duration::from_secs(10), answer).await??;
                anyhow::ensure!(outcome.status == Status::Accepted, "{outcome:?}");
            }
            anyhow::Ok(())
        };
        let tenant = t.config.tenant.clone();
        for headers in HEADERS {
            for way in ["cmd", "req"] {
                let subject = format!("{way}.{tenant}.{ada}.users.block_user.{ada}");
                publish_by_hand(&t, &subject, headers).await?;
            }
            let shown = String::from_utf8_lossy(headers);
            answers(&t).await.with_context(|| format!("after {shown:?}"))?;
        }
        // And if it is the first that a handler meets.
        t.stop_first().await?;
        for headers in HEADERS {
            let subject = format!("cmd.{tenant}.{ada}.users.block_user.{ada}");
            publish_by_hand(&t, &subject, headers).await?;
            t.add(Roles::ALL).await?;
            let shown = String::from_utf8_lossy(headers);
            answers(&t).await.with_context(|| format!("beginning with {shown:?}"))?;
            t.stop_first().await?;
        }
        Ok(())
    });
}
