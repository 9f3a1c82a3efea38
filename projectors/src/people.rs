//! What operators look up about accounts.

use echolog_events::{OauthProvider, Time, Uuid};
use serde_json::Value;
use sqlx::PgPool;

use crate::db::{Database, DatabaseError};

const FIND: &str = "SELECT id FROM auth.users WHERE deleted_at IS NULL
    AND (lower(username) = lower($1) OR email = lower($1) OR phone_number = $1)";

const LIST: &str = "SELECT row_to_json(q) FROM (
        SELECT id, username, role, account_status, created_at FROM auth.users
        WHERE ($1::text IS NULL OR role = $1) AND ($2::text IS NULL OR account_status = $2)
        ORDER BY created_at, id LIMIT $3
    ) AS q";

const ACCOUNT: &str = "SELECT row_to_json(q) FROM (
        SELECT u.id, u.username, u.email, u.phone_number, p.display_name, u.role, u.user_type,
            u.account_status, u.suspension_reason, u.suspended_at, u.suspended_until, u.locked,
            u.locked_until, u.failed_login_attempts, u.last_login_at, u.password_changed_at,
            u.password_hash IS NOT NULL AS has_password, u.email_verified, u.phone_verified,
            u.two_factor_enabled, u.created_at, u.updated_at, u.deleted_at,
            (SELECT count(*) FROM auth.sessions AS s
                WHERE s.user_id = u.id AND s.revoked_at IS NULL AND s.expires_at > now()) AS sessions
        FROM auth.users AS u LEFT JOIN users.profiles AS p ON p.user_id = u.id
        WHERE u.id = $1
    ) AS q";

const SESSIONS: &str = "SELECT row_to_json(q) FROM (
        SELECT id, device_id, device_name, device_type, platform, ip_address, user_agent,
            created_at, last_activity_at, expires_at
        FROM auth.sessions
        WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
        ORDER BY last_activity_at DESC, id
    ) AS q";

const OAUTH_TOKEN: &str = "SELECT access_token, token_expires_at FROM auth.oauth_providers
    WHERE user_id = $1 AND provider = $2";

const ADMINS: &str = "SELECT projection.position('auth'), ARRAY(
        SELECT id FROM auth.users WHERE role = 'admin' AND account_status NOT IN ('banned', 'deleted')
    )";

/// Looks accounts up, as JSON objects with the columns of the tables; no hash is among them.
#[derive(Clone, Debug)]
pub struct People {
    pool: PgPool,
}

impl People {
    /// Reads from this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self { pool: database.pool().clone() }
    }

    /// Whose name, e-mail address or phone number this is.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn find(&self, name: &str) -> Result<Option<Uuid>, DatabaseError> {
        Ok(sqlx::query_scalar(FIND).bind(name).fetch_optional(&self.pool).await?)
    }

    /// Accounts in the order in which they were made, those of a role or status only.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn list(
        &self,
        role: Option<&str>,
        status: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Value>, DatabaseError> {
        let accounts = sqlx::query_scalar(LIST).bind(role).bind(status).bind(i64::from(limit));
        Ok(accounts.fetch_all(&self.pool).await?)
    }

    /// All about an account.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn account(&self, id: Uuid) -> Result<Option<Value>, DatabaseError> {
        Ok(sqlx::query_scalar(ACCOUNT).bind(id).fetch_optional(&self.pool).await?)
    }

    /// The administrators who may act, and how far the tables are that say so.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn admins(&self) -> Result<(Vec<Uuid>, u64), DatabaseError> {
        let (position, admins): (i64, Vec<Uuid>) =
            sqlx::query_as(ADMINS).fetch_one(&self.pool).await?;
        Ok((admins, position.cast_unsigned()))
    }

    /// What a provider's calls in an account's name show, sealed, and when it is over, as far as these are
    /// known; `None` if nobody is linked.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn oauth_token(
        &self,
        id: Uuid,
        provider: OauthProvider,
    ) -> Result<Option<(Option<String>, Option<Time>)>, DatabaseError> {
        let token = sqlx::query_as(OAUTH_TOKEN).bind(id).bind(provider.name());
        Ok(token.fetch_optional(&self.pool).await?)
    }

    /// The sessions of an account that are open.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn sessions(&self, id: Uuid) -> Result<Vec<Value>, DatabaseError> {
        Ok(sqlx::query_scalar(SESSIONS).bind(id).fetch_all(&self.pool).await?)
    }
}
