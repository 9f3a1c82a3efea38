//! What an operator does about ids that are set aside: look, try again, give an event up.
//!
//! All of it happens beside running projectors. Trying again takes the lock on the projection's
//! checkpoint first, which every batch of a projector needs too, so nothing is set aside meanwhile;
//! and it raises the checkpoint's generation, so a projector that still takes the id for set aside
//! is refused at its next batch and reads anew what is. What comes in under the id during that time
//! is behind the checkpoint: it is applied after what waited.

use std::collections::HashMap;
use std::time::Duration;

use echolog_events::{Body, Recorded, Time};
use sqlx::{Connection, PgConnection};

use crate::db::Database;
use crate::parking::without_nul;
use crate::projection::Writer;
use crate::runner::check_fold;
use crate::{Projection, ProjectionError, Recovery, Target};

/// How often something that others hold up is tried again, and after how long.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Events that are folded together at most.
const BATCH: usize = 10_000;

const LIST: &str = "SELECT DISTINCT ON (projection, stream_id) projection, stream_id, event_seq,
        event_type, coalesce(error, ''), parked_at,
        count(*) OVER (PARTITION BY projection, stream_id)
    FROM projection.parked ORDER BY projection, stream_id, event_seq";

const SKIPPED: &str = "SELECT projection, stream_id, event_seq, event_type, error, reason,
        skipped_by, skipped_at
    FROM projection.skipped ORDER BY event_seq, projection";

/// Holds projectors up and fences them, in one.
const HOLD: &str =
    "UPDATE projection.checkpoints SET generation = generation + 1 WHERE projection = $1";

const QUEUE: &str = "SELECT event_seq FROM projection.parked
    WHERE projection = $1 AND stream_id = $2 ORDER BY event_seq";

const RELEASE: &str = "DELETE FROM projection.parked WHERE projection = $1 AND event_seq = ANY($2)";

const BLAME: &str =
    "UPDATE projection.parked SET error = $3 WHERE projection = $1 AND event_seq = $2";

/// Tables that were exchanged for older ones may set an event aside that was given up before.
const SKIP: &str = "INSERT INTO projection.skipped (projection, event_seq, stream_id, event_type,
        error, reason, skipped_by, skipped_at)
    SELECT projection, event_seq, stream_id, event_type, coalesce(error, ''), $3, $4, $5
    FROM projection.parked WHERE projection = $1 AND event_seq = $2
    ON CONFLICT (projection, event_seq) DO UPDATE SET error = excluded.error,
        reason = excluded.reason, skipped_by = excluded.skipped_by,
        skipped_at = excluded.skipped_at";

/// An id that a projection has set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedKey {
    /// Who has.
    pub projection: Projection,
    /// The id.
    pub key: String,
    /// The event that cannot be applied.
    pub seq: u64,
    /// Its type.
    pub event_type: String,
    /// Why not.
    pub error: String,
    /// When it happened.
    pub since: Time,
    /// How many events wait, this one included.
    pub events: u64,
}

/// An event that an operator has given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// In which projection.
    pub projection: Projection,
    /// Its id.
    pub key: String,
    /// Which one.
    pub seq: u64,
    /// Its type.
    pub event_type: String,
    /// Why it could not be applied.
    pub error: String,
    /// Why it was given up.
    pub reason: String,
    /// Who gave it up.
    pub by: String,
    /// When.
    pub at: Time,
}

/// An operator gives an event up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Which one.
    pub seq: u64,
    /// Why.
    pub reason: String,
    /// Who does.
    pub by: String,
    /// When.
    pub at: Time,
}

/// What became of an id that was tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retried {
    /// How many events are in the tables now.
    pub applied: usize,
    /// The event that still cannot be applied.
    pub stuck: Option<Stuck>,
}

/// An event that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Which one.
    pub seq: u64,
    /// Why not.
    pub error: String,
    /// How many events wait behind it.
    pub waiting: usize,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ParkedError {
    /// Nothing waits under this id.
    #[error(
        "projection {projection} has nothing parked under {key}; `echolog parked list` shows what is"
    )]
    NotParked {
        /// The projection.
        projection: &'static str,
        /// The id.
        key: String,
    },
    /// Only the event that holds the others up can be given up.
    #[error("event {seq} is not the one that holds {key} up: that is event {first}")]
    NotFirst {
        /// The event that was named.
        seq: u64,
        /// The id.
        key: String,
        /// The event that holds the others up.
        first: u64,
    },
    /// The log no longer has an event.
    #[error("event {0} is not in the log; give it up with `echolog parked skip`")]
    Gone(u64),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tables cannot be written.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
}

