//! Connections to a tenant's database, and its migrations.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// The roles of workers and readers, which policies name, and what is granted to them.
const ROLES: &str = include_str!("../../migrations/access/roles.sql");
const GRANTS: &str = include_str!("../../migrations/access/grants.sql");

/// The user and the owner of the tables, where the one is not, nor is a member of, the other.
const OTHER_OWNER: &str = "SELECT current_user::text, pg_get_userbyid(nspowner)::text
    FROM pg_namespace WHERE nspname = 'projection' AND NOT pg_has_role(nspowner, 'USAGE')";

/// The user, where policies decide what rows there are: a handler that does not find a command in the
/// ledger would decide it twice.
const FILTERED: &str = "SELECT current_user::text FROM pg_class
    WHERE relnamespace = to_regnamespace('projection') AND relname = 'ledger'
        AND row_security_active(oid)";

/// The oldest PostgreSQL that will do: `MERGE`, and views that respect their reader's rights.
const OLDEST: i32 = 15;

/// Settings of connections that answer somebody who waits.
const READER: [(&str, &str); 3] =
    [("statement_timeout", "10s"), ("idle_in_transaction_session_timeout", "60s"), ("jit", "off")];

/// Settings of connections that write projections.
///
/// Losing the last commits in a crash of PostgreSQL is harmless: rows and checkpoint go back
/// together, and the log is read again from there; so no commit waits for the disk. Rows are found
/// by key, and the ones that are written are the ones that were written lately, so a look-up does
/// not cost what planners think. And a projector whose machine is gone must not keep its lease for
/// the two hours that TCP would give it.
const PROJECTOR: [(&str, &str); 7] = [
    ("synchronous_commit", "off"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("random_page_cost", "1.1"),
    ("jit", "off"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// Where a database is.
#[derive(Clone)]
pub struct DatabaseOptions {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// Connections in the pool at most. Each projection takes one more.
    pub max_connections: u32,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
}

/// Without the address, which carries a password.
impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseOptions")
            .field("max_connections", &self.max_connections)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Why a database cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address makes no sense.
    #[error(
        "DATABASE_URL is no address of a PostgreSQL database ({0}); write postgres://user:password@host:5432/database"
    )]
    Url(#[source] sqlx::Error),
    /// Nobody is there.
    #[error(
        "PostgreSQL at {address} does not answer ({reason}); start it, or correct DATABASE_URL"
    )]
    Unreachable {
        /// Host and port.
        address: String,
        /// What happened instead.
        reason: String,
    },
    /// A wrong user or password.
    #[error(
        "PostgreSQL at {address} refuses user {user}; correct user and password in DATABASE_URL"
    )]
    Refused {
        /// Host and port.
        address: String,
        /// The user.
        user: String,
    },
    /// There is no such database.
    #[error(
        "PostgreSQL at {address} has no database {database}; create it with `createdb {database}`, then run `echolog migrate`"
    )]
    Missing {
        /// Host and port.
        address: String,
        /// The database.
        database: String,
    },
    /// The server is too old.
    #[error("PostgreSQL at {address} is version {version}; Echolog needs {OLDEST} or newer")]
    TooOld {
        /// Host and port.
        address: String,
        /// Its version.
        version: String,
    },
    /// Migrations are missing.
    #[error("the database lacks {0} migrations; run `echolog migrate`")]
    NotMigrated(usize),
    /// The database has migrations that this build does not know.
    #[error("the database was migrated by a newer Echolog (migration {0}); update this one")]
    Newer(i64),
    /// What only the owner of the tables may do.
    #[error(
        "only the owner of the tables, {owner}, may do this, and DATABASE_URL names {user}; give it the owner's name and password"
    )]
    NotOwner {
        /// Who asked.
        user: String,
        /// Who may.
        owner: String,
    },
    /// Row-level security hides rows from the user.
    #[error(
        "PostgreSQL hides rows from user {0}, so nothing may be decided or written as that user; connect as echolog_projector itself (a member of it sees less), or as the owner of the tables"
    )]
    Filtered(String),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migrate(#[from] MigrateError),
    /// Anything else.
    #[error("PostgreSQL: {0}")]
    Other(#[from] sqlx::Error),
}

/// A tenant's database.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    options: PgConnectOptions,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("address", &address(&self.options)).finish_non_exhaustive()
    }
}

