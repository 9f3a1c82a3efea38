//! What is over by now: what the timers read.

use echolog_events::{Time, Uuid};
use sqlx::PgPool;

use crate::db::Database;
use crate::store::StoreError;

const SESSIONS: &str = "SELECT user_id, id, expires_at, NULL::uuid FROM auth.sessions
    WHERE revoked_at IS NULL AND expires_at <= $1 AND (expires_at, id) > ($2, $3)
    ORDER BY expires_at, id LIMIT $4";

const LOCKS: &str = "SELECT id, id, locked_until, NULL::uuid FROM auth.users
    WHERE locked AND locked_until <= $1 AND (locked_until, id) > ($2, $3)
    ORDER BY locked_until, id LIMIT $4";

const SUSPENSIONS: &str = "SELECT id, id, suspended_until, NULL::uuid FROM auth.users
    WHERE account_status = 'suspended' AND suspended_until <= $1
        AND (suspended_until, id) > ($2, $3)
    ORDER BY suspended_until, id LIMIT $4";

const ENDED_SESSIONS: &str = "SELECT user_id, id, expires_at, NULL::uuid FROM auth.sessions
    WHERE revoked_at IS NOT NULL AND expires_at < $1 AND (expires_at, id) > ($2, $3)
    ORDER BY expires_at, id LIMIT $4";

const CODES: &str = "SELECT account_id, id, created_at, NULL::uuid FROM auth.otp_verifications
    WHERE created_at < $1 AND (created_at, id) > ($2, $3)
    ORDER BY created_at, id LIMIT $4";

const RESETS: &str = "SELECT user_id, id, created_at, NULL::uuid FROM auth.password_reset_tokens
    WHERE created_at < $1 AND (created_at, id) > ($2, $3)
    ORDER BY created_at, id LIMIT $4";

const MEMBERS: &str = "SELECT m.user_id, m.conversation_id, u.deleted_at, s.user_id
    FROM auth.users AS u
    JOIN messages.members AS m ON m.user_id = u.id AND m.is_active
    JOIN messages.conversations AS c
        ON c.id = m.conversation_id AND c.conversation_type <> 'direct'
    LEFT JOIN LATERAL (
        SELECT x.user_id FROM messages.members AS x
        JOIN auth.users AS a ON a.id = x.user_id AND a.deleted_at IS NULL
        WHERE x.conversation_id = m.conversation_id AND x.is_active
        ORDER BY array_position(ARRAY['owner', 'admin', 'moderator', 'member'], x.role::text),
            x.joined_at, x.user_id
        LIMIT 1
    ) AS s ON m.role = 'owner'
    WHERE u.deleted_at <= $1 AND (u.deleted_at, m.conversation_id) > ($2, $3)
    ORDER BY u.deleted_at, m.conversation_id LIMIT $4";

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
    /// The suspension of an account.
    Suspension,
    /// The membership of somebody whose account is deleted.
    Membership,
    /// A session that has ended: its row, since the time of the session was over.
    EndedSession,
    /// The row of a one-time code, since that was made.
    Code,
    /// The row of a token for a password that was lost, since that was made.
    Reset,
}

/// Something that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub user_id: Uuid,
    /// Its id; of a lock and of a suspension the user's, of a membership the conversation's.
    pub id: Uuid,
    /// Since when.
    pub at: Time,
    /// Who follows an owner: the highest of those who have been there longest.
    pub successor: Option<Uuid>,
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
            Kind::Suspension => SUSPENSIONS,
            Kind::Membership => MEMBERS,
            Kind::EndedSession => ENDED_SESSIONS,
            Kind::Code => CODES,
            Kind::Reset => RESETS,
        };
        let (at, id) = after.map_or((Time::default(), Uuid::nil()), |due| (due.at, due.id));
        let rows: Vec<(Uuid, Uuid, Time, Option<Uuid>)> = sqlx::query_as(sql)
            .bind(now)
            .bind(at)
            .bind(id)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        let due = |(user_id, id, at, successor)| Due { user_id, id, at, successor };
        Ok(rows.into_iter().map(due).collect())
    }
}
