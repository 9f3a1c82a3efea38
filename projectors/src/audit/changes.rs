//! What an event changes, row by row.

use echolog_events::{
    AccountEvent, AccountStatus, ApiKeyCreated, AuthEvent, Body, ConversationCreated,
    ConversationUpdated, CredentialEvent, DeviceType, Event, JsonMap, MessageSent, MessagesEvent,
    OauthProviderLinked, ParticipantJoined, PasswordEvent, ProfileUpdated, Reaction, Recorded,
    RevokedReason, Role, SessionEvent, SessionRefreshed, SessionStarted, UserRegistered,
    UsersEvent, Uuid,
};
use serde_json::{Value, json};

use crate::auth::{role, status, user_type};
use crate::users::visibility;
use crate::{ids, times};

/// What a secret is shown as.
const REDACTED: &str = "[redacted]";

/// The tables whose rows are recorded, under the names that readers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Users,
    Sessions,
    ApiKeys,
    OauthProviders,
    Profiles,
    BlockedUsers,
    Conversations,
    Participants,
    Messages,
    Reactions,
    Pins,
}

impl Table {
    pub(super) fn schema(self) -> &'static str {
        match self {
            Self::Users | Self::Sessions | Self::ApiKeys | Self::OauthProviders => "auth",
            Self::Profiles | Self::BlockedUsers => "users",
            Self::Conversations
            | Self::Participants
            | Self::Messages
            | Self::Reactions
            | Self::Pins => "messages",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Sessions => "sessions",
            Self::ApiKeys => "api_keys",
            Self::OauthProviders => "oauth_providers",
            Self::Profiles => "profiles",
            Self::BlockedUsers => "blocked_users",
            Self::Conversations => "conversations",
            Self::Participants => "conversation_participants",
            Self::Messages => "messages",
            Self::Reactions => "message_reactions",
            Self::Pins => "pinned_messages",
        }
    }
}

/// Names a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) table: Table,
    pub(super) id: Uuid,
    /// For rows of conversations: a message's id is unique in its conversation only.
    pub(super) conversation: Option<Uuid>,
}

/// What happens to a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Op {
    /// It is new: nothing has to be looked up.
    Insert(Value),
    /// It is new, or has these values now.
    Upsert(Value),
    /// It is new, or stays as it is: a member of a set.
    Add(Value),
    /// It has these values now.
    Patch(Value),
    /// It is gone.
    Delete,
}

/// A change of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) row: Row,
    pub(super) op: Op,
}

/// Which event changes which rows.
pub(super) fn changes(event: &Recorded) -> Vec<Change> {
    let Body::Known(known) = &event.body else { return Vec::new() };
    let at = times::json(event.meta.time);
    match known {
        Event::Auth(AuthEvent::UserRegistered(e)) => registered(e, &at),
        Event::Accounts(e) => account(e, &at),
        Event::Users(UsersEvent::ProfileUpdated(e)) => vec![profile(e, &at)],
        Event::Users(UsersEvent::UserBlocked(e)) => {
            let id = ids::blocked_user(e.user_id, e.blocked_user_id);
            vec![user_row(
                Table::BlockedUsers,
                id,
                Op::Add(json!({
                    "id": id, "user_id": e.user_id, "blocked_user_id": e.blocked_user_id,
                    "reason": e.reason, "blocked_at": at, "created_at": at, "updated_at": at,
                })),
            )]
        }
        Event::Users(UsersEvent::UserUnblocked(e)) => {
            let id = ids::blocked_user(e.user_id, e.blocked_user_id);
            vec![user_row(Table::BlockedUsers, id, Op::Delete)]
        }
        Event::Sessions(e) => session(e, &at),
        Event::Credentials(e) => credential(e, &at),
        Event::Passwords(PasswordEvent::PasswordChanged(e)) => vec![user_row(
            Table::Users,
            e.user_id,
            Op::Patch(json!({
                "password_hash": REDACTED, "password_changed_at": at, "updated_at": at,
            })),
        )],
        // One hash takes the place of another: both are shown alike, so that nothing is recorded.
        Event::Passwords(PasswordEvent::PasswordRehashed(e)) => {
            let hash = json!({ "password_hash": REDACTED, "updated_at": at });
            vec![user_row(Table::Users, e.user_id, Op::Patch(hash))]
        }
        Event::Messages(e) => in_conversation(e, &at),
        Event::Auth(
            AuthEvent::IdentifierClaimed(_)
            | AuthEvent::IdentifierReleased(_)
            | AuthEvent::AdminRosterChanged(_),
        )
        | Event::Audit(_)
        | Event::Codes(_)
        | Event::System(_) => Vec::new(),
    }
}

