//! Other providers that vouch for people.

pub(crate) mod provider;
mod tokens;

use echolog::client::Request;
use echolog::clock;
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::Uuid;
use echolog_tests::broker::Broker;
use echolog_tests::{Tenant, http_get, run};
use futures::future::join_all;
use serde_json::{Value, json};

use self::provider::{ALL, ELSEWHERE, Flaw, Flow, Mood, Provider, client_secret, name_of};
use crate::logins::{PASSWORD, all_that_rests, code, register};

async fn tenant() -> anyhow::Result<(Tenant, Provider)> {
    let provider = Provider::start().await?;
    let mut t = Tenant::without_workers().await?;
    t.config.oauth = provider.options();
    t.add(Roles::ALL).await?;
    Ok((t, provider))
}

/// What somebody shows who comes back with a code.
pub(crate) fn shown(name: &str, code: &str, flow: &Flow) -> Value {
    json!({
        "provider": name, "code": code, "code_verifier": flow.verifier, "nonce": flow.nonce,
        "redirect_uri": flow.redirect_uri,
    })
}

/// What somebody shows who has just logged in there.
async fn fresh(provider: &Provider, name: &str, login: &str) -> anyhow::Result<Value> {
    let flow = Flow::new();
    let code = provider.code(name, login, &flow).await?;
    Ok(shown(name, &code, &flow))
}

/// The same, with the password.
fn with_password(mut body: Value) -> Value {
    body["password"] = json!(PASSWORD);
    body
}

async fn link(t: &Tenant, user: Uuid, shown: Value) -> anyhow::Result<Outcome> {
    t.send(user, "auth.link_oauth_provider", user, with_password(shown)).await
}

async fn links(t: &Tenant) -> anyhow::Result<Vec<Vec<String>>> {
    t.rows("SELECT provider, provider_user_id FROM auth.oauth_providers ORDER BY 1").await
}

const UNLINK: &str = "auth.unlink_oauth_provider";

#[test]
fn each_provider_vouches_for_somebody() {
    run(async {
        let (t, provider) = tenant().await?;
        let (ada, eve) = (register(&t, "ada").await?.id, register(&t, "eve").await?.id);
        for name in ALL {
            let outcome = link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
            assert_eq!(outcome.status, Status::Accepted, "{name}: {outcome:?}");
            assert_eq!(outcome.events, ["oauth_provider_linked", "identifier_claimed"]);
            let data = outcome.data.unwrap_or_default();
            let vouches = matches!(name, "google" | "apple");
            let email = vouches.then_some("lovelace@example.org");
            assert_eq!(data["provider_email"], json!(email), "{name}");
            let taken = link(&t, eve, fresh(&provider, name, "lovelace").await?).await?;
            assert_eq!(code(&taken), Some(ErrorCode::AlreadyExists), "{name}");
            let again = link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
            assert_eq!(again.events, ["oauth_provider_linked"]);
            assert_eq!(again.data.unwrap_or_default()["link_id"], data["link_id"]);
            let other = link(&t, ada, fresh(&provider, name, "babbage").await?).await?;
            assert_eq!(code(&other), Some(ErrorCode::Conflict), "{name}");
        }
        let names = |name: &&str| [(*name).to_owned(), name_of(name, "lovelace")];
        let mut all = ALL;
        all.sort_unstable();
        assert_eq!(links(&t).await?, all.iter().map(names).collect::<Vec<_>>());
        let said = "SELECT profile_data->>'name', profile_data->>'picture' LIKE 'https://%',
            provider_email, num_nonnulls(access_token, refresh_token, token_expires_at)
            FROM auth.oauth_providers WHERE provider = 'google'";
        assert_eq!(t.rows(said).await?, [["lovelace Ž 😀", "true", "lovelace@example.org", "0"]]);
        for name in ALL {
            let body = json!({ "provider": name });
            t.refuse(ErrorCode::Forbidden, eve, UNLINK, ada, body.clone()).await?;
            let outcome = t.accept(ada, UNLINK, ada, body.clone()).await?;
            assert_eq!(outcome.events, ["oauth_provider_unlinked", "identifier_released"]);
            assert_eq!(t.accept(ada, UNLINK, ada, body).await?.events, [""; 0]);
            let outcome = link(&t, eve, fresh(&provider, name, "lovelace").await?).await?;
            assert_eq!(outcome.status, Status::Accepted, "{name} is free");
        }
        t.accept("svc-operator", "auth.delete_user", eve, json!({})).await?;
        assert_eq!(links(&t).await?, [[""; 2]; 0]);
        let back = link(&t, ada, fresh(&provider, "google", "lovelace").await?).await?;
        assert_eq!(back.status, Status::Accepted, "who is gone has no identity");
        Ok(())
    });
}

