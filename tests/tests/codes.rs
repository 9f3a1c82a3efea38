//! One-time codes: asked for, sent, guessed and shown.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use echolog::client::Request;
use echolog::clock;
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::{Body, CodeEvent, Event, Uuid};
use echolog_tests::{Tenant, eventually, http_get, root, run};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// A tenant whose letters end up in files.
pub(crate) async fn tenant(letters: &Path) -> anyhow::Result<Tenant> {
    let mut t = Tenant::without_workers().await?;
    t.config.outbox.outbox_dir = Some(letters.to_owned());
    t.add(Roles::ALL).await?;
    Ok(t)
}

async fn register(t: &Tenant, name: &str) -> anyhow::Result<Uuid> {
    let id = clock::new_id();
    let body = json!({ "username": name, "email": format!("{name}@example.org") });
    t.accept("anon-test", "auth.register_user", id, body).await?;
    Ok(id)
}

pub(crate) async fn ask(
    t: &Tenant,
    actor: impl ToString,
    purpose: &str,
    identifier: &str,
) -> anyhow::Result<(Uuid, Outcome)> {
    let otp = clock::new_id();
    let body = json!({ "purpose": purpose, "identifier": identifier });
    Ok((otp, t.client.send(&Request::new(actor, "auth.request_otp", otp, body)).await?))
}

pub(crate) async fn show(
    t: &Tenant,
    otp: Uuid,
    identifier: &str,
    code: &str,
) -> anyhow::Result<Outcome> {
    let body = json!({ "identifier": identifier, "code": code });
    Ok(t.client.send(&Request::new("anon-test", "auth.verify_otp", otp, body)).await?)
}

fn code(outcome: &Outcome) -> Option<ErrorCode> {
    outcome.error.as_ref().map(|error| error.code)
}

/// The letters in a directory, whatever they are called.
fn letters(place: &Path) -> anyhow::Result<Vec<String>> {
    let files = match std::fs::read_dir(place) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    files.map(|file| Ok(std::fs::read_to_string(file?.path())?)).collect()
}

/// The letter to somebody, once it is there.
pub(crate) async fn letter(place: &Path, to: &str) -> anyhow::Result<String> {
    let find = || -> anyhow::Result<Option<String>> {
        let to = format!("To: {to}");
        let whole = |letter: &String| letter.contains(&to) && letter.contains("there is nothing");
        Ok(letters(place)?.into_iter().find(whole))
    };
    eventually("a letter arrives", || async { Ok(find()?.is_some()) }).await?;
    find()?.context("it was there")
}

/// The six digits in a letter.
pub(crate) fn digits(letter: &str) -> anyhow::Result<String> {
    let words = letter.split_whitespace();
    let mut codes =
        words.filter(|word| word.len() == 6 && word.bytes().all(|it| it.is_ascii_digit()));
    Ok(codes.next().with_context(|| format!("no code in {letter}"))?.to_owned())
}

pub(crate) fn another(code: &str) -> String {
    let number: u32 = code.parse().expect("six digits");
    format!("{:06}", (number + 1) % 1_000_000)
}

#[test]
fn a_code_proves_who_has_an_address() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let (otp, asked) = ask(&t, "anon-test", "registration", "ada@example.org").await?;
        assert_eq!(
            (asked.status, asked.events),
            (Status::Accepted, vec!["otp_requested".to_owned()])
        );
        assert_eq!(asked.data.unwrap_or_default()["otp_id"], json!(otp));
        let right = digits(&letter(place.path(), "ada@example.org").await?)?;
        let wrong = show(&t, otp, "ada@example.org", &another(&right)).await?;
        assert_eq!(code(&wrong), Some(ErrorCode::Unauthenticated));
        let shown = show(&t, otp, "ADA@example.org", &right).await?;
        let proof = shown.data.unwrap_or_default()["proof"].clone();
        assert!(
            proof.as_str().is_some_and(|it| it.starts_with("eo_") && it.len() == 89),
            "{proof}"
        );
        let again = show(&t, otp, "ada@example.org", &right).await?;
        assert_eq!(code(&again), Some(ErrorCode::Gone));
        let codes = "SELECT identifier_type, purpose, attempts, verified, otp_code, user_id
            FROM auth.otp_verifications";
        eventually("the table has it", || async {
            Ok(t.rows(codes).await? == [["email", "registration", "1", "true", "", ""]])
        })
        .await?;
        let written = t.value("SELECT identifier FROM auth.otp_verifications").await?;
        assert!(written.starts_with("unknown:"), "whose address it is nobody knows: {written}");
        Ok(())
    });
}

