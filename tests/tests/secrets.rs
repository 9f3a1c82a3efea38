//! What nobody may find in a log either: processes at their most talkative, as people log in, fail
//! to, and send nonsense.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use echolog::client::Request;
use echolog::clock;
use echolog_commands::{COMMANDS, Outcome, Status};
use echolog_events::Uuid;
use echolog_nats::HeaderMap;
use echolog_tests::broker::{Broker, Raw};
use echolog_tests::{Tenant, eventually, http_get, run};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::codes::{Gateway, digits};
use crate::connects::token;
use crate::logins::{code_of, stored};
use crate::oauth;
use crate::oauth::provider::{self, Flow, Mood, Provider};
use crate::second_factors::shown;

/// In everything that is typed here and nobody may repeat.
const MARK: &str = "a marked";

const PASSWORD: &str = "a marked password";

/// Sends a command, whatever becomes of it.
async fn ask(
    t: &Tenant,
    actor: impl ToString,
    name: &str,
    target: Uuid,
    body: Value,
) -> anyhow::Result<Outcome> {
    Ok(t.client.send(&Request::new(actor, name, target, body).projected()).await?)
}

/// What is told of a command that is accepted.
async fn told(
    t: &Tenant,
    actor: impl ToString,
    name: &str,
    target: Uuid,
    body: Value,
) -> anyhow::Result<Value> {
    let outcome = ask(t, actor, name, target, body).await?;
    anyhow::ensure!(outcome.status == Status::Accepted, "{name}: {outcome:?}");
    Ok(outcome.data.unwrap_or_default())
}

/// The texts of some fields.
fn texts<'a>(data: &'a Value, names: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    names.iter().map(|name| data[name].as_str().unwrap_or_default().to_owned())
}

/// As somebody would write it who does not have it.
fn altered(secret: &str) -> String {
    let mut altered = secret.as_bytes().to_vec();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    String::from_utf8(altered).unwrap_or_default()
}

/// What is sent by those who do not know how: none of it can be read.
fn nonsense(example: &str) -> Vec<(&'static str, Bytes)> {
    const JSON: &str = "application/json";
    let mut bodies = vec![
        (JSON, json!({ "password": { "text": MARK } })),
        (JSON, json!({ "password": format!("{MARK}{}", "x".repeat(2_000)) })),
        (JSON, json!({ "password": [MARK], "code": MARK, "totp": MARK })),
        (JSON, json!({ "refresh_token": 7, "token": [MARK], "identifier": { "x": MARK } })),
        (JSON, json!(MARK)),
        (JSON, json!([MARK])),
        ("application/msgpack", json!({ "password": MARK })),
        (MARK, json!({ "password": MARK })),
    ];
    // What would do, but for one field, or one byte.
    let mut almost: Value = serde_json::from_str(example).unwrap_or_default();
    almost["no_such_field"] = json!(MARK);
    bodies.push((JSON, almost));
    let mut bodies: Vec<(&str, Bytes)> =
        bodies.into_iter().map(|(kind, body)| (kind, body.to_string().into())).collect();
    bodies.push((JSON, format!("{{\"password\":\"{MARK}").into()));
    bodies.push((JSON, format!("{{\"password\":\"{MARK} \u{0}\"}}").into()));
    bodies.push((JSON, [MARK.as_bytes(), b"\xff\xfe"].concat().into()));
    bodies
}

/// Sends nonsense as every command that may carry a secret; returns all that is answered.
async fn send_nonsense(t: &Tenant) -> anyhow::Result<String> {
    let tenant = &t.config.tenant;
    let mut answers = String::new();
    let mut requests = Vec::new();
    for command in COMMANDS.iter().filter(|command| command.may_carry_secret()) {
        for (content_type, body) in nonsense(command.doc.example) {
            for way in ["req", "cmd"] {
                let (domain, name) = (command.domain, command.name);
                let target = clock::new_id();
                let subject = format!("{way}.{tenant}.anon-nonsense.{domain}.{name}.{target}");
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", clock::new_id().to_string());
                headers.insert("Content-Type", content_type);
                requests.push((subject, headers, body.clone()));
            }
        }
    }
    let mut outcomes = t.bus.subscribe(format!("out.{tenant}.anon-nonsense.>"), None).await?;
    t.bus.flush().await?;
    let queued = requests.iter().filter(|(subject, ..)| subject.starts_with("cmd.")).count();
    for (subject, headers, body) in requests {
        let answer = t.bus.request(subject, headers, body, Duration::from_secs(20));
        answers.push_str(&String::from_utf8_lossy(&answer.await?));
    }
    // Once they are answered they are erased.
    for _ in 0..queued {
        let outcome = timeout(Duration::from_secs(20), outcomes.next()).await?;
        let outcome = outcome.context("an outcome")?.payload;
        answers.push_str(&String::from_utf8_lossy(&outcome));
    }
    Ok(answers)
}

