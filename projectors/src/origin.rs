//! The log that a database is made from.

use crate::db::Database;

/// A log, by name and identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The tenant that it belongs to.
    pub tenant: String,
    /// Made when the log was created.
    pub log_id: String,
}

/// Why a log and a database do not go together.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// Nobody has said yet which log the database is made from.
    #[error("the database belongs to no log yet; run `echolog migrate --tenant {0}`")]
    Unknown(String),
    /// It is made from another log.
    #[error(
        "this database is made from log {} of tenant {}, but NATS has log {} of tenant {}; correct --tenant, NATS_URL or DATABASE_URL",
        .database.log_id, .database.tenant, .log.log_id, .log.tenant
    )]
    Other {
        /// What the database says.
        database: Box<Origin>,
        /// What NATS says.
        log: Box<Origin>,
    },
    /// PostgreSQL, or the way to it.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
}

impl Origin {
    /// Says that a database is made from this log, if nobody has said so yet.
    ///
    /// # Errors
    /// It is made from another one.
    pub async fn bind(&self, database: &Database) -> Result<(), OriginError> {
        sqlx::query(
            "INSERT INTO projection.log (tenant, log_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(&self.tenant)
        .bind(&self.log_id)
        .execute(database.pool())
        .await?;
        self.check(database).await
    }

    /// Makes sure that a database is made from this log.
    ///
    /// # Errors
    /// It is not.
    pub async fn check(&self, database: &Database) -> Result<(), OriginError> {
        let Some(known) = Self::of(database).await? else {
            return Err(OriginError::Unknown(self.tenant.clone()));
        };
        if known == *self {
            Ok(())
        } else {
            let (database, log) = (Box::new(known), Box::new(self.clone()));
            Err(OriginError::Other { database, log })
        }
    }

    /// The log that a database is made from, if anybody has said so.
    ///
    /// # Errors
    /// PostgreSQL, or the way to it.
    pub async fn of(database: &Database) -> Result<Option<Self>, OriginError> {
        let known: Option<(String, String)> =
            sqlx::query_as("SELECT tenant, log_id FROM projection.log")
                .fetch_optional(database.pool())
                .await?;
        Ok(known.map(|(tenant, log_id)| Self { tenant, log_id }))
    }

    /// Says that a database is made from this log, whatever was said before: it is a copy of the one
    /// that was known.
    ///
    /// # Errors
    /// PostgreSQL, or the way to it.
    pub async fn bind_anew(&self, database: &Database) -> Result<(), OriginError> {
        sqlx::query("UPDATE projection.log SET tenant = $1, log_id = $2")
            .bind(&self.tenant)
            .bind(&self.log_id)
            .execute(database.pool())
            .await?;
        self.check(database).await
    }
}