#[test]
fn whoever_asks_learns_nothing() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        register(&t, "ada").await?;
        for purpose in ["login", "password_reset", "registration"] {
            let mut answers = Vec::new();
            for (who, host) in [("ada", "example.org"), ("nobody", "example.net")] {
                // A name asks once a minute.
                let name = format!("{who}-{purpose}");
                if who == "ada" {
                    register(&t, &name).await?;
                }
                let to = format!("{name}@{}", if who == "ada" { "example.org" } else { host });
                let (otp, asked) = ask(&t, "anon-test", purpose, &to).await?;
                let (_, at_once) = ask(&t, "anon-test", purpose, &to).await?;
                assert_eq!(code(&at_once), Some(ErrorCode::RateLimited), "{to}");
                let mut data = asked.data.clone().unwrap_or_default();
                assert_eq!(data["otp_id"], json!(otp));
                data["otp_id"] = Value::Null;
                data["expires_at"] = Value::Null;
                let mut guesses = Vec::new();
                for _ in 0..6 {
                    let guess = show(&t, otp, &to, "000000").await?;
                    guesses.push((guess.status, guess.error, guess.seq, guess.data));
                }
                answers.push((asked.status, asked.events, data, asked.error, guesses));
            }
            assert_eq!(answers[0], answers[1], "{purpose}");
        }
        // What is sent differs: codes go to those who have an account.
        letter(place.path(), "ada-login@example.org").await?;
        letter(place.path(), "ada-password_reset@example.org").await?;
        letter(place.path(), "nobody-registration@example.net").await?;
        let taken = letter(place.path(), "ada-registration@example.org").await?;
        assert!(taken.contains("an account already") && digits(&taken).is_err(), "{taken}");
        assert_eq!(letters(place.path())?.len(), 4);
        // How far the codes of an account have come would tell which names lead to it.
        for name in ["auth.request_otp", "auth.request_password_reset"] {
            let body = match name {
                "auth.request_otp" => {
                    json!({ "purpose": "login", "identifier": "ada@example.org" })
                }
                _ => json!({ "identifier": "ada@example.org" }),
            };
            let mut request = Request::new("anon-test", name, clock::new_id(), body);
            request.expected_version = Some(1);
            let outcome = t.client.send(&request).await?;
            assert_eq!(code(&outcome), Some(ErrorCode::Invalid), "{name}");
        }
        Ok(())
    });
}

#[test]
fn guessing_in_parallel_does_not_help() {
    run(async {
        let place = tempfile::tempdir()?;
        let mut t = tenant(place.path()).await?;
        t.add(Roles::HANDLER).await?;
        let (otp, _) = ask(&t, "anon-test", "registration", "ada@example.org").await?;
        let right = digits(&letter(place.path(), "ada@example.org").await?)?;
        let guess = async |number: usize| {
            // The right one comes when 250 others are on their way.
            let text = if number == 250 { right.clone() } else { format!("{number:06}") };
            let text = if number != 250 && text == right { another(&text) } else { text };
            loop {
                let outcome = show(&t, otp, "ada@example.org", &text).await?;
                if outcome.status != Status::Failed {
                    return anyhow::Ok(outcome);
                }
            }
        };
        for number in 0..5 {
            let outcome = guess(number).await?;
            assert_eq!(code(&outcome), Some(ErrorCode::Unauthenticated), "{number}");
        }
        for outcome in join_all((5..500).map(guess)).await {
            assert_eq!(code(&outcome?), Some(ErrorCode::Gone), "even the right one");
        }
        let attempts = "SELECT attempts, verified FROM auth.otp_verifications";
        eventually("the table has the attempts", || async {
            Ok(t.rows(attempts).await? == [["5", "false"]])
        })
        .await?;
        let counted = history(&t).await?;
        let failed = counted.iter().filter(|it| matches!(it, CodeEvent::OtpAttemptFailed(_)));
        assert_eq!(failed.count(), 5);
        Ok(())
    });
}

