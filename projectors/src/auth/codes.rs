//! Table `auth.otp_verifications`.

use echolog_events::{Meta, OtpAttemptFailed, OtpRequested, OtpVerified, Time, Uuid};
use sqlx::PgConnection;

use crate::fold::Fold;
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// Of `otp_verifications`.
const COLUMNS: &str = "id uuid, account_id uuid, user_id uuid, identifier text,
    identifier_type text, otp_hash text, purpose text, attempts integer, max_attempts integer,
    verified boolean, verified_at timestamptz, expires_at timestamptz, created_at timestamptz,
    updated_at timestamptz";

/// What is NULL stays as it is.
const UPDATE: &str = "UPDATE {schema}.otp_verifications AS o SET
        attempts = coalesce(d.attempts, o.attempts),
        verified = o.verified OR d.verified_at IS NOT NULL,
        verified_at = coalesce(d.verified_at, o.verified_at),
        expires_at = least(o.expires_at, d.expires_at), updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[], $5::timestamptz[],
        $6::timestamptz[]) AS d (account_id, id, attempts, verified_at, expires_at, updated_at)
    WHERE o.id = d.id AND o.account_id = d.account_id";

/// The earlier of two times, of which there may be one.
pub(super) fn earlier(one: Option<Time>, other: Time) -> Option<Time> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// Account and id: a code's id is unique for its account only.
type Key = (Uuid, Uuid);

#[derive(Debug)]
pub(super) struct Statements {
    rows: Table,
    update: Sql,
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { rows: Table::new(target, "otp_verifications", COLUMNS), update: target.sql(UPDATE) }
    }
}

/// What has become of a code since it was stored, or asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    attempts: Option<i32>,
    verified_at: Option<Time>,
    /// When another took its place, unless it had ended by itself.
    replaced_at: Option<Time>,
    updated_at: Option<Time>,
}

/// The codes that a batch makes or changes.
#[derive(Debug, Default)]
pub(super) struct Codes<'a>(Fold<Key, (&'a OtpRequested, Time), Change>);

impl<'a> Codes<'a> {
    pub(super) fn request(&mut self, meta: &Meta, event: &'a OtpRequested) {
        if let Some(replaced) = event.replaces {
            let change = self.change((event.account_id, replaced), meta);
            change.replaced_at = earlier(change.replaced_at, meta.time);
        }
        self.0.add((event.account_id, event.otp_id), (event, meta.time));
    }

    pub(super) fn verify(&mut self, meta: &Meta, event: &OtpVerified) {
        let change = self.change((event.account_id, event.otp_id), meta);
        change.verified_at = Some(event.verified_at);
    }

    pub(super) fn fail(&mut self, meta: &Meta, event: &OtpAttemptFailed) {
        let change = self.change((event.account_id, event.otp_id), meta);
        change.attempts = Some(event.attempts.cast_signed());
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
                .bind(column(&changed, |((account, _), _)| *account))
                .bind(column(&changed, |((_, id), _)| *id))
                .bind(column(&changed, |(_, change)| change.attempts))
                .bind(column(&changed, |(_, change)| change.verified_at))
                .bind(column(&changed, |(_, change)| change.replaced_at))
                .bind(column(&changed, |(_, change)| change.updated_at))
                .execute(&mut *connection)
                .await?;
        }
        let mut rows = Rows::new();
        for ((requested, at), change) in &new {
            put(requested, *at, change, &mut rows);
        }
        Ok(rows.send(connection, &statements.rows).await?)
    }
}

fn put(event: &OtpRequested, at: Time, change: &Change, rows: &mut Rows) {
    rows.row(&[
        &event.otp_id,
        &event.account_id,
        &event.user_id,
        &event.identifier,
        &event.identifier_type.name(),
        &event.otp_hash.expose(),
        &event.purpose.name(),
        &change.attempts.unwrap_or(0),
        &event.max_attempts.cast_signed(),
        &change.verified_at.is_some(),
        &change.verified_at,
        &earlier(change.replaced_at, event.expires_at),
        &at,
        &change.updated_at.unwrap_or(at),
    ]);
}
