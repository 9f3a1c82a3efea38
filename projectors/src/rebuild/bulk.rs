//! Filling a copy while it lacks most of its keys and indexes.
//!
//! A row that is put into an index costs several times what it costs when the index is made at the
//! end. So a copy begins with the keys that its writer finds rows by, and gets the others once it
//! is complete. Keys by which old messages are found come in between, with the first batch that
//! asks for one. What is missing is read from PostgreSQL's own catalogue: there is nothing to
//! remember, and a copy whose builder was killed is taken up where it was.

use echolog_events::Recorded;
use sqlx::PgConnection;

use super::{RebuildError, structure};
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
    /// Looks what a copy has already.
    pub(super) async fn open(mut session: PgConnection, copy: Target) -> sqlx::Result<Self> {
        let live = Target::live(copy.projection());
        sqlx::raw_sql(SETTINGS).execute(&mut session).await?;
        let missing = structure::missing(&mut session, &live, &copy).await?;
        let late = |name: &str| copy.projection().keys(name) == Keys::Lookup;
        let bare = missing.iter().any(|(name, _)| late(name));
        Ok(Self { session, copy, bare })
    }

    /// Adds the keys that a batch needs, before it is applied.
    pub(super) async fn prepare(
        &mut self,
        runner: &Runner,
        events: &[Recorded],
    ) -> Result<(), RebuildError> {
        if self.bare && runner.looks_up(events) {
            self.add(|keys| keys == Keys::Lookup).await?;
            self.bare = false;
        }
        Ok(())
    }

    /// Adds all that is missing.
    pub(super) async fn complete(&mut self) -> Result<(), RebuildError> {
        self.add(|_| true).await?;
        self.bare = false;
        Ok(())
    }

    async fn add(&mut self, which: impl Fn(Keys) -> bool) -> sqlx::Result<()> {
        let projection = self.copy.projection();
        let live = Target::live(projection);
        for (name, statement) in structure::missing(&mut self.session, &live, &self.copy).await? {
            if which(projection.keys(&name)) {
                let begun = std::time::Instant::now();
                super::run(&mut self.session, [statement]).await?;
                tracing::debug!(index = name, seconds = begun.elapsed().as_secs_f64(), "made");
            }
        }
        Ok(())
    }
}
