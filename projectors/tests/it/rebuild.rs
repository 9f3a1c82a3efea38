//! Copies: built, compared, exchanged.

use echolog_events::RevokedReason;
use echolog_projectors::rebuild::{Rebuild, RebuildError, Side};
use echolog_projectors::{Projection, ProjectionError, Recovery, Target};

use crate::support::sessions::{day, failed, locked, refresh, reused, revoked};
use crate::support::{Log, Source, Tables, id};

fn log() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.register(id(2), "Bob");
    log.block(id(1), id(2));
    log.group(id(100), &[id(1), id(2)]);
    for n in 0..20 {
        log.send(id(100), id(1000 + n), id(1 + n % 2), "hello");
    }
    log.reply(id(100), id(1020), id(2), id(1000));
    log.edit(id(100), id(1000), id(1), "goodbye");
    log.delete(id(100), id(1001), id(2));
    log.react(id(100), id(1002), id(2), "👍");
    log.read(id(100), id(1), id(1004));
    log.account(vec![failed(id(1), Some(id(1)), true), locked(id(1), Some(id(1)), day(1))]);
    log.account(vec![failed(id(0xd1ce), None, true)]);
    log.log_in(id(2), id(0x5e1), "a phone");
    log.account(vec![refresh(id(2), id(0x5e1), 1)]);
    log.log_in(id(2), id(0x5e2), "a tablet");
    let reuse = revoked(id(2), id(0x5e1), RevokedReason::TokenReuse);
    log.account(vec![reused(id(2), id(0x5e1), 0), reuse]);
    log
}

/// What tells a table from another one: names of columns, keys, indexes, comments, rights.
const STRUCTURE: &str =
    "SELECT c.relname, c.relkind, c.reloptions, c.relacl, obj_description(c.oid),
        c.relrowsecurity, array_agg(a.attname || a.attacl::text) FILTER (WHERE a.attacl IS NOT NULL),
        (SELECT array_agg(p::text ORDER BY policyname) FROM pg_policies AS p
            WHERE p.schemaname = n.nspname AND p.tablename = c.relname) AS policies,
        array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
            || coalesce(col_description(c.oid, a.attnum), '') ORDER BY a.attnum)
            FILTER (WHERE c.relkind NOT IN ('i', 'I')) AS columns,
        CASE WHEN c.relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END AS index,
        (SELECT array_agg(conname || pg_get_constraintdef(k.oid) ORDER BY conname)
            FROM pg_constraint AS k WHERE k.conrelid = c.oid) AS constraints
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE n.nspname IN ('auth', 'users', 'messages', 'audit', 'projection', 'views')
    GROUP BY c.oid, n.nspname ORDER BY n.nspname, c.relname";

#[tokio::test]
async fn every_projection_can_be_built_again_and_exchanged() {
    let log = log();
    let tables = Tables::given(&log).await;
    tables.execute("GRANT SELECT ON messages.messages, messages.message_status TO PUBLIC").await;
    let structure = tables.rows(STRUCTURE).await;
    for projection in Projection::ALL {
        let live = Target::live(projection);
        let before = tables.dump(&live).await;
        let rebuild = Rebuild::new(&tables.database, projection);
        assert!(!rebuild.create_shadow().await.expect("a copy"));
        let mut events = 0;
        let mut source = Source(&log.events);
        let reached = rebuild
            .catch_up(&mut source, None, |progress| events += progress.events)
            .await
            .expect("caught up");
        assert_eq!((reached, events), (log.end(), log.events.len()));
        assert_eq!(tables.dump(&Target::shadow(projection)).await, before);
        let comparison = rebuild.compare(&mut source).await.expect("compared");
        assert_eq!(comparison.differences, [], "{}", projection.name());

        tables.execute(&format!("DELETE FROM {}.{}", live.schema(), projection.tables()[0])).await;
        rebuild.swap(&mut source).await.expect("exchanged");
        assert_eq!(tables.dump(&live).await, before, "{}", projection.name());
        assert_eq!(tables.rows(STRUCTURE).await, structure, "{}", projection.name());
    }
    assert_eq!(
        tables.rows("SELECT count(*) FROM messages.message_status WHERE status = 'read'").await,
        ["(2)"]
    );
    assert_eq!(
        tables.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'shadow%'").await,
        [""; 0]
    );
}

#[tokio::test]
async fn an_interrupted_build_is_taken_up_again() {
    let log = log();
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    let reached = rebuild.catch_up(&mut source, Some(10), |_| {}).await.expect("caught up");
    assert_eq!(reached, 10);
    assert!(rebuild.create_shadow().await.expect("the same copy"));
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    assert_eq!(rebuild.compare(&mut source).await.expect("compared").differences, []);

    rebuild.drop_shadow().await.expect("dropped");
    let error = rebuild.compare(&mut source).await.expect_err("nothing to compare");
    assert!(matches!(error, RebuildError::Missing(_)), "{error}");
}

