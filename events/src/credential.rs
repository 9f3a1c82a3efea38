//! Events of what else proves who somebody is. Stream `credential`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ApiKeyCreated, ApiKeyRevoked, ApiKeyUsed, OauthProviderLinked, OauthProviderUnlinked,
    OauthTokenRefreshed, Time,
};

/// What happens to the second factors, the API keys and the identities elsewhere of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CredentialEvent {
    /// Somebody got the secret for an authenticator.
    TwoFactorBegun(TwoFactorBegun),
    /// Who logs in needs a second factor from now on.
    TwoFactorEnabled(TwoFactorEnabled),
    /// Who logs in needs none any more.
    TwoFactorDisabled(TwoFactorDisabled),
    /// A code of the authenticator was shown: it is good once.
    TotpUsed(TotpUsed),
    /// There are new recovery codes; those of before are good for nothing.
    RecoveryCodesGenerated(RecoveryCodesGenerated),
    /// A recovery code was shown: it is good once.
    RecoveryCodeUsed(RecoveryCodeUsed),
    /// There is a new API key.
    ApiKeyCreated(ApiKeyCreated),
    /// An API key let somebody in.
    ApiKeyUsed(ApiKeyUsed),
    /// An API key is good for nothing any more.
    ApiKeyRevoked(ApiKeyRevoked),
    /// An identity at a provider speaks for the user.
    OauthProviderLinked(OauthProviderLinked),
    /// One does so no more.
    OauthProviderUnlinked(OauthProviderUnlinked),
    /// A provider has given tokens for calls in the user's name.
    OauthTokenRefreshed(OauthTokenRefreshed),
}

impl CredentialEvent {
    /// Whose account it is.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        match self {
            Self::TwoFactorBegun(e) => e.user_id,
            Self::TwoFactorEnabled(e) => e.user_id,
            Self::TwoFactorDisabled(e) => e.user_id,
            Self::TotpUsed(e) => e.user_id,
            Self::RecoveryCodesGenerated(e) => e.user_id,
            Self::RecoveryCodeUsed(e) => e.user_id,
            Self::ApiKeyCreated(e) => e.user_id,
            Self::ApiKeyUsed(e) => e.user_id,
            Self::ApiKeyRevoked(e) => e.user_id,
            Self::OauthProviderLinked(e) => e.user_id,
            Self::OauthProviderUnlinked(e) => e.user_id,
            Self::OauthTokenRefreshed(e) => e.user_id,
        }
    }
}

/// HMAC-SHA-256 of a code under the tenant's key, in hex. Without the key it says nothing, short as
/// codes are; it is nothing for a log line all the same.
#[derive(Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeHash(String);

/// Takes as long wherever the two differ.
impl PartialEq for CodeHash {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.bytes().zip(other.0.bytes());
        let differences = pairs.fold(0, |all, (one, other)| all | (one ^ other));
        self.0.len() == other.0.len() && differences == 0
    }
}

impl CodeHash {
    /// A hash.
    pub fn new(hash: impl Into<String>) -> Self {
        Self(hash.into())
    }

    /// The hash, to compare with or to store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeHash(…)")
    }
}

/// Somebody got the secret for an authenticator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoFactorBegun {
    /// Whose account it is.
    pub user_id: Uuid,
    /// The factor.
    pub factor_id: Uuid,
    /// What the secret is derived from, in hex, under the tenant's key: the secret itself rests nowhere.
    pub salt: String,
    /// It has to be enabled before this.
    pub expires_at: Time,
}

/// Who logs in needs a second factor from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoFactorEnabled {
    /// Whose account it is.
    pub user_id: Uuid,
    /// What it is.
    pub method: TwoFactorMethod,
    /// The authenticator, if it is one.
    pub factor_id: Option<Uuid>,
    /// The half minute of the code that was shown, counted from 1970.
    pub step: Option<u64>,
}

/// Who logs in needs none any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoFactorDisabled {
    /// Whose account it is.
    pub user_id: Uuid,
    /// Who did it; `None`: an operator.
    pub by_user_id: Option<Uuid>,
    /// Why, as far as it was said.
    pub reason: Option<String>,
}

/// A code of the authenticator was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotpUsed {
    /// Whose account it is.
    pub user_id: Uuid,
    /// The authenticator.
    pub factor_id: Uuid,
    /// The code's half minute, counted from 1970.
    pub step: u64,
}

/// There are new recovery codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCodesGenerated {
    /// Whose account it is.
    pub user_id: Uuid,
    /// These codes together.
    pub set_id: Uuid,
    /// Each of them.
    pub codes: Vec<RecoveryCode>,
}

/// A recovery code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCode {
    /// Its id.
    pub id: Uuid,
    /// What is kept of it.
    pub hash: CodeHash,
}

/// A recovery code was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCodeUsed {
    /// Whose account it is.
    pub user_id: Uuid,
    /// The code.
    pub code_id: Uuid,
}

/// The kinds of second factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TwoFactorMethod {
    /// An authenticator, which shows another code every half minute.
    Totp,
    /// A code by text message.
    Sms,
    /// A code by e-mail.
    Email,
}

impl TwoFactorMethod {
    /// The name, as in the log and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Sms => "sms",
            Self::Email => "email",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_hash_is_not_shown() {
        let hash = CodeHash::new("marked");
        assert_eq!(format!("{:?}", Some(&hash)), "Some(CodeHash(…))");
        assert!(hash == CodeHash::new("marked"));
        for other in ["markee", "narked", "marke", "markedd", ""] {
            assert!(hash != CodeHash::new(other), "{other}");
        }
        assert_eq!(serde_json::to_string(&hash).expect("a text"), r#""marked""#);
    }
}
