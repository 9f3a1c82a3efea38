//! A tenant's log and database, found, checked and opened together.

use anyhow::ensure;
use echolog_nats::{Bus, EventLog, LogState, Names, Provision, ProvisionOptions};
use echolog_projectors::db::Database;
use echolog_projectors::origin::Origin;
use echolog_projectors::store::Store;

use crate::clock;
use crate::config::Config;

/// What a process works with.
#[derive(Clone, Debug)]
pub struct Connected {
    /// The connection to NATS.
    pub bus: Bus,
    /// The tenant's names.
    pub names: Names,
    /// The event log.
    pub log: EventLog,
    /// Where the tables are.
    pub database: Database,
}

impl Connected {
    /// Connects to a tenant that is set up.
    ///
    /// # Errors
    /// A server that does not answer or will not do, migrations that are missing, a log and
    /// a database that do not belong together; each with the remedy.
    pub async fn open(config: &Config, role: &str) -> anyhow::Result<Self> {
        let connected = Self::new(config, role, config.database().await?).await?;
        connected.database.check_migrated().await?;
        // In this order: the tables go on following the log.
        let position = Store::new(&connected.database).positions().await?.highest();
        let LogState { id, last_seq, .. } = connected.log.state().await?;
        connected.origin(id).check(&connected.database).await?;
        ensure!(
            position <= last_seq,
            "the tables have events up to {position}, but the log ends at {last_seq}: its end was lost; \
             restore it, or give the tenant a new database and run `echolog migrate`"
        );
        Ok(connected)
    }

    /// Makes what a tenant needs, or brings it up to date. Returns how many migrations were
    /// applied.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn set_up(
        config: &Config,
        database: Database,
        options: &ProvisionOptions,
    ) -> anyhow::Result<(Self, usize)> {
        let connected = Self::new(config, "migrate", database).await?;
        // The log first: while a backup is put back, its tables go into a database without any.
        let log_id = Provision::tenant(&connected.bus, &connected.names, options, clock::new_id());
        let log_id = log_id.await?;
        let applied = connected.database.migrate().await?;
        connected.origin(log_id).bind(&connected.database).await?;
        Ok((connected, applied))
    }

    async fn new(config: &Config, role: &str, database: Database) -> anyhow::Result<Self> {
        let (bus, names) = (config.bus(role).await?, config.names()?);
        let log = EventLog::new(bus.clone(), names.clone());
        Ok(Self { bus, names, log, database })
    }

    fn origin(&self, log_id: String) -> Origin {
        Origin { tenant: self.names.tenant().to_owned(), log_id }
    }
}