#[tokio::test]
async fn a_copy_from_before_a_migration_is_not_gone_on_with() {
    let log = log();
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Audit);
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    rebuild.catch_up(&mut source, Some(10), |_| {}).await.expect("caught up");
    tables.execute("ALTER TABLE shadow_audit.auth_events DROP COLUMN success").await;
    let error = rebuild.catch_up(&mut source, None, |_| {}).await.expect_err("a column is missing");
    assert!(matches!(error, RebuildError::Outdated(_)), "{error}");
    assert!(!rebuild.create_shadow().await.expect("another copy"), "from the start");
    rebuild.swap(&mut source).await.expect("exchanged");

    tables.execute("ALTER TABLE old_audit.auth_events DROP COLUMN success").await;
    let error = rebuild.rollback(&mut source).await.expect_err("a column is missing");
    assert!(matches!(error, RebuildError::Outdated(_)), "{error}");
}

/// A log in which nothing happens to a message but that it is sent.
fn chat() -> Log {
    let mut log = Log::default();
    log.group(id(100), &[id(1), id(2)]);
    for n in 0..30 {
        log.send(id(100), id(1000 + n), id(1 + n % 2), "hello");
    }
    log
}

/// The keys and indexes of a schema.
async fn indexes(tables: &Tables, schema: &str) -> Vec<String> {
    let sql = format!(
        "SELECT replace(indexdef, '{schema}.', '') FROM pg_indexes WHERE schemaname = '{schema}'
         UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
         WHERE connamespace = '{schema}'::regnamespace ORDER BY 1"
    );
    tables.rows(&sql).await
}

#[tokio::test]
async fn a_copy_gets_its_indexes_when_it_is_complete() {
    let log = chat();
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    rebuild.catch_up(&mut source, Some(20), |_| {}).await.expect("half of it");
    let bare = indexes(&tables, "shadow_messages").await;
    assert!(!bare.iter().any(|it| it.contains("messages_pkey")), "{bare:?}");

    // The builder is gone; another one goes on.
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    assert!(rebuild.create_shadow().await.expect("the same copy"));
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    let live = indexes(&tables, "messages").await;
    assert_eq!(indexes(&tables, "shadow_messages").await, live);
    assert_eq!(rebuild.compare(&mut source).await.expect("compared").differences, []);
    let uncounted = "SELECT array_agg(uncounted ORDER BY user_id) FROM shadow_messages.members";
    assert_eq!(tables.value(uncounted).await, "{15,15}");
}

#[tokio::test]
async fn a_copy_gets_its_keys_when_something_is_looked_up() {
    let mut log = chat();
    log.read(id(100), id(1), id(1003));
    log.send(id(100), id(1030), id(1), "the last word");
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    rebuild.catch_up(&mut source, Some(log.end()), |_| {}).await.expect("caught up");
    let half = indexes(&tables, "shadow_messages").await;
    assert!(half.iter().any(|it| it.contains("messages_pkey")), "{half:?}");
    assert!(!half.iter().any(|it| it.contains("idx_messages_reply_to_id")), "{half:?}");
    rebuild.swap(&mut source).await.expect("completed and exchanged");
    let live = indexes(&tables, "messages").await;
    assert!(live.iter().any(|it| it.contains("idx_messages_reply_to_id")), "{live:?}");
    let uncounted = "SELECT array_agg(uncounted ORDER BY user_id) FROM messages.members";
    assert_eq!(tables.value(uncounted).await, "{14,15}");
}

#[tokio::test]
async fn what_the_log_says_twice_is_set_aside_in_a_copy_too() {
    let mut log = chat();
    log.send(id(100), id(1000), id(1), "hello again");
    let tables = Tables::given(&log).await;
    let parked = "SELECT count(*) FROM projection.parked WHERE projection = 'messages'";
    assert_eq!(tables.value(parked).await, "1");
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("built again with all keys");
    assert_eq!(rebuild.compare(&mut source).await.expect("compared").differences, []);
}

#[tokio::test]
async fn differences_are_shown_row_by_row() {
    let log = log();
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    tables.execute("UPDATE messages.members SET uncounted = 99 WHERE role = 'owner'").await;
    tables.execute("DELETE FROM messages.threads").await;
    let comparison = rebuild.compare(&mut Source(&log.events)).await.expect("compared");
    assert_eq!(comparison.position, log.end());
    let found: Vec<_> =
        comparison.differences.iter().map(|it| (it.table.as_str(), it.side)).collect();
    assert_eq!(found, [("members", Side::Live), ("members", Side::Copy), ("threads", Side::Copy)]);
}