#[test]
fn an_app_shows_what_its_provider_gave_it() {
    run(async {
        let (t, provider) = tenant().await?;
        let ada = register(&t, "ada").await?.id;
        for (name, app) in [("google", "the-android-app"), ("apple", "org.example.ios")] {
            let flow = Flow::new();
            let show = |token: String, nonce: &str| json!({ "provider": name, "id_token": token, "nonce": nonce });
            let token = provider.id_token(name, app, "lovelace", &flow.nonce_hash());
            // Whoever has seen the token has seen what is in it.
            let stolen = link(&t, ada, show(token.clone(), &flow.nonce_hash())).await?;
            assert_eq!(code(&stolen), Some(ErrorCode::Unauthenticated), "{name}");
            for (app, nonce) in [("somebody's app", flow.nonce_hash()), (app, flow.nonce.clone())] {
                let token = provider.id_token(name, app, "lovelace", &nonce);
                let refused = link(&t, ada, show(token, &flow.nonce)).await?;
                assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated), "{name} {app}");
            }
            let outcome = link(&t, ada, show(token, &flow.nonce)).await?;
            assert_eq!(outcome.status, Status::Accepted, "{outcome:?}");
        }
        assert_eq!(provider.asked("/google/token") + provider.asked("/apple/token"), 0);
        Ok(())
    });
}

#[test]
fn a_code_is_good_once_and_on_its_own_occasion() {
    run(async {
        let (t, provider) = tenant().await?;
        let (ada, eve) = (register(&t, "ada").await?.id, register(&t, "eve").await?.id);
        for name in ALL {
            let mut wrong = Vec::new();
            for field in ["code_verifier", "redirect_uri", "nonce"] {
                let mut body = fresh(&provider, name, "lovelace").await?;
                body[field] = match field {
                    "redirect_uri" => json!(ELSEWHERE),
                    _ => json!("something-else".repeat(4)),
                };
                // Only tokens have one.
                if field != "nonce" || matches!(name, "google" | "apple") {
                    wrong.push(body);
                }
            }
            wrong.push(shown(name, "made up", &Flow::new()));
            for body in wrong {
                let refused = link(&t, eve, body.clone()).await?;
                assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated), "{body}");
                assert!(refused.seq.is_none(), "it is no guess at a password");
            }
            let body = fresh(&provider, name, "lovelace").await?;
            let request =
                Request::new(ada, "auth.link_oauth_provider", ada, with_password(body.clone()));
            let first = t.client.send(&request).await?;
            assert_eq!(first.status, Status::Accepted, "{name}: {first:?}");
            let again = t.client.send(&request).await?;
            assert_eq!((again.status, again.seq), (Status::Accepted, first.seq), "it was said");
            let replayed = link(&t, eve, body).await?;
            assert_eq!(code(&replayed), Some(ErrorCode::Unauthenticated), "{name}");
        }
        assert_eq!(links(&t).await?.len(), ALL.len());
        Ok(())
    });
}

