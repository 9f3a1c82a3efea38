//! Table `messages.messages`.

use std::borrow::Cow;

use echolog_events::{MessageDeleted, MessageEdited, MessageSent, Recorded, Time, Uuid};
use serde_json::json;
use sqlx::PgConnection;

use super::MessageKey;
use super::edits::Edit;
use super::uncounted::Deleted;
use crate::map::HashMap;
use crate::rows::{Json, Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

/// How many characters of a message its conversation shows.
const PREVIEW: usize = 200;

const LOAD: &str = "SELECT m.conversation_id, m.id, m.seq, m.sender_user_id, m.edit_count,
        m.is_deleted, CASE WHEN d.text THEN m.content END AS content
    FROM unnest($1::uuid[], $2::uuid[], $3::boolean[]) AS d (conversation_id, id, text)
    JOIN {schema}.messages AS m USING (conversation_id, id)";

/// Of `messages`.
const COLUMNS: &str = "id uuid, conversation_id uuid, seq bigint, event_seq bigint,
    sender_user_id uuid, recipient_user_id uuid, message_type text, content text,
    content_encrypted boolean, reply_to_message_id uuid, forward_from_message_id uuid,
    forward_from_conversation_id uuid, is_edited boolean, edited_at timestamptz,
    edit_count integer, is_deleted boolean, deleted_at timestamptz, deleted_by_user_id uuid,
    mentions jsonb, metadata jsonb, reaction_count integer, reply_count integer,
    created_at timestamptz, updated_at timestamptz";

/// NULL means unchanged.
const UPDATE: &str = "UPDATE {schema}.messages AS m SET
        content = coalesce(d.content, m.content),
        is_edited = m.is_edited OR d.edited_at IS NOT NULL,
        edited_at = coalesce(d.edited_at, m.edited_at),
        edit_count = coalesce(d.edit_count, m.edit_count),
        is_deleted = m.is_deleted OR d.deleted_at IS NOT NULL,
        deleted_at = coalesce(d.deleted_at, m.deleted_at),
        deleted_by_user_id = coalesce(d.deleted_by_user_id, m.deleted_by_user_id),
        metadata = CASE WHEN d.deleted_at IS NULL THEN m.metadata ELSE '{}' END,
        link_preview = CASE WHEN d.deleted_at IS NULL THEN m.link_preview END,
        reaction_count = m.reaction_count + d.reactions,
        reply_count = m.reply_count + d.replies,
        updated_at = coalesce(d.updated_at, m.updated_at)
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::integer[],
        $6::timestamptz[], $7::uuid[], $8::integer[], $9::integer[], $10::timestamptz[])
        AS d (conversation_id, id, content, edited_at, edit_count, deleted_at,
        deleted_by_user_id, reactions, replies, updated_at)
    WHERE m.conversation_id = d.conversation_id AND m.id = d.id";

#[derive(Debug)]
pub(super) struct Statements {
    load: Sql,
    rows: Table,
    update: Sql,
}

/// What the table says of a message.
#[derive(sqlx::FromRow)]
struct Stored {
    conversation_id: Uuid,
    id: Uuid,
    seq: i64,
    sender_user_id: Uuid,
    edit_count: i32,
    is_deleted: bool,
    content: Option<String>,
}

/// A message and what the batch does to it.
pub(super) struct Text<'a> {
    seq: i64,
    sender: Uuid,
    edit_count: i32,
    is_deleted: bool,
    /// Loaded only where the batch edits it.
    content: Cow<'a, str>,
    /// Present if the batch sends it: then it is written whole.
    sent: Option<(&'a Recorded, &'a MessageSent)>,
    edited_at: Option<Time>,
    deleted: Option<(Time, Uuid)>,
    reactions: i32,
    replies: i32,
}

/// What a batch does to messages.
#[derive(Default)]
pub(super) struct Texts<'a> {
    known: HashMap<MessageKey, Text<'a>>,
    sent: Vec<MessageKey>,
}

impl<'a> Texts<'a> {
    /// A message that exists.
    pub(super) fn get(
        &mut self,
        event: &Recorded,
        key: MessageKey,
    ) -> Result<&mut Text<'a>, ProjectionError> {
        self.known.get_mut(&key).ok_or_else(|| {
            ProjectionError::data(event, format!("no message {} in conversation {}", key.1, key.0))
        })
    }

    pub(super) fn send(
        &mut self,
        event: &'a Recorded,
        e: &'a MessageSent,
        seq: i64,
    ) -> Result<(), ProjectionError> {
        let key = (e.conversation_id, e.message_id);
        let text = Text {
            seq,
            sender: e.sender_user_id,
            edit_count: 0,
            is_deleted: false,
            content: Cow::Borrowed(&e.content),
            sent: Some((event, e)),
            edited_at: None,
            deleted: None,
            reactions: 0,
            replies: 0,
        };
        if self.known.insert(key, text).is_some() {
            return Err(ProjectionError::data(event, format!("message {} exists", key.1)));
        }
        self.sent.push(key);
        Ok(())
    }

    pub(super) fn count_reactions(&mut self, key: MessageKey, change: i32) {
        if let Some(text) = self.known.get_mut(&key) {
            text.reactions += change;
        }
    }
}

impl Text<'_> {
    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    pub(super) fn count_reply(&mut self) {
        self.replies += 1;
    }

    fn updated_at(&self) -> Option<Time> {
        self.deleted.map(|(at, _)| at).or(self.edited_at)
    }

    /// Whether the row in the table has to change, beyond what an insert of this batch says.
    fn is_changed(&self) -> bool {
        let here = self.edited_at.is_some() || self.deleted.is_some() || self.replies != 0;
        self.reactions != 0 || (self.sent.is_none() && here)
    }
}

