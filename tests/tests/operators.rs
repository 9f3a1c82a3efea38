//! What operators do about accounts, and what becomes of those.

use std::time::Duration;

use echolog::callout;
use echolog::client::Request;
use echolog::clock;
use echolog::handler::{Limits, TimerLimits};
use echolog::roles::Roles;
use echolog_commands::{ErrorCode, Outcome, Status};
use echolog_events::Uuid;
use echolog_tests::{Tenant, eventually, run};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cli::echolog;

const PASSWORD: &str = "correct horse battery";
const OPERATOR: &str = "svc-operator";

/// Registers somebody with a password.
async fn register(t: &Tenant, name: &str) -> anyhow::Result<Uuid> {
    let id = clock::new_id();
    let body = json!({ "username": name, "password": PASSWORD });
    t.accept("anon-test", "auth.register_user", id, body).await?;
    Ok(id)
}

async fn log_in(t: &Tenant, name: &str, password: &str) -> anyhow::Result<Outcome> {
    let body = json!({ "identifier": name, "password": password });
    let request = Request::new("anon-test", "auth.log_in", clock::new_id(), body).projected();
    Ok(t.client.send(&request).await?)
}

fn code(outcome: &Outcome) -> Option<ErrorCode> {
    outcome.error.as_ref().map(|error| error.code)
}

#[test]
fn whoever_is_stopped_is_out_at_once() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?;
        let group = t.group(&[ada]).await?;
        for (command, body, standing, told) in [
            ("auth.suspend_user", json!({ "reason": "noise" }), "suspended", "user_suspended"),
            ("auth.ban_user", json!({ "reason": "spam" }), "banned", "user_banned"),
        ] {
            let session = log_in(&t, "ada", PASSWORD).await?.data.unwrap_or_default();
            let outcome = t.accept(OPERATOR, command, ada, body.clone()).await?;
            assert_eq!(outcome.events, [told, "session_revoked", "admin_action_recorded"]);
            let row = "SELECT account_status, suspension_reason FROM auth.users";
            assert_eq!(t.rows(row).await?, [[standing, body["reason"].as_str().unwrap_or("")]]);
            let live = "SELECT count(*) FROM auth.sessions WHERE revoked_at IS NULL";
            assert_eq!(t.value(live).await?, "0");
            let ended = "SELECT count(*) FROM auth.sessions WHERE revoked_reason = 'admin'";
            assert_ne!(t.value(ended).await?, "0");
            // Only who knows the password hears why.
            let guessed = log_in(&t, "ada", "a wrong password").await?;
            assert_eq!(code(&guessed), Some(ErrorCode::Unauthenticated));
            let known = log_in(&t, "ada", PASSWORD).await?;
            assert_eq!(code(&known), Some(ErrorCode::Forbidden), "{standing}");
            let tokens = json!({ "refresh_token": session["refresh_token"] });
            let name = "auth.refresh_session";
            t.refuse(ErrorCode::Unauthenticated, "anon-test", name, ada, tokens).await?;
            let says = json!({ "message_id": clock::new_id(), "content": "hello" });
            let name = "messages.send_message";
            t.refuse(ErrorCode::Forbidden, ada, name, group, says).await?;
            t.accept(OPERATOR, "auth.reinstate_user", ada, json!({})).await?;
            t.say(group, ada, "I am back").await?;
        }
        let told = "SELECT event_type, severity FROM auth.security_events ORDER BY created_at";
        assert_eq!(
            t.rows(told).await?,
            [
                ["user_suspended", "critical"],
                ["user_reinstated", "info"],
                ["user_banned", "critical"],
                ["user_reinstated", "info"]
            ]
        );
        let done = "SELECT actor, action, coalesce(reason, '-') FROM audit.admin_actions
            ORDER BY created_at";
        assert_eq!(
            t.rows(done).await?,
            [
                [OPERATOR, "suspend_user", "noise"],
                [OPERATOR, "reinstate_user", "-"],
                [OPERATOR, "ban_user", "spam"],
                [OPERATOR, "reinstate_user", "-"]
            ]
        );
        Ok(())
    });
}

#[test]
fn a_suspension_ends_by_itself() {
    run(async {
        let t = Tenant::start().await?;
        let ada = register(&t, "ada").await?;
        let until = clock::now() + Duration::from_secs(3);
        let body = json!({ "reason": "noise", "until": until });
        t.accept(OPERATOR, "auth.suspend_user", ada, body).await?;
        assert_eq!(code(&log_in(&t, "ada", PASSWORD).await?), Some(ErrorCode::Forbidden));
        eventually("the time has passed", || async {
            Ok(log_in(&t, "ada", PASSWORD).await?.status == Status::Accepted)
        })
        .await?;
        let says = json!({ "reason": "the time has passed", "if_over": true });
        let outcome = t.accept(OPERATOR, "auth.reinstate_user", ada, says).await?;
        assert_eq!(outcome.events, ["user_reinstated"]);
        assert_eq!(t.value("SELECT account_status FROM auth.users").await?, "active");
        Ok(())
    });
}