#[test]
fn a_token_with_a_flaw_proves_nothing() {
    run(async {
        let (t, provider) = tenant().await?;
        let ada = register(&t, "ada").await?.id;
        for flaw in [
            Flaw::Issuer,
            Flaw::Audience,
            Flaw::Nonce,
            Flaw::NoNonce,
            Flaw::Expired,
            Flaw::Old,
            Flaw::OfTheFuture,
            Flaw::Signature,
            Flaw::UnknownKey,
            Flaw::Unsigned,
            Flaw::Shared,
        ] {
            provider.signs(flaw);
            for (name, app) in [("google", "the-android-app"), ("apple", "org.example.ios")] {
                let refused = link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
                assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated), "{name} {flaw:?}");
                let flow = Flow::new();
                let token = provider.id_token(name, app, "lovelace", &flow.nonce_hash());
                let body = json!({ "provider": name, "id_token": token, "nonce": flow.nonce });
                let refused = link(&t, ada, body).await?;
                assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated), "{name} {flaw:?}");
            }
        }
        for odd in ["", "a.b.c", "e30.e30.", "marked"] {
            let body = json!({ "provider": "google", "id_token": odd, "nonce": "x" });
            assert_eq!(code(&link(&t, ada, body).await?), Some(ErrorCode::Unauthenticated));
        }
        assert_eq!(links(&t).await?, [[""; 2]; 0]);
        provider.signs(Flaw::None);
        let linked = link(&t, ada, fresh(&provider, "google", "lovelace").await?).await?;
        assert_eq!(linked.status, Status::Accepted, "{linked:?}");
        Ok(())
    });
}

#[test]
fn new_keys_are_read_once_and_not_whenever_somebody_names_one() {
    run(async {
        let (t, provider) = tenant().await?;
        let ada = register(&t, "ada").await?.id;
        let read = || provider.asked("/apple/keys");
        for reads in 1..=2 {
            let outcome = link(&t, ada, fresh(&provider, "apple", "lovelace").await?).await?;
            assert_eq!((outcome.status, read()), (Status::Accepted, reads), "{outcome:?}");
            let outcome = link(&t, ada, fresh(&provider, "apple", "lovelace").await?).await?;
            assert_eq!((outcome.status, read()), (Status::Accepted, reads), "{outcome:?}");
            provider.rotate("apple");
        }
        provider.signs(Flaw::UnknownKey);
        for _ in 0..10 {
            let refused = link(&t, ada, fresh(&provider, "apple", "lovelace").await?).await?;
            assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated));
        }
        assert_eq!(read(), 3, "two a minute");
        Ok(())
    });
}

#[test]
fn a_provider_in_trouble_keeps_nobody_else() {
    run(async {
        let (t, provider) = tenant().await?;
        let well = Provider::start().await?;
        let ada = register(&t, "ada").await?.id;
        for mood in [Mood::Down, Mood::Nonsense, Mood::Endless, Mood::Moved] {
            for name in ALL {
                let body = fresh(&provider, name, "lovelace").await?;
                provider.is(mood);
                let failed = link(&t, ada, body).await?;
                assert_eq!(code(&failed), Some(ErrorCode::Unavailable), "{name} {mood:?}");
                assert_eq!(failed.status, Status::Failed);
                provider.is(Mood::Well);
            }
        }
        assert_eq!(provider.asked("/elsewhere"), 0, "nobody follows");
        assert_eq!(links(&t).await?, [[""; 2]; 0]);
        // One keeps its askers waiting; the others, and all who do not ask it, notice nothing.
        let mut t = Tenant::without_workers().await?;
        t.config.oauth = echolog::oauth::Options {
            oauth_github_token_url: well.options().oauth_github_token_url,
            oauth_github_user_url: well.options().oauth_github_user_url,
            ..provider.options()
        };
        t.add(Roles::ALL).await?;
        let ada = register(&t, "ada").await?.id;
        provider.is(Mood::Silent);
        let slow = async {
            let bodies = (0..20).map(|_| async {
                let body = fresh(&provider, "google", "lovelace").await?;
                link(&t, ada, body).await
            });
            join_all(bodies).await
        };
        let quick = async {
            let body = fresh(&well, "github", "lovelace").await?;
            anyhow::Ok((link(&t, ada, body).await?, provider.questions()))
        };
        let begun = std::time::Instant::now();
        let (slow, quick) = futures::join!(slow, quick);
        assert!(begun.elapsed() < std::time::Duration::from_secs(15), "{:?}", begun.elapsed());
        for outcome in slow {
            assert_eq!(code(&outcome?), Some(ErrorCode::Unavailable));
        }
        assert_eq!(quick?.0.status, Status::Accepted);
        let counted = http_get(&t.metrics_url()).await?;
        let failed = r#"echolog_oauth_questions_total{provider="google",result="failed"} 20"#;
        assert!(counted.contains(failed), "{counted}");
        Ok(())
    });
}

