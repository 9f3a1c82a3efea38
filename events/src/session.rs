//! Events of logging in and of the sessions that follow. Stream `session`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{JsonMap, Time};

/// What happens to an account's sessions, and to those who try to begin one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SessionEvent {
    /// Somebody proved to be the user.
    LoginSucceeded(LoginSucceeded),
    /// Somebody did not.
    LoginFailed(LoginFailed),
    /// Nobody may try for a while.
    UserLocked(UserLocked),
    /// They may try again.
    UserUnlocked(UserUnlocked),
    /// A session began.
    SessionStarted(Box<SessionStarted>),
    /// A session got new tokens for its last ones.
    SessionRefreshed(Box<SessionRefreshed>),
    /// Somebody showed a refresh token that had been exchanged before.
    RefreshTokenReused(RefreshTokenReused),
    /// A session was ended.
    SessionRevoked(SessionRevoked),
    /// A session is in use.
    SessionActivityRecorded(SessionActivityRecorded),
    /// The time of a session was over.
    SessionExpired(SessionExpired),
    /// The tables forget what is too old.
    RetentionApplied(RetentionApplied),
}

impl SessionEvent {
    /// The account that its stream is named after: a user, or the stand-in of a name that nobody has.
    #[must_use]
    pub fn account_id(&self) -> Uuid {
        match self {
            Self::LoginSucceeded(e) => e.user_id,
            Self::LoginFailed(e) => e.account_id,
            Self::UserLocked(e) => e.account_id,
            Self::UserUnlocked(e) => e.user_id,
            Self::SessionStarted(e) => e.user_id,
            Self::SessionRefreshed(e) => e.user_id,
            Self::RefreshTokenReused(e) => e.user_id,
            Self::SessionRevoked(e) => e.user_id,
            Self::SessionActivityRecorded(e) => e.user_id,
            Self::SessionExpired(e) => e.user_id,
            Self::RetentionApplied(e) => e.account_id,
        }
    }
}

/// SHA-256 of a token, in hex. It is no secret, but nothing for a log line either.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

impl TokenHash {
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

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Where somebody logs in from, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The address of the connection.
    pub ip_address: Option<std::net::IpAddr>,
    /// What the client says it is.
    pub user_agent: Option<String>,
}

/// Somebody proved to be the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginSucceeded {
    /// The user.
    pub user_id: Uuid,
    /// The session that begins.
    pub session_id: Uuid,
    /// As in the account.
    pub identifier: String,
    /// What kind of name was given.
    pub identifier_type: IdentifierType,
    /// What proved it.
    pub method: LoginMethod,
    /// From where.
    pub origin: Origin,
    /// On which device.
    pub device_id: String,
}

/// Somebody did not prove to be the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginFailed {
    /// The user, or the stand-in of a name that nobody has.
    pub account_id: Uuid,
    /// The user, if there is one of that name.
    pub user_id: Option<Uuid>,
    /// As in the account; without an account a keyed hash, since people type passwords here.
    pub identifier: String,
    /// What kind of name was given.
    pub identifier_type: IdentifierType,
    /// Why, for the account's owner and for operators. Whoever tried is not told.
    pub reason: LoginFailure,
    /// Whether it counts towards the lock.
    pub counts: bool,
    /// From where.
    pub origin: Origin,
    /// On which device, as far as it was said.
    pub device_id: Option<String>,
}

/// Nobody may try to log in for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserLocked {
    /// The user, or the stand-in of a name that nobody has.
    pub account_id: Uuid,
    /// The user, if there is one of that name.
    pub user_id: Option<Uuid>,
    /// Until when.
    pub locked_until: Time,
    /// How many attempts failed since the last that did not.
    pub failed_attempts: u32,
    /// From where the last of them came.
    pub origin: Origin,
}

/// They may try again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserUnlocked {
    /// The user.
    pub user_id: Uuid,
    /// What ended the lock.
    pub by: UnlockedBy,
    /// Who did it; `None`: a rule or an operator.
    pub by_user_id: Option<Uuid>,
}

/// A session began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionStarted {
    /// Whose it is.
    pub user_id: Uuid,
    /// Its id.
    pub session_id: Uuid,
    /// Of the token that connects.
    pub token_hash: TokenHash,
    /// Of the refresh token's row.
    pub refresh_id: Uuid,
    /// Of the token that is exchanged for the next two.
    pub refresh_hash: TokenHash,
    /// The device; made up where the client named none.
    pub device_id: String,
    /// What its owner calls it.
    pub device_name: Option<String>,
    /// What it is.
    pub device_type: Option<DeviceType>,
    /// What runs on it.
    pub platform: Platform,
    /// What tells it from others.
    pub device_fingerprint: Option<String>,
    /// More about it.
    pub device_metadata: JsonMap,
    /// Where push messages for it go.
    pub fcm_token: Option<String>,
    /// From where it was begun.
    pub origin: Origin,
    /// When it ends if it is not refreshed before.
    pub expires_at: Time,
}

