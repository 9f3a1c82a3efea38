//! Comparing two targets row by row.

use std::fmt;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

use crate::Target;

/// How many rows are shown per table and side.
const SHOWN: u32 = 20;

/// What has to be the same about parked events; the copy's are kept under another name.
const PARKED: &str = "SELECT partition, stream_id, event_seq, event_type, error, parked_at, payload
    FROM projection.parked WHERE projection = ";

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The position of both.
    pub position: u64,
    /// Live rows.
    pub rows: u64,
    /// What only one of them has.
    pub differences: Vec<Difference>,
}

/// Rows of a table that only one of two targets has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// Who has them.
    pub side: Side,
    /// How many there are.
    pub count: u64,
    /// The first of them, as PostgreSQL writes rows.
    pub rows: Vec<String>,
}

/// Two targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The tables that everyone reads.
    Live,
    /// The copy.
    Copy,
}

impl Comparison {
    /// Whether there is no difference.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, rows, differences } = self;
        let verdict = if self.is_equal() { "no difference" } else { "differs" };
        write!(f, "{rows} rows at position {position}: {verdict}")?;
        for difference in differences {
            write!(f, "\n{difference}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, side, count, rows } = self;
        let side = match side {
            Side::Live => "only the live table has",
            Side::Copy => "only the log tells of",
        };
        write!(f, "  {table}: {side} {count} rows")?;
        for row in rows {
            write!(f, "\n    {row}")?;
        }
        Ok(())
    }
}

/// A look at the database as it is now, for as long as it takes.
pub(super) async fn snapshot(
    connection: &mut PgConnection,
) -> sqlx::Result<Transaction<'_, Postgres>> {
    let mut snapshot =
        connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // The first statement is what fixes it.
    sqlx::query("SELECT").execute(&mut *snapshot).await?;
    Ok(snapshot)
}

pub(super) async fn compare(
    connection: &mut PgConnection,
    position: u64,
    live: &Target,
    copy: &Target,
) -> sqlx::Result<Comparison> {
    let mut comparison = Comparison { position, rows: 0, differences: Vec::new() };
    for table in live.projection().tables() {
        let rows = |target: &Target| format!("SELECT * FROM {}.{table}", target.schema());
        comparison.table(connection, table, &rows(live), &rows(copy)).await?;
    }
    let parked = |target: &Target| format!("{PARKED}'{}'", target.name());
    comparison.table(connection, "parked", &parked(live), &parked(copy)).await?;
    Ok(comparison)
}

impl Comparison {
    async fn table(
        &mut self,
        connection: &mut PgConnection,
        table: &str,
        live: &str,
        copy: &str,
    ) -> sqlx::Result<()> {
        let count = format!("SELECT count(*) FROM ({live}) AS t");
        let rows: i64 =
            sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *connection).await?;
        self.rows += rows.cast_unsigned();
        for (side, here, there) in [(Side::Live, live, copy), (Side::Copy, copy, live)] {
            let only = format!(
                "WITH t AS MATERIALIZED ({here} EXCEPT ALL {there})
                 SELECT (SELECT count(*) FROM t),
                    ARRAY(SELECT (t.*)::text FROM t ORDER BY 1 LIMIT {SHOWN})"
            );
            let (count, rows): (i64, Vec<String>) =
                sqlx::query_as(AssertSqlSafe(only)).fetch_one(&mut *connection).await?;
            if count > 0 {
                let (table, count) = (table.to_owned(), count.cast_unsigned());
                self.differences.push(Difference { table, side, count, rows });
            }
        }
        Ok(())
    }
}
