//! The facts of Echolog: what an event is, how it is named and how it is stored.
//!
//! **Everything in this crate is a storage format.** Names of types, fields and enum values are
//! written into the log and live for ever. Add; never rename. A new shape of an old event is a new
//! schema version with an upcaster ([`upcast`]) and a golden file in `events/golden`.

mod account;
mod api_key;
mod audit;
mod auth;
mod code;
mod credential;
mod envelope;
mod ids;
mod messages;
mod oauth;
mod password;
mod registry;
mod session;
mod subject;
mod system;
pub mod upcast;
mod users;

pub use account::{
    AccountEvent, EmailChanged, EmailVerified, PhoneChanged, PhoneVerified, UserBanned,
    UserDeleted, UserReinstated, UserRoleChanged, UserSuspended,
};
pub use api_key::{ApiKeyCreated, ApiKeyRevoked, ApiKeyUsed, Scope};
pub use audit::{AccessType, AdminAction, AdminActionRecorded, AuditEvent, SensitiveDataAccessed};
pub use auth::{
    AccountStatus, AdminRosterChanged, AuthEvent, ClaimKind, IdentifierClaimed, IdentifierReleased,
    PasswordHash, UserRegistered, UserRole, UserType,
};
pub use code::{
    CodeEvent, OtpAttemptFailed, OtpPurpose, OtpRequested, OtpVerified, PasswordResetCompleted,
    PasswordResetRequested,
};
pub use credential::{
    CodeHash, CredentialEvent, RecoveryCode, RecoveryCodeUsed, RecoveryCodesGenerated, TotpUsed,
    TwoFactorBegun, TwoFactorDisabled, TwoFactorEnabled, TwoFactorMethod,
};
pub use envelope::{Body, CommandKey, CommandPosition, Meta, Recorded, Unreadable, header};
pub use ids::{PARTITIONS, Partition, event_id, partition_of};
pub use messages::{
    ConversationCreated, ConversationDelivered, ConversationRead, ConversationType,
    ConversationUpdated, MessageDeleted, MessageEdited, MessageSent, MessageType, MessagesEvent,
    OwnershipTransferred, ParticipantJoined, ParticipantLeft, ParticipantRemoved,
    ParticipantRoleChanged, Pin, Reaction, Role,
};
pub use oauth::{
    OauthProvider, OauthProviderLinked, OauthProviderUnlinked, OauthTokenRefreshed, Sealed,
};
pub use password::{PasswordChange, PasswordChanged, PasswordEvent, PasswordRehashed};
pub use registry::{EVENT_TYPES, Event, EventType};
pub use session::{
    DeviceType, IdentifierType, LoginFailed, LoginFailure, LoginMethod, LoginSucceeded, Origin,
    Platform, RefreshTokenReused, RetentionApplied, RevokedReason, SessionActivityRecorded,
    SessionEvent, SessionExpired, SessionRefreshed, SessionRevoked, SessionStarted, TokenHash,
    UnlockedBy, UserLocked, UserUnlocked,
};
pub use subject::{EventSubject, InvalidSubject, Stream, StreamKey};
pub use system::{AttemptRecorded, OwnershipTaken, PositionRecorded, SystemEvent};
pub use users::{ProfileUpdated, ProfileVisibility, UserBlocked, UserUnblocked, UsersEvent};

pub use chrono::{DateTime, Utc};
pub use uuid::Uuid;

/// A point in time with microseconds, in UTC: what the log and PostgreSQL can both hold exactly.
pub type Time = DateTime<Utc>;

/// A JSON object, as clients send it in `metadata`.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;
