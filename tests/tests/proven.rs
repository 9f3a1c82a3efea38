//! What one-time codes are good for.

use anyhow::Context as _;
use echolog::callout::Options;
use echolog::client::Request;
use echolog::clock;
use echolog::handler::{Limits, RegistrationRules};
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::Uuid;
use echolog_tests::{Tenant, run};
use serde_json::{Value, json};

use crate::codes::{another, ask, digits, letter, show, tenant};
use crate::logins::{PASSWORD, code};

async fn send(
    t: &Tenant,
    actor: impl ToString,
    command: &str,
    target: Uuid,
    body: Value,
) -> anyhow::Result<Outcome> {
    Ok(t.client.send(&Request::new(actor, command, target, body).projected()).await?)
}

async fn log_in(t: &Tenant, body: Value) -> anyhow::Result<Outcome> {
    send(t, "anon-test", "auth.log_in", clock::new_id(), body).await
}

/// The proof that a user, or somebody before registration, has an address or number.
async fn proof(
    t: &Tenant,
    place: &std::path::Path,
    (actor, purpose): (&str, &str),
    to: &str,
) -> anyhow::Result<String> {
    let (otp, asked) = ask(t, actor, purpose, to).await?;
    assert_eq!(asked.status, Status::Accepted, "{asked:?}");
    let right = digits(&letter(place, to).await?)?;
    let shown = if purpose == "registration" {
        show(t, otp, to, &right).await?
    } else {
        send(t, actor, "auth.verify_otp", otp, json!({ "code": right })).await?
    };
    let data = shown.data.with_context(|| format!("{:?}", shown.error))?;
    Ok(data["proof"].as_str().context("a proof")?.to_owned())
}

#[test]
fn a_code_logs_in_where_there_is_no_password() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let ada = clock::new_id();
        let body = json!({ "username": "ada", "email": "ada@example.org" });
        t.accept("anon-test", "auth.register_user", ada, body).await?;
        let (otp, _) = ask(&t, "anon-test", "login", "ada@example.org").await?;
        let right = digits(&letter(place.path(), "ada@example.org").await?)?;
        let shown = |identifier: &str, otp: Uuid, code: &str| json!({ "identifier": identifier, "otp": { "otp_id": otp, "code": code } });
        let (other, strange) = (another(&right), clock::new_id());
        let mut answers = Vec::new();
        for body in [
            shown("ada@example.org", otp, &other),
            shown("ada@example.org", strange, &right),
            shown("nobody@example.org", otp, &right),
            json!({ "identifier": "ada@example.org", "password": PASSWORD }),
        ] {
            let no = log_in(&t, body).await?;
            assert_eq!(code(&no), Some(ErrorCode::Unauthenticated));
            answers.push((no.events, no.error, no.data));
        }
        assert!(answers.windows(2).all(|it| it[0] == it[1]), "{answers:?}");
        // Her name is as good as her address.
        let session = log_in(&t, shown("ada", otp, &right)).await?;
        assert_eq!(
            session.events,
            ["session_started", "login_succeeded", "otp_verified", "email_verified"]
        );
        assert!(session.data.context("tokens")?["session_token"].is_string());
        let user = "SELECT email_verified, email_verified_at IS NOT NULL FROM auth.users";
        assert_eq!(t.rows(user).await?, [["true", "true"]]);
        let history = "SELECT success, coalesce(failure_reason, '') FROM auth.login_history
            WHERE user_id IS NOT NULL ORDER BY created_at";
        assert_eq!(
            t.rows(history).await?,
            [
                ["false", "wrong_code"],
                ["false", "wrong_code"],
                ["false", "no_password"],
                ["true", ""],
            ]
        );
        let again = log_in(&t, shown("ada", otp, &right)).await?;
        assert_eq!(code(&again), Some(ErrorCode::Unauthenticated), "a code serves once");
        Ok(())
    });
}

