//! What happens because time has passed, or because something else has: sessions end that nobody
//! refreshed, locks open, suspensions are over, deleted accounts leave their conversations, the
//! tables forget what is too old.
//!
//! Any number may run. A timer decides nothing: it sends a command whose id follows from what is
//! over, so that several send the same one, and whose owner looks whether it is over indeed. What
//! gets lost is sent again at the next look. What time it is the broker says: it judges the ids.

use std::collections::{HashMap, HashSet};

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

use crate::handler::{TimerLimits, stopped};

/// How many things of a kind are ended at one look.
const BATCH: u32 = 500;

/// How long the same command is sent under the same id, in seconds: one that was refused is decided
/// anew after that.
const SLOT: i64 = 60;

/// What is forgotten is forgotten by days, each of them once: in seconds.
const DAY: i64 = 86_400;

/// How long deleted accounts are looked at again and again, after a look at all of them: how long the
/// tables may lag, and longer than it takes to find who was invited in the moment of leaving. There are
/// ever more of them, so all are looked at once a day only.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// Everything, in the order in which it is looked for.
const KINDS: [Kind; 7] = [
    Kind::Session,
    Kind::Lock,
    Kind::Suspension,
    Kind::Membership,
    Kind::EndedSession,
    Kind::Code,
    Kind::Reset,
];

/// Looks what is over.
#[derive(Debug)]
pub(crate) struct Timers {
    pub(crate) bus: Bus,
    pub(crate) names: Names,
    pub(crate) due: DueStore,
    pub(crate) limits: TimerLimits,
}

/// Why a look was of no use.
#[derive(Debug, thiserror::Error)]
enum TimerError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the next looks begin: what cannot be ended is in nobody's way.
#[derive(Debug, Default)]
struct Reached {
    last: HashMap<Kind, Due>,
    /// The day of the last look at all deleted accounts.
    day: i64,
}

impl Reached {
    /// Where a look begins; `None`: with what was over first.
    fn take(&mut self, kind: Kind, now: Time) -> Option<Due> {
        let last = self.last.remove(&kind);
        let today = now.timestamp().div_euclid(DAY);
        if kind == Kind::Membership && self.day != today {
            self.day = today;
            return None;
        }
        last
    }

    /// Notes what a look has found.
    fn note(&mut self, kind: Kind, found: Vec<Due>, now: Time) {
        let next = if found.len() >= BATCH as usize {
            found.into_iter().next_back()
        } else if kind == Kind::Membership {
            let (user_id, id) = (Uuid::nil(), Uuid::nil());
            Some(Due { user_id, id, at: now - LOOK_BACK, successor: None })
        } else {
            None
        };
        if let Some(next) = next {
            self.last.insert(kind, next);
        }
    }
}

impl Timers {
    /// Looks again and again until `stop` turns true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut now_and_then = interval(self.limits.every);
        now_and_then.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reached = Reached::default();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                _ = now_and_then.tick() => {}
            }
            for kind in KINDS {
                if let Err(error) = self.look(kind, &mut reached).await {
                    tracing::warn!(%error, "what is over cannot be ended now");
                }
            }
        }
    }

    /// Ends what is over, or a part of it if that is much.
    async fn look(&self, kind: Kind, reached: &mut Reached) -> Result<(), TimerError> {
        let now = self.bus.time(&self.names).await?;
        let (after, before) = (reached.take(kind, now), self.limits.horizon(kind, now));
        let found = self.due.read(kind, before, after.as_ref(), BATCH.into()).await?;
        let mut sent = HashSet::new();
        for due in &found {
            let order = Order::new(self.limits, kind, due, now);
            if sent.insert(order.id) {
                self.send(order).await?;
            }
        }
        reached.note(kind, found, now);
        Ok(())
    }

    async fn send(&self, order: Order) -> Result<(), BusError> {
        let subject = self.names.command(&CommandSubject {
            actor: Actor::WORKER.to_owned(),
            domain: order.domain.to_owned(),
            command: order.command.to_owned(),
            target: order.target.to_string(),
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::COMMAND_ID, order.id.to_string());
        headers.insert(header::CONTENT_TYPE, ContentType::Json.name());
        let body = ContentType::Json.encode(&order.body);
        self.bus.publish_with_headers(subject, headers, body.into()).await
    }
}

impl TimerLimits {
    /// What was over before this is due.
    fn horizon(self, kind: Kind, now: Time) -> Time {
        match kind {
            Kind::Session | Kind::Lock | Kind::Suspension | Kind::Membership => now,
            Kind::EndedSession => begin(now, DAY) - TimeDelta::days(self.keep_sessions.into()),
            Kind::Code | Kind::Reset => begin(now, DAY) - TimeDelta::days(self.keep_codes.into()),
        }
    }
}

/// A command that ends something.
struct Order {
    domain: &'static str,
    command: &'static str,
    target: Uuid,
    id: Uuid,
    body: Value,
}

