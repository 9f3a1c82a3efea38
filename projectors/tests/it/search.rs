//! Searching in one's own conversations.

use echolog_projectors::{Projection, rebuild::Rebuild};
use sqlx::{AssertSqlSafe, Connection};

use crate::support::{Log, Source, Tables, id};

const ADA: u128 = 1;
const BOB: u128 = 2;
/// Left.
const CAROL: u128 = 3;

const GROUP: u128 = 100;
const OTHER: u128 = 101;

/// The messages that a reader finds who asks for this actor, by the last part of their ids.
async fn find(tables: &Tables, actor: Option<u128>, arguments: &str) -> Vec<i64> {
    let mut connection = tables.database.pool().acquire().await.expect("a connection");
    let mut transaction = connection.begin().await.expect("a transaction");
    sqlx::raw_sql("SET LOCAL ROLE echolog_reader").execute(&mut *transaction).await.expect("set");
    let user = actor.map(|actor| id(actor).to_string()).unwrap_or_default();
    sqlx::query("SELECT set_config('app.current_user_id', $1, true)")
        .bind(user)
        .execute(&mut *transaction)
        .await
        .expect("set");
    let query = format!(
        "SELECT ('x' || right(message_id::text, 8))::bit(32)::bigint
         FROM messages.search_messages({arguments}) WITH ORDINALITY ORDER BY ordinality"
    );
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut *transaction).await.expect("it runs")
}

fn log() -> Log {
    let mut log = Log::default();
    log.group(id(GROUP), &[ADA, BOB, CAROL].map(id));
    log.group(id(OTHER), &[BOB, CAROL].map(id));
    log.send(id(GROUP), id(1000), id(ADA), "The quick brown fox");
    log.send(id(GROUP), id(1001), id(BOB), "brown bread, quick!");
    log.send(id(GROUP), id(1002), id(CAROL), "a fox that is taken back");
    log.delete(id(GROUP), id(1002), id(CAROL));
    log.send(id(GROUP), id(1003), id(BOB), "nothing of the kind");
    log.edit(id(GROUP), id(1003), id(BOB), "a fox after all");
    log.send(id(OTHER), id(1004), id(BOB), "a fox elsewhere");
    log.send(id(GROUP), id(1005), id(CAROL), "the fox and I");
    log.send(id(GROUP), id(1006), id(ADA), "L'Été à Saint-Étienne: 100%_sûr, a\\b, ÜBER");
    log.leave(id(GROUP), id(CAROL));
    log
}

async fn all_find_what_is_theirs(tables: &Tables) {
    assert_eq!(find(tables, Some(ADA), "'fox'").await, [1005, 1003, 1000]);
    assert_eq!(find(tables, Some(BOB), "'FOX'").await, [1005, 1004, 1003, 1000]);
    assert_eq!(find(tables, Some(CAROL), "'fox'").await, [1004]);
    assert_eq!(find(tables, None, "'fox'").await, [0; 0]);
    assert_eq!(find(tables, Some(9), "'fox'").await, [0; 0]);
}

#[tokio::test]
async fn members_find_what_is_said_in_their_conversations() {
    let log = log();
    let tables = Tables::given(&log).await;
    all_find_what_is_theirs(&tables).await;
    let bob = async |arguments: String| find(&tables, Some(BOB), &arguments).await;
    assert_eq!(bob("'quick brown'".to_owned()).await, [1001, 1000]);
    assert_eq!(bob("'\"quick brown\"'".to_owned()).await, [1000]);
    assert_eq!(bob("'fox -after'".to_owned()).await, [1005, 1004, 1000]);
    assert_eq!(bob(format!("'fox', '{}'", id(OTHER))).await, [1004]);
    assert_eq!(bob("'fox', NULL, 2".to_owned()).await, [1005, 1004]);
    assert_eq!(bob("'fox', NULL, -1".to_owned()).await, [0; 0]);
    let before = "'fox', before => (SELECT created_at FROM messages.messages WHERE seq = 4)";
    assert_eq!(bob(before.to_owned()).await, [1000]);
    // What is passed over without a look is what has not the letters.
    for words in [
        "l Été",
        "Saint-Étienne",
        "Étienne",
        "\"Été à\"",
        "100%",
        "sûr -fox",
        "a\\b",
        "100%_sûr",
        "nowhere or sûr",
        "\"no where\" or sûr",
        "Été -(fox)",
    ] {
        assert_eq!(bob(format!("'{words}'")).await, [1006], "{words}");
    }
    assert_eq!(bob("'quick or elsewhere'".to_owned()).await, [1004, 1001, 1000]);
    for nothing in ["''", "'kind'", "'back'", "NULL", "' & | ! '"] {
        assert_eq!(bob(nothing.to_owned()).await, [0; 0], "{nothing}");
    }
    let ada = find(&tables, Some(ADA), &format!("'fox', '{}'", id(OTHER))).await;
    assert_eq!(ada, [0; 0], "a conversation of others");

    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    let mut source = Source(&log.events);
    rebuild.create_shadow().await.expect("a copy");
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    rebuild.swap(&mut source).await.expect("swapped");
    all_find_what_is_theirs(&tables).await;
}
