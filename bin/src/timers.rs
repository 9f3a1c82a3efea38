//! What happens because time has passed, or because something else has: sessions end that nobody
//! refreshed, locks open, suspensions are over, deleted accounts leave their conversations.
//!
//! Any number may run. A timer decides nothing: it sends a command whose id follows from what is
//! over, so that several send the same one, and whose owner looks whether it is over indeed. What
//! gets lost is sent again at the next look.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use echolog_commands::{Actor, ContentType};
use echolog_events::{Time, Uuid};
use echolog_nats::{Bus, BusError, CommandSubject, HeaderMap, Names, header};
use echolog_projectors::due::{Due, DueStore, Kind};
use echolog_projectors::store::StoreError;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Builder;

use crate::clock;
use crate::handler::stopped;

/// How many things of a kind are ended at one look.
const BATCH: u32 = 500;

/// How long the same command is sent under the same id, in seconds: one that was refused is decided
/// anew after that.
const SLOT: i64 = 60;

/// How long deleted accounts are looked at again and again, after a look at all of them: how long the
/// tables may lag, and longer than it takes to find who was invited in the moment of leaving.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// Looks what is over.
#[derive(Debug)]
pub(crate) struct Timers {
    pub(crate) bus: Bus,
    pub(crate) names: Names,
    pub(crate) due: DueStore,
    /// How often.
    pub(crate) every: Duration,
}

/// Why a look was of no use.
#[derive(Debug, thiserror::Error)]
enum TimerError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Timers {
    /// Looks again and again until `stop` turns true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut now_and_then = interval(self.every);
        now_and_then.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Where a look ended that did not reach the end: what cannot be ended is in nobody's way.
        let mut reached = HashMap::new();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                _ = now_and_then.tick() => {}
            }
            for kind in [Kind::Session, Kind::Lock, Kind::Suspension, Kind::Membership] {
                match self.look(kind, reached.remove(&kind)).await {
                    Ok(Some(last)) => drop(reached.insert(kind, last)),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "what is over cannot be ended now"),
                }
            }
        }
    }

    /// Ends what is over; returns the last one if there may be more.
    async fn look(&self, kind: Kind, after: Option<Due>) -> Result<Option<Due>, TimerError> {
        let now = clock::now();
        let due = self.due.read(kind, now, after.as_ref(), BATCH.into()).await?;
        for due in &due {
            self.send(kind, due, now).await?;
        }
        if due.len() >= BATCH as usize {
            return Ok(due.into_iter().next_back());
        }
        Ok(match kind {
            Kind::Session | Kind::Lock | Kind::Suspension => None,
            // There are ever more deleted accounts; those of long ago have left.
            Kind::Membership => Some(Due {
                user_id: Uuid::nil(),
                id: Uuid::nil(),
                at: now - LOOK_BACK,
                successor: None,
            }),
        })
    }

    async fn send(&self, kind: Kind, due: &Due, now: Time) -> Result<(), BusError> {
        let (domain, command, body): (_, _, Value) = match kind {
            Kind::Session => ("auth", "expire_session", json!({ "session_id": due.id })),
            Kind::Lock => ("auth", "unlock_user", json!({ "if_over": true })),
            Kind::Suspension => ("auth", "reinstate_user", json!({ "if_over": true })),
            Kind::Membership => (
                "messages",
                "remove_deleted_member",
                json!({ "user_id": due.user_id, "successor_user_id": due.successor }),
            ),
        };
        let target = match kind {
            Kind::Session | Kind::Lock | Kind::Suspension => due.user_id,
            Kind::Membership => due.id,
        };
        let subject = self.names.command(&CommandSubject {
            actor: Actor::WORKER.to_owned(),
            domain: domain.to_owned(),
            command: command.to_owned(),
            target: target.to_string(),
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::COMMAND_ID, command_id(command, due, now).to_string());
        headers.insert(header::CONTENT_TYPE, ContentType::Json.name());
        let body = ContentType::Json.encode(&body);
        self.bus.publish_with_headers(subject, headers, body.into()).await
    }
}

/// The same for whoever finds the same thing in the same minute.
fn command_id(command: &str, due: &Due, now: Time) -> Uuid {
    let slot = now.timestamp().div_euclid(SLOT) * SLOT;
    let mut hash = Sha256::new();
    hash.update(command);
    hash.update(due.user_id);
    hash.update(due.id);
    hash.update(due.at.timestamp_micros().to_be_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&hash.finalize()[..10]);
    let millis = u64::try_from(slot).unwrap_or_default() * 1000;
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_the_same_sends_the_same() {
        let now = Time::default() + TimeDelta::days(20_000);
        let (user_id, id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let due = Due { user_id, id, at: now, successor: None };
        let id = command_id("expire_session", &due, now);
        assert_eq!(command_id("expire_session", &due, now + TimeDelta::seconds(59)), id);
        assert_ne!(command_id("expire_session", &due, now + TimeDelta::seconds(60)), id);
        assert_ne!(command_id("unlock_user", &due, now), id);
        let other = Due { at: now - TimeDelta::seconds(1), ..due };
        assert_ne!(command_id("expire_session", &other, now), id);
        assert!(id.get_version_num() == 7 && echolog_commands::fields::made(id) == Some(now));
    }
}
