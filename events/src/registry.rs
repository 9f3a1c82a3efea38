//! The list of all events: their type names, versions and codecs.

use serde::Serialize;

use crate::{
    AccountEvent, AdminRosterChanged, AuditEvent, AuthEvent, Body, CodeEvent, CredentialEvent,
    MessagesEvent, PasswordEvent, SessionEvent, Stream, StreamKey, SystemEvent, Unreadable,
    UsersEvent, Uuid, upcast,
};

/// Any event of any domain.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Accounts and claims.
    Auth(AuthEvent),
    /// What becomes of accounts.
    Accounts(AccountEvent),
    /// Logging in, and sessions.
    Sessions(SessionEvent),
    /// What else proves who somebody is.
    Credentials(CredentialEvent),
    /// Passwords.
    Passwords(PasswordEvent),
    /// One-time codes.
    Codes(CodeEvent),
    /// Profiles and blocking.
    Users(UsersEvent),
    /// What the audit alone remembers.
    Audit(AuditEvent),
    /// Conversations and messages.
    Messages(MessagesEvent),
    /// The write side itself.
    System(SystemEvent),
}

/// The name and the current version of an event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventType {
    /// `{domain}.{event}`, the CloudEvents type.
    pub name: &'static str,
    /// The current schema version; older ones are upcast.
    pub schema: u16,
}

impl EventType {
    /// The part behind the domain, as in outcomes.
    #[must_use]
    pub fn short(self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(_, short)| short)
    }

    /// The type of this full name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        EVENT_TYPES.iter().copied().find(|event| event.name == name)
    }
}

/// One line per event: `Domain(Variant) = "domain.event", version, "what it says"`.
macro_rules! registry {
    ($($domain:ident($inner:ident::$variant:ident) = $name:literal at $schema:literal),* $(,)?) => {
        /// Every event type that is written today.
        pub const EVENT_TYPES: &[EventType] = &[$(EventType { name: $name, schema: $schema }),*];

        impl Event {
            /// Its type.
            #[must_use]
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Self::$domain($inner::$variant(_)) => EventType { name: $name, schema: $schema }),*
                }
            }

            /// Its payload in the stored form: a MessagePack map with named fields.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$domain($inner::$variant(payload)) => encode(payload)),* }
            }

            /// Its payload as JSON, for people.
            #[must_use]
            pub fn to_json(&self) -> serde_json::Value {
                match self { $(Self::$domain($inner::$variant(payload)) => json(payload)),* }
            }

            /// Reads a stored payload of any version ever written.
            #[must_use]
            pub fn decode(name: &str, schema: u16, payload: &[u8]) -> Body {
                let upcast = match upcast::to_current(name, schema, payload) {
                    Ok(current) => current,
                    Err(reason) => return unreadable(name, reason),
                };
                match name {
                    $($name => match decode(&upcast) {
                        Ok(payload) => Body::Known(Self::$domain($inner::$variant(payload))),
                        Err(error) => unreadable(name, error.to_string()),
                    },)*
                    _ => unreadable(name, "no such event type".to_owned()),
                }
            }
        }
    };
}

