//! Table `messages.membership_periods`.

use sqlx::PgConnection;

use super::MemberKey;
use crate::map::HashMap;
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// A period without a message is not kept: the member may come back at the same place.
const CLOSE: &str = "MERGE INTO {schema}.membership_periods AS p
    USING unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS d (conversation_id, user_id, to_seq)
    ON p.conversation_id = d.conversation_id AND p.user_id = d.user_id AND p.to_seq IS NULL
    WHEN MATCHED AND p.from_seq = d.to_seq THEN DELETE
    WHEN MATCHED THEN UPDATE SET to_seq = d.to_seq";

/// Of `membership_periods`.
const COLUMNS: &str = "conversation_id uuid, user_id uuid, from_seq bigint, to_seq bigint";

#[derive(Debug)]
pub(super) struct Statements {
    close: Sql,
    rows: Table,
}

/// What a batch does to the periods.
#[derive(Default)]
pub(super) struct Periods {
    /// Begun in the batch, and not ended.
    open: HashMap<MemberKey, i64>,
    /// Begun and ended in the batch.
    past: Vec<(MemberKey, i64, i64)>,
    /// Begun before, and ended in the batch.
    closed: Vec<(MemberKey, i64)>,
}

impl Periods {
    pub(super) fn open(&mut self, member: MemberKey, from_seq: i64) {
        self.open.insert(member, from_seq);
    }

    pub(super) fn close(&mut self, member: MemberKey, to_seq: i64) {
        match self.open.remove(&member) {
            Some(from_seq) if from_seq < to_seq => self.past.push((member, from_seq, to_seq)),
            Some(_) => {}
            None => self.closed.push((member, to_seq)),
        }
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { close: target.sql(CLOSE), rows: Table::new(target, "membership_periods", COLUMNS) }
    }

    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        periods: Periods,
    ) -> Result<(), ProjectionError> {
        let closed = periods.closed;
        if !closed.is_empty() {
            self.close
                .query()
                .bind(column(&closed, |((conversation, _), _)| *conversation))
                .bind(column(&closed, |((_, user), _)| *user))
                .bind(column(&closed, |(_, to_seq)| *to_seq))
                .execute(&mut *connection)
                .await?;
        }
        let mut rows = Rows::new();
        for ((conversation, user), from_seq, to_seq) in periods.past {
            rows.row(&[&conversation, &user, &from_seq, &Some(to_seq)]);
        }
        for ((conversation, user), from_seq) in periods.open {
            rows.row(&[&conversation, &user, &from_seq, &None::<i64>]);
        }
        Ok(rows.send(connection, &self.rows).await?)
    }
}

#[cfg(test)]
mod tests {
    use echolog_events::Uuid;

    use super::*;

    #[test]
    fn empty_periods_are_not_kept() {
        let member = (Uuid::nil(), Uuid::nil());
        let mut periods = Periods::default();
        periods.open(member, 5);
        periods.close(member, 5);
        periods.open(member, 5);
        periods.close(member, 7);
        periods.open(member, 7);
        assert_eq!(periods.past, [(member, 5, 7)]);
        assert_eq!(periods.open[&member], 7);
        assert!(periods.closed.is_empty());
    }
}
