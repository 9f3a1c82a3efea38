//! Projections `auth` and `audit`: who logs in, and what becomes of sessions.

use echolog_events::{JsonMap, RevokedReason, SessionEvent, UnlockedBy};

use echolog_projectors::{Projection, Target};

use crate::support::sessions::{
    active, day, expired, failed, locked, origin, refresh, refresh_id, refreshed, reused, revoked,
    started, succeeded, unlocked,
};
use crate::support::{Log, Tables, id};

const SESSION: u128 = 0x5e1;

const ACCOUNTS: &str = "SELECT username, failed_login_attempts AS failed, locked, locked_until,
    last_login_at, updated_at FROM auth.users ORDER BY id";

const TOKENS: &str = "SELECT token, session_id, device_id, expires_at::date, revoked, revoked_at,
    replaced_by_id, created_at::time, updated_at::time FROM auth.refresh_tokens ORDER BY created_at";

fn registered() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    log
}

/// The tables after the log at once, and after each event by itself, which are the same.
async fn both_ways(log: &Log, query: &str) -> Vec<String> {
    let tables = Tables::given(log).await;
    let rows = tables.rows(query).await;
    let tables = Tables::new().await;
    tables.feed(&log.events.chunks(1).collect::<Vec<_>>()).await;
    assert_eq!(tables.rows(query).await, rows, "one by one, at once");
    rows
}

