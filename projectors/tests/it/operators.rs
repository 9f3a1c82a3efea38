//! Projections `auth` and `audit`: what operators do about accounts.

use echolog_events::{RevokedReason, UserRole};

use crate::support::accounts::{banned, deleted, promoted, reinstated, suspended};
use crate::support::sessions::{day, revoked};
use crate::support::{Log, Tables, id};

const STANDING: &str = "SELECT username, account_status, suspension_reason, suspended_at::time,
    suspended_until::date, updated_at::time FROM auth.users ORDER BY id";

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
async fn an_account_is_stopped_and_acts_again() {
    let mut log = registered();
    log.operate(id(1), suspended(id(1), "spam", Some(day(3))));
    assert_eq!(
        both_ways(&log, STANDING).await,
        ["(Ada,suspended,spam,00:05:00,2026-01-04,00:05:00)", "(Bob,active,,,,00:03:00)"]
    );
    log.operate(id(1), banned(id(1), "more spam"));
    log.operate(id(2), suspended(id(2), "noise", None));
    assert_eq!(
        both_ways(&log, STANDING).await,
        [
            "(Ada,banned,\"more spam\",00:07:00,,00:07:00)",
            "(Bob,suspended,noise,00:09:00,,00:09:00)"
        ]
    );
    log.operate(id(1), reinstated(id(1)));
    assert_eq!(both_ways(&log, STANDING).await[0], "(Ada,active,,,,00:11:00)");
    let told = "SELECT user_id, event_type, severity, metadata->>'reason' AS reason,
        metadata->>'until' AS until FROM auth.security_events ORDER BY created_at";
    assert_eq!(
        both_ways(&log, told).await,
        [
            "(#1,user_suspended,critical,spam,2026-01-04T00:00:00.000000Z)",
            "(#1,user_banned,critical,\"more spam\",)",
            "(#2,user_suspended,critical,noise,)",
            "(#1,user_reinstated,info,,)",
        ]
    );
    let recorded = "SELECT admin_user_id, actor, action, resource_type, target_user_id, details,
        reason, ip_address FROM audit.admin_actions ORDER BY created_at LIMIT 1";
    assert_eq!(
        both_ways(&log, recorded).await,
        [r#"(,#1,suspend_user,user,#1,"{""n"": 1}",because,192.0.2.3)"#]
    );
    let changed = "SELECT changed_fields FROM audit.record_changes WHERE table_name = 'users'
        AND operation = 'UPDATE' ORDER BY event_seq LIMIT 1";
    assert_eq!(
        both_ways(&log, changed).await,
        ["(\"{account_status,suspended_at,suspended_until,suspension_reason,updated_at}\")"]
    );
}

#[tokio::test]
async fn an_account_and_what_is_done_about_it_may_come_at_once() {
    let mut log = registered();
    log.log_in(id(1), id(0x5e1), "a phone");
    log.operate(id(1), banned(id(1), "spam"));
    log.account(vec![revoked(id(1), id(0x5e1), RevokedReason::Admin)]);
    assert_eq!(both_ways(&log, STANDING).await[0], "(Ada,banned,spam,00:07:00,,00:07:00)");
    let tables = Tables::given(&log).await;
    assert_eq!(tables.value("SELECT count(*) FROM projection.parked").await, "0");
}

#[tokio::test]
async fn whoever_looks_leaves_a_trace() {
    let mut log = registered();
    log.look_at(id(2));
    let looks =
        "SELECT user_id, actor, subject_user_id, data_type, access_type, purpose, ip_address
        FROM audit.sensitive_data_access";
    assert_eq!(both_ways(&log, looks).await, ["(,#2,#2,account,read,\"a request\",192.0.2.3)"]);
}

#[tokio::test]
async fn an_account_gets_another_role() {
    let mut log = registered();
    log.operate(id(1), promoted(id(1), UserRole::Moderator));
    log.operate(id(1), promoted(id(1), UserRole::Admin));
    let roles = "SELECT username, role, updated_at::time FROM auth.users ORDER BY id";
    assert_eq!(both_ways(&log, roles).await, ["(Ada,admin,00:07:00)", "(Bob,user,00:03:00)"]);
    let told = "SELECT severity, metadata->>'new_role' AS role FROM auth.security_events
        WHERE event_type = 'user_role_changed' ORDER BY created_at";
    assert_eq!(both_ways(&log, told).await, ["(warning,moderator)", "(warning,admin)"]);
}

#[tokio::test]
async fn an_account_that_is_gone_keeps_its_row() {
    let mut log = registered();
    log.operate(id(1), suspended(id(1), "spam", None));
    log.operate(id(1), deleted(id(1)));
    let account = "SELECT username, account_status, suspension_reason, deleted_at::time,
        updated_at::time FROM auth.users ORDER BY id LIMIT 1";
    assert_eq!(both_ways(&log, account).await, ["(Ada,deleted,spam,00:07:00,00:07:00)"]);
    let profile = "SELECT username, display_name, deleted_at::time, updated_at::time
        FROM users.profiles ORDER BY user_id";
    assert_eq!(
        both_ways(&log, profile).await,
        ["(Ada,Ada,00:07:00,00:07:00)", "(Bob,Bob,,00:03:00)"]
    );
    let activity = "SELECT activity_type FROM users.activity_log ORDER BY created_at";
    assert_eq!(both_ways(&log, activity).await, ["(registered)", "(registered)", "(deleted)"]);
}
