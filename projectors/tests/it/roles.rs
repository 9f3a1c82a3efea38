//! What the roles may do: those who write, and those who are refused.
//!
//! That the workers' role may do all that it has to is not shown here: `Tables` projects as it.

use echolog_projectors::db::DatabaseError;
use echolog_projectors::rebuild::Rebuild;
use echolog_projectors::{Projection, Target};
use sqlx::AssertSqlSafe;

use crate::support::{Log, Source, Tables, connect, id, url_of};

const ROLES: &str = include_str!("../../../migrations/access/roles.sql");

/// What a worker may do to a table.
const RIGHTS: &str = "SELECT c.oid::regclass || ': ' || array_to_string(ARRAY(
        SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES',
            'TRIGGER']) WITH ORDINALITY AS p (p, n)
        WHERE has_table_privilege('echolog_projector', c.oid, p) ORDER BY n
    ), ' ')
    FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND c.relnamespace::regnamespace::text
        NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";

fn allowed(table: &str) -> &'static str {
    let projected = |projection: &Projection| {
        projection.tables().iter().any(|name| table == format!("{}.{name}", projection.schema()))
    };
    match table {
        "audit.record_changes"
        | "audit.auth_events"
        | "audit.admin_actions"
        | "audit.sensitive_data_access"
        | "auth.login_history"
        | "auth.security_events" => "SELECT INSERT",
        "projection.checkpoints" | "projection.folds" => "SELECT UPDATE",
        "projection.log" | "projection.skipped" | "_sqlx_migrations" => "SELECT",
        "projection.parked" => "SELECT INSERT UPDATE DELETE",
        _ if Projection::ALL.iter().any(projected) => "SELECT INSERT UPDATE DELETE",
        _ => "",
    }
}

fn log() -> Log {
    let mut log = Log::default();
    log.register(id(1), "Ada");
    log.group(id(100), &[id(1)]);
    log.send(id(100), id(1000), id(1), "hello");
    log
}

#[tokio::test]
async fn workers_have_the_rights_that_they_need_and_no_others() {
    let tables = Tables::given(&log()).await;
    assert!(tables.rows(RIGHTS).await.len() > 30);
    rights_are_as_they_should(&tables).await;
}

/// Of all tables but those that were replaced.
async fn rights_are_as_they_should(tables: &Tables) {
    for row in tables.rows(RIGHTS).await {
        let row = row.trim_matches(['(', ')', '"']);
        let (table, rights) = row.split_once(':').expect("a table and its rights");
        let replaced = table.starts_with("old_");
        assert!(replaced || rights.trim() == allowed(table), "{table}: {rights}");
    }
}

async fn code(tables: &Tables, statement: &str) -> String {
    let error = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(tables.workers.pool())
        .await
        .expect_err(statement);
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.unwrap_or_default().into_owned()
}

#[tokio::test]
async fn workers_change_neither_structure_nor_what_was_recorded() {
    let tables = Tables::given(&log()).await;
    let partition = tables
        .value("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit.record_changes'::regclass LIMIT 1")
        .await;
    for statement in [
        "CREATE TABLE messages.more (id uuid)",
        "CREATE SCHEMA more",
        "CREATE TABLE public.more (id uuid)",
        "DROP TABLE messages.messages",
        "ALTER TABLE messages.messages ADD COLUMN more text",
        "ALTER TABLE messages.messages DISABLE ROW LEVEL SECURITY",
        "CREATE INDEX ON messages.messages (sender_user_id)",
        "DROP POLICY participants_read_messages ON messages.messages",
        "TRUNCATE messages.messages",
        "UPDATE audit.record_changes SET actor = 'nobody'",
        "DELETE FROM audit.record_changes",
        "TRUNCATE audit.record_changes",
        "UPDATE audit.auth_events SET identifier = 'nobody'",
        "DELETE FROM audit.auth_events",
        "UPDATE audit.admin_actions SET reason = 'none'",
        "DELETE FROM audit.admin_actions",
        "DELETE FROM audit.sensitive_data_access",
        "DELETE FROM auth.login_history",
        "UPDATE auth.security_events SET severity = 'low'",
        &format!("DELETE FROM {partition}"),
        &format!("DROP TABLE {partition}"),
        &format!("ALTER TABLE audit.record_changes DETACH PARTITION {partition}"),
        "INSERT INTO projection.skipped SELECT * FROM projection.skipped",
        "UPDATE projection.log SET tenant = 'another'",
        "DELETE FROM projection.checkpoints",
        "UPDATE _sqlx_migrations SET success = false",
        "SELECT auth.hash_password('x')",
        "SELECT crypto.crypt('x', 'y')",
        "CREATE ROLE another",
        "SET ROLE postgres",
        "COPY auth.users TO '/tmp/users'",
    ] {
        assert_eq!(code(&tables, statement).await, "42501", "{statement}");
    }
}

