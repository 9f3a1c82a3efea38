//! Many who try at once, from many connections and at several handlers: what only one may have.

use std::future::Future;

use chrono::TimeDelta;
use echolog::callout::Options;
use echolog::client::{Client, Request};
use echolog::clock;
use echolog::handler::{HashingLimits, Limits};
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::{CodeEvent, SessionEvent};
use echolog_tests::{Tenant, run};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::codes;
use crate::connects::{self, log_out, site, token};
use crate::logins::{self, PASSWORD, code, register};
use crate::second_factors::shown;

/// Guesses at once; the right one goes off among the last.
const GUESSES: usize = 200;
const RIGHT: usize = 190;

/// How many may be wrong.
const LIMIT: usize = 5;

/// A tenant with two handlers that hash in no time.
async fn quick() -> anyhow::Result<Tenant> {
    let mut t = Tenant::without_workers().await?;
    let hashing = HashingLimits { memory_kib: 64, iterations: 1, threads: 2, queue: 1_000 };
    let limits = Limits { rate: Tenant::UNLIMITED, hashing, ..Limits::default() };
    for roles in [Roles::ALL, Roles::HANDLER] {
        t.add_limited(roles, limits, &Options::default()).await?;
    }
    Ok(t)
}

/// Connections of their own.
async fn clients(t: &Tenant) -> anyhow::Result<Vec<Client>> {
    let connect = (0..20).map(|_| async {
        anyhow::Ok(Client::connect(t.config.bus("guesser").await?, t.config.names()?).await?)
    });
    join_all(connect).await.into_iter().collect()
}

/// Does something again and again until it is decided.
async fn decided<F>(mut ask: impl FnMut() -> F) -> anyhow::Result<Outcome>
where
    F: Future<Output = anyhow::Result<Outcome>>,
{
    loop {
        let outcome = ask().await?;
        if outcome.status != Status::Failed {
            return Ok(outcome);
        }
    }
}

/// Makes all guesses at once, each by one of many connections.
async fn guess(t: &Tenant, request: impl Fn(usize) -> Request) -> anyhow::Result<Vec<Outcome>> {
    let clients = clients(t).await?;
    let requests: Vec<Request> = (0..GUESSES).map(request).collect();
    let guesses = requests.iter().enumerate().map(|(number, request)| {
        let client = &clients[number % clients.len()];
        decided(async || Ok(client.send(request).await?))
    });
    join_all(guesses).await.into_iter().collect()
}

/// Of tries in the order of the log, `false` for one that was wrong and counted, how many were wrong
/// behind the last one that was right; none may be right that comes too late.
fn wrong_at_last(tries: impl IntoIterator<Item = bool>) -> usize {
    tries.into_iter().fold(0, |wrong, right| {
        assert!(wrong < LIMIT, "one more was looked at");
        if right { 0 } else { wrong + 1 }
    })
}

fn session_try(event: &SessionEvent) -> Option<bool> {
    if let SessionEvent::LoginFailed(failed) = event {
        failed.counts.then_some(false)
    } else {
        matches!(event, SessionEvent::LoginSucceeded(_)).then_some(true)
    }
}

#[test]
fn of_many_guesses_at_a_password_at_once_five_count() {
    run(async {
        let t = quick().await?;
        register(&t, "ada").await?;
        let outcomes = guess(&t, |number| {
            let password = match number {
                RIGHT => PASSWORD.to_owned(),
                number => format!("a guess {number}"),
            };
            let body = json!({ "identifier": "ada", "password": password });
            Request::new(format!("anon-{number}"), "auth.log_in", clock::new_id(), body)
        })
        .await?;
        for (number, outcome) in outcomes.iter().enumerate().filter(|(number, _)| *number != RIGHT)
        {
            assert_eq!(code(outcome), Some(ErrorCode::Unauthenticated), "{number}");
        }
        let history = logins::history(&t).await?;
        assert_eq!(wrong_at_last(history.iter().filter_map(session_try)), LIMIT);
        let won = history.iter().any(|it| matches!(it, SessionEvent::LoginSucceeded(_)));
        assert_eq!(outcomes[RIGHT].status == Status::Accepted, won);
        let late = logins::try_log_in(&t, "ada", PASSWORD).await?;
        assert_eq!(code(&late), Some(ErrorCode::Unauthenticated), "the right one comes too late");
        Ok(())
    });
}

