use std::collections::BTreeSet;

use echolog_events::{Event, UsersEvent, Uuid};
use serde::{Deserialize, Serialize};

/// Whom a user blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Blocks(BTreeSet<Uuid>);

impl Blocks {
    /// Whether this user is blocked.
    #[must_use]
    pub fn contains(&self, user: Uuid) -> bool {
        self.0.contains(&user)
    }

    /// How many are blocked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is blocked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        if let Event::Users(UsersEvent::UserBlocked(e)) = event {
            self.0.insert(e.blocked_user_id);
        } else if let Event::Users(UsersEvent::UserUnblocked(e)) = event {
            self.0.remove(&e.blocked_user_id);
        }
    }
}