fn in_conversation(event: &MessagesEvent, at: &Value) -> Vec<Change> {
    let conversation = event.conversation_id();
    let change =
        |table, id, op| Change { row: Row { table, id, conversation: Some(conversation) }, op };
    let member = |user, op| change(Table::Participants, ids::member(conversation, user), op);
    match event {
        MessagesEvent::ConversationCreated(e) => {
            vec![change(Table::Conversations, conversation, Op::Insert(created(e, at)))]
        }
        MessagesEvent::ConversationUpdated(e) => {
            vec![change(Table::Conversations, conversation, Op::Patch(described(e, at)))]
        }
        MessagesEvent::ConversationOwnershipTransferred(e) => {
            let owner = json!({ "owner_user_id": e.new_owner_user_id, "updated_at": at });
            vec![
                change(Table::Conversations, conversation, Op::Patch(owner)),
                member(e.old_owner_user_id, new_role(Role::Admin, at)),
                member(e.new_owner_user_id, new_role(Role::Owner, at)),
            ]
        }
        MessagesEvent::ParticipantJoined(e) => vec![member(e.user_id, joined(e, at))],
        MessagesEvent::ParticipantLeft(e) => vec![member(e.user_id, parted(None, at))],
        MessagesEvent::ParticipantRemoved(e) => {
            vec![member(e.user_id, parted(Some(e.removed_by_user_id), at))]
        }
        MessagesEvent::ParticipantRoleChanged(e) => {
            vec![member(e.user_id, new_role(e.new_role, at))]
        }
        MessagesEvent::MessageSent(e) => {
            vec![change(Table::Messages, e.message_id, Op::Insert(sent(e, at)))]
        }
        MessagesEvent::MessageEdited(e) => {
            vec![change(
                Table::Messages,
                e.message_id,
                Op::Patch(json!({
                    "content": e.content, "is_edited": true, "edited_at": at, "updated_at": at,
                })),
            )]
        }
        MessagesEvent::MessageDeleted(e) => {
            let deleted = json!({
                "content": "", "metadata": {}, "is_deleted": true, "deleted_at": at,
                "deleted_by_user_id": e.deleted_by_user_id, "updated_at": at,
            });
            vec![
                change(Table::Messages, e.message_id, Op::Patch(deleted)),
                change(Table::Pins, ids::pin(conversation, e.message_id), Op::Delete),
            ]
        }
        MessagesEvent::ReactionAdded(e) => {
            let id = reaction_id(e);
            vec![change(
                Table::Reactions,
                id,
                Op::Add(json!({
                    "id": id, "conversation_id": conversation, "message_id": e.message_id,
                    "user_id": e.user_id, "emoji": e.emoji, "created_at": at, "updated_at": at,
                })),
            )]
        }
        MessagesEvent::ReactionRemoved(e) => {
            vec![change(Table::Reactions, reaction_id(e), Op::Delete)]
        }
        MessagesEvent::MessagePinned(e) => {
            let id = ids::pin(conversation, e.message_id);
            vec![change(
                Table::Pins,
                id,
                Op::Add(json!({
                    "id": id, "conversation_id": conversation, "message_id": e.message_id,
                    "pinned_by_user_id": e.user_id, "pinned_at": at, "created_at": at,
                    "updated_at": at,
                })),
            )]
        }
        MessagesEvent::MessageUnpinned(e) => {
            vec![change(Table::Pins, ids::pin(conversation, e.message_id), Op::Delete)]
        }
        MessagesEvent::MessageDelivered(_) | MessagesEvent::ConversationRead(_) => Vec::new(),
    }
}

fn user_row(table: Table, id: Uuid, op: Op) -> Change {
    Change { row: Row { table, id, conversation: None }, op }
}

