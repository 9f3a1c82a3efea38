//! Table `messages.message_edits`.

use echolog_events::{MessageEdited, Recorded};
use sqlx::PgConnection;

use crate::copy::Rows;
use crate::sql::Sql;
use crate::{ProjectionError, Target, ids};

const COPY: &str = "COPY {schema}.message_edits (id, conversation_id, message_id, editor_user_id,
    edit_number, old_content, new_content, edited_at, created_at, updated_at) FROM STDIN BINARY";

#[derive(Debug)]
pub(super) struct Statements(Sql);

/// What an edit replaced.
#[derive(Debug, PartialEq)]
pub(super) struct Edit {
    pub(super) number: i32,
    pub(super) old_content: String,
}

/// The edits of a batch.
#[derive(Default)]
pub(super) struct Edits(Option<Rows>);

impl Edits {
    pub(super) fn add(&mut self, event: &Recorded, e: &MessageEdited, edit: &Edit) {
        self.0.get_or_insert_with(Rows::new).row(&[
            &ids::of_event(event.meta.event_id, 0),
            &e.conversation_id,
            &e.message_id,
            &e.editor_user_id,
            &edit.number,
            &edit.old_content,
            &e.content,
            &event.meta.time,
            &event.meta.time,
            &event.meta.time,
        ]);
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self(target.sql(COPY))
    }

    pub(super) async fn insert(
        &self,
        connection: &mut PgConnection,
        edits: Edits,
    ) -> Result<(), ProjectionError> {
        match edits.0 {
            Some(rows) => Ok(rows.send(connection, &self.0).await?),
            None => Ok(()),
        }
    }
}
