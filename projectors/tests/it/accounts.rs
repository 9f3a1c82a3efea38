//! Projections `auth` and `users`.

use echolog_events::{ProfileUpdated, ProfileVisibility};

use crate::support::{Log, Tables, id};

fn registered() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    log
}

#[tokio::test]
async fn registering_makes_an_account() {
    let tables = Tables::given(&registered()).await;
    assert_eq!(
        tables
            .rows(
                "SELECT id, username, email, role, user_type, account_status, email_verified,
                    password_hash, password_changed_at = created_at AS same, created_at, updated_at
                 FROM auth.users ORDER BY id LIMIT 1"
            )
            .await,
        [
            r#"(#1,Ada,,user,web,active,f,$argon2id$secret,t,"2026-01-01 00:01:00+00","2026-01-01 00:01:00+00")"#
        ]
    );
    assert_eq!(
        tables
            .rows(
                "SELECT user_id, username, display_name, full_name, profile_visibility, language_code,
                    timezone, online_status, last_seen = created_at AS same
                 FROM users.profiles ORDER BY user_id"
            )
            .await,
        ["(#1,Ada,Ada,,public,en,UTC,offline,t)", "(#2,Bob,Bob,,public,en,UTC,offline,t)"]
    );
    assert_eq!(
        tables.rows("SELECT user_id, theme, show_last_seen FROM users.settings ORDER BY 1").await,
        ["(#1,system,everyone)", "(#2,system,everyone)"]
    );
    assert_eq!(
        tables
            .rows("SELECT user_id, activity_type, field_name FROM users.activity_log ORDER BY 1")
            .await,
        ["(#1,registered,)", "(#2,registered,)"]
    );
}

#[tokio::test]
async fn a_profile_changes_field_by_field() {
    let mut log = registered();
    log.profile(ProfileUpdated {
        user_id: id(1),
        display_name: Some("Ada L.".to_owned()),
        bio: Some("countess".to_owned()),
        timezone: Some("UTC".to_owned()),
        profile_visibility: Some(ProfileVisibility::Friends),
        ..ProfileUpdated::default()
    });
    log.profile(ProfileUpdated {
        user_id: id(1),
        bio: Some(String::new()),
        ..ProfileUpdated::default()
    });
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT display_name, bio, profile_visibility, timezone, updated_at FROM users.profiles
                 WHERE username = 'Ada'"
            )
            .await,
        [r#"("Ada L.",,friends,UTC,"2026-01-01 00:06:00+00")"#]
    );
    assert_eq!(
        tables
            .rows(
                "SELECT field_name, old_value, new_value FROM users.activity_log
                 WHERE activity_type = 'profile_updated' ORDER BY created_at, field_name"
            )
            .await,
        [
            "(bio,,countess)",
            r#"(display_name,Ada,"Ada L.")"#,
            "(profile_visibility,public,friends)",
            "(bio,countess,)",
        ]
    );
}

#[tokio::test]
async fn blocking_is_a_set() {
    let mut log = registered();
    log.block(id(1), id(2));
    log.block(id(1), id(2));
    log.block(id(2), id(1));
    log.unblock(id(2), id(1));
    let tables = Tables::given(&log).await;
    let query = "SELECT user_id, blocked_user_id, reason FROM users.blocked_users ORDER BY user_id";
    assert_eq!(tables.rows(query).await, [r#"(#1,#2,"reason 5")"#], "the first one counts");

    let end = log.events.len();
    log.unblock(id(1), id(2));
    log.block(id(1), id(2));
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(tables.rows(query).await, [r#"(#1,#2,"reason 10")"#]);
}
