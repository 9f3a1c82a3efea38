//! Filling a copy while it lacks most of its keys and indexes.
//!
//! A row that is put into an index costs several times what it costs when the index is made at the
//! end. So a copy begins with the keys that its writer finds rows by, and gets the others once it
//! is complete. Keys by which old messages are found come in between, with the first batch that
//! asks for one. What is missing is read from PostgreSQL's own catalogue: there is nothing to
//! remember, and a copy whose builder was killed is taken up where it was.

use std::time::Instant;

use echolog_events::Recorded;
use sqlx::{Connection, PgConnection};

use super::{run, structure};
use crate::projection::Keys;
use crate::{Runner, Target};

/// For sorting whole tables. Once per process of PostgreSQL that helps with one index.
const SETTINGS: &str = "SET maintenance_work_mem = '256MB'";

/// A copy that is being filled.
pub(super) struct Bulk {
    session: PgConnection,
    copy: Target,
    /// Old rows cannot be found yet.
    bare: bool,
}

impl Bulk {
    /// Looks what a copy has already, and tells who writes it.
    pub(super) async fn open(
        mut session: PgConnection,
        copy: Target,
        runner: &mut Runner,
    ) -> sqlx::Result<Self> {
        sqlx::raw_sql(SETTINGS).execute(&mut session).await?;
        let mut bulk = Self { session, copy, bare: false };
        bulk.bare = !bulk.missing(|keys| keys == Keys::Lookup).await?.is_empty();
        runner.set_bare(bulk.bare);
        Ok(bulk)
    }

    /// Adds the keys that a batch needs, before it is applied.
    pub(super) async fn prepare(
        &mut self,
        runner: &mut Runner,
        events: &[Recorded],
    ) -> sqlx::Result<()> {
        if self.bare && runner.looks_up(events) {
            self.settle(runner).await?;
        }
        Ok(())
    }

    /// Adds all that is missing.
    pub(super) async fn complete(&mut self, runner: &mut Runner) -> sqlx::Result<()> {
        if self.bare {
            self.settle(runner).await?;
        }
        let begun = Instant::now();
        let missing = self.missing(|_| true).await?;
        run(&mut self.session, missing).await?;
        tracing::debug!(target = self.copy.name(), time = ?begun.elapsed(), "keys and indexes");
        Ok(())
    }

    /// Adds the keys by which old rows are found, together with what was left alone without them:
    /// the one tells of the other.
    async fn settle(&mut self, runner: &mut Runner) -> sqlx::Result<()> {
        let begun = Instant::now();
        let missing = self.missing(|keys| keys == Keys::Lookup).await?;
        let rest = self.copy.projection().settle(&self.copy);
        let mut transaction = self.session.begin().await?;
        if let Some(rest) = rest {
            rest.query().execute(&mut *transaction).await?;
        }
        run(&mut transaction, missing).await?;
        transaction.commit().await?;
        tracing::debug!(target = self.copy.name(), time = ?begun.elapsed(), "keys for look-ups");
        self.bare = false;
        runner.set_bare(false);
        Ok(())
    }

    /// The statements for keys and indexes that the copy lacks.
    async fn missing(&mut self, which: impl Fn(Keys) -> bool) -> sqlx::Result<Vec<String>> {
        let projection = self.copy.projection();
        let live = Target::live(projection);
        let missing = structure::missing(&mut self.session, &live, &self.copy).await?;
        let wanted = missing.into_iter().filter(|(name, _)| which(projection.keys(name)));
        Ok(wanted.map(|(_, statement)| statement).collect())
    }
}