#[test]
fn nobody_is_asked_for_whom_it_makes_no_sense() {
    run(async {
        let (t, provider) = tenant().await?;
        let (ada, eve) = (register(&t, "ada").await?.id, register(&t, "eve").await?.id);
        let name = "auth.link_oauth_provider";
        let body = fresh(&provider, "google", "lovelace").await?;
        let before = provider.questions();
        for (field, wrong) in [
            ("code", Value::Null),
            ("code_verifier", Value::Null),
            ("redirect_uri", Value::Null),
            ("redirect_uri", json!("https://evil.example.org/callback")),
            ("nonce", Value::Null),
            ("id_token", json!("as well")),
            ("code_verifier", json!("too short")),
        ] {
            let mut body = with_password(body.clone());
            body[field] = wrong;
            t.refuse(ErrorCode::Invalid, ada, name, ada, body).await?;
        }
        let token = json!({ "provider": "github", "id_token": "x", "nonce": "x" });
        t.refuse(ErrorCode::Invalid, ada, name, ada, with_password(token)).await?;
        t.refuse(ErrorCode::Invalid, ada, name, ada, body.clone()).await?;
        t.refuse(ErrorCode::Forbidden, eve, name, ada, with_password(body.clone())).await?;
        t.refuse(ErrorCode::Unauthenticated, "anon-x", name, ada, with_password(body.clone()))
            .await?;
        let mut guess = body.clone();
        guess["password"] = json!("a wrong password");
        let refused = t.send(ada, name, ada, guess).await?;
        assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated));
        assert_eq!(provider.questions(), before, "the provider heard nothing of all that");
        assert_eq!(link(&t, ada, body).await?.status, Status::Accepted);
        let mut t = Tenant::without_workers().await?;
        t.config.oauth = echolog::oauth::Options {
            oauth_google_client_id: None,
            oauth_google_client_secret: None,
            ..provider.options()
        };
        t.add(Roles::ALL).await?;
        let ada = register(&t, "ada").await?.id;
        let failed = link(&t, ada, fresh(&provider, "google", "lovelace").await?).await?;
        assert_eq!(code(&failed), Some(ErrorCode::Unavailable), "it is not set up");
        Ok(())
    });
}

/// Somebody logs in with what a provider gave, and nothing else.
async fn log_in(t: &Tenant, shown: Value) -> anyhow::Result<Outcome> {
    let body = json!({ "oauth": shown });
    t.send("anon-test", "auth.log_in", clock::new_id(), body).await
}

/// Registers somebody without a password.
async fn register_by(
    t: &Tenant,
    id: Uuid,
    mut body: Value,
    shown: Value,
) -> anyhow::Result<Outcome> {
    body["oauth"] = shown;
    t.send("anon-test", "auth.register_user", id, body).await
}

#[test]
fn whoever_is_linked_logs_in_with_it() {
    run(async {
        let (t, provider) = tenant().await?;
        let ada = register(&t, "ada").await?.id;
        for name in ALL {
            let unknown = log_in(&t, fresh(&provider, name, "lovelace").await?).await?;
            assert_eq!(code(&unknown), Some(ErrorCode::NotFound), "{name}");
            link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
            let body = fresh(&provider, name, "lovelace").await?;
            let outcome = log_in(&t, body.clone()).await?;
            assert_eq!(outcome.events, ["session_started", "login_succeeded"], "{outcome:?}");
            let data = outcome.data.unwrap_or_default();
            assert_eq!(data["user_id"], json!(ada));
            assert!(data["session_token"].as_str().is_some_and(|it| it.starts_with("es_")));
            let replayed = log_in(&t, body).await?;
            assert_eq!(code(&replayed), Some(ErrorCode::Unauthenticated), "{name}");
        }
        // Of the same address, which is nobody's proof here.
        let eve = register(&t, "lovelace").await?.id;
        let someone = log_in(&t, fresh(&provider, "google", "lovelace").await?).await?;
        assert_eq!(someone.data.unwrap_or_default()["user_id"], json!(ada));
        t.accept(ada, UNLINK, ada, json!({ "provider": "google" })).await?;
        let unlinked = log_in(&t, fresh(&provider, "google", "lovelace").await?).await?;
        assert_eq!(code(&unlinked), Some(ErrorCode::NotFound), "it is not linked to {eve}");
        let tried = "SELECT DISTINCT identifier_type, identifier FROM auth.login_history
            WHERE success ORDER BY 2";
        let mut names = ALL;
        names.sort_unstable();
        assert_eq!(t.rows(tried).await?, names.map(|name| ["oauth", name]));
        let method = "SELECT DISTINCT details->>'method' FROM audit.auth_events
            WHERE event_type = 'login_succeeded'";
        assert_eq!(t.value(method).await?, "oauth");
        // Whoever shows an identity shows nothing else.
        let mut both = json!({ "oauth": fresh(&provider, "github", "lovelace").await? });
        both["identifier"] = json!("ada");
        let name = "auth.log_in";
        t.refuse(ErrorCode::Invalid, "anon-test", name, clock::new_id(), both).await?;
        t.refuse(ErrorCode::Invalid, "anon-test", name, clock::new_id(), json!({})).await?;
        provider.is(Mood::Down);
        let down = log_in(&t, shown("github", "a code", &Flow::new())).await?;
        assert_eq!(code(&down), Some(ErrorCode::Unavailable));
        Ok(())
    });
}

