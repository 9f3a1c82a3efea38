//! Streams and the subjects that carry them.

use std::fmt;

use uuid::Uuid;

use crate::{Partition, partition_of};

/// The kinds of stream: each is one consistency boundary per id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// An account. Id: the user.
    User,
    /// Whom a user blocks. Id: the user.
    Block,
    /// A conversation's rules and members. Id: the conversation.
    Conversation,
    /// What is said in a conversation. Id: the conversation.
    Message,
    /// A claim to a unique value. Id: the HMAC of its kind and value, in hex.
    Claim,
    /// Who logs in, and the sessions that follow. Id: the user, or the stand-in of a name that
    /// nobody has.
    Session,
    /// The passwords of a user: the last event has the present one. Id: the user.
    Password,
    /// What else proves who somebody is: second factors, links to providers, API keys. Id: the user.
    Credential,
    /// One-time codes and password resets. Id: as of `Session`.
    Code,
    /// Who owns a partition. Id: `epoch`.
    Owner,
}

impl Stream {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::User,
        Self::Block,
        Self::Conversation,
        Self::Message,
        Self::Claim,
        Self::Session,
        Self::Password,
        Self::Credential,
        Self::Code,
        Self::Owner,
    ];

    /// The token in subjects and in `projection.deciders`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Block => "block",
            Self::Conversation => "conversation",
            Self::Message => "message",
            Self::Claim => "claim",
            Self::Session => "session",
            Self::Password => "password",
            Self::Credential => "credential",
            Self::Code => "code",
            Self::Owner => "owner",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }
}

/// One stream: its kind and its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// The kind of stream.
    pub stream: Stream,
    /// The id of the thing, a token of `[A-Za-z0-9_-]`.
    pub id: String,
}

impl StreamKey {
    /// The stream of this kind for a thing with a UUID.
    #[must_use]
    pub fn of(stream: Stream, id: Uuid) -> Self {
        Self { stream, id: id.to_string() }
    }

    /// Whether it is the stream of this kind for a thing with a UUID.
    pub(crate) fn is(&self, stream: Stream, id: Uuid) -> bool {
        let mut buffer = Uuid::encode_buffer();
        self.stream == stream && self.id == *id.hyphenated().encode_lower(&mut buffer)
    }
}

/// A parsed event subject, `evt.{tenant}.{stream}.{partition}.{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventSubject {
    /// The tenant.
    pub tenant: String,
    /// The partition; that of the id, except in the owner streams.
    pub partition: Partition,
    /// The stream.
    pub key: StreamKey,
}

impl EventSubject {
    /// The id in the subject of every owner stream.
    pub const EPOCH: &str = "epoch";

    /// The most characters of an id.
    const MAX_ID: usize = 128;

    /// The subject of a stream; its partition is that of its id.
    #[must_use]
    pub fn new(tenant: &str, key: StreamKey) -> Self {
        Self { tenant: tenant.to_owned(), partition: partition_of(&key.id), key }
    }

    /// The owner subject of a partition, on which its fence rests.
    #[must_use]
    pub fn owner(tenant: &str, partition: Partition) -> Self {
        let key = StreamKey { stream: Stream::Owner, id: Self::EPOCH.to_owned() };
        Self { tenant: tenant.to_owned(), partition, key }
    }

    /// Whether its partition is the one that its id belongs to; owner streams are in each of them.
    #[must_use]
    pub fn is_in_its_partition(&self) -> bool {
        match self.key.stream {
            Stream::Owner => self.key.id == Self::EPOCH,
            Stream::User
            | Stream::Block
            | Stream::Conversation
            | Stream::Message
            | Stream::Claim
            | Stream::Session
            | Stream::Password
            | Stream::Credential
            | Stream::Code => self.partition == partition_of(&self.key.id),
        }
    }

    fn is_id(token: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        (1..=Self::MAX_ID).contains(&token.len()) && token.bytes().all(allowed)
    }
}

impl fmt::Display for EventSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, partition, key } = self;
        write!(f, "evt.{tenant}.{}.{partition}.{}", key.stream.name(), key.id)
    }
}

/// A subject that is none of an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an event subject: {0}")]
pub struct InvalidSubject(String);

impl std::str::FromStr for EventSubject {
    type Err = InvalidSubject;

    fn from_str(subject: &str) -> Result<Self, InvalidSubject> {
        let parse = || {
            let mut tokens = subject.split('.');
            if tokens.next()? != "evt" {
                return None;
            }
            let tenant = tokens.next()?.to_owned();
            let stream = Stream::parse(tokens.next()?)?;
            let digits = tokens.next()?;
            let partition = Partition::new(digits.parse().ok()?)?;
            let id = tokens.next()?.to_owned();
            // One spelling only: another one would be another subject for the same stream.
            let two_digits = digits.len() == 2 && digits.bytes().all(|it| it.is_ascii_digit());
            let sound = two_digits && Self::is_id(&id) && tokens.next().is_none();
            sound.then_some(Self { tenant, partition, key: StreamKey { stream, id } })
        };
        parse().ok_or_else(|| InvalidSubject(subject.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_reads_back() {
        let subject = EventSubject::new("main", StreamKey::of(Stream::Message, Uuid::from_u128(1)));
        assert_eq!(subject.to_string().parse(), Ok(subject));
        let owner = EventSubject::owner("main", Partition::new(3).expect("there are sixteen"));
        assert_eq!(owner.to_string(), "evt.main.owner.03.epoch");
        assert_eq!(owner.to_string().parse(), Ok(owner));
    }

    #[test]
    fn a_subject_has_one_spelling() {
        let long = format!("evt.main.user.03.{}", "a".repeat(129));
        for wrong in [
            "evt.main.owner.16.epoch",
            "evt.main.owner.3.epoch",
            "evt.main.owner.+3.epoch",
            "evt.main.dream.03.a",
            "evt.main.user.03.a.b",
            "evt.main.user.03.\u{e4}",
            "cmd.main.user.03.a",
            &long,
        ] {
            assert!(wrong.parse::<EventSubject>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_has_one_partition() {
        let subject = EventSubject::new("main", StreamKey::of(Stream::User, Uuid::from_u128(1)));
        assert!(subject.is_in_its_partition());
        let other = Partition::all().find(|it| *it != subject.partition).expect("sixteen");
        assert!(!EventSubject { partition: other, ..subject }.is_in_its_partition());
        assert!(EventSubject::owner("main", other).is_in_its_partition());
    }
}
