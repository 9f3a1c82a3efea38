//! Given / when / then for deciders.
//!
//! The world of a story is built from nothing but what the command asks for, as the handler builds
//! it, so a decision that reads a state it did not ask for fails its test.

mod api_keys;
mod codes;
mod dice;
mod factors;
mod logins;
mod oauth;
mod operators;

use std::collections::HashSet;

use echolog_events::{Event, MessagesEvent, Stream, StreamKey, Time, Uuid};

use crate::auth::Findings;
use crate::state::{Claim, State};
use crate::{
    Actor, ClaimId, Command, Context, Decision, ErrorCode, Key, Needs, NewEvent, Rejection,
    Settings, World,
};

#[cfg(test)]
pub(crate) use dice::command;
pub use dice::{CONVERSATIONS, Roll, Sent, USERS, beginning};

/// How many rounds of loading a command may need: the handler gives up on one that asks for more.
const ROUNDS: usize = 4;

/// What has happened so far.
#[derive(Debug, Default)]
pub struct Story {
    past: Vec<(StreamKey, Event)>,
    settings: Settings,
    findings: Findings,
    time: Time,
}

/// A story with a command: what becomes of it.
#[derive(Debug)]
#[must_use]
pub struct Ending {
    decision: Decision,
}

/// An id that says which one it is.
#[must_use]
pub fn id(number: u16) -> Uuid {
    // A UUIDv7 of the first milliseconds of 1970.
    Uuid::from_u128(0x0000_0000_0001_7000_8000_0000_0000_0000 | u128::from(number))
}

impl Story {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing has happened, and one who fails twice to log in is locked out: for stories that dice
    /// tell, in which few things happen often.
    #[must_use]
    pub fn of_dice() -> Self {
        let settings =
            Settings { login_attempts: 2, keep_oauth_tokens: true, ..Settings::default() };
        Self::new().settings(settings)
    }

    /// Other settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What the request path has found out about the commands that follow.
    pub fn findings(mut self, findings: Findings) -> Self {
        self.findings = findings;
        self
    }

    /// When the commands that follow are decided; otherwise at the beginning of 1970.
    pub fn at(mut self, time: Time) -> Self {
        self.time = time;
        self
    }

    /// When the commands that follow are decided.
    #[must_use]
    pub fn now(&self) -> Time {
        self.time
    }

    /// This command was refused, and left something behind.
    ///
    /// # Panics
    /// If it was not.
    pub fn failed(mut self, actor: &Actor, target: Uuid, command: impl Into<Command>) -> Self {
        let no = self.decide(actor, target, &command.into()).expect_err("the command is refused");
        assert!(!no.events.is_empty(), "it leaves something behind: {no:?}");
        self.past.extend(no.events.into_iter().map(|new| (new.key, new.event)));
        self
    }

    /// These users have registered.
    pub fn users(mut self, users: impl IntoIterator<Item = Uuid>) -> Self {
        for user in users {
            let event = crate::auth::registered_for_tests(user);
            self.past.push((StreamKey::of(Stream::User, user), event));
        }
        self
    }

    /// An event has happened in this stream.
    pub fn event(mut self, stream: StreamKey, event: Event) -> Self {
        self.past.push((stream, event));
        self
    }

    /// This has happened in a conversation.
    pub fn messages(mut self, events: impl IntoIterator<Item = MessagesEvent>) -> Self {
        for event in events {
            self.past.push((event.stream(), Event::Messages(event)));
        }
        self
    }

    /// This command was accepted.
    ///
    /// # Panics
    /// If it is not.
    pub fn done(mut self, actor: &Actor, target: Uuid, command: impl Into<Command>) -> Self {
        let events = self.decide(actor, target, &command.into()).expect("the command is accepted");
        self.past.extend(events.into_iter().map(|new| (new.key, new.event)));
        self
    }

    /// The value of this claim.
    #[must_use]
    pub fn claim(&self, kind: echolog_events::ClaimKind, value: &str) -> ClaimId {
        ClaimId::new(&self.settings.claim_key, kind, value)
    }

