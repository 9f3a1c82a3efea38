//! Passwords that change, and those that come from elsewhere.

use echolog::client::Request;
use echolog::clock;
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::Uuid;
use echolog_tests::{Tenant, eventually, run};
use futures::future::join_all;
use serde_json::{Value, json};

const OLD: &str = "correct horse battery";
const NEW: &str = "staples of another kind";

/// Of `open sesame`, as another system made it.
const BCRYPT: &str = "$2y$05$8W1xPQvx6KpDcbHjkyjmgezQ1tOy5q.wXOH8Ir3ED/DzhYA892QiS";

async fn register(t: &Tenant) -> anyhow::Result<Uuid> {
    let id = clock::new_id();
    let body = json!({ "username": "ada", "email": "ada@example.org", "password": OLD });
    t.accept("anon-test", "auth.register_user", id, body).await?;
    Ok(id)
}

async fn log_in(t: &Tenant, password: &str) -> anyhow::Result<Outcome> {
    let body = json!({ "identifier": "ada", "password": password });
    Ok(t.client.send(&Request::new("anon-test", "auth.log_in", clock::new_id(), body)).await?)
}

async fn change(
    t: &Tenant,
    actor: impl ToString,
    user: Uuid,
    body: Value,
) -> anyhow::Result<Outcome> {
    let request = Request::new(actor, "auth.change_password", user, body);
    Ok(t.client.send(&request.projected()).await?)
}

fn code(outcome: &Outcome) -> Option<ErrorCode> {
    outcome.error.as_ref().map(|error| error.code)
}

#[test]
fn a_new_password_takes_the_place_of_the_old_one() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t).await?;
        let mut sessions = Vec::new();
        for _ in 0..3 {
            let data = log_in(&t, OLD).await?.data.unwrap_or_default();
            sessions.push(data["session_id"].clone());
        }
        let same = json!({ "old_password": OLD, "new_password": OLD });
        assert_eq!(code(&change(&t, ada, ada, same).await?), Some(ErrorCode::Conflict));
        let body = json!({
            "old_password": OLD, "new_password": NEW, "except_session_id": sessions[1],
        });
        let changed = change(&t, ada, ada, body).await?;
        assert_eq!(changed.events, ["password_changed", "session_revoked", "session_revoked"]);
        let live = "SELECT id FROM auth.sessions WHERE revoked_at IS NULL";
        assert_eq!(json!(t.value(live).await?), sessions[1]);
        let ended =
            "SELECT DISTINCT revoked_reason FROM auth.sessions WHERE revoked_at IS NOT NULL";
        assert_eq!(t.value(ended).await?, "password_changed");
        assert_eq!(code(&log_in(&t, OLD).await?), Some(ErrorCode::Unauthenticated));
        assert_eq!(log_in(&t, NEW).await?.status, Status::Accepted);
        let notice = "SELECT event_type, severity, metadata->>'how' FROM auth.security_events";
        assert_eq!(t.rows(notice).await?, [["password_changed", "warning", "change"]]);
        Ok(())
    });
}

#[test]
fn whoever_does_not_know_the_old_one_changes_nothing() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t).await?;
        let bob = t.user("bob").await?;
        let body = json!({ "old_password": OLD, "new_password": NEW });
        assert_eq!(code(&change(&t, bob, ada, body.clone()).await?), Some(ErrorCode::Forbidden));
        let anyone = change(&t, "anon-test", ada, body.clone()).await?;
        assert_eq!(code(&anyone), Some(ErrorCode::Unauthenticated));
        let wrong = json!({ "old_password": "a wrong one", "new_password": NEW });
        for _ in 0..5 {
            let refused = change(&t, ada, ada, wrong.clone()).await?;
            assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated));
        }
        // Five have failed: neither here nor at the door does the right one help.
        assert_eq!(code(&change(&t, ada, ada, body).await?), Some(ErrorCode::Unauthenticated));
        assert_eq!(code(&log_in(&t, OLD).await?), Some(ErrorCode::Unauthenticated));
        let set = change(&t, "svc-operator", ada, json!({ "new_password": NEW })).await?;
        assert_eq!(set.events, ["password_changed", "user_unlocked", "admin_action_recorded"]);
        assert_eq!(log_in(&t, NEW).await?.status, Status::Accepted);
        let account = "SELECT locked, failed_login_attempts FROM auth.users WHERE username = 'ada'";
        eventually("the lock is open", || async { Ok(t.rows(account).await? == [["false", "0"]]) })
            .await?;
        let tried = "SELECT failure_reason, count(*) FROM auth.login_history WHERE NOT success
            GROUP BY 1 ORDER BY 1";
        assert_eq!(t.rows(tried).await?, [["locked", "2"], ["wrong_password", "5"]]);
        Ok(())
    });
}