#[test]
fn who_is_suspended_or_has_a_second_factor_is_told_so() {
    run(async {
        let (t, provider) = tenant().await?;
        let ada = register(&t, "ada").await?.id;
        link(&t, ada, fresh(&provider, "apple", "lovelace").await?).await?;
        let begun = json!({ "password": PASSWORD });
        let begun = t.accept(ada, "auth.begin_two_factor", ada, begun).await?;
        let secret = begun.data.unwrap_or_default()["secret"].clone();
        let totp = crate::second_factors::shown(secret.as_str().unwrap_or_default(), clock::now());
        let enabled = t.accept(ada, "auth.enable_two_factor", ada, json!({ "totp": totp })).await?;
        let codes = enabled.data.unwrap_or_default()["recovery_codes"].clone();
        let asked = log_in(&t, fresh(&provider, "apple", "lovelace").await?).await?;
        assert_eq!(code(&asked), Some(ErrorCode::Unauthenticated));
        assert!(asked.data.unwrap_or_default()["second_factor"].is_array());
        let body = json!({
            "oauth": fresh(&provider, "apple", "lovelace").await?, "recovery_code": codes[0],
        });
        let outcome = t.accept("anon-test", "auth.log_in", clock::new_id(), body).await?;
        assert!(outcome.events.contains(&"recovery_code_used".to_owned()), "{outcome:?}");
        t.accept("svc-operator", "auth.suspend_user", ada, json!({ "reason": "spam" })).await?;
        let stopped = log_in(&t, fresh(&provider, "apple", "lovelace").await?).await?;
        assert_eq!(code(&stopped), Some(ErrorCode::Forbidden));
        Ok(())
    });
}

