//! Logging in, staying logged in, and those who only try to.

use std::time::{Duration, Instant};

use echolog::callout;
use echolog::client::Request;
use echolog::clock;
use echolog::handler::{Limits, LoginLimits, TimerLimits};
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::{Body, Event, SessionEvent, Uuid};
use echolog_tests::{Tenant, eventually, http_get, run};
use futures::future::join_all;
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Account {
    pub(crate) id: Uuid,
    name: String,
}

pub(crate) async fn register(t: &Tenant, name: &str) -> anyhow::Result<Account> {
    let id = clock::new_id();
    let body = json!({
        "username": name, "email": format!("{name}@example.org"), "password": PASSWORD,
    });
    t.accept("anon-test", "auth.register_user", id, body).await?;
    Ok(Account { id, name: name.to_owned() })
}

pub(crate) async fn try_log_in(
    t: &Tenant,
    identifier: &str,
    password: &str,
) -> anyhow::Result<Outcome> {
    let body = json!({ "identifier": identifier, "password": password });
    Ok(t.client.send(&Request::new("anon-test", "auth.log_in", clock::new_id(), body)).await?)
}

pub(crate) async fn log_in(t: &Tenant, identifier: &str) -> anyhow::Result<Value> {
    let outcome = try_log_in(t, identifier, PASSWORD).await?;
    anyhow::ensure!(outcome.status == Status::Accepted, "{outcome:?}");
    Ok(outcome.data.unwrap_or_default())
}

pub(crate) async fn refresh(t: &Tenant, user: Uuid, token: &Value) -> anyhow::Result<Outcome> {
    let body = json!({ "refresh_token": token });
    Ok(t.client.send(&Request::new("anon-test", "auth.refresh_session", user, body)).await?)
}

pub(crate) fn code(outcome: &Outcome) -> Option<ErrorCode> {
    outcome.error.as_ref().map(|error| error.code)
}

/// What the log says about an account's sessions.
pub(crate) async fn history(t: &Tenant) -> anyhow::Result<Vec<SessionEvent>> {
    let log = t.log()?;
    let head = log.head().await?;
    let mut reader = log.read_from(1).await?;
    let mut history = Vec::new();
    loop {
        let page = reader.next(1_000).await?;
        for event in &page.events {
            if let Body::Known(Event::Sessions(event)) = &event.body {
                history.push(event.clone());
            }
        }
        if page.events.last().is_some_and(|last| last.seq >= head) {
            return Ok(history);
        }
    }
}

#[test]
fn a_user_logs_in_by_any_name_and_out_again() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?;
        let mut sessions = Vec::new();
        for identifier in ["ada", "ADA", "ada@example.org", "Ada@Example.ORG"] {
            let data = log_in(&t, identifier).await?;
            assert_eq!(data["user_id"], json!(ada.id));
            let token = data["session_token"].as_str().unwrap_or_default();
            assert!(token.starts_with("es_") && token.len() == 89, "{data}");
            assert!(data["refresh_token"].as_str().is_some_and(|it| it.starts_with("er_")));
            sessions.push(data["session_id"].clone());
        }
        let out = json!({ "session_id": sessions[0] });
        let outcome = t.accept(ada.id, "auth.revoke_session", ada.id, out.clone()).await?;
        assert_eq!(outcome.events, ["session_revoked"]);
        let outcome = t.accept(ada.id, "auth.revoke_session", ada.id, out).await?;
        assert_eq!(outcome.events, [""; 0]);
        let all_but_one = json!({ "except_session_id": sessions[3] });
        let outcome = t.accept(ada.id, "auth.revoke_all_sessions", ada.id, all_but_one).await?;
        assert_eq!(outcome.events.len(), 2);
        let live = "SELECT id FROM auth.sessions WHERE revoked_at IS NULL";
        assert_eq!(json!(t.value(live).await?), sessions[3]);
        let ended =
            "SELECT revoked_reason, count(*) FROM auth.sessions WHERE revoked_at IS NOT NULL
            GROUP BY 1 ORDER BY 1";
        assert_eq!(t.rows(ended).await?, [["logout", "1"], ["logout_all", "2"]]);
        let tried = "SELECT identifier_type, count(*) FROM auth.login_history WHERE success
            GROUP BY 1 ORDER BY 1";
        assert_eq!(t.rows(tried).await?, [["email", "2"], ["username", "2"]]);
        Ok(())
    });
}