    /// A user sends a command.
    pub fn when(&self, user: Uuid, target: Uuid, command: impl Into<Command>) -> Ending {
        self.when_actor(&Actor::User(user), target, command)
    }

    /// Anyone sends a command.
    pub fn when_actor(&self, actor: &Actor, target: Uuid, command: impl Into<Command>) -> Ending {
        Ending { decision: self.decide(actor, target, &command.into()) }
    }

    fn decide(&self, actor: &Actor, target: Uuid, command: &Command) -> Decision {
        let context = Context {
            actor,
            target,
            time: self.time,
            settings: &self.settings,
            findings: &self.findings,
        };
        let mut world = World::default();
        let mut asked = HashSet::new();
        for round in 0.. {
            assert!(round <= ROUNDS, "{command:?} asks for ever more");
            let mut needs = Needs::default();
            command.needs(&context, &world, &mut needs);
            let new: Vec<Key> =
                needs.into_keys().into_iter().filter(|key| asked.insert(key.clone())).collect();
            if new.is_empty() {
                break;
            }
            for key in new {
                let state = self.state(&key);
                world.insert(key, state);
            }
        }
        let decision = command.decide(&context, &world);
        let events = match &decision {
            Ok(events) => events.as_slice(),
            Err(no) => &no.events,
        };
        for event in events {
            if let Some(key) = Key::changed_by(&event.key, &event.event) {
                assert!(asked.contains(&key), "{command:?} changes {key:?} but did not ask for it");
            }
        }
        if let Some(first) = events.first() {
            let own = StreamKey::of(command.stream(), target);
            assert_eq!(first.key.id, own.id, "it is about the target");
            // What a no leaves behind may be in another stream of the target's.
            assert!(decision.is_err() || first.key == own, "the target's stream: {:?}", first.key);
        }
        decision
    }

    /// A state as everything that has happened leaves it.
    #[must_use]
    pub fn state(&self, key: &Key) -> State {
        let mut state = match key {
            Key::User(_) => State::User(None),
            Key::Sessions(_) => State::Sessions(crate::state::Sessions::default()),
            Key::Credentials(_) => State::Credentials(crate::state::Credentials::default()),
            Key::Codes(_) => State::Codes(crate::state::Codes::default()),
            Key::Block(_) => State::Block(crate::state::Blocks::default()),
            Key::Conversation(_) => State::Conversation(None),
            Key::Message(..) => State::Message(None),
            Key::Claim(_) => State::Claim(Claim::default()),
            Key::Roster => State::Roster(crate::state::Roster::default()),
        };
        for (index, (stream, event)) in self.past.iter().enumerate() {
            if Key::changed_by(stream, event).as_ref() == Some(key) {
                state.evolve(event, index as u64 + 1);
            }
        }
        state
    }
}

impl Ending {
    /// It leads to these events.
    ///
    /// # Panics
    /// If it does not.
    pub fn then(self, expected: impl IntoIterator<Item = Event>) {
        let events: Vec<Event> =
            self.accepted().into_iter().map(|new: NewEvent| new.event).collect();
        assert_eq!(events, expected.into_iter().collect::<Vec<_>>());
    }

    /// It leads to these events of conversations.
    ///
    /// # Panics
    /// If it does not.
    pub fn then_messages(self, expected: impl IntoIterator<Item = MessagesEvent>) {
        self.then(expected.into_iter().map(Event::Messages));
    }

    /// It is accepted, and nothing has to change.
    ///
    /// # Panics
    /// If something has to, or if it is refused.
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// What became of it.
    ///
    /// # Errors
    /// The no.
    pub fn decision(self) -> Decision {
        self.decision
    }

    /// It is accepted with these events.
    ///
    /// # Panics
    /// If it is refused.
    pub fn accepted(self) -> Vec<NewEvent> {
        self.decision.expect("the command is accepted")
    }

    /// It is refused with this code.
    ///
    /// # Panics
    /// If it is not.
    pub fn refused(self, code: ErrorCode) -> Rejection {
        let rejection = self.decision.expect_err("the command is refused");
        assert_eq!(rejection.code, code, "{rejection:?}");
        assert!(rejection.message.ends_with('.'), "a sentence: {rejection:?}");
        rejection
    }
}