impl From<sqlx::Error> for ParkedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Projection(error.into())
    }
}

/// Where single events of the log can be read.
pub trait Lookup {
    /// Why the log cannot be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The events with these sequences, as far as the log has them.
    fn events(
        &self,
        seqs: &[u64],
    ) -> impl Future<Output = Result<Vec<Recorded>, Self::Error>> + Send;
}

/// All ids that are set aside, those that have waited longest first.
///
/// # Errors
/// No answer from PostgreSQL.
pub async fn list(database: &Database) -> sqlx::Result<Vec<ParkedKey>> {
    type Row = (String, String, i64, String, String, Time, i64);
    let rows: Vec<Row> = sqlx::query_as(LIST).fetch_all(database.pool()).await?;
    let keys = rows.into_iter().filter_map(|(name, key, seq, event_type, error, since, events)| {
        // Copies are nobody's trouble yet.
        let projection = Projection::find(&name)?;
        let (seq, events) = (seq.cast_unsigned(), events.cast_unsigned());
        Some(ParkedKey { projection, key, seq, event_type, error, since, events })
    });
    let mut keys: Vec<ParkedKey> = keys.collect();
    keys.sort_by_key(|key| (key.seq, key.projection));
    Ok(keys)
}

/// All events that were given up.
///
/// # Errors
/// No answer from PostgreSQL.
pub async fn skipped(database: &Database) -> sqlx::Result<Vec<Skipped>> {
    type Row = (String, String, i64, String, String, String, String, Time);
    let rows: Vec<Row> = sqlx::query_as(SKIPPED).fetch_all(database.pool()).await?;
    let events = rows.into_iter().filter_map(|row| {
        let (name, key, seq, event_type, error, reason, by, at) = row;
        let (projection, seq) = (Projection::find(&name)?, seq.cast_unsigned());
        Some(Skipped { projection, key, seq, event_type, error, reason, by, at })
    });
    Ok(events.collect())
}

/// Applies what waits under an id, in the order of the log, as far as it can be applied.
///
/// # Errors
/// See [`ParkedError`]: nothing has changed then.
pub async fn retry(
    database: &Database,
    projection: Projection,
    key: &str,
    log: &impl Lookup,
) -> Result<Retried, ParkedError> {
    Retry { database, projection, key, skip: None }.run(log).await
}

/// Gives up the event that holds an id up, for good, and applies what waits behind it.
///
/// # Errors
/// See [`ParkedError`]: nothing has changed then.
pub async fn skip(
    database: &Database,
    projection: Projection,
    key: &str,
    skip: &Skip,
    log: &impl Lookup,
) -> Result<Retried, ParkedError> {
    Retry { database, projection, key, skip: Some(skip) }.run(log).await
}

/// An id that is tried again.
struct Retry<'a> {
    database: &'a Database,
    projection: Projection,
    key: &'a str,
    skip: Option<&'a Skip>,
}

