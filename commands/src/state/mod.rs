//! The states of deciders: what decisions have to remember of each stream, and no more.
//!
//! `User`, `Blocks`, `Conversation`, `Sessions`, `Credentials` and `Codes` are stored in
//! `projection.deciders`; a change of their shape is a change of that projection and needs a rebuild of
//! it. `Sessions` follows two streams of an account, `session` and `password`.

mod api_keys;
mod block;
mod claim;
mod codes;
mod conversation;
mod credentials;
mod message;
mod oauth;
mod owner;
mod roster;
mod sessions;
mod user;

pub use api_keys::{ApiKey, ApiKeys};
pub use block::Blocks;
pub use claim::Claim;
pub use codes::{Code, Codes};
pub use conversation::Conversation;
pub use credentials::{Authenticator, Begun, Credentials, SentBy};
pub use message::{Message, content_digest};
pub use oauth::{OauthLink, OauthLinks};
pub use owner::Owner;
pub use roster::Roster;
pub use sessions::{Session, Sessions};
pub use user::{Profile, User};

use echolog_events::{Event, Stream};

/// The state of one thing that decisions read.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// A user, if there is one.
    User(Option<User>),
    /// The sessions of an account.
    Sessions(Sessions),
    /// What else proves who a user is.
    Credentials(Credentials),
    /// The one-time codes of an account.
    Codes(Codes),
    /// Whom a user blocks.
    Block(Blocks),
    /// A conversation, if there is one.
    Conversation(Option<Conversation>),
    /// A message, if there is one.
    Message(Option<Message>),
    /// A claim.
    Claim(Claim),
    /// Who the administrators are.
    Roster(Roster),
}

impl State {
    /// The state before the first event of a stream that is kept in `projection.deciders`; `None`
    /// for the streams that are not kept there.
    #[must_use]
    pub fn initial(stream: Stream) -> Option<Self> {
        match stream {
            Stream::User => Some(Self::User(None)),
            Stream::Block => Some(Self::Block(Blocks::default())),
            Stream::Session => Some(Self::Sessions(Sessions::default())),
            Stream::Credential => Some(Self::Credentials(Credentials::default())),
            Stream::Code => Some(Self::Codes(Codes::default())),
            Stream::Conversation => Some(Self::Conversation(None)),
            Stream::Message | Stream::Claim | Stream::Password | Stream::Owner => None,
        }
    }

    /// The stream under whose name the state is kept that the events of this one change.
    #[must_use]
    pub fn kept_as(stream: Stream) -> Stream {
        if stream == Stream::Password { Stream::Session } else { stream }
    }

    /// Lets an event change it that concerns it, by [`crate::Key::changed_by`]; any other changes
    /// nothing.
    pub fn evolve(&mut self, event: &Event, seq: u64) {
        match self {
            Self::User(user) => User::evolve(user, event),
            Self::Sessions(sessions) => sessions.evolve(event),
            Self::Credentials(credentials) => credentials.evolve(event),
            Self::Codes(codes) => codes.evolve(event),
            Self::Block(blocks) => blocks.evolve(event),
            Self::Conversation(conversation) => Conversation::evolve(conversation, event),
            Self::Message(message) => Message::evolve(message, event),
            Self::Claim(claim) => claim.evolve(event, seq),
            Self::Roster(roster) => roster.evolve(event, seq),
        }
    }

    /// The bytes that `projection.deciders` keeps; `None` where there is nothing to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::User(user) => rmp_serde::to_vec_named(user.as_ref()?),
            Self::Sessions(sessions) => rmp_serde::to_vec_named(sessions),
            Self::Credentials(credentials) => rmp_serde::to_vec_named(credentials),
            Self::Codes(codes) => rmp_serde::to_vec_named(codes),
            Self::Block(blocks) => rmp_serde::to_vec_named(blocks),
            Self::Conversation(conversation) => rmp_serde::to_vec_named(conversation.as_ref()?),
            Self::Message(_) | Self::Claim(_) | Self::Roster(_) => return None,
        };
        Some(bytes.expect("a decider's state has nothing that MessagePack lacks"))
    }

    /// Reads what [`Self::to_bytes`] wrote for a stream of this kind.
    ///
    /// # Errors
    /// Bytes of another shape, and streams that are not kept.
    pub fn from_bytes(stream: Stream, bytes: &[u8]) -> Result<Self, UnreadableState> {
        let state = match stream {
            Stream::User => rmp_serde::from_slice(bytes).map(|user| Self::User(Some(user))),
            Stream::Session => rmp_serde::from_slice(bytes).map(Self::Sessions),
            Stream::Credential => rmp_serde::from_slice(bytes).map(Self::Credentials),
            Stream::Code => rmp_serde::from_slice(bytes).map(Self::Codes),
            Stream::Block => rmp_serde::from_slice(bytes).map(Self::Block),
            Stream::Conversation => rmp_serde::from_slice(bytes)
                .map(|conversation| Self::Conversation(Some(conversation))),
            Stream::Message | Stream::Claim | Stream::Password | Stream::Owner => {
                return Err(UnreadableState {
                    stream: stream.name(),
                    reason: "not kept".to_owned(),
                });
            }
        };
        state.map_err(|error| UnreadableState { stream: stream.name(), reason: error.to_string() })
    }
}

/// A stored state that this build cannot read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the stored state of a {stream} stream cannot be read ({reason}); rebuild it with `echolog replay deciders`"
)]
pub struct UnreadableState {
    stream: &'static str,
    reason: String,
}
