//! What events say of identities at other providers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::JsonMap;

/// An identity at a provider speaks for a user from now on; or the same one still does, and its
/// provider says other things about it by now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthProviderLinked {
    /// For whom it speaks.
    pub user_id: Uuid,
    /// The link.
    pub link_id: Uuid,
    /// Who vouches for it.
    pub provider: OauthProvider,
    /// What the provider calls it, for ever.
    pub provider_user_id: String,
    /// An e-mail address that the provider has verified.
    pub provider_email: Option<String>,
    /// What else the provider says about it: `sub`, `name`, `email` and `picture`.
    pub profile_data: JsonMap,
    /// Whether the account had a password then. One that has a password keeps one.
    pub has_password: bool,
}

impl OauthProviderLinked {
    /// The unique value that a claim to the identity hashes.
    #[must_use]
    pub fn identity(&self) -> String {
        self.provider.identity(&self.provider_user_id)
    }
}

/// An identity at a provider speaks for nobody any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthProviderUnlinked {
    /// For whom it spoke.
    pub user_id: Uuid,
    /// The link.
    pub link_id: Uuid,
    /// Who vouched for it.
    pub provider: OauthProvider,
    /// Who did it; `None`: a rule or an operator.
    pub by_user_id: Option<Uuid>,
}

/// Who vouches for an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OauthProvider {
    /// Google, by OpenID Connect.
    Google,
    /// Apple, by OpenID Connect.
    Apple,
    /// Facebook, by OAuth 2.
    Facebook,
    /// GitHub, by OAuth 2.
    Github,
}

impl OauthProvider {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Google, Self::Apple, Self::Facebook, Self::Github];

    /// The name, as in the log and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Apple => "apple",
            Self::Facebook => "facebook",
            Self::Github => "github",
        }
    }

    /// The unique value that a claim to one of its identities hashes.
    #[must_use]
    pub fn identity(self, provider_user_id: &str) -> String {
        format!("{}\0{provider_user_id}", self.name())
    }
}
