//! The commands that were rejected lately: a copy that is still in the queue must not be told yes
//! after its client was told no.

use std::collections::HashMap;

use echolog_commands::Rejection;
use echolog_events::Uuid;

/// How many a generation holds; two are kept. Far more than a client sends again.
const GENERATION: usize = 50_000;

/// In two generations: the elder goes when the younger is full.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    young: HashMap<Uuid, (u64, Rejection)>,
    old: HashMap<Uuid, (u64, Rejection)>,
}

impl Rejected {
    /// Notes a command with the fingerprint of its content.
    pub(super) fn insert(&mut self, key: Uuid, digest: u64, rejection: Rejection) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (digest, rejection));
    }

    /// Why a command with this content was rejected, if it was.
    pub(super) fn get(&self, key: Uuid, digest: u64) -> Option<&Rejection> {
        let (known, rejection) = self.young.get(&key).or_else(|| self.old.get(&key))?;
        (*known == digest).then_some(rejection)
    }
}
