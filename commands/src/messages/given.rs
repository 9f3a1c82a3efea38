//! What has happened in the stories of this folder.

use echolog_events::{
    ConversationCreated, ConversationType, JsonMap, MessageSent, MessageType, MessagesEvent,
    ParticipantJoined, Role, Uuid,
};

use crate::story::{Story, id};

/// The conversation of the stories.
pub(super) fn here() -> Uuid {
    id(100)
}

/// A message of the stories.
pub(super) fn message(number: u16) -> Uuid {
    id(200 + number)
}

/// A conversation with the users 1, 2, … in these roles, all of them registered, and user 9, who
/// is no member.
pub(super) fn conversation(kind: ConversationType, roles: &[Role]) -> Story {
    let users: Vec<Uuid> = (1..).take(roles.len()).map(id).collect();
    let created = MessagesEvent::ConversationCreated(ConversationCreated {
        conversation_id: here(),
        conversation_type: kind,
        creator_user_id: id(1),
        title: Some("a title".to_owned()),
        description: None,
        avatar_url: None,
        is_public: false,
        is_encrypted: false,
        direct_key: None,
    });
    let joined = users.iter().zip(roles).map(|(user, role)| joined(*user, *role, Some(id(1))));
    Story::new()
        .users(users.iter().copied().chain([id(9)]))
        .messages(std::iter::once(created).chain(joined))
}

/// A group with an owner, an admin, a moderator and two members: users 1 to 5.
pub(super) fn group() -> Story {
    let roles = [Role::Owner, Role::Admin, Role::Moderator, Role::Member, Role::Member];
    conversation(ConversationType::Group, &roles)
}

/// A direct conversation of users 1 and 2.
pub(super) fn direct() -> Story {
    conversation(ConversationType::Direct, &[Role::Owner, Role::Member])
}

pub(super) fn joined(user_id: Uuid, role: Role, invited_by_user_id: Option<Uuid>) -> MessagesEvent {
    MessagesEvent::ParticipantJoined(ParticipantJoined {
        conversation_id: here(),
        user_id,
        role,
        invited_by_user_id,
    })
}

/// A text that a user has sent.
pub(super) fn sent(number: u16, sender: Uuid, content: &str) -> MessagesEvent {
    MessagesEvent::MessageSent(message_sent(number, sender, content))
}

pub(super) fn message_sent(number: u16, sender: Uuid, content: &str) -> MessageSent {
    MessageSent {
        conversation_id: here(),
        message_id: message(number),
        sender_user_id: sender,
        recipient_user_id: None,
        message_type: MessageType::Text,
        content: content.to_owned(),
        content_encrypted: false,
        metadata: JsonMap::new(),
        reply_to_message_id: None,
        thread_root_message_id: None,
        forward_from_message_id: None,
        forward_from_conversation_id: None,
        mentions: Vec::new(),
    }
}

pub(super) fn deleted(number: u16, sender: Uuid, by: Uuid) -> MessagesEvent {
    MessagesEvent::MessageDeleted(echolog_events::MessageDeleted {
        conversation_id: here(),
        message_id: message(number),
        deleted_by_user_id: by,
        sender_user_id: sender,
    })
}

/// Blocks a user in a story.
pub(super) fn blocked(story: Story, by: Uuid, whom: Uuid) -> Story {
    let block = crate::users::BlockUser { user_id: whom.into(), reason: None };
    story.done(&crate::Actor::User(by), by, block)
}

pub(super) fn read<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
    serde_json::from_value(json).expect("a good command")
}
