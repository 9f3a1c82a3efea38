//! SQL that is built once and run often.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::query::{Query, QueryAs};
use sqlx::{AssertSqlSafe, Postgres};

/// A statement, made once per projection and target from a template in this crate. Nothing that
/// comes from outside is ever part of its text.
#[derive(Clone, Debug)]
pub(crate) struct Sql(Arc<str>);

impl Sql {
    /// A statement with this text.
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// To be executed.
    pub(crate) fn query(&self) -> Query<'_, Postgres, PgArguments> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.0)))
    }

    /// To be executed for rows of a type.
    pub(crate) fn query_as<T>(&self) -> QueryAs<'_, Postgres, T, PgArguments>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        sqlx::query_as(AssertSqlSafe(Arc::clone(&self.0)))
    }
}

/// One column of rows, as a parameter for `UNNEST`.
pub(crate) fn column<'a, R, V>(rows: &'a [R], value: impl Fn(&'a R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}
