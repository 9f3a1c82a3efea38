//! Events of accounts and of the unique values that they claim.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Stream, StreamKey};

/// What happens to accounts and to claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AuthEvent {
    /// An account came to be. Stream `user`.
    UserRegistered(UserRegistered),
    /// A unique value was taken. Stream `claim`.
    IdentifierClaimed(IdentifierClaimed),
    /// A unique value is free again. Stream `claim`.
    IdentifierReleased(IdentifierReleased),
    /// There are other administrators than before. Stream `claim`, its own id.
    AdminRosterChanged(AdminRosterChanged),
}

/// An account came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRegistered {
    /// The new user.
    pub user_id: Uuid,
    /// As typed; unique without regard to case.
    pub username: Option<String>,
    /// Lower case.
    pub email: Option<String>,
    /// E.164, with the plus sign.
    pub phone_number: Option<String>,
    /// `None`: the account has no password.
    pub password_hash: Option<PasswordHash>,
    /// What others see; never empty.
    pub display_name: String,
    /// How the account is used.
    pub user_type: UserType,
    /// What the account may do.
    pub role: UserRole,
    /// `active`, or `pending` where the configuration demands a verified contact.
    pub account_status: AccountStatus,
}

/// A PHC string of Argon2id. It is no secret, but nothing for a log line either.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
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

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A unique value was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifierClaimed {
    /// What kind of value.
    pub kind: ClaimKind,
    /// Whose it is now: the user, or the conversation of a direct pair.
    pub owner_id: Uuid,
}

/// A unique value is free again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifierReleased {
    /// What kind of value.
    pub kind: ClaimKind,
    /// Whose it was.
    pub owner_id: Uuid,
}

/// There are other administrators than before: all of them, so that the last event says who. It is a
/// claim of its own kind: whoever writes the next one has to know this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminRosterChanged {
    /// Who they are now, in order of their ids.
    pub admins: Vec<Uuid>,
}

impl AdminRosterChanged {
    /// The id of its stream, which is no secret: there is one in a tenant.
    pub const ID: &str = "admin_roster";

    /// Its stream.
    #[must_use]
    pub fn stream() -> StreamKey {
        StreamKey { stream: Stream::Claim, id: Self::ID.to_owned() }
    }
}

/// The kinds of unique values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// A user name, lower case.
    Username,
    /// An e-mail address, lower case.
    Email,
    /// A phone number, E.164.
    PhoneNumber,
    /// The pair of users of a direct conversation.
    DirectPair,
    /// An identity at another provider.
    OauthIdentity,
}

impl ClaimKind {
    /// The name, as in the log and in error fields.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
            Self::PhoneNumber => "phone_number",
            Self::DirectPair => "direct_pair",
            Self::OauthIdentity => "oauth_identity",
        }
    }
}

/// How an account is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserType {
    /// In a browser.
    #[default]
    Web,
    /// On a phone.
    Mobile,
}

/// What an account may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRole {
    /// Anyone.
    #[default]
    User,
    /// Publishes to followers.
    Creator,
    /// Looks after what others publish.
    Moderator,
    /// Looks after everything.
    Admin,
}

/// Whether an account may act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// May act.
    #[default]
    Active,
    /// Stopped for a time.
    Suspended,
    /// Stopped for good.
    Banned,
    /// Gone.
    Deleted,
    /// Waits for a verified contact.
    Pending,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_not_shown() {
        let hash = PasswordHash::new("$argon2id$marked");
        assert_eq!(format!("{:?}", Some(&hash)), "Some(PasswordHash(…))");
        assert_eq!(serde_json::to_string(&hash).expect("a text"), r#""$argon2id$marked""#);
    }
}
