use std::collections::BTreeMap;

use echolog_events::{
    CodeHash, CredentialEvent, Event, IdentifierType, Time, TwoFactorEnabled, TwoFactorMethod, Uuid,
};
use serde::{Deserialize, Serialize};

use super::{ApiKeys, OauthLinks};

/// What decisions remember of a user's second factors, API keys and identities elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Credentials {
    /// The authenticator that was begun last and not enabled.
    pub begun: Option<Begun>,
    /// The authenticator that is in use.
    pub authenticator: Option<Authenticator>,
    /// How codes are sent that take the place of an authenticator's.
    #[serde(default)]
    pub sent: Option<SentBy>,
    /// The recovery codes that are good.
    pub recovery_codes: BTreeMap<Uuid, CodeHash>,
    /// API keys.
    #[serde(default)]
    pub api_keys: ApiKeys,
    /// Identities at providers.
    #[serde(default)]
    pub oauth: OauthLinks,
}

/// How a second factor is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentBy {
    /// To the phone number.
    Sms,
    /// To the e-mail address.
    Email,
}

impl SentBy {
    /// What kind of name it goes to.
    #[must_use]
    pub fn identifier_type(self) -> IdentifierType {
        match self {
            Self::Sms => IdentifierType::Phone,
            Self::Email => IdentifierType::Email,
        }
    }
}

/// An authenticator that is not in use yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// The factor.
    pub id: Uuid,
    /// What its secret is derived from.
    pub salt: String,
    /// It has to be enabled before this.
    pub expires_at: Time,
}

/// An authenticator that is in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authenticator {
    /// The factor.
    pub id: Uuid,
    /// What its secret is derived from.
    pub salt: String,
    /// The half minute of the last code that was shown: it and those before are good for nothing.
    pub step: u64,
}

impl Credentials {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            begun: None,
            authenticator: None,
            sent: None,
            recovery_codes: BTreeMap::new(),
            api_keys: ApiKeys::new(),
            oauth: OauthLinks::new(),
        }
    }

    /// Whether a password alone does not prove who somebody is.
    #[must_use]
    pub fn asks_for_second_factor(&self) -> bool {
        self.second_factors().is_some()
    }

    /// What will do as a second factor; nothing if none is asked for.
    #[must_use]
    pub fn second_factors(&self) -> Option<[&'static str; 2]> {
        const RECOVERY: &str = "recovery_code";
        match (&self.authenticator, self.sent) {
            (Some(_), _) => Some(["totp", RECOVERY]),
            (None, Some(SentBy::Sms)) => Some(["sms", RECOVERY]),
            (None, Some(SentBy::Email)) => Some(["email", RECOVERY]),
            (None, None) => None,
        }
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        let Event::Credentials(event) = event else { return };
        match event {
            CredentialEvent::TwoFactorBegun(e) => {
                let (id, salt, expires_at) = (e.factor_id, e.salt.clone(), e.expires_at);
                self.begun = Some(Begun { id, salt, expires_at });
            }
            CredentialEvent::TwoFactorEnabled(e) => self.enable(e),
            CredentialEvent::TwoFactorDisabled(_) => {
                let api_keys = std::mem::take(&mut self.api_keys);
                let oauth = std::mem::take(&mut self.oauth);
                *self = Self { api_keys, oauth, ..Self::new() };
            }
            CredentialEvent::TotpUsed(e) => {
                if let Some(authenticator) = &mut self.authenticator {
                    authenticator.step = e.step;
                }
            }
            CredentialEvent::RecoveryCodesGenerated(e) => {
                let code = |code: &echolog_events::RecoveryCode| (code.id, code.hash.clone());
                self.recovery_codes = e.codes.iter().map(code).collect();
            }
            CredentialEvent::RecoveryCodeUsed(e) => {
                self.recovery_codes.remove(&e.code_id);
            }
            CredentialEvent::ApiKeyCreated(e) => self.api_keys.create(e),
            CredentialEvent::ApiKeyUsed(_) => {}
            CredentialEvent::ApiKeyRevoked(e) => self.api_keys.revoke(e.api_key_id),
            CredentialEvent::OauthProviderLinked(e) => self.oauth.link(e),
            CredentialEvent::OauthProviderUnlinked(e) => self.oauth.unlink(e),
            CredentialEvent::OauthTokenRefreshed(e) => self.oauth.keep(e),
        }
    }

    fn enable(&mut self, event: &TwoFactorEnabled) {
        let begun = self.begun.take().filter(|begun| Some(begun.id) == event.factor_id);
        match event.method {
            TwoFactorMethod::Totp => {
                self.authenticator = begun.map(|Begun { id, salt, .. }| Authenticator {
                    id,
                    salt,
                    step: event.step.unwrap_or_default(),
                });
            }
            TwoFactorMethod::Sms => self.sent = Some(SentBy::Sms),
            TwoFactorMethod::Email => self.sent = Some(SentBy::Email),
        }
    }
}
