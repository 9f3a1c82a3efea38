//! What events say of identities at other providers.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{JsonMap, Time};

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

/// A provider has given tokens for calls in a user's name: with the link, or later in place of those
/// of before, all of which these replace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthTokenRefreshed {
    /// In whose name.
    pub user_id: Uuid,
    /// The link.
    pub link_id: Uuid,
    /// Who gave them.
    pub provider: OauthProvider,
    /// What calls show.
    pub access_token: Sealed,
    /// What is shown for new ones, if the provider has ever given such a thing.
    pub refresh_token: Option<Sealed>,
    /// When the access token is over, as far as the provider says.
    pub token_expires_at: Option<Time>,
}

/// A secret of somebody else's that has to be read again: encrypted under a key of the tenant's. It is
/// nothing for a log line all the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// What was sealed already.
    pub fn new(sealed: impl Into<String>) -> Self {
        Self(sealed.into())
    }

    /// The sealed text, to open or to store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(…)")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_not_shown() {
        let sealed = Sealed::new("marked");
        assert_eq!(format!("{:?}", Some(&sealed)), "Some(Sealed(…))");
        assert_eq!(serde_json::to_string(&sealed).expect("a text"), r#""marked""#);
    }
}