impl<'a> Text<'a> {
    /// Puts other words in; `None` if there is nothing left to edit.
    pub(super) fn edit(&mut self, event: &Recorded, e: &'a MessageEdited) -> Option<Edit> {
        if self.is_deleted {
            return None;
        }
        self.edit_count += 1;
        self.edited_at = Some(event.meta.time);
        let old = std::mem::replace(&mut self.content, Cow::Borrowed(&e.content));
        Some(Edit { number: self.edit_count, old_content: old.into_owned() })
    }

    /// Takes it back; `None` if it is gone already.
    pub(super) fn delete(&mut self, event: &Recorded, e: &MessageDeleted) -> Option<Deleted> {
        if self.is_deleted {
            return None;
        }
        self.is_deleted = true;
        self.deleted = Some((event.meta.time, e.deleted_by_user_id));
        self.content = Cow::Borrowed("");
        Some(Deleted { seq: self.seq, sender: self.sender })
    }

    fn put(&self, event: &Recorded, e: &MessageSent, rows: &mut Rows) {
        let mentions = (!e.mentions.is_empty()).then(|| json!(e.mentions).to_string());
        let metadata =
            (!e.metadata.is_empty() && !self.is_deleted).then(|| json!(e.metadata).to_string());
        rows.row(&[
            &e.message_id,
            &e.conversation_id,
            &self.seq,
            &event.seq.cast_signed(),
            &e.sender_user_id,
            &e.recipient_user_id,
            &e.message_type.name(),
            &self.content.as_ref(),
            &e.content_encrypted,
            &e.reply_to_message_id,
            &e.forward_from_message_id,
            &e.forward_from_conversation_id,
            &self.edited_at.is_some(),
            &self.edited_at,
            &self.edit_count,
            &self.is_deleted,
            &self.deleted.map(|(at, _)| at),
            &self.deleted.map(|(_, by)| by),
            &Json(mentions.as_deref().unwrap_or("[]")),
            &Json(metadata.as_deref().unwrap_or("{}")),
            &0_i32,
            &self.replies,
            &event.meta.time,
            &self.updated_at().unwrap_or(event.meta.time),
        ]);
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            load: target.sql(LOAD),
            rows: Table::new(target, "messages", COLUMNS),
            update: target.sql(UPDATE),
        }
    }

    pub(super) async fn load<'a>(
        &self,
        connection: &mut PgConnection,
        keys: &HashMap<MessageKey, bool>,
    ) -> Result<Texts<'a>, ProjectionError> {
        if keys.is_empty() {
            return Ok(Texts::default());
        }
        let keys: Vec<(MessageKey, bool)> = keys.iter().map(|(key, text)| (*key, *text)).collect();
        let rows: Vec<Stored> = self
            .load
            .query_as()
            .bind(column(&keys, |((conversation, _), _)| *conversation))
            .bind(column(&keys, |((_, message), _)| *message))
            .bind(column(&keys, |(_, text)| *text))
            .fetch_all(connection)
            .await?;
        let known = rows.into_iter().map(|row| {
            let key = (row.conversation_id, row.id);
            let text = Text {
                seq: row.seq,
                sender: row.sender_user_id,
                edit_count: row.edit_count,
                is_deleted: row.is_deleted,
                content: Cow::Owned(row.content.unwrap_or_default()),
                sent: None,
                edited_at: None,
                deleted: None,
                reactions: 0,
                replies: 0,
            };
            (key, text)
        });
        Ok(Texts { known: known.collect(), sent: Vec::new() })
    }

    pub(super) async fn insert(
        &self,
        connection: &mut PgConnection,
        texts: &Texts<'_>,
    ) -> Result<(), ProjectionError> {
        let mut rows = Rows::new();
        for key in &texts.sent {
            if let Some(text) = texts.known.get(key)
                && let Some((event, sent)) = text.sent
            {
                text.put(event, sent, &mut rows);
            }
        }
        Ok(rows.send(connection, &self.rows).await?)
    }

    pub(super) async fn update(
        &self,
        connection: &mut PgConnection,
        texts: &Texts<'_>,
    ) -> Result<(), ProjectionError> {
        let changed: Vec<(&MessageKey, &Text<'_>)> =
            texts.known.iter().filter(|(_, text)| text.is_changed()).collect();
        if changed.is_empty() {
            return Ok(());
        }
        // What an insert of this batch has said already is said as "unchanged".
        let old = |text: &Text<'_>| text.sent.is_none();
        self.update
            .query()
            .bind(column(&changed, |((conversation, _), _)| *conversation))
            .bind(column(&changed, |((_, message), _)| *message))
            .bind(column(&changed, |(_, it)| {
                it.updated_at().filter(|_| old(it)).map(|_| it.content.as_ref())
            }))
            .bind(column(&changed, |(_, it)| it.edited_at.filter(|_| old(it))))
            .bind(column(&changed, |(_, it)| Some(it.edit_count).filter(|_| old(it))))
            .bind(column(&changed, |(_, it)| it.deleted.filter(|_| old(it)).map(|(at, _)| at)))
            .bind(column(&changed, |(_, it)| it.deleted.filter(|_| old(it)).map(|(_, by)| by)))
            .bind(column(&changed, |(_, it)| it.reactions))
            .bind(column(&changed, |(_, it)| if old(it) { it.replies } else { 0 }))
            .bind(column(&changed, |(_, it)| it.updated_at().filter(|_| old(it))))
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// What a conversation shows of its last message.
pub(super) fn preview(sent: &MessageSent) -> Option<String> {
    (!sent.content_encrypted).then(|| sent.content.chars().take(PREVIEW).collect())
}