#[test]
fn an_account_begins_with_a_proof() {
    run(async {
        let place = tempfile::tempdir()?;
        let mut t = Tenant::without_workers().await?;
        t.config.outbox.outbox_dir = Some(place.path().to_owned());
        let registration = RegistrationRules { require_contact_proof: true, ..Default::default() };
        let limits = Limits { registration, ..Limits::default() };
        t.add_limited(Roles::ALL, limits, &Options::default()).await?;
        let proof =
            proof(&t, place.path(), ("anon-test", "registration"), "ada@example.org").await?;
        let register = async |email: &str, proof: Option<&str>| {
            let body = json!({ "email": email, "email_proof": proof });
            send(&t, "anon-test", "auth.register_user", clock::new_id(), body).await
        };
        let none = register("ada@example.org", None).await?;
        assert_eq!(code(&none), Some(ErrorCode::Invalid));
        let other = register("bob@example.org", Some(&proof)).await?;
        assert_eq!(code(&other), Some(ErrorCode::Gone), "it is Ada's");
        let made_up = format!("eo_{}", "A".repeat(86));
        let made_up = register("ada@example.org", Some(&made_up)).await?;
        assert_eq!(code(&made_up), Some(ErrorCode::Gone));
        let ada = register("ada@example.org", Some(&proof)).await?;
        assert_eq!(ada.events, ["user_registered", "identifier_claimed", "email_verified"]);
        let taken = register("ada@example.org", Some(&proof)).await?;
        assert_eq!(code(&taken), Some(ErrorCode::AlreadyExists));
        let user = "SELECT account_status, email_verified, phone_verified FROM auth.users";
        assert_eq!(t.rows(user).await?, [["active", "true", "false"]]);
        Ok(())
    });
}

#[test]
fn another_address_takes_a_proof_and_the_password() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let ada = clock::new_id();
        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        t.accept("anon-test", "auth.register_user", ada, body).await?;
        let bob = clock::new_id();
        let body = json!({ "email": "bob@example.org", "password": PASSWORD });
        t.accept("anon-test", "auth.register_user", bob, body).await?;
        let (me, new) = (ada.to_string(), "countess@example.org");
        let proof_of_new = proof(&t, place.path(), (&me, "email_verification"), new).await?;
        let change = async |user: Uuid, email: &str, proof: &str, password: Option<&str>| {
            let body = json!({ "email": email, "proof": proof, "password": password });
            send(&t, user, "auth.change_email", user, body).await
        };
        for (user, email, password, no) in [
            (ada, new, None, ErrorCode::Invalid),
            (ada, new, Some("a wrong one"), ErrorCode::Unauthenticated),
            (ada, "other@example.org", Some(PASSWORD), ErrorCode::Gone),
            (bob, new, Some(PASSWORD), ErrorCode::Gone),
        ] {
            let outcome = change(user, email, &proof_of_new, password).await?;
            assert_eq!(code(&outcome), Some(no), "{email}");
        }
        let changed = change(ada, new, &proof_of_new, Some(PASSWORD)).await?;
        assert_eq!(changed.events, ["email_changed", "identifier_claimed", "identifier_released"]);
        let again = change(ada, new, &proof_of_new, Some(PASSWORD)).await?;
        assert_eq!((again.status, again.events), (Status::Accepted, Vec::new()), "she has it");
        let body = |identifier: &str| json!({ "identifier": identifier, "password": PASSWORD });
        assert_eq!(log_in(&t, body(new)).await?.status, Status::Accepted);
        let old = log_in(&t, body("ada@example.org")).await?;
        assert_eq!(code(&old), Some(ErrorCode::Unauthenticated));
        // The old one is free, and so is the new one once she is gone.
        let user = format!("SELECT email, email_verified FROM auth.users WHERE id = '{ada}'");
        assert_eq!(t.rows(&user).await?, [[new, "true"]]);
        let told = format!(
            "SELECT event_type, severity FROM auth.security_events WHERE user_id = '{ada}'
             AND event_type = 'email_changed'"
        );
        assert_eq!(t.rows(&told).await?, [["email_changed", "warning"]]);
        let body = json!({ "email": "ada@example.org" });
        t.accept("anon-test", "auth.register_user", clock::new_id(), body).await?;
        let gone = send(&t, ada, "auth.delete_user", ada, json!({ "password": PASSWORD })).await?;
        assert!(gone.events.contains(&"identifier_released".to_owned()), "{gone:?}");
        let body = json!({ "email": new });
        t.accept("anon-test", "auth.register_user", clock::new_id(), body).await?;

        let (him, number) = (bob.to_string(), "+442071838750");
        let proof_of_number = proof(&t, place.path(), (&him, "phone_change"), number).await?;
        let body = json!({
            "phone_number": number, "proof": proof_of_number, "password": PASSWORD,
        });
        let changed = send(&t, bob, "auth.change_phone", bob, body).await?;
        assert_eq!(changed.events, ["phone_changed", "identifier_claimed"]);
        let user =
            format!("SELECT phone_number, phone_verified FROM auth.users WHERE id = '{bob}'");
        assert_eq!(t.rows(&user).await?, [[number, "true"]]);
        Ok(())
    });
}