/// What the log says about codes.
pub(crate) async fn history(t: &Tenant) -> anyhow::Result<Vec<CodeEvent>> {
    let log = t.log()?;
    let head = log.head().await?;
    let mut reader = log.read_from(1).await?;
    let mut history = Vec::new();
    loop {
        let page = reader.next(1_000).await?;
        for event in &page.events {
            if let Body::Known(Event::Codes(event)) = &event.body {
                history.push(event.clone());
            }
        }
        if page.events.last().is_some_and(|last| last.seq >= head) {
            return Ok(history);
        }
    }
}

#[test]
fn a_command_that_is_sent_again_sends_no_other_code() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let otp = clock::new_id();
        let body = json!({ "purpose": "registration", "identifier": "ada@example.org" });
        let request = Request::new("anon-test", "auth.request_otp", otp, body);
        let first = t.client.send(&request).await?;
        assert!(first.data.is_some());
        let right = digits(&letter(place.path(), "ada@example.org").await?)?;
        for _ in 0..5 {
            let again = t.client.send(&request).await?;
            assert_eq!((again.status, again.seq, again.data), (Status::Accepted, first.seq, None));
        }
        let other = Request::new(
            "anon-test",
            "auth.request_otp",
            otp,
            json!({
                "purpose": "registration", "identifier": "ada@example.org",
            }),
        );
        assert_eq!(
            code(&t.client.send(&other).await?),
            Some(ErrorCode::Conflict),
            "the id is used"
        );
        // What would have been sent is overtaken by this.
        ask(&t, "anon-test", "registration", "bob@example.org").await?;
        letter(place.path(), "bob@example.org").await?;
        assert_eq!(digits(&letter(place.path(), "ada@example.org").await?)?, right);
        assert_eq!(show(&t, otp, "ada@example.org", &right).await?.status, Status::Accepted);
        Ok(())
    });
}

#[test]
fn where_nothing_goes_out_no_code_is_made() {
    run(async {
        let t = Tenant::start().await?;
        let (_, asked) = ask(&t, "anon-test", "login", "ada@example.org").await?;
        assert_eq!(code(&asked), Some(ErrorCode::Unavailable));
        let (_, asked) = ask(&t, "anon-test", "login", "ada").await?;
        assert_eq!(code(&asked), Some(ErrorCode::Invalid));
        assert!(history(&t).await?.is_empty());
        Ok(())
    });
}

#[test]
fn some_codes_are_for_users() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let ada = register(&t, "ada").await?;
        let (_, asked) = ask(&t, "anon-test", "email_verification", "ada@example.org").await?;
        assert_eq!(code(&asked), Some(ErrorCode::Unauthenticated));
        let (otp, asked) = ask(&t, ada, "email_verification", "ada@example.org").await?;
        assert_eq!(asked.status, Status::Accepted);
        let right = digits(&letter(place.path(), "ada@example.org").await?)?;
        let body = json!({ "code": right });
        let by_another = Request::new("anon-test", "auth.verify_otp", otp, body.clone());
        assert_eq!(code(&t.client.send(&by_another).await?), Some(ErrorCode::Unauthenticated));
        let shown = t.client.send(&Request::new(ada, "auth.verify_otp", otp, body)).await?;
        assert_eq!(shown.events, ["otp_verified", "email_verified"]);
        Ok(())
    });
}

/// A mail server, with the mails that it has taken.
struct Mails {
    _server: Child,
    place: PathBuf,
    port: u16,
}

async fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

