//! Table `messages.conversations`.

use echolog_events::{
    ConversationCreated, ConversationType, ConversationUpdated, MessageSent, Recorded, Time, Uuid,
};
use serde_json::json;
use sqlx::PgConnection;

use super::texts::preview;
use crate::map::{HashMap, HashSet};
use crate::rows::{Rows, Table};
use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

const LOAD: &str = "SELECT id, last_seq FROM {schema}.conversations WHERE id = ANY($1)";

/// Of `conversations`.
const COLUMNS: &str = "id uuid, conversation_type text, direct_key text, title text,
    description text, avatar_url text, creator_user_id uuid, owner_user_id uuid,
    is_encrypted boolean, is_public boolean, member_count integer, message_count bigint,
    last_seq bigint, last_activity_at timestamptz, who_can_send_messages text,
    who_can_add_members text, settings jsonb, metadata jsonb, is_archived boolean,
    created_at timestamptz, updated_at timestamptz";

/// NULL means unchanged; an empty text clears a field.
const UPDATE: &str = "UPDATE {schema}.conversations AS c SET
        title = coalesce(d.title, c.title),
        description = nullif(coalesce(d.description, c.description), ''),
        avatar_url = nullif(coalesce(d.avatar_url, c.avatar_url), ''),
        owner_user_id = coalesce(d.owner_user_id, c.owner_user_id),
        member_count = c.member_count + d.members,
        message_count = d.last_seq,
        last_seq = d.last_seq,
        last_message_id = coalesce(d.last_message_id, c.last_message_id),
        last_message_at = coalesce(d.last_message_at, c.last_message_at),
        last_message_sender_id = coalesce(d.last_message_sender_id, c.last_message_sender_id),
        last_message_preview = CASE WHEN d.last_message_id IS NULL
            THEN c.last_message_preview ELSE d.last_message_preview END,
        last_activity_at = coalesce(d.last_activity_at, c.last_activity_at),
        updated_at = d.updated_at
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::integer[],
        $7::bigint[], $8::uuid[], $9::timestamptz[], $10::uuid[], $11::text[], $12::timestamptz[],
        $13::timestamptz[]) AS d (id, title, description, avatar_url, owner_user_id, members,
        last_seq, last_message_id, last_message_at, last_message_sender_id, last_message_preview,
        last_activity_at, updated_at)
    WHERE c.id = d.id";

/// The last message that is not deleted, looked up anew.
const LOOK_AGAIN: &str = "UPDATE {schema}.conversations AS c SET
        last_message_id = m.id,
        last_message_at = m.created_at,
        last_message_sender_id = m.sender_user_id,
        last_message_preview = CASE WHEN m.content_encrypted THEN NULL ELSE left(m.content, 200) END
    FROM unnest($1::uuid[]) AS d (id)
    LEFT JOIN LATERAL (
        SELECT * FROM {schema}.messages AS x
        WHERE x.conversation_id = d.id AND NOT x.is_deleted ORDER BY x.seq DESC LIMIT 1
    ) AS m ON true
    WHERE c.id = d.id";

#[derive(Debug)]
pub(super) struct Statements {
    load: Sql,
    rows: Table,
    update: Sql,
    look_again: Sql,
}

/// What a batch does to one conversation.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    last_seq: i64,
    members: i32,
    title: Option<&'a str>,
    description: Option<&'a str>,
    avatar_url: Option<&'a str>,
    owner: Option<Uuid>,
    last_message: Option<(Time, &'a MessageSent)>,
    /// A text was changed or deleted: the last message has to be looked up.
    look_again: bool,
    active_at: Option<Time>,
    updated_at: Option<Time>,
}

/// What a batch does to conversations.
#[derive(Default)]
pub(super) struct Conversations<'a> {
    known: HashMap<Uuid, Conversation<'a>>,
    created: Vec<(Time, &'a ConversationCreated)>,
}

impl<'a> Conversations<'a> {
    /// A conversation that exists.
    pub(super) fn get(
        &mut self,
        event: &Recorded,
        id: Uuid,
    ) -> Result<&mut Conversation<'a>, ProjectionError> {
        self.known
            .get_mut(&id)
            .ok_or_else(|| ProjectionError::data(event, format!("no conversation {id}")))
    }

    pub(super) fn create(&mut self, event: &Recorded, created: &'a ConversationCreated) {
        self.created.push((event.meta.time, created));
        self.known.entry(created.conversation_id).or_default();
    }

    pub(super) fn describe(
        &mut self,
        event: &Recorded,
        update: &'a ConversationUpdated,
    ) -> Result<(), ProjectionError> {
        let conversation = self.get(event, update.conversation_id)?;
        conversation.title = update.title.as_deref().or(conversation.title);
        conversation.description = update.description.as_deref().or(conversation.description);
        conversation.avatar_url = update.avatar_url.as_deref().or(conversation.avatar_url);
        conversation.stir(event);
        Ok(())
    }
}

impl<'a> Conversation<'a> {
    pub(super) fn last_seq(&self) -> i64 {
        self.last_seq
    }