fn registered(e: &UserRegistered, at: &Value) -> Vec<Change> {
    let user = json!({
        "id": e.user_id, "email": e.email, "phone_number": e.phone_number,
        "username": e.username, "password_hash": e.password_hash.as_ref().map(|_| REDACTED),
        "role": role(e.role), "user_type": user_type(e.user_type),
        "account_status": status(e.account_status), "created_at": at, "updated_at": at,
    });
    let profile = json!({
        "user_id": e.user_id, "username": e.username, "display_name": e.display_name,
        "full_name": null, "bio": null, "avatar_url": null, "profile_visibility": "public",
        "language_code": "en", "timezone": "UTC", "created_at": at, "updated_at": at,
    });
    vec![
        user_row(Table::Users, e.user_id, Op::Insert(user)),
        user_row(Table::Profiles, e.user_id, Op::Insert(profile)),
    ]
}

fn account(event: &AccountEvent, at: &Value) -> Vec<Change> {
    let user = event.user_id();
    let account = |op| vec![user_row(Table::Users, user, op)];
    let standing = |status_now, stopped: Option<(&str, Option<Value>)>| {
        account(Op::Patch(json!({
            "account_status": status(status_now), "suspension_reason": stopped.as_ref().map(|it| it.0),
            "suspended_at": stopped.as_ref().map(|_| at),
            "suspended_until": stopped.as_ref().and_then(|it| it.1.as_ref()), "updated_at": at,
        })))
    };
    match event {
        AccountEvent::UserSuspended(e) => {
            standing(AccountStatus::Suspended, Some((&e.reason, e.until.map(times::json))))
        }
        AccountEvent::UserBanned(e) => standing(AccountStatus::Banned, Some((&e.reason, None))),
        AccountEvent::UserReinstated(e) => standing(e.status, None),
        AccountEvent::UserRoleChanged(e) => {
            account(Op::Patch(json!({ "role": role(e.new_role), "updated_at": at })))
        }
        AccountEvent::EmailChanged(e) => account(Op::Patch(json!({
            "email": e.email, "email_verified": true, "email_verified_at": at, "updated_at": at,
        }))),
        AccountEvent::PhoneChanged(e) => account(Op::Patch(json!({
            "phone_number": e.phone_number, "phone_verified": true, "phone_verified_at": at,
            "updated_at": at,
        }))),
        AccountEvent::EmailVerified(e) => account(Op::Patch(verified("email", e.activates, at))),
        AccountEvent::PhoneVerified(e) => account(Op::Patch(verified("phone", e.activates, at))),
        AccountEvent::UserDeleted(_) => {
            let deleted = json!({ "deleted_at": at, "updated_at": at });
            let mut account = deleted.clone();
            account["account_status"] = json!(status(AccountStatus::Deleted));
            vec![
                user_row(Table::Users, user, Op::Patch(account)),
                user_row(Table::Profiles, user, Op::Patch(deleted)),
            ]
        }
    }
}

/// What a row says of a contact from now on.
fn verified(contact: &str, activates: bool, at: &Value) -> Value {
    let mut user = json!({ "updated_at": at });
    user[format!("{contact}_verified")] = json!(true);
    user[format!("{contact}_verified_at")] = at.clone();
    if activates {
        user["account_status"] = json!(status(AccountStatus::Active));
    }
    user
}

fn session(event: &SessionEvent, at: &Value) -> Vec<Change> {
    let lock = |user, locked: bool, until: Option<Value>| {
        let lock = json!({ "locked": locked, "locked_until": until, "updated_at": at });
        vec![user_row(Table::Users, user, Op::Patch(lock))]
    };
    let session = |user, id, op| vec![user_row(Table::Sessions, ids::session(user, id), op)];
    match event {
        SessionEvent::UserLocked(e) => e
            .user_id
            .map_or_else(Vec::new, |user| lock(user, true, Some(times::json(e.locked_until)))),
        SessionEvent::UserUnlocked(e) => lock(e.user_id, false, None),
        SessionEvent::SessionStarted(e) => session(e.user_id, e.session_id, started(e, at)),
        SessionEvent::SessionRefreshed(e) => session(e.user_id, e.session_id, refreshed(e, at)),
        SessionEvent::SessionRevoked(e) => session(
            e.user_id,
            e.session_id,
            Op::Patch(json!({
                "revoked_at": at, "revoked_reason": e.reason.name(), "updated_at": at,
            })),
        ),
        SessionEvent::SessionExpired(e) => session(
            e.user_id,
            e.session_id,
            Op::Patch(json!({
                "revoked_at": times::json(e.expired_at),
                "revoked_reason": RevokedReason::Expired.name(), "updated_at": at,
            })),
        ),
        SessionEvent::LoginSucceeded(_)
        | SessionEvent::LoginFailed(_)
        | SessionEvent::RefreshTokenReused(_)
        | SessionEvent::SessionActivityRecorded(_)
        // That a row is forgotten says nothing new: it ended long ago, which is recorded.
        | SessionEvent::RetentionApplied(_) => Vec::new(),
    }
}

