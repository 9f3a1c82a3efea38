//! The rows that a batch has to know.

use echolog_events::{MessagesEvent, Recorded, Uuid};

use super::{MemberKey, MessageKey};
use crate::map::{HashMap, HashSet};

/// What has to be loaded before a batch can be folded.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Needs {
    pub(super) conversations: HashSet<Uuid>,
    pub(super) members: HashSet<MemberKey>,
    /// Messages of earlier batches, and whether the text is needed too.
    pub(super) messages: HashMap<MessageKey, bool>,
    /// Messages of this batch.
    sent: HashSet<MessageKey>,
    /// Something happens to messages beside being sent.
    revisits: bool,
}

impl Needs {
    pub(super) fn of(events: &[(&Recorded, &MessagesEvent)]) -> Self {
        let mut needs = Self::default();
        for (_, event) in events {
            needs.add(event);
        }
        needs
    }

    /// Whether messages have to be found in the table.
    pub(super) fn look_up(&self) -> bool {
        self.revisits || !self.messages.is_empty()
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
                    self.message(conversation, parent, false);
                }
                self.sent.insert((conversation, e.message_id));
            }
            MessagesEvent::MessageEdited(e) => {
                self.revisits = true;
                self.message(conversation, e.message_id, true);
            }
            MessagesEvent::MessageDeleted(e) => {
                self.revisits = true;
                self.message(conversation, e.message_id, false);
            }
            MessagesEvent::ReactionAdded(e) | MessagesEvent::ReactionRemoved(e) => {
                self.revisits = true;
                self.message(conversation, e.message_id, false);
            }
            MessagesEvent::MessagePinned(e) => {
                self.message(conversation, e.message_id, false);
                return;
            }
            MessagesEvent::MessageUnpinned(_) => return,
            MessagesEvent::MessageDelivered(e) => {
                self.members.insert((conversation, e.user_id));
                self.message(conversation, e.message_id, false);
                return;
            }
            MessagesEvent::ConversationRead(e) => {
                self.members.insert((conversation, e.user_id));
                self.message(conversation, e.message_id, false);
                return;
            }
        }
        // Cursors, the most frequent events by far, do not touch the conversation.
        self.conversations.insert(conversation);
    }

    fn message(&mut self, conversation: Uuid, message: Uuid, text: bool) {
        let key = (conversation, message);
        if !self.sent.contains(&key) {
            *self.messages.entry(key).or_default() |= text;
        }
    }
}
