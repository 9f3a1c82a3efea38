//! What the request path finds out about a command before its owner decides it: everything that
//! takes a secret, a key or chance. Nothing in it can be turned back into a secret.

use echolog_events::{ClaimKind, CodeHash, Origin, RecoveryCode, TokenHash, Uuid};
use serde::{Deserialize, Serialize};

/// What was found out about one command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Where it came from.
    #[serde(default)]
    pub origin: Origin,
    /// For `log_in`.
    #[serde(default)]
    pub login: Option<Login>,
    /// For `refresh_session`; nothing if what was shown is no token of ours for this user.
    #[serde(default)]
    pub refresh: Option<Refresh>,
    /// For `delete_user`.
    #[serde(default)]
    pub holdings: Option<Holdings>,
    /// Whether it is the password of the target's account, where somebody who is logged in has to show
    /// it once more.
    #[serde(default)]
    pub password: Option<Check>,
    /// The second factor that was shown.
    #[serde(default)]
    pub second_factor: Option<SecondFactor>,
    /// A new authenticator.
    #[serde(default)]
    pub authenticator: Option<NewAuthenticator>,
    /// New recovery codes.
    #[serde(default)]
    pub recovery_codes: Option<NewRecoveryCodes>,
}

/// A second factor, as far as its code may be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    /// A code of the authenticator.
    Totp(CodeHash),
    /// A recovery code.
    RecoveryCode(CodeHash),
}

/// An authenticator that was made up and nobody was told the secret of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewAuthenticator {
    /// Its id.
    pub factor_id: Uuid,
    /// What its secret is derived from, in hex.
    pub salt: String,
}

/// Recovery codes that were made and not given out yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRecoveryCodes {
    /// These together.
    pub set_id: Uuid,
    /// Each of them.
    pub codes: Vec<RecoveryCode>,
}

/// Who tries to log in, and with what success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Login {
    /// The session that the client wants to begin.
    pub session_id: Uuid,
    /// The identifier, as the account has it; hashed if there is none.
    pub identifier: String,
    /// Whether the password is that of the account.
    pub check: Check,
    /// Tokens for the session, if it is going to be one.
    pub tokens: NewTokens,
    /// A name for the device, in case that the client gave none.
    pub device_id: String,
}

/// What an account has, as its own events tell it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holdings {
    /// The claims to its names: the ids of their streams.
    pub claims: Vec<(ClaimKind, String)>,
    /// The sequence of the last event of the account that was read: nothing may have come after it.
    pub version: u64,
}

/// What became of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It is the account's.
    Right,
    /// It is not.
    Wrong,
    /// The account has none.
    NoPassword,
    /// There is no account.
    Unknown,
}

/// Tokens that were made and not given out yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTokens {
    /// Of the one that connects.
    pub token_hash: TokenHash,
    /// Of the refresh token's row; a UUIDv7 of the present.
    pub refresh_id: Uuid,
    /// Of the refresh token.
    pub refresh_hash: TokenHash,
    /// How often the session was refreshed with this: it is part of the refresh token.
    pub generation: u32,
}

/// A refresh token that we did make once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refresh {
    /// The session that it was made for.
    pub session_id: Uuid,
    /// How often that had been refreshed.
    pub generation: u32,
    /// The token's hash.
    pub hash: TokenHash,
    /// The tokens that come after it.
    pub tokens: NewTokens,
}
