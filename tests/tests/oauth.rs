//! Other providers that vouch for people.

mod provider;

use echolog::client::Request;
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
fn shown(name: &str, code: &str, flow: &Flow) -> Value {
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