registry! {
    Auth(AuthEvent::UserRegistered) = "auth.user_registered" at 1,
    Auth(AuthEvent::IdentifierClaimed) = "auth.identifier_claimed" at 1,
    Auth(AuthEvent::IdentifierReleased) = "auth.identifier_released" at 1,
    Auth(AuthEvent::AdminRosterChanged) = "auth.admin_roster_changed" at 1,
    Accounts(AccountEvent::UserSuspended) = "auth.user_suspended" at 1,
    Accounts(AccountEvent::UserBanned) = "auth.user_banned" at 1,
    Accounts(AccountEvent::UserReinstated) = "auth.user_reinstated" at 1,
    Accounts(AccountEvent::UserRoleChanged) = "auth.user_role_changed" at 1,
    Accounts(AccountEvent::UserDeleted) = "auth.user_deleted" at 1,
    Accounts(AccountEvent::EmailChanged) = "auth.email_changed" at 1,
    Accounts(AccountEvent::PhoneChanged) = "auth.phone_changed" at 1,
    Accounts(AccountEvent::EmailVerified) = "auth.email_verified" at 1,
    Accounts(AccountEvent::PhoneVerified) = "auth.phone_verified" at 1,
    Sessions(SessionEvent::LoginSucceeded) = "auth.login_succeeded" at 1,
    Sessions(SessionEvent::LoginFailed) = "auth.login_failed" at 1,
    Sessions(SessionEvent::UserLocked) = "auth.user_locked" at 1,
    Sessions(SessionEvent::UserUnlocked) = "auth.user_unlocked" at 1,
    Sessions(SessionEvent::SessionStarted) = "auth.session_started" at 1,
    Sessions(SessionEvent::SessionRefreshed) = "auth.session_refreshed" at 1,
    Sessions(SessionEvent::RefreshTokenReused) = "auth.refresh_token_reused" at 1,
    Sessions(SessionEvent::SessionRevoked) = "auth.session_revoked" at 1,
    Sessions(SessionEvent::SessionActivityRecorded) = "auth.session_activity_recorded" at 1,
    Sessions(SessionEvent::SessionExpired) = "auth.session_expired" at 1,
    Sessions(SessionEvent::RetentionApplied) = "auth.retention_applied" at 1,
    Credentials(CredentialEvent::TwoFactorBegun) = "auth.two_factor_begun" at 1,
    Credentials(CredentialEvent::TwoFactorEnabled) = "auth.two_factor_enabled" at 1,
    Credentials(CredentialEvent::TwoFactorDisabled) = "auth.two_factor_disabled" at 1,
    Credentials(CredentialEvent::TotpUsed) = "auth.totp_used" at 1,
    Credentials(CredentialEvent::RecoveryCodesGenerated) = "auth.recovery_codes_generated" at 1,
    Credentials(CredentialEvent::RecoveryCodeUsed) = "auth.recovery_code_used" at 1,
    Passwords(PasswordEvent::PasswordChanged) = "auth.password_changed" at 1,
    Passwords(PasswordEvent::PasswordRehashed) = "auth.password_rehashed" at 1,
    Codes(CodeEvent::OtpRequested) = "auth.otp_requested" at 1,
    Codes(CodeEvent::OtpVerified) = "auth.otp_verified" at 1,
    Codes(CodeEvent::OtpAttemptFailed) = "auth.otp_attempt_failed" at 1,
    Codes(CodeEvent::PasswordResetRequested) = "auth.password_reset_requested" at 1,
    Codes(CodeEvent::PasswordResetCompleted) = "auth.password_reset_completed" at 1,
    Credentials(CredentialEvent::ApiKeyCreated) = "auth.api_key_created" at 1,
    Credentials(CredentialEvent::ApiKeyUsed) = "auth.api_key_used" at 1,
    Credentials(CredentialEvent::ApiKeyRevoked) = "auth.api_key_revoked" at 1,
    Credentials(CredentialEvent::OauthProviderLinked) = "auth.oauth_provider_linked" at 1,
    Credentials(CredentialEvent::OauthProviderUnlinked) = "auth.oauth_provider_unlinked" at 1,
    Credentials(CredentialEvent::OauthTokenRefreshed) = "auth.oauth_token_refreshed" at 1,
    Users(UsersEvent::ProfileUpdated) = "users.profile_updated" at 1,
    Users(UsersEvent::UserBlocked) = "users.user_blocked" at 1,
    Users(UsersEvent::UserUnblocked) = "users.user_unblocked" at 1,
    Audit(AuditEvent::AdminActionRecorded) = "audit.admin_action_recorded" at 1,
    Audit(AuditEvent::SensitiveDataAccessed) = "audit.sensitive_data_accessed" at 1,
    Messages(MessagesEvent::ConversationCreated) = "messages.conversation_created" at 1,
    Messages(MessagesEvent::ConversationUpdated) = "messages.conversation_updated" at 1,
    Messages(MessagesEvent::ConversationOwnershipTransferred) = "messages.conversation_ownership_transferred" at 1,
    Messages(MessagesEvent::ParticipantJoined) = "messages.participant_joined" at 1,
    Messages(MessagesEvent::ParticipantLeft) = "messages.participant_left" at 1,
    Messages(MessagesEvent::ParticipantRemoved) = "messages.participant_removed" at 1,
    Messages(MessagesEvent::ParticipantRoleChanged) = "messages.participant_role_changed" at 1,
    Messages(MessagesEvent::MessageSent) = "messages.message_sent" at 1,
    Messages(MessagesEvent::MessageEdited) = "messages.message_edited" at 1,
    Messages(MessagesEvent::MessageDeleted) = "messages.message_deleted" at 1,
    Messages(MessagesEvent::ReactionAdded) = "messages.reaction_added" at 1,
    Messages(MessagesEvent::ReactionRemoved) = "messages.reaction_removed" at 1,
    Messages(MessagesEvent::MessagePinned) = "messages.message_pinned" at 1,
    Messages(MessagesEvent::MessageUnpinned) = "messages.message_unpinned" at 1,
    Messages(MessagesEvent::MessageDelivered) = "messages.message_delivered" at 1,
    Messages(MessagesEvent::ConversationRead) = "messages.conversation_read" at 1,
    System(SystemEvent::OwnershipTaken) = "system.ownership_taken" at 1,
    System(SystemEvent::PositionRecorded) = "system.position_recorded" at 1,
    System(SystemEvent::AttemptRecorded) = "system.attempt_recorded" at 1,
}