#[tokio::test]
async fn a_month_is_made_once() {
    let tables = Tables::new().await;
    let months =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.record_changes'::regclass";
    let make = "SELECT audit.ensure_month('2031-12-31'), audit.ensure_month('2031-12-01')";
    let worker = tables.workers.pool();
    // In whatever zone and style.
    let zone = "SET TimeZone = 'Pacific/Kiritimati'; SET DateStyle = 'SQL, DMY'";
    let mut connection = worker.acquire().await.expect("a connection");
    sqlx::raw_sql(zone).execute(&mut *connection).await.expect("set");
    sqlx::raw_sql(make).execute(&mut *connection).await.expect("made");
    assert_eq!(tables.value(months).await, "1");
    let bounds = "SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class
        WHERE relispartition AND relkind = 'r' AND relnamespace = 'audit'::regnamespace";
    assert_eq!(
        tables.rows(bounds).await,
        [
            "(record_changes_2031_12,\"FOR VALUES FROM ('2031-12-01 00:00:00+00') TO ('2032-01-01 00:00:00+00')\")"
        ]
    );
}

#[tokio::test]
async fn what_is_the_owners_is_refused_in_one_sentence() {
    let tables = Tables::new().await;
    let refused = tables.workers.check_owner().await.expect_err("no owner").to_string();
    assert!(refused.contains("the owner of the tables, postgres,"), "{refused}");
    assert!(refused.contains("echolog_projector"), "{refused}");
    let migrate = tables.workers.migrate().await.expect_err("no owner");
    assert!(matches!(migrate, DatabaseError::NotOwner { .. }), "{migrate}");
    tables.workers.check_migrated().await.expect("it may work");
    tables.database.check_owner().await.expect("the owner");
}

#[tokio::test]
async fn nobody_works_on_rows_that_are_hidden_from_them() {
    let tables = Tables::given(&log()).await;
    let name = tables.value("SELECT current_database()").await;
    // BYPASSRLS is not inherited: this one would see no command in the ledger, and decide it again.
    let member = format!("member_of_{name}");
    tables.execute(&format!("CREATE ROLE {member} LOGIN IN ROLE echolog_projector")).await;
    for user in [member.as_str(), "echolog_reader"] {
        let database = connect(&url_of(user, &name)).await;
        let error = database.check_migrated().await.expect_err("hidden rows");
        assert!(matches!(&error, DatabaseError::Filtered(who) if who == user), "{error}");
    }
    let database = connect(&url_of(&member, &name)).await;
    let rows: Vec<(i64,)> = sqlx::query_as("SELECT count(*) FROM projection.ledger")
        .fetch_all(database.pool())
        .await
        .expect("it may ask");
    assert_eq!(rows, [(0,)]);
}