#[test]
fn of_many_guesses_at_a_second_factor_at_once_five_count() {
    run(async {
        let t = quick().await?;
        let ada = register(&t, "ada").await?.id;
        let ask = async |name, body| {
            let outcome = t.client.send(&Request::new(ada, name, ada, body)).await?;
            anyhow::ensure!(outcome.status == Status::Accepted, "{name}: {outcome:?}");
            anyhow::Ok(outcome.data.unwrap_or_default())
        };
        let begun = ask("auth.begin_two_factor", json!({ "password": PASSWORD })).await?;
        let secret = begun["secret"].as_str().unwrap_or_default();
        let now = clock::now();
        let enabled = ask("auth.enable_two_factor", json!({ "totp": shown(secret, now) })).await?;
        let next = shown(secret, now + TimeDelta::seconds(30));
        let others: Vec<String> =
            (0..).map(|it| format!("{it:06}")).filter(|it| *it != next).take(GUESSES).collect();
        let outcomes = guess(&t, |number| {
            let mut body = json!({ "identifier": "ada", "password": PASSWORD });
            match number {
                RIGHT => body["totp"] = json!(next),
                number if number % 2 == 0 => body["totp"] = json!(others[number]),
                number => body["recovery_code"] = json!(format!("aaaaa-{number:05}")),
            }
            Request::new(format!("anon-{number}"), "auth.log_in", clock::new_id(), body)
        })
        .await?;
        let refused = outcomes.iter().filter(|it| code(it) == Some(ErrorCode::Unauthenticated));
        assert!(refused.count() >= GUESSES - 1);
        let history = logins::history(&t).await?;
        assert_eq!(wrong_at_last(history.iter().filter_map(session_try)), LIMIT);
        let late = json!({
            "identifier": "ada", "password": PASSWORD, "recovery_code": enabled["recovery_codes"][0],
        });
        let late = Request::new("anon-test", "auth.log_in", clock::new_id(), late);
        assert_eq!(code(&t.client.send(&late).await?), Some(ErrorCode::Unauthenticated));
        Ok(())
    });
}

#[test]
fn of_many_guesses_at_a_code_at_once_five_count() {
    run(async {
        let place = tempfile::tempdir()?;
        let mut t = codes::tenant(place.path()).await?;
        t.add(Roles::HANDLER).await?;
        let to = "ada@example.org";
        let (otp, _) = codes::ask(&t, "anon-test", "registration", to).await?;
        let right = codes::digits(&codes::letter(place.path(), to).await?)?;
        let others: Vec<String> =
            (0..).map(|it| format!("{it:06}")).filter(|it| *it != right).take(GUESSES).collect();
        let outcomes = guess(&t, |number| {
            let shown = if number == RIGHT { &right } else { &others[number] };
            let body = json!({ "identifier": to, "code": shown });
            Request::new(format!("anon-{number}"), "auth.verify_otp", otp, body)
        })
        .await?;
        let history = codes::history(&t).await?;
        let right_or_wrong = |event: &CodeEvent| match matches!(event, CodeEvent::OtpVerified(_)) {
            true => Some(true),
            false => matches!(event, CodeEvent::OtpAttemptFailed(_)).then_some(false),
        };
        let tries = history.iter().filter_map(right_or_wrong);
        let wrong = wrong_at_last(tries);
        let won = outcomes[RIGHT].status == Status::Accepted;
        assert!(won || wrong == LIMIT, "{wrong} wrong ones");
        let accepted = outcomes.iter().filter(|it| it.status == Status::Accepted).count();
        assert_eq!(accepted, usize::from(won), "{outcomes:?}");
        let late = codes::show(&t, otp, to, &right).await?;
        assert_eq!(code(&late), Some(ErrorCode::Gone), "the right one comes too late");
        Ok(())
    });
}

