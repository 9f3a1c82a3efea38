//! Table `users.activity_log`.

use echolog_events::{Meta, UserRegistered, Uuid};
use sqlx::PgConnection;

use super::profiles::Change;
use crate::copy::Rows;
use crate::sql::Sql;
use crate::{ProjectionError, ids};

pub(super) const COPY: &str = "COPY {schema}.activity_log (id, user_id, activity_type, field_name,
    old_value, new_value, created_at, updated_at) FROM STDIN BINARY";

/// Rows of a batch.
pub(super) struct Activity(Rows);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Rows::new())
    }

    pub(super) fn registered(&mut self, meta: &Meta, event: &UserRegistered) {
        self.row(meta, 0, event.user_id, "registered", None);
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
        sql: &Sql,
    ) -> Result<(), ProjectionError> {
        Ok(self.0.send(connection, sql).await?)
    }
}
