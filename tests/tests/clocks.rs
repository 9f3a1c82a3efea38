//! Processes whose clock is wrong: what is over, and what is not, the broker's clock says.

use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use echolog::client::Request;
use echolog::clock;
use echolog_commands::{ErrorCode, Outcome, Status, fields};
use echolog_events::{Time, Uuid};
use echolog_tests::broker::Broker;
use echolog_tests::{Tenant, echolog_binary, eventually, run};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::codes::{digits, letter};
use crate::connects::{key, log_in, log_out, make_key, refresh, token};
use crate::logins::{PASSWORD, code, register, try_log_in};
use crate::second_factors::shown;

/// An hour, in seconds.
const HOUR: i64 = 60 * 60;

/// How long sessions and locks last, in seconds.
const SHORT: &str = "6";
const LASTS: TimeDelta = TimeDelta::seconds(6);

#[test]
fn what_is_over_the_clock_of_the_broker_says() {
    run(async { wrong_by(HOUR).await });
}

#[test]
fn what_is_not_over_the_clock_of_the_broker_says() {
    run(async { wrong_by(-HOUR).await });
}

/// Whether something ends so long after `begun`, which the clock that is right said.
fn ends_in(ends: &Value, begun: Time, lasts: TimeDelta) -> anyhow::Result<()> {
    let ends: Time = ends.as_str().context("a time")?.parse()?;
    let (least, most) = (begun + lasts, clock::now() + lasts);
    // To the second, as what is asked of the broker's clock is.
    let slack = TimeDelta::seconds(1);
    anyhow::ensure!(least - slack <= ends && ends <= most + slack, "{ends}, not {least} to {most}");
    Ok(())
}

/// Everything by processes whose clock is so many seconds off, asked by one whose clock is right.
async fn wrong_by(seconds: i64) -> anyhow::Result<()> {
    let wrong = seconds.to_string();
    let id = Command::new(echolog_binary()?)
        .arg("id")
        .env("ECHOLOG_CLOCK_WRONG_BY", &wrong)
        .output()
        .await?;
    let id: Uuid = String::from_utf8(id.stdout)?.trim().parse()?;
    let off = fields::made(id).context("a time")? - clock::now();
    anyhow::ensure!((off.num_seconds() - seconds).abs() < 60, "it knows nothing of that: {off}");

    let broker = Broker::start().await?;
    let t = Tenant::on(broker.nats.url()).await?;
    let directory = tempfile::tempdir()?;
    let letters = directory.path().join("letters");
    let settings = [
        ("ECHOLOG_CLOCK_WRONG_BY", wrong.as_str()),
        ("ECHOLOG_OUTBOX_DIR", letters.to_str().context("a path")?),
        ("ECHOLOG_SESSION_LIFETIME", SHORT),
        ("ECHOLOG_LOGIN_LOCK", SHORT),
        ("ECHOLOG_TIMERS_EVERY", "1"),
    ];
    let mut workers = Vec::new();
    for role in ["projector", "handler", "callout", "timers"] {
        let log = directory.path().join(format!("{role}.log"));
        workers.push(broker.worker(&t, role, &log, &settings).await?);
    }
    let ada = register(&t, "ada").await?.id;
    register(&t, "bob").await?;

    // A session lasts as long as it should, and lets in as long.
    let begun = clock::now();
    let first = log_in(&t, "ada").await?;
    ends_in(&first["expires_at"], begun, LASTS)?;
    let held = broker.user(token(&first)).await?;
    let begun = clock::now();
    let second = refresh(&t, ada, &first).await?;
    ends_in(&second["expires_at"], begun, LASTS)?;
    let held_longer = broker.user(token(&second)).await?;
    let mut anonymous = broker.anonymous("a secret that this client keeps: 1").await?;
    let revoked = log_in(&t, "ada").await?;
    let kicked = broker.user(token(&revoked)).await?;
    log_out(&t, ada, &revoked).await?;
    kicked.ended().await?;

    // A lock is there at once, and gone when it should be.
    for _ in 0..5 {
        try_log_in(&t, "bob", "a wrong password").await?;
    }
    let locked = try_log_in(&t, "bob", PASSWORD).await?;
    anyhow::ensure!(code(&locked) == Some(ErrorCode::Unauthenticated), "{locked:?}");

    // A key that ends soon has not ended yet.
    let soon = clock::now() + Duration::from_secs(6);
    let short = make_key(&t, ada, json!(["users"]), json!(soon)).await?;
    let by_key = broker.user(key(&short)).await?;

    // What was held ends, and neither owner, callout nor tables take it for good.
    for raw in [held, held_longer, by_key] {
        raw.ended().await?;
    }
    eventually("nobody is let in any more", || async {
        let shown = json!({ "auth_token": token(&second) });
        Ok(broker.connect(shown).await?.is_err())
    })
    .await?;
    let body = json!({ "refresh_token": second["refresh_token"] });
    let late = told_no(&t, "anon-test", "auth.refresh_session", ada, body).await?;
    anyhow::ensure!(code(&late) == Some(ErrorCode::Unauthenticated), "{late:?}");
    anyhow::ensure!(anonymous.sync().await?.is_empty(), "its hour is not over");
    let over = "SELECT revoked_reason, revoked_at = expires_at FROM auth.sessions
        WHERE revoked_reason <> 'logout'";
    eventually("the session is over in the tables", || async {
        Ok(t.rows(over).await? == [["expired", "true"]])
    })
    .await?;
    eventually("the lock is open in the tables", || async {
        let open = "SELECT locked, locked_until IS NULL FROM auth.users WHERE username = 'bob'";
        Ok(t.rows(open).await? == [["false", "true"]])
    })
    .await?;
    anyhow::ensure!(try_log_in(&t, "bob", PASSWORD).await?.status == Status::Accepted);

    // Codes and second factors are those of now.
    let begun = clock::now();
    let otp = clock::new_id();
    let to = "somebody@example.org";
    let asked = json!({ "purpose": "registration", "identifier": to });
    let asked = t.accept("anon-test", "auth.request_otp", otp, asked).await?;
    ends_in(&asked.data.unwrap_or_default()["expires_at"], begun, TimeDelta::minutes(10))?;
    let right = digits(&letter(&letters, to).await?)?;
    let body = json!({ "identifier": to, "code": right });
    t.accept("anon-test", "auth.verify_otp", otp, body).await?;
    let begin = json!({ "password": PASSWORD });
    let begun = t.accept(ada, "auth.begin_two_factor", ada, begin).await?.data.unwrap_or_default();
    let secret = begun["secret"].as_str().unwrap_or_default();
    let theirs = shown(secret, clock::now() + TimeDelta::seconds(seconds));
    let no = told_no(&t, ada, "auth.enable_two_factor", ada, json!({ "totp": theirs })).await?;
    anyhow::ensure!(code(&no) == Some(ErrorCode::Unauthenticated), "{no:?}");
    let ours = json!({ "totp": shown(secret, clock::now()) });
    t.accept(ada, "auth.enable_two_factor", ada, ours).await?;
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

async fn told_no(
    t: &Tenant,
    actor: impl ToString,
    name: &str,
    target: Uuid,
    body: Value,
) -> anyhow::Result<Outcome> {
    let outcome = t.client.send(&Request::new(actor, name, target, body)).await?;
    anyhow::ensure!(outcome.status == Status::Rejected, "{name}: {outcome:?}");
    Ok(outcome)
}
