//! What the command handler reads: states, facts about messages, and the ledger.

use std::collections::{HashMap, HashSet};

use echolog_commands::State;
use echolog_commands::state::{Message, Owner, content_digest};
use echolog_events::{MessageType, PARTITIONS, Stream, StreamKey, Uuid};
use sqlx::{PgConnection, PgPool};

use crate::db::Database;
use crate::deciders::read_owner;
use crate::sql::column;
use crate::{Positions, Projection, ProjectionError};

/// One snapshot for all of a request: states and how far they are belong together.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

const DECIDERS: &str = "SELECT s.stream, s.id, s.state
    FROM unnest($1::text[], $2::text[]) AS d (stream, id)
    JOIN projection.deciders AS s USING (stream, id)";

const MESSAGES: &str = "SELECT m.conversation_id, m.id, m.sender_user_id, m.message_type,
        m.is_deleted, m.content, t.root_message_id
    FROM unnest($1::uuid[], $2::uuid[]) AS d (conversation_id, id)
    JOIN messages.messages AS m USING (conversation_id, id)
    LEFT JOIN messages.threads AS t
        ON m.reply_to_message_id IS NOT NULL
        AND t.reply_message_id = m.id AND t.conversation_id = m.conversation_id";

const LEDGER: &str = "SELECT l.key, l.seq, l.version, l.events, l.digest
    FROM unnest($1::uuid[], $2::uuid[]) AS d (command_id, key)
    JOIN projection.ledger AS l USING (command_id, key)";

const PARKED: &str = "SELECT DISTINCT projection, stream_id FROM projection.parked
    WHERE projection IN ('deciders', 'messages') AND stream_id = ANY($1)";

const PARKED_COUNTS: &str = "SELECT projection, count(DISTINCT stream_id), count(*)
    FROM projection.parked GROUP BY projection";

const OWNERS: &str = "SELECT id, state FROM projection.deciders WHERE stream = 'owner'";

/// Reads for the command handler.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL, or the way to it.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// A stored ownership that this build cannot read.
    #[error("{0}")]
    Owner(String),
}

/// What to load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadRequest {
    /// Streams whose states `projection.deciders` keeps.
    pub deciders: Vec<StreamKey>,
    /// Conversation and message.
    pub messages: Vec<(Uuid, Uuid)>,
    /// Command id, and the id of the command's first event.
    pub ledger: Vec<(Uuid, Uuid)>,
}

impl LoadRequest {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deciders.is_empty() && self.messages.is_empty() && self.ledger.is_empty()
    }

    /// The ids that may be set aside.
    fn ids(&self) -> Vec<String> {
        let streams = self.deciders.iter().map(|key| key.id.clone());
        let conversations: HashSet<Uuid> = self.messages.iter().map(|(id, _)| *id).collect();
        streams.chain(conversations.iter().map(Uuid::to_string)).collect()
    }
}

/// What was loaded, all of it as of [`Self::positions`].
#[derive(Debug, Default)]
pub struct Loaded {
    /// How far the projections are.
    pub positions: Positions,
    /// Ids among those asked for that cannot be told, because an event of theirs is set aside.
    pub parked: Parked,
    /// The states that are there.
    pub deciders: HashMap<StreamKey, State>,
    /// The messages that are there.
    pub messages: HashMap<(Uuid, Uuid), Message>,
    /// The commands that are there, by the id of their first event.
    pub ledger: HashMap<Uuid, LedgerRow>,
}

/// Ids that are set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parked {
    /// In projection `deciders`: states that cannot be told.
    pub deciders: HashSet<String>,
    /// In projection `messages`: conversations whose messages cannot be told.
    pub messages: HashSet<String>,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Sequence of its last event.
    pub seq: u64,
    /// Sequence of its last event in the target's own stream.
    pub version: u64,
    /// Types of its events, in order.
    pub events: Vec<String>,
    /// Fingerprint of its content.
    pub digest: u64,
}

