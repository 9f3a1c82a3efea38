//! Connecting, migrating, and what is said when that does not work.

use std::time::Duration;

use echolog_projectors::db::{Database, DatabaseError, DatabaseOptions};

use crate::support::{Tables, url};

async fn connect(url: String) -> Result<Database, DatabaseError> {
    let connect_timeout = Duration::from_secs(5);
    Database::connect(&DatabaseOptions { url, max_connections: 1, connect_timeout }).await
}

#[tokio::test]
async fn migrations_are_applied_once() {
    let tables = Tables::new().await;
    tables.database.check_migrated().await.expect("migrated");
    assert_eq!(tables.database.migrate().await.expect("nothing to do"), 0);

    tables
        .execute(
            "INSERT INTO _sqlx_migrations SELECT 9999, description, installed_on, success,
        checksum, execution_time FROM _sqlx_migrations LIMIT 1",
        )
        .await;
    let error = tables.database.check_migrated().await.expect_err("newer");
    assert!(matches!(error, DatabaseError::Newer(9999)), "{error}");

    tables.execute("DELETE FROM _sqlx_migrations WHERE version IN (9999, 1)").await;
    let error = tables.database.check_migrated().await.expect_err("older");
    assert!(matches!(error, DatabaseError::NotMigrated(1)), "{error}");
}

#[tokio::test]
async fn a_password_is_not_shown() {
    let _server = Tables::new().await;
    // The server trusts everyone, whatever the password.
    let address = url("postgres").replace("postgres@", "postgres:marked@");
    let shown = format!("{:?}", connect(address).await.expect("connected"));
    assert!(shown.contains("127.0.0.1") && !shown.contains("marked"), "{shown}");
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let _server = Tables::new().await;
    let missing = connect(url("nowhere")).await.expect_err("missing");
    assert!(missing.to_string().contains("createdb nowhere"), "{missing}");
    let closed = connect("postgres://postgres@127.0.0.1:1/x".to_owned()).await.expect_err("closed");
    assert!(closed.to_string().contains("127.0.0.1:1 does not answer"), "{closed}");
    let user = url("postgres").replace("postgres@", "stranger@");
    let refused = connect(user).await.expect_err("refused");
    assert!(refused.to_string().contains("refuses user stranger"), "{refused}");
    let nonsense = connect("nonsense".to_owned()).await.expect_err("nonsense");
    assert!(nonsense.to_string().contains("postgres://"), "{nonsense}");
}

#[tokio::test]
async fn every_table_says_what_it_is() {
    let tables = Tables::new().await;
    let undocumented = tables
        .rows(
            "SELECT c.oid::regclass FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname IN
                ('auth', 'users', 'messages', 'audit', 'views', 'projection')
                AND obj_description(c.oid, 'pg_class') IS NULL",
        )
        .await;
    assert!(undocumented.is_empty(), "{undocumented:?}");
}
