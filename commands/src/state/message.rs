use std::hash::{DefaultHasher, Hash, Hasher};

use echolog_events::{Event, MessageType, MessagesEvent, Uuid};

/// What decisions remember of a message. It is not stored: it is read from `messages.messages`,
/// and from the end of the log where that lags behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who sent it.
    pub sender: Uuid,
    /// What kind it is.
    pub message_type: MessageType,
    /// Whether it was taken back.
    pub is_deleted: bool,
    /// A fingerprint of its text, to tell an edit from none. Never leaves the process.
    pub content: u64,
    /// The first message of the thread that it answers into.
    pub thread_root: Option<Uuid>,
}

/// A fingerprint of a text, good inside one process.
#[must_use]
pub fn content_digest(content: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

impl Message {
    pub(super) fn evolve(message: &mut Option<Self>, event: &Event) {
        let Event::Messages(event) = event else { return };
        if let MessagesEvent::MessageSent(e) = event {
            *message = Some(Self {
                sender: e.sender_user_id,
                message_type: e.message_type,
                is_deleted: false,
                content: content_digest(&e.content),
                thread_root: e.thread_root_message_id,
            });
        } else if let (Some(message), MessagesEvent::MessageEdited(e)) = (&mut *message, event) {
            message.content = content_digest(&e.content);
        } else if let (Some(message), MessagesEvent::MessageDeleted(_)) = (message, event) {
            message.is_deleted = true;
        }
    }
}