/// A session got new tokens for its last ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRefreshed {
    /// Whose it is.
    pub user_id: Uuid,
    /// Its id.
    pub session_id: Uuid,
    /// Of the new token that connects.
    pub token_hash: TokenHash,
    /// Of the row of the refresh token that was shown.
    pub old_refresh_id: Uuid,
    /// Of the new refresh token's row.
    pub refresh_id: Uuid,
    /// Of the new refresh token.
    pub refresh_hash: TokenHash,
    /// How often the session was refreshed with this.
    pub generation: u32,
    /// When.
    pub refreshed_at: Time,
    /// When it ends if it is not refreshed before.
    pub expires_at: Time,
    /// What its owner calls the device now; `None`: unchanged.
    pub device_name: Option<String>,
    /// More about it; `None`: unchanged.
    pub device_metadata: Option<JsonMap>,
    /// Where push messages for it go; `None`: unchanged.
    pub fcm_token: Option<String>,
    /// From where.
    pub origin: Origin,
}

/// Somebody showed a refresh token that had been exchanged before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshTokenReused {
    /// Whose session it is.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// Which of its tokens: how often the session had been refreshed when it was made.
    pub generation: u32,
    /// From where.
    pub origin: Origin,
}

/// A session was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRevoked {
    /// Whose it was.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// Why.
    pub reason: RevokedReason,
    /// Who did it; `None`: a rule or an operator.
    pub by_user_id: Option<Uuid>,
}

/// A session is in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionActivityRecorded {
    /// Whose it is.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// When it was.
    pub active_at: Time,
}

/// The time of a session was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionExpired {
    /// Whose it was.
    pub user_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// Since when it has been of no use.
    pub expired_at: Time,
}

/// Rows of an account that are too old leave the tables. An event, and not the work of somebody beside
/// the log, so that every table can be built again as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionApplied {
    /// The user, or the account that is nobody's.
    pub account_id: Uuid,
    /// Of sessions that have ended those go whose time was over before this, with their refresh tokens.
    pub sessions_before: Time,
    /// One-time codes and reset tokens go that were made before this.
    pub codes_before: Time,
}

/// The kinds of names that people log in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierType {
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// A user name.
    Username,
    /// The id of a user who is logged in and has to prove it once more.
    UserId,
    /// An identity at another provider.
    Oauth,
}

/// What proves who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// The password.
    Password,
    /// A one-time code.
    Code,
    /// Another provider.
    Oauth,
}

/// Why somebody could not log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginFailure {
    /// Nobody has that name.
    UnknownIdentifier,
    /// It is another password.
    WrongPassword,
    /// The password is right, the second factor is not.
    WrongSecondFactor,
    /// The account has none.
    NoPassword,
    /// It is another one-time code, or none that is good.
    WrongCode,
    /// Too many attempts had failed before.
    Locked,
    /// The account is suspended.
    Suspended,
    /// The account is banned.
    Banned,
    /// The account is deleted.
    Deleted,
}

/// What ends a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnlockedBy {
    /// Its time was over when somebody logged in.
    Time,
    /// An administrator or an operator.
    Admin,
    /// A new password.
    Password,
}

/// Why a session was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedReason {
    /// Its owner logged out.
    Logout,
    /// Its owner logged out everywhere.
    LogoutAll,
    /// Another began on the same device, or too many were open.
    Replaced,
    /// Its time was over.
    Expired,
    /// The password was changed.
    PasswordChanged,
    /// An administrator or an operator ended it.
    Admin,
    /// The account was blocked.
    UserBlocked,
    /// The account was deleted.
    UserDeleted,
    /// A refresh token was used twice: somebody else has it too.
    TokenReuse,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceType {
    /// A phone.
    Mobile,
    /// A tablet.
    Tablet,
    /// A computer.
    Desktop,
    /// A browser.
    Web,
}

/// What runs on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Apple's.
    Ios,
    /// Google's.
    Android,
    /// A browser.
    #[default]
    Web,
}

macro_rules! names {
    ($($name:ident { $($variant:ident = $text:literal),* $(,)? })*) => {$(
        impl $name {
            /// The name, as in the log and in tables.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    )*};
}

names! {
    IdentifierType {
        Email = "email", Phone = "phone", Username = "username", UserId = "user_id", Oauth = "oauth",
    }
    LoginMethod { Password = "password", Code = "code", Oauth = "oauth" }
    LoginFailure {
        UnknownIdentifier = "unknown_identifier",
        WrongPassword = "wrong_password",
        WrongSecondFactor = "wrong_second_factor",
        NoPassword = "no_password",
        WrongCode = "wrong_code",
        Locked = "locked",
        Suspended = "suspended",
        Banned = "banned",
        Deleted = "deleted",
    }
    UnlockedBy { Time = "time", Admin = "admin", Password = "password" }
    RevokedReason {
        Logout = "logout",
        LogoutAll = "logout_all",
        Replaced = "replaced",
        Expired = "expired",
        PasswordChanged = "password_changed",
        Admin = "admin",
        UserBlocked = "user_blocked",
        UserDeleted = "user_deleted",
        TokenReuse = "token_reuse",
    }
    DeviceType { Mobile = "mobile", Tablet = "tablet", Desktop = "desktop", Web = "web" }
    Platform { Ios = "ios", Android = "android", Web = "web" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_hash_is_not_shown() {
        let hash = TokenHash::new("marked");
        assert_eq!(format!("{:?}", Some(&hash)), "Some(TokenHash(…))");
        assert_eq!(serde_json::to_string(&hash).expect("a text"), r#""marked""#);
    }
}
