//! Unread numbers, counted the slow way: every member keeps the messages that came since.

use std::collections::{BTreeMap, BTreeSet};

use echolog_events::{Body, Event, MessagesEvent, Uuid};

use crate::support::Log;

#[derive(Default)]
struct Conversation {
    messages: Vec<Uuid>,
    /// Unread messages of everyone; `None` for who has left.
    unread: BTreeMap<Uuid, Option<BTreeSet<Uuid>>>,
}

/// All conversations.
#[derive(Default)]
pub(super) struct Model(BTreeMap<Uuid, Conversation>);

impl Model {
    pub(super) fn of(log: &Log) -> Self {
        let mut model = Self::default();
        for event in &log.events {
            if let Body::Known(Event::Messages(event)) = &event.body {
                model.0.entry(event.conversation_id()).or_default().apply(event);
            }
        }
        model
    }

    /// Conversation, member and number, as the tables' helper shows them.
    pub(super) fn unread(&self) -> Vec<String> {
        let members = self.0.iter().flat_map(|(id, conversation)| {
            conversation.unread.iter().map(move |(user, unread)| {
                let unread = unread.as_ref().map_or(0, BTreeSet::len);
                format!("(#{:x},#{:x},{unread})", id.as_u128(), user.as_u128())
            })
        });
        members.collect()
    }
}

impl Conversation {
    fn apply(&mut self, event: &MessagesEvent) {
        match event {
            MessagesEvent::ParticipantJoined(e) => {
                self.unread.insert(e.user_id, Some(BTreeSet::new()));
            }
            MessagesEvent::ParticipantLeft(e) => {
                self.unread.insert(e.user_id, None);
            }
            MessagesEvent::ParticipantRemoved(e) => {
                self.unread.insert(e.user_id, None);
            }
            MessagesEvent::MessageSent(e) => {
                self.messages.push(e.message_id);
                for (user, unread) in &mut self.unread {
                    if let Some(unread) = unread.as_mut().filter(|_| *user != e.sender_user_id) {
                        unread.insert(e.message_id);
                    }
                }
            }
            MessagesEvent::MessageDeleted(e) => {
                for unread in self.unread.values_mut().flatten() {
                    unread.remove(&e.message_id);
                }
            }
            MessagesEvent::ConversationRead(e) => {
                let place = self.messages.iter().position(|message| *message == e.message_id);
                let read = &self.messages[..=place.expect("it was sent")];
                if let Some(unread) = self.unread.get_mut(&e.user_id).and_then(Option::as_mut) {
                    unread.retain(|message| !read.contains(message));
                }
            }
            MessagesEvent::ConversationCreated(_)
            | MessagesEvent::ConversationUpdated(_)
            | MessagesEvent::ConversationOwnershipTransferred(_)
            | MessagesEvent::ParticipantRoleChanged(_)
            | MessagesEvent::MessageEdited(_)
            | MessagesEvent::ReactionAdded(_)
            | MessagesEvent::ReactionRemoved(_)
            | MessagesEvent::MessagePinned(_)
            | MessagesEvent::MessageUnpinned(_)
            | MessagesEvent::MessageDelivered(_) => {}
        }
    }
}
