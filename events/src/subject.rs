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
    /// Who owns a partition. Id: `epoch`.
    Owner,
}

impl Stream {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::User, Self::Block, Self::Conversation, Self::Message, Self::Claim, Self::Owner];

    /// The token in subjects and in `projection.deciders`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Block => "block",
            Self::Conversation => "conversation",
            Self::Message => "message",
            Self::Claim => "claim",
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
            let partition = Partition::new(tokens.next()?.parse().ok()?)?;
            let id = tokens.next()?.to_owned();
            if tokens.next().is_some() {
                return None;
            }
            Some(Self { tenant, partition, key: StreamKey { stream, id } })
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
        assert!("evt.main.owner.16.epoch".parse::<EventSubject>().is_err());
    }
}
