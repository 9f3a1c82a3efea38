//! Ids that are set aside because of an event that cannot be applied.

use std::collections::HashSet;

use echolog_events::{Body, Recorded};
use sqlx::PgConnection;

use crate::rows::{Rows, Table};
use crate::{Projection, ProjectionError, Target};

const LOAD: &str = "SELECT DISTINCT stream_id FROM projection.parked WHERE projection = $1";

const SKIPPED: &str = "SELECT event_seq FROM projection.skipped WHERE projection = $1";

/// Of `parked`.
const COLUMNS: &str = "projection text, partition smallint, stream_id text, event_seq bigint,
    event_type text, error text, parked_at timestamptz, payload bytea";

/// The ids that a projector has set aside.
#[derive(Debug)]
pub(crate) struct Parking {
    projection: Projection,
    name: String,
    ids: HashSet<String>,
    /// Events that an operator has given up: whoever folds the log passes them over.
    skipped: HashSet<u64>,
    rows: Table,
}

/// An event that waits, and why if it is the first of its id.
#[derive(Debug, PartialEq)]
pub(crate) struct Parked<'a> {
    pub(crate) event: &'a Recorded,
    pub(crate) error: Option<String>,
}

/// The events of a batch, sorted out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan<'a> {
    pub(crate) apply: Vec<&'a Recorded>,
    pub(crate) park: Vec<Parked<'a>>,
    pub(crate) skip: Vec<&'a Recorded>,
}

impl<'a> Plan<'a> {
    /// The events whose content does not come into the tables now.
    pub(crate) fn aside(&self) -> Vec<&'a Recorded> {
        self.park.iter().map(|parked| parked.event).chain(self.skip.iter().copied()).collect()
    }
}

impl Parking {
    /// Reads what is set aside.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        target: &Target,
    ) -> Result<Self, ProjectionError> {
        let name = target.name();
        let ids: Vec<(String,)> =
            sqlx::query_as(LOAD).bind(&name).fetch_all(&mut *connection).await?;
        // A copy passes over what the live tables do.
        let skipped: Vec<(i64,)> =
            sqlx::query_as(SKIPPED).bind(target.projection().name()).fetch_all(connection).await?;
        Ok(Self {
            projection: target.projection(),
            name,
            ids: ids.into_iter().map(|(id,)| id).collect(),
            skipped: skipped.into_iter().map(|(seq,)| seq.cast_unsigned()).collect(),
            rows: Table::named("projection.parked", COLUMNS),
        })
    }

    /// How many ids are set aside.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Sorts a batch out: what was given up is passed over; what cannot be read is parked, and so
    /// is everything later under its id.
    pub(crate) fn plan<'a>(&self, events: &[&'a Recorded]) -> Plan<'a> {
        let mut plan = Plan::default();
        let mut new: HashSet<&str> = HashSet::new();
        for event in events {
            let id = event.key.id.as_str();
            let ours = self.projection.concerns(event.key.stream);
            if self.skipped.contains(&event.seq) {
                plan.skip.push(event);
            } else if ours && (self.ids.contains(id) || new.contains(id)) {
                plan.park.push(Parked { event, error: None });
            } else if let (true, Body::Unreadable(unreadable)) = (ours, &event.body) {
                new.insert(id);
                plan.park.push(Parked { event, error: Some(unreadable.reason.clone()) });
            } else {
                plan.apply.push(event);
            }
        }
        plan
    }

    /// The plan for an event that was found to be the one that cannot be applied.
    pub(crate) fn set_aside<'a>(&self, event: &'a Recorded, error: String) -> Plan<'a> {
        if !self.projection.parks() {
            tracing::error!(
                projection = self.name,
                seq = event.seq,
                error,
                "an event is passed over"
            );
            return Plan { skip: vec![event], ..Plan::default() };
        }
        Plan { park: vec![Parked { event, error: Some(error) }], ..Plan::default() }
    }

    /// Writes down what waits, in the caller's transaction.
    pub(crate) async fn insert(
        &self,
        connection: &mut PgConnection,
        parked: &[Parked<'_>],
    ) -> Result<(), ProjectionError> {
        let mut rows = Rows::new();
        for Parked { event, error } in parked {
            let (event_type, payload) = match &event.body {
                Body::Known(known) => (known.event_type().name.to_owned(), Some(known.encode())),
                Body::Unreadable(unreadable) => (without_nul(&unreadable.name), None),
            };
            let error = error.as_deref().map(without_nul);
            rows.row(&[
                &self.name,
                &i16::from(event.partition.number()),
                &event.key.id,
                &event.seq.cast_signed(),
                &event_type,
                &error,
                &event.meta.time,
                &payload,
            ]);
        }
        Ok(rows.send(connection, &self.rows).await?)
    }

    /// Remembers what is written down, once that is committed.
    pub(crate) fn remember(&mut self, parked: &[Parked<'_>]) {
        for Parked { event, error } in parked {
            if let Some(error) = error {
                let (projection, id) = (&self.name, &event.key.id);
                tracing::error!(projection, seq = event.seq, id, error, "an id is set aside");
                self.ids.insert(id.clone());
            }
        }
    }
}

/// What PostgreSQL can keep: nothing may be in the way of setting an event aside.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