/// The processes, as talkative as they can be.
const TALKATIVE: &str = "trace";

#[test]
fn no_secret_is_in_any_log() {
    run(async {
        let broker = Broker::start_with("\ndebug: true\n").await?;
        let t = Tenant::on(broker.nats.url()).await?;
        let directory = tempfile::tempdir()?;
        let letters = directory.path().join("letters");
        let gateway = Gateway::default();
        let port = gateway.start(&["400 Bad Request"; 9]).await?;
        let gateway_url = format!("http://127.0.0.1:{port}/messages");
        let provider = Provider::start().await?;
        let providers = provider.environment();
        let mut settings = vec![
            ("ECHOLOG_LOG", TALKATIVE),
            ("RUST_LOG", TALKATIVE),
            ("ECHOLOG_OUTBOX_DIR", letters.to_str().context("a path")?),
            ("ECHOLOG_SMS_URL", gateway_url.as_str()),
            ("ECHOLOG_SMS_TOKEN", "a marked token of the gateway"),
            ("ECHOLOG_TIMERS_EVERY", "1"),
            ("ECHOLOG_OAUTH_KEEP_TOKENS", "true"),
        ];
        settings.extend(providers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut workers = Vec::new();
        let logs = ["handler", "callout", "projector", "timers"]
            .map(|role| (role, directory.path().join(format!("{role}.log"))));
        for (role, log) in &logs {
            workers.push(broker.worker(&t, role, log, &settings).await?);
        }
        let mut secrets = vec![t.config.master_key.clone().unwrap_or_default()];
        let Broker { secrets: keys, .. } = &broker;
        secrets.extend([&keys.callout, &keys.system, &keys.issuer, &keys.xkey].map(Clone::clone));
        let ada = clock::new_id();

        // What goes well.
        let body = json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD });
        told(&t, "anon-test", "auth.register_user", ada, body).await?;
        let body = json!({ "identifier": "ada", "password": PASSWORD });
        let first = told(&t, "anon-test", "auth.log_in", clock::new_id(), body.clone()).await?;
        let tokens = ["session_token", "refresh_token"];
        secrets.extend(texts(&first, &tokens));
        let exchange = json!({ "refresh_token": first["refresh_token"] });
        let second = told(&t, "anon-test", "auth.refresh_session", ada, exchange).await?;
        secrets.extend(texts(&second, &tokens));
        for name in provider::ALL {
            let flow = Flow::new();
            let code = provider.code(name, "ada", &flow).await?;
            let mut linked = oauth::shown(name, &code, &flow);
            linked["password"] = json!(PASSWORD);
            told(&t, ada, "auth.link_oauth_provider", ada, linked).await?;
            let code = provider.code(name, "ada", &flow).await?;
            let by = json!({ "oauth": oauth::shown(name, &code, &flow) });
            let refresh = json!({ "provider": name });
            let refreshed = ask(&t, ada, "auth.refresh_oauth_token", ada, refresh).await?;
            // Facebook has given nothing to refresh with.
            assert_eq!(refreshed.status == Status::Accepted, name != "facebook", "{refreshed:?}");
            told(&t, "anon-test", "auth.log_in", clock::new_id(), by.clone()).await?;
            // The code was used.
            let again = ask(&t, "anon-test", "auth.log_in", clock::new_id(), by.clone()).await?;
            assert_eq!(again.status, Status::Rejected);
            provider.is(Mood::Nonsense);
            let failed = ask(&t, "anon-test", "auth.log_in", clock::new_id(), by).await?;
            assert_eq!(failed.status, Status::Failed);
            provider.is(Mood::Well);
        }
        secrets.extend(["marked-", "appsecret_proof"].map(str::to_owned));
        let key = json!({
            "api_key_id": clock::new_id(), "name": "a server", "scopes": ["users"],
            "password": PASSWORD,
        });
        let key = told(&t, ada, "auth.create_api_key", ada, key).await?;
        secrets.extend(texts(&key, &["api_key"]));
        let begun = json!({ "password": PASSWORD });
        let begun = told(&t, ada, "auth.begin_two_factor", ada, begun).await?;
        secrets.extend(texts(&begun, &["secret"]));
        let totp = shown(begun["secret"].as_str().unwrap_or_default(), clock::now());
        let enabled = json!({ "totp": totp });
        let enabled = told(&t, ada, "auth.enable_two_factor", ada, enabled).await?;
        let codes: Vec<String> = serde_json::from_value(enabled["recovery_codes"].clone())?;
        let mut with_code = body.clone();
        with_code["recovery_code"] = json!(codes[0]);
        told(&t, "anon-test", "auth.log_in", clock::new_id(), with_code.clone()).await?;
        secrets.extend(codes.iter().cloned());
        let one = code_of(&t, &letters, "somebody.new@example.org").await?;
        let reset = clock::new_id();
        let lost = json!({ "identifier": "ada@example.org" });
        told(&t, "anon-test", "auth.request_password_reset", reset, lost).await?;
        let letter = || std::fs::read_to_string(letters.join(format!("{reset}.txt")));
        let whole = || letter().is_ok_and(|letter| letter.ends_with("do.\n"));
        eventually("the token is sent", || async { Ok(whole()) }).await?;
        let letter = letter()?;
        let reset_token = letter.split_whitespace().find(|word| word.starts_with("ep_"));
        let reset_token = reset_token.context("a token")?.to_owned();

        // What does not: the gateway refuses, and everything is a little wrong.
        let number = json!({ "purpose": "registration", "identifier": "+442071838750" });
        told(&t, "anon-test", "auth.request_otp", clock::new_id(), number).await?;
        eventually("the gateway refuses", || async { Ok(!gateway.requests().is_empty()) }).await?;
        let sms = digits(&gateway.requests()[0].replace('"', " "))?;
        let wrong = "a marked wrong password";
        for (name, target, body) in [
            ("auth.log_in", clock::new_id(), json!({ "identifier": "ada", "password": wrong })),
            ("auth.log_in", clock::new_id(), json!({ "identifier": wrong, "password": wrong })),
            // The right one, and the second factor is missing, wrong, or used up.
            ("auth.log_in", clock::new_id(), body.clone()),
            ("auth.log_in", clock::new_id(), with_code),
            ("auth.refresh_session", ada, json!({ "refresh_token": second["session_token"] })),
            ("auth.refresh_session", ada, json!({ "refresh_token": "er_a marked token" })),
            (
                "auth.complete_password_reset",
                reset,
                json!({ "token": altered(&reset_token), "new_password": wrong }),
            ),
            ("auth.change_password", ada, json!({ "old_password": wrong, "new_password": wrong })),
        ] {
            let outcome = ask(&t, "anon-test", name, target, body).await?;
            assert_eq!(outcome.status, Status::Rejected, "{name}: {outcome:?}");
        }
        let (mut lets_in, mut refused) = (Vec::new(), Vec::new());
        for secret in [token(&second), key["api_key"].as_str().context("a key")?] {
            lets_in.push(broker.user(secret).await?);
            refused.push(altered(secret));
        }
        refused.push(token(&first).to_owned());
        for secret in &refused {
            broker.refuses(secret).await?;
        }
        let anonymous = "a marked secret of an anonymous client";
        lets_in.push(broker.anonymous(anonymous).await?);
        let nobody = json!({ "user": "somebody", "pass": anonymous });
        assert!(Raw::connect(broker.nats.port(), nobody).await?.is_err());
        secrets.extend(refused);
        let answers = send_nonsense(&t).await?;
        let completed = json!({ "token": reset_token, "new_password": "a marked new password" });
        told(&t, "anon-test", "auth.complete_password_reset", reset, completed).await?;
        secrets.extend([MARK.to_owned(), reset_token, one.proof]);

        let mut all = vec![("what rests", stored(&t).await?), ("the answers", answers)];
        for (role, log) in &logs {
            let said = std::fs::read_to_string(log)?;
            let (_, metrics) = said.split_once("metrics=").context("an address")?;
            let metrics = metrics.split_whitespace().next().context("an address")?;
            all.push(("the metrics", http_get(&format!("http://{metrics}/metrics")).await?));
            all.push((role, String::new()));
        }
        for worker in workers {
            worker.stop().await?;
        }
        for ((_, log), (_, said)) in logs.iter().zip(all.iter_mut().filter(|it| it.1.is_empty())) {
            *said = std::fs::read_to_string(log)?;
            assert!(said.contains("DEBUG"), "it is talkative: {said}");
        }
        let said = broker.log()?;
        assert!(said.contains("[DBG]"), "it is talkative: {said}");
        all.push(("nats-server", said));
        for (place, text) in &all {
            for secret in &secrets {
                assert!(secret.len() > 5, "{secret} is nothing");
                let around = text.find(secret.as_str()).map(|at| {
                    let before: String = text[..at].chars().rev().take(300).collect();
                    before.chars().rev().chain(text[at..].chars().take(300)).collect::<String>()
                });
                assert_eq!(around, None, "{place} has {secret}");
            }
            // Six digits may be a part of something; those of two codes hardly are.
            let has = |code: &str| {
                text.split(|it: char| !it.is_ascii_alphanumeric()).any(|word| word == code)
            };
            assert!(!(has(&one.digits) && has(&sms)), "{place} has codes");
        }
        drop(lets_in);
        Ok(())
    });
}