#[test]
fn a_code_by_mail_is_a_second_factor() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let ada = clock::new_id();
        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        t.accept("anon-test", "auth.register_user", ada, body).await?;
        let (otp, _) = ask(&t, ada, "2fa", "ada@example.org").await?;
        let right = digits(&letter(place.path(), "ada@example.org").await?)?;
        let enable = async |code: &str, password: Option<&str>| {
            let body = json!({ "otp": { "otp_id": otp, "code": code }, "password": password });
            send(&t, ada, "auth.enable_two_factor", ada, body).await
        };
        assert_eq!(code(&enable(&right, None).await?), Some(ErrorCode::Invalid));
        let wrong = enable(&another(&right), Some(PASSWORD)).await?;
        assert_eq!(code(&wrong), Some(ErrorCode::Unauthenticated));
        let enabled = enable(&right, Some(PASSWORD)).await?;
        assert_eq!(
            enabled.events,
            ["two_factor_enabled", "recovery_codes_generated", "otp_verified", "email_verified"]
        );
        let recovery = enabled.data.context("recovery codes")?["recovery_codes"][0].clone();
        let body = json!({ "identifier": "ada@example.org", "password": PASSWORD });
        let no = log_in(&t, body.clone()).await?;
        assert_eq!(no.data, Some(json!({ "second_factor": ["email", "recovery_code"] })));
        let mut used = body.clone();
        used["otp"] = json!({ "otp_id": otp, "code": right });
        let used = log_in(&t, used).await?;
        assert_eq!(code(&used), Some(ErrorCode::Unauthenticated), "it has served");
        let mut body = body;
        body["recovery_code"] = recovery;
        assert_eq!(log_in(&t, body).await?.status, Status::Accepted);
        let factor = "SELECT kind, status FROM auth.two_factor_factors";
        assert_eq!(t.rows(factor).await?, [["email", "active"]]);
        Ok(())
    });
}

#[test]
fn a_code_makes_way_for_another_password() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        let body = json!({ "email": "ada@example.org", "password": "a password to be lost" });
        t.accept("anon-test", "auth.register_user", clock::new_id(), body).await?;
        let (otp, _) = ask(&t, "anon-test", "password_reset", "ada@example.org").await?;
        let right = digits(&letter(place.path(), "ada@example.org").await?)?;
        let complete = async |identifier: &str, code: &str| {
            let body = json!({ "identifier": identifier, "code": code, "new_password": PASSWORD });
            send(&t, "anon-test", "auth.complete_password_reset", otp, body).await
        };
        let wrong = complete("ada@example.org", &another(&right)).await?;
        assert_eq!(code(&wrong), Some(ErrorCode::Unauthenticated));
        let nobody = complete("nobody@example.org", &right).await?;
        assert_eq!(code(&nobody), Some(ErrorCode::Gone));
        let done = complete("ada@example.org", &right).await?;
        assert_eq!(done.events, ["password_reset_completed", "password_changed", "otp_verified"]);
        let again = complete("ada@example.org", &right).await?;
        assert_eq!(code(&again), Some(ErrorCode::Gone));
        let body = json!({ "identifier": "ada@example.org", "password": PASSWORD });
        assert_eq!(log_in(&t, body).await?.status, Status::Accepted);
        Ok(())
    });
}

#[test]
fn whoever_has_no_password_shows_a_code() {
    run(async {
        let place = tempfile::tempdir()?;
        let t = tenant(place.path()).await?;
        for (name, command, fields) in [
            ("ada", "auth.change_password", json!({ "new_password": PASSWORD })),
            ("bob", "auth.delete_user", json!({})),
            ("eve", "auth.begin_two_factor", json!({})),
        ] {
            let (user, email) = (clock::new_id(), format!("{name}@example.org"));
            let body = json!({ "username": name, "email": email });
            t.accept("anon-test", "auth.register_user", user, body).await?;
            let no = send(&t, user, command, user, fields.clone()).await?;
            assert_eq!(code(&no), Some(ErrorCode::Unauthenticated), "{command}");
            let (otp, _) = ask(&t, user, "2fa", &email).await?;
            let right = digits(&letter(place.path(), &email).await?)?;
            let with = async |code: &str| {
                let mut body = fields.clone();
                body["otp"] = json!({ "otp_id": otp, "code": code });
                send(&t, user, command, user, body).await
            };
            let wrong = with(&another(&right)).await?;
            assert_eq!(code(&wrong), Some(ErrorCode::Unauthenticated), "{command}");
            let done = with(&right).await?;
            assert_eq!(done.status, Status::Accepted, "{command}: {:?}", done.error);
            assert!(done.events.contains(&"otp_verified".to_owned()), "{:?}", done.events);
        }
        let body = json!({ "identifier": "ada", "password": PASSWORD });
        assert_eq!(log_in(&t, body).await?.status, Status::Accepted);
        Ok(())
    });
}
