//! Events of conversations and of what is said in them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::JsonMap;

/// What happens in conversations. The first group is on stream `conversation`, the second on
/// stream `message`, both under the conversation's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MessagesEvent {
    /// A conversation came to be.
    ConversationCreated(ConversationCreated),
    /// Its description changed.
    ConversationUpdated(ConversationUpdated),
    /// It has another owner; the old one is an admin now.
    ConversationOwnershipTransferred(OwnershipTransferred),
    /// Someone is a member now.
    ParticipantJoined(ParticipantJoined),
    /// A member left.
    ParticipantLeft(ParticipantLeft),
    /// A member was removed.
    ParticipantRemoved(ParticipantRemoved),
    /// A member has another role.
    ParticipantRoleChanged(ParticipantRoleChanged),

    /// Something was said.
    MessageSent(MessageSent),
    /// It was put differently.
    MessageEdited(MessageEdited),
    /// It was taken back.
    MessageDeleted(MessageDeleted),
    /// Someone reacted to it. Applied as a set: the same again changes nothing.
    ReactionAdded(Reaction),
    /// Someone no longer reacts. Applied as a set.
    ReactionRemoved(Reaction),
    /// A message was pinned to the top. Applied as a set.
    MessagePinned(Pin),
    /// It no longer is. Applied as a set.
    MessageUnpinned(Pin),
    /// Everything up to a message has reached a member. Only ever moves forward.
    MessageDelivered(ConversationDelivered),
    /// A member has read everything up to a message. Only ever moves forward.
    ConversationRead(ConversationRead),
}

/// A conversation came to be; its members follow as [`ParticipantJoined`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationCreated {
    /// The new conversation.
    pub conversation_id: Uuid,
    /// What kind it is.
    pub conversation_type: ConversationType,
    /// Who made it, and owns it for now.
    pub creator_user_id: Uuid,
    /// Its name. Direct conversations have none.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// An http(s) address.
    pub avatar_url: Option<String>,
    /// Whether anyone may find and join it.
    pub is_public: bool,
    /// Whether its content is encrypted end to end.
    pub is_encrypted: bool,
    /// The two members of a direct conversation, `smaller:larger`.
    pub direct_key: Option<String>,
}

/// The fields of a conversation that changed; `None` is unchanged, an empty text clears.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationUpdated {
    /// The conversation.
    pub conversation_id: Uuid,
    /// Its name; never empty.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// An http(s) address.
    pub avatar_url: Option<String>,
}

/// A conversation has another owner; the old one is an admin now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnershipTransferred {
    /// The conversation.
    pub conversation_id: Uuid,
    /// Who owned it.
    pub old_owner_user_id: Uuid,
    /// Who owns it now.
    pub new_owner_user_id: Uuid,
    /// What the new owner was before.
    pub old_role: Role,
}

/// Someone is a member now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantJoined {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The new member.
    pub user_id: Uuid,
    /// As what.
    pub role: Role,
    /// Who brought them in; `None` for one who came by themselves.
    pub invited_by_user_id: Option<Uuid>,
}

/// A member left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantLeft {
    /// The conversation.
    pub conversation_id: Uuid,
    /// Who left.
    pub user_id: Uuid,
    /// What they were.
    pub old_role: Role,
}

/// A member was removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantRemoved {
    /// The conversation.
    pub conversation_id: Uuid,
    /// Who was removed.
    pub user_id: Uuid,
    /// By whom.
    pub removed_by_user_id: Uuid,
    /// What they were.
    pub old_role: Role,
}

/// A member has another role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantRoleChanged {
    /// The conversation.
    pub conversation_id: Uuid,
    /// Whose role.
    pub user_id: Uuid,
    /// What it was.
    pub old_role: Role,
    /// What it is.
    pub new_role: Role,
}

/// Something was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageSent {
    /// The conversation.
    pub conversation_id: Uuid,
    /// Chosen by the client; unique in its conversation.
    pub message_id: Uuid,
    /// Who said it.
    pub sender_user_id: Uuid,
    /// The other one, in a direct conversation.
    pub recipient_user_id: Option<Uuid>,
    /// What kind of message it is.
    pub message_type: MessageType,
    /// The text; may be empty where `metadata` says what it is.
    pub content: String,
    /// Whether `content` is encrypted end to end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub content_encrypted: bool,
    /// What else belongs to a message of this type.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub metadata: JsonMap,
    /// What it answers, in the same conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to_message_id: Option<Uuid>,
    /// The first message of the thread that it answers into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_root_message_id: Option<Uuid>,
    /// What it passes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_from_message_id: Option<Uuid>,
    /// The conversation that the forwarded message is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_from_conversation_id: Option<Uuid>,
    /// Members that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Uuid>,
}

/// A message was put differently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageEdited {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The message.
    pub message_id: Uuid,
    /// Its sender.
    pub editor_user_id: Uuid,
    /// The new text.
    pub content: String,
}

/// A message was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageDeleted {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The message.
    pub message_id: Uuid,
    /// Its sender, or a moderator.
    pub deleted_by_user_id: Uuid,
    /// Whose message it was: unread counts need it.
    pub sender_user_id: Uuid,
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The message.
    pub message_id: Uuid,
    /// Who reacts.
    pub user_id: Uuid,
    /// With what.
    pub emoji: String,
}

/// A message at the top of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The message.
    pub message_id: Uuid,
    /// Who pins or unpins it.
    pub user_id: Uuid,
}

/// Everything up to a message has reached a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationDelivered {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The member.
    pub user_id: Uuid,
    /// The last message that has arrived.
    pub message_id: Uuid,
}

/// A member has read everything up to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationRead {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The member.
    pub user_id: Uuid,
    /// The last message read.
    pub message_id: Uuid,
}

/// Defines an enum whose values are stored under their snake-case names.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name, as in the log and in the tables.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

names! {
    /// The kinds of conversations.
    ConversationType {
        /// Two people; one conversation per pair.
        Direct = "direct",
        /// Members talk with each other.
        Group = "group",
        /// Moderators and above publish, members read.
        Channel = "channel",
        /// Moderators and above announce, members read.
        Broadcast = "broadcast",
    }
}

names! {
    /// What a member may do, the least first.
    Role {
        /// Talks, where members may.
        Member = "member",
        /// Also removes messages and members.
        Moderator = "moderator",
        /// Also changes roles and the conversation.
        Admin = "admin",
        /// Also hands the conversation over.
        Owner = "owner",
    }
}

names! {
    /// The kinds of messages.
    MessageType {
        /// Text.
        Text = "text",
        /// A picture.
        Image = "image",
        /// A film.
        Video = "video",
        /// A recording.
        Audio = "audio",
        /// A file.
        Document = "document",
        /// A place.
        Location = "location",
        /// A person's card.
        Contact = "contact",
        /// A sticker.
        Sticker = "sticker",
        /// A question with answers to choose from.
        Poll = "poll",
        /// From the system itself; no client can send one.
        System = "system",
    }
}
