//! Building a projection anew beside the live one, comparing the two, and exchanging them.
//!
//! The copy is written by the code that writes the live tables, into a schema of its own
//! (`shadow_messages`), with a checkpoint of its own (`shadow:messages`). Readers and the live
//! projector go on meanwhile; only where copy and live tables have to be at one position is the
//! live projector held for a moment, by the lock on its checkpoint.

mod bulk;
mod compare;
mod exchange;
mod structure;
mod views;

use std::time::{Duration, Instant};

use echolog_events::{Partition, Recorded};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use self::bulk::Bulk;
pub use self::compare::{Comparison, Difference, Side};
use crate::db::Database;
use crate::projection::Keys;
use crate::{Projection, ProjectionError, Recovery, Runner, Target};

/// How often something that others hold up is tried again, and after how long.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_millis(300);

/// Where a rebuild reads the log.
pub trait EventSource {
    /// Why the log cannot be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next events behind a sequence.
    fn read(&mut self, after: u64) -> impl Future<Output = Result<Page, Self::Error>> + Send;
}

/// A piece of the log.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Events, in order.
    pub events: Vec<Recorded>,
    /// The log was read up to here. No further than before: it ends there.
    pub to: u64,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The log is in the copy up to here.
    pub position: u64,
    /// Events applied in this step.
    pub events: usize,
}

