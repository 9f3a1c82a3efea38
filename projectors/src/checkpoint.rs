//! How far projections are.

use std::collections::BTreeMap;

use echolog_events::{PARTITIONS, Partition, Recorded};
use sqlx::PgConnection;

use crate::{Projection, ProjectionError, Target};

const LOAD: &str = "SELECT partition, position, generation FROM projection.checkpoints
    WHERE projection = $1 AND partition = ANY($2) ORDER BY partition";

/// Compare and set: whoever does not know where the projection is has no business with it.
const ADVANCE: &str = "UPDATE projection.checkpoints AS c SET position = d.target
    FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS d (partition, position, target)
    WHERE c.projection = $1 AND c.partition = d.partition AND c.position = d.position
        AND c.generation = $5";

const POSITIONS: &str = "SELECT projection, array_agg(position ORDER BY partition)
    FROM projection.checkpoints WHERE projection = ANY($1) GROUP BY projection";

/// Where one projector stands: per partition, everything up to a sequence is in the tables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    name: String,
    generation: i64,
    positions: BTreeMap<Partition, u64>,
}

impl Checkpoint {
    /// Reads where a target stands in these partitions.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        target: &Target,
        partitions: &[Partition],
    ) -> Result<Self, ProjectionError> {
        let name = target.name();
        let numbers: Vec<i16> = partitions.iter().map(|it| i16::from(it.number())).collect();
        let rows: Vec<(i16, i64, i64)> =
            sqlx::query_as(LOAD).bind(&name).bind(numbers).fetch_all(connection).await?;
        if rows.len() != partitions.len() {
            return Err(ProjectionError::Fenced(name));
        }
        let generation = rows.first().map_or(0, |(_, _, generation)| *generation);
        let positions = partitions
            .iter()
            .filter_map(|partition| {
                let row = rows.iter().find(|(number, ..)| *number == i16::from(partition.number()));
                Some((*partition, row?.1.cast_unsigned()))
            })
            .collect();
        Ok(Self { name, generation, positions })
    }

    /// Where the log has to be read on from.
    pub(crate) fn lowest(&self) -> u64 {
        self.positions.values().copied().min().unwrap_or_default()
    }

    /// Whether an event still has to be applied.
    pub(crate) fn is_due(&self, event: &Recorded) -> bool {
        self.positions.get(&event.partition).is_some_and(|position| event.seq > *position)
    }

    /// Whether every partition has come this far.
    pub(crate) fn has(&self, position: u64) -> bool {
        self.lowest() >= position
    }

    /// Moves the rows to `to`, in the caller's transaction. Call it first: it waits for a projector
    /// that is at the same work, and then fails, before anything is written.
    pub(crate) async fn advance(
        &self,
        connection: &mut PgConnection,
        to: u64,
    ) -> Result<(), ProjectionError> {
        let at = &self.positions;
        let partitions: Vec<i16> = at.keys().map(|it| i16::from(it.number())).collect();
        let from: Vec<i64> = at.values().map(|position| position.cast_signed()).collect();
        let targets: Vec<i64> =
            at.values().map(|position| to.max(*position).cast_signed()).collect();
        let moved = sqlx::query(ADVANCE)
            .bind(&self.name)
            .bind(partitions)
            .bind(from)
            .bind(targets)
            .bind(self.generation)
            .execute(connection)
            .await?
            .rows_affected();
        if moved == at.len() as u64 {
            Ok(())
        } else {
            Err(ProjectionError::Fenced(self.name.clone()))
        }
    }

    /// Notes that the transaction of [`Self::advance`] is committed.
    pub(crate) fn moved(&mut self, to: u64) {
        for position in self.positions.values_mut() {
            *position = to.max(*position);
        }
    }
}

/// The checkpoints of all projections, per partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Of projection `auth`.
    pub auth: [u64; PARTITIONS as usize],
    /// Of projection `users`.
    pub users: [u64; PARTITIONS as usize],
    /// Of projection `messages`.
    pub messages: [u64; PARTITIONS as usize],
    /// Of projection `audit`.
    pub audit: [u64; PARTITIONS as usize],
    /// Of projection `ledger`.
    pub ledger: [u64; PARTITIONS as usize],
    /// Of projection `deciders`.
    pub deciders: [u64; PARTITIONS as usize],
}

impl Positions {
    pub(crate) async fn load(connection: &mut PgConnection) -> sqlx::Result<Self> {
        let names: Vec<&str> = Projection::ALL.iter().map(|it| it.name()).collect();
        let rows: Vec<(String, Vec<i64>)> =
            sqlx::query_as(POSITIONS).bind(names).fetch_all(connection).await?;
        let mut positions = Self::default();
        for (name, row) in rows {
            if let Some(projection) = Projection::find(&name) {
                for (position, value) in positions.of_mut(projection).iter_mut().zip(row) {
                    *position = value.cast_unsigned();
                }
            }
        }
        Ok(positions)
    }

    /// Those of one projection.
    #[must_use]
    pub fn of(&self, projection: Projection) -> &[u64; PARTITIONS as usize] {
        match projection {
            Projection::Auth => &self.auth,
            Projection::Users => &self.users,
            Projection::Messages => &self.messages,
            Projection::Audit => &self.audit,
            Projection::Ledger => &self.ledger,
            Projection::Deciders => &self.deciders,
        }
    }

    fn of_mut(&mut self, projection: Projection) -> &mut [u64; PARTITIONS as usize] {
        match projection {
            Projection::Auth => &mut self.auth,
            Projection::Users => &mut self.users,
            Projection::Messages => &mut self.messages,
            Projection::Audit => &mut self.audit,
            Projection::Ledger => &mut self.ledger,
            Projection::Deciders => &mut self.deciders,
        }
    }

    /// The sequence up to which a projection is complete.
    #[must_use]
    pub fn lowest(&self, projection: Projection) -> u64 {
        self.of(projection).iter().copied().min().unwrap_or_default()
    }

    /// The sequence up to which every projection is complete.
    #[must_use]
    pub fn all(&self) -> u64 {
        Projection::ALL.iter().map(|it| self.lowest(*it)).min().unwrap_or_default()
    }

    /// The highest sequence that any projection has.
    #[must_use]
    pub fn highest(&self) -> u64 {
        Projection::ALL.iter().flat_map(|it| self.of(*it)).copied().max().unwrap_or_default()
    }

    /// The sequence up to which the states that decisions read are complete.
    #[must_use]
    pub fn states(&self) -> u64 {
        self.lowest(Projection::Deciders).min(self.lowest(Projection::Messages))
    }

    /// The sequence up to which the ledger is complete.
    #[must_use]
    pub fn ledger(&self) -> u64 {
        self.lowest(Projection::Ledger)
    }
}