#[tokio::test]
async fn the_live_projector_is_fenced_and_goes_on() {
    let mut log = log();
    let tables = Tables::given(&log).await;
    let target = Target::live(Projection::Messages);
    let mut runner = tables.runner(target.clone()).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    rebuild.swap(&mut Source(&log.events)).await.expect("exchanged");

    let end = log.events.len();
    log.send(id(100), id(2000), id(1), "after the exchange");
    let error = runner.apply(&log.events[end..], log.end()).await.expect_err("fenced");
    assert!(matches!(error, ProjectionError::Fenced(_)), "{error}");
    assert_eq!(error.recovery(), Recovery::Restart);
    drop(runner);
    let mut runner = tables.runner(target).await;
    runner.apply(&log.events[end..], log.end()).await.expect("applied");
    assert_eq!(tables.value("SELECT max(seq) FROM messages.messages").await, "22");
}

#[tokio::test]
async fn an_exchange_can_be_taken_back() {
    let mut log = log();
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    rebuild.swap(&mut Source(&log.events)).await.expect("exchanged");
    let end = log.events.len();
    log.send(id(100), id(2000), id(1), "after the exchange");
    tables.feed(&[&log.events[end..]]).await;
    tables.execute("UPDATE messages.messages SET content = 'broken by the new build'").await;

    rebuild.rollback(&mut Source(&log.events)).await.expect("taken back");
    let content = "SELECT content FROM messages.messages ORDER BY seq DESC LIMIT 2";
    assert_eq!(tables.rows(content).await, [r#"("after the exchange")"#, r#"("a reply")"#]);
    let error = rebuild.rollback(&mut Source(&log.events)).await.expect_err("nothing is old");
    assert!(matches!(error, RebuildError::Missing(_)), "{error}");
    rebuild.drop_shadow().await.expect("dropped");
}

#[tokio::test]
async fn parked_events_are_exchanged_too() {
    let mut log = log();
    log.send(id(100), id(2000), id(1), "unreadable");
    log.spoil();
    let tables = Tables::given(&log).await;
    let parked = "SELECT event_seq, event_type, error FROM projection.parked
        WHERE projection = 'messages' ORDER BY 1";
    let before = tables.rows(parked).await;
    assert_eq!(before.len(), 1);
    let rebuild = Rebuild::new(&tables.database, Projection::Messages);
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    assert_eq!(rebuild.compare(&mut source).await.expect("compared").differences, []);
    tables.execute("DELETE FROM projection.parked WHERE projection = 'messages'").await;
    rebuild.swap(&mut source).await.expect("exchanged");
    assert_eq!(tables.rows(parked).await, before);
}

#[tokio::test]
async fn a_reader_with_an_old_snapshot_holds_the_exchange_up() {
    let log = log();
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Auth);
    rebuild.create_shadow().await.expect("a copy");
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    let mut reader = tables.database.pool().begin_with(begin).await.expect("a transaction");
    sqlx::query("SELECT count(*) FROM users.profiles").execute(&mut *reader).await.expect("a look");
    let mut source = Source(&log.events);
    let waiting = rebuild.swap(&mut source);
    let reading = async {
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let users: i64 = sqlx::query_scalar("SELECT count(*) FROM auth.users")
            .fetch_one(&mut *reader)
            .await
            .expect("nobody is in the way");
        assert_eq!(users, 2, "the old table");
        reader.rollback().await.expect("the end");
    };
    let (swapped, ()) = tokio::join!(waiting, reading);
    swapped.expect("exchanged once the reader is gone");
}

#[tokio::test]
async fn tables_of_an_earlier_fold_are_outdated_until_they_are_built_anew() {
    let log = log();
    let tables = Tables::given(&log).await;
    let rebuild = Rebuild::new(&tables.database, Projection::Users);
    assert!(!rebuild.is_outdated().await.expect("an answer"));
    for (version, outdated) in [(Projection::Users.version() + 1, false), (1, true)] {
        let sql = "UPDATE projection.folds SET version";
        tables.execute(&format!("{sql} = {version} WHERE projection = 'users'")).await;
        assert_eq!(rebuild.is_outdated().await.expect("an answer"), outdated, "{version}");
    }
    rebuild.create_shadow().await.expect("a copy");
    let mut source = Source(&log.events);
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    assert!(rebuild.is_outdated().await.expect("an answer"), "the copy is not live yet");
    rebuild.swap(&mut source).await.expect("exchanged");
    assert!(!rebuild.is_outdated().await.expect("an answer"));
}
