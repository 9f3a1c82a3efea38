//! Projection `audit`: who changed which row, with the row before and after.
//!
//! What is recorded are facts: what a person or a rule decided. Counters, unread numbers, cursors
//! and the `last_message_…` columns follow from facts and are not recorded; how far members have
//! read is kept in full by `messages.cursor_moves`, edits by `messages.message_edits`. Rows of
//! `users.settings` are recorded once something changes them. Of an account, `failed_login_attempts` and
//! `last_login_at` follow from `auth.login_history`; of a session, `last_activity_at` from when it was
//! refreshed; `auth.refresh_tokens` follows from the sessions. What happens to one-time codes is in
//! `audit.auth_events`.
//!
//! The row before is what the audit itself recorded last about it, never another projection's
//! table: that one is at another place of the log.

mod actions;
mod changes;
mod images;
mod months;
mod trail;

use echolog_events::{Meta, Recorded};
use sqlx::PgConnection;

use self::changes::{Change, changes};
use self::images::Record;
use self::months::Months;
use crate::rows::{Json, Rows, Table};
use crate::{ProjectionError, Target, ids};

/// Of `record_changes`.
const CHANGES: &str = "id uuid, schema_name text, table_name text, record_id uuid,
    conversation_id uuid, operation text, old_data jsonb, new_data jsonb, changed_fields text[],
    actor text, user_id uuid, session_id uuid, transaction_id text, command_id uuid,
    event_id uuid, event_seq bigint, created_at timestamptz, updated_at timestamptz";

/// The statements of projection `audit`.
#[derive(Debug)]
pub(crate) struct Audit {
    images: images::Statements,
    months: Months,
    changes: Table,
    auth_events: Table,
    admin_actions: Table,
    looks: Table,
}

impl Audit {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            images: images::Statements::new(target),
            months: Months::new(target),
            changes: Table::new(target, "record_changes", CHANGES),
            auth_events: Table::new(target, "auth_events", trail::COLUMNS),
            admin_actions: Table::new(target, "admin_actions", actions::ACTIONS),
            looks: Table::new(target, "sensitive_data_access", actions::LOOKS),
        }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        let changes: Vec<(&Recorded, Vec<Change>)> =
            events.iter().map(|event| (*event, changes(event))).collect();
        let mut images = self.images.load(connection, &changes).await?;
        let mut records = Rows::new();
        let mut auth_events = Rows::new();
        let mut admin_actions = Rows::new();
        let mut looks = Rows::new();
        for (event, changes) in changes {
            for (ordinal, change) in (0..).zip(changes) {
                let row = change.row;
                if let Some(record) = images.apply(change) {
                    put(event, ordinal, &row, &record, &mut records);
                }
            }
            trail::put(event, &mut auth_events);
            actions::put(event, &mut admin_actions, &mut looks);
        }
        self.months.ensure(connection, events.iter().map(|event| event.meta.time)).await?;
        records.send(&mut *connection, &self.changes).await?;
        auth_events.send(&mut *connection, &self.auth_events).await?;
        admin_actions.send(&mut *connection, &self.admin_actions).await?;
        Ok(looks.send(connection, &self.looks).await?)
    }
}

fn put(event: &Recorded, ordinal: u8, row: &changes::Row, record: &Record, rows: &mut Rows) {
    let Meta { event_id, time, actor, command_id, session_id, .. } = &event.meta;
    rows.row(&[
        &ids::of_event(*event_id, ordinal),
        &row.table.schema(),
        &row.table.name(),
        &row.id,
        &row.conversation,
        &record.operation,
        &record.old.as_deref().map(Json),
        &record.new.as_deref().map(Json),
        &record.changed,
        actor,
        &event.meta.actor_user_id(),
        session_id,
        &command_id.map(|id| id.to_string()),
        command_id,
        event_id,
        &event.seq.cast_signed(),
        time,
        time,
    ]);
}