#[test]
fn an_account_needs_no_password() {
    run(async {
        let (t, provider) = tenant().await?;
        let mut ids = Vec::new();
        for name in ALL {
            let id = clock::new_id();
            let body = json!({ "username": format!("ada-{name}") });
            let shown = fresh(&provider, name, "lovelace").await?;
            let outcome = register_by(&t, id, body, shown).await?;
            let events = [
                "user_registered",
                "identifier_claimed",
                "oauth_provider_linked",
                "identifier_claimed",
            ];
            assert_eq!(outcome.events, events, "{name}: {outcome:?}");
            let data = log_in(&t, fresh(&provider, name, "lovelace").await?).await?.data;
            assert_eq!(data.unwrap_or_default()["user_id"], json!(id), "{name}");
            let body = json!({ "username": format!("eve-{name}") });
            let shown = fresh(&provider, name, "lovelace").await?;
            let taken = register_by(&t, clock::new_id(), body, shown).await?;
            assert_eq!(code(&taken), Some(ErrorCode::AlreadyExists), "{name}");
            let field = taken.error.and_then(|error| error.field);
            assert_eq!(field.as_deref(), Some("oauth"));
            let last = json!({ "provider": name });
            t.refuse(ErrorCode::Conflict, id, UNLINK, id, last).await?;
            ids.push(id);
        }
        // A provider says whose address it is, or does not.
        for (name, verified) in [("google", "true"), ("apple", "true"), ("github", "false")] {
            let email = format!("{name}@example.org");
            let body = json!({ "email": email });
            let shown = fresh(&provider, name, name).await?;
            let outcome = register_by(&t, clock::new_id(), body, shown).await?;
            assert_eq!(outcome.status, Status::Accepted, "{outcome:?}");
            let rows = format!("SELECT email_verified FROM auth.users WHERE email = '{email}'");
            assert_eq!(t.value(&rows).await?, verified, "{name}");
        }
        // A taken address leads nobody to its account.
        let shown = fresh(&provider, "apple", "google").await?;
        let body = json!({ "email": "google@example.org" });
        let taken = register_by(&t, clock::new_id(), body, shown).await?;
        assert_eq!(code(&taken), Some(ErrorCode::AlreadyExists));
        let unknown = log_in(&t, fresh(&provider, "apple", "google").await?).await?;
        assert_eq!(code(&unknown), Some(ErrorCode::NotFound), "nothing came of it");
        let body = json!({ "username": "nobody" });
        let odd = register_by(&t, clock::new_id(), body, shown_wrong()).await?;
        assert_eq!(code(&odd), Some(ErrorCode::Unauthenticated));
        t.accept("svc-operator", "auth.delete_user", ids[0], json!({})).await?;
        let gone = log_in(&t, fresh(&provider, ALL[0], "lovelace").await?).await?;
        assert_eq!(code(&gone), Some(ErrorCode::NotFound));
        Ok(())
    });
}

fn shown_wrong() -> Value {
    shown("google", "made up", &Flow::new())
}

#[test]
fn a_registration_that_is_sent_again_is_the_same() {
    run(async {
        let (t, provider) = tenant().await?;
        let id = clock::new_id();
        let body =
            json!({ "username": "ada", "oauth": fresh(&provider, "google", "lovelace").await? });
        let request = Request::new("anon-test", "auth.register_user", id, body);
        let first = t.client.send(&request).await?;
        let again = t.client.send(&request).await?;
        assert_eq!((first.status, again.status), (Status::Accepted, Status::Accepted));
        assert_eq!(first.seq, again.seq, "though the code is good for nothing any more");
        Ok(())
    });
}

#[test]
fn nobody_has_providers_asked_as_often_as_they_like() {
    run(async {
        let (t, provider) = tenant().await?;
        let mut limited = 0;
        for _ in 0..80 {
            let outcome = log_in(&t, shown("github", "made up", &Flow::new())).await?;
            limited += usize::from(code(&outcome) == Some(ErrorCode::RateLimited));
        }
        assert_eq!(provider.asked("/github/token") + limited, 80);
        assert!((10..=20).contains(&limited), "{limited}");
        Ok(())
    });
}

#[test]
fn nothing_that_providers_give_rests_anywhere() {
    run(async {
        let (t, provider) = tenant().await?;
        let (ada, eve) = (register(&t, "ada").await?.id, register(&t, "eve").await?.id);
        let mut signatures = Vec::new();
        for name in ALL {
            let body = fresh(&provider, name, "lovelace").await?;
            assert_eq!(link(&t, ada, body.clone()).await?.status, Status::Accepted);
            link(&t, eve, body).await?;
            log_in(&t, fresh(&provider, name, "lovelace").await?).await?;
            log_in(&t, fresh(&provider, name, "nobody").await?).await?;
            let new = json!({ "username": format!("new-{name}") });
            let shown = fresh(&provider, name, "somebody").await?;
            register_by(&t, clock::new_id(), new, shown).await?;
            provider.is(Mood::Nonsense);
            link(&t, eve, fresh(&provider, name, "babbage").await?).await?;
            provider.is(Mood::Well);
        }
        for (name, app) in [("google", "the-android-app"), ("apple", "org.example.ios")] {
            for nonce in [Flow::new().nonce, Flow::new().nonce_hash()] {
                let token = provider.id_token(name, app, "babbage", &nonce);
                let body = json!({ "provider": name, "id_token": token, "nonce": nonce });
                link(&t, eve, body).await?;
                signatures.extend(token.rsplit('.').next().map(str::to_owned));
            }
        }
        let all = all_that_rests(&t).await?;
        assert!(
            all.contains("oauth_provider_linked") && all.contains("lovelace"),
            "it looks there"
        );
        let secrets = ["marked".to_owned(), PASSWORD.to_owned(), client_secret("google")];
        for secret in secrets.iter().chain(&signatures) {
            assert!(secret.len() > 5 && !all.contains(secret), "{secret} rests somewhere");
        }
        Ok(())
    });
}