impl Order {
    fn new(limits: TimerLimits, kind: Kind, due: &Due, now: Time) -> Self {
        let Due { user_id, id, at, successor } = *due;
        let minute = begin(now, SLOT);
        let (domain, command, body) = match kind {
            Kind::Session => ("auth", "expire_session", json!({ "session_id": id })),
            Kind::Lock => ("auth", "unlock_user", json!({ "if_over": true })),
            Kind::Suspension => ("auth", "reinstate_user", json!({ "if_over": true })),
            Kind::Membership => (
                "messages",
                "remove_deleted_member",
                json!({ "user_id": user_id, "successor_user_id": successor }),
            ),
            Kind::EndedSession | Kind::Code | Kind::Reset => {
                let sessions = limits.horizon(Kind::EndedSession, now);
                let codes = limits.horizon(Kind::Code, now);
                let body = json!({ "sessions_before": sessions, "codes_before": codes });
                // Once a day, whatever there is of an account.
                let (command, today) = ("apply_retention", begin(now, DAY));
                let id = command_id(command, [user_id, user_id], today, today);
                return Self { domain: "auth", command, target: user_id, id, body };
            }
        };
        let target = if kind == Kind::Membership { id } else { user_id };
        let id = command_id(command, [user_id, id], at, minute);
        Self { domain, command, target, id, body }
    }
}

/// When the present minute or day began, in UTC.
fn begin(now: Time, seconds: i64) -> Time {
    let begin = now.timestamp().div_euclid(seconds) * seconds;
    Time::from_timestamp(begin, 0).unwrap_or_default()
}

/// The same for whoever finds the same thing in the same slot.
fn command_id(command: &str, things: [Uuid; 2], at: Time, slot: Time) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(command);
    things.iter().for_each(|id| hash.update(id));
    hash.update(at.timestamp_micros().to_be_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&hash.finalize()[..10]);
    let millis = u64::try_from(slot.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(at: Time) -> Due {
        Due { user_id: Uuid::from_u128(1), id: Uuid::from_u128(2), at, successor: None }
    }

    fn id_of(kind: Kind, due: &Due, now: Time) -> Uuid {
        Order::new(TimerLimits::default(), kind, due, now).id
    }

    #[test]
    fn whoever_finds_the_same_sends_the_same() {
        let now = Time::default() + TimeDelta::days(20_000);
        let over = due(now);
        let id = id_of(Kind::Session, &over, now);
        assert_eq!(id_of(Kind::Session, &over, now + TimeDelta::seconds(59)), id);
        assert_ne!(id_of(Kind::Session, &over, now + TimeDelta::seconds(60)), id);
        assert_ne!(id_of(Kind::Lock, &over, now), id);
        assert_ne!(id_of(Kind::Session, &due(now - TimeDelta::seconds(1)), now), id);
        assert!(id.get_version_num() == 7 && echolog_commands::fields::made(id) == Some(now));
    }

    #[test]
    fn an_account_forgets_once_a_day() {
        let now = Time::default() + TimeDelta::days(20_000);
        let id = id_of(Kind::Code, &due(now), now);
        let other = Due { id: Uuid::from_u128(3), ..due(now - TimeDelta::days(9)) };
        let late = now + TimeDelta::seconds(86_399);
        assert_eq!(id_of(Kind::EndedSession, &other, late), id);
        assert_ne!(id_of(Kind::EndedSession, &other, now + TimeDelta::days(1)), id);
        let body = Order::new(TimerLimits::default(), Kind::Reset, &other, late).body;
        let before = |days| json!(now - TimeDelta::days(days));
        assert_eq!(body, json!({ "sessions_before": before(30), "codes_before": before(1) }));
    }

    #[test]
    fn all_deleted_accounts_are_looked_at_once_a_day() {
        let now = Time::default() + TimeDelta::days(20_000);
        let mut reached = Reached::default();
        let mut begins = |kind, now: Time| {
            let begins = reached.take(kind, now);
            reached.note(kind, Vec::new(), now);
            begins.map(|begins| now - begins.at)
        };
        assert_eq!(begins(Kind::Membership, now), None);
        let later = now + TimeDelta::hours(23);
        assert_eq!(begins(Kind::Membership, later), Some(TimeDelta::hours(23) + LOOK_BACK));
        assert_eq!(begins(Kind::Membership, later), Some(LOOK_BACK));
        assert_eq!(begins(Kind::Membership, now + TimeDelta::days(1)), None);
        assert_eq!(begins(Kind::Session, now), None);
        assert_eq!(begins(Kind::Session, now), None);
    }

    #[test]
    fn what_cannot_be_ended_is_in_nobodys_way() {
        let now = Time::default() + TimeDelta::days(20_000);
        let mut reached = Reached::default();
        let at = |second| now + TimeDelta::seconds(second);
        let many: Vec<Due> = (1..=i64::from(BATCH)).map(|second| due(at(second))).collect();
        for kind in KINDS {
            reached.take(kind, now);
            reached.note(kind, many.clone(), now);
            assert_eq!(reached.take(kind, now), many.last().cloned());
        }
    }
}