/// Why a rebuild stops. It can be taken up again: the copy is kept.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The copy cannot be written.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// PostgreSQL, or the way to it.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// Somebody else builds the same copy.
    #[error("{0} is being written by another process")]
    Busy(String),
    /// There is no such copy.
    #[error("there is no {0} to go on with")]
    Missing(String),
    /// The copy was made by another version of the fold.
    #[error(
        "{name} was made by version {stored} of the fold, this build has version {current}; only the build that made it can go on with it"
    )]
    OtherFold {
        /// The copy.
        name: String,
        /// The version that made it.
        stored: i32,
        /// The version of this build.
        current: i32,
    },
    /// The copy lacks tables or columns that a migration has brought since.
    #[error("{0} was made before the tables were changed by a migration; build it anew")]
    Outdated(String),
    /// Copy and live tables never met.
    #[error(
        "{0} and its copy could not be brought to one position; is it applied in several lanes?"
    )]
    Apart(&'static str),
    /// Somebody reads the tables, or has been reading since before the copy was complete.
    #[error("the tables of {0} are in use by long transactions; try again when those have ended")]
    InUse(&'static str),
}

/// The rebuild of one projection.
#[derive(Clone, Debug)]
pub struct Rebuild {
    database: Database,
    projection: Projection,
}

impl Rebuild {
    /// Of this projection.
    #[must_use]
    pub fn new(database: &Database, projection: Projection) -> Self {
        Self { database: database.clone(), projection }
    }

    /// Whether an earlier version of the fold has made the tables: then they may differ from what this
    /// one makes of the same log, and are to be built anew.
    ///
    /// # Errors
    /// No answer from PostgreSQL.
    pub async fn is_outdated(&self) -> Result<bool, RebuildError> {
        let outdated: Option<bool> = sqlx::query_scalar(
            "SELECT version > 0 AND version < $2 FROM projection.folds WHERE projection = $1",
        )
        .bind(self.projection.name())
        .bind(self.projection.version())
        .fetch_optional(&mut self.session().await?)
        .await?;
        Ok(outdated.unwrap_or_default())
    }

    /// Makes an empty copy of the tables; one that was begun by the same version of the fold, and
    /// has all that the tables have, is kept, to go on with. Returns whether it was.
    ///
    /// # Errors
    /// No answer from PostgreSQL.
    pub async fn create_shadow(&self) -> Result<bool, RebuildError> {
        let shadow = Target::shadow(self.projection);
        let mut session = self.session().await?;
        let begun: Option<(i32,)> =
            sqlx::query_as("SELECT version FROM projection.folds WHERE projection = $1")
                .bind(shadow.name())
                .fetch_optional(&mut session)
                .await?;
        if begun == Some((self.projection.version(),))
            && structure::is_whole(&mut session, &Target::live(self.projection), &shadow).await?
        {
            return Ok(true);
        }
        self.create(&mut session, |keys| keys == Keys::Always).await?;
        Ok(false)
    }

    /// Makes an empty copy with some of the keys and indexes.
    async fn create(
        &self,
        session: &mut PgConnection,
        which: impl Fn(Keys) -> bool,
    ) -> Result<(), RebuildError> {
        let (live, shadow) = (Target::live(self.projection), Target::shadow(self.projection));
        let mut transaction = session.begin().await?;
        drop_copy(&mut transaction, &shadow).await?;
        structure::copy(&mut transaction, &live, &shadow).await?;
        for (name, statement) in structure::missing(&mut transaction, &live, &shadow).await? {
            if which(self.projection.keys(&name)) {
                run(&mut transaction, [statement]).await?;
            }
        }
        register(&mut transaction, &shadow).await?;
        Ok(transaction.commit().await?)
    }

    /// Applies the log to the copy up to `goal`, or to the end of the log; then the copy gets the
    /// keys and indexes that it lacks.
    ///
    /// # Errors
    /// A log or a database that does not answer; somebody else who writes the copy.
    pub async fn catch_up(
        &self,
        source: &mut impl EventSource,
        goal: Option<u64>,
        mut progress: impl FnMut(Progress),
    ) -> Result<u64, RebuildError> {
        match self.fill(source, goal, &mut progress).await {
            Err(RebuildError::Database(error)) if is_double(&error) => {
                // The log says something twice, which only a key notices in time to set it aside.
                tracing::warn!(%error, "the copy is built again, with all keys from the start");
                self.create(&mut self.session().await?, |_| true).await?;
                self.fill(source, goal, &mut progress).await
            }
            result => result,
        }
    }

    async fn fill(
        &self,
        source: &mut impl EventSource,
        goal: Option<u64>,
        progress: impl FnMut(Progress),
    ) -> Result<u64, RebuildError> {
        let shadow = Target::shadow(self.projection);
        let mut runner = self.runner(shadow.clone()).await?;
        let mut bulk = Bulk::open(self.session().await?, shadow, &mut runner).await?;
        let reached = feed(&mut runner, source, goal, Some(&mut bulk), progress).await?;
        if goal.is_none() {
            bulk.complete(&mut runner).await?;
        }
        Ok(reached)
    }

    /// Gives a copy whose building was interrupted what it lacks.
    async fn complete(&self, copy: &Target, runner: &mut Runner) -> Result<(), RebuildError> {
        let mut bulk = Bulk::open(self.session().await?, copy.clone(), runner).await?;
        Ok(bulk.complete(runner).await?)
    }

    /// Compares copy and live tables, row by row, at one position. Live rows are held still only
    /// until both can be seen; the comparison itself takes its time.
    ///
    /// # Errors
    /// A log or a database that does not answer.
    pub async fn compare(&self, source: &mut impl EventSource) -> Result<Comparison, RebuildError> {
        let shadow = Target::shadow(self.projection);
        let mut runner = self.runner(shadow.clone()).await?;
        self.complete(&shadow, &mut runner).await?;
        feed(&mut runner, source, None, None, |_| {}).await?;
        let mut holder = self.session().await?;
        let mut hold = holder.begin().await?;
        let position = self.meet(&mut hold, &mut runner, source).await?;
        let mut session = self.session().await?;
        let mut snapshot = compare::snapshot(&mut session).await?;
        hold.rollback().await?;
        let live = Target::live(self.projection);
        Ok(compare::compare(&mut snapshot, position, &live, &shadow).await?)
    }

    /// Puts the copy in the place of the live tables, which are kept as `old_…`. Returns the
    /// position at which it happened. Live projectors are fenced, and start again.
    ///
    /// # Errors
    /// A log or a database that does not answer; tables that are in use for too long.
    pub async fn swap(&self, source: &mut impl EventSource) -> Result<u64, RebuildError> {
        let (shadow, old) = (Target::shadow(self.projection), Target::old(self.projection));
        self.exchange(source, &shadow, &old).await
    }

    /// Puts the tables back that [`Self::swap`] replaced, after they have caught up. What replaced
    /// them is kept as the copy.
    ///
    /// # Errors
    /// As for [`Self::swap`]; and old tables that another version of the fold has made, which only
    /// the build with that version can take up again.
    pub async fn rollback(&self, source: &mut impl EventSource) -> Result<u64, RebuildError> {
        let (shadow, old) = (Target::shadow(self.projection), Target::old(self.projection));
        self.exchange(source, &old, &shadow).await
    }

    /// Throws the copy away.
    ///
    /// # Errors
    /// No answer from PostgreSQL.
    pub async fn drop_shadow(&self) -> Result<(), RebuildError> {
        self.drop(&Target::shadow(self.projection)).await
    }

    /// Throws the replaced tables away.
    ///
    /// # Errors
    /// No answer from PostgreSQL.
    pub async fn drop_old(&self) -> Result<(), RebuildError> {
        self.drop(&Target::old(self.projection)).await
    }

    async fn drop(&self, copy: &Target) -> Result<(), RebuildError> {
        let mut session = self.session().await?;
        let mut transaction = session.begin().await?;
        drop_copy(&mut transaction, copy).await?;
        Ok(transaction.commit().await?)
    }

    async fn exchange(
        &self,
        source: &mut impl EventSource,
        next: &Target,
        last: &Target,
    ) -> Result<u64, RebuildError> {
        let mut runner = self.runner(next.clone()).await?;
        self.complete(next, &mut runner).await?;
        let mut session = self.session().await?;
        for _ in 0..TRIES {
            feed(&mut runner, source, None, None, |_| {}).await?;
            let mut transaction = session.begin().await?;
            let position = self.meet(&mut transaction, &mut runner, source).await?;
            if exchange::outlive_snapshots(&mut transaction).await? {
                match exchange::exchange(&mut transaction, next, last).await {
                    Ok(()) => {
                        transaction.commit().await?;
                        return Ok(position);
                    }
                    Err(error) if is_lock_timeout(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            transaction.rollback().await?;
            tokio::time::sleep(PAUSE).await;
        }
        Err(RebuildError::InUse(self.projection.name()))
    }

    /// Holds the live projector and brings the copy to where it is.
    async fn meet(
        &self,
        hold: &mut PgConnection,
        runner: &mut Runner,
        source: &mut impl EventSource,
    ) -> Result<u64, RebuildError> {
        let name = self.projection.name();
        let positions: Vec<(i64,)> = sqlx::query_as(
            "SELECT position FROM projection.checkpoints WHERE projection = $1
             ORDER BY partition FOR UPDATE",
        )
        .bind(name)
        .fetch_all(hold)
        .await?;
        let position = positions.first().map_or(0, |(position,)| *position);
        if positions.iter().any(|(other,)| *other != position) {
            return Err(RebuildError::Apart(name));
        }
        let position = position.cast_unsigned();
        let reached = feed(runner, source, Some(position), None, |_| {}).await?;
        if reached == position { Ok(position) } else { Err(RebuildError::Apart(name)) }
    }

    async fn runner(&self, target: Target) -> Result<Runner, RebuildError> {
        let partitions: Vec<Partition> = Partition::all().collect();
        for _ in 0..TRIES {
            match Runner::start(&self.database, target.clone(), &partitions).await {
                Ok(Some(runner)) => {
                    let (mut session, live) =
                        (self.session().await?, Target::live(self.projection));
                    if !structure::is_whole(&mut session, &live, &target).await? {
                        return Err(RebuildError::Outdated(target.name()));
                    }
                    return Ok(runner);
                }
                Ok(None) => tokio::time::sleep(PAUSE).await,
                Err(ProjectionError::Fenced(name)) => return Err(RebuildError::Missing(name)),
                Err(ProjectionError::OtherFold { projection: name, stored, current }) => {
                    return Err(RebuildError::OtherFold { name, stored, current });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(RebuildError::Busy(target.name()))
    }

    async fn session(&self) -> sqlx::Result<PgConnection> {
        self.database.session("echolog-replay").await
    }
}

/// Applies the log to a target until it is at `goal`, or at the end of the log.
async fn feed(
    runner: &mut Runner,
    source: &mut impl EventSource,
    goal: Option<u64>,
    mut bulk: Option<&mut Bulk>,
    mut progress: impl FnMut(Progress),
) -> Result<u64, RebuildError> {
    let goal = goal.unwrap_or(u64::MAX);
    loop {
        let position = runner.position();
        if position >= goal {
            return Ok(position);
        }
        let begun = Instant::now();
        let mut page =
            source.read(position).await.map_err(|error| RebuildError::Source(Box::new(error)))?;
        let read = begun.elapsed();
        if page.to <= position {
            return Ok(position);
        }
        page.events.retain(|event| event.seq <= goal);
        if let Some(bulk) = &mut bulk {
            bulk.prepare(runner, &page.events).await?;
        }
        let flush = apply(runner, &page.events, page.to.min(goal)).await?;
        let (target, written) = (runner.target().name(), flush.duration);
        tracing::debug!(target, position = flush.position, ?read, ?written, "a page");
        progress(Progress { position: flush.position, events: flush.events });
    }
}

/// Applies a page, however often PostgreSQL has to be asked.
async fn apply(
    runner: &mut Runner,
    events: &[Recorded],
    to: u64,
) -> Result<crate::Flush, ProjectionError> {
    let mut tries = 0;
    loop {
        match runner.apply(events, to).await {
            Err(error) if error.recovery() == Recovery::Again && tries < TRIES => {
                tracing::warn!(%error, "the copy could not be written; trying again");
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            result => return result,
        }
    }
}

/// Gives a copy its checkpoint.
async fn register(connection: &mut PgConnection, copy: &Target) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO projection.checkpoints (projection, partition, position, generation)
         SELECT $1, partition, 0, 0 FROM generate_series(0, 15) AS partition",
    )
    .bind(copy.name())
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO projection.folds (projection, version) VALUES ($1, $2)")
        .bind(copy.name())
        .bind(copy.projection().version())
        .execute(connection)
        .await?;
    Ok(())
}

/// Throws a copy away, with all that is known about it.
async fn drop_copy(connection: &mut PgConnection, copy: &Target) -> sqlx::Result<()> {
    let schema = format!("DROP SCHEMA IF EXISTS {} CASCADE", copy.schema());
    run(connection, [schema]).await?;
    for table in ["checkpoints", "folds", "parked"] {
        let delete = format!("DELETE FROM projection.{table} WHERE projection = $1");
        sqlx::query(AssertSqlSafe(delete)).bind(copy.name()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Runs statements that PostgreSQL itself or this crate has put together.
async fn run(
    connection: &mut PgConnection,
    statements: impl IntoIterator<Item = String>,
) -> sqlx::Result<()> {
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    has_code(error, "55P03")
}

/// Whether a key cannot be made because a value is there twice.
fn is_double(error: &sqlx::Error) -> bool {
    has_code(error, "23505")
}

fn has_code(error: &sqlx::Error, wanted: &str) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some(wanted)
}
