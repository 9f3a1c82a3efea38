//! Partitions of `audit.record_changes`, one per month.

use std::collections::BTreeSet;

use chrono::Datelike;
use echolog_events::Time;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

const MISSING: &str = "SELECT name FROM unnest($1::text[]) AS name
    WHERE to_regclass('{schema}.' || name) IS NULL";

/// Of the live table. Who writes it may not make tables; this function may.
const LIVE: &str = "SELECT audit.ensure_month(make_date($1, $2, 1))";

/// Makes partitions before rows need them.
#[derive(Debug)]
pub(super) struct Months {
    live: bool,
    schema: String,
    missing: Sql,
}

/// A month of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Month {
    year: i32,
    month: u32,
}

impl Month {
    fn of(time: Time) -> Self {
        Self { year: time.year(), month: time.month() }
    }

    fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }

    fn partition(self) -> String {
        format!("record_changes_{:04}_{:02}", self.year, self.month)
    }

    fn first_day(self) -> String {
        format!("{:04}-{:02}-01 00:00:00+00", self.year, self.month)
    }
}

impl Months {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            live: *target == Target::live(target.projection()),
            schema: target.schema(),
            missing: target.sql(MISSING),
        }
    }

    /// Makes the partitions for these times where they are missing, and the ones after, so that
    /// there is little to do at the turn of a month.
    pub(super) async fn ensure(
        &self,
        connection: &mut PgConnection,
        times: impl Iterator<Item = Time>,
    ) -> Result<(), ProjectionError> {
        let months: BTreeSet<Month> =
            times.map(Month::of).flat_map(|month| [month, month.next()]).collect();
        let months: Vec<(String, Month)> =
            months.into_iter().map(|month| (month.partition(), month)).collect();
        let missing: Vec<(String,)> = self
            .missing
            .query_as()
            .bind(column(&months, |(name, _)| name.as_str()))
            .fetch_all(&mut *connection)
            .await?;
        for (name, month) in months {
            if !missing.iter().any(|(missing,)| *missing == name) {
                continue;
            }
            if self.live {
                let Month { year, month } = month;
                sqlx::query(LIVE)
                    .bind(year)
                    .bind(month.cast_signed())
                    .execute(&mut *connection)
                    .await?;
            } else {
                connection.execute(AssertSqlSafe(self.create(&name, month))).await?;
            }
        }
        Ok(())
    }

    /// What `audit.ensure_month` does, for a copy.
    fn create(&self, name: &str, month: Month) -> String {
        let schema = &self.schema;
        let (from, to) = (month.first_day(), month.next().first_day());
        // Made apart and attached: `PARTITION OF` would wait for everyone who reads the table, and a
        // dump reads it for hours.
        format!(
            "CREATE TABLE {schema}.{name}
                 (LIKE {schema}.record_changes INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
             ALTER TABLE {schema}.record_changes ATTACH PARTITION {schema}.{name}
                 FOR VALUES FROM ('{from}') TO ('{to}')"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn december_is_followed_by_january() {
        let month = Month { year: 2025, month: 12 };
        assert_eq!(month.next(), Month { year: 2026, month: 1 });
        assert_eq!(month.partition(), "record_changes_2025_12");
    }
}
