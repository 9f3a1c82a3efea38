//! Who the administrators are, by the log itself.

use std::collections::BTreeSet;

use echolog_commands::state::Roster;
use echolog_events::{AdminRosterChanged, Body, Recorded, Uuid, partition_of};
use echolog_nats::{BusError, EventLog};
use echolog_projectors::db::Database;
use echolog_projectors::people::People;
use echolog_projectors::verify::Finding;

/// How often the log is asked again while administrators come and go.
const ATTEMPTS: u32 = 5;

/// What the last event says. A group that the log has only the beginning of says nothing, but what
/// comes next has to name it.
pub(crate) async fn read(log: &EventLog) -> Result<Roster, BusError> {
    let stream = AdminRosterChanged::stream();
    let mut roster = Roster::default();
    let last = log.last(partition_of(&stream.id), &stream).await?;
    let Some(Recorded { body: Body::Known(event), seq, .. }) = last else { return Ok(roster) };
    if log.is_torn(seq).await? {
        roster = before(log, seq).await?;
        roster.seq = seq;
    } else {
        roster.evolve(&event, seq);
    }
    Ok(roster)
}

/// Who they were before an event. It is seldom asked for, and there are few of these events.
async fn before(log: &EventLog, end: u64) -> Result<Roster, BusError> {
    let (stream, mut roster) = (AdminRosterChanged::stream(), Roster::default());
    let mut from = 1;
    while let Some(event) = log.first(partition_of(&stream.id), &stream, from).await? {
        if event.seq >= end {
            break;
        }
        if let (Body::Known(known), false) = (&event.body, log.is_torn(event.seq).await?) {
            roster.evolve(known, event.seq);
        }
        from = event.seq + 1;
    }
    Ok(roster)
}

/// Compares them with those that the tables show.
///
/// # Errors
/// A server that does not answer.
pub(crate) async fn verify(log: &EventLog, database: &Database) -> anyhow::Result<Option<Finding>> {
    let people = People::new(database);
    let mut roster = read(log).await?;
    for _ in 0..ATTEMPTS {
        let (shown, position) = people.admins().await?;
        let now = read(log).await?;
        // What is not there yet is not missing.
        if now.seq == roster.seq && position >= roster.seq {
            return Ok(differing(&roster.admins, &shown.into_iter().collect()));
        }
        roster = now;
    }
    Ok(None)
}

fn differing(named: &BTreeSet<Uuid>, shown: &BTreeSet<Uuid>) -> Option<Finding> {
    let rows: Vec<String> = named.symmetric_difference(shown).map(Uuid::to_string).collect();
    let (check, count) = ("administrators of the log alone, or of the tables alone", rows.len());
    (count > 0).then_some(Finding { check, count: count as u64, rows })
}