#[test]
fn tokens_are_told_once_and_never_stored() {
    run(async {
        let t = Tenant::start().await?;
        register(&t, "ada").await?;
        let body = json!({ "identifier": "ada", "password": PASSWORD });
        let request = Request::new("anon-test", "auth.log_in", clock::new_id(), body);
        let first = t.client.send(&request).await?;
        let data = first.data.clone().unwrap_or_default();
        let again = t.client.send(&request).await?;
        assert_eq!((again.status, again.seq), (Status::Accepted, first.seq));
        assert_eq!(again.data, None, "a token is not repeated");
        let stored = format!("{:?}", history(&t).await?);
        for token in ["session_token", "refresh_token"] {
            let token = data[token].as_str().unwrap_or_default();
            assert!(!token.is_empty() && !stored.contains(token));
        }
        Ok(())
    });
}

#[test]
fn whoever_fails_learns_nothing() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?;
        t.user("no-password").await?;
        let mut answers = Vec::new();
        for identifier in [&*ada.name, "nobody", "no-password", "nobody@example.org", "not a name!"]
        {
            let outcome = try_log_in(&t, identifier, "a wrong password").await?;
            assert_eq!(outcome.status, Status::Rejected);
            answers.push((outcome.error, outcome.data, outcome.seq, outcome.events));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        let stored = format!("{:?}", history(&t).await?);
        assert!(
            !stored.contains("not a name!"),
            "who types a password there leaves no trace of it"
        );
        Ok(())
    });
}

#[test]
fn it_takes_as_long_to_fail_with_an_account_as_without() {
    run(async {
        let t = Tenant::start().await?;
        for number in 0..4 {
            register(&t, &format!("ada{number}")).await?;
        }
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..16 {
            for (times, name) in times.iter_mut().zip(["ada", "nobody"]) {
                let name = format!("{name}{}", round % 4);
                let begun = Instant::now();
                try_log_in(&t, &name, "a wrong password").await?;
                let took = begun.elapsed();
                assert!(
                    took >= Duration::from_millis(100),
                    "{name} is told before the beat: {took:?}"
                );
                times.push(took);
            }
        }
        let [known, unknown] = times.map(|mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64()
        });
        println!("an account that exists: {:.1} ms, none: {:.1} ms", known * 1e3, unknown * 1e3);
        // A beat more on one side, on a busy machine, is a factor of two.
        assert!((0.45..2.2).contains(&(known / unknown)), "{known} s and {unknown} s");
        Ok(())
    });
}

#[test]
fn guessing_in_parallel_does_not_help() {
    run(async {
        let mut t = Tenant::start().await?;
        t.add(Roles::HANDLER).await?;
        register(&t, "ada").await?;
        let guess = async |number: usize| {
            let password =
                if number == 20 { PASSWORD.to_owned() } else { format!("a guess {number}") };
            loop {
                let outcome = try_log_in(&t, "ada", &password).await?;
                if outcome.status != Status::Failed {
                    return anyhow::Ok(outcome);
                }
            }
        };
        // The first guesses have to be over before the right one is made.
        for number in 0..5 {
            assert_eq!(code(&guess(number).await?), Some(ErrorCode::Unauthenticated));
        }
        for outcome in join_all((5..40).map(guess)).await {
            assert_eq!(code(&outcome?), Some(ErrorCode::Unauthenticated), "even the right one");
        }
        let history = history(&t).await?;
        let tried = "SELECT count(*) FROM auth.login_history WHERE NOT success";
        eventually("every attempt is in the tables", || async {
            Ok(t.value(tried).await? == "40")
        })
        .await?;
        let locked = "SELECT locked, locked_until > now(), failed_login_attempts FROM auth.users";
        assert_eq!(t.rows(locked).await?, [["true", "true", "5"]]);
        let counted = history
            .iter()
            .filter(|event| matches!(event, SessionEvent::LoginFailed(failed) if failed.counts));
        assert_eq!(counted.count(), 5);
        let locks = history.iter().filter(|event| matches!(event, SessionEvent::UserLocked(_)));
        assert_eq!(locks.count(), 1);
        Ok(())
    });
}