#[test]
fn of_many_changes_at_once_each_rests_on_the_one_before() {
    run(async {
        let mut t = Tenant::start().await?;
        t.add(Roles::HANDLER).await?;
        let ada = register(&t).await?;
        let attempts = (0..8).map(|number| {
            let body = json!({ "old_password": OLD, "new_password": format!("new one {number}") });
            change(&t, ada, ada, body)
        });
        let mut accepted = Vec::new();
        for (number, outcome) in join_all(attempts).await.into_iter().enumerate() {
            let outcome = outcome?;
            match outcome.status {
                Status::Accepted => accepted.push(number),
                Status::Rejected => assert_eq!(code(&outcome), Some(ErrorCode::Unauthenticated)),
                Status::Failed => assert_eq!(code(&outcome), Some(ErrorCode::Unavailable)),
            }
        }
        let [only] = accepted.as_slice() else { panic!("{accepted:?} were accepted") };
        t.accept("svc-operator", "auth.unlock_user", ada, json!({})).await?;
        assert_eq!(log_in(&t, &format!("new one {only}")).await?.status, Status::Accepted);
        Ok(())
    });
}

#[test]
fn a_hash_from_elsewhere_is_checked_and_made_anew() {
    run(async {
        let mut t = Tenant::without_workers().await?;
        t.add(Roles::PROJECTOR).await?;
        t.add(Roles::HANDLER).await?;
        let ada = clock::new_id();
        let body = json!({ "username": "ada", "password_hash": BCRYPT });
        t.refuse(ErrorCode::Forbidden, "anon-test", "auth.register_user", ada, body.clone())
            .await?;
        let both = json!({ "username": "ada", "password_hash": BCRYPT, "password": OLD });
        t.refuse(ErrorCode::Invalid, "svc-import", "auth.register_user", ada, both).await?;
        t.accept("svc-import", "auth.register_user", ada, body).await?;
        let hash = "SELECT password_hash FROM auth.users";
        assert_eq!(t.value(hash).await?, BCRYPT);
        assert_eq!(code(&log_in(&t, "open barley").await?), Some(ErrorCode::Unauthenticated));
        let outcome = log_in(&t, "open sesame").await?;
        assert_eq!(outcome.events, ["session_started", "login_succeeded", "password_rehashed"]);
        assert!(outcome.data.is_some_and(|data| data["session_token"].is_string()));
        eventually("the table has the new hash", || async {
            Ok(t.value(hash).await?.starts_with("$argon2id$"))
        })
        .await?;
        // Another handler, which has read what the first one wrote.
        t.stop_at(1).await?;
        t.add(Roles::HANDLER).await?;
        let outcome = log_in(&t, "open sesame").await?;
        assert_eq!(outcome.events, ["session_started", "login_succeeded"]);
        let body = json!({ "old_password": "open sesame", "new_password": NEW });
        assert_eq!(change(&t, ada, ada, body).await?.status, Status::Accepted);
        assert_eq!(log_in(&t, NEW).await?.status, Status::Accepted);
        Ok(())
    });
}
