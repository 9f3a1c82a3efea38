//! Recounting what is counted, and looking for what points nowhere.
//!
//! No foreign key and no unique key spans partitions or schemas; the deciders see to that. This is
//! the proof. Whether the tables are what the log says is another question: see [`crate::rebuild`].

mod checks;

use std::fmt;

use sqlx::{AssertSqlSafe, Connection};

use self::checks::CHECKS;
use crate::db::Database;

/// How many rows are shown per check.
const SHOWN: u32 = 20;

/// A check that found something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub check: &'static str,
    /// How many rows are.
    pub count: u64,
    /// The first of them, as PostgreSQL writes rows.
    pub rows: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, count, rows } = self;
        write!(f, "{check}: {count} rows")?;
        for row in rows {
            write!(f, "\n    {row}")?;
        }
        Ok(())
    }
}

/// Runs all checks in one snapshot. Nothing found: an empty list.
///
/// # Errors
/// No answer from PostgreSQL.
pub async fn verify(database: &Database) -> sqlx::Result<Vec<Finding>> {
    let mut session = database.session("echolog-verify").await?;
    let mut snapshot =
        session.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut findings = Vec::new();
    for (check, query) in CHECKS {
        let query = format!(
            "WITH t AS MATERIALIZED ({query})
             SELECT (SELECT count(*) FROM t), ARRAY(SELECT (t.*)::text FROM t ORDER BY 1 LIMIT {SHOWN})"
        );
        let (count, rows): (i64, Vec<String>) =
            sqlx::query_as(AssertSqlSafe(query)).fetch_one(&mut *snapshot).await?;
        if count > 0 {
            findings.push(Finding { check, count: count.cast_unsigned(), rows });
        }
    }
    snapshot.commit().await?;
    session.close().await?;
    Ok(findings)
}
