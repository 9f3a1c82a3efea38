//! What the request path finds out about a command before its owner decides it: everything that
//! takes a secret, a key or chance. Nothing in it can be turned back into a secret.

use echolog_events::{
    ClaimKind, CodeHash, JsonMap, OauthProvider, Origin, PasswordHash, RecoveryCode, Sealed, Time,
    TokenHash, Uuid,
};
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
    /// For `delete_user`, `change_email` and `change_phone`.
    #[serde(default)]
    pub holdings: Option<Holdings>,
    /// Whether it is the password of the target's account, where somebody who is logged in has to show
    /// it once more.
    #[serde(default)]
    pub password: Option<Check>,
    /// The number of the hash that it was checked against.
    #[serde(default)]
    pub password_number: u32,
    /// The second factor that was shown.
    #[serde(default)]
    pub second_factor: Option<SecondFactor>,
    /// A new authenticator.
    #[serde(default)]
    pub authenticator: Option<NewAuthenticator>,
    /// New recovery codes.
    #[serde(default)]
    pub recovery_codes: Option<NewRecoveryCodes>,
    /// For `create_api_key`.
    #[serde(default)]
    pub api_key: Option<NewKey>,
    /// For `change_password`.
    #[serde(default)]
    pub new_password: Option<NewPassword>,
    /// For `request_otp`.
    #[serde(default)]
    pub new_code: Option<NewCode>,
    /// For `verify_otp`.
    #[serde(default)]
    pub shown_code: Option<ShownCode>,
    /// For `request_password_reset`.
    #[serde(default)]
    pub new_reset: Option<NewReset>,
    /// For `complete_password_reset`; nothing if what was shown is no token of ours for this reset.
    #[serde(default)]
    pub reset: Option<Reset>,
    /// What a provider says.
    #[serde(default)]
    pub oauth: Option<Vouched>,
    /// For `refresh_oauth_token`; nothing before the provider is asked.
    #[serde(default)]
    pub exchanged: Option<Exchanged>,
    /// That the actor has an e-mail address.
    #[serde(default)]
    pub email_proof: Option<ShownProof>,
    /// That the actor has a phone number.
    #[serde(default)]
    pub phone_proof: Option<ShownProof>,
}

impl Findings {
    /// The id that the client named, where that is not the account that decides.
    #[must_use]
    pub fn named(&self) -> Option<Uuid> {
        let login = self.login.as_ref().map(|login| login.session_id);
        let new_code = self.new_code.as_ref().map(|code| code.otp_id);
        let shown_code = self.shown_code.as_ref().map(|code| code.otp_id);
        let new_reset = self.new_reset.as_ref().map(|reset| reset.reset_id);
        let reset = self.reset.as_ref().map(|reset| reset.reset_id);
        login.or(new_code).or(shown_code).or(new_reset).or(reset)
    }
}

/// A second factor, as far as its code may be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    /// A code of the authenticator.
    Totp(CodeHash),
    /// A recovery code.
    RecoveryCode(CodeHash),
    /// A code that was sent.
    Sent(SentCode),
}

/// A code that was sent to somebody, as far as it may be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentCode {
    /// The id of the code that it ought to be.
    pub otp_id: Uuid,
    /// What would have been kept of it.
    pub hash: CodeHash,
}

/// What is told of a code that was right, to show it elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownProof {
    /// The account that the code was asked for under: a user's, or a stand-in.
    pub account: Uuid,
    /// The code's id.
    pub otp_id: Uuid,
    /// Of the proof.
    pub hash: TokenHash,
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

/// An API key that was made and not given out yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewKey {
    /// Of the key.
    pub key_hash: TokenHash,
    /// How it begins.
    pub key_prefix: String,
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
    /// The code that was shown in place of a password.
    #[serde(default)]
    pub code: Option<SentCode>,
    /// Tokens for the session, if it is going to be one.
    pub tokens: NewTokens,
    /// A name for the device, in case that the client gave none.
    pub device_id: String,
    /// The number of the hash that the password was checked against.
    #[serde(default)]
    pub password: u32,
    /// What the password is hashed to now, if its hash is weaker than new ones.
    #[serde(default)]
    pub rehashed: Option<PasswordHash>,
}

