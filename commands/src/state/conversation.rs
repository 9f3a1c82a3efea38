use std::collections::BTreeMap;

use echolog_events::{ConversationType, MessagesEvent, Role, Uuid};
use serde::{Deserialize, Serialize};

/// What decisions remember of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// What kind it is.
    pub conversation_type: ConversationType,
    /// Its name.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// An http(s) address.
    pub avatar_url: String,
    /// Whether its content is encrypted end to end.
    pub is_encrypted: bool,
    /// Its members.
    pub members: BTreeMap<Uuid, Role>,
}

impl Conversation {
    /// The other member of a direct conversation.
    #[must_use]
    pub fn counterpart(&self, user: Uuid) -> Option<Uuid> {
        match self.conversation_type {
            ConversationType::Direct => self.members.keys().copied().find(|member| *member != user),
            ConversationType::Group | ConversationType::Channel | ConversationType::Broadcast => {
                None
            }
        }
    }

    pub(super) fn evolve(conversation: &mut Option<Self>, event: &MessagesEvent) {
        if let MessagesEvent::ConversationCreated(e) = event {
            *conversation = Some(Self {
                conversation_type: e.conversation_type,
                title: e.title.clone().unwrap_or_default(),
                description: e.description.clone().unwrap_or_default(),
                avatar_url: e.avatar_url.clone().unwrap_or_default(),
                is_encrypted: e.is_encrypted,
                members: BTreeMap::new(),
            });
        } else if let Some(conversation) = conversation {
            conversation.change(event);
        }
    }

    fn change(&mut self, event: &MessagesEvent) {
        match event {
            MessagesEvent::ConversationUpdated(e) => {
                for (field, value) in [
                    (&mut self.title, &e.title),
                    (&mut self.description, &e.description),
                    (&mut self.avatar_url, &e.avatar_url),
                ] {
                    if let Some(value) = value {
                        field.clone_from(value);
                    }
                }
            }
            MessagesEvent::ConversationOwnershipTransferred(e) => {
                self.members.insert(e.old_owner_user_id, Role::Admin);
                self.members.insert(e.new_owner_user_id, Role::Owner);
            }
            MessagesEvent::ParticipantJoined(e) => {
                self.members.insert(e.user_id, e.role);
            }
            MessagesEvent::ParticipantLeft(e) => {
                self.members.remove(&e.user_id);
            }
            MessagesEvent::ParticipantRemoved(e) => {
                self.members.remove(&e.user_id);
            }
            MessagesEvent::ParticipantRoleChanged(e) => {
                self.members.insert(e.user_id, e.new_role);
            }
            MessagesEvent::ConversationCreated(_)
            | MessagesEvent::MessageSent(_)
            | MessagesEvent::MessageEdited(_)
            | MessagesEvent::MessageDeleted(_)
            | MessagesEvent::ReactionAdded(_)
            | MessagesEvent::ReactionRemoved(_)
            | MessagesEvent::MessageDelivered(_)
            | MessagesEvent::ConversationRead(_) => {}
        }
    }
}
