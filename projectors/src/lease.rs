//! One projector at a time.

use echolog_events::Partition;
use sqlx::PgConnection;

use crate::db::Database;
use crate::{Projection, ProjectionError, Target};

const LOCK: &str = "SELECT bool_and(pg_try_advisory_lock(hashtextextended($1, partition)))
    FROM unnest($2::bigint[]) AS partition";

/// The right to write a target, for some partitions. It is an advisory lock on the very connection
/// that writes, so whoever loses the one loses the other. The checkpoint's compare-and-set is what
/// makes a mistake harmless; the lease is what makes it rare.
#[derive(Debug)]
pub(crate) struct Lease(PgConnection);

impl Lease {
    /// Takes it; `None` if somebody else has it for one of the partitions.
    pub(crate) async fn take(
        database: &Database,
        target: &Target,
        partitions: &[Partition],
    ) -> Result<Option<Self>, ProjectionError> {
        let mut connection = database.projector(&target.name()).await?;
        let name = format!("echolog {}", target.name());
        let numbers: Vec<i64> = partitions.iter().map(|it| i64::from(it.number())).collect();
        let (taken,): (bool,) =
            sqlx::query_as(LOCK).bind(name).bind(numbers).fetch_one(&mut connection).await?;
        // Locks that were taken before the one that is held elsewhere go with the connection.
        Ok(taken.then_some(Self(connection)))
    }

    /// The connection to write with.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

/// The right to write all tables that everyone reads, for who is no projector. It goes when this is
/// dropped.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "to be held")] Vec<Lease>);

impl Alone {
    /// Takes it; `None` while a projector is at work.
    ///
    /// # Errors
    /// No connection.
    pub async fn take(database: &Database) -> Result<Option<Self>, ProjectionError> {
        let (partitions, mut leases): (Vec<_>, _) = (Partition::all().collect(), Vec::new());
        for projection in Projection::ALL {
            let taken = Lease::take(database, &Target::live(projection), &partitions).await?;
            let Some(lease) = taken else { return Ok(None) };
            leases.push(lease);
        }
        Ok(Some(Self(leases)))
    }
}
