//! Table `auth.password_reset_tokens`.

use echolog_events::{Meta, PasswordResetCompleted, PasswordResetRequested, Time, Uuid};
use sqlx::PgConnection;

use super::codes::earlier;
use crate::fold::Fold;
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// Of `password_reset_tokens`.
const COLUMNS: &str = "id uuid, user_id uuid, token_hash text, expires_at timestamptz,
    used_at timestamptz, created_at timestamptz, updated_at timestamptz";

/// What is NULL stays as it is.
const UPDATE: &str = "UPDATE {schema}.password_reset_tokens AS t SET
        expires_at = least(t.expires_at, d.expires_at),
        used_at = coalesce(d.used_at, t.used_at), updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
        AS d (user_id, id, expires_at, used_at, updated_at)
    WHERE t.id = d.id AND t.user_id = d.user_id";

/// User and id: a reset's id is unique for its user only.
type Key = (Uuid, Uuid);

#[derive(Debug)]
pub(super) struct Statements {
    rows: Table,
    update: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            rows: Table::new(target, "password_reset_tokens", COLUMNS),
            update: target.sql(UPDATE),
        }
    }
}

/// What has become of a token since it was stored, or made.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    /// When another, or a code, took its place, unless it had ended by itself.
    replaced_at: Option<Time>,
    used_at: Option<Time>,
    updated_at: Option<Time>,
}

/// The tokens that a batch makes or changes.
#[derive(Debug, Default)]
pub(super) struct Resets<'a>(Fold<Key, (Uuid, &'a PasswordResetRequested, Time), Change>);

impl<'a> Resets<'a> {
    pub(super) fn request(&mut self, meta: &Meta, user: Uuid, event: &'a PasswordResetRequested) {
        self.replace(meta, user, event.replaces);
        self.0.add((user, event.reset_id), (user, event, meta.time));
    }

    pub(super) fn complete(&mut self, meta: &Meta, event: &PasswordResetCompleted) {
        self.replace(meta, event.user_id, event.replaces);
        self.change((event.user_id, event.reset_id), meta).used_at = Some(meta.time);
    }

    fn replace(&mut self, meta: &Meta, user: Uuid, replaced: Option<Uuid>) {
        if let Some(replaced) = replaced {
            let change = self.change((user, replaced), meta);
            change.replaced_at = earlier(change.replaced_at, meta.time);
        }
    }

    fn change(&mut self, key: Key, meta: &Meta) -> &mut Change {
        let change = self.0.change(key);
        change.updated_at = Some(meta.time);
        change
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let (new, changed) = self.0.into_parts();
        if !changed.is_empty() {
            statements
                .update
                .query()
                .bind(column(&changed, |((user, _), _)| *user))
                .bind(column(&changed, |((_, id), _)| *id))
                .bind(column(&changed, |(_, change)| change.replaced_at))
                .bind(column(&changed, |(_, change)| change.used_at))
                .bind(column(&changed, |(_, change)| change.updated_at))
                .execute(&mut *connection)
                .await?;
        }
        let mut rows = Rows::new();
        for ((user, requested, at), change) in &new {
            rows.row(&[
                &requested.reset_id,
                user,
                &requested.token_hash.expose(),
                &earlier(change.replaced_at, requested.expires_at),
                &change.used_at,
                at,
                &change.updated_at.unwrap_or(*at),
            ]);
        }
        Ok(rows.send(connection, &statements.rows).await?)
    }
}
