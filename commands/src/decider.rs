//! What every command has to say for itself.

use echolog_events::{
    AccountEvent, AuditEvent, CodeEvent, CredentialEvent, Event, PasswordEvent, SessionEvent,
    Stream, StreamKey,
};
use serde_json::Value;

use crate::{Context, Doc, Key, Rejection, World};

/// A decision: the events to append, none if nothing has to change.
pub type Decision = Result<Vec<NewEvent>, Rejection>;

/// A command's part in the walk from request to events. Pure and synchronous: whatever it has to
/// know is in its arguments.
pub trait Decide {
    /// The stream of the target that the command's first event belongs to.
    const STREAM: Stream;

    /// What the reference says about it.
    const DOC: Doc;

    /// Asks for the states that the decision reads. Called again with what was loaded until it
    /// asks for nothing new, so that one state may lead to the next.
    fn needs(&self, context: &Context<'_>, world: &World, needs: &mut Needs);

    /// Decides. The first event, if any, is in the stream [`Self::STREAM`] of the target.
    ///
    /// # Errors
    /// What the rules say no to.
    fn decide(&self, context: &Context<'_>, world: &World) -> Decision;

    /// What the outcome says besides the names of its events. A retry is not told it again.
    fn data(&self, _: &[&Event]) -> Option<Value> {
        None
    }
}

/// The states that decisions ask for.
#[derive(Debug, Default)]
pub struct Needs(Vec<Key>);

impl Needs {
    /// Asks for a state.
    pub fn want(&mut self, key: Key) {
        self.0.push(key);
    }

    /// What was asked for.
    #[must_use]
    pub fn into_keys(self) -> Vec<Key> {
        self.0
    }
}

/// An event that is not in the log yet.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The stream that it goes into.
    pub key: StreamKey,
    /// What it says.
    pub event: Event,
    /// For claims: the sequence that the last event of the stream must have, 0 for none. Every
    /// other stream is guarded by its partition's fence.
    pub expected: Option<u64>,
}

impl NewEvent {
    /// An event of a stream with a UUID.
    #[must_use]
    pub fn new(key: StreamKey, event: Event) -> Self {
        Self { key, event, expected: None }
    }
}

impl From<echolog_events::MessagesEvent> for NewEvent {
    fn from(event: echolog_events::MessagesEvent) -> Self {
        Self::new(event.stream(), Event::Messages(event))
    }
}

impl From<AccountEvent> for NewEvent {
    fn from(event: AccountEvent) -> Self {
        Self::new(StreamKey::of(Stream::User, event.user_id()), Event::Accounts(event))
    }
}

impl From<AuditEvent> for NewEvent {
    fn from(event: AuditEvent) -> Self {
        Self::new(StreamKey::of(Stream::User, event.user_id()), Event::Audit(event))
    }
}

impl From<CredentialEvent> for NewEvent {
    fn from(event: CredentialEvent) -> Self {
        let key = StreamKey::of(Stream::Credential, event.user_id());
        Self::new(key, Event::Credentials(event))
    }
}

impl From<SessionEvent> for NewEvent {
    fn from(event: SessionEvent) -> Self {
        let key = StreamKey::of(Stream::Session, event.account_id());
        Self::new(key, Event::Sessions(event))
    }
}

impl From<PasswordEvent> for NewEvent {
    fn from(event: PasswordEvent) -> Self {
        let key = StreamKey::of(Stream::Password, event.user_id());
        Self::new(key, Event::Passwords(event))
    }
}

impl From<CodeEvent> for NewEvent {
    fn from(event: CodeEvent) -> Self {
        let key = StreamKey::of(Stream::Code, event.account_id());
        Self::new(key, Event::Codes(event))
    }
}
