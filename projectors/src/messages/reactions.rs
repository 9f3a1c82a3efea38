//! Table `messages.message_reactions`: a set.

use std::collections::BTreeMap;

use echolog_events::{Reaction, Recorded, Time, Uuid};
use sqlx::PgConnection;

use super::MessageKey;
use crate::map::HashMap;
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target, ids};

const DELETE: &str = "DELETE FROM {schema}.message_reactions AS r
    USING unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[])
        AS d (conversation_id, message_id, user_id, emoji)
    WHERE r.conversation_id = d.conversation_id AND r.message_id = d.message_id
        AND r.user_id = d.user_id AND r.emoji = d.emoji
    RETURNING r.conversation_id, r.message_id";

const INSERT: &str = "INSERT INTO {schema}.message_reactions
        (id, conversation_id, message_id, user_id, emoji, created_at, updated_at)
    SELECT id, conversation_id, message_id, user_id, emoji, at, at
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
        AS d (id, conversation_id, message_id, user_id, emoji, at)
    ON CONFLICT (message_id, conversation_id, user_id, emoji) DO NOTHING
    RETURNING conversation_id, message_id";

#[derive(Debug)]
pub(super) struct Statements {
    delete: Sql,
    insert: Sql,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    message: MessageKey,
    user: Uuid,
    emoji: &'a str,
}

/// What a batch does to one reaction.
#[derive(Default)]
struct Fate {
    removed: bool,
    /// When it was first added after it was last removed. One that is there already stays as it is.
    added: Option<Time>,
}

/// What a batch does to the set.
#[derive(Default)]
pub(super) struct Reactions<'a>(BTreeMap<Key<'a>, Fate>);

impl<'a> Reactions<'a> {
    pub(super) fn add(&mut self, event: &Recorded, e: &'a Reaction) {
        self.fate(e).added.get_or_insert(event.meta.time);
    }

    pub(super) fn remove(&mut self, e: &'a Reaction) {
        *self.fate(e) = Fate { removed: true, added: None };
    }

    fn fate(&mut self, e: &'a Reaction) -> &mut Fate {
        let message = (e.conversation_id, e.message_id);
        self.0.entry(Key { message, user: e.user_id, emoji: &e.emoji }).or_default()
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self { delete: target.sql(DELETE), insert: target.sql(INSERT) }
    }

    /// Changes the set; returns by how much the reactions to a message became more or fewer.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        reactions: Reactions<'_>,
    ) -> Result<HashMap<MessageKey, i32>, ProjectionError> {
        let mut changes = HashMap::default();
        let removed: Vec<Key<'_>> =
            reactions.0.iter().filter(|(_, fate)| fate.removed).map(|(key, _)| *key).collect();
        if !removed.is_empty() {
            for message in self.delete(connection, &removed).await? {
                *changes.entry(message).or_default() -= 1;
            }
        }
        let added: Vec<(Key<'_>, Time)> =
            reactions.0.iter().filter_map(|(key, fate)| Some((*key, fate.added?))).collect();
        if !added.is_empty() {
            for message in self.insert(connection, &added).await? {
                *changes.entry(message).or_default() += 1;
            }
        }
        Ok(changes)
    }

    async fn delete(
        &self,
        connection: &mut PgConnection,
        keys: &[Key<'_>],
    ) -> sqlx::Result<Vec<MessageKey>> {
        self.delete
            .query_as()
            .bind(column(keys, |key| key.message.0))
            .bind(column(keys, |key| key.message.1))
            .bind(column(keys, |key| key.user))
            .bind(column(keys, |key| key.emoji))
            .fetch_all(connection)
            .await
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        rows: &[(Key<'_>, Time)],
    ) -> sqlx::Result<Vec<MessageKey>> {
        self.insert
            .query_as()
            .bind(column(rows, |(key, _)| {
                ids::reaction(key.message.0, key.message.1, key.user, key.emoji)
            }))
            .bind(column(rows, |(key, _)| key.message.0))
            .bind(column(rows, |(key, _)| key.message.1))
            .bind(column(rows, |(key, _)| key.user))
            .bind(column(rows, |(key, _)| key.emoji))
            .bind(column(rows, |(_, at)| *at))
            .fetch_all(connection)
            .await
    }
}
