//! Tables, filled from a log and looked at.

use echolog_events::{Partition, Recorded};
use echolog_projectors::db::Database;
use echolog_projectors::{Projection, Runner, Target};
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{Log, database};

/// A database of its own and what is in it.
pub(crate) struct Tables {
    pub(crate) database: Database,
    /// The same for the role that workers have: it may do what they do, or these tests would fail.
    pub(crate) workers: Database,
}

impl Tables {
    /// Nothing has happened yet.
    pub(crate) async fn new() -> Self {
        let (database, workers) = database().await;
        Self { database, workers }
    }

    /// Given a log, every projection is complete.
    pub(crate) async fn given(log: &Log) -> Self {
        let tables = Self::new().await;
        tables.feed(&[&log.events]).await;
        tables
    }

    /// Applies batches to every projection.
    pub(crate) async fn feed(&self, batches: &[&[Recorded]]) {
        let [a, b, c, d, e, f] = Projection::ALL.map(|it| self.feed_one(Target::live(it), batches));
        tokio::join!(a, b, c, d, e, f);
    }

    /// Applies batches to one target.
    pub(crate) async fn feed_one(&self, target: Target, batches: &[&[Recorded]]) {
        let mut runner = self.runner(target).await;
        for batch in batches {
            let to = batch.last().map_or(0, |event| event.seq);
            runner.apply(batch, to).await.expect("the batch is applied");
        }
    }

    /// A projector of a target.
    pub(crate) async fn runner(&self, target: Target) -> Runner {
        let partitions: Vec<Partition> = Partition::all().collect();
        self.runner_of(target, &partitions).await
    }

    /// A projector of some partitions of a target.
    pub(crate) async fn runner_of(&self, target: Target, partitions: &[Partition]) -> Runner {
        loop {
            // The server takes a moment to notice that the one before is gone.
            let runner = Runner::start(&self.workers, target.clone(), partitions).await;
            if let Some(runner) = runner.expect("a runner") {
                return runner;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The rows that a query finds, as `(a,b,c)`; short ids as `#n`.
    pub(crate) async fn rows(&self, query: &str) -> Vec<String> {
        let query = format!("SELECT (t.*)::text FROM ({query}) AS t");
        let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(query))
            .fetch_all(self.database.pool())
            .await
            .expect("the query runs");
        rows.into_iter().map(|(row,)| short(&row)).collect()
    }

    /// The rows that a query finds, as JSON.
    pub(crate) async fn json(&self, query: &str) -> Vec<Value> {
        let query = format!("SELECT to_jsonb(t) FROM ({query}) AS t");
        let rows: Vec<(Value,)> = sqlx::query_as(AssertSqlSafe(query))
            .fetch_all(self.database.pool())
            .await
            .expect("the query runs");
        rows.into_iter().map(|(row,)| row).collect()
    }

    /// The one value that a query finds.
    pub(crate) async fn value(&self, query: &str) -> String {
        let rows = self.rows(query).await;
        assert_eq!(rows.len(), 1, "{query}");
        rows[0].trim_start_matches('(').trim_end_matches(')').trim_matches('"').to_owned()
    }

    /// Runs a statement.
    pub(crate) async fn execute(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(self.database.pool())
            .await
            .expect("the statement runs");
    }

    /// All rows of all tables of a target, sorted.
    pub(crate) async fn dump(&self, target: &Target) -> Vec<String> {
        let mut dump = Vec::new();
        for table in target.projection().tables() {
            let query = format!("SELECT * FROM {}.{table}", target.schema());
            let mut rows = self.rows(&query).await;
            rows.sort();
            dump.extend(rows.into_iter().map(|row| format!("{table} {row}")));
        }
        dump
    }

    /// Empties everything, as it was after the migrations.
    pub(crate) async fn clear(&self) {
        let tables = Projection::ALL.iter().flat_map(|projection| {
            let schema = projection.schema();
            projection.tables().iter().map(move |table| format!("{schema}.{table}"))
        });
        // Few rows: faster than TRUNCATE, which makes new files.
        let deletes: Vec<String> = tables.map(|table| format!("DELETE FROM {table};")).collect();
        self.execute(&format!(
            "{} DELETE FROM projection.parked; DELETE FROM projection.skipped; UPDATE projection.checkpoints SET position = 0",
            deletes.concat()
        ))
        .await;
    }
}

/// Shows `00000000-0000-0000-0000-000000000007` as `#7`.
fn short(row: &str) -> String {
    let mut text = String::new();
    let mut rest = row;
    while let Some(at) = rest.find("00000000-0000-0000-0000-0000") {
        text.push_str(&rest[..at]);
        let (id, after) = rest[at..].split_at(36);
        let digits = id[28..].trim_start_matches('0');
        text.push('#');
        text.push_str(if digits.is_empty() { "0" } else { digits });
        rest = after;
    }
    text.push_str(rest);
    text
}
