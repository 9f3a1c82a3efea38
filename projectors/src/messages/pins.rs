//! Table `messages.pinned_messages`: a set.

use std::collections::BTreeMap;

use echolog_events::{Pin, Recorded, Time, Uuid};
use sqlx::PgConnection;

use super::MessageKey;
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target, ids};

const DELETE: &str = "DELETE FROM {schema}.pinned_messages AS p
    USING unnest($1::uuid[], $2::uuid[]) AS d (conversation_id, message_id)
    WHERE p.conversation_id = d.conversation_id AND p.message_id = d.message_id";

const INSERT: &str = "INSERT INTO {schema}.pinned_messages
        (id, conversation_id, message_id, pinned_by_user_id, pinned_at, created_at, updated_at)
    SELECT id, conversation_id, message_id, pinned_by_user_id, at, at, at
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[])
        AS d (id, conversation_id, message_id, pinned_by_user_id, at)
    ON CONFLICT (conversation_id, message_id) DO NOTHING";

#[derive(Debug)]
pub(super) struct Statements {
    delete: Sql,
    insert: Sql,
}

/// What a batch does to one message's pin.
#[derive(Default)]
struct Fate {
    removed: bool,
    /// Who pinned it first after it was last taken off, and when. A pin that is there stays.
    added: Option<(Uuid, Time)>,
}

/// What a batch does to the set.
#[derive(Default)]
pub(super) struct Pins(BTreeMap<MessageKey, Fate>);

impl Pins {
    pub(super) fn add(&mut self, event: &Recorded, e: &Pin) {
        let fate = self.0.entry((e.conversation_id, e.message_id)).or_default();
        fate.added.get_or_insert((e.user_id, event.meta.time));
    }

    pub(super) fn remove(&mut self, message: MessageKey) {
        self.0.insert(message, Fate { removed: true, added: None });
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { delete: target.sql(DELETE), insert: target.sql(INSERT) }
    }

    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        pins: Pins,
    ) -> Result<(), ProjectionError> {
        let removed: Vec<MessageKey> =
            pins.0.iter().filter(|(_, fate)| fate.removed).map(|(key, _)| *key).collect();
        if !removed.is_empty() {
            self.delete
                .query()
                .bind(column(&removed, |(conversation, _)| *conversation))
                .bind(column(&removed, |(_, message)| *message))
                .execute(&mut *connection)
                .await?;
        }
        let added: Vec<(MessageKey, (Uuid, Time))> =
            pins.0.iter().filter_map(|(key, fate)| Some((*key, fate.added?))).collect();
        if !added.is_empty() {
            self.insert
                .query()
                .bind(column(&added, |((conversation, message), _)| {
                    ids::pin(*conversation, *message)
                }))
                .bind(column(&added, |((conversation, _), _)| *conversation))
                .bind(column(&added, |((_, message), _)| *message))
                .bind(column(&added, |(_, (user, _))| *user))
                .bind(column(&added, |(_, (_, at))| *at))
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