#[tokio::test]
async fn logging_in_begins_a_session() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables.rows("SELECT * FROM auth.sessions").await,
        [concat!(
            r#"(#5e1,#1,s-1-1505-0,r-1-1505-0,"a phone",Ada's,mobile,ios,f,"{""os"": ""9""}","#,
            r#"192.0.2.1,"agent at 192.0.2.1",,push,"2026-01-31 00:00:00+00","#,
            r#""2026-01-01 00:05:00+00",,,"2026-01-01 00:05:00+00","2026-01-01 00:05:00+00")"#
        )]
    );
    let token = refresh_id(id(1), id(SESSION), 0);
    assert_eq!(
        tables.rows(TOKENS).await,
        [r#"(r-1-1505-0,#5e1,"a phone",2026-01-31,f,,,00:05:00,00:05:00)"#]
    );
    let query = format!("SELECT user_id FROM auth.refresh_tokens WHERE id = '{token}'");
    assert_eq!(tables.value(&query).await, "#1");
    assert_eq!(
        tables
            .rows(
                "SELECT user_id, identifier, identifier_type, success, failure_reason, ip_address,
                    user_agent, device_id, location, created_at = updated_at AS same
                 FROM auth.login_history"
            )
            .await,
        [r#"(#1,user1,username,t,,192.0.2.1,"agent at 192.0.2.1","a phone",,t)"#]
    );
    assert_eq!(
        tables.rows(ACCOUNTS).await,
        [
            r#"(Ada,0,f,,"2026-01-01 00:06:00+00","2026-01-01 00:06:00+00")"#,
            r#"(Bob,0,f,,,"2026-01-01 00:03:00+00")"#
        ]
    );
}

#[tokio::test]
async fn failures_count_until_somebody_logs_in() {
    let mut log = registered();
    for counts in [true, true, false] {
        log.account(vec![failed(id(1), Some(id(1)), counts)]);
    }
    assert_eq!(
        both_ways(&log, ACCOUNTS).await[0],
        r#"(Ada,2,f,,,"2026-01-01 00:06:00+00")"#,
        "what does not count leaves the account as it is"
    );
    log.log_in(id(1), id(SESSION), "a phone");
    log.account(vec![failed(id(1), Some(id(1)), true)]);
    assert_eq!(
        both_ways(&log, ACCOUNTS).await[0],
        r#"(Ada,1,f,,"2026-01-01 00:09:00+00","2026-01-01 00:10:00+00")"#
    );
    let history = "SELECT success, failure_reason, ip_address, device_id FROM auth.login_history
        ORDER BY created_at";
    assert_eq!(
        both_ways(&log, history).await,
        [
            "(f,wrong_password,2001:db8::1,)",
            "(f,wrong_password,2001:db8::1,)",
            "(f,locked,2001:db8::1,)",
            r#"(t,,192.0.2.1,"a phone")"#,
            "(f,wrong_password,2001:db8::1,)",
        ]
    );
}

#[tokio::test]
async fn a_lock_is_opened_again() {
    let mut log = registered();
    log.account(vec![failed(id(1), Some(id(1)), true), locked(id(1), Some(id(1)), day(1))]);
    assert_eq!(
        both_ways(&log, ACCOUNTS).await[0],
        r#"(Ada,1,t,"2026-01-02 00:00:00+00",,"2026-01-01 00:06:00+00")"#
    );
    log.account(vec![unlocked(id(1), UnlockedBy::Admin)]);
    assert_eq!(both_ways(&log, ACCOUNTS).await[0], r#"(Ada,0,f,,,"2026-01-01 00:07:00+00")"#);
    let events = "SELECT user_id, event_type, severity, metadata FROM auth.security_events
        ORDER BY created_at";
    assert_eq!(
        both_ways(&log, events).await,
        [
            r#"(#1,user_locked,warning,"{""locked_until"": ""2026-01-02T00:00:00.000000Z"", ""failed_attempts"": 5}")"#,
            r#"(#1,user_unlocked,info,"{""by"": ""admin"", ""by_user_id"": null}")"#,
        ]
    );
}

#[tokio::test]
async fn a_name_that_nobody_has_leaves_a_trace_of_the_attempt_only() {
    let mut log = registered();
    log.account(vec![failed(id(0xd1ce), None, true), locked(id(0xd1ce), None, day(1))]);
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables.rows("SELECT user_id, identifier, failure_reason FROM auth.login_history").await,
        ["(,unknown:5eed,unknown_identifier)"]
    );
    assert_eq!(tables.value("SELECT count(*) FROM auth.security_events").await, "0");
    assert_eq!(tables.value("SELECT count(*) FROM auth.users WHERE locked").await, "0");
    assert_eq!(
        tables
            .rows(
                "SELECT user_id, event_type, success, identifier FROM audit.auth_events
                 WHERE created_at > '2026-01-01 00:04' ORDER BY created_at"
            )
            .await,
        ["(,login_failed,f,unknown:5eed)", "(,user_locked,t,)"]
    );
    assert_eq!(tables.value("SELECT count(*) FROM projection.parked").await, "0");
}

#[tokio::test]
async fn tokens_are_exchanged() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    let mut second = refreshed(id(1), id(SESSION), 2);
    second.device_name = Some("Ada's old one".to_owned());
    second.device_metadata = Some(JsonMap::from_iter([("os".to_owned(), "10".into())]));
    second.fcm_token = Some("push 2".to_owned());
    second.origin = origin("2001:db8::2");
    log.account(vec![refresh(id(1), id(SESSION), 1)]);
    log.account(vec![SessionEvent::SessionRefreshed(Box::new(second))]);
    log.account(vec![refresh(id(1), id(SESSION), 3)]);
    let session = "SELECT session_token, refresh_token, device_name, device_metadata, fcm_token,
        ip_address, user_agent, expires_at::date, last_activity_at::time, created_at::time,
        updated_at::time FROM auth.sessions";
    assert_eq!(
        both_ways(&log, session).await,
        [concat!(
            r#"(s-1-1505-3,r-1-1505-3,"Ada's old one","{""os"": ""10""}","push 2",2001:db8::2,"#,
            r#""agent at 2001:db8::2",2026-02-03,00:09:00,00:05:00,00:09:00)"#
        )],
        "what is not given stays"
    );
    let chain = "SELECT r.token, r.revoked, r.revoked_at::time, x.token AS next, r.updated_at::time
        FROM auth.refresh_tokens AS r
        LEFT JOIN auth.refresh_tokens AS x ON x.id = r.replaced_by_id ORDER BY r.created_at";
    assert_eq!(
        both_ways(&log, chain).await,
        [
            "(r-1-1505-0,t,00:07:00,r-1-1505-1,00:07:00)",
            "(r-1-1505-1,t,00:08:00,r-1-1505-2,00:08:00)",
            "(r-1-1505-2,t,00:09:00,r-1-1505-3,00:09:00)",
            "(r-1-1505-3,f,,,00:09:00)",
        ]
    );
}

#[tokio::test]
async fn a_lost_answer_leaves_one_live_token() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    log.account(vec![refresh(id(1), id(SESSION), 1)]);
    let mut again = refreshed(id(1), id(SESSION), 2);
    again.old_refresh_id = refresh_id(id(1), id(SESSION), 0);
    log.account(vec![SessionEvent::SessionRefreshed(Box::new(again))]);
    let chain = "SELECT r.token, r.revoked_at::time, x.token AS next, r.updated_at::time
        FROM auth.refresh_tokens AS r
        LEFT JOIN auth.refresh_tokens AS x ON x.id = r.replaced_by_id ORDER BY r.created_at";
    assert_eq!(
        both_ways(&log, chain).await,
        [
            "(r-1-1505-0,00:07:00,r-1-1505-2,00:08:00)",
            "(r-1-1505-1,00:08:00,r-1-1505-2,00:08:00)",
            "(r-1-1505-2,,,00:08:00)",
        ]
    );
}