#[tokio::test]
async fn who_may_not_make_roles_is_told_what_a_superuser_has_to_run() {
    let tables = Tables::new().await;
    let name = tables.value("SELECT current_database()").await;
    tables.execute(&format!("CREATE ROLE modest_{name} LOGIN CREATEROLE")).await;
    let modest = connect(&url_of(&format!("modest_{name}"), &name)).await;
    let roles = ROLES.replace("echolog_", &format!("trial_{name}_"));
    let trials = format!("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'trial_{name}_%'");
    let error = sqlx::raw_sql(AssertSqlSafe(roles.clone())).execute(modest.pool()).await;
    let error = error.expect_err("only a superuser may bypass row-level security");
    let error = error.as_database_error().expect("by PostgreSQL").message();
    for part in [
        &format!("modest_{name} may not make; let a superuser run: "),
        &format!("CREATE ROLE trial_{name}_projector NOLOGIN BYPASSRLS"),
        &format!("GRANT authenticated_users TO trial_{name}_reader"),
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(tables.value(&trials).await, "0", "all of them or none");

    // What it says is what is missing.
    let (_, statements) = error.split_once("let a superuser run: ").expect("statements");
    tables.execute(statements).await;
    assert_eq!(tables.value(&trials).await, "3");
    sqlx::raw_sql(AssertSqlSafe(roles)).execute(modest.pool()).await.expect("nothing is missing");
    let clean = format!(
        "DROP ROLE trial_{name}_reader, trial_{name}_analyst, trial_{name}_projector, modest_{name}"
    );
    drop(modest);
    tables.execute(&clean).await;
}

#[tokio::test]
async fn the_owner_need_be_no_superuser_once_the_roles_are_there() {
    let server = Tables::new().await;
    let name = format!("plain_{}", server.value("SELECT current_database()").await);
    server.execute(&format!("CREATE ROLE {name} LOGIN")).await;
    server.execute(&format!("CREATE DATABASE {name} OWNER {name}")).await;
    let database = connect(&url_of(&name, &name)).await;
    assert!(database.migrate().await.expect("it migrates") > 20);
    let workers = connect(&url_of("echolog_projector", &name)).await;
    workers.check_migrated().await.expect("workers may work");
    let refused = workers.check_owner().await.expect_err("no owner").to_string();
    assert!(refused.contains(&format!("the owner of the tables, {name},")), "{refused}");

    let tables = Tables { database, workers };
    let log = log();
    tables.feed(&[&log.events]).await;
    assert_eq!(tables.value("SELECT count(*) FROM projection.parked").await, "0");
    let recorded = tables.value("SELECT count(*) FROM audit.record_changes").await;
    assert_ne!(recorded, "0", "in a month that was made for it");
    let rebuild = Rebuild::new(&tables.database, Projection::Audit);
    let mut source = Source(&log.events);
    rebuild.create_shadow().await.expect("a copy");
    rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
    rebuild.swap(&mut source).await.expect("exchanged");
    assert_eq!(tables.value("SELECT count(*) FROM audit.record_changes").await, recorded);
}

#[tokio::test]
async fn a_restore_opens_nothing_to_everybody() {
    let tables = Tables::new().await;
    let functions = "SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc AS p
        WHERE p.prosecdef AND p.pronamespace::regnamespace::text
            IN ('auth', 'users', 'messages', 'audit', 'views', 'projection')";
    let all = tables.value(functions).await;
    // As a dump without rights leaves them.
    tables.execute(&format!("GRANT EXECUTE ON FUNCTION {all} TO PUBLIC")).await;
    tables.database.migrate().await.expect("rights are given anew");
    let open = "SELECT p.oid::regprocedure FROM pg_proc AS p
        WHERE p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE')";
    assert_eq!(tables.rows(open).await, [""; 0]);
}

#[tokio::test]
async fn an_exchange_keeps_the_rights_of_workers() {
    let mut log = log();
    let tables = Tables::given(&log).await;
    for projection in Projection::ALL {
        let rebuild = Rebuild::new(&tables.database, projection);
        let mut source = Source(&log.events);
        rebuild.create_shadow().await.expect("a copy");
        rebuild.catch_up(&mut source, None, |_| {}).await.expect("caught up");
        rebuild.swap(&mut source).await.expect("exchanged");
    }
    let before = log.events.len();
    log.register(id(2), "Bob");
    log.join(id(100), id(2));
    log.send(id(100), id(1001), id(2), "hello");
    log.edit(id(100), id(1001), id(2), "good morning");
    for projection in Projection::ALL {
        tables.feed_one(Target::live(projection), &[&log.events[before..]]).await;
    }
    rights_are_as_they_should(&tables).await;
    assert_eq!(tables.value("SELECT count(*) FROM messages.messages").await, "2");
    assert_eq!(tables.value("SELECT count(*) FROM projection.parked").await, "0");
}

/// What an analyst gets.
async fn report(tables: &Tables, view: &str) -> Vec<String> {
    let mut transaction = tables.database.pool().begin().await.expect("a transaction");
    sqlx::raw_sql("SET LOCAL ROLE echolog_analyst").execute(&mut *transaction).await.expect("set");
    let query = format!("SELECT (t.*)::text FROM {view} AS t ORDER BY 1");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut *transaction).await.expect("granted")
}