impl Mails {
    async fn start(place: &Path, port: u16) -> anyhow::Result<Self> {
        let python = std::env::var_os("ECHOLOG_TEST_PYTHON")
            .map_or_else(|| root().join(".dev/venv/bin/python"), PathBuf::from);
        let place = place.join("mails");
        let server = Command::new(python)
            .args(["-m", "aiosmtpd", "--nosetuid", "--listen"])
            .arg(format!("127.0.0.1:{port}"))
            .args(["--class", "aiosmtpd.handlers.Mailbox"])
            .arg(&place)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("the mail server does not start: run the tests with `./dev test`")?;
        eventually("the mail server listens", || async {
            Ok(TcpStream::connect(("127.0.0.1", port)).await.is_ok())
        })
        .await?;
        Ok(Self { _server: server, place: place.join("new"), port })
    }
}

#[test]
fn a_mail_goes_out_once_its_server_is_there() {
    run(async {
        let place = tempfile::tempdir()?;
        let port = free_port().await?;
        let mut t = Tenant::without_workers().await?;
        t.config.outbox.smtp_url = Some(format!("smtp://127.0.0.1:{port}"));
        t.config.outbox.mail_from = Some("Echolog <noreply@example.com>".to_owned());
        t.add(Roles::ALL).await?;
        let (otp, asked) = ask(&t, "anon-test", "registration", "ada@example.org").await?;
        assert_eq!(
            asked.status,
            Status::Accepted,
            "that the server is away is no business of hers"
        );
        let mails = Mails::start(place.path(), port).await?;
        assert_eq!(mails.port, port);
        let mail = letter(&mails.place, "ada@example.org").await?;
        assert!(mail.contains("From: Echolog <noreply@example.com>"), "{mail}");
        assert!(
            mail.contains("Subject: Your code") && mail.contains(&format!("<{otp}@example.com>"))
        );
        assert_eq!(
            show(&t, otp, "ada@example.org", &digits(&mail)?).await?.status,
            Status::Accepted
        );
        let counted = r#"echolog_deliveries_total{channel="email",result="delivered"} 1"#;
        eventually("it is counted", || async {
            Ok(http_get(&t.metrics_url()).await?.contains(counted))
        })
        .await?;
        Ok(())
    });
}

/// What a gateway for text messages was asked, and what it says first.
#[derive(Clone, Default)]
pub(crate) struct Gateway {
    requests: Arc<Mutex<Vec<String>>>,
}

impl Gateway {
    pub(crate) async fn start(&self, answers: &'static [&'static str]) -> anyhow::Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let requests = Arc::clone(&self.requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else { continue };
                let number = {
                    let mut requests = requests.lock().expect("nobody panicked");
                    requests.push(request);
                    requests.len() - 1
                };
                let status = answers.get(number).unwrap_or(&"200 OK");
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ok(port)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("nobody panicked").clone()
    }
}

/// A request with all of its body.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&bytes[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        if body.len() >= length.parse().ok()? {
            return Some(text);
        }
    }
}

#[test]
fn a_text_message_is_sent_until_it_is_taken() {
    run(async {
        let gateway = Gateway::default();
        let port = gateway.start(&["503 Service Unavailable", "429 Too Many Requests"]).await?;
        let mut t = Tenant::without_workers().await?;
        t.config.outbox.sms_url = Some(format!("http://127.0.0.1:{port}/messages"));
        t.config.outbox.sms_token = Some("a marked token of the gateway".to_owned());
        t.add(Roles::ALL).await?;
        let (_, no_mails) = ask(&t, "anon-test", "registration", "ada@example.org").await?;
        assert_eq!(code(&no_mails), Some(ErrorCode::Unavailable));
        let (otp, _) = ask(&t, "anon-test", "registration", "+442071838750").await?;
        let counted = r#"echolog_deliveries_total{channel="sms",result="delivered"} 1"#;
        eventually("it is taken", || async {
            Ok(http_get(&t.metrics_url()).await?.contains(counted))
        })
        .await?;
        let requests = gateway.requests();
        assert_eq!(requests.len(), 3, "{requests:?}");
        for request in &requests {
            let head = request.to_lowercase();
            assert!(request.starts_with("POST /messages HTTP/1.1"), "{request}");
            assert!(head.contains("authorization: bearer a marked token of the gateway"));
            assert!(head.contains(&format!("idempotency-key: {otp}")), "{request}");
        }
        let (_, body) = requests[2].split_once("\r\n\r\n").context("a body")?;
        let body: Value = serde_json::from_str(body)?;
        assert_eq!(body["to"], "+442071838750");
        let right = digits(body["text"].as_str().context("a text")?)?;
        assert_eq!(show(&t, otp, "+442071838750", &right).await?.status, Status::Accepted);
        // What is refused for good is not sent again.
        let gateway = Gateway::default();
        let port = gateway.start(&["400 Bad Request"; 9]).await?;
        let mut t = Tenant::without_workers().await?;
        t.config.outbox.sms_url = Some(format!("http://127.0.0.1:{port}/messages"));
        t.add(Roles::ALL).await?;
        ask(&t, "anon-test", "registration", "+442071838750").await?;
        let counted = r#"echolog_deliveries_total{channel="sms",result="refused"} 1"#;
        eventually("it is given up", || async {
            Ok(http_get(&t.metrics_url()).await?.contains(counted))
        })
        .await?;
        assert_eq!(gateway.requests().len(), 1);
        Ok(())
    });
}

