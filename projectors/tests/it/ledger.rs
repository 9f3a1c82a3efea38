//! Projection `ledger`.

use crate::support::{Log, Tables, id};

const LEDGER: &str = "SELECT command_id, stream, seq, version, events, digest
    FROM projection.ledger ORDER BY seq";

fn log() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.group(id(100), &[id(1), id(2)]);
    log.send(id(100), id(11), id(1), "one");
    log
}

#[tokio::test]
async fn a_command_is_found_with_its_events() {
    let tables = Tables::given(&log()).await;
    assert_eq!(
        tables.rows(LEDGER).await,
        [
            "(#c0000000,user,2,1,\"{user_registered,identifier_claimed}\",-2)",
            "(#c0000002,conversation,5,5,\"{conversation_created,participant_joined,participant_joined}\",-4)",
            "(#c0000005,message,6,6,{message_sent},-7)",
        ]
    );
}

#[tokio::test]
async fn a_batch_may_end_in_the_middle_of_a_command() {
    let log = log();
    let whole = Tables::given(&log).await;
    let cut = Tables::new().await;
    let batches: Vec<&[_]> = log.events.chunks(1).collect();
    cut.feed(&batches).await;
    assert_eq!(cut.rows(LEDGER).await, whole.rows(LEDGER).await);
}

#[tokio::test]
async fn another_clients_command_may_have_the_same_id() {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    let command = log.events[0].meta.command_id;
    for event in &mut log.events {
        event.meta.command_id = command;
    }
    let tables = Tables::new().await;
    let batches: Vec<&[_]> = log.events.chunks(1).collect();
    tables.feed(&batches).await;
    assert_eq!(
        tables.rows("SELECT seq, events FROM projection.ledger ORDER BY seq").await,
        [
            "(2,\"{user_registered,identifier_claimed}\")",
            "(4,\"{user_registered,identifier_claimed}\")"
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_read_counts_and_never_parks() {
    let mut log = log();
    log.spoil();
    let first = log.events[0].clone();
    log.events.push(echolog_events::Recorded { seq: 7, ..first });
    let tables = Tables::given(&log).await;
    let rows = tables.rows(LEDGER).await;
    assert_eq!(rows.len(), 3, "the first outcome of a command stands");
    assert!(rows[2].contains("{dreamt}"));
    assert_eq!(
        tables.rows("SELECT 1 FROM projection.parked WHERE projection = 'ledger'").await.len(),
        0
    );
}