#[test]
fn an_operator_opens_a_lock() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?;
        for _ in 0..5 {
            try_log_in(&t, "ada", "a wrong password").await?;
        }
        let outcome = try_log_in(&t, "ada", PASSWORD).await?;
        assert_eq!(code(&outcome), Some(ErrorCode::Unauthenticated));
        t.refuse(ErrorCode::Forbidden, ada.id, "auth.unlock_user", ada.id, json!({})).await?;
        t.accept("svc-operator", "auth.unlock_user", ada.id, json!({})).await?;
        log_in(&t, "ada").await?;
        Ok(())
    });
}

#[test]
fn a_refresh_token_is_good_once() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?;
        let bob = register(&t, "bob").await?;
        let first = log_in(&t, "ada").await?;
        let second = refresh(&t, ada.id, &first["refresh_token"]).await?;
        let second = second.data.unwrap_or_default();
        assert_eq!(second["session_id"], first["session_id"]);
        assert!(second["session_token"].is_string());
        assert_ne!(second["session_token"], first["session_token"]);
        let third = refresh(&t, ada.id, &second["refresh_token"]).await?;
        let third = third.data.unwrap_or_default();
        for (user, token) in [
            (bob.id, &third["refresh_token"]),
            (ada.id, &third["session_token"]),
            (ada.id, &json!("er_made_up")),
        ] {
            let refused = refresh(&t, user, token).await?;
            assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated), "{token}");
        }
        refresh(&t, ada.id, &third["refresh_token"]).await?.data.expect("the session still stands");
        // One that was exchanged long ago: somebody else has it too.
        let refused = refresh(&t, ada.id, &first["refresh_token"]).await?;
        assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated));
        let history = history(&t).await?;
        let [.., reused, ended] = history.as_slice() else { panic!("{history:?}") };
        assert!(matches!(reused, SessionEvent::RefreshTokenReused(it) if it.generation == 0));
        assert!(matches!(ended, SessionEvent::SessionRevoked(_)));
        Ok(())
    });
}

#[test]
fn a_session_is_known_to_the_next_handler() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        t.add(Roles::PROJECTOR).await?;
        t.add(Roles::HANDLER).await?;
        let ada = register(&t, "ada").await?;
        let tokens = log_in(&t, "ada").await?;
        for _ in 0..4 {
            try_log_in(&t, "ada", "a wrong password").await?;
        }
        t.stop_at(1).await?;
        t.add(Roles::HANDLER).await?;
        refresh(&t, ada.id, &tokens["refresh_token"]).await?.data.expect("new tokens");
        try_log_in(&t, "ada", "a wrong password").await?;
        let outcome = try_log_in(&t, "ada", PASSWORD).await?;
        assert_eq!(code(&outcome), Some(ErrorCode::Unauthenticated), "five have failed");
        Ok(())
    });
}

#[test]
fn a_session_in_use_says_so_once_a_minute() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?;
        let session = log_in(&t, "ada").await?;
        let body = json!({ "session_id": session["session_id"] });
        let used = "auth.record_session_activity";
        let first = t.accept(ada.id, used, ada.id, body.clone()).await?;
        assert_eq!(first.events, ["session_activity_recorded"]);
        assert_eq!(t.accept(ada.id, used, ada.id, body.clone()).await?.events, [""; 0]);
        let later = "SELECT last_activity_at > created_at FROM auth.sessions";
        assert_eq!(t.value(later).await?, "true");
        let bob = register(&t, "bob").await?;
        t.refuse(ErrorCode::Forbidden, bob.id, used, ada.id, body.clone()).await?;
        t.refuse(ErrorCode::Forbidden, ada.id, "auth.expire_session", ada.id, body.clone()).await?;
        t.refuse(ErrorCode::Conflict, "svc-echolog", "auth.expire_session", ada.id, body).await?;
        Ok(())
    });
}

