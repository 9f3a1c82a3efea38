use std::collections::BTreeMap;

use echolog_events::{
    OauthProvider, OauthProviderLinked, OauthProviderUnlinked, OauthTokenRefreshed, Sealed, Uuid,
};
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
    /// What the provider takes for new tokens, if it has given such a thing and that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Sealed>,
}

impl OauthLinks {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { of: BTreeMap::new(), has_password: false }
    }

    pub(super) fn link(&mut self, event: &OauthProviderLinked) {
        let (id, provider_user_id) = (event.link_id, event.provider_user_id.clone());
        // The same once more: what was kept for it still is.
        let same = self.of.remove(&event.provider).filter(|link| link.id == id);
        let refresh_token = same.and_then(|link| link.refresh_token);
        self.of.insert(event.provider, OauthLink { id, provider_user_id, refresh_token });
        self.has_password |= event.has_password;
    }

    pub(super) fn unlink(&mut self, event: &OauthProviderUnlinked) {
        self.of.remove(&event.provider);
    }

    pub(super) fn keep(&mut self, event: &OauthTokenRefreshed) {
        let link = self.of.get_mut(&event.provider).filter(|link| link.id == event.link_id);
        if let Some(link) = link {
            link.refresh_token.clone_from(&event.refresh_token);
        }
    }
}