#[tokio::test]
async fn what_is_revoked_has_no_live_token() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    log.account(vec![refresh(id(1), id(SESSION), 1)]);
    log.account(vec![
        revoked(id(1), id(SESSION), RevokedReason::Replaced),
        started(id(1), id(SESSION + 1), "a phone"),
    ]);
    log.account(vec![
        reused(id(1), id(SESSION + 1), 0),
        revoked(id(1), id(SESSION + 1), RevokedReason::TokenReuse),
    ]);
    assert_eq!(
        both_ways(
            &log,
            "SELECT id, revoked_at::time, revoked_reason, last_activity_at::time, updated_at::time
             FROM auth.sessions ORDER BY created_at"
        )
        .await,
        [
            "(#5e1,00:08:00,replaced,00:07:00,00:08:00)",
            "(#5e2,00:11:00,token_reuse,00:09:00,00:11:00)",
        ]
    );
    assert_eq!(
        both_ways(
            &log,
            "SELECT token, revoked, revoked_at::time, replaced_by_id IS NULL AS last
             FROM auth.refresh_tokens ORDER BY created_at"
        )
        .await,
        ["(r-1-1505-0,t,00:07:00,f)", "(r-1-1505-1,t,00:08:00,t)", "(r-1-1506-0,t,00:11:00,t)",]
    );
    assert_eq!(
        both_ways(
            &log,
            "SELECT user_id, session_id, event_type, severity, ip_address, user_agent, metadata
             FROM auth.security_events"
        )
        .await,
        [concat!(
            r#"(#1,#5e2,refresh_token_reused,critical,198.51.100.7,"agent at 198.51.100.7","#,
            r#""{""generation"": 0}")"#
        )]
    );
}

#[tokio::test]
async fn a_session_in_use_is_over_when_its_time_is() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    log.account(vec![active(id(1), id(SESSION), 3)]);
    log.account(vec![expired(id(1), id(SESSION), 30)]);
    assert_eq!(
        both_ways(
            &log,
            "SELECT revoked_at, revoked_reason, last_activity_at, updated_at::time
             FROM auth.sessions"
        )
        .await,
        [r#"("2026-01-31 00:00:00+00",expired,"2026-01-04 00:00:00+00",00:08:00)"#]
    );
    let tokens = "SELECT revoked, revoked_at::time, replaced_by_id FROM auth.refresh_tokens";
    assert_eq!(both_ways(&log, tokens).await, ["(t,00:08:00,)"]);
    let trail = "SELECT event_type FROM audit.auth_events WHERE session_id IS NOT NULL ORDER BY id";
    assert_eq!(both_ways(&log, trail).await.len(), 2, "that it began, and who began it");
    let changes = "SELECT operation FROM audit.record_changes WHERE table_name = 'sessions'";
    assert_eq!(both_ways(&log, changes).await.len(), 2, "that it began and ended");
}

#[tokio::test]
async fn two_users_may_choose_the_same_session_id() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    log.log_in(id(2), id(SESSION), "a phone");
    log.account(vec![revoked(id(2), id(SESSION), RevokedReason::Logout)]);
    let query = "SELECT user_id, revoked_reason FROM auth.sessions ORDER BY user_id";
    assert_eq!(both_ways(&log, query).await, ["(#1,)", "(#2,logout)"]);
    assert_eq!(
        both_ways(
            &log,
            "SELECT record_id, count(*) FROM audit.record_changes WHERE table_name = 'sessions'
             GROUP BY 1 ORDER BY 2"
        )
        .await
        .len(),
        2,
        "two rows in the audit as well"
    );
}

#[tokio::test]
async fn many_failures_of_one_account_are_one_row() {
    let mut log = registered();
    for _ in 0..500 {
        log.account(vec![failed(id(1), Some(id(1)), true)]);
    }
    let tables = Tables::new().await;
    tables.feed(&[&log.events[..4], &log.events[4..]]).await;
    assert_eq!(
        tables.value("SELECT failed_login_attempts FROM auth.users WHERE username = 'Ada'").await,
        "500"
    );
    assert_eq!(tables.value("SELECT count(*) FROM auth.login_history").await, "500");
}

