//! What events say of API keys.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Time, TokenHash};

/// A user, or an operator, made an API key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyCreated {
    /// For whom it speaks.
    pub user_id: Uuid,
    /// Its id.
    pub api_key_id: Uuid,
    /// What its owner calls it.
    pub name: String,
    /// How it begins, for people to know it by.
    pub key_prefix: String,
    /// Of the key.
    pub key_hash: TokenHash,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Time>,
}

/// An API key let somebody in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyUsed {
    /// Whose it is.
    pub user_id: Uuid,
    /// The key.
    pub api_key_id: Uuid,
    /// How often since it was recorded last.
    pub count: u32,
    /// When last.
    pub last_used_at: Time,
}

/// An API key is good for nothing any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRevoked {
    /// Whose it was.
    pub user_id: Uuid,
    /// The key.
    pub api_key_id: Uuid,
    /// Who did it; `None`: a rule or an operator.
    pub by_user_id: Option<Uuid>,
}

/// A domain whose commands may be sent with an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Conversations and messages.
    Messages,
    /// The profile, and whom the user blocks.
    Users,
}

impl Scope {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Messages, Self::Users];

    /// The name of the domain, as in subjects, in the log and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Users => "users",
        }
    }
}
