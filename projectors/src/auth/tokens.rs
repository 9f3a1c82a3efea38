//! Table `auth.refresh_tokens`: which one took the place of which.

use echolog_events::{Meta, SessionRefreshed, SessionStarted, Time, TokenHash, Uuid};
use sqlx::PgConnection;

use crate::fold::Fold;
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// Of `refresh_tokens`.
const COLUMNS: &str = "id uuid, user_id uuid, session_id uuid, token text, device_id text,
    expires_at timestamptz, revoked boolean, revoked_at timestamptz, replaced_by_id uuid,
    created_at timestamptz, updated_at timestamptz";

const UPDATE: &str = "UPDATE {schema}.refresh_tokens AS r SET
        revoked = true, revoked_at = coalesce(r.revoked_at, d.revoked_at),
        replaced_by_id = coalesce(d.replaced_by_id, r.replaced_by_id), updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::uuid[], $6::timestamptz[])
        AS d (user_id, session_id, id, revoked_at, replaced_by_id, updated_at)
    WHERE r.id = d.id AND r.user_id = d.user_id AND r.session_id = d.session_id";

/// User, session and id: what an event says is about its own user's session only.
type Key = (Uuid, Uuid, Uuid);

#[derive(Debug)]
pub(super) struct Statements {
    rows: Table,
    update: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { rows: Table::new(target, "refresh_tokens", COLUMNS), update: target.sql(UPDATE) }
    }
}

/// What makes a token useless.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// When it became so first.
    revoked_at: Option<Time>,
    /// What it was exchanged for last.
    replaced_by: Option<Uuid>,
    updated_at: Option<Time>,
}

/// A new token.
#[derive(Debug)]
pub(super) struct Token<'a> {
    key: Key,
    hash: &'a TokenHash,
    device: String,
    expires_at: Time,
    created_at: Time,
}

impl<'a> Token<'a> {
    /// The first one of a session.
    pub(super) fn first(meta: &Meta, event: &'a SessionStarted) -> Self {
        Self {
            key: (event.user_id, event.session_id, event.refresh_id),
            hash: &event.refresh_hash,
            device: event.device_id.clone(),
            expires_at: event.expires_at,
            created_at: meta.time,
        }
    }

    /// The next one of a session on this device.
    pub(super) fn next(meta: &Meta, event: &'a SessionRefreshed, device: String) -> Self {
        Self {
            key: (event.user_id, event.session_id, event.refresh_id),
            hash: &event.refresh_hash,
            device,
            expires_at: event.expires_at,
            created_at: meta.time,
        }
    }
}

/// The tokens that a batch makes or ends.
#[derive(Debug, Default)]
pub(super) struct Tokens<'a>(Fold<Key, Token<'a>, End>);

impl<'a> Tokens<'a> {
    pub(super) fn issue(&mut self, token: Token<'a>) {
        self.0.add(token.key, token);
    }

    pub(super) fn retire(&mut self, key: Key, meta: &Meta, replaced_by: Option<Uuid>) {
        let end = self.0.change(key);
        end.revoked_at = end.revoked_at.or(Some(meta.time));
        end.replaced_by = replaced_by.or(end.replaced_by);
        end.updated_at = Some(meta.time);
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), ProjectionError> {
        let (new, ended) = self.0.into_parts();
        if !ended.is_empty() {
            statements
                .update
                .query()
                .bind(column(&ended, |((user, _, _), _)| *user))
                .bind(column(&ended, |((_, session, _), _)| *session))
                .bind(column(&ended, |((_, _, id), _)| *id))
                .bind(column(&ended, |(_, end)| end.revoked_at))
                .bind(column(&ended, |(_, end)| end.replaced_by))
                .bind(column(&ended, |(_, end)| end.updated_at))
                .execute(&mut *connection)
                .await?;
        }
        let mut rows = Rows::new();
        for (token, end) in &new {
            token.put(end, &mut rows);
        }
        Ok(rows.send(connection, &statements.rows).await?)
    }
}

impl Token<'_> {
    fn put(&self, end: &End, rows: &mut Rows) {
        let (user, session, id) = self.key;
        rows.row(&[
            &id,
            &user,
            &session,
            &self.hash.expose(),
            &self.device,
            &self.expires_at,
            &end.revoked_at.is_some(),
            &end.revoked_at,
            &end.replaced_by,
            &self.created_at,
            &end.updated_at.unwrap_or(self.created_at),
        ]);
    }
}
