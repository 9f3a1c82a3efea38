//! The rows that a batch has to know.

use std::collections::{HashMap, HashSet};

use echolog_events::{MessagesEvent, Recorded, Uuid};

use super::{MemberKey, MessageKey};

/// What has to be loaded before a batch can be folded.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Needs {
    pub(super) conversations: HashSet<Uuid>,
    pub(super) members: HashSet<MemberKey>,
    /// Whether the text is needed too.
    pub(super) messages: HashMap<MessageKey, bool>,
}

impl Needs {
    pub(super) fn of(events: &[(&Recorded, &MessagesEvent)]) -> Self {
        let mut needs = Self::default();
        for (_, event) in events {
            needs.add(event);
        }
        needs
    }

    fn add(&mut self, event: &MessagesEvent) {
        let conversation = event.conversation_id();
        match event {
            MessagesEvent::ConversationCreated(_) | MessagesEvent::ConversationUpdated(_) => {}
            MessagesEvent::ConversationOwnershipTransferred(e) => {
                self.members.insert((conversation, e.old_owner_user_id));
                self.members.insert((conversation, e.new_owner_user_id));
            }
            MessagesEvent::ParticipantJoined(e) => {
                self.members.insert((conversation, e.user_id));
            }
            MessagesEvent::ParticipantLeft(e) => {
                self.members.insert((conversation, e.user_id));
            }
            MessagesEvent::ParticipantRemoved(e) => {
                self.members.insert((conversation, e.user_id));
            }
            MessagesEvent::ParticipantRoleChanged(e) => {
                self.members.insert((conversation, e.user_id));
            }
            MessagesEvent::MessageSent(e) => {
                if let Some(parent) = e.reply_to_message_id {
                    self.message(conversation, parent);
                }
            }
            MessagesEvent::MessageEdited(e) => {
                self.messages.insert((conversation, e.message_id), true);
            }
            MessagesEvent::MessageDeleted(e) => self.message(conversation, e.message_id),
            MessagesEvent::ReactionAdded(e) | MessagesEvent::ReactionRemoved(e) => {
                self.message(conversation, e.message_id);
            }
            MessagesEvent::MessagePinned(e) => {
                self.message(conversation, e.message_id);
                return;
            }
            MessagesEvent::MessageUnpinned(_) => return,
            MessagesEvent::MessageDelivered(e) => {
                self.members.insert((conversation, e.user_id));
                self.message(conversation, e.message_id);
                return;
            }
            MessagesEvent::ConversationRead(e) => {
                self.members.insert((conversation, e.user_id));
                self.message(conversation, e.message_id);
                return;
            }
        }
        // Cursors, the most frequent events by far, do not touch the conversation.
        self.conversations.insert(conversation);
    }

    fn message(&mut self, conversation: Uuid, message: Uuid) {
        self.messages.entry((conversation, message)).or_default();
    }
}