    /// Something happened in it.
    pub(super) fn stir(&mut self, event: &Recorded) {
        self.active_at = Some(event.meta.time);
        self.updated_at = Some(event.meta.time);
    }

    /// Takes a message in; returns its place.
    pub(super) fn say(&mut self, event: &Recorded, sent: &'a MessageSent) -> i64 {
        self.last_seq += 1;
        self.last_message = Some((event.meta.time, sent));
        self.stir(event);
        self.last_seq
    }

    pub(super) fn reword(&mut self, event: &Recorded) {
        self.look_again = true;
        self.stir(event);
    }

    pub(super) fn take_back(&mut self, event: &Recorded) {
        self.look_again = true;
        self.updated_at = Some(event.meta.time);
    }

    pub(super) fn hand_over(&mut self, event: &Recorded, owner: Uuid) {
        self.owner = Some(owner);
        self.updated_at = Some(event.meta.time);
    }

    pub(super) fn member_joined(&mut self, event: &Recorded) {
        self.members += 1;
        self.stir(event);
    }

    pub(super) fn member_left(&mut self, event: &Recorded) {
        self.members -= 1;
        self.updated_at = Some(event.meta.time);
    }
}

impl Statements {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            load: target.sql(LOAD),
            rows: Table::new(target, "conversations", COLUMNS),
            update: target.sql(UPDATE),
            look_again: target.sql(LOOK_AGAIN),
        }
    }

    pub(super) async fn load<'a>(
        &self,
        connection: &mut PgConnection,
        ids: HashSet<Uuid>,
    ) -> Result<Conversations<'a>, ProjectionError> {
        if ids.is_empty() {
            return Ok(Conversations::default());
        }
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let rows: Vec<(Uuid, i64)> = self.load.query_as().bind(ids).fetch_all(connection).await?;
        let known = rows
            .into_iter()
            .map(|(id, last_seq)| (id, Conversation { last_seq, ..Conversation::default() }))
            .collect();
        Ok(Conversations { known, created: Vec::new() })
    }

    /// Inserts the new conversations as they were made; what happened in them follows with
    /// [`Self::update`].
    pub(super) async fn insert(
        &self,
        connection: &mut PgConnection,
        conversations: &Conversations<'_>,
    ) -> Result<(), ProjectionError> {
        let mut rows = Rows::new();
        for (time, created) in &conversations.created {
            put(*time, created, &mut rows);
        }
        Ok(rows.send(connection, &self.rows).await?)
    }

    pub(super) async fn update(
        &self,
        connection: &mut PgConnection,
        conversations: &Conversations<'_>,
    ) -> Result<(), ProjectionError> {
        let changed: Vec<_> = conversations
            .known
            .iter()
            .filter_map(|(id, conversation)| Some((*id, conversation, conversation.updated_at?)))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.update
            .query()
            .bind(column(&changed, |(id, ..)| *id))
            .bind(column(&changed, |(_, it, _)| it.title))
            .bind(column(&changed, |(_, it, _)| it.description))
            .bind(column(&changed, |(_, it, _)| it.avatar_url))
            .bind(column(&changed, |(_, it, _)| it.owner))
            .bind(column(&changed, |(_, it, _)| it.members))
            .bind(column(&changed, |(_, it, _)| it.last_seq))
            .bind(column(&changed, |(_, it, _)| it.last_message.map(|(_, sent)| sent.message_id)))
            .bind(column(&changed, |(_, it, _)| it.last_message.map(|(time, _)| time)))
            .bind(column(&changed, |(_, it, _)| {
                it.last_message.map(|(_, sent)| sent.sender_user_id)
            }))
            .bind(column(&changed, |(_, it, _)| {
                it.last_message.and_then(|(_, sent)| preview(sent))
            }))
            .bind(column(&changed, |(_, it, _)| it.active_at))
            .bind(column(&changed, |(_, _, updated_at)| *updated_at))
            .execute(&mut *connection)
            .await?;
        let look_again: Vec<Uuid> =
            changed.iter().filter(|(_, it, _)| it.look_again).map(|(id, ..)| *id).collect();
        if !look_again.is_empty() {
            self.look_again.query().bind(look_again).execute(connection).await?;
        }
        Ok(())
    }
}

fn put(time: Time, created: &ConversationCreated, rows: &mut Rows) {
    let who_can_send = match created.conversation_type {
        ConversationType::Direct | ConversationType::Group => "everyone",
        ConversationType::Channel | ConversationType::Broadcast => "admins",
    };
    let text = |text: &'_ Option<String>| text.clone().filter(|text| !text.is_empty());
    rows.row(&[
        &created.conversation_id,
        &created.conversation_type.name(),
        &created.direct_key.as_deref(),
        &text(&created.title),
        &text(&created.description),
        &text(&created.avatar_url),
        &created.creator_user_id,
        &created.creator_user_id,
        &created.is_encrypted,
        &created.is_public,
        &0_i32,
        &0_i64,
        &0_i64,
        &time,
        &who_can_send,
        &"admins",
        &json!({}),
        &json!({}),
        &false,
        &time,
        &time,
    ]);
}
