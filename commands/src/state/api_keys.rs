use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use echolog_events::{ApiKeyCreated, Scope, Time, TokenHash, Uuid};
use serde::{Deserialize, Serialize};

use crate::fields::made;

/// How many revoked keys are remembered at most, so that their ids are not used again.
const ENDED: usize = 256;

/// How much older than another the id of a new key may be: what clocks may differ by, and more.
const MEMORY: TimeDelta = TimeDelta::minutes(10);

/// What decisions remember of a user's API keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiKeys {
    /// Those that were not revoked; the time of some may be over.
    pub open: BTreeMap<Uuid, ApiKey>,
    /// The latest of those that were.
    pub ended: BTreeSet<Uuid>,
}

/// An API key that was not revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Of the key.
    pub key_hash: TokenHash,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it ends, if it ends by itself.
    pub expires_at: Option<Time>,
}

impl ApiKey {
    /// Whether its time is not over.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        self.expires_at.is_none_or(|expires_at| expires_at > now)
    }
}

impl ApiKeys {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { open: BTreeMap::new(), ended: BTreeSet::new() }
    }

    /// A key whose time is not over.
    #[must_use]
    pub fn live(&self, id: Uuid, now: Time) -> Option<&ApiKey> {
        self.open.get(&id).filter(|key| key.is_live(now))
    }

    /// Whether so many keys were revoked lately that no more can be remembered.
    #[must_use]
    pub fn is_worn(&self, now: Time) -> bool {
        let late = |id: &&Uuid| made(**id).is_some_and(|made| made + MEMORY > now);
        self.ended.iter().filter(late).count() >= ENDED
    }

    pub(super) fn create(&mut self, event: &ApiKeyCreated) {
        let ApiKeyCreated { key_hash, scopes, expires_at, .. } = event;
        let (key_hash, scopes) = (key_hash.clone(), scopes.clone());
        self.open.insert(event.api_key_id, ApiKey { key_hash, scopes, expires_at: *expires_at });
        // An id that is too old for a new key need not be remembered.
        if let Some(newest) = made(event.api_key_id) {
            self.ended.retain(|id| made(*id).is_some_and(|made| made + MEMORY > newest));
        }
    }

    pub(super) fn revoke(&mut self, id: Uuid) {
        self.open.remove(&id);
        self.ended.insert(id);
    }
}