#[test]
fn no_log_has_what_providers_give() {
    run(async {
        let provider = Provider::start().await?;
        let broker = Broker::start().await?;
        let t = Tenant::on(broker.nats.url()).await?;
        let options = provider.options();
        let settings = [
            ("ECHOLOG_LOG", "trace".to_owned()),
            ("ECHOLOG_OAUTH_KEEP_TOKENS", "true".to_owned()),
            ("ECHOLOG_OAUTH_REDIRECT_URIS", options.oauth_redirect_uris.join(",")),
            ("ECHOLOG_OAUTH_GOOGLE_CLIENT_ID", options.oauth_google_client_id.unwrap_or_default()),
            ("ECHOLOG_OAUTH_GOOGLE_CLIENT_SECRET", client_secret("google")),
            ("ECHOLOG_OAUTH_GOOGLE_APP_CLIENT_IDS", options.oauth_google_app_client_ids.join(",")),
            ("ECHOLOG_OAUTH_GOOGLE_ISSUER", options.oauth_google_issuer),
            ("ECHOLOG_OAUTH_GITHUB_CLIENT_ID", options.oauth_github_client_id.unwrap_or_default()),
            ("ECHOLOG_OAUTH_GITHUB_CLIENT_SECRET", client_secret("github")),
            ("ECHOLOG_OAUTH_GITHUB_TOKEN_URL", options.oauth_github_token_url),
            ("ECHOLOG_OAUTH_GITHUB_USER_URL", options.oauth_github_user_url),
        ];
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let directory = tempfile::tempdir()?;
        let (log, projector) =
            (directory.path().join("handler.log"), directory.path().join("projector.log"));
        let workers = [
            broker.worker(&t, "projector", &projector, &settings).await?,
            broker.worker(&t, "handler", &log, &settings).await?,
        ];
        let (ada, eve) = (register(&t, "ada").await?.id, register(&t, "eve").await?.id);
        let mut secrets = vec![PASSWORD.to_owned(), "marked".to_owned()];
        for name in ["google", "github"] {
            secrets.push(client_secret(name));
            let good = fresh(&provider, name, "lovelace").await?;
            assert_eq!(link(&t, ada, good.clone()).await?.status, Status::Accepted);
            let refreshed = t.send(ada, tokens::REFRESH, ada, json!({ "provider": name })).await?;
            assert_eq!(refreshed.status, Status::Accepted, "{refreshed:?}");
            // Shown again, and by somebody else.
            link(&t, eve, good.clone()).await?;
            provider.is(Mood::Nonsense);
            let bad = fresh(&provider, name, "babbage").await?;
            link(&t, eve, bad.clone()).await?;
            provider.is(Mood::Well);
            for shown in [good, bad] {
                let texts = ["code", "code_verifier"].map(|it| shown[it].as_str());
                secrets.extend(texts.into_iter().flatten().map(str::to_owned));
            }
        }
        for nonce in [Flow::new().nonce, Flow::new().nonce_hash()] {
            let token = provider.id_token("google", "the-android-app", "babbage", &nonce);
            let body = json!({ "provider": "google", "id_token": token, "nonce": nonce });
            link(&t, eve, body).await?;
            secrets.extend(token.rsplit('.').next().map(str::to_owned));
        }
        for worker in workers {
            worker.stop().await?;
        }
        for log in [log, projector] {
            let said = std::fs::read_to_string(log)?;
            assert!(said.contains("DEBUG"), "it is talkative");
            for secret in &secrets {
                let at = said.find(secret.as_str());
                let around = at.and_then(|at| said.get(at.saturating_sub(300)..at));
                assert!(secret.len() > 5 && at.is_none(), "{secret}: {around:?}");
            }
        }
        Ok(())
    });
}