/// The authenticators' own rows, and the codes', say themselves when they came and went.
fn credential(event: &CredentialEvent, at: &Value) -> Vec<Change> {
    let method = match event {
        CredentialEvent::TwoFactorEnabled(e) => Some(e.method.name()),
        CredentialEvent::TwoFactorDisabled(_) => None,
        CredentialEvent::ApiKeyCreated(e) => {
            let row = ids::api_key(e.user_id, e.api_key_id);
            return vec![user_row(Table::ApiKeys, row, new_key(e, at))];
        }
        CredentialEvent::ApiKeyRevoked(e) => {
            let row = ids::api_key(e.user_id, e.api_key_id);
            let revoked = Op::Patch(json!({ "revoked_at": at, "updated_at": at }));
            return vec![user_row(Table::ApiKeys, row, revoked)];
        }
        CredentialEvent::OauthProviderLinked(e) => {
            return vec![user_row(Table::OauthProviders, e.link_id, linked(e, at))];
        }
        CredentialEvent::OauthProviderUnlinked(e) => {
            return vec![user_row(Table::OauthProviders, e.link_id, Op::Delete)];
        }
        CredentialEvent::TwoFactorBegun(_)
        | CredentialEvent::TotpUsed(_)
        | CredentialEvent::RecoveryCodesGenerated(_)
        | CredentialEvent::RecoveryCodeUsed(_)
        | CredentialEvent::ApiKeyUsed(_)
        // The images of a link are without its tokens, sealed as they are.
        | CredentialEvent::OauthTokenRefreshed(_) => return Vec::new(),
    };
    let user = json!({
        "two_factor_enabled": method.is_some(), "two_factor_method": method, "updated_at": at,
    });
    vec![user_row(Table::Users, event.user_id(), Op::Patch(user))]
}

fn new_key(e: &ApiKeyCreated, at: &Value) -> Op {
    Op::Insert(json!({
        "id": e.api_key_id, "user_id": e.user_id, "name": e.name, "key_prefix": e.key_prefix,
        "key_hash": REDACTED, "scopes": e.scopes, "expires_at": e.expires_at.map(times::json),
        "revoked_at": null, "created_at": at, "updated_at": at,
    }))
}

fn linked(e: &OauthProviderLinked, at: &Value) -> Op {
    Op::Upsert(json!({
        "id": e.link_id, "user_id": e.user_id, "provider": e.provider.name(),
        "provider_user_id": e.provider_user_id, "provider_email": e.provider_email,
        "profile_data": e.profile_data, "created_at": at, "updated_at": at,
    }))
}

fn started(e: &SessionStarted, at: &Value) -> Op {
    Op::Insert(json!({
        "id": e.session_id, "user_id": e.user_id, "session_token": REDACTED,
        "refresh_token": REDACTED, "device_id": e.device_id, "device_name": e.device_name,
        "device_type": e.device_type.map(DeviceType::name), "platform": e.platform.name(),
        "device_fingerprint": e.device_fingerprint, "device_metadata": e.device_metadata,
        "ip_address": e.origin.ip_address, "user_agent": e.origin.user_agent,
        "fcm_token": e.fcm_token.as_ref().map(|_| REDACTED),
        "expires_at": times::json(e.expires_at), "revoked_at": null, "revoked_reason": null,
        "created_at": at, "updated_at": at,
    }))
}

