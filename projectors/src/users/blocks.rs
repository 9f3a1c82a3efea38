//! Table `users.blocked_users`: a set.

use std::collections::BTreeMap;

use echolog_events::{Meta, Time, UserBlocked, UserUnblocked, Uuid};
use sqlx::PgConnection;

use crate::sql::{Sql, column};
use crate::{ProjectionError, Target, ids};

const DELETE: &str = "DELETE FROM {schema}.blocked_users AS b
    USING unnest($1::uuid[], $2::uuid[]) AS d (user_id, blocked_user_id)
    WHERE b.user_id = d.user_id AND b.blocked_user_id = d.blocked_user_id";

const INSERT: &str = "INSERT INTO {schema}.blocked_users
    (id, user_id, blocked_user_id, reason, blocked_at, created_at, updated_at)
    SELECT id, user_id, blocked_user_id, reason, at, at, at
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[])
        AS d (id, user_id, blocked_user_id, reason, at)
    ON CONFLICT (user_id, blocked_user_id) DO NOTHING";

#[derive(Debug)]
pub(super) struct Statements {
    delete: Sql,
    insert: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { delete: target.sql(DELETE), insert: target.sql(INSERT) }
    }
}

/// What a batch does to one pair.
#[derive(Default)]
struct Pair<'a> {
    unblocked: bool,
    /// The first block after the last unblock: a block that is there already stays as it is.
    blocked: Option<(Time, Option<&'a str>)>,
}

/// What a batch does to the set.
#[derive(Default)]
pub(super) struct Blocks<'a>(BTreeMap<(Uuid, Uuid), Pair<'a>>);

impl<'a> Blocks<'a> {
    pub(super) fn block(&mut self, meta: &Meta, event: &'a UserBlocked) {
        let pair = self.0.entry((event.user_id, event.blocked_user_id)).or_default();
        pair.blocked.get_or_insert((meta.time, event.reason.as_deref()));
    }

    pub(super) fn unblock(&mut self, event: &UserUnblocked) {
        let pair = self.0.entry((event.user_id, event.blocked_user_id)).or_default();
        *pair = Pair { unblocked: true, blocked: None };
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let deletes: Vec<_> = self.0.iter().filter(|(_, pair)| pair.unblocked).collect();
        if !deletes.is_empty() {
            statements
                .delete
                .query()
                .bind(column(&deletes, |((user, _), _)| *user))
                .bind(column(&deletes, |((_, blocked), _)| *blocked))
                .execute(&mut *connection)
                .await?;
        }
        let inserts: Vec<_> =
            self.0.iter().filter_map(|(key, pair)| Some((*key, pair.blocked?))).collect();
        if !inserts.is_empty() {
            statements
                .insert
                .query()
                .bind(column(&inserts, |((user, blocked), _)| ids::blocked_user(*user, *blocked)))
                .bind(column(&inserts, |((user, _), _)| *user))
                .bind(column(&inserts, |((_, blocked), _)| *blocked))
                .bind(column(&inserts, |(_, (_, reason))| *reason))
                .bind(column(&inserts, |(_, (at, _))| *at))
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
