//! The states that decisions read, and how events change them.

use std::collections::HashMap;

use echolog_events::{
    AdminRosterChanged, AuthEvent, ClaimKind, Event, MessagesEvent, Stream, StreamKey, UsersEvent,
    Uuid,
};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::state::{
    Blocks, Claim, Codes, Conversation, Credentials, Message, Roster, Sessions, State, User,
};

/// Names a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A user.
    User(Uuid),
    /// The sessions of an account.
    Sessions(Uuid),
    /// What else proves who a user is.
    Credentials(Uuid),
    /// The one-time codes of an account.
    Codes(Uuid),
    /// Whom a user blocks.
    Block(Uuid),
    /// A conversation.
    Conversation(Uuid),
    /// A message of a conversation.
    Message(Uuid, Uuid),
    /// A claim to a unique value.
    Claim(ClaimId),
    /// Who the administrators are.
    Roster,
}

impl Key {
    /// The id of the thing, as in its streams.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::User(id)
            | Self::Sessions(id)
            | Self::Credentials(id)
            | Self::Codes(id)
            | Self::Block(id)
            | Self::Conversation(id)
            | Self::Message(id, _) => id.to_string(),
            Self::Claim(ClaimId(id)) => id.clone(),
            Self::Roster => AdminRosterChanged::ID.to_owned(),
        }
    }

    /// The stream of a state that is not kept: the last event of the stream says all of it, and
    /// any process may append the next one.
    #[must_use]
    pub fn read_from_log(&self) -> Option<StreamKey> {
        match self {
            Self::Claim(id) => Some(id.stream_key()),
            Self::Roster => Some(AdminRosterChanged::stream()),
            Self::User(_)
            | Self::Sessions(_)
            | Self::Credentials(_)
            | Self::Codes(_)
            | Self::Block(_)
            | Self::Conversation(_)
            | Self::Message(..) => None,
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
            Event::Auth(AuthEvent::AdminRosterChanged(_)) => Some(Self::Roster),
            Event::Accounts(e) => Some(Self::User(e.user_id())),
            Event::Sessions(e) => Some(Self::Sessions(e.account_id())),
            Event::Credentials(e) => Some(Self::Credentials(e.user_id())),
            Event::Codes(e) => Some(Self::Codes(e.account_id())),
            Event::Passwords(e) => Some(Self::Sessions(e.user_id())),
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
            | Event::Audit(_)
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

/// The states that were loaded. Messages are apart from the rest: there are ever more of them.
#[derive(Debug, Default)]
pub struct World {
    messages: HashMap<Key, State>,
    others: HashMap<Key, State>,
}

impl World {
    fn of_kind(&self, key: &Key) -> &HashMap<Key, State> {
        if let Key::Message(..) = key { &self.messages } else { &self.others }
    }

    fn of_kind_mut(&mut self, key: &Key) -> &mut HashMap<Key, State> {
        if let Key::Message(..) = key { &mut self.messages } else { &mut self.others }
    }

    /// Whether a state was loaded.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.of_kind(key).contains_key(key)
    }

    /// Puts a state in.
    pub fn insert(&mut self, key: Key, state: State) {
        self.of_kind_mut(&key).insert(key, state);
    }

    /// Takes a state out.
    pub fn remove(&mut self, key: &Key) -> Option<State> {
        self.of_kind_mut(key).remove(key)
    }

    /// Keeps only the states whose names satisfy a condition.
    pub fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.messages.retain(|key, _| keep(key));
        self.others.retain(|key, _| keep(key));
    }

    /// Hands the messages over to `old`, if there are more than so many; those that `old` had are
    /// gone then. Likewise the other states.
    pub fn age(&mut self, old: &mut Self, messages: usize, others: usize) {
        if self.messages.len() > messages {
            old.messages = std::mem::take(&mut self.messages);
        }
        if self.others.len() > others {
            old.others = std::mem::take(&mut self.others);
        }
    }

    /// A state as it was loaded and evolved.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&State> {
        self.of_kind(key).get(key)
    }

    /// Lets an event change the state that it concerns, if that was loaded. `seq` is its place in
    /// the log; 0 while it has none.
    pub fn evolve(&mut self, stream: &StreamKey, event: &Event, seq: u64) {
        let Some(key) = Key::changed_by(stream, event) else { return };
        if let Some(state) = self.of_kind_mut(&key).get_mut(&key) {
            state.evolve(event, seq);
        }
    }

    /// A user; `None` if there is no such user.
    #[must_use]
    pub fn user(&self, id: Uuid) -> Option<&User> {
        if let Some(State::User(user)) = self.get(&Key::User(id)) { user.as_ref() } else { None }
    }

    /// The sessions of an account.
    #[must_use]
    pub fn sessions(&self, account: Uuid) -> &Sessions {
        static NONE: Sessions = Sessions::new();
        if let Some(State::Sessions(sessions)) = self.get(&Key::Sessions(account)) {
            sessions
        } else {
            &NONE
        }
    }

    /// What else proves who a user is.
    #[must_use]
    pub fn credentials(&self, user: Uuid) -> &Credentials {
        static NONE: Credentials = Credentials::new();
        if let Some(State::Credentials(credentials)) = self.get(&Key::Credentials(user)) {
            credentials
        } else {
            &NONE
        }
    }

    /// The one-time codes of an account.
    #[must_use]
    pub fn codes(&self, account: Uuid) -> &Codes {
        static NONE: Codes = Codes::new();
        if let Some(State::Codes(codes)) = self.get(&Key::Codes(account)) { codes } else { &NONE }
    }

    /// Whether `blocker` blocks `blocked`.
    #[must_use]
    pub fn blocks(&self, blocker: Uuid, blocked: Uuid) -> bool {
        if let Some(State::Block(blocks)) = self.get(&Key::Block(blocker)) {
            blocks.contains(blocked)
        } else {
            false
        }
    }

    /// Whom a user blocks.
    #[must_use]
    pub fn blocked_by(&self, blocker: Uuid) -> Option<&Blocks> {
        if let Some(State::Block(blocks)) = self.get(&Key::Block(blocker)) {
            Some(blocks)
        } else {
            None
        }
    }

    /// A conversation; `None` if there is none.
    #[must_use]
    pub fn conversation(&self, id: Uuid) -> Option<&Conversation> {
        if let Some(State::Conversation(conversation)) = self.get(&Key::Conversation(id)) {
            conversation.as_ref()
        } else {
            None
        }
    }

    /// A message; `None` if there is none in this conversation.
    #[must_use]
    pub fn message(&self, conversation: Uuid, id: Uuid) -> Option<&Message> {
        if let Some(State::Message(message)) = self.get(&Key::Message(conversation, id)) {
            message.as_ref()
        } else {
            None
        }
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, id: &ClaimId) -> Claim {
        if let Some(State::Claim(claim)) = self.get(&Key::Claim(id.clone())) {
            *claim
        } else {
            Claim::default()
        }
    }

    /// Who the administrators are.
    #[must_use]
    pub fn roster(&self) -> Roster {
        if let Some(State::Roster(roster)) = self.get(&Key::Roster) {
            roster.clone()
        } else {
            Roster::default()
        }
    }
}