impl Database {
    /// Connects, and makes sure that the server will do.
    ///
    /// # Errors
    /// See [`DatabaseError`]: each says what to do about it.
    pub async fn connect(options: &DatabaseOptions) -> Result<Self, DatabaseError> {
        let plain = PgConnectOptions::from_str(&options.url)
            .map_err(DatabaseError::Url)?
            .application_name("echolog");
        let first = PgConnection::connect_with(&plain);
        let mut first = match tokio::time::timeout(options.connect_timeout, first).await {
            Ok(connected) => connected.map_err(|error| why(&plain, error))?,
            Err(_) => {
                let reason = format!("not within {} s", options.connect_timeout.as_secs());
                return Err(DatabaseError::Unreachable { address: address(&plain), reason });
            }
        };
        check_version(&plain, &mut first).await?;
        first.close().await?;
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.connect_timeout)
            .connect_lazy_with(plain.clone().options(READER));
        Ok(Self { pool, options: plain })
    }

    /// Connections for short reads.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Open connections of the pool, and how many of them are idle.
    #[must_use]
    pub fn pool_size(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Brings the database up to date. Returns how many migrations were applied.
    ///
    /// # Errors
    /// A migration that fails, a database that is newer than this build or somebody else's.
    pub async fn migrate(&self) -> Result<usize, DatabaseError> {
        self.check_owner().await?;
        let mut connection = self.session("echolog-migrate").await?;
        // One at a time, to the end of the connection: what is granted is no part of the migrations,
        // which have a lock of their own.
        sqlx::query("SELECT pg_advisory_lock(hashtext('echolog-migrate'))")
            .execute(&mut connection)
            .await?;
        let pending = pending(&mut connection).await?;
        self.make_roles().await?;
        MIGRATIONS.run(&mut connection).await?;
        sqlx::raw_sql(GRANTS).execute(&mut connection).await?;
        connection.close().await?;
        Ok(pending)
    }

    /// Makes the roles that policies name, where the server lacks them.
    ///
    /// # Errors
    /// PostgreSQL, or the way to it; a user who may not make roles.
    pub async fn make_roles(&self) -> Result<(), DatabaseError> {
        sqlx::raw_sql(ROLES).execute(self.pool()).await?;
        Ok(())
    }

    /// Whether nothing of ours was ever in the database.
    ///
    /// # Errors
    /// PostgreSQL, or the way to it.
    pub async fn is_fresh(&self) -> Result<bool, DatabaseError> {
        let mut connection = self.session("echolog-migrate").await?;
        let fresh = !is_ours(&mut connection).await?;
        connection.close().await?;
        Ok(fresh)
    }

    /// Makes sure that the user may make and exchange tables: in a database that has none, anybody may
    /// try.
    ///
    /// # Errors
    /// Another user owns the tables.
    pub async fn check_owner(&self) -> Result<(), DatabaseError> {
        let other: Option<(String, String)> =
            sqlx::query_as(OTHER_OWNER).fetch_optional(self.pool()).await?;
        other.map_or(Ok(()), |(user, owner)| Err(DatabaseError::NotOwner { user, owner }))
    }

    /// Makes sure that the database is up to date, and that the user sees all of it.
    ///
    /// # Errors
    /// Migrations that are missing, or that this build does not know; a user who is not to work here.
    pub async fn check_migrated(&self) -> Result<(), DatabaseError> {
        let mut connection = self.session("echolog-migrate").await?;
        let filtered: Option<(String,)> =
            sqlx::query_as(FILTERED).fetch_optional(&mut connection).await?;
        if let Some((user,)) = filtered {
            return Err(DatabaseError::Filtered(user));
        }
        let pending = pending(&mut connection).await?;
        connection.close().await?;
        if pending == 0 { Ok(()) } else { Err(DatabaseError::NotMigrated(pending)) }
    }

    /// A connection for work that may take long.
    pub(crate) async fn session(&self, name: &str) -> sqlx::Result<PgConnection> {
        PgConnection::connect_with(&self.options.clone().application_name(name)).await
    }

    /// A connection that writes a projection.
    pub(crate) async fn projector(&self, name: &str) -> sqlx::Result<PgConnection> {
        let options = self.options.clone().options(PROJECTOR);
        PgConnection::connect_with(&options.application_name(&format!("echolog-{name}"))).await
    }
}

/// Whether the database was ever migrated.
async fn is_ours(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let (exists,): (bool,) = sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(connection)
        .await?;
    Ok(exists)
}

/// How many migrations the database lacks.
async fn pending(connection: &mut PgConnection) -> Result<usize, DatabaseError> {
    if !is_ours(connection).await? {
        return Ok(MIGRATIONS.iter().count());
    }
    let applied = connection.list_applied_migrations("_sqlx_migrations").await?;
    let applied: HashSet<i64> = applied.into_iter().map(|migration| migration.version).collect();
    if let Some(unknown) = applied.iter().find(|version| !MIGRATIONS.version_exists(**version)) {
        return Err(DatabaseError::Newer(*unknown));
    }
    Ok(MIGRATIONS.iter().filter(|migration| !applied.contains(&migration.version)).count())
}

async fn check_version(
    options: &PgConnectOptions,
    connection: &mut PgConnection,
) -> Result<(), DatabaseError> {
    let (number, version): (String, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num'), current_setting('server_version')",
    )
    .fetch_one(connection)
    .await?;
    if number.parse::<i32>().is_ok_and(|number| number < OLDEST * 10_000) {
        return Err(DatabaseError::TooOld { address: address(options), version });
    }
    Ok(())
}

fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn why(options: &PgConnectOptions, error: sqlx::Error) -> DatabaseError {
    let address = address(options);
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    match code.as_deref() {
        Some("3D000") => {
            let database = options.get_database().unwrap_or(options.get_username()).to_owned();
            DatabaseError::Missing { address, database }
        }
        Some("28000" | "28P01") => {
            DatabaseError::Refused { address, user: options.get_username().to_owned() }
        }
        Some(_) => DatabaseError::Other(error),
        None => DatabaseError::Unreachable { address, reason: error.to_string() },
    }
}
