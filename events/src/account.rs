//! Events of what becomes of an account once it is there. Stream `user`.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AccountStatus, Origin, Time, UserRole};

/// What others, or its owner, make of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// It was stopped for a time.
    UserSuspended(UserSuspended),
    /// It was stopped for good.
    UserBanned(UserBanned),
    /// It may act again.
    UserReinstated(UserReinstated),
    /// It has another role.
    UserRoleChanged(UserRoleChanged),
    /// It is gone.
    UserDeleted(UserDeleted),
    /// It has another e-mail address, which its owner has shown to have.
    EmailChanged(EmailChanged),
    /// It has another phone number, which its owner has shown to have.
    PhoneChanged(PhoneChanged),
    /// Its owner has shown to have its e-mail address.
    EmailVerified(EmailVerified),
    /// Its owner has shown to have its phone number.
    PhoneVerified(PhoneVerified),
}

impl AccountEvent {
    /// Whose account it is.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        match self {
            Self::UserSuspended(e) => e.user_id,
            Self::UserBanned(e) => e.user_id,
            Self::UserReinstated(e) => e.user_id,
            Self::UserRoleChanged(e) => e.user_id,
            Self::UserDeleted(e) => e.user_id,
            Self::EmailChanged(e) => e.user_id,
            Self::PhoneChanged(e) => e.user_id,
            Self::EmailVerified(e) => e.user_id,
            Self::PhoneVerified(e) => e.user_id,
        }
    }
}

/// An account was stopped for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSuspended {
    /// Whose.
    pub user_id: Uuid,
    /// Why.
    pub reason: String,
    /// Until when; `None`: until somebody reinstates it.
    pub until: Option<Time>,
    /// Who did it; `None`: a service.
    pub by_user_id: Option<Uuid>,
}

/// An account was stopped for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserBanned {
    /// Whose.
    pub user_id: Uuid,
    /// Why.
    pub reason: String,
    /// Who did it; `None`: a service.
    pub by_user_id: Option<Uuid>,
}

/// An account may act again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserReinstated {
    /// Whose.
    pub user_id: Uuid,
    /// `active`, or `pending` where it had been waiting for a verified contact.
    pub status: AccountStatus,
    /// Who did it; `None`: a service, or a suspension was over.
    pub by_user_id: Option<Uuid>,
}

/// An account has another role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRoleChanged {
    /// Whose.
    pub user_id: Uuid,
    /// What it was before.
    pub old_role: UserRole,
    /// What it is now.
    pub new_role: UserRole,
    /// Who did it; `None`: a service.
    pub by_user_id: Option<Uuid>,
}

/// An account is gone: nobody logs in to it any more, and its names are free. What it did stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserDeleted {
    /// Whose.
    pub user_id: Uuid,
    /// Why.
    pub reason: Option<String>,
    /// Who did it, the user too; `None`: a service.
    pub by_user_id: Option<Uuid>,
}

/// An account has another e-mail address, which its owner has shown to have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailChanged {
    /// Whose.
    pub user_id: Uuid,
    /// Lower case.
    pub email: String,
    /// From where.
    pub origin: Origin,
}

/// An account has another phone number, which its owner has shown to have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneChanged {
    /// Whose.
    pub user_id: Uuid,
    /// E.164, with the plus sign.
    pub phone_number: String,
    /// From where.
    pub origin: Origin,
}

/// The owner of an account has shown to have its e-mail address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailVerified {
    /// Whose.
    pub user_id: Uuid,
    /// Lower case.
    pub email: String,
    /// Whether the account had been waiting for it, and is active now.
    pub activates: bool,
}

/// The owner of an account has shown to have its phone number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneVerified {
    /// Whose.
    pub user_id: Uuid,
    /// E.164, with the plus sign.
    pub phone_number: String,
    /// Whether the account had been waiting for it, and is active now.
    pub activates: bool,
}