#[test]
fn what_is_over_ends_by_itself_and_once() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        let logins = LoginLimits { session: Duration::from_secs(2), lock: Duration::from_secs(2) };
        let timers = TimerLimits { every: Duration::from_secs(1), ..TimerLimits::default() };
        let limits = Limits { rate: Tenant::UNLIMITED, logins, timers, ..Limits::default() };
        // Two timers, who see the same.
        for roles in [Roles::ALL, Roles::TIMERS] {
            t.add_limited(roles, limits, &callout::Options::default()).await?;
        }
        register(&t, "ada").await?;
        register(&t, "bob").await?;
        log_in(&t, "ada").await?;
        for _ in 0..5 {
            try_log_in(&t, "bob", "a wrong password").await?;
        }
        let over = "SELECT revoked_reason, revoked_at = expires_at FROM auth.sessions";
        eventually("the session is over", || async {
            Ok(t.rows(over).await? == [["expired", "true"]])
        })
        .await?;
        let open = "SELECT metadata->>'by' FROM auth.security_events
            WHERE event_type = 'user_unlocked'";
        eventually("the lock is open", || async { Ok(t.rows(open).await? == [["time"]]) }).await?;
        let locks = "SELECT count(*) FROM auth.users WHERE locked OR locked_until IS NOT NULL";
        assert_eq!(t.value(locks).await?, "0");
        log_in(&t, "bob").await?;
        // The next session ends too, and by then each timer has looked again.
        eventually("that session is over too", || async {
            Ok(t.rows(over).await? == [["expired", "true"], ["expired", "true"]])
        })
        .await?;
        let history = history(&t).await?;
        let expired = history.iter().filter(|it| matches!(it, SessionEvent::SessionExpired(_)));
        let unlocked = history.iter().filter(|it| matches!(it, SessionEvent::UserUnlocked(_)));
        assert_eq!((expired.count(), unlocked.count()), (2, 1), "{history:?}");
        Ok(())
    });
}

/// Everything that rests anywhere: messages of the streams, rows of the tables, metrics.
pub(crate) async fn all_that_rests(t: &Tenant) -> anyhow::Result<String> {
    Ok(http_get(&t.metrics_url()).await? + &stored(t).await?)
}

/// The messages of the streams, and the rows of the tables.
pub(crate) async fn stored(t: &Tenant) -> anyhow::Result<String> {
    let mut all = String::new();
    let jetstream = t.jetstream().await?;
    let names = t.config.names()?;
    for stream in [names.command_stream(), names.event_stream()] {
        let stream = jetstream.get_stream(stream).await?;
        let state = &stream.cached_info().state;
        for sequence in state.first_sequence..=state.last_sequence {
            if let Ok(message) = stream.get_raw_message(sequence).await {
                all.push_str(&format!("{} {:?} ", message.subject, message.headers));
                all.push_str(&String::from_utf8_lossy(&message.payload));
            }
        }
    }
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    for table in t.rows(tables).await? {
        let rows = t.rows(&format!("SELECT x::text FROM {} AS x", table[0])).await?;
        all.extend(rows.into_iter().flatten());
    }
    Ok(all)
}

/// A code that was sent, and what proves that it was right.
pub(crate) struct Code {
    pub(crate) digits: String,
    pub(crate) proof: String,
}

pub(crate) async fn code_of(
    t: &Tenant,
    place: &std::path::Path,
    address: &str,
) -> anyhow::Result<Code> {
    let otp = clock::new_id();
    let body = json!({ "purpose": "registration", "identifier": address });
    t.accept("anon-test", "auth.request_otp", otp, body).await?;
    let path = place.join(format!("{otp}.txt"));
    let sent = || std::fs::read_to_string(&path).unwrap_or_default();
    eventually("the code is sent", || async { Ok(sent().ends_with("do.\n")) }).await?;
    let letter = sent();
    let words = letter.split_whitespace();
    let mut codes =
        words.filter(|word| word.len() == 6 && word.bytes().all(|it| it.is_ascii_digit()));
    let digits = codes.next().unwrap_or_default().to_owned();
    for code in ["000000", &digits.clone()] {
        let body = json!({ "identifier": address, "code": code });
        let request = Request::new("anon-test", "auth.verify_otp", otp, body);
        let outcome = t.client.send(&request.projected()).await?;
        if let Some(data) = outcome.data {
            let proof = data["proof"].as_str().unwrap_or_default().to_owned();
            return Ok(Code { digits, proof });
        }
    }
    anyhow::bail!("the code is not right: {letter}")
}

