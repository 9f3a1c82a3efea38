//! Projections `auth` and `audit`: API keys.

use echolog_events::{
    ApiKeyCreated, ApiKeyRevoked, ApiKeyUsed, CredentialEvent, Event, Scope, Stream, StreamKey,
    TokenHash, Uuid,
};

use crate::support::sessions::day;
use crate::support::{Log, Tables, id};

const KEY: u128 = 0xa1;

fn created(user: Uuid, key: u128) -> CredentialEvent {
    CredentialEvent::ApiKeyCreated(ApiKeyCreated {
        user_id: user,
        api_key_id: id(key),
        name: "a server".to_owned(),
        key_prefix: "ek_AZLzxKqq".to_owned(),
        key_hash: TokenHash::new(format!("key-{}-{key}", user.as_u128())),
        scopes: vec![Scope::Messages, Scope::Users],
        expires_at: Some(day(90)),
    })
}

fn used(user_id: Uuid, key: u128, count: u32, on: i64) -> CredentialEvent {
    let (api_key_id, last_used_at) = (id(key), day(on));
    CredentialEvent::ApiKeyUsed(ApiKeyUsed { user_id, api_key_id, count, last_used_at })
}

fn revoked(user_id: Uuid, key: u128) -> CredentialEvent {
    let (api_key_id, by_user_id) = (id(key), Some(user_id));
    CredentialEvent::ApiKeyRevoked(ApiKeyRevoked { user_id, api_key_id, by_user_id })
}

fn log(events: Vec<CredentialEvent>) -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    for event in events {
        let stream = StreamKey::of(Stream::Credential, event.user_id());
        log.command(event.user_id(), vec![(stream, Event::Credentials(event))]);
    }
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
async fn a_key_is_made_used_and_revoked() {
    let log = log(vec![
        created(id(1), KEY),
        // Two users may choose the same id.
        created(id(2), KEY),
        used(id(1), KEY, 3, 5),
        // What was counted elsewhere may come later.
        used(id(1), KEY, 2, 4),
        revoked(id(1), KEY),
    ]);
    assert_eq!(
        both_ways(&log, "SELECT * FROM auth.api_keys ORDER BY user_id").await,
        [
            concat!(
                r#"(#a1,#1,"a server",ek_AZLzxKqq,key-1-161,"{messages,users}","#,
                r#""2026-01-06 00:00:00+00",5,"2026-04-01 00:00:00+00","2026-01-01 00:09:00+00","#,
                r#""2026-01-01 00:05:00+00","2026-01-01 00:09:00+00")"#
            ),
            concat!(
                r#"(#a1,#2,"a server",ek_AZLzxKqq,key-2-161,"{messages,users}",,0,"#,
                r#""2026-04-01 00:00:00+00",,"2026-01-01 00:06:00+00","2026-01-01 00:06:00+00")"#
            ),
        ]
    );
    let security = "SELECT user_id, event_type, severity, metadata->>'api_key_id' AS key
        FROM auth.security_events ORDER BY created_at";
    assert_eq!(
        both_ways(&log, security).await,
        [
            "(#1,api_key_created,warning,#a1)",
            "(#2,api_key_created,warning,#a1)",
            "(#1,api_key_revoked,info,#a1)",
        ]
    );
    let audit = "SELECT operation, new_data->>'key_hash' AS hash, new_data->>'revoked_at' IS NULL
        FROM audit.record_changes WHERE table_name = 'api_keys' ORDER BY created_at";
    assert_eq!(
        both_ways(&log, audit).await,
        ["(INSERT,[redacted],t)", "(INSERT,[redacted],t)", "(UPDATE,[redacted],f)"],
        "that it was used is not worth a line"
    );
}
