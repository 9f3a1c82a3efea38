//! Projection `deciders`: what decisions remember, folded by the very functions that they use.

use std::collections::HashMap;

use echolog_commands::State;
use echolog_commands::state::Owner;
use echolog_events::{Body, Recorded, Stream};
use sqlx::PgConnection;

use crate::sql::{Sql, column};
use crate::{ProjectionError, Target};

const LOAD: &str = "SELECT s.stream, s.id, s.state, s.seq
    FROM unnest($1::text[], $2::text[]) AS d (stream, id)
    JOIN {schema}.deciders AS s USING (stream, id)";

const UPSERT: &str = "INSERT INTO {schema}.deciders (stream, id, seq, state)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])
    ON CONFLICT (stream, id) DO UPDATE SET seq = excluded.seq, state = excluded.state";

/// The statements of projection `deciders`.
#[derive(Debug)]
pub(crate) struct Deciders {
    load: Sql,
    upsert: Sql,
}

/// The states that a batch changes, by kind of stream and id.
#[derive(Debug, Default)]
struct States {
    states: HashMap<(Stream, String), (State, u64)>,
    owners: HashMap<String, Ownership>,
}

/// The ownership of a partition, as of the last event that changed it.
#[derive(Debug, Default)]
struct Ownership {
    owner: Owner,
    seq: u64,
    changed: bool,
}

impl States {
    /// Lets an event change the ownership of its partition. It carries the owner's position even
    /// if its content is set aside; when the content is taken up again, that is long past.
    fn own(&mut self, event: &Recorded) {
        let ownership = self.owners.entry(owner_id(event)).or_default();
        if event.seq > ownership.seq && ownership.owner.evolve(event) {
            ownership.seq = event.seq;
            ownership.changed = true;
        }
    }

    /// Lets an event change the state of its stream.
    fn evolve(&mut self, event: &Recorded) {
        let kept_as = State::kept_as(event.key.stream);
        let Some(initial) = State::initial(kept_as) else { return };
        let Body::Known(known) = &event.body else { return };
        let key = (kept_as, event.key.id.clone());
        let (state, seq) = self.states.entry(key).or_insert((initial, 0));
        state.evolve(known, event.seq);
        *seq = event.seq;
    }

    /// The rows that changed.
    fn rows(&self) -> Vec<(&'static str, &str, i64, Vec<u8>)> {
        let mut rows = Vec::with_capacity(self.states.len() + self.owners.len());
        for ((stream, id), (state, seq)) in &self.states {
            if let Some(bytes) = state.to_bytes().filter(|_| *seq > 0) {
                rows.push((stream.name(), id.as_str(), seq.cast_signed(), bytes));
            }
        }
        for (id, Ownership { owner, seq, .. }) in self.owners.iter().filter(|it| it.1.changed) {
            let bytes = rmp_serde::to_vec_named(owner)
                .expect("two numbers and a position have nothing that MessagePack lacks");
            rows.push((Stream::Owner.name(), id.as_str(), seq.cast_signed(), bytes));
        }
        rows
    }
}

impl Deciders {
    pub(crate) fn new(target: &Target) -> Self {
        Self { load: target.sql(LOAD), upsert: target.sql(UPSERT) }
    }

    pub(crate) async fn write(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
        aside: &[&Recorded],
    ) -> Result<(), ProjectionError> {
        let mut states = self.load(connection, events, aside).await?;
        for event in events {
            states.evolve(event);
        }
        let mut all: Vec<&&Recorded> = events.iter().chain(aside).collect();
        all.sort_unstable_by_key(|event| event.seq);
        for event in all {
            states.own(event);
        }
        let rows = states.rows();
        if !rows.is_empty() {
            self.upsert
                .query()
                .bind(column(&rows, |(stream, ..)| *stream))
                .bind(column(&rows, |(_, id, ..)| *id))
                .bind(column(&rows, |(_, _, seq, _)| *seq))
                .bind(column(&rows, |(.., state)| state.as_slice()))
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    async fn load(
        &self,
        connection: &mut PgConnection,
        events: &[&Recorded],
        aside: &[&Recorded],
    ) -> Result<States, ProjectionError> {
        let kept = |event: &&Recorded| {
            let kept_as = State::kept_as(event.key.stream);
            State::initial(kept_as).is_some().then(|| (kept_as, event.key.id.clone()))
        };
        let mut keys: Vec<(Stream, String)> = events
            .iter()
            .filter_map(kept)
            .chain(events.iter().chain(aside).map(|event| (Stream::Owner, owner_id(event))))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let rows: Vec<(String, String, Vec<u8>, i64)> = self
            .load
            .query_as()
            .bind(column(&keys, |(stream, _)| stream.name()))
            .bind(column(&keys, |(_, id)| id.as_str()))
            .fetch_all(connection)
            .await?;
        let mut states = States::default();
        for (stream, id, bytes, seq) in rows {
            let known = Stream::ALL.into_iter().find(|known| known.name() == stream);
            match known {
                Some(Stream::Owner) => {
                    let (owner, seq) = (read_owner(&bytes)?, seq.cast_unsigned());
                    states.owners.insert(id, Ownership { owner, seq, changed: false });
                }
                Some(stream) => {
                    let state = State::from_bytes(stream, &bytes)?;
                    states.states.insert((stream, id), (state, 0));
                }
                None => {}
            }
        }
        Ok(states)
    }
}

/// The id of the row about a partition's ownership.
fn owner_id(event: &Recorded) -> String {
    event.partition.to_string()
}

/// Reads a stored ownership.
pub(crate) fn read_owner(bytes: &[u8]) -> Result<Owner, ProjectionError> {
    rmp_serde::from_slice(bytes).map_err(|error| ProjectionError::Owner(error.to_string()))
}
