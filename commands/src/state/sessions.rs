use std::collections::{BTreeMap, BTreeSet};

use echolog_events::{Event, PasswordEvent, SessionEvent, SessionStarted, Time, TokenHash, Uuid};
use serde::{Deserialize, Serialize};

use crate::fields::made;

/// How many ended sessions are remembered at most, so that their ids are not used again.
const ENDED: usize = 256;

/// What decisions remember of an account's sessions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// Those that were begun and not ended; the time of some may be over.
    pub open: BTreeMap<Uuid, Session>,
    /// The latest of those that were ended.
    pub ended: BTreeSet<Uuid>,
    /// Attempts to log in that failed since one succeeded, or since the last lock.
    pub failures: u32,
    /// Nobody logs in before this.
    pub locked_until: Option<Time>,
    /// The number of the password's present hash: one that was checked against an earlier one proves
    /// nothing. An older build does not count them, so there may have been more.
    #[serde(default)]
    pub password: u32,
}

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// On which device; one session each.
    pub device_id: String,
    /// Of the token that connects.
    pub token_hash: TokenHash,
    /// Of the refresh token's row.
    pub refresh_id: Uuid,
    /// Of the refresh token.
    pub refresh_hash: TokenHash,
    /// Of the refresh token before.
    pub previous_hash: Option<TokenHash>,
    /// When that was exchanged first.
    pub exchanged_at: Option<Time>,
    /// How often it was refreshed.
    pub generation: u32,
    /// When it ends if it is not refreshed before.
    pub expires_at: Time,
    /// When it was last said to be in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_at: Option<Time>,
}

impl Session {
    fn started(event: &SessionStarted) -> Self {
        Self {
            device_id: event.device_id.clone(),
            token_hash: event.token_hash.clone(),
            refresh_id: event.refresh_id,
            refresh_hash: event.refresh_hash.clone(),
            previous_hash: None,
            exchanged_at: None,
            generation: 0,
            expires_at: event.expires_at,
            active_at: None,
        }
    }
}

impl Sessions {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            ended: BTreeSet::new(),
            failures: 0,
            locked_until: None,
            password: 0,
        }
    }

    /// Whether nobody may log in now.
    #[must_use]
    pub fn is_locked(&self, now: Time) -> bool {
        self.locked_until.is_some_and(|until| until > now)
    }

    /// A session whose time is not over.
    #[must_use]
    pub fn live(&self, id: Uuid, now: Time) -> Option<&Session> {
        self.open.get(&id).filter(|session| session.expires_at > now)
    }

    /// Whether so many sessions have ended lately that no more can be remembered.
    #[must_use]
    pub fn is_worn(&self, now: Time) -> bool {
        let late = |id: &&Uuid| made(**id).is_some_and(|made| made + Self::MEMORY > now);
        self.ended.iter().filter(late).count() >= ENDED
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        if let Event::Passwords(event) = event {
            self.password = event.number();
            if let PasswordEvent::PasswordChanged(_) = event {
                self.failures = 0;
            }
        }
        let Event::Sessions(event) = event else { return };
        match event {
            SessionEvent::LoginSucceeded(_) | SessionEvent::UserUnlocked(_) => {
                (self.failures, self.locked_until) = (0, None);
            }
            SessionEvent::LoginFailed(e) => self.failures += u32::from(e.counts),
            SessionEvent::UserLocked(e) => {
                (self.failures, self.locked_until) = (0, Some(e.locked_until));
            }
            SessionEvent::SessionStarted(e) => {
                self.open.insert(e.session_id, Session::started(e));
                self.forget_ended(e.session_id);
            }
            SessionEvent::SessionRefreshed(e) => {
                if let Some(session) = self.open.get_mut(&e.session_id) {
                    session.token_hash = e.token_hash.clone();
                    session.refresh_id = e.refresh_id;
                    let last = std::mem::replace(&mut session.refresh_hash, e.refresh_hash.clone());
                    // Exchanged once more because the answer got lost, the same one stays the last.
                    if e.generation > session.generation {
                        session.previous_hash = Some(last);
                        session.exchanged_at = Some(e.refreshed_at);
                    }
                    session.generation = e.generation;
                    session.expires_at = e.expires_at;
                }
            }
            // Nothing that decisions remember is so old.
            SessionEvent::RefreshTokenReused(_) | SessionEvent::RetentionApplied(_) => {}
            SessionEvent::SessionRevoked(e) => self.end(e.session_id),
            SessionEvent::SessionActivityRecorded(e) => {
                if let Some(session) = self.open.get_mut(&e.session_id) {
                    session.active_at = Some(e.active_at);
                }
            }
            SessionEvent::SessionExpired(e) => self.end(e.session_id),
        }
    }

    fn end(&mut self, session: Uuid) {
        self.open.remove(&session);
        self.ended.insert(session);
    }

    /// An id that is too old for a new session need not be remembered. A new one is never more than
    /// [`Self::MEMORY`] older than the newest there was.
    fn forget_ended(&mut self, newest: Uuid) {
        let Some(newest) = made(newest) else { return };
        self.ended.retain(|id| made(*id).is_some_and(|made| made + Self::MEMORY > newest));
    }

    /// How much older than another the id of a new session may be: what clocks may differ by, and
    /// more.
    const MEMORY: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
}

#[cfg(test)]
mod tests {
    use echolog_events::{RevokedReason, SessionRevoked};

    use super::*;

    fn new_id(minutes: u64) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(minutes * 60_000, &[7; 10]).into_uuid()
    }

    fn ends(sessions: &mut Sessions, session_id: Uuid) {
        let event = SessionRevoked {
            user_id: Uuid::nil(),
            session_id,
            reason: RevokedReason::Logout,
            by_user_id: None,
        };
        sessions.evolve(&Event::Sessions(SessionEvent::SessionRevoked(event)));
    }

    #[test]
    fn nobody_is_kept_from_logging_in_for_ever() {
        let mut sessions = Sessions::default();
        for number in 0..ENDED {
            let random = [u8::try_from(number % 256).expect("a byte"); 10];
            let id = uuid::Builder::from_unix_timestamp_millis(number as u64, &random);
            ends(&mut sessions, id.into_uuid());
        }
        let at = |minutes: i64| Time::from_timestamp(minutes * 60, 0).expect("a time");
        assert!(sessions.is_worn(at(9)) && !sessions.is_worn(at(11)));
    }

    #[test]
    fn what_ended_long_ago_is_forgotten() {
        let mut sessions = Sessions::default();
        for minute in 0..20 {
            ends(&mut sessions, new_id(minute));
        }
        sessions.forget_ended(new_id(20));
        assert_eq!(sessions.ended.len(), 9);
        assert!(sessions.ended.contains(&new_id(11)) && !sessions.ended.contains(&new_id(10)));
    }
}