#[tokio::test]
async fn analysts_are_told_of_many_and_not_of_few() {
    let users: Vec<_> = (1..=6).map(id).collect();
    let mut log = Log::default();
    for (number, user) in users.iter().enumerate() {
        log.register(*user, &format!("user{number}"));
    }
    // Four groups of two, which are too few to be told of, and five of three.
    for group in 100..109 {
        let size = if group < 104 { 2 } else { 3 };
        log.group(id(group), &users[..size]);
    }
    let tables = Tables::given(&log).await;
    // Everything happens on one day.
    let shift = |days: u32, table: &str, rule: &str| {
        format!(
            "UPDATE {table} SET created_at = '2026-03-01'::timestamptz + {days} * interval '1 day' WHERE {rule}"
        )
    };
    tables.execute(&shift(0, "auth.users", "true")).await;
    tables.execute(&shift(7, "auth.users", &format!("id = '{}'", users[0]))).await;
    tables.execute(&shift(1, "messages.conversations", "true")).await;
    assert_eq!(
        report(&tables, "views.user_growth").await,
        ["(2026-03-01,5,5)", "(2026-03-08,1,6)"]
    );
    assert_eq!(
        report(&tables, "views.registrations").await,
        [
            "(day,2026-03-01,5)",
            "(day,2026-03-08,1)",
            "(month,2026-03-01,6)",
            "(week,2026-02-23,5)",
            "(week,2026-03-02,1)"
        ]
    );
    assert_eq!(report(&tables, "views.conversation_sizes").await, ["(group,3,5,0)"]);

    for (number, user) in (0..).zip(&users[..4]) {
        log.send(id(100), id(1000 + number), *user, "hello");
    }
    let more = |log: &Log, from: usize| log.events[from..].to_vec();
    let four = more(&log, log.events.len() - 4);
    tables.feed_one(Target::live(Projection::Messages), &[&four]).await;
    tables.execute(&shift(1, "messages.messages", "true")).await;
    assert_eq!(report(&tables, "views.messaging_stats").await, [""; 0], "four people wrote");
    assert_eq!(report(&tables, "views.message_types").await, [""; 0]);

    log.send(id(100), id(1004), users[4], "hello");
    log.send(id(100), id(1005), users[4], "hello");
    let two = more(&log, log.events.len() - 2);
    tables.feed_one(Target::live(Projection::Messages), &[&two]).await;
    tables.execute(&shift(1, "messages.messages", "true")).await;
    assert_eq!(report(&tables, "views.messaging_stats").await, ["(2026-03-02,6,5,0,9)"]);
    assert_eq!(report(&tables, "views.message_types").await, ["(2026-03-02,text,6,5)"]);
}
