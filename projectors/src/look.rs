//! Looking at a database, and making one: for tours, tests and people.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::db::{Database, DatabaseError, DatabaseOptions};

/// The rows of a query, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextTable {
    /// The names of the columns; empty if there is no row.
    pub columns: Vec<String>,
    /// The rows; NULL is an empty text.
    pub rows: Vec<Vec<String>>,
}

impl Database {
    /// Runs a query that the caller vouches for and returns its rows as text.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn text_table(&self, query: &str) -> Result<TextTable, DatabaseError> {
        let sql = format!(
            "SELECT (SELECT array_agg(key) FROM json_each_text(to_json(q))),
                    (SELECT array_agg(coalesce(value, '')) FROM json_each_text(to_json(q)))
             FROM ({query}) AS q"
        );
        let rows: Vec<(Vec<String>, Vec<String>)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(self.pool()).await?;
        let columns = rows.first().map(|(columns, _)| columns.clone()).unwrap_or_default();
        Ok(TextTable { columns, rows: rows.into_iter().map(|(_, row)| row).collect() })
    }

    /// Runs a statement that the caller vouches for.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn execute(&self, statement: &str) -> Result<(), DatabaseError> {
        self.pool().execute(AssertSqlSafe(statement.to_owned())).await?;
        Ok(())
    }

    /// Connects; where the server has no such database, creates it first.
    ///
    /// # Errors
    /// As [`Self::connect`], and where the user may not create databases.
    pub async fn connect_or_create(options: &DatabaseOptions) -> Result<Self, DatabaseError> {
        let database = match Self::connect(options).await {
            Err(DatabaseError::Missing { database, .. }) => database,
            connected => return connected,
        };
        let server = PgConnectOptions::from_str(&options.url).map_err(DatabaseError::Url)?;
        let mut server = PgConnection::connect_with(&server.database("postgres")).await?;
        let name = database.replace('"', "\"\"");
        let create = format!("CREATE DATABASE \"{name}\"");
        server.execute(AssertSqlSafe(create)).await?;
        server.close().await?;
        Self::connect(options).await
    }
}