impl Retry<'_> {
    async fn run(&self, log: &impl Lookup) -> Result<Retried, ParkedError> {
        let mut events = HashMap::new();
        for _ in 0..TRIES {
            match self.attempt(log, &mut events).await {
                Err(ParkedError::Projection(error)) if error.recovery() == Recovery::Again => {
                    tracing::warn!(%error, "trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                result => return result,
            }
        }
        self.attempt(log, &mut events).await
    }

    async fn attempt(
        &self,
        log: &impl Lookup,
        events: &mut HashMap<u64, Recorded>,
    ) -> Result<Retried, ParkedError> {
        let mut session = self.database.session("echolog-parked").await?;
        // The log is read while nobody waits; under the lock, only what came since.
        let queue = self.queue(&mut session).await?;
        read(log, self.due(&queue), events).await?;

        let mut transaction = session.begin().await?;
        let name = self.projection.name();
        sqlx::query(HOLD).bind(name).execute(&mut *transaction).await?;
        check_fold(&mut transaction, &Target::live(self.projection)).await?;
        let queue = self.queue(&mut transaction).await?;
        let due = self.due(&queue);
        read(log, due, events).await?;
        let waiting = due
            .iter()
            .map(|seq| events.get(seq).ok_or(ParkedError::Gone(*seq)))
            .collect::<Result<Vec<&Recorded>, _>>()?;

        if let Some(skip) = self.skip {
            self.record(&mut transaction, skip).await?;
        }
        let retried = self.apply(&mut transaction, &waiting).await?;
        let left = retried.stuck.as_ref().map_or(0, |stuck| stuck.waiting + 1);
        let gone: Vec<i64> =
            queue[..queue.len() - left].iter().map(|seq| seq.cast_signed()).collect();
        sqlx::query(RELEASE).bind(name).bind(gone).execute(&mut *transaction).await?;
        if let Some(Stuck { seq, error, .. }) = &retried.stuck {
            let (seq, error) = (seq.cast_signed(), without_nul(error));
            sqlx::query(BLAME).bind(name).bind(seq).bind(error).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(retried)
    }

    /// What waits under the id, in order: at least one event, and the one to give up first.
    async fn queue(&self, connection: &mut PgConnection) -> Result<Vec<u64>, ParkedError> {
        let (projection, key) = (self.projection.name(), self.key.to_owned());
        let rows: Vec<(i64,)> =
            sqlx::query_as(QUEUE).bind(projection).bind(&key).fetch_all(connection).await?;
        let queue: Vec<u64> = rows.into_iter().map(|(seq,)| seq.cast_unsigned()).collect();
        match (queue.first(), self.skip) {
            (None, _) => Err(ParkedError::NotParked { projection, key }),
            (Some(first), Some(Skip { seq, .. })) if first != seq => {
                Err(ParkedError::NotFirst { seq: *seq, key, first: *first })
            }
            (Some(_), _) => Ok(queue),
        }
    }

    /// What is to be applied: all but the event to give up.
    fn due<'q>(&self, queue: &'q [u64]) -> &'q [u64] {
        &queue[usize::from(self.skip.is_some())..]
    }

    async fn record(&self, connection: &mut PgConnection, skip: &Skip) -> sqlx::Result<()> {
        sqlx::query(SKIP)
            .bind(self.projection.name())
            .bind(skip.seq.cast_signed())
            .bind(without_nul(&skip.reason))
            .bind(without_nul(&skip.by))
            .bind(skip.at)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Folds events into the tables up to the first one that does not fit, which is found by
    /// halving: how events are cut into batches changes nothing.
    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
    ) -> Result<Retried, ProjectionError> {
        let writer = Writer::new(&Target::live(self.projection));
        let readable = events.iter().take_while(|event| unreadable(event).is_none()).count();
        let mut applied = 0;
        let mut size = BATCH;
        while applied < readable {
            let batch = &events[applied..readable.min(applied + size)];
            let mut savepoint = connection.begin().await?;
            match (writer.write(&mut savepoint, batch, &[]).await, batch) {
                (Ok(()), _) => {
                    savepoint.commit().await?;
                    applied += batch.len();
                }
                (Err(ProjectionError::Data { reason }), [event]) => {
                    savepoint.rollback().await?;
                    return Ok(stuck(events, applied, event, reason));
                }
                (Err(ProjectionError::Data { .. }), _) => {
                    savepoint.rollback().await?;
                    size = batch.len() / 2;
                }
                (Err(error), _) => return Err(error),
            }
        }
        let next = events.get(applied).and_then(|event| Some((event, unreadable(event)?)));
        Ok(match next {
            Some((event, reason)) => stuck(events, applied, event, reason.to_owned()),
            None => Retried { applied, stuck: None },
        })
    }
}

fn stuck(events: &[&Recorded], applied: usize, event: &Recorded, error: String) -> Retried {
    let waiting = events.len() - applied - 1;
    Retried { applied, stuck: Some(Stuck { seq: event.seq, error, waiting }) }
}

/// Why an event cannot be read, if it cannot.
fn unreadable(event: &Recorded) -> Option<&str> {
    match &event.body {
        Body::Known(_) => None,
        Body::Unreadable(unreadable) => Some(&unreadable.reason),
    }
}

/// Reads what is not there yet.
async fn read<L: Lookup>(
    log: &L,
    seqs: &[u64],
    events: &mut HashMap<u64, Recorded>,
) -> Result<(), ParkedError> {
    let missing: Vec<u64> = seqs.iter().copied().filter(|seq| !events.contains_key(seq)).collect();
    if !missing.is_empty() {
        let found = log.events(&missing).await;
        let found = found.map_err(|error| ParkedError::Log(Box::new(error)))?;
        events.extend(found.into_iter().map(|event| (event.seq, event)));
    }
    Ok(())
}