impl Event {
    /// Whether this is its stream: what an event says is about the thing that its stream is named
    /// after.
    #[must_use]
    pub fn belongs_to(&self, key: &StreamKey) -> bool {
        match self {
            Self::Auth(AuthEvent::UserRegistered(e)) => key.is(Stream::User, e.user_id),
            Self::Auth(AuthEvent::IdentifierClaimed(_) | AuthEvent::IdentifierReleased(_)) => {
                key.stream == Stream::Claim && key.id != AdminRosterChanged::ID
            }
            Self::Auth(AuthEvent::AdminRosterChanged(_)) => *key == AdminRosterChanged::stream(),
            Self::Accounts(e) => key.is(Stream::User, e.user_id()),
            Self::Audit(e) => key.is(Stream::User, e.user_id()),
            Self::Sessions(e) => key.is(Stream::Session, e.account_id()),
            Self::Credentials(e) => key.is(Stream::Credential, e.user_id()),
            Self::Passwords(e) => key.is(Stream::Password, e.user_id()),
            Self::Codes(e) => key.is(Stream::Code, e.account_id()),
            Self::Users(UsersEvent::ProfileUpdated(e)) => key.is(Stream::User, e.user_id),
            Self::Users(UsersEvent::UserBlocked(e)) => key.is(Stream::Block, e.user_id),
            Self::Users(UsersEvent::UserUnblocked(e)) => key.is(Stream::Block, e.user_id),
            Self::Messages(e) => key.is(e.stream_kind(), e.conversation_id()),
            Self::System(_) => key.stream == Stream::Owner,
        }
    }
}

impl MessagesEvent {
    /// The conversation that it happened in.
    #[must_use]
    pub fn conversation_id(&self) -> Uuid {
        match self {
            Self::ConversationCreated(e) => e.conversation_id,
            Self::ConversationUpdated(e) => e.conversation_id,
            Self::ConversationOwnershipTransferred(e) => e.conversation_id,
            Self::ParticipantJoined(e) => e.conversation_id,
            Self::ParticipantLeft(e) => e.conversation_id,
            Self::ParticipantRemoved(e) => e.conversation_id,
            Self::ParticipantRoleChanged(e) => e.conversation_id,
            Self::MessageSent(e) => e.conversation_id,
            Self::MessageEdited(e) => e.conversation_id,
            Self::MessageDeleted(e) => e.conversation_id,
            Self::ReactionAdded(e) | Self::ReactionRemoved(e) => e.conversation_id,
            Self::MessagePinned(e) | Self::MessageUnpinned(e) => e.conversation_id,
            Self::MessageDelivered(e) => e.conversation_id,
            Self::ConversationRead(e) => e.conversation_id,
        }
    }

    /// The stream that it belongs to.
    #[must_use]
    pub fn stream(&self) -> StreamKey {
        StreamKey::of(self.stream_kind(), self.conversation_id())
    }

    /// The kind of stream that it belongs to: hot facts apart from rules and members.
    fn stream_kind(&self) -> Stream {
        match self {
            Self::ConversationCreated(_)
            | Self::ConversationUpdated(_)
            | Self::ConversationOwnershipTransferred(_)
            | Self::ParticipantJoined(_)
            | Self::ParticipantLeft(_)
            | Self::ParticipantRemoved(_)
            | Self::ParticipantRoleChanged(_) => Stream::Conversation,
            Self::MessageSent(_)
            | Self::MessageEdited(_)
            | Self::MessageDeleted(_)
            | Self::ReactionAdded(_)
            | Self::ReactionRemoved(_)
            | Self::MessagePinned(_)
            | Self::MessageUnpinned(_)
            | Self::MessageDelivered(_)
            | Self::ConversationRead(_) => Stream::Message,
        }
    }
}

/// How deep a payload may be nested. Commands are far flatter; a payload that was written by hand
/// must not use a thread's stack up.
const MAX_DEPTH: usize = 64;

fn encode<T: Serialize>(payload: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer =
        rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    payload
        .serialize(&mut serializer)
        .expect("an event's payload has nothing that MessagePack lacks");
    bytes
}

fn decode<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::new(payload).with_human_readable();
    deserializer.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut deserializer)
}

fn json<T: Serialize>(payload: &T) -> serde_json::Value {
    serde_json::to_value(payload).expect("an event's payload has nothing that JSON lacks")
}

fn unreadable(name: &str, reason: String) -> Body {
    Body::Unreadable(Unreadable { name: name.to_owned(), reason })
}
