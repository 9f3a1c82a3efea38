//! Unread numbers and receipts.

use crate::support::{Log, Tables, id};

const GROUP: u128 = 100;

const UNREAD: &str = "SELECT user_id, unread_count FROM messages.conversation_participants
    ORDER BY user_id";

fn talk() -> Log {
    let mut log = Log::default();
    log.group(id(GROUP), &[id(1), id(2)]);
    log.send(id(GROUP), id(11), id(1), "one");
    log.send(id(GROUP), id(12), id(2), "two");
    log.send(id(GROUP), id(13), id(1), "three");
    log
}

#[tokio::test]
async fn own_messages_are_no_news() {
    let tables = Tables::given(&talk()).await;
    assert_eq!(tables.rows(UNREAD).await, ["(#1,1)", "(#2,2)"]);
    assert_eq!(
        tables.rows("SELECT * FROM views.unread_counts ORDER BY user_id").await,
        ["(#1,1,1)", "(#2,2,1)"]
    );
}

#[tokio::test]
async fn reading_only_goes_forward() {
    let mut log = talk();
    log.read(id(GROUP), id(2), id(12));
    log.read(id(GROUP), id(2), id(11));
    let tables = Tables::given(&log).await;
    assert_eq!(tables.rows(UNREAD).await, ["(#1,1)", "(#2,1)"]);
    assert_eq!(
        tables
            .rows(
                "SELECT last_read_message_id, last_read_at FROM messages.members
                 WHERE last_read_at IS NOT NULL"
            )
            .await,
        [r#"(#c,"2026-01-01 00:07:00+00")"#]
    );
    assert_eq!(
        tables.rows("SELECT user_id, kind, up_to_seq FROM messages.cursor_moves").await,
        ["(#2,read,2)"]
    );
}

#[tokio::test]
async fn a_deleted_message_is_no_news_and_counts_once() {
    let mut log = talk();
    log.delete(id(GROUP), id(11), id(1));
    log.delete(id(GROUP), id(11), id(1));
    let tables = Tables::given(&log).await;
    assert_eq!(tables.rows(UNREAD).await, ["(#1,1)", "(#2,1)"]);
    let end = log.events.len();
    log.read(id(GROUP), id(2), id(12));
    log.delete(id(GROUP), id(12), id(2));
    log.delete(id(GROUP), id(13), id(1));
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(tables.rows(UNREAD).await, ["(#1,0)", "(#2,0)"]);
}

#[tokio::test]
async fn who_joins_has_nothing_to_catch_up_with() {
    let mut log = talk();
    log.join(id(GROUP), id(3));
    log.leave(id(GROUP), id(2));
    log.send(id(GROUP), id(14), id(1), "four");
    log.send(id(GROUP), id(15), id(3), "five");
    let tables = Tables::given(&log).await;
    assert_eq!(tables.rows(UNREAD).await, ["(#1,2)", "(#2,0)", "(#3,1)"]);
    let end = log.events.len();
    log.join(id(GROUP), id(2));
    log.send(id(GROUP), id(16), id(1), "six");
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(tables.rows(UNREAD).await, ["(#1,2)", "(#2,1)", "(#3,2)"]);
}

#[tokio::test]
async fn receipts_follow_the_cursors() {
    let mut log = talk();
    log.deliver(id(GROUP), id(2), id(13));
    log.deliver(id(GROUP), id(2), id(11));
    log.read(id(GROUP), id(2), id(11));
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT message_id, user_id, status, delivered_at, read_at
                 FROM messages.message_receipts ORDER BY message_id"
            )
            .await,
        [
            r#"(#b,#2,read,"2026-01-01 00:07:00+00","2026-01-01 00:09:00+00")"#,
            "(#c,#1,sent,,)",
            r#"(#d,#2,delivered,"2026-01-01 00:07:00+00",)"#,
        ]
    );
    assert_eq!(
        tables
            .rows(
                "SELECT message_id, status, delivered_count, read_count
                 FROM messages.message_status ORDER BY message_id"
            )
            .await,
        ["(#b,read,1,1)", "(#c,pending_sync,0,0)", "(#d,synced,1,0)"]
    );
}

#[tokio::test]
async fn who_comes_back_has_not_read_what_came_before() {
    let mut log = talk();
    log.read(id(GROUP), id(2), id(11));
    log.leave(id(GROUP), id(2));
    log.send(id(GROUP), id(14), id(1), "unseen");
    log.join(id(GROUP), id(2));
    log.send(id(GROUP), id(15), id(1), "five");
    log.read(id(GROUP), id(2), id(15));
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT message_id, status FROM messages.message_receipts
                 WHERE user_id = '00000000-0000-0000-0000-000000000002' ORDER BY message_id"
            )
            .await,
        ["(#b,read)", "(#d,sent)", "(#f,read)"],
        "neither a read one from the first stay, nor one from in between"
    );
}
