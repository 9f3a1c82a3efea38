//! Table `messages.message_edits`.

use echolog_events::{MessageEdited, Recorded};
use sqlx::PgConnection;

use crate::rows::{Rows, Table};
use crate::{ProjectionError, Target, ids};

/// Of `message_edits`.
const COLUMNS: &str = "id uuid, conversation_id uuid, message_id uuid, editor_user_id uuid,
    edit_number integer, old_content text, new_content text, edited_at timestamptz,
    created_at timestamptz, updated_at timestamptz";

#[derive(Debug)]
pub(super) struct Statements(Table);

/// What an edit replaced.
#[derive(Debug, PartialEq)]
pub(super) struct Edit {
    pub(super) number: i32,
    pub(super) old_content: String,
}

/// The edits of a batch.
#[derive(Default)]
pub(super) struct Edits(Rows);

impl Edits {
    pub(super) fn add(&mut self, event: &Recorded, e: &MessageEdited, edit: &Edit) {
        self.0.row(&[
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
        Self(Table::new(target, "message_edits", COLUMNS))
    }

    pub(super) async fn insert(
        &self,
        connection: &mut PgConnection,
        edits: Edits,
    ) -> Result<(), ProjectionError> {
        Ok(edits.0.send(connection, &self.0).await?)
    }
}
