//! The connections that this process has let in, to end those whose right to be there ends.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use echolog_commands::auth::{Ask, Ended};
use echolog_events::Time;
use echolog_nats::{Bus, BusError, ConnectionId};

use super::identity::{Identity, tag};

/// Clocks differ: a connection is remembered for so long after it should have ended.
const LINGER: TimeDelta = TimeDelta::minutes(1);

/// Which connections to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kick {
    /// All of this actor.
    Actor(String),
    /// All that stand for this, such as `session:…`.
    Tag(String),
}

impl From<Ended> for Kick {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Right(_, right) => Self::Tag(tag(right)),
            Ended::Account(user) => Self::Actor(user.to_string()),
        }
    }
}

impl Kick {
    fn concerns(&self, identity: &Identity) -> bool {
        match self {
            Self::Actor(actor) => identity.actor == *actor,
            Self::Tag(tag) => identity.tags.contains(tag),
        }
    }
}

/// Who is connected by which connection. It does not grow beyond what is connected: what ends is
/// forgotten, and what never came to be when it would have ended.
#[derive(Clone, Debug)]
pub struct Connections {
    system: Bus,
    admitted: Arc<Mutex<HashMap<ConnectionId, Identity>>>,
}

impl Connections {
    pub(super) fn new(system: Bus) -> Self {
        Self { system, admitted: Arc::default() }
    }

    /// Has to happen before the client is let in, and before anybody is asked whether it may be, so
    /// that nothing is missed which ends its right.
    pub(super) fn insert(&self, connection: ConnectionId, identity: Identity) {
        self.lock().insert(connection, identity);
    }

    /// Notes when a connection ends in any case. `false` if it has to end already.
    pub(super) fn confirm(&self, connection: &ConnectionId, expires: Time) -> bool {
        let mut admitted = self.lock();
        let Some(identity) = admitted.get_mut(connection) else { return false };
        identity.expires = expires;
        true
    }

    /// What the owners of accounts can be asked about those who are connected.
    pub(super) fn asks(&self) -> Vec<Ask> {
        let mut seen = HashSet::new();
        let admitted = self.lock();
        let asks = admitted.values().filter_map(|identity| identity.ask.as_ref());
        let asks = asks.filter(|ask| seen.insert((ask.user_id, ask.right)));
        asks.map(|ask| Ask { shown: None, ..ask.clone() }).collect()
    }

    pub(super) fn remove(&self, connection: &ConnectionId) {
        self.lock().remove(connection);
    }

    pub(super) fn forget_expired(&self, now: Time) {
        self.lock().retain(|_, identity| identity.expires + LINGER > now);
    }

    pub(super) fn system(&self) -> Bus {
        self.system.clone()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Ends connections; returns how many. The client may connect again if it still may.
    ///
    /// # Errors
    /// A server does not answer; the others were asked all the same.
    pub async fn kick(&self, whose: &Kick) -> Result<usize, BusError> {
        let concerned: Vec<ConnectionId> = {
            let admitted = self.lock();
            let concerned = admitted.iter().filter(|(_, identity)| whose.concerns(identity));
            concerned.map(|(connection, _)| connection.clone()).collect()
        };
        let mut kicked = Ok(concerned.len());
        for connection in &concerned {
            match self.system.kick(connection).await {
                Ok(()) => self.remove(connection),
                Err(error) => kicked = Err(error),
            }
        }
        kicked
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Identity>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
