//! Projection `audit`: who changed which row, with the row before and after.
//!
//! What is recorded are facts: what a person or a rule decided. Counters, unread numbers, cursors
//! and the `last_message_…` columns follow from facts and are not recorded; how far members have
//! read is kept in full by `messages.cursor_moves`, edits by `messages.message_edits`. Rows of
//! `users.settings` are recorded once something changes them.
//!
//! The row before is what the audit itself recorded last about it, never another projection's
//! table: that one is at another place of the log.

mod changes;
mod images;
mod months;

use echolog_events::{AuthEvent, Body, Event, Meta, Recorded, UserRegistered};
use sqlx::PgConnection;

use self::changes::{Change, changes};
use self::images::Record;
use self::months::Months;
use crate::copy::{Json, Rows};
use crate::sql::Sql;
use crate::{ProjectionError, Target, ids};

const COPY_CHANGES: &str = "COPY {schema}.record_changes (id, schema_name, table_name, record_id,
    conversation_id, operation, old_data, new_data, changed_fields, actor, user_id, session_id,
    transaction_id, command_id, event_id, event_seq, created_at, updated_at) FROM STDIN BINARY";

const COPY_AUTH_EVENTS: &str = "COPY {schema}.auth_events (id, user_id, event_type, identifier,
    session_id, created_at, updated_at) FROM STDIN BINARY";

/// The statements of projection `audit`.
#[derive(Debug)]
pub(crate) struct Audit {
    images: images::Statements,
    months: Months,
    changes: Sql,
    auth_events: Sql,
}

impl Audit {
    pub(crate) fn new(target: &Target) -> Self {
        Self {
            images: images::Statements::new(target),
            months: Months::new(target),
            changes: target.sql(COPY_CHANGES),
            auth_events: target.sql(COPY_AUTH_EVENTS),
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
        for (event, changes) in changes {
            for (ordinal, change) in (0..).zip(changes) {
                let row = change.row;
                if let Some(record) = images.apply(change) {
                    put(event, ordinal, &row, &record, &mut records);
                }
            }
            auth_event(event, &mut auth_events);
        }
        self.months.ensure(connection, events.iter().map(|event| event.meta.time)).await?;
        records.send(&mut *connection, &self.changes).await?;
        Ok(auth_events.send(connection, &self.auth_events).await?)
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

/// Which event is one of authentication.
fn auth_event(event: &Recorded, rows: &mut Rows) {
    match &event.body {
        Body::Known(Event::Auth(AuthEvent::UserRegistered(e))) => {
            let UserRegistered { username, email, phone_number, .. } = e;
            let identifier = username.as_ref().or(email.as_ref()).or(phone_number.as_ref());
            rows.row(&[
                &ids::of_event(event.meta.event_id, 0),
                &e.user_id,
                &"user_registered",
                &identifier.map(String::as_str),
                &event.meta.session_id,
                &event.meta.time,
                &event.meta.time,
            ]);
        }
        Body::Known(
            Event::Auth(AuthEvent::IdentifierClaimed(_) | AuthEvent::IdentifierReleased(_))
            | Event::Users(_)
            | Event::Messages(_)
            | Event::System(_),
        )
        | Body::Unreadable(_) => {}
    }
}
