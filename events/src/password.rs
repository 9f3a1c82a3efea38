//! Events of passwords. Stream `password`: its last event has the present hash; before the first one,
//! that of the registration holds.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Origin, PasswordHash};

/// What happens to the password of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PasswordEvent {
    /// There is another one.
    PasswordChanged(PasswordChanged),
    /// It is the same one, hashed as passwords are hashed now.
    PasswordRehashed(PasswordRehashed),
}

impl PasswordEvent {
    /// Whose it is.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        match self {
            Self::PasswordChanged(e) => e.user_id,
            Self::PasswordRehashed(e) => e.user_id,
        }
    }

    /// How many hashes the account has had since its registration, with this one.
    #[must_use]
    pub fn number(&self) -> u32 {
        match self {
            Self::PasswordChanged(e) => e.number,
            Self::PasswordRehashed(e) => e.number,
        }
    }

    /// The hash.
    #[must_use]
    pub fn password_hash(&self) -> &PasswordHash {
        match self {
            Self::PasswordChanged(e) => &e.password_hash,
            Self::PasswordRehashed(e) => &e.password_hash,
        }
    }
}

/// There is another password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordChanged {
    /// Whose it is.
    pub user_id: Uuid,
    /// How many hashes the account has had since its registration, with this one.
    pub number: u32,
    /// What is kept of it.
    pub password_hash: PasswordHash,
    /// How it came to be.
    pub how: PasswordChange,
    /// From where.
    pub origin: Origin,
}

/// The same password, hashed as passwords are hashed now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordRehashed {
    /// Whose it is.
    pub user_id: Uuid,
    /// How many hashes the account has had since its registration, with this one.
    pub number: u32,
    /// What is kept of it now.
    pub password_hash: PasswordHash,
}

/// How a password came to be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordChange {
    /// Its owner knew the one before.
    Change,
    /// Its owner had lost it, and proved to be the owner in another way.
    Reset,
    /// An operator set it.
    Operator,
}

impl PasswordChange {
    /// The name, as in the log and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Reset => "reset",
            Self::Operator => "operator",
        }
    }
}