#[tokio::test]
async fn many_addresses_take_another_way_to_the_same_rows() {
    let mut log = registered();
    for n in 0..3000 {
        let mut attempt = failed(id(1), Some(id(1)), true);
        if let SessionEvent::LoginFailed(e) = &mut attempt {
            let address = [format!("10.0.{}.{}", n / 256, n % 256), format!("2001:db8::{n:x}")];
            e.origin = origin(&address[n % 2]);
            e.origin.user_agent = (n % 3 > 0).then(|| "agent ".repeat(80));
            e.origin.ip_address = e.origin.ip_address.filter(|_| n % 5 > 0);
        }
        log.account(vec![attempt]);
    }
    let target = Target::live(Projection::Auth);
    let (at_once, in_parts) = (Tables::new().await, Tables::new().await);
    at_once.feed_one(target.clone(), &[&log.events]).await;
    in_parts.feed_one(target.clone(), &log.events.chunks(100).collect::<Vec<_>>()).await;
    assert_eq!(at_once.dump(&target).await, in_parts.dump(&target).await);
    let query =
        "SELECT count(*), count(ip_address), count(*) FILTER (WHERE masklen(ip_address) = 128
        AND family(ip_address) = 6) FROM auth.login_history";
    assert_eq!(at_once.rows(query).await, ["(3000,2400,1200)"]);
    assert_eq!(
        at_once.value("SELECT max(ip_address) FROM auth.login_history").await,
        "2001:db8::bb7"
    );
}

#[tokio::test]
async fn what_does_not_fit_is_set_aside_for_its_user() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    log.account(vec![started(id(1), id(SESSION), "another phone")]);
    log.log_in(id(1), id(SESSION + 1), "a tablet");
    log.log_in(id(2), id(SESSION), "a phone");
    log.account(vec![refresh(id(2), id(SESSION + 9), 1)]);
    log.account(vec![succeeded(id(7), id(SESSION), "a phone")]);
    let parked = "SELECT event_seq, stream_id, error FROM projection.parked
        WHERE projection = 'auth' ORDER BY event_seq";
    assert_eq!(
        both_ways(&log, parked).await,
        [
            r#"(7,#1,"duplicate key value violates unique constraint ""sessions_pkey""")"#,
            "(8,#1,)",
            "(9,#1,)",
            r#"(12,#2,"event 12: no session #5ea of #2")"#,
            r#"(13,#7,"event 13: no account #7")"#,
        ]
    );
    let sessions = "SELECT user_id, id, device_id FROM auth.sessions ORDER BY user_id";
    assert_eq!(
        both_ways(&log, sessions).await,
        [r#"(#1,#5e1,"a phone")"#, r#"(#2,#5e1,"a phone")"#]
    );
}

#[tokio::test]
async fn the_trail_says_who_tried_what_from_where() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    log.account(vec![failed(id(1), Some(id(1)), true), locked(id(1), Some(id(1)), day(1))]);
    log.account(vec![unlocked(id(1), UnlockedBy::Time)]);
    log.account(vec![refresh(id(1), id(SESSION), 1)]);
    log.account(vec![
        reused(id(1), id(SESSION), 0),
        revoked(id(1), id(SESSION), RevokedReason::TokenReuse),
    ]);
    let trail = "SELECT event_type, success, identifier, session_id, ip_address, details
        FROM audit.auth_events WHERE user_id = '00000000-0000-0000-0000-000000000001'
        ORDER BY created_at";
    assert_eq!(
        both_ways(&log, trail).await,
        [
            "(user_registered,t,Ada,,,{})",
            concat!(
                r#"(session_started,t,,#5e1,192.0.2.1,"{""platform"": ""ios"", ""device_id"": "#,
                r#"""a phone"", ""expires_at"": ""2026-01-31T00:00:00.000000Z"", "#,
                r#"""device_name"": ""Ada's"", ""device_type"": ""mobile""}")"#
            ),
            concat!(
                r#"(login_succeeded,t,user1,#5e1,192.0.2.1,"{""method"": ""password"", "#,
                r#"""device_id"": ""a phone"", ""identifier_type"": ""username""}")"#
            ),
            concat!(
                r#"(login_failed,f,ada@example.org,,2001:db8::1,"{""counts"": true, "#,
                r#"""reason"": ""wrong_password"", ""device_id"": null, "#,
                r#"""identifier_type"": ""email""}")"#
            ),
            concat!(
                r#"(user_locked,t,,,,"{""locked_until"": ""2026-01-02T00:00:00.000000Z"", "#,
                r#"""failed_attempts"": 5}")"#
            ),
            r#"(user_unlocked,t,,,,"{""by"": ""time"", ""by_user_id"": null}")"#,
            r#"(refresh_token_reused,f,,#5e1,198.51.100.7,"{""generation"": 0}")"#,
            r#"(session_revoked,t,,#5e1,,"{""reason"": ""token_reuse"", ""by_user_id"": null}")"#,
        ]
    );
}

