//! What providers give for calls in somebody's name: kept sealed, and refreshed.

use echolog::client::Request;
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::Uuid;
use echolog_tests::{Tenant, http_get, run};
use futures::future::join_all;
use serde_json::{Value, json};

use super::provider::{ALL, Flaw, Flow, Mood, Provider};
use super::{UNLINK, fresh, link, log_in, register_by};
use crate::cli::echolog;
use crate::logins::{PASSWORD, all_that_rests, code, register};

pub(super) const REFRESH: &str = "auth.refresh_oauth_token";

/// One whose operator keeps tokens.
async fn keeping() -> anyhow::Result<(Tenant, Provider)> {
    let provider = Provider::start().await?;
    let mut t = Tenant::without_workers().await?;
    t.config.oauth = provider.options();
    t.config.oauth.oauth_keep_tokens = true;
    t.add(Roles::ALL).await?;
    Ok((t, provider))
}

async fn refresh(
    t: &Tenant,
    actor: impl ToString,
    user: Uuid,
    name: &str,
) -> anyhow::Result<Outcome> {
    t.send(actor, REFRESH, user, json!({ "provider": name })).await
}

/// What a backend gets to call the provider with, if there is such a thing.
async fn token(t: &Tenant, user: Uuid, name: &str) -> anyhow::Result<Result<String, String>> {
    let (key, user) = (t.config.master_key.clone().unwrap_or_default(), user.to_string());
    let arguments = ["--master-key", &key, "user", "oauth-token", &user, name];
    let output = echolog(t, &[&arguments[..], &["--reason", "to call"]].concat(), "").await?;
    let (said, why) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    Ok(if output.status.success() { Ok(said.trim_end().to_owned()) } else { Err(why) })
}

#[test]
fn what_providers_give_is_kept_sealed_and_refreshed() {
    run(async {
        let (t, provider) = keeping().await?;
        let ada = register(&t, "ada").await?.id;
        for name in ALL {
            let linked = link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
            assert_eq!(linked.status, Status::Accepted, "{linked:?}");
            let first = token(&t, ada, name).await?.expect("it is kept");
            assert_eq!(provider.knows(&first).as_deref(), Some("lovelace"));
            if name == "facebook" {
                // It gives nothing to refresh with.
                let no = refresh(&t, ada, ada, name).await?;
                assert_eq!(code(&no), Some(ErrorCode::Conflict));
                continue;
            }
            let mut before = first;
            for actor in [ada.to_string(), "svc-backend".to_owned()] {
                let refreshed = refresh(&t, actor, ada, name).await?;
                assert_eq!(refreshed.events, ["oauth_token_refreshed"], "{refreshed:?}");
                let told = refreshed.data.unwrap_or_default();
                assert!(!told.to_string().contains("marked"), "{told}");
                assert!(!told.to_string().contains("x1."), "{told}");
                assert!(told["token_expires_at"].is_string(), "{told}");
                let now = token(&t, ada, name).await?.expect("it is kept");
                assert_eq!(provider.knows(&now).as_deref(), Some("lovelace"));
                assert_ne!(now, before);
                before = now;
            }
        }
        // Some give a refresh token once, and not whenever somebody logs in.
        provider.rotates_no_more();
        for _ in 0..2 {
            assert_eq!(refresh(&t, ada, ada, "google").await?.status, Status::Accepted);
        }
        let all = all_that_rests(&t).await?;
        assert!(all.contains("x1.") && all.contains("oauth_token_refreshed"), "it looks there");
        assert!(!all.contains("marked"), "it rests somewhere");
        let looked = "SELECT DISTINCT actor, data_type, purpose FROM audit.sensitive_data_access";
        assert_eq!(t.rows(looked).await?, [["svc-operator", "oauth_token", "to call"]]);
        let counted = http_get(&t.metrics_url()).await?;
        let refreshed = r#"echolog_oauth_questions_total{provider="github",result="refreshed"} 2"#;
        assert!(counted.contains(refreshed), "{counted}");
        let failed = r#"command="refresh_oauth_token",domain="auth",status="failed""#;
        assert!(!counted.contains(failed), "asking back is no failure: {counted}");
        Ok(())
    });
}

#[test]
fn a_refresh_that_is_sent_again_asks_nobody() {
    run(async {
        let (t, provider) = keeping().await?;
        let ada = register(&t, "ada").await?.id;
        link(&t, ada, fresh(&provider, "google", "lovelace").await?).await?;
        let asked = || provider.asked("/google/token");
        let before = asked();
        let request = Request::new(ada, REFRESH, ada, json!({ "provider": "google" }));
        let first = t.client.send(&request).await?;
        let again = t.client.send(&request).await?;
        assert_eq!((first.status, again.status), (Status::Accepted, Status::Accepted));
        assert_eq!((first.seq, asked() - before), (again.seq, 1));
        // What it would have used up is still good.
        assert_eq!(refresh(&t, ada, ada, "google").await?.status, Status::Accepted);
        Ok(())
    });
}

