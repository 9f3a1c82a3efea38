//! Table `auth.api_keys`.

use echolog_events::{ApiKeyCreated, ApiKeyRevoked, ApiKeyUsed, Meta, Time, Uuid};
use sqlx::PgConnection;

use crate::fold::Fold;
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// Of `api_keys`.
const COLUMNS: &str = "id uuid, user_id uuid, name text, key_prefix text, key_hash text,
    scopes text[], last_used_at timestamptz, usage_count bigint, expires_at timestamptz,
    revoked_at timestamptz, created_at timestamptz, updated_at timestamptz";

const UPDATE: &str = "UPDATE {schema}.api_keys AS k SET
        usage_count = k.usage_count + d.uses,
        last_used_at = greatest(k.last_used_at, d.last_used_at),
        revoked_at = coalesce(k.revoked_at, d.revoked_at), updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[],
        $6::timestamptz[]) AS d (user_id, id, uses, last_used_at, revoked_at, updated_at)
    WHERE k.id = d.id AND k.user_id = d.user_id";

/// User and id: a key's id is unique for its user only.
type Key = (Uuid, Uuid);

#[derive(Debug)]
pub(super) struct Statements {
    rows: Table,
    update: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { rows: Table::new(target, "api_keys", COLUMNS), update: target.sql(UPDATE) }
    }
}

/// What has become of a key since it was stored, or made.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    uses: i64,
    last_used_at: Option<Time>,
    revoked_at: Option<Time>,
    updated_at: Option<Time>,
}

/// The keys that a batch makes or changes.
#[derive(Debug, Default)]
pub(super) struct ApiKeys<'a>(Fold<Key, (&'a ApiKeyCreated, Time), Change>);

impl<'a> ApiKeys<'a> {
    pub(super) fn create(&mut self, meta: &Meta, created: &'a ApiKeyCreated) {
        self.0.add((created.user_id, created.api_key_id), (created, meta.time));
    }

    pub(super) fn note_use(&mut self, meta: &Meta, used: &ApiKeyUsed) {
        let change = self.0.change((used.user_id, used.api_key_id));
        change.uses += i64::from(used.count);
        change.last_used_at = change.last_used_at.max(Some(used.last_used_at));
        change.updated_at = Some(meta.time);
    }

    pub(super) fn revoke(&mut self, meta: &Meta, revoked: &ApiKeyRevoked) {
        let change = self.0.change((revoked.user_id, revoked.api_key_id));
        change.revoked_at = change.revoked_at.or(Some(meta.time));
        change.updated_at = Some(meta.time);
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
                .bind(column(&changed, |(_, change)| change.uses))
                .bind(column(&changed, |(_, change)| change.last_used_at))
                .bind(column(&changed, |(_, change)| change.revoked_at))
                .bind(column(&changed, |(_, change)| change.updated_at))
                .execute(&mut *connection)
                .await?;
        }
        let mut rows = Rows::new();
        for ((created, at), change) in &new {
            put(created, *at, change, &mut rows);
        }
        Ok(rows.send(connection, &statements.rows).await?)
    }
}

fn put(created: &ApiKeyCreated, at: Time, change: &Change, rows: &mut Rows) {
    let scopes: Vec<String> = created.scopes.iter().map(|it| it.name().to_owned()).collect();
    rows.row(&[
        &created.api_key_id,
        &created.user_id,
        &created.name,
        &created.key_prefix,
        &created.key_hash.expose(),
        &scopes,
        &change.last_used_at,
        &change.uses,
        &created.expires_at,
        &change.revoked_at,
        &at,
        &change.updated_at.unwrap_or(at),
    ]);
}
