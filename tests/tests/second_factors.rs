//! Logging in with more than a password.

use chrono::TimeDelta;
use data_encoding::BASE32_NOPAD;
use echolog::client::Request;
use echolog::clock;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::{Time, Uuid};
use echolog_tests::{Tenant, run};
use serde_json::{Value, json};
use totp_rs::{Algorithm, TOTP};

use crate::logins::{PASSWORD, all_that_rests, code, register};

/// What an authenticator app shows that was given this secret.
pub(crate) fn shown(secret: &str, at: Time) -> String {
    let secret = BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
    let totp = TOTP::new(Algorithm::SHA1, 6, 0, 30, secret).expect("160 bits are enough");
    totp.generate(at.timestamp().try_into().expect("after 1970"))
}

async fn ask(t: &Tenant, user: Uuid, command: &str, body: Value) -> anyhow::Result<Outcome> {
    Ok(t.client.send(&Request::new(user.to_string(), command, user, body)).await?)
}

async fn log_in(t: &Tenant, factor: Value) -> anyhow::Result<Outcome> {
    let mut body = json!({ "identifier": "ada", "password": PASSWORD });
    for (name, value) in factor.as_object().expect("fields") {
        body[name] = value.clone();
    }
    Ok(t.client.send(&Request::new("anon-test", "auth.log_in", clock::new_id(), body)).await?)
}

fn data(outcome: Outcome) -> Value {
    assert_eq!(outcome.status, Status::Accepted, "{outcome:?}");
    outcome.data.unwrap_or_default()
}

#[test]
fn an_authenticator_from_its_secret_to_its_loss() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?.id;
        let wrong = ask(&t, ada, "auth.begin_two_factor", json!({ "password": "a wrong one" }));
        assert_eq!(code(&wrong.await?), Some(ErrorCode::Unauthenticated));
        let begin = json!({ "password": PASSWORD });
        let begun = data(ask(&t, ada, "auth.begin_two_factor", begin).await?);
        let secret = begun["secret"].as_str().unwrap_or_default().to_owned();
        let uri = format!("otpauth://totp/Echolog:{ada}?secret={secret}&issuer=Echolog");
        assert_eq!(begun["otpauth_uri"], json!(uri));
        // Not in use yet.
        data(log_in(&t, json!({})).await?);

        // Clocks may be half a minute apart, so this code and the next are good for a while.
        let now = clock::now();
        let first = shown(&secret, now);
        let enable =
            Request::new(ada.to_string(), "auth.enable_two_factor", ada, json!({ "totp": first }));
        let enabled = data(t.client.send(&enable).await?);
        let again = t.client.send(&enable).await?;
        assert_eq!((again.status, again.data), (Status::Accepted, None), "told once");
        let codes: Vec<String> = serde_json::from_value(enabled["recovery_codes"].clone())?;
        assert_eq!(codes.len(), 10);

        let no = log_in(&t, json!({})).await?;
        assert_eq!(code(&no), Some(ErrorCode::Unauthenticated));
        assert_eq!(no.data, Some(json!({ "second_factor": ["totp", "recovery_code"] })));
        let same = log_in(&t, json!({ "totp": first })).await?;
        assert_eq!(code(&same), Some(ErrorCode::Unauthenticated), "it is used up");
        let next = shown(&secret, now + TimeDelta::seconds(30));
        let outcome = log_in(&t, json!({ "totp": next })).await?;
        assert_eq!(outcome.events.last().map(String::as_str), Some("totp_used"));
        assert!(data(outcome)["session_token"].is_string());
        let careless = codes[3].to_uppercase().replace('-', " ");
        data(log_in(&t, json!({ "recovery_code": careless })).await?);
        let twice = log_in(&t, json!({ "recovery_code": codes[3] })).await?;
        assert_eq!(code(&twice), Some(ErrorCode::Unauthenticated));

        // Whoever has a session and the password has not got everything.
        let half = json!({ "password": PASSWORD });
        for command in ["auth.generate_recovery_codes", "auth.disable_two_factor"] {
            let no = ask(&t, ada, command, half.clone()).await?;
            assert_eq!(code(&no), Some(ErrorCode::Unauthenticated), "{command}");
            assert!(no.data.is_some(), "it is the second factor that is missing");
        }
        let new = json!({ "password": PASSWORD, "recovery_code": codes[5] });
        let outcome = ask(&t, ada, "auth.generate_recovery_codes", new).await?;
        let new: Vec<String> = serde_json::from_value(data(outcome)["recovery_codes"].clone())?;
        let old = log_in(&t, json!({ "recovery_code": codes[4] })).await?;
        assert_eq!(code(&old), Some(ErrorCode::Unauthenticated));
        data(log_in(&t, json!({ "recovery_code": new[4] })).await?);

        let lost = json!({ "reason": "the phone is gone" });
        let disable = Request::new("svc-operator", "auth.disable_two_factor", ada, lost);
        data(t.client.send(&disable.projected()).await?);
        data(log_in(&t, json!({})).await?);

        let factors = "SELECT status, last_step IS NOT NULL FROM auth.two_factor_factors";
        assert_eq!(t.rows(factors).await?, [["revoked", "true"]]);
        let codes_left = "SELECT count(*), count(used_at), count(revoked_at)
            FROM auth.recovery_codes";
        assert_eq!(t.rows(codes_left).await?, [["20", "3", "17"]]);
        let noticed =
            "SELECT event_type, severity FROM auth.security_events ORDER BY created_at, id";
        let noticed: Vec<String> =
            t.rows(noticed).await?.into_iter().map(|it| it.join(" ")).collect();
        for expected in ["two_factor_enabled warning", "two_factor_disabled critical"] {
            assert!(noticed.iter().any(|it| it == expected), "{noticed:?}");
        }
        let all = all_that_rests(&t).await?;
        assert!(all.contains("two_factor_begun"), "it looks there");
        for secret in codes.iter().chain(&new).chain([&secret]) {
            assert!(!all.contains(secret.as_str()), "{secret} rests somewhere");
            assert!(!all.contains(&secret.replace('-', "")), "{secret} rests somewhere");
        }
        Ok(())
    });
}

#[test]
fn nobody_guesses_a_code() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?.id;
        let begin = json!({ "password": PASSWORD });
        let begun = data(ask(&t, ada, "auth.begin_two_factor", begin).await?);
        let secret = begun["secret"].as_str().unwrap_or_default().to_owned();
        let now = clock::now();
        let enable = json!({ "totp": shown(&secret, now) });
        data(ask(&t, ada, "auth.enable_two_factor", enable).await?);
        let right = shown(&secret, now + TimeDelta::seconds(30));
        let guesses = (0..40).map(|guess| format!("{guess:06}")).filter(|guess| *guess != right);
        for guess in guesses.take(20) {
            let no = log_in(&t, json!({ "totp": guess })).await?;
            assert_eq!(code(&no), Some(ErrorCode::Unauthenticated), "{guess}");
        }
        let late = log_in(&t, json!({ "totp": right })).await?;
        assert_eq!(code(&late), Some(ErrorCode::Unauthenticated), "five have failed");
        let tried = "SELECT failure_reason, count(*) FROM auth.login_history WHERE NOT success
            GROUP BY 1 ORDER BY 1";
        t.accept("svc-operator", "auth.unlock_user", ada, json!({})).await?;
        assert_eq!(t.rows(tried).await?, [["locked", "16"], ["wrong_second_factor", "5"]]);
        Ok(())
    });
}
