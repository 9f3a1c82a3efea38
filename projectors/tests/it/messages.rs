//! Projection `messages`, except unread numbers.

use echolog_events::{ConversationUpdated, Role};

use crate::support::{Log, Tables, id};

const GROUP: u128 = 100;

/// Three users and a group of the first two.
fn group() -> Log {
    let mut log = Log::default();
    log.group(id(GROUP), &[id(1), id(2)]);
    log
}

#[tokio::test]
async fn a_conversation_knows_its_last_message() {
    let mut log = group();
    log.send(id(GROUP), id(11), id(1), "one");
    log.send(id(GROUP), id(12), id(2), "two");
    let tables = Tables::given(&log).await;
    let query =
        "SELECT title, owner_user_id, member_count, message_count, last_seq, last_message_id,
        last_message_sender_id, last_message_preview, last_message_at = last_activity_at AS same
        FROM messages.conversations";
    assert_eq!(tables.rows(query).await, ["(group,#1,2,2,2,#c,#2,two,t)"]);

    let end = log.events.len();
    log.edit(id(GROUP), id(12), id(2), "TWO");
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(tables.rows(query).await, ["(group,#1,2,2,2,#c,#2,TWO,f)"]);

    let end = log.events.len();
    log.delete(id(GROUP), id(12), id(2));
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(tables.rows(query).await, ["(group,#1,2,2,2,#b,#1,one,f)"], "sent ones are counted");

    let end = log.events.len();
    log.delete(id(GROUP), id(11), id(1));
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(tables.rows(query).await, ["(group,#1,2,2,2,,,,)"]);
}

#[tokio::test]
async fn a_conversation_changes() {
    let mut log = group();
    log.describe(ConversationUpdated {
        conversation_id: id(GROUP),
        title: Some("friends".to_owned()),
        description: Some("old".to_owned()),
        avatar_url: None,
    });
    log.describe(ConversationUpdated {
        conversation_id: id(GROUP),
        description: Some(String::new()),
        ..ConversationUpdated::default()
    });
    log.hand_over(id(GROUP), id(1), id(2));
    let tables = Tables::given(&log).await;
    let query =
        "SELECT title, description, owner_user_id, creator_user_id FROM messages.conversations";
    assert_eq!(tables.rows(query).await, ["(friends,,#2,#1)"]);
    assert_eq!(
        tables.rows("SELECT user_id, role FROM messages.members ORDER BY user_id").await,
        ["(#1,admin)", "(#2,owner)"]
    );
}

#[tokio::test]
async fn members_come_and_go() {
    let mut log = group();
    log.send(id(GROUP), id(11), id(1), "one");
    log.join(id(GROUP), id(3));
    log.send(id(GROUP), id(12), id(1), "two");
    log.remove(id(GROUP), id(3), id(1));
    log.send(id(GROUP), id(13), id(1), "three");
    log.join(id(GROUP), id(3));
    log.change_role(id(GROUP), id(3), Role::Admin);
    log.leave(id(GROUP), id(2));
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT user_id, role, is_active, invited_by_user_id, removed_by_user_id, read_seq,
                    joined_at, left_at FROM messages.members ORDER BY user_id"
            )
            .await,
        [
            r#"(#1,owner,t,,,0,"2026-01-01 00:02:00+00",)"#,
            r#"(#2,member,f,#1,,0,"2026-01-01 00:03:00+00","2026-01-01 00:11:00+00")"#,
            r#"(#3,admin,t,,,3,"2026-01-01 00:09:00+00",)"#,
        ]
    );
    assert_eq!(tables.value("SELECT member_count FROM messages.conversations").await, "2");
    assert_eq!(
        tables
            .rows(
                "SELECT user_id, from_seq, to_seq FROM messages.membership_periods
                 ORDER BY user_id, from_seq"
            )
            .await,
        ["(#1,0,)", "(#2,0,3)", "(#3,1,2)", "(#3,3,)"]
    );
    assert_eq!(
        tables
            .rows(
                "SELECT user_id, action, old_role, new_role, actor_user_id
                 FROM messages.participant_history ORDER BY occurred_at"
            )
            .await,
        [
            "(#1,joined,,owner,#1)",
            "(#2,added,,member,#1)",
            "(#3,joined,,member,#3)",
            "(#3,removed,member,,#1)",
            "(#3,joined,,member,#3)",
            "(#3,role_changed,member,admin,#3)",
            "(#2,left,member,,#2)",
        ]
    );
}