#[test]
fn a_password_that_was_lost_makes_way_for_another() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let ada = clock::new_id();
        let body = json!({
            "username": "ada", "email": "ada@example.org", "password": "a password to be lost",
        });
        t.accept("anon-test", "auth.register_user", ada, body).await?;
        let log_in = async |password: &str| {
            let body = json!({ "identifier": "ada", "password": password });
            t.client.send(&Request::new("anon-test", "auth.log_in", clock::new_id(), body)).await
        };
        log_in("a password to be lost").await?.data.context("a session")?;
        let ask = async |identifier: &str| {
            let reset = clock::new_id();
            let body = json!({ "identifier": identifier });
            let request = Request::new("anon-test", "auth.request_password_reset", reset, body);
            anyhow::Ok((reset, t.client.send(&request).await?))
        };
        let (mut answers, mut last) = (Vec::new(), String::new());
        for to in ["nobody@example.org", "ada@example.org"] {
            let (reset, mut asked) = ask(to).await?;
            last = reset.to_string();
            let data = asked.data.take().unwrap_or_default();
            assert_eq!(data["reset_id"], json!(reset));
            let again = ask(to).await?.1;
            answers.push((asked.status, asked.events, asked.error, code(&again)));
        }
        assert_eq!(answers[0], answers[1]);
        let letter = letter(place.path(), "ada@example.org").await?;
        assert_eq!(letters(place.path())?.len(), 1, "nobody gets none");
        let token = letter.split_whitespace().find(|word| word.starts_with("ep_"));
        let token = token.context("a token")?;
        let reset = last;
        let complete = async |reset: &str, token: &str, password: &str| {
            let body = json!({ "token": token, "new_password": password });
            let name = "auth.complete_password_reset";
            t.client.send(&Request::new("anon-test", name, reset, body).projected()).await
        };
        let (other, made_up) = (clock::new_id().to_string(), "ep_AZLzxKqq");
        for (reset, token) in [(&other, token), (&reset, made_up)] {
            let refused = complete(reset, token, "another password").await?;
            assert_eq!(code(&refused), Some(ErrorCode::Gone));
        }
        for _ in 0..5 {
            assert_eq!(code(&log_in("a guess at it").await?), Some(ErrorCode::Unauthenticated));
        }
        let done = complete(&reset, token, "another password").await?;
        assert_eq!(
            done.events,
            ["password_reset_completed", "password_changed", "user_unlocked", "session_revoked"]
        );
        let refused = complete(&reset, token, "a third password").await?;
        assert_eq!(code(&refused), Some(ErrorCode::Gone), "it was used");
        let old = log_in("a password to be lost").await?;
        assert_eq!(code(&old), Some(ErrorCode::Unauthenticated));
        assert_eq!(log_in("another password").await?.status, Status::Accepted);
        let used = "SELECT used_at IS NOT NULL, length(token_hash) FROM auth.password_reset_tokens";
        assert_eq!(t.rows(used).await?, [["true", "64"]]);
        Ok(())
    });
}
