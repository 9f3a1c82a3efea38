use std::collections::BTreeMap;

use echolog_events::{ConversationType, ConversationUpdated, Event, MessagesEvent, Role, Uuid};
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

    pub(super) fn evolve(conversation: &mut Option<Self>, event: &Event) {
        let Event::Messages(event) = event else { return };
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
        if let MessagesEvent::ConversationUpdated(e) = event {
            self.describe(e);
        } else if let MessagesEvent::ConversationOwnershipTransferred(e) = event {
            self.members.insert(e.old_owner_user_id, Role::Admin);
            self.members.insert(e.new_owner_user_id, Role::Owner);
        } else if let MessagesEvent::ParticipantJoined(e) = event {
            self.members.insert(e.user_id, e.role);
        } else if let MessagesEvent::ParticipantLeft(e) = event {
            self.members.remove(&e.user_id);
        } else if let MessagesEvent::ParticipantRemoved(e) = event {
            self.members.remove(&e.user_id);
        } else if let MessagesEvent::ParticipantRoleChanged(e) = event {
            self.members.insert(e.user_id, e.new_role);
        }
    }

    fn describe(&mut self, e: &ConversationUpdated) {
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
}
