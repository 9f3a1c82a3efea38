//! Projection `audit`.

use echolog_events::ProfileUpdated;

use crate::support::{Log, Tables, id};

const CHANGES: &str = "SELECT schema_name, table_name, operation, changed_fields, actor
    FROM audit.record_changes ORDER BY event_seq, table_name";

fn ada() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log
}

#[tokio::test]
async fn registering_is_recorded_without_secrets() {
    let tables = Tables::given(&ada()).await;
    assert_eq!(
        tables.rows(CHANGES).await,
        ["(users,profiles,INSERT,,#1)", "(auth,users,INSERT,,#1)"]
    );
    assert_eq!(
        tables
            .value("SELECT new_data ->> 'password_hash' FROM audit.record_changes WHERE table_name = 'users'")
            .await,
        "[redacted]"
    );
    assert_eq!(
        tables
            .rows("SELECT user_id, transaction_id = command_id::text AS same, event_seq FROM audit.record_changes")
            .await,
        ["(#1,t,1)", "(#1,t,1)"]
    );
    assert_eq!(
        tables.rows("SELECT user_id, event_type, identifier FROM audit.auth_events").await,
        ["(#1,user_registered,Ada)"]
    );
}

#[tokio::test]
async fn an_update_shows_the_row_before_and_after() {
    let mut log = ada();
    let update = |bio: &str| ProfileUpdated {
        user_id: id(1),
        bio: Some(bio.to_owned()),
        ..ProfileUpdated::default()
    };
    log.profile(update("one"));
    let tables = Tables::given(&log).await;
    let end = log.events.len();
    log.profile(update("two"));
    log.profile(update("two"));
    log.profile(update(""));
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(
        tables
            .rows(
                "SELECT old_data ->> 'bio' AS old, new_data ->> 'bio' AS new, changed_fields,
                    new_data ->> 'display_name' AS name
                 FROM audit.record_changes WHERE operation = 'UPDATE' ORDER BY event_seq"
            )
            .await,
        [
            r#"(,one,"{bio,updated_at}",Ada)"#,
            r#"(one,two,"{bio,updated_at}",Ada)"#,
            r#"(two,,"{bio,updated_at}",Ada)"#,
        ],
        "the same again is no change"
    );
}

#[tokio::test]
async fn sets_are_recorded_when_they_change() {
    let mut log = ada();
    log.group(id(100), &[id(1), id(2)]);
    log.send(id(100), id(11), id(1), "one");
    let tables = Tables::given(&log).await;
    let end = log.events.len();
    log.react(id(100), id(11), id(2), "👍");
    log.react(id(100), id(11), id(2), "👍");
    log.unreact(id(100), id(11), id(2), "👍");
    log.unreact(id(100), id(11), id(2), "👍");
    log.block(id(1), id(2));
    log.read(id(100), id(2), id(11));
    tables.feed(&[&log.events[end..]]).await;
    let rows = tables.rows(CHANGES).await;
    assert_eq!(
        rows[6..],
        [
            "(messages,message_reactions,INSERT,,#2)",
            "(messages,message_reactions,DELETE,,#2)",
            "(users,blocked_users,INSERT,,#1)",
        ]
    );
}

#[tokio::test]
async fn a_deleted_message_is_in_the_row_before() {
    let mut log = ada();
    log.group(id(100), &[id(1)]);
    log.send(id(100), id(11), id(1), "one");
    log.edit(id(100), id(11), id(1), "two");
    log.delete(id(100), id(11), id(1));
    log.edit(id(100), id(11), id(1), "three");
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT operation, old_data ->> 'content' AS old, new_data ->> 'content' AS new,
                    conversation_id
                 FROM audit.record_changes WHERE table_name = 'messages' ORDER BY event_seq"
            )
            .await,
        ["(INSERT,,one,#64)", "(UPDATE,one,two,#64)", r#"(UPDATE,two,"",#64)"#]
    );
}

#[tokio::test]
async fn every_month_has_a_partition() {
    let mut log = ada();
    log.register(id(2), "Bob");
    for event in &mut log.events[2..] {
        event.meta.time = "2025-12-31T23:59:59.999999Z".parse().expect("a time");
    }
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows("SELECT tableoid::regclass, count(*) FROM audit.record_changes GROUP BY 1 ORDER BY 1")
            .await,
        ["(audit.record_changes_2025_12,2)", "(audit.record_changes_2026_01,2)"]
    );
}
