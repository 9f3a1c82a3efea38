//! Events of one-time codes and of tokens for passwords that were lost. Stream `code`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CodeHash, IdentifierType, Origin, Time, TokenHash};

/// What happens to the one-time codes and tokens of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CodeEvent {
    /// Somebody wants one.
    OtpRequested(Box<OtpRequested>),
    /// Somebody showed it.
    OtpVerified(OtpVerified),
    /// Somebody showed another.
    OtpAttemptFailed(OtpAttemptFailed),
    /// Somebody has lost a password.
    PasswordResetRequested(Box<PasswordResetRequested>),
    /// There is another one for it.
    PasswordResetCompleted(PasswordResetCompleted),
}

impl CodeEvent {
    /// The account that its stream is named after: a user, or the stand-in of a name that nobody has.
    #[must_use]
    pub fn account_id(&self) -> Uuid {
        match self {
            Self::OtpRequested(e) => e.account_id,
            Self::OtpVerified(e) => e.account_id,
            Self::OtpAttemptFailed(e) => e.account_id,
            Self::PasswordResetRequested(e) => e.account_id,
            Self::PasswordResetCompleted(e) => e.user_id,
        }
    }
}

/// Somebody wants a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtpRequested {
    /// The user, or the stand-in of a name that nobody has.
    pub account_id: Uuid,
    /// The user, if there is one of that name or one who asks.
    pub user_id: Option<Uuid>,
    /// The code's id.
    pub otp_id: Uuid,
    /// Where it goes; a keyed hash where nobody has the name.
    pub identifier: String,
    /// What kind of name it is.
    pub identifier_type: IdentifierType,
    /// The same as the stream of a claim to it would be named.
    pub identifier_hash: String,
    /// What it is for.
    pub purpose: OtpPurpose,
    /// What is kept of it.
    pub otp_hash: CodeHash,
    /// How often somebody may show a wrong one.
    pub max_attempts: u32,
    /// When it was made.
    pub requested_at: Time,
    /// How long it is good.
    pub expires_at: Time,
    /// The one that is not good any more because of it.
    pub replaces: Option<Uuid>,
    /// From where it was asked for.
    pub origin: Origin,
}

/// Somebody showed a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtpVerified {
    /// The user, or the stand-in of a name that nobody has.
    pub account_id: Uuid,
    /// The user, if it is one.
    pub user_id: Option<Uuid>,
    /// The code's id.
    pub otp_id: Uuid,
    /// When.
    pub verified_at: Time,
    /// Of the token that proves it, where one was given out.
    pub proof_hash: Option<TokenHash>,
    /// From where.
    pub origin: Origin,
}

/// Somebody showed another code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtpAttemptFailed {
    /// The user, or the stand-in of a name that nobody has.
    pub account_id: Uuid,
    /// The user, if it is one.
    pub user_id: Option<Uuid>,
    /// The id of the code that it should have been.
    pub otp_id: Uuid,
    /// How many have failed with this one.
    pub attempts: u32,
    /// From where.
    pub origin: Origin,
}

/// Somebody has lost a password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetRequested {
    /// The user, or the stand-in of a name that nobody has.
    pub account_id: Uuid,
    /// The user, if there is one of that name.
    pub user_id: Option<Uuid>,
    /// The reset's id.
    pub reset_id: Uuid,
    /// Of where the token goes: the same as the stream of a claim to it would be named.
    pub identifier_hash: String,
    /// Of the token.
    pub token_hash: TokenHash,
    /// When it was made.
    pub requested_at: Time,
    /// How long it is good.
    pub expires_at: Time,
    /// The one that is not good any more because of it.
    pub replaces: Option<Uuid>,
    /// From where it was asked for.
    pub origin: Origin,
}

/// There is another password for one that was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetCompleted {
    /// Whose it is.
    pub user_id: Uuid,
    /// The reset's id, or that of the code that stood for it.
    pub reset_id: Uuid,
    /// The token that is not good any more, where a code was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Uuid>,
    /// From where.
    pub origin: Origin,
}

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtpPurpose {
    /// A new account.
    Registration,
    /// Logging in.
    Login,
    /// Another password for one that was lost.
    PasswordReset,
    /// A second factor.
    #[serde(rename = "2fa")]
    TwoFactor,
    /// Another phone number.
    PhoneChange,
    /// An e-mail address, new or not verified yet.
    EmailVerification,
}

impl OtpPurpose {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Registration,
        Self::Login,
        Self::PasswordReset,
        Self::TwoFactor,
        Self::PhoneChange,
        Self::EmailVerification,
    ];

    /// The name, as in the log and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Login => "login",
            Self::PasswordReset => "password_reset",
            Self::TwoFactor => "2fa",
            Self::PhoneChange => "phone_change",
            Self::EmailVerification => "email_verification",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_named_as_they_are_stored() {
        for purpose in OtpPurpose::ALL {
            let stored = serde_json::to_value(purpose).expect("a text");
            assert_eq!(stored, purpose.name());
        }
    }
}
