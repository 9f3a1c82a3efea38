//! Events that are for the audit alone: who did something about somebody else. Stream `user` of whom
//! it is about.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::JsonMap;

/// What somebody did that is none of their own affairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AuditEvent {
    /// Somebody with a say over the accounts of others has used it.
    AdminActionRecorded(AdminActionRecorded),
    /// Somebody has looked at what is nobody's business.
    SensitiveDataAccessed(SensitiveDataAccessed),
}

impl AuditEvent {
    /// Whom it is about.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        match self {
            Self::AdminActionRecorded(e) => e.user_id,
            Self::SensitiveDataAccessed(e) => e.user_id,
        }
    }
}

/// Somebody with a say over the accounts of others has used it. Who it was if it was no user, the
/// event's envelope says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminActionRecorded {
    /// Whose account it is about.
    pub user_id: Uuid,
    /// Who did it; `None`: a service.
    pub admin_user_id: Option<Uuid>,
    /// What was done.
    pub action: AdminAction,
    /// How.
    pub details: JsonMap,
    /// Why.
    pub reason: Option<String>,
    /// From where, as far as it is known.
    pub ip_address: Option<IpAddr>,
}

/// Somebody has looked at what is nobody's business. Who it was if it was no user, the event's
/// envelope says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensitiveDataAccessed {
    /// Whom it is about.
    pub user_id: Uuid,
    /// Who looked; `None`: a service.
    pub by_user_id: Option<Uuid>,
    /// At what, in a word.
    pub data_type: String,
    /// What was done with it.
    pub access_type: AccessType,
    /// What for.
    pub purpose: Option<String>,
    /// From where, as far as it is known.
    pub ip_address: Option<IpAddr>,
}

/// What can be done with what is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessType {
    /// Look at it.
    Read,
    /// Take it away.
    Export,
    /// Open what was sealed.
    Decrypt,
    /// Change it.
    Update,
}

impl AccessType {
    /// The name, as in the log and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Export => "export",
            Self::Decrypt => "decrypt",
            Self::Update => "update",
        }
    }
}

/// What can be done about the accounts of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminAction {
    /// Stop it for a time.
    SuspendUser,
    /// Stop it for good.
    BanUser,
    /// Let it act again.
    ReinstateUser,
    /// Give it another role.
    ChangeUserRole,
    /// Delete it.
    DeleteUser,
    /// Let its owner log in again.
    UnlockUser,
    /// End one of its sessions.
    RevokeSession,
    /// End all of its sessions.
    RevokeAllSessions,
    /// Give it another password.
    ChangePassword,
    /// Let a password alone be enough.
    DisableTwoFactor,
}

impl AdminAction {
    /// The name, as in the log and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SuspendUser => "suspend_user",
            Self::BanUser => "ban_user",
            Self::ReinstateUser => "reinstate_user",
            Self::ChangeUserRole => "change_user_role",
            Self::DeleteUser => "delete_user",
            Self::UnlockUser => "unlock_user",
            Self::RevokeSession => "revoke_session",
            Self::RevokeAllSessions => "revoke_all_sessions",
            Self::ChangePassword => "change_password",
            Self::DisableTwoFactor => "disable_two_factor",
        }
    }
}