#[test]
fn nobody_else_may() {
    run(async {
        let t = Tenant::start().await?;
        let (ada, bob) = (t.user("ada").await?, t.user("bob").await?);
        for name in ["auth.suspend_user", "auth.ban_user", "auth.reinstate_user"] {
            let body = json!({ "reason": "spite" });
            t.refuse(ErrorCode::Forbidden, bob, name, ada, body.clone()).await?;
            t.refuse(ErrorCode::Unauthenticated, "anon-1", name, ada, body).await?;
        }
        let done: Value = t.value("SELECT count(*) FROM audit.admin_actions").await?.into();
        assert_eq!(done, "0");
        Ok(())
    });
}

async fn promote(t: &Tenant, user: Uuid, role: &str) -> anyhow::Result<Outcome> {
    t.send(OPERATOR, "auth.change_user_role", user, json!({ "role": role })).await
}

#[test]
fn one_administrator_stays_whoever_decides() {
    run(async {
        let mut t = Tenant::start().await?;
        t.add(Roles::HANDLER).await?;
        let mut admins = Vec::new();
        for number in 0..4 {
            let admin = t.user(&format!("admin{number}")).await?;
            let outcome = promote(&t, admin, "admin").await?;
            let expected = ["user_role_changed", "admin_action_recorded", "admin_roster_changed"];
            assert_eq!(outcome.events, expected, "{outcome:?}");
            admins.push(admin);
        }
        // Each in a partition of its own, decided by whoever owns that.
        let demoted = join_all(admins.iter().map(|admin| promote(&t, *admin, "user"))).await;
        let demoted = demoted.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let refused = demoted.iter().filter(|outcome| code(outcome) == Some(ErrorCode::Conflict));
        let accepted = demoted.iter().filter(|outcome| outcome.status == Status::Accepted);
        assert_eq!((accepted.count(), refused.count()), (3, 1), "{demoted:?}");
        assert_eq!(t.value("SELECT count(*) FROM auth.users WHERE role = 'admin'").await?, "1");
        Ok(())
    });
}

#[test]
fn administrators_of_the_tables_are_those_of_the_log() {
    run(async {
        let t = Tenant::start().await?;
        let [ada, bob] = [t.user("ada").await?, t.user("bob").await?];
        for user in [ada, bob] {
            assert_eq!(promote(&t, user, "admin").await?.status, Status::Accepted);
        }
        t.accept(ada, "auth.ban_user", bob, json!({ "reason": "spam" })).await?;
        let sound = echolog(&t, &["verify", "users"], "").await?;
        assert!(sound.status.success(), "{sound:?}");
        t.database.execute("UPDATE auth.users SET role = 'user'").await?;
        let broken = echolog(&t, &["verify", "users"], "").await?;
        let said = String::from_utf8(broken.stdout)?;
        assert!(!broken.status.success() && said.contains("administrators of the log"), "{said}");
        assert!(said.contains(&ada.to_string()) && !said.contains(&bob.to_string()), "{said}");
        Ok(())
    });
}

#[test]
fn roles_give_rights_at_once() {
    run(async {
        let t = Tenant::start().await?;
        let [ada, bob, eve] = [t.user("ada").await?, t.user("bob").await?, t.user("eve").await?];
        promote(&t, ada, "admin").await?;
        t.accept(ada, "auth.change_user_role", bob, json!({ "role": "moderator" })).await?;
        let spam = json!({ "reason": "spam" });
        t.accept(bob, "auth.suspend_user", eve, spam.clone()).await?;
        t.refuse(ErrorCode::Forbidden, bob, "auth.ban_user", eve, spam.clone()).await?;
        t.refuse(ErrorCode::Forbidden, bob, "auth.suspend_user", ada, spam.clone()).await?;
        t.accept(ada, "auth.ban_user", eve, spam).await?;
        let done = "SELECT u.username, a.action, a.actor = u.id::text AS same
            FROM audit.admin_actions AS a JOIN auth.users AS u ON u.id = a.admin_user_id
            ORDER BY a.created_at";
        assert_eq!(
            t.rows(done).await?,
            [
                ["ada", "change_user_role", "true"],
                ["bob", "suspend_user", "true"],
                ["ada", "ban_user", "true"]
            ]
        );
        Ok(())
    });
}