impl Store {
    /// Reads from this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { pool: database.pool().clone() }
    }

    /// Loads everything asked for in one snapshot.
    ///
    /// # Errors
    /// No answer from PostgreSQL, or bytes of another shape.
    pub async fn load(&self, request: &LoadRequest) -> Result<Loaded, StoreError> {
        let mut snapshot = self.pool.begin_with(BEGIN).await?;
        let mut loaded =
            Loaded { positions: Positions::load(&mut snapshot).await?, ..Loaded::default() };
        let ids = request.ids();
        if !ids.is_empty() {
            loaded.parked = parked(&mut snapshot, &ids).await?;
        }
        if !request.deciders.is_empty() {
            deciders(&mut snapshot, &request.deciders, &mut loaded).await?;
        }
        if !request.messages.is_empty() {
            loaded.messages = messages(&mut snapshot, &request.messages).await?;
        }
        if !request.ledger.is_empty() {
            loaded.ledger = ledger(&mut snapshot, &request.ledger).await?;
        }
        snapshot.commit().await?;
        Ok(loaded)
    }

    /// The owners of all partitions, each as of the given position of projection `deciders`.
    ///
    /// # Errors
    /// No answer from PostgreSQL, or bytes of another shape.
    pub async fn owners(&self) -> Result<[(Owner, u64); PARTITIONS as usize], StoreError> {
        let mut snapshot = self.pool.begin_with(BEGIN).await?;
        let positions = Positions::load(&mut snapshot).await?;
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(OWNERS).fetch_all(&mut *snapshot).await?;
        snapshot.commit().await?;
        let mut owners = positions.deciders.map(|position| (Owner::default(), position));
        for (id, state) in rows {
            if let Some(owner) = id.parse().ok().and_then(|number: usize| owners.get_mut(number)) {
                owner.0 = read_owner(&state)
                    .map_err(|error: ProjectionError| StoreError::Owner(error.to_string()))?;
            }
        }
        Ok(owners)
    }

    /// How many ids each projection has set aside, and how many events wait under them.
    ///
    /// # Errors
    /// No answer from PostgreSQL.
    pub async fn parked_counts(&self) -> Result<Vec<(Projection, u64, u64)>, StoreError> {
        let rows: Vec<(String, i64, i64)> =
            sqlx::query_as(PARKED_COUNTS).fetch_all(&self.pool).await?;
        let count = |projection: Projection| {
            let row = rows.iter().find(|(name, ..)| name == projection.name());
            let (keys, events) = row.map_or((0, 0), |(_, keys, events)| (*keys, *events));
            (projection, keys.cast_unsigned(), events.cast_unsigned())
        };
        Ok(Projection::ALL.map(count).to_vec())
    }

    /// How far all projections are.
    ///
    /// # Errors
    /// No answer from PostgreSQL.
    pub async fn positions(&self) -> Result<Positions, StoreError> {
        Ok(Positions::load(&mut *self.pool.acquire().await?).await?)
    }
}

async fn parked(connection: &mut PgConnection, ids: &[String]) -> Result<Parked, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as(PARKED).bind(ids).fetch_all(connection).await?;
    let mut parked = Parked::default();
    for (projection, id) in rows {
        if projection == Projection::Deciders.name() {
            parked.deciders.insert(id);
        } else {
            parked.messages.insert(id);
        }
    }
    Ok(parked)
}

async fn deciders(
    connection: &mut PgConnection,
    keys: &[StreamKey],
    loaded: &mut Loaded,
) -> Result<(), StoreError> {
    let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(DECIDERS)
        .bind(column(keys, |key| key.stream.name()))
        .bind(column(keys, |key| key.id.as_str()))
        .fetch_all(connection)
        .await?;
    for (name, id, bytes) in rows {
        let stream = Stream::ALL.into_iter().find(|known| known.name() == name);
        match stream.map(|stream| (stream, State::from_bytes(stream, &bytes))) {
            Some((stream, Ok(state))) => {
                loaded.deciders.insert(StreamKey { stream, id }, state);
            }
            // A newer build has written it: nothing that this one can decide on.
            _ => {
                tracing::warn!(stream = name, id, "a stored state cannot be read");
                loaded.parked.deciders.insert(id);
            }
        }
    }
    Ok(())
}

async fn messages(
    connection: &mut PgConnection,
    keys: &[(Uuid, Uuid)],
) -> Result<HashMap<(Uuid, Uuid), Message>, StoreError> {
    let rows: Vec<MessageRow> = sqlx::query_as(MESSAGES)
        .bind(column(keys, |(conversation, _)| *conversation))
        .bind(column(keys, |(_, message)| *message))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().filter_map(MessageRow::read).collect())
}

/// What the tables say of a message.
#[derive(sqlx::FromRow)]
struct MessageRow {
    conversation_id: Uuid,
    id: Uuid,
    sender_user_id: Uuid,
    message_type: String,
    is_deleted: bool,
    content: String,
    root_message_id: Option<Uuid>,
}

impl MessageRow {
    fn read(self) -> Option<((Uuid, Uuid), Message)> {
        let mut types = MessageType::ALL.iter().copied();
        let message = Message {
            sender: self.sender_user_id,
            message_type: types.find(|known| known.name() == self.message_type)?,
            is_deleted: self.is_deleted,
            content: content_digest(&self.content),
            thread_root: self.root_message_id,
        };
        Some(((self.conversation_id, self.id), message))
    }
}

async fn ledger(
    connection: &mut PgConnection,
    keys: &[(Uuid, Uuid)],
) -> Result<HashMap<Uuid, LedgerRow>, StoreError> {
    let rows: Vec<(Uuid, i64, i64, Vec<String>, i64)> = sqlx::query_as(LEDGER)
        .bind(column(keys, |(command, _)| *command))
        .bind(column(keys, |(_, key)| *key))
        .fetch_all(connection)
        .await?;
    let rows = rows.into_iter().map(|(key, seq, version, events, digest)| {
        let (seq, version, digest) =
            (seq.cast_unsigned(), version.cast_unsigned(), digest.cast_unsigned());
        (key, LedgerRow { seq, version, events, digest })
    });
    Ok(rows.collect())
}
