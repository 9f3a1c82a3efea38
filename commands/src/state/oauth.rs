use std::collections::BTreeMap;

use echolog_events::{OauthProvider, OauthProviderLinked, OauthProviderUnlinked, Uuid};
use serde::{Deserialize, Serialize};

/// What decisions remember of the identities at providers that speak for a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OauthLinks {
    /// One of each provider.
    pub of: BTreeMap<OauthProvider, OauthLink>,
    /// Whether the account is known to have a password.
    pub has_password: bool,
}

/// An identity at a provider that speaks for a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OauthLink {
    /// The link.
    pub id: Uuid,
    /// What the provider calls the identity.
    pub provider_user_id: String,
}

impl OauthLinks {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { of: BTreeMap::new(), has_password: false }
    }

    pub(super) fn link(&mut self, event: &OauthProviderLinked) {
        let (id, provider_user_id) = (event.link_id, event.provider_user_id.clone());
        self.of.insert(event.provider, OauthLink { id, provider_user_id });
        self.has_password |= event.has_password;
    }

    pub(super) fn unlink(&mut self, event: &OauthProviderUnlinked) {
        self.of.remove(&event.provider);
    }
}