#[tokio::test]
async fn a_message_is_numbered_edited_and_deleted() {
    let mut log = group();
    log.send(id(GROUP), id(11), id(1), "one");
    log.send(id(GROUP), id(12), id(2), "two");
    log.edit(id(GROUP), id(11), id(1), "uno");
    log.edit(id(GROUP), id(11), id(1), "eins");
    log.delete(id(GROUP), id(12), id(2));
    log.delete(id(GROUP), id(12), id(1));
    log.edit(id(GROUP), id(12), id(2), "back again");
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT id, seq, event_seq, sender_user_id, content, metadata, mentions, is_edited,
                    edit_count, is_deleted, deleted_by_user_id, updated_at
                 FROM messages.messages ORDER BY seq"
            )
            .await,
        [
            r##"(#b,1,4,#1,eins,"{""n"": 1}","[""#1""]",t,2,f,,"2026-01-01 00:07:00+00")"##,
            r##"(#c,2,5,#2,"",{},"[""#2""]",f,0,t,#2,"2026-01-01 00:08:00+00")"##,
        ]
    );
    assert_eq!(
        tables
            .rows(
                "SELECT message_id, edit_number, old_content, new_content, editor_user_id
                 FROM messages.message_edits ORDER BY edit_number"
            )
            .await,
        ["(#b,1,one,uno,#1)", "(#b,2,uno,eins,#1)"]
    );
}

#[tokio::test]
async fn a_reply_belongs_to_a_thread() {
    let mut log = group();
    log.send(id(GROUP), id(11), id(1), "one");
    log.reply(id(GROUP), id(12), id(2), id(11));
    let tables = Tables::given(&log).await;
    let end = log.events.len();
    log.reply(id(GROUP), id(13), id(1), id(11));
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(
        tables
            .rows(
                "SELECT parent_message_id, reply_message_id, root_message_id FROM messages.threads
                 ORDER BY reply_message_id"
            )
            .await,
        ["(#b,#c,#b)", "(#b,#d,#b)"]
    );
    assert_eq!(tables.value("SELECT reply_count FROM messages.messages WHERE seq = 1").await, "2");
}

#[tokio::test]
async fn reactions_are_a_set() {
    let mut log = group();
    log.send(id(GROUP), id(11), id(1), "one");
    log.react(id(GROUP), id(11), id(2), "👍");
    log.react(id(GROUP), id(11), id(2), "👍");
    log.react(id(GROUP), id(11), id(1), "👍");
    log.react(id(GROUP), id(11), id(1), "🎉");
    log.unreact(id(GROUP), id(11), id(1), "👍");
    log.unreact(id(GROUP), id(11), id(1), "🙈");
    let tables = Tables::given(&log).await;
    let query = "SELECT user_id, emoji, created_at FROM messages.reactions ORDER BY user_id, emoji";
    let count = "SELECT reaction_count FROM messages.messages";
    assert_eq!(
        tables.rows(query).await,
        [r#"(#1,🎉,"2026-01-01 00:08:00+00")"#, r#"(#2,👍,"2026-01-01 00:05:00+00")"#]
    );
    assert_eq!(tables.value(count).await, "2");

    let end = log.events.len();
    log.unreact(id(GROUP), id(11), id(2), "👍");
    log.react(id(GROUP), id(11), id(2), "👍");
    log.react(id(GROUP), id(11), id(2), "👍");
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(
        tables.rows(query).await,
        [r#"(#1,🎉,"2026-01-01 00:08:00+00")"#, r#"(#2,👍,"2026-01-01 00:12:00+00")"#]
    );
    assert_eq!(tables.value(count).await, "2");
}

#[tokio::test]
async fn the_same_message_id_in_two_conversations_is_two_messages() {
    let mut log = group();
    log.group(id(200), &[id(2), id(1)]);
    log.send(id(GROUP), id(11), id(1), "here");
    log.send(id(200), id(11), id(2), "there");
    log.edit(id(200), id(11), id(2), "everywhere");
    log.react(id(GROUP), id(11), id(2), "👍");
    let tables = Tables::given(&log).await;
    assert_eq!(
        tables
            .rows(
                "SELECT conversation_id, content, reaction_count FROM messages.messages
                 WHERE id = '00000000-0000-0000-0000-00000000000b' ORDER BY conversation_id"
            )
            .await,
        ["(#64,here,1)", "(#c8,everywhere,0)"]
    );
}

#[tokio::test]
async fn pins_are_a_set_and_go_with_their_message() {
    let mut log = group();
    for n in 11..=13 {
        log.send(id(GROUP), id(n), id(1), "pin me");
        log.pin(id(GROUP), id(n), id(2));
    }
    log.pin(id(GROUP), id(11), id(1));
    let tables = Tables::given(&log).await;
    let end = log.events.len();
    log.unpin(id(GROUP), id(12), id(1));
    log.delete(id(GROUP), id(13), id(1));
    tables.feed(&[&log.events[end..]]).await;
    assert_eq!(
        tables
            .rows("SELECT message_id, pinned_by_user_id, pinned_at FROM messages.pinned_messages")
            .await,
        [r#"(#b,#2,"2026-01-01 00:05:00+00")"#]
    );
}
