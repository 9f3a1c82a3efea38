//! Table `users.activity_log`.

use echolog_events::{Meta, UserRegistered, Uuid};
use sqlx::PgConnection;

use super::profiles::Change;
use crate::rows::{Rows, Table};
use crate::{ProjectionError, ids};

/// Of `activity_log`.
pub(super) const COLUMNS: &str = "id uuid, user_id uuid, activity_type text, field_name text,
    old_value text, new_value text, created_at timestamptz, updated_at timestamptz";

/// Rows of a batch.
pub(super) struct Activity(Rows);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Rows::new())
    }

    pub(super) fn registered(&mut self, meta: &Meta, event: &UserRegistered) {
        self.row(meta, 0, event.user_id, "registered", None);
    }

    pub(super) fn deleted(&mut self, meta: &Meta, user: Uuid) {
        self.row(meta, 0, user, "deleted", None);
    }

    pub(super) fn changed(&mut self, meta: &Meta, user: Uuid, change: &Change) {
        self.row(meta, change.field.ordinal(), user, "profile_updated", Some(change));
    }

    fn row(&mut self, meta: &Meta, ordinal: u8, user: Uuid, kind: &str, change: Option<&Change>) {
        self.0.row(&[
            &ids::of_event(meta.event_id, ordinal),
            &user,
            &kind,
            &change.map(|change| change.field.column()),
            &change.and_then(|change| change.old.as_deref()),
            &change.and_then(|change| change.new.as_deref()),
            &meta.time,
            &meta.time,
        ]);
    }

    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        table: &Table,
    ) -> Result<(), ProjectionError> {
        Ok(self.0.send(connection, table).await?)
    }
}
