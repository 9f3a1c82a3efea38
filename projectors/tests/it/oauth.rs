//! Projections `auth` and `audit`: identities at other providers.

use echolog_events::{
    CredentialEvent, Event, OauthProvider, OauthProviderLinked, OauthProviderUnlinked,
    OauthTokenRefreshed, Sealed, Stream, StreamKey, Time, Uuid,
};
use serde_json::json;

use crate::support::{Log, Tables, id};

fn linked(user: Uuid, link: u128, provider: OauthProvider, name: &str) -> CredentialEvent {
    let profile = json!({ "sub": "ada", "name": name });
    CredentialEvent::OauthProviderLinked(OauthProviderLinked {
        user_id: user,
        link_id: id(link),
        provider,
        provider_user_id: "ada".to_owned(),
        provider_email: (name == "Ada").then(|| "ada@example.org".to_owned()),
        profile_data: profile.as_object().cloned().unwrap_or_default(),
        has_password: true,
    })
}

fn unlinked(user: Uuid, link: u128, provider: OauthProvider) -> CredentialEvent {
    let (link_id, by_user_id) = (id(link), Some(user));
    let unlinked = OauthProviderUnlinked { user_id: user, link_id, provider, by_user_id };
    CredentialEvent::OauthProviderUnlinked(unlinked)
}

fn refreshed(user: Uuid, link: u128, number: u8) -> CredentialEvent {
    CredentialEvent::OauthTokenRefreshed(OauthTokenRefreshed {
        user_id: user,
        link_id: id(link),
        provider: OauthProvider::Google,
        access_token: Sealed::new(format!("x1.access-{number}")),
        refresh_token: (number != 2).then(|| Sealed::new(format!("x1.refresh-{number}"))),
        token_expires_at: (number == 2).then(Time::default),
    })
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
async fn an_identity_is_linked_told_about_again_and_free() {
    let (google, github) = (OauthProvider::Google, OauthProvider::Github);
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    for event in [
        linked(id(1), 0xa1, google, "Ada"),
        linked(id(1), 0xa2, github, "Ada"),
        linked(id(1), 0xa2, github, "Ada L."),
        unlinked(id(1), 0xa1, google),
        linked(id(2), 0xa3, google, "Bob"),
    ] {
        let stream = StreamKey::of(Stream::Credential, event.user_id());
        log.command(event.user_id(), vec![(stream, Event::Credentials(event))]);
    }
    assert_eq!(
        both_ways(&log, "SELECT * FROM auth.oauth_providers ORDER BY id").await,
        [
            concat!(
                r#"(#a2,#1,github,ada,,,,,"{""sub"": ""ada"", ""name"": ""Ada L.""}","#,
                r#""2026-01-01 00:06:00+00","2026-01-01 00:07:00+00")"#
            ),
            concat!(
                r#"(#a3,#2,google,ada,,,,,"{""sub"": ""ada"", ""name"": ""Bob""}","#,
                r#""2026-01-01 00:09:00+00","2026-01-01 00:09:00+00")"#
            ),
        ]
    );
    let security = "SELECT user_id, event_type, severity, metadata->>'link_id' AS link,
        metadata->>'provider' AS provider FROM auth.security_events ORDER BY created_at";
    assert_eq!(
        both_ways(&log, security).await,
        [
            "(#1,oauth_provider_linked,warning,#a1,google)",
            "(#1,oauth_provider_linked,warning,#a2,github)",
            "(#1,oauth_provider_linked,warning,#a2,github)",
            "(#1,oauth_provider_unlinked,warning,#a1,google)",
            "(#2,oauth_provider_linked,warning,#a3,google)",
        ]
    );
    let audit = "SELECT operation, record_id, changed_fields FROM audit.record_changes
        WHERE table_name = 'oauth_providers' ORDER BY created_at";
    assert_eq!(
        both_ways(&log, audit).await,
        [
            "(INSERT,#a1,)",
            "(INSERT,#a2,)",
            r#"(UPDATE,#a2,"{profile_data,provider_email,updated_at}")"#,
            "(DELETE,#a1,)",
            "(INSERT,#a3,)",
        ]
    );
    let trail = "SELECT event_type FROM audit.auth_events WHERE event_type LIKE 'oauth%'";
    assert_eq!(both_ways(&log, trail).await, [""; 0], "they are among the security events");
}

#[tokio::test]
async fn tokens_are_kept_with_their_link() {
    let google = OauthProvider::Google;
    let mut log = Log::default();
    log.register(id(1), "Ada");
    for event in [
        linked(id(1), 0xa1, google, "Ada"),
        refreshed(id(1), 0xa1, 1),
        refreshed(id(1), 0xa1, 2),
        linked(id(1), 0xa1, google, "Ada L."),
        linked(id(1), 0xa2, google, "Ada"),
        refreshed(id(1), 0xa2, 3),
        linked(id(1), 0xa3, google, "Ada"),
        refreshed(id(1), 0xa3, 4),
        unlinked(id(1), 0xa3, google),
        refreshed(id(1), 0xa2, 5),
    ] {
        let stream = StreamKey::of(Stream::Credential, event.user_id());
        log.command(event.user_id(), vec![(stream, Event::Credentials(event))]);
    }
    let kept = "SELECT id, access_token, refresh_token, token_expires_at, updated_at
        FROM auth.oauth_providers ORDER BY id";
    assert_eq!(
        both_ways(&log, kept).await,
        [
            r#"(#a1,x1.access-2,,"1970-01-01 00:00:00+00","2026-01-01 00:06:00+00")"#,
            r#"(#a2,x1.access-5,x1.refresh-5,,"2026-01-01 00:12:00+00")"#,
        ]
    );
    for told in [
        "SELECT c::text FROM audit.record_changes AS c WHERE c::text LIKE '%x1.%'",
        "SELECT event_type FROM auth.security_events WHERE event_type LIKE '%token%'",
    ] {
        assert_eq!(both_ways(&log, told).await, [""; 0], "{told}");
    }
}