#[test]
fn of_those_who_refresh_at_once_nobody_spoils_anything() {
    run(async {
        let (t, provider) = keeping().await?;
        let ada = register(&t, "ada").await?.id;
        for name in ["google", "github"] {
            link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
            let all = join_all((0..8).map(|_| refresh(&t, ada, ada, name))).await;
            let mut accepted = 0;
            for outcome in all {
                let outcome = outcome?;
                match code(&outcome) {
                    None => accepted += 1,
                    Some(ErrorCode::Conflict | ErrorCode::Unauthenticated) => {}
                    other => panic!("{other:?}: {outcome:?}"),
                }
            }
            assert!(accepted >= 1);
            let kept = token(&t, ada, name).await?.expect("it is kept");
            assert_eq!(provider.knows(&kept).as_deref(), Some("lovelace"));
            assert_eq!(refresh(&t, ada, ada, name).await?.status, Status::Accepted);
        }
        Ok(())
    });
}

#[test]
fn a_provider_that_says_no_takes_nothing_away() {
    run(async {
        let (t, provider) = keeping().await?;
        let (ada, eve) = (register(&t, "ada").await?.id, register(&t, "eve").await?.id);
        for name in ["google", "github"] {
            let none = refresh(&t, ada, ada, name).await?;
            assert_eq!(code(&none), Some(ErrorCode::NotFound));
            link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
            let questions = provider.questions();
            let other = refresh(&t, eve, ada, name).await?;
            assert_eq!(code(&other), Some(ErrorCode::Forbidden));
            assert_eq!(provider.questions(), questions, "nobody is asked for strangers");
            for mood in [Mood::Down, Mood::Nonsense, Mood::Endless, Mood::Moved] {
                provider.is(mood);
                let failed = refresh(&t, ada, ada, name).await?;
                assert_eq!(code(&failed), Some(ErrorCode::Unavailable), "{name} {mood:?}");
                assert!(failed.data.is_none(), "{failed:?}");
            }
            provider.is(Mood::Well);
            assert_eq!(refresh(&t, ada, ada, name).await?.status, Status::Accepted);
            provider.revoke("lovelace");
            let refused = refresh(&t, ada, ada, name).await?;
            assert_eq!(code(&refused), Some(ErrorCode::Unauthenticated));
            assert!(token(&t, ada, name).await?.is_ok());
            link(&t, ada, fresh(&provider, name, "lovelace").await?).await?;
            assert_eq!(refresh(&t, ada, ada, name).await?.status, Status::Accepted);
        }
        Ok(())
    });
}

#[test]
fn tokens_come_with_log_ins_and_go_with_links() {
    run(async {
        let (t, provider) = keeping().await?;
        let id = echolog::clock::new_id();
        let shown = fresh(&provider, "github", "lovelace").await?;
        register_by(&t, id, json!({ "username": "ada", "password": PASSWORD }), shown).await?;
        let first = token(&t, id, "github").await?.expect("it is kept");
        let logged_in = log_in(&t, fresh(&provider, "github", "lovelace").await?).await?;
        assert!(logged_in.events.iter().any(|name| name == "oauth_token_refreshed"));
        let second = token(&t, id, "github").await?.expect("it is kept");
        assert!(first != second && provider.knows(&second).is_some());
        // An app's token brings none.
        let flow = Flow::new();
        let shown = json!({
            "provider": "google", "nonce": flow.nonce,
            "id_token": provider.id_token("google", "the-android-app", "ada", &flow.nonce_hash()),
        });
        provider.signs(Flaw::None);
        assert_eq!(link(&t, id, shown).await?.status, Status::Accepted);
        let none = token(&t, id, "google").await?.expect_err("there is none");
        assert!(none.contains("no token"), "{none}");
        assert_eq!(code(&refresh(&t, id, id, "google").await?), Some(ErrorCode::Conflict));
        let kept = "SELECT count(*) FROM auth.oauth_providers WHERE access_token IS NOT NULL";
        assert_eq!(t.value(kept).await?, "1");
        t.accept(id, UNLINK, id, json!({ "provider": "github" })).await?;
        let gone = token(&t, id, "github").await?.expect_err("it is gone");
        assert!(gone.contains("no identity"), "{gone}");
        link(&t, id, fresh(&provider, "github", "lovelace").await?).await?;
        t.accept(id, "auth.delete_user", id, json!({ "password": PASSWORD })).await?;
        assert_eq!(t.value("SELECT count(*) FROM auth.oauth_providers").await?, "0");
        assert_eq!(
            code(&refresh(&t, "svc-backend", id, "github").await?),
            Some(ErrorCode::NotFound)
        );
        Ok(())
    });
}

#[test]
fn where_nothing_is_kept_there_is_nothing_to_refresh() {
    run(async {
        let (t, provider) = super::tenant().await?;
        let ada = register(&t, "ada").await?.id;
        link(&t, ada, fresh(&provider, "google", "lovelace").await?).await?;
        let questions = provider.questions();
        let no: Value = serde_json::to_value(refresh(&t, ada, ada, "google").await?)?;
        assert_eq!(no["error"]["code"], "conflict", "{no}");
        assert_eq!(provider.questions(), questions);
        assert!(token(&t, ada, "google").await?.is_err());
        let all = all_that_rests(&t).await?;
        assert!(!all.contains("x1.") && !all.contains("oauth_token_refreshed"));
        Ok(())
    });
}