#[test]
fn a_deleted_account_leaves_its_name_to_one_other() {
    run(async {
        let mut t = Tenant::start().await?;
        t.add(Roles::HANDLER).await?;
        let ada = register(&t, "ada").await?;
        let bob = t.user("bob").await?;
        log_in(&t, "ada", PASSWORD).await?;
        let name = "auth.delete_user";
        let wrong = json!({ "password": "a wrong password" });
        t.refuse(ErrorCode::Unauthenticated, ada, name, ada, wrong).await?;
        t.refuse(ErrorCode::Invalid, ada, name, ada, json!({})).await?;
        let right = json!({ "password": PASSWORD, "reason": "no use for it" });
        t.refuse(ErrorCode::Forbidden, bob, name, ada, right.clone()).await?;
        let request = Request::new(ada, name, ada, right).projected();
        let outcome = t.client.send(&request).await?;
        assert_eq!(outcome.events, ["user_deleted", "identifier_released", "session_revoked"]);
        assert_eq!(t.client.send(&request).await?.seq, outcome.seq, "once");
        assert_eq!(code(&log_in(&t, "ada", PASSWORD).await?), Some(ErrorCode::Unauthenticated));
        let bio = json!({ "bio": "still here" });
        t.refuse(ErrorCode::Forbidden, ada, "users.update_profile", ada, bio).await?;
        t.refuse(ErrorCode::Gone, OPERATOR, name, ada, json!({})).await?;
        let group = t.group(&[bob]).await?;
        let invite = json!({ "user_ids": [ada] });
        t.refuse(ErrorCode::NotFound, bob, "messages.add_members", group, invite).await?;

        let another = async |_| {
            let body = json!({ "username": "Ada", "password": PASSWORD });
            t.send("anon-test", "auth.register_user", clock::new_id(), body).await
        };
        let tried = join_all((0..16).map(another)).await;
        let tried = tried.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let taken = tried.iter().filter(|it| code(it) == Some(ErrorCode::AlreadyExists)).count();
        let won = tried.iter().filter(|it| it.status == Status::Accepted).count();
        assert_eq!((won, taken), (1, 15), "{tried:?}");
        assert_eq!(log_in(&t, "ada", PASSWORD).await?.status, Status::Accepted);
        let rows = "SELECT username, account_status, deleted_at IS NOT NULL AS gone FROM auth.users
            WHERE lower(username) = 'ada' ORDER BY created_at";
        assert_eq!(t.rows(rows).await?, [["ada", "deleted", "true"], ["Ada", "active", "false"]]);
        Ok(())
    });
}

/// A tenant whose timers look every second.
async fn with_quick_timers() -> anyhow::Result<Tenant> {
    let mut t = Tenant::without_workers().await?;
    let timers = TimerLimits { every: Duration::from_secs(1), ..TimerLimits::default() };
    let limits = Limits { rate: Tenant::UNLIMITED, timers, ..Limits::default() };
    t.add_limited(Roles::ALL, limits, &callout::Options::default()).await?;
    Ok(t)
}

#[test]
fn a_deleted_account_leaves_its_conversations() {
    run(async {
        let t = with_quick_timers().await?;
        let ada = register(&t, "ada").await?;
        let [bob, eve] = [t.user("bob").await?, t.user("eve").await?];
        // Eve has been in the second one longer than Bob, whose account is older.
        let first = t.group(&[ada, bob, eve]).await?;
        let second = t.group(&[ada, eve]).await?;
        let invite = json!({ "user_ids": [bob] });
        t.accept(ada, "messages.add_members", second, invite).await?;
        let alone = t.group(&[ada]).await?;
        let direct = clock::new_id();
        let body = json!({ "conversation_type": "direct", "member_user_ids": [bob] });
        t.accept(ada, "messages.create_conversation", direct, body).await?;
        let promotion = json!({ "user_id": eve, "role": "moderator" });
        t.accept(ada, "messages.change_role", first, promotion).await?;
        t.say(first, ada, "goodbye").await?;

        let body = json!({ "password": PASSWORD });
        t.accept(ada, "auth.delete_user", ada, body).await?;
        let left = format!(
            "SELECT c.id FROM messages.members AS m
             JOIN messages.conversations AS c ON c.id = m.conversation_id
             WHERE m.user_id = '{ada}' AND m.is_active"
        );
        eventually("only the direct conversation is left", || async {
            Ok(t.rows(&left).await? == [[direct.to_string()]])
        })
        .await?;
        let owner = async |conversation: Uuid| {
            let query = format!(
                "SELECT owner_user_id FROM messages.conversations WHERE id = '{conversation}'"
            );
            t.value(&query).await
        };
        assert_eq!(owner(first).await?, eve.to_string(), "the highest");
        assert_eq!(owner(second).await?, eve.to_string(), "the longest");
        assert_eq!(owner(alone).await?, ada.to_string(), "nobody is left");
        let said = "SELECT content FROM messages.messages";
        assert_eq!(t.value(said).await?, "goodbye");
        t.say(first, bob, "who was that?").await?;
        let actor = "SELECT DISTINCT actor FROM audit.record_changes
            WHERE table_name = 'conversation_participants' AND operation = 'UPDATE'
                AND new_data->>'is_active' = 'false'";
        assert_eq!(t.value(actor).await?, "svc-echolog");
        Ok(())
    });
}

#[test]
fn the_tables_hear_that_a_suspension_is_over() {
    run(async {
        let t = with_quick_timers().await?;
        let ada = register(&t, "ada").await?;
        let until = clock::now() + Duration::from_secs(2);
        let body = json!({ "reason": "noise", "until": until });
        t.accept(OPERATOR, "auth.suspend_user", ada, body).await?;
        let standing = "SELECT account_status, suspended_until FROM auth.users";
        eventually("she may act", || async { Ok(t.rows(standing).await? == [["active", ""]]) })
            .await?;
        let done = "SELECT string_agg(action, ', ') FROM audit.admin_actions";
        assert_eq!(t.value(done).await?, "suspend_user", "nobody has reinstated her");
        Ok(())
    });
}