/// A password that is to take the place of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewPassword {
    /// The number of the hash that the old password was checked against.
    pub password: u32,
    /// Whether the old one is that of the account; `None`: none was shown.
    pub check: Option<Check>,
    /// Whether the new one is the one that the account has.
    pub is_same: bool,
    /// What the new one was hashed to; `None`: the old one was not right.
    pub hash: Option<PasswordHash>,
}

/// What an account has had from its beginning, as its first event tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holdings {
    /// The claims to the names that it was registered with: the ids of their streams.
    pub claims: Vec<(ClaimKind, String)>,
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

/// A code that was made and not sent yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewCode {
    /// Its id, as the client wants it.
    pub otp_id: Uuid,
    /// The user, if there is one of that name or one who asks.
    pub user_id: Option<Uuid>,
    /// Where it goes; hashed if nobody has the name.
    pub identifier: String,
    /// The same, always hashed: as the stream of a claim to it is named.
    pub identifier_hash: String,
    /// What is kept of it.
    pub hash: CodeHash,
}

/// A code that somebody shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownCode {
    /// The id of the code that it ought to be.
    pub otp_id: Uuid,
    /// Of the name that it is said to have gone to: as the stream of a claim to it is named.
    #[serde(default)]
    pub identifier_hash: Option<String>,
    /// What would have been kept of it.
    pub hash: CodeHash,
    /// Of a token that proves that it was right.
    pub proof_hash: TokenHash,
}

/// A token for a password that was lost, made and not sent yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewReset {
    /// Its id, as the client wants it.
    pub reset_id: Uuid,
    /// The user, if there is one of that name.
    pub user_id: Option<Uuid>,
    /// Of where it goes: as the stream of a claim to it is named.
    pub identifier_hash: String,
    /// Of the token.
    pub hash: TokenHash,
}

/// What stands for a password that was lost, and another password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reset {
    /// The id of the token, or of the code, that it ought to be.
    pub reset_id: Uuid,
    /// What was shown.
    pub shown: ShownReset,
    /// Of the name that a code is said to have gone to, as of [`ShownCode`].
    #[serde(default)]
    pub identifier_hash: Option<String>,
    /// The number of the hash that the account had.
    pub password: u32,
    /// What the new password was hashed to.
    pub password_hash: PasswordHash,
}

/// Whom a provider vouches for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouched {
    /// This identity.
    For(Box<Identity>),
    /// Nobody.
    ForNobody,
    /// It has not said anything that means something.
    Unasked,
}

/// Somebody, as a provider knows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// An id for the link to it, if it is going to be one.
    pub link_id: Uuid,
    /// Who vouches for it.
    pub provider: OauthProvider,
    /// What the provider calls it.
    pub provider_user_id: String,
    /// An e-mail address, lower case, if the provider says that it has verified it.
    pub email: Option<String>,
    /// `sub`, `name`, `email` and `picture`, as far as they are known.
    pub profile: JsonMap,
    /// What the provider gave besides, where that is kept.
    #[serde(default)]
    pub tokens: Option<SealedTokens>,
}

/// What a provider gives for calls in somebody's name, sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedTokens {
    /// What calls show.
    pub access_token: Sealed,
    /// What is shown for new ones.
    pub refresh_token: Option<Sealed>,
    /// When the access token is over, as far as the provider says.
    pub expires_at: Option<Time>,
}

/// A refresh token that was shown to the provider who gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchanged {
    /// The link that it was kept for.
    pub link_id: Uuid,
    /// The token.
    pub used: Sealed,
    /// What came of it.
    pub exchange: Exchange,
}

/// What a provider gives for a refresh token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// These.
    For(Box<SealedTokens>),
    /// Nothing: it is good no more.
    Refused,
    /// It has not said anything that means something.
    Unasked,
}

/// What stands for a password that was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShownReset {
    /// A token.
    Token(TokenHash),
    /// A one-time code.
    Code(CodeHash),
}