/// What is given; what is not stays as it is.
fn refreshed(e: &SessionRefreshed, at: &Value) -> Op {
    let given = [
        ("device_name", e.device_name.as_ref().map(|it| json!(it))),
        ("device_metadata", e.device_metadata.as_ref().map(|it| json!(it))),
        ("fcm_token", e.fcm_token.as_ref().map(|_| json!(REDACTED))),
        ("ip_address", e.origin.ip_address.map(|it| json!(it))),
        ("user_agent", e.origin.user_agent.as_ref().map(|it| json!(it))),
        ("expires_at", Some(times::json(e.expires_at))),
        ("updated_at", Some(at.clone())),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Op::Patch(Value::Object(given.collect()))
}

fn profile(e: &ProfileUpdated, at: &Value) -> Change {
    let fields = [
        ("display_name", e.display_name.as_deref()),
        ("full_name", e.full_name.as_deref()),
        ("bio", e.bio.as_deref()),
        ("avatar_url", e.avatar_url.as_deref()),
        ("profile_visibility", e.profile_visibility.map(visibility)),
        ("language_code", e.language_code.as_deref()),
        ("timezone", e.timezone.as_deref()),
    ];
    user_row(Table::Profiles, e.user_id, Op::Patch(patch(&fields, at)))
}

/// The fields that are given; an empty text clears one.
fn patch(fields: &[(&str, Option<&str>)], at: &Value) -> Value {
    let mut patch: JsonMap = fields
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), json!(non_empty((*value)?)))))
        .collect();
    patch.insert("updated_at".to_owned(), at.clone());
    Value::Object(patch)
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn created(e: &ConversationCreated, at: &Value) -> Value {
    json!({
        "id": e.conversation_id, "conversation_type": e.conversation_type.name(),
        "direct_key": e.direct_key, "title": e.title.as_deref().and_then(non_empty),
        "description": e.description.as_deref().and_then(non_empty),
        "avatar_url": e.avatar_url.as_deref().and_then(non_empty),
        "creator_user_id": e.creator_user_id, "owner_user_id": e.creator_user_id,
        "is_public": e.is_public, "is_encrypted": e.is_encrypted,
        "created_at": at, "updated_at": at,
    })
}

fn described(e: &ConversationUpdated, at: &Value) -> Value {
    let fields = [
        ("title", e.title.as_deref()),
        ("description", e.description.as_deref()),
        ("avatar_url", e.avatar_url.as_deref()),
    ];
    patch(&fields, at)
}

fn joined(e: &ParticipantJoined, at: &Value) -> Op {
    Op::Upsert(json!({
        "id": ids::member(e.conversation_id, e.user_id), "conversation_id": e.conversation_id,
        "user_id": e.user_id, "role": e.role.name(), "invited_by_user_id": e.invited_by_user_id,
        "removed_by_user_id": null, "is_active": true, "joined_at": at, "left_at": null,
        "created_at": at, "updated_at": at,
    }))
}

fn parted(removed_by: Option<Uuid>, at: &Value) -> Op {
    Op::Patch(json!({
        "is_active": false, "left_at": at, "removed_by_user_id": removed_by, "updated_at": at,
    }))
}

fn new_role(role: Role, at: &Value) -> Op {
    Op::Patch(json!({ "role": role.name(), "updated_at": at }))
}

fn sent(e: &MessageSent, at: &Value) -> Value {
    json!({
        "id": e.message_id, "conversation_id": e.conversation_id,
        "sender_user_id": e.sender_user_id, "recipient_user_id": e.recipient_user_id,
        "message_type": e.message_type.name(), "content": e.content,
        "content_encrypted": e.content_encrypted, "reply_to_message_id": e.reply_to_message_id,
        "forward_from_message_id": e.forward_from_message_id,
        "forward_from_conversation_id": e.forward_from_conversation_id,
        "mentions": e.mentions, "metadata": e.metadata, "is_edited": false, "edited_at": null,
        "is_deleted": false, "deleted_at": null, "deleted_by_user_id": null,
        "created_at": at, "updated_at": at,
    })
}

fn reaction_id(e: &Reaction) -> Uuid {
    ids::reaction(e.conversation_id, e.message_id, e.user_id, &e.emoji)
}
