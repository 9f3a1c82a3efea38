//! The connections that this process has let in, to end those whose right to be there ends.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use echolog_commands::auth::{Ask, Ended};
use echolog_nats::{Bus, BusError, ConnectionId};
use futures::{StreamExt, stream};

use super::identity::{Identity, LIFETIME, tag};

/// A connection is remembered for so long after it should have ended.
const LINGER: Duration = Duration::from_secs(60);

/// How many connections are ended at once: a server that hangs must not keep the others.
const AT_ONCE: usize = 64;

/// Which connections to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kick {
    /// All of this actor.
    Actor(String),
    /// All that stand for this, such as `anonymous`.
    Tag(String),
    /// All of this actor that stand for this, such as `session:…`. Clients make such ids, so somebody else may
    /// have the same.
    Right(String, String),
}

impl From<Ended> for Kick {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Right(user, right) => Self::Right(user.to_string(), tag(right)),
            Ended::Account(user) => Self::Actor(user.to_string()),
        }
    }
}

impl Kick {
    fn concerns(&self, identity: &Identity) -> bool {
        match self {
            Self::Actor(actor) => identity.actor == *actor,
            Self::Tag(tag) => identity.tags.contains(tag),
            Self::Right(actor, tag) => identity.actor == *actor && identity.tags.contains(tag),
        }
    }
}

/// Who is connected by which connection. It does not grow beyond what is connected: what ends is
/// forgotten, and what never came to be when it would have ended.
#[derive(Clone, Debug)]
pub struct Connections {
    system: Bus,
    table: Arc<Mutex<Table>>,
}

/// Whoever was let in.
#[derive(Debug)]
struct Admitted {
    identity: Identity,
    address: String,
    /// When it ends in any case. Whose clock is right does not matter.
    until: Instant,
}

#[derive(Debug, Default)]
struct Table {
    admitted: HashMap<ConnectionId, Admitted>,
    /// How many there are from each address.
    addresses: HashMap<String, usize>,
}

impl Table {
    fn remove(&mut self, connection: &ConnectionId) {
        let Some(Admitted { address, .. }) = self.admitted.remove(connection) else { return };
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }
}

impl Connections {
    pub(super) fn new(system: Bus) -> Self {
        Self { system, table: Arc::default() }
    }

    /// Has to happen before the client is let in, and before anybody is asked whether it may be, so
    /// that nothing is missed which ends its right. `false` if the address has `most` already.
    pub(super) fn insert(
        &self,
        connection: ConnectionId,
        identity: Identity,
        address: String,
        most: usize,
    ) -> bool {
        let mut table = self.lock();
        let count = table.addresses.entry(address.clone()).or_default();
        if most > 0 && *count >= most {
            return false;
        }
        *count += 1;
        // A number that a server uses again is another connection.
        let admitted = Admitted { identity, address, until: Instant::now() + LIFETIME };
        if let Some(before) = table.admitted.insert(connection, admitted)
            && let Some(count) = table.addresses.get_mut(&before.address)
        {
            *count -= 1;
        }
        true
    }

    /// Notes a connection that is there already. How long it lasts, another process has said.
    pub(super) fn take_in(&self, connection: ConnectionId, identity: Identity, address: String) {
        if !self.lock().admitted.contains_key(&connection) {
            self.insert(connection, identity, address, 0);
        }
    }

    /// Notes how long a connection lasts at most. `false` if it has to end already.
    pub(super) fn confirm(&self, connection: &ConnectionId, lasts: Duration) -> bool {
        let mut table = self.lock();
        let Some(admitted) = table.admitted.get_mut(connection) else { return false };
        admitted.until = Instant::now() + lasts;
        true
    }

    /// What the owners of accounts can be asked about those who are connected.
    pub(super) fn asks(&self) -> Vec<Ask> {
        let mut seen = HashSet::new();
        let table = self.lock();
        let asks = table.admitted.values().filter_map(|it| it.identity.ask.as_ref());
        let asks = asks.filter(|ask| seen.insert((ask.user_id, ask.right)));
        asks.map(|ask| Ask { shown: None, ..ask.clone() }).collect()
    }

    pub(super) fn remove(&self, connection: &ConnectionId) {
        self.lock().remove(connection);
    }

    pub(super) fn forget_expired(&self) {
        let mut table = self.lock();
        let over = table.admitted.iter().filter(|(_, it)| it.until.elapsed() > LINGER);
        let over: Vec<ConnectionId> = over.map(|(connection, _)| connection.clone()).collect();
        for connection in &over {
            table.remove(connection);
        }
    }

    pub(super) fn system(&self) -> Bus {
        self.system.clone()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().admitted.len()
    }

    /// Ends connections; returns how many. The client may connect again if it still may.
    ///
    /// # Errors
    /// A server does not answer; the others were asked all the same.
    pub async fn kick(&self, whose: &Kick) -> Result<usize, BusError> {
        let concerned: Vec<ConnectionId> = {
            let table = self.lock();
            let concerned = table.admitted.iter().filter(|(_, it)| whose.concerns(&it.identity));
            concerned.map(|(connection, _)| connection.clone()).collect()
        };
        let count = concerned.len();
        let kicks = concerned.into_iter().map(|connection| async move {
            self.system.kick(&connection).await?;
            self.remove(&connection);
            Ok(())
        });
        let kicked: Vec<Result<(), BusError>> =
            stream::iter(kicks).buffer_unordered(AT_ONCE).collect().await;
        kicked.into_iter().collect::<Result<(), BusError>>().map(|()| count)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
