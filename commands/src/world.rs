//! The states that decisions read, and how events change them.

use std::collections::HashMap;

use echolog_events::{
    AuthEvent, ClaimKind, Event, MessagesEvent, Stream, StreamKey, UsersEvent, Uuid,
};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::state::{Blocks, Claim, Conversation, Message, Sessions, State, User};

/// Names a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A user.
    User(Uuid),
    /// The sessions of an account.
    Sessions(Uuid),
    /// Whom a user blocks.
    Block(Uuid),
    /// A conversation.
    Conversation(Uuid),
    /// A message of a conversation.
    Message(Uuid, Uuid),
    /// A claim to a unique value.
    Claim(ClaimId),
}

impl Key {
    /// The id of the thing, as in its streams.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::User(id)
            | Self::Sessions(id)
            | Self::Block(id)
            | Self::Conversation(id)
            | Self::Message(id, _) => id.to_string(),
            Self::Claim(ClaimId(id)) => id.clone(),
        }
    }

    /// The states that an event in this stream changes.
    #[must_use]
    pub fn changed_by(stream: &StreamKey, event: &Event) -> Option<Self> {
        match event {
            Event::Auth(AuthEvent::UserRegistered(e)) => Some(Self::User(e.user_id)),
            Event::Auth(AuthEvent::IdentifierClaimed(_) | AuthEvent::IdentifierReleased(_)) => {
                Some(Self::Claim(ClaimId(stream.id.clone())))
            }
            Event::Sessions(e) => Some(Self::Sessions(e.account_id())),
            Event::Users(UsersEvent::ProfileUpdated(e)) => Some(Self::User(e.user_id)),
            Event::Users(UsersEvent::UserBlocked(e)) => Some(Self::Block(e.user_id)),
            Event::Users(UsersEvent::UserUnblocked(e)) => Some(Self::Block(e.user_id)),
            Event::Messages(
                MessagesEvent::ConversationCreated(_)
                | MessagesEvent::ConversationUpdated(_)
                | MessagesEvent::ConversationOwnershipTransferred(_)
                | MessagesEvent::ParticipantJoined(_)
                | MessagesEvent::ParticipantLeft(_)
                | MessagesEvent::ParticipantRemoved(_)
                | MessagesEvent::ParticipantRoleChanged(_),
            ) => Uuid::try_parse(&stream.id).ok().map(Self::Conversation),
            Event::Messages(MessagesEvent::MessageSent(e)) => {
                Some(Self::Message(e.conversation_id, e.message_id))
            }
            Event::Messages(MessagesEvent::MessageEdited(e)) => {
                Some(Self::Message(e.conversation_id, e.message_id))
            }
            Event::Messages(MessagesEvent::MessageDeleted(e)) => {
                Some(Self::Message(e.conversation_id, e.message_id))
            }
            Event::Messages(
                MessagesEvent::ReactionAdded(_)
                | MessagesEvent::ReactionRemoved(_)
                | MessagesEvent::MessagePinned(_)
                | MessagesEvent::MessageUnpinned(_)
                | MessagesEvent::MessageDelivered(_)
                | MessagesEvent::ConversationRead(_),
            )
            | Event::System(_) => None,
        }
    }
}

/// The id of a claim stream: what a unique value is hashed to, so that the log does not show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimId(pub String);

impl ClaimId {
    /// HMAC-SHA-256 of kind and value under the tenant's key, in hex.
    #[must_use]
    pub fn new(key: &[u8], kind: ClaimKind, value: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(kind.name().as_bytes());
        mac.update(b"\0");
        mac.update(value.as_bytes());
        Self(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Its stream.
    #[must_use]
    pub fn stream_key(&self) -> StreamKey {
        StreamKey { stream: Stream::Claim, id: self.0.clone() }
    }
}

/// The states that were loaded.
#[derive(Debug, Default)]
pub struct World(HashMap<Key, State>);

impl World {
    /// Whether a state was loaded.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// Puts a state in.
    pub fn insert(&mut self, key: Key, state: State) {
        self.0.insert(key, state);
    }

    /// Takes a state out.
    pub fn remove(&mut self, key: &Key) -> Option<State> {
        self.0.remove(key)
    }

    /// Keeps only the states whose names satisfy a condition.
    pub fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// The number of states.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was loaded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A state as it was loaded and evolved.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&State> {
        self.0.get(key)
    }

    /// Lets an event change the state that it concerns, if that was loaded. `seq` is its place in
    /// the log; 0 while it has none.
    pub fn evolve(&mut self, stream: &StreamKey, event: &Event, seq: u64) {
        if let Some(state) = Key::changed_by(stream, event).and_then(|key| self.0.get_mut(&key)) {
            state.evolve(event, seq);
        }
    }

    /// A user; `None` if there is no such user.
    #[must_use]
    pub fn user(&self, id: Uuid) -> Option<&User> {
        if let Some(State::User(user)) = self.0.get(&Key::User(id)) { user.as_ref() } else { None }
    }

    /// The sessions of an account.
    #[must_use]
    pub fn sessions(&self, account: Uuid) -> &Sessions {
        static NONE: Sessions = Sessions::new();
        if let Some(State::Sessions(sessions)) = self.0.get(&Key::Sessions(account)) {
            sessions
        } else {
            &NONE
        }
    }

    /// Whether `blocker` blocks `blocked`.
    #[must_use]
    pub fn blocks(&self, blocker: Uuid, blocked: Uuid) -> bool {
        if let Some(State::Block(blocks)) = self.0.get(&Key::Block(blocker)) {
            blocks.contains(blocked)
        } else {
            false
        }
    }

    /// Whom a user blocks.
    #[must_use]
    pub fn blocked_by(&self, blocker: Uuid) -> Option<&Blocks> {
        if let Some(State::Block(blocks)) = self.0.get(&Key::Block(blocker)) {
            Some(blocks)
        } else {
            None
        }
    }

    /// A conversation; `None` if there is none.
    #[must_use]
    pub fn conversation(&self, id: Uuid) -> Option<&Conversation> {
        if let Some(State::Conversation(conversation)) = self.0.get(&Key::Conversation(id)) {
            conversation.as_ref()
        } else {
            None
        }
    }

    /// A message; `None` if there is none in this conversation.
    #[must_use]
    pub fn message(&self, conversation: Uuid, id: Uuid) -> Option<&Message> {
        if let Some(State::Message(message)) = self.0.get(&Key::Message(conversation, id)) {
            message.as_ref()
        } else {
            None
        }
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, id: &ClaimId) -> Claim {
        if let Some(State::Claim(claim)) = self.0.get(&Key::Claim(id.clone())) {
            *claim
        } else {
            Claim::default()
        }
    }
}
