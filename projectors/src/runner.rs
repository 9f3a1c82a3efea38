//! Applies batches of the log to one projection.

use std::time::{Duration, Instant};

use echolog_events::{Partition, Recorded};
use sqlx::{Connection, PgConnection};

use crate::checkpoint::Checkpoint;
use crate::db::Database;
use crate::lease::Lease;
use crate::parking::{Parking, Plan};
use crate::projection::Writer;
use crate::{ProjectionError, Target};

const CLAIM_FOLD: &str =
    "UPDATE projection.folds SET version = $2 WHERE projection = $1 AND version = 0";

const FOLD: &str = "SELECT version FROM projection.folds WHERE projection = $1";

/// Writes one target, for some partitions; the only one who does.
///
/// Rows and checkpoint are committed together, so nothing is applied twice and nothing is left
/// out, whatever stops in between.
#[derive(Debug)]
pub struct Runner {
    target: Target,
    lease: Lease,
    writer: Writer,
    checkpoint: Checkpoint,
    parking: Parking,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// The log is in the tables up to here.
    pub position: u64,
    /// Events that were applied or parked; those of other partitions, and those that were applied
    /// before, do not count.
    pub events: usize,
    /// Events that were parked.
    pub parked: usize,
    /// How long it took.
    pub duration: Duration,
}

/// Events that are committed together.
struct Piece<'a> {
    events: Vec<&'a Recorded>,
    to: u64,
}

impl Runner {
    /// Takes over a target. `None`: somebody else writes it; ask again later.
    ///
    /// # Errors
    /// No connection; tables made by another version of the fold.
    pub async fn start(
        database: &Database,
        target: Target,
        partitions: &[Partition],
    ) -> Result<Option<Self>, ProjectionError> {
        let projection = target.projection();
        if projection.is_single_lane() && partitions.len() != Partition::all().len() {
            return Err(ProjectionError::Divided(projection.name()));
        }
        let Some(mut lease) = Lease::take(database, &target, partitions).await? else {
            return Ok(None);
        };
        check_fold(lease.connection(), &target).await?;
        let checkpoint = Checkpoint::load(lease.connection(), &target, partitions).await?;
        let parking = Parking::load(lease.connection(), &target).await?;
        let writer = Writer::new(&target);
        Ok(Some(Self { target, lease, writer, checkpoint, parking }))
    }

    /// What it writes.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The sequence behind which the log has to be read on.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.checkpoint.lowest()
    }

    /// How many ids are set aside.
    #[must_use]
    pub fn parked_ids(&self) -> usize {
        self.parking.len()
    }

    /// Tells the writer whether its tables lack the keys by which old rows are found.
    pub(crate) fn set_bare(&mut self, bare: bool) {
        self.writer.set_bare(bare);
    }

    /// Whether these events ask for rows that earlier batches wrote into tables without keys.
    pub(crate) fn looks_up(&self, events: &[Recorded]) -> bool {
        self.writer.looks_up(events)
    }

    /// Applies the next events of the log, and notes that it is complete up to `to`: at least the
    /// last event's sequence, and more where nothing follows. Events of other partitions and those
    /// applied before are passed over. An event that cannot be applied is found by halving the
    /// batch; its id is set aside and the rest goes on.
    ///
    /// # Errors
    /// See [`ProjectionError::recovery`]. Part of the batch may have been committed; the same call
    /// again does the rest.
    pub async fn apply(&mut self, events: &[Recorded], to: u64) -> Result<Flush, ProjectionError> {
        let started = Instant::now();
        let due: Vec<_> = events.iter().filter(|event| self.checkpoint.is_due(event)).collect();
        let count = due.len();
        let mut parked = 0;
        let mut pieces = vec![Piece { events: due, to }];
        while let Some(piece) = pieces.pop() {
            if piece.events.is_empty() && self.checkpoint.has(piece.to) {
                continue;
            }
            let plan = self.parking.plan(&piece.events);
            let result = match (self.commit(&plan, piece.to).await, piece.events.as_slice()) {
                (Err(ProjectionError::Data { reason }), &[event]) => {
                    let plan = self.parking.set_aside(event, reason);
                    self.commit(&plan, piece.to).await
                }
                (Err(ProjectionError::Data { .. }), &[_, _, ..]) => {
                    let (earlier, later) = piece.halve();
                    pieces.extend([later, earlier]);
                    continue;
                }
                (result, _) => result,
            };
            parked += result?;
        }
        let position = self.checkpoint.lowest();
        Ok(Flush { position, events: count, parked, duration: started.elapsed() })
    }

    /// Commits rows, parked events and checkpoint; returns how many were parked.
    async fn commit(&mut self, plan: &Plan<'_>, to: u64) -> Result<usize, ProjectionError> {
        let mut transaction = self.lease.connection().begin().await?;
        self.checkpoint.advance(&mut transaction, to).await?;
        self.writer.write(&mut transaction, &plan.apply, &plan.aside()).await?;
        self.parking.insert(&mut transaction, &plan.park).await?;
        transaction.commit().await?;
        self.checkpoint.moved(to);
        self.parking.remember(&plan.park);
        Ok(plan.park.len())
    }
}

impl Piece<'_> {
    fn halve(mut self) -> (Self, Self) {
        let later = self.events.split_off(self.events.len() / 2);
        let middle = self.events.last().map_or(0, |event| event.seq);
        (Self { events: self.events, to: middle }, Self { events: later, to: self.to })
    }
}

/// Makes sure that the rows were made by the fold that is about to go on with them.
pub(crate) async fn check_fold(
    connection: &mut PgConnection,
    target: &Target,
) -> Result<(), ProjectionError> {
    let (projection, current) = (target.name(), target.projection().version());
    sqlx::query(CLAIM_FOLD).bind(&projection).bind(current).execute(&mut *connection).await?;
    let stored: Option<(i32,)> =
        sqlx::query_as(FOLD).bind(&projection).fetch_optional(connection).await?;
    match stored {
        Some((stored,)) if stored == current => Ok(()),
        Some((stored,)) => Err(ProjectionError::OtherFold { projection, stored, current }),
        None => Err(ProjectionError::Fenced(projection)),
    }
}