#[tokio::test]
async fn rows_are_audited_without_hashes() {
    let mut log = registered();
    log.log_in(id(1), id(SESSION), "a phone");
    log.account(vec![refresh(id(1), id(SESSION), 1)]);
    log.account(vec![locked(id(1), Some(id(1)), day(1))]);
    log.account(vec![unlocked(id(1), UnlockedBy::Time)]);
    log.account(vec![revoked(id(1), id(SESSION), RevokedReason::Logout)]);
    let changes = "SELECT table_name, operation, changed_fields, new_data ->> 'locked' AS locked,
            new_data ->> 'session_token' AS token, new_data ->> 'fcm_token' AS push
        FROM audit.record_changes WHERE schema_name = 'auth' AND event_seq > 4 ORDER BY event_seq";
    assert_eq!(
        both_ways(&log, changes).await,
        [
            "(sessions,INSERT,,,[redacted],[redacted])",
            r#"(sessions,UPDATE,"{expires_at,updated_at}",,[redacted],[redacted])"#,
            r#"(users,UPDATE,"{locked,locked_until,updated_at}",true,,)"#,
            r#"(users,UPDATE,"{locked,locked_until,updated_at}",false,,)"#,
            r#"(sessions,UPDATE,"{revoked_at,revoked_reason,updated_at}",,[redacted],[redacted])"#,
        ]
    );
    let tables = Tables::given(&log).await;
    let dump = tables
        .rows("SELECT r::text FROM audit.record_changes AS r UNION ALL SELECT a::text FROM audit.auth_events AS a")
        .await;
    for secret in ["s-1-1505", "r-1-1505", "argon2id", "push"] {
        let shown = dump.iter().find(|row| row.contains(secret));
        assert_eq!(shown, None, "{secret}");
    }
}

/// What a build that knew nothing of the new columns writes.
#[tokio::test]
async fn rows_of_the_version_before_are_the_same() {
    let log = registered();
    let tables = Tables::given(&log).await;
    let rows = "SELECT * FROM audit.auth_events ORDER BY id";
    let now = tables.rows(rows).await;
    tables
        .execute(
            "CREATE TEMPORARY TABLE x AS SELECT id, user_id, event_type, identifier, session_id,
                created_at, updated_at FROM audit.auth_events;
             DELETE FROM audit.auth_events;
             INSERT INTO audit.auth_events (id, user_id, event_type, identifier, session_id,
                created_at, updated_at) SELECT * FROM x",
        )
        .await;
    assert_eq!(tables.rows(rows).await, now);
}

#[tokio::test]
async fn whoever_is_here_was_seen() {
    let mut log = registered();
    let seen = "SELECT user_id, last_seen, updated_at::time FROM users.profiles ORDER BY 1";
    log.log_in(id(1), id(SESSION), "a phone");
    assert_eq!(
        both_ways(&log, seen).await,
        [r#"(#1,"2026-01-01 00:05:00+00",00:01:00)"#, r#"(#2,"2026-01-01 00:03:00+00",00:03:00)"#]
    );
    log.account(vec![active(id(1), id(SESSION), 2)]);
    log.account(vec![active(id(1), id(SESSION), 1)]);
    assert_eq!(
        both_ways(&log, seen).await,
        [r#"(#1,"2026-01-03 00:00:00+00",00:01:00)"#, r#"(#2,"2026-01-01 00:03:00+00",00:03:00)"#]
    );
}

#[tokio::test]
async fn who_blocks_whom_is_worth_a_note() {
    let mut log = registered();
    log.block(id(1), id(2));
    let noted = "SELECT user_id, event_type, severity, metadata FROM auth.security_events";
    assert_eq!(
        both_ways(&log, noted).await,
        [r##"(#1,user_blocked,info,"{""blocked_user_id"": ""#2""}")"##]
    );
}
