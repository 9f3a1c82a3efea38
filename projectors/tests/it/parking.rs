//! Events that cannot be applied.

use echolog_events::ProfileUpdated;
use echolog_projectors::{Projection, Target};

use crate::support::{Log, Tables, id};

const PARKED: &str = "SELECT projection, stream_id, event_seq, event_type, error IS NULL AS waits,
    payload IS NULL AS unreadable FROM projection.parked ORDER BY projection, event_seq";

#[tokio::test]
async fn what_cannot_be_read_waits_with_all_that_follows() {
    let mut log = Log::default();
    log.group(id(100), &[id(1)]);
    log.send(id(100), id(11), id(1), "before");
    log.send(id(100), id(12), id(1), "unreadable");
    log.spoil();
    log.send(id(100), id(13), id(1), "after");
    log.group(id(200), &[id(1)]);
    log.send(id(200), id(14), id(1), "elsewhere");
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables.rows(PARKED).await,
        [
            "(audit,#64,4,users.dreamt,f,t)",
            "(audit,#64,5,messages.message_sent,t,f)",
            "(messages,#64,4,users.dreamt,f,t)",
            "(messages,#64,5,messages.message_sent,t,f)",
        ]
    );
    assert_eq!(
        tables.rows("SELECT content FROM messages.messages ORDER BY event_seq").await,
        ["(before)", "(elsewhere)"]
    );

    let end = log.events.len();
    log.send(id(100), id(15), id(1), "later");
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(
        tables.rows("SELECT 1 FROM projection.parked WHERE event_seq = 9").await.len(),
        2,
        "a new projector knows what is set aside"
    );
}

#[tokio::test]
async fn the_one_wrong_event_of_a_batch_is_found() {
    let mut log = Log::default();
    for n in 1..=20 {
        log.register(id(n), &format!("user {n}"));
    }
    log.profile(ProfileUpdated {
        user_id: id(7),
        bio: Some("no text of PostgreSQL: \0".to_owned()),
        ..ProfileUpdated::default()
    });
    log.profile(ProfileUpdated {
        user_id: id(7),
        bio: Some("fine".to_owned()),
        ..ProfileUpdated::default()
    });
    log.profile(ProfileUpdated {
        user_id: id(8),
        bio: Some("fine".to_owned()),
        ..ProfileUpdated::default()
    });
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables.rows("SELECT event_seq, stream_id FROM projection.parked WHERE projection = 'users' ORDER BY 1").await,
        ["(41,#7)", "(42,#7)"]
    );
    assert_eq!(tables.value("SELECT count(*) FROM users.profiles").await, "20");
    assert_eq!(tables.value("SELECT user_id FROM users.profiles WHERE bio = 'fine'").await, "#8");
    assert_eq!(tables.value("SELECT projection.position('users')").await, "43");
}

#[tokio::test]
async fn what_does_not_fit_is_set_aside() {
    let mut log = Log::default();
    log.send(id(100), id(11), id(1), "no such conversation");
    log.group(id(200), &[id(1)]);
    log.edit(id(200), id(12), id(1), "no such message");
    log.group(id(300), &[id(1)]);
    log.send(id(300), id(13), id(1), "fine");
    log.read(id(300), id(2), id(13));
    log.group(id(400), &[id(1)]);
    log.send(id(400), id(14), id(1), "once");
    log.send(id(400), id(14), id(1), "the same id again");
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT event_seq, error FROM projection.parked
                 WHERE projection = 'messages' AND error IS NOT NULL ORDER BY event_seq"
            )
            .await,
        [
            r#"(1,"event 1: no conversation #64")"#,
            r#"(4,"event 4: no message #c in conversation #c8")"#,
            r#"(8,"event 8: #2 is no member of #12c")"#,
            r#"(12,"duplicate key value violates unique constraint ""messages_pkey""")"#,
        ]
        .map(str::to_owned)
    );
    assert_eq!(tables.value("SELECT count(*) FROM messages.messages").await, "2");
}

#[tokio::test]
async fn a_runner_counts_what_it_set_aside() {
    let mut log = Log::default();
    log.send(id(100), id(11), id(1), "no such conversation");
    log.group(id(200), &[id(1)]);
    let tables = Tables::new().await;
    let mut runner = tables.runner(Target::live(Projection::Messages)).await;
    let flush = runner.apply(&log.events, 10).await.expect("applied");
    assert_eq!((flush.position, flush.events, flush.parked), (10, 3, 1));
    assert_eq!(runner.parked_ids(), 1);
}

#[tokio::test]
async fn what_no_index_takes_is_set_aside() {
    // Text that cannot be compressed.
    let long: String = (0..20_000_u64)
        .map(|n| char::from(33 + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as u8 % 94))
        .collect();
    let mut log = Log::default();
    log.group(id(100), &[id(1)]);
    log.send(id(100), id(11), id(1), &long);
    log.group(id(200), &[id(1)]);
    log.send(id(200), id(12), id(1), "short");
    let tables = Tables::new().await;
    tables.execute("CREATE INDEX added_by_hand ON messages.messages (content)").await;
    tables.feed_one(Target::live(Projection::Messages), &[&log.events]).await;
    let error = tables.value("SELECT error FROM projection.parked").await;
    assert!(error.contains("index"), "{error}");
    assert_eq!(tables.value("SELECT content FROM messages.messages").await, "short");
}
