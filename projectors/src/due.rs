//! What is over by now: what the timers read.

use echolog_events::{Time, Uuid};
use sqlx::PgPool;

use crate::db::Database;
use crate::store::StoreError;

const SESSIONS: &str = "SELECT user_id, id, expires_at FROM auth.sessions
    WHERE revoked_at IS NULL AND expires_at <= $1 AND (expires_at, id) > ($2, $3)
    ORDER BY expires_at, id LIMIT $4";

const LOCKS: &str = "SELECT id, id, locked_until FROM auth.users
    WHERE locked AND locked_until <= $1 AND (locked_until, id) > ($2, $3)
    ORDER BY locked_until, id LIMIT $4";

/// Reads for the timers.
#[derive(Clone, Debug)]
pub struct DueStore {
    pool: PgPool,
}

/// What can be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A session that nobody has refreshed.
    Session,
    /// The lock of an account.
    Lock,
}

/// Something that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub user_id: Uuid,
    /// Its id; of a lock the user's.
    pub id: Uuid,
    /// Since when.
    pub at: Time,
}

impl DueStore {
    /// Reads through the database's pool.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { pool: database.pool().clone() }
    }

    /// What is over at this time and not ended yet, what was over first in front; at most so many,
    /// and behind the one that was read last.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn read(
        &self,
        kind: Kind,
        now: Time,
        after: Option<&Due>,
        limit: i64,
    ) -> Result<Vec<Due>, StoreError> {
        let sql = match kind {
            Kind::Session => SESSIONS,
            Kind::Lock => LOCKS,
        };
        let (at, id) = after.map_or((Time::default(), Uuid::nil()), |due| (due.at, due.id));
        let rows: Vec<(Uuid, Uuid, Time)> = sqlx::query_as(sql)
            .bind(now)
            .bind(at)
            .bind(id)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|(user_id, id, at)| Due { user_id, id, at }).collect())
    }
}