#[test]
fn no_secret_rests_anywhere() {
    run(async {
        let place = tempfile::tempdir()?;
        let mut t = Tenant::without_workers().await?;
        t.config.outbox.outbox_dir = Some(place.path().to_owned());
        t.add(Roles::ALL).await?;
        let ada = register(&t, "ada").await?;
        let wrong = "a marked wrong password";
        try_log_in(&t, "ada", wrong).await?;
        try_log_in(&t, "a marked password typed as a name", wrong).await?;
        let first = log_in(&t, "ada").await?;
        let second = refresh(&t, ada.id, &first["refresh_token"]).await?.data.unwrap_or_default();
        refresh(&t, ada.id, &json!("er_a_marked_token")).await?;
        // As after an answer that got lost.
        let body = json!({ "refresh_token": first["refresh_token"] });
        let again = Request::new("anon-test", "auth.refresh_session", ada.id, body);
        t.client.send(&again.projected()).await?;
        t.accept(ada.id, "auth.revoke_all_sessions", ada.id, json!({})).await?;
        let changed = json!({ "old_password": wrong, "new_password": "a marked new one" });
        t.refuse(ErrorCode::Unauthenticated, ada.id, "auth.change_password", ada.id, changed)
            .await?;
        let changed = json!({ "old_password": PASSWORD, "new_password": "a marked new password" });
        t.accept(ada.id, "auth.change_password", ada.id, changed).await?;
        let set = json!({ "new_password": "a marked one of the operator's" });
        t.accept("svc-operator", "auth.change_password", ada.id, set).await?;
        let one = code_of(&t, place.path(), "somebody.new@example.org").await?;
        let other = code_of(&t, place.path(), "somebody.else@example.org").await?;
        let body = json!({
            "api_key_id": clock::new_id(), "name": "key", "scopes": ["users"],
            "password": "a marked one of the operator's",
        });
        let key = t.accept(ada.id, "auth.create_api_key", ada.id, body).await?;
        let key = key.data.unwrap_or_default()["api_key"].as_str().unwrap_or_default().to_owned();
        let reset = clock::new_id();
        let body = json!({ "identifier": "ada@example.org" });
        t.accept("anon-test", "auth.request_password_reset", reset, body).await?;
        let letter = || std::fs::read_to_string(place.path().join(format!("{reset}.txt")));
        let sent = || letter().is_ok_and(|letter| letter.ends_with("do.\n"));
        eventually("the token is sent", || async { Ok(sent()) }).await?;
        let letter = letter()?;
        let token = letter.split_whitespace().find(|word| word.starts_with("ep_"));
        let token = token.unwrap_or_default().to_owned();
        let completed = json!({ "token": token, "new_password": "a marked password of a reset" });
        t.accept("anon-test", "auth.complete_password_reset", reset, completed).await?;
        let all = all_that_rests(&t).await?;
        assert!(all.contains("login_failed") && all.contains("$argon2id$"), "it looks there");
        let tokens = [&first, &second]
            .into_iter()
            .flat_map(|data| [&data["session_token"], &data["refresh_token"]])
            .map(|token| token.as_str().unwrap_or_default().to_owned());
        for secret in tokens.chain([
            key,
            PASSWORD.to_owned(),
            "marked".to_owned(),
            one.proof.clone(),
            other.proof.clone(),
            token,
        ]) {
            assert!(secret.len() > 5 && !all.contains(&secret), "{secret} rests somewhere");
        }
        // Six digits may be the end of a time; those of two codes hardly are.
        let rests = |code: &Code| {
            all.split(|it: char| !it.is_ascii_alphanumeric()).any(|word| word == code.digits)
        };
        assert!(all.contains("otp_verified") && !(rests(&one) && rests(&other)));
        assert!(!all.contains("somebody"), "nor whose address they were sent to");
        Ok(())
    });
}
