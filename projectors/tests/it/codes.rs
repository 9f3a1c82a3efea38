//! Projections `auth` and `audit`: one-time codes and passwords.

use echolog_events::{
    CredentialEvent, Event, Stream, StreamKey, TwoFactorEnabled, TwoFactorMethod,
};

use crate::support::codes::{
    changed, guessed, rehashed, requested, reset_completed, reset_requested, verified,
};
use crate::support::sessions::{day, failed};
use crate::support::{Log, Tables, id};

const CODE: u128 = 0xc0de;

/// The tables after the log at once, and after each event by itself, which are the same.
async fn both_ways(log: &Log, query: &str) -> Vec<String> {
    let tables = Tables::given(log).await;
    let rows = tables.rows(query).await;
    let tables = Tables::new().await;
    tables.feed(&log.events.chunks(1).collect::<Vec<_>>()).await;
    assert_eq!(tables.rows(query).await, rows, "one by one, at once");
    rows
}

fn registered() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log
}

#[tokio::test]
async fn a_code_is_asked_for_guessed_and_shown() {
    let mut log = registered();
    log.codes(vec![requested(id(1), Some(id(1)), id(CODE), None)]);
    log.codes(vec![guessed(id(1), id(CODE), 1)]);
    log.codes(vec![guessed(id(1), id(CODE), 2)]);
    log.codes(vec![requested(id(1), Some(id(1)), id(CODE + 1), Some(id(CODE)))]);
    log.codes(vec![verified(id(1), id(CODE + 1))]);
    let codes = "SELECT id, account_id, user_id, identifier, otp_code, otp_hash, purpose, attempts,
        verified, verified_at::date, expires_at, created_at::time, updated_at::time
        FROM auth.otp_verifications ORDER BY created_at";
    assert_eq!(
        both_ways(&log, codes).await,
        [
            r#"(#c0de,#1,#1,ada@example.org,,hash,login,2,f,,"2026-01-01 00:06:00+00",00:03:00,00:06:00)"#,
            r#"(#c0df,#1,#1,ada@example.org,,hash,login,0,t,2026-01-02,"2026-01-03 00:00:00+00",00:06:00,00:07:00)"#,
        ]
    );
    let trail = "SELECT event_type, success, identifier, ip_address FROM audit.auth_events
        WHERE event_type LIKE 'otp%' ORDER BY created_at";
    assert_eq!(
        both_ways(&log, trail).await,
        [
            "(otp_requested,t,ada@example.org,192.0.2.1)",
            "(otp_attempt_failed,f,,198.51.100.7)",
            "(otp_attempt_failed,f,,198.51.100.7)",
            "(otp_requested,t,ada@example.org,192.0.2.1)",
            "(otp_verified,t,,192.0.2.1)",
        ]
    );
}

#[tokio::test]
async fn an_id_is_of_its_account() {
    let mut log = registered();
    log.codes(vec![requested(id(1), Some(id(1)), id(CODE), None)]);
    log.codes(vec![requested(id(0xd1ce), None, id(CODE), None)]);
    log.codes(vec![guessed(id(1), id(CODE), 1)]);
    let codes = "SELECT account_id, user_id, identifier, attempts FROM auth.otp_verifications
        ORDER BY account_id";
    assert_eq!(
        both_ways(&log, codes).await,
        ["(#1,#1,ada@example.org,1)", "(#d1ce,,unknown:5eed,0)"]
    );
}

#[tokio::test]
async fn codes_of_one_id_are_second_factors_of_two_users() {
    let mut log = registered();
    log.register(id(2), "Bob");
    for (user, method) in [(id(1), TwoFactorMethod::Sms), (id(2), TwoFactorMethod::Email)] {
        let enabled =
            TwoFactorEnabled { user_id: user, method, factor_id: Some(id(CODE)), step: None };
        let event = Event::Credentials(CredentialEvent::TwoFactorEnabled(enabled));
        log.command(user, vec![(StreamKey::of(Stream::Credential, user), event)]);
    }
    let factors = "SELECT id, user_id, kind, status FROM auth.two_factor_factors ORDER BY user_id";
    assert_eq!(
        both_ways(&log, factors).await,
        ["(#c0de,#1,sms,active)", "(#c0de,#2,email,active)"]
    );
}

#[tokio::test]
async fn a_new_password_takes_the_place_of_the_old_one() {
    let mut log = registered();
    log.account(vec![failed(id(1), Some(id(1)), true)]);
    log.password(changed(id(1), 1, "new"));
    let account = "SELECT password_hash, password_changed_at::time, failed_login_attempts,
        updated_at::time FROM auth.users";
    assert_eq!(both_ways(&log, account).await, ["(new,00:04:00,0,00:04:00)"]);
    log.password(rehashed(id(1), 2, "stronger"));
    assert_eq!(both_ways(&log, account).await, ["(stronger,00:04:00,0,00:05:00)"]);
    let told = "SELECT event_type, severity, metadata FROM auth.security_events";
    assert_eq!(
        both_ways(&log, told).await,
        [r#"(password_changed,warning,"{""how"": ""change""}")"#]
    );
    let audited = "SELECT operation, new_data->>'password_hash', changed_fields
        FROM audit.record_changes WHERE table_name = 'users' ORDER BY event_seq";
    assert_eq!(
        both_ways(&log, audited).await,
        ["(INSERT,[redacted],)", r#"(UPDATE,[redacted],"{password_changed_at,updated_at}")"#]
    );
}

#[tokio::test]
async fn a_token_stands_for_a_password_that_was_lost() {
    const RESET: u128 = 0x4e5e;
    let mut log = registered();
    log.codes(vec![reset_requested(id(1), id(RESET), None)]);
    log.codes(vec![reset_requested(id(1), id(RESET + 1), Some(id(RESET)))]);
    log.codes(vec![reset_completed(id(1), id(RESET + 1))]);
    let tokens = "SELECT id, user_id, expires_at::time, used_at::time, created_at::time,
        updated_at::time FROM auth.password_reset_tokens ORDER BY created_at";
    assert_eq!(
        both_ways(&log, tokens).await,
        [
            "(#4e5e,#1,00:04:00,,00:03:00,00:04:00)",
            "(#4e5f,#1,00:00:00,00:05:00,00:04:00,00:05:00)"
        ]
    );
    let told = "SELECT event_type, severity FROM auth.security_events ORDER BY created_at";
    assert_eq!(
        both_ways(&log, told).await,
        [
            "(password_reset_requested,info)",
            "(password_reset_requested,info)",
            "(password_reset_completed,warning)"
        ]
    );
}

#[tokio::test]
async fn what_has_ended_by_itself_ended_then() {
    let mut log = registered();
    log.codes(vec![requested(id(1), Some(id(1)), id(CODE), None)]);
    log.codes(vec![reset_requested(id(1), id(CODE), None)]);
    log.codes(vec![requested(id(1), Some(id(1)), id(CODE + 1), Some(id(CODE)))]);
    log.codes(vec![reset_requested(id(1), id(CODE + 1), Some(id(CODE)))]);
    for event in &mut log.events[4..] {
        event.meta.time = day(3);
    }
    for table in ["otp_verifications", "password_reset_tokens"] {
        let ends =
            format!("SELECT expires_at, updated_at FROM auth.{table} WHERE id = '{}'", id(CODE));
        assert_eq!(
            both_ways(&log, &ends).await,
            [r#"("2026-01-03 00:00:00+00","2026-01-04 00:00:00+00")"#],
            "{table}"
        );
    }
}