#[test]
fn of_many_who_show_one_refresh_token_at_once_none_is_left_but_one() {
    run(async {
        let (broker, mut t) = site().await?;
        t.add(Roles::HANDLER).await?;
        let ada = connects::register(&t, "ada").await?;
        let session = connects::log_in(&t, "ada").await?;
        let clients = clients(&t).await?;
        let exchange = async |(client, session): (&Client, &Value)| {
            let body = json!({ "refresh_token": session["refresh_token"] });
            let request = Request::new("anon-test", "auth.refresh_session", ada, body);
            let outcome = decided(async || Ok(client.send(&request).await?)).await?;
            anyhow::Ok(outcome.data)
        };
        // As after an answer that got lost: whoever asks gets an answer, and the last one has it.
        let told = join_all(clients.iter().map(|client| exchange((client, &session)))).await;
        let told: Vec<Value> =
            told.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        assert!(!told.is_empty());
        let mut let_in = Vec::new();
        for told in &told {
            let shown = json!({ "auth_token": token(told) });
            if let Ok(raw) = broker.connect(shown).await? {
                let_in.push(raw);
            }
        }
        assert_eq!(let_in.len(), 1, "of {}", told.len());
        broker.refuses(token(&session)).await?;

        // Whoever goes on with what is not the last one has stolen it, or was stolen from.
        let next = join_all(clients.iter().zip(&told).map(exchange)).await;
        let next: Vec<Value> =
            next.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        assert!(next.len() <= 1, "{} went on", next.len());
        for raw in let_in {
            raw.ended().await?;
        }
        for told in told.iter().chain(&next) {
            broker.refuses(token(told)).await?;
        }
        let history = logins::history(&t).await?;
        let reused = history.iter().filter(|it| matches!(it, SessionEvent::RefreshTokenReused(_)));
        let ended = history.iter().filter(|it| matches!(it, SessionEvent::SessionRevoked(_)));
        assert_eq!((reused.count(), ended.count()), (1, 1), "{history:?}");
        Ok(())
    });
}

#[test]
fn who_knows_the_id_of_a_session_has_no_part_in_it() {
    run(async {
        let (broker, t) = site().await?;
        let (ada, eve) =
            (connects::register(&t, "ada").await?, connects::register(&t, "eve").await?);
        let session = connects::log_in(&t, "ada").await?;
        let id = session["session_id"].as_str().unwrap_or_default().parse()?;
        let mut hers = broker.user(token(&session)).await?;
        let log_in_as = async |name: &str, target| {
            let body = json!({ "identifier": name, "password": PASSWORD });
            t.client.send(&Request::new("anon-eve", "auth.log_in", target, body)).await
        };

        // The same id, for another account: another session.
        let same = log_in_as("eve", id).await?.data.unwrap_or_default();
        assert_eq!(same["session_id"], session["session_id"]);
        let theirs = broker.user(token(&same)).await?;
        let body = json!({ "session_id": id });
        t.refuse(ErrorCode::Forbidden, eve, "auth.revoke_session", ada, body).await?;
        log_out(&t, eve, &same).await?;
        theirs.ended().await?;
        assert_eq!(hers.sync().await?, [], "an end of the same name is not hers");
        broker.user(token(&session)).await?;
        broker.refuses(token(&same)).await?;

        // The id that somebody has prepared, for the account that falls for it: only who logs in is told.
        let taken = log_in_as("ada", id).await?;
        assert_eq!(code(&taken), Some(ErrorCode::Conflict));
        let prepared = clock::new_id();
        let victim = log_in_as("ada", prepared).await?.data.unwrap_or_default();
        let own = log_in_as("eve", prepared).await?.data.unwrap_or_default();
        assert_ne!(own["session_token"], victim["session_token"]);
        let exchange = json!({ "refresh_token": own["refresh_token"] });
        let name = "auth.refresh_session";
        t.refuse(ErrorCode::Unauthenticated, "anon-eve", name, ada, exchange).await?;
        let mut hers = broker.user(token(&victim)).await?;
        t.accept(eve, "auth.revoke_all_sessions", eve, json!({})).await?;
        assert_eq!(hers.sync().await?, []);
        Ok(())
    });
}
